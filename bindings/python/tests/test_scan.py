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
