"""Streams as lazy frames: the same answer as a filter over everything, from less."""

import datetime

import numpy as np
import polars
import presence
import pytest
from polars.testing import assert_frame_equal

ts = polars.col("ts")


def at(us):
    return datetime.datetime(1970, 1, 1) + datetime.timedelta(microseconds=us)


@pytest.fixture
def stream(tmp_path):
    with presence.create(tmp_path / "db", block_bytes=4096) as db:
        stream = db.create_stream("s", {"x": "f8", "ok": "?", "v": ("i4", (2, 3))})
        with stream.writer() as writer:
            x = np.arange(10_000.0)
            v = np.arange(60_000, dtype="i4").reshape(-1, 2, 3)
            writer.append_batch(np.arange(10_000) * 1_000, x, x % 3 == 0, v)
        yield stream


@pytest.mark.parametrize(
    "predicate",
    [
        ts >= at(5_000_000),
        (ts > at(5_000_000)) & (ts <= at(5_004_000)),
        polars.lit(at(9_000)) > ts,
        (ts == at(7_000)) | (polars.col("x") > 9_990),
        ts.is_between(at(1_000), at(3_000), closed="none"),
        (ts >= at(9_990_000)) & (polars.col("ok")) & (polars.col("x") < 9_999),
        (ts > at(10**12)) & (ts < at(0)),
        ts.dt.second() == 3,
        ts >= polars.lit(at(5_000_000)).dt.cast_time_unit("ns"),
        ~(ts >= at(5_000)),
        polars.col("x").is_in([3.0, 4.0]),
    ],
)
def test_a_filter_is_the_same_before_and_after(stream, predicate):
    everything = stream.to_polars()
    assert_frame_equal(presence.scan(stream).filter(predicate).collect(), everything.filter(predicate))
    got = presence.scan(stream).filter(predicate).select("x", "v").collect()
    assert_frame_equal(got, everything.filter(predicate).select("x", "v"))


def test_no_more_is_read_than_is_asked_for(stream, monkeypatch):
    asked = []

    class Watched:
        unit = stream.unit

        def __getitem__(self, span):
            return stream[span]

        def window(self, *bounds, **options):
            asked.append(bounds)
            return stream.window(*bounds, **options)

    monkeypatch.setattr(presence._scan, "_stream", lambda *_: Watched())
    scan = presence.scan("anything")
    scan.filter(ts.is_between(at(1_000), at(3_000)) & (polars.lit(at(2_500)) >= ts)).collect()
    assert asked == [(1_000, 2_500)]
    scan.filter((ts >= at(1_000)) | (polars.col("x") > 5)).collect()
    assert asked.pop() == (-(2**63), 2**63 - 1)


def test_heads_and_sums(stream):
    scan = presence.scan(stream)
    assert scan.head(7).collect()["x"].to_list() == list(range(7))
    assert scan.head(7).filter(ts >= at(5_000)).collect()["x"].to_list() == [5.0, 6.0]
    assert scan.filter(ts >= at(5_000)).head(2).collect()["x"].to_list() == [5.0, 6.0]
    assert scan.select(polars.col("x").sum()).collect().item() == sum(range(10_000))
    assert scan.collect_schema() == stream.to_polars().schema
    with pytest.raises(KeyError):
        presence.scan(presence._scan.Database and stream.__reduce__()[1][0], "nothing")


t = polars.col("t")


def us(microseconds):
    return datetime.timedelta(microseconds=microseconds)


@pytest.fixture(params=["evt2", "aedat4", "hdf5", "text"])
def recording(request, tmp_path):
    random = np.random.default_rng(3)
    x, y = (random.integers(0, side, 50_000).astype("u2") for side in (64, 48))
    made = presence.events.Events(
        np.sort(random.integers(0, 10**6, 50_000)), x, y, random.integers(0, 2, 50_000).astype("i1")
    )
    path = tmp_path / "recording"
    made.write(path, request.param, header=request.param == "text")
    return path


@pytest.mark.parametrize(
    "predicate",
    [
        t >= us(500_000),
        (t > us(400_000)) & (t <= us(400_100)) & (polars.col("polarity") == 1),
        t.is_between(us(1), us(999)),
        (t < us(100)) | (polars.col("x") == 7),
        polars.col("y") < 3,
    ],
)
def test_events_are_scanned_as_they_are_read(recording, predicate):
    everything = presence.evlib.load_events(recording, sort=False).collect()
    scanned = presence.scan_events(recording)
    assert scanned.collect_schema() == everything.schema
    assert_frame_equal(scanned.collect(), everything)
    wanted = everything.filter(predicate)
    assert len(wanted) < len(everything)
    assert_frame_equal(scanned.filter(predicate).collect(), wanted)
    assert_frame_equal(scanned.filter(predicate).select("y").collect(), wanted.select("y"))
    assert_frame_equal(scanned.head(7).collect(), everything.head(7))
    counted = scanned.filter(predicate).select(polars.len()).collect(engine="streaming").item()
    assert counted == len(wanted)


def test_bounds_of_time_are_found_in_filters():
    from presence._scan import _EVERYTHING, _bounds

    assert _bounds((t >= us(5)) & (t < us(9)) & (polars.col("x") > 3), "t", "us") == (5, 9)
    assert _bounds(ts > at(7), "ts", "us")[0] == 7
    assert _bounds(polars.col("x") > 3, "t", "us") == _EVERYTHING


def test_scans_tell_what_is_wrong(tmp_path):
    with pytest.raises(FileNotFoundError):
        presence.scan_events(tmp_path / "nowhere").collect()
