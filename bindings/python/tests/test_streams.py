"""Streams: written, asked in every way, and what is refused."""

import datetime
import gc
import pickle
from pathlib import Path

import numpy as np
import presence
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

DTYPES = ["?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f4", "f8"]


@pytest.fixture
def db(tmp_path):
    with presence.create(tmp_path / "db", block_bytes=4096) as db:
        yield db


def filled(db, records=10_000, **options):
    stream = db.create_stream("ramp", {"x": "f8", "v": ("i4", (2, 3))}, **options)
    with stream.writer() as writer:
        x = np.arange(records, dtype="f8")
        v = np.arange(records * 6, dtype="i4").reshape(records, 2, 3)
        writer.append_batch(np.arange(records) * 1_000, x, v)
    return stream


@settings(max_examples=60, deadline=None)
@given(
    data=st.data(),
    dtype=st.sampled_from(DTYPES),
    compression=st.sampled_from(["none", "lz4", "packed", "split"]),
)
def test_every_dtype_and_shape_comes_back(tmp_path_factory, data, dtype, compression):
    shape = data.draw(hnp.array_shapes(min_dims=0, max_dims=3, max_side=4))
    records = data.draw(st.integers(0, 40))
    values = data.draw(hnp.arrays(dtype, (records, *shape)))
    times = np.cumsum(data.draw(hnp.arrays("i8", records, elements=st.integers(1, 2**40))))
    path = tmp_path_factory.mktemp("round") / "db"
    with presence.create(path, block_bytes=256) as db:
        stream = db.create_stream("s", (dtype, shape), unit="ns", compression=compression)
        with stream.writer() as writer:
            half = records // 2
            writer.append_batch(times[:half], values[:half])
            for ts, value in zip(times[half:].tolist(), values[half:]):
                writer.append(ts, value)
        _same(stream, times, values)
    with presence.open(path, read_only=True) as db:
        _same(db["s"], times, values)


def _same(stream, times, values):
    window = stream.window()
    assert window.timestamps.dtype == np.int64
    np.testing.assert_array_equal(window.timestamps, times)
    got = window.values
    assert got.dtype == values.dtype and got.shape == values.shape and not got.flags.writeable
    np.testing.assert_array_equal(got, values)
    assert window.to_arrow().num_rows == len(times) == len(window)
    records = list(stream)
    assert [record.ts for record in records] == times.tolist()
    for record, value in zip(records, values):
        np.testing.assert_array_equal(record.value, value)
    samples = stream.at_many(times[::-1])
    np.testing.assert_array_equal(samples.values, values[::-1])
    assert samples.found.all()


def test_a_window_has_the_ends_that_closed_says(db):
    stream = filled(db)
    counts = {closed: len(stream.window(1_000, 3_000, closed=closed)) for closed in ["left", "right", "both", "neither"]}
    assert counts == {"left": 2, "right": 2, "both": 3, "neither": 1}
    # Between two records the rule is the same for times that the unit cannot tell.
    half = np.timedelta64(1_000_500, "ns")
    assert stream.window(half, closed="both").timestamps[0] == 2_000
    assert stream.window(None, half, closed="left").timestamps[-1] == 1_000
    assert stream.window(500, 600, carry_in=True).timestamps.tolist() == [0]


def test_times_of_all_kinds_are_one(db):
    stream = filled(db)
    want = stream.at(5_000_000).ts
    utc = datetime.timezone.utc
    for time in (
        "5s",
        "5000ms",
        "1970-01-01T00:00:05Z",
        np.int64(5_000_000),
        np.datetime64(5, "s"),
        np.datetime64("1970-01-01T00:00:05.000000000", "ns"),
        np.timedelta64(5, "s"),
        datetime.timedelta(seconds=5),
        datetime.datetime(1970, 1, 1, 0, 0, 5),
        datetime.datetime(1970, 1, 1, 2, 0, 5, tzinfo=datetime.timezone(datetime.timedelta(hours=2))),
        datetime.datetime(1970, 1, 1, 0, 0, 5, tzinfo=utc),
    ):
        assert stream.at(time).ts == want, time
    for many in (
        [5_000_000],
        np.array([5], "m8[s]"),
        np.array(["1970-01-01T00:00:05"], "M8[s]"),
        [datetime.timedelta(seconds=5)],
        np.array([5_000_000], "u4"),
    ):
        assert stream.at_many(many).timestamps.tolist() == [want], many
    for wrong in (5.0, True, None, b"5s", np.float64(5)):
        with pytest.raises(TypeError):
            stream.at(wrong)
    for wrong in ("five", "5 parsecs", np.datetime64("NaT"), np.datetime64(2**62, "s")):
        with pytest.raises(ValueError):
            stream.at(wrong)
    with pytest.raises(OverflowError):
        stream.at(2**63)
    with pytest.raises(presence.PresenceError):
        stream.at_many(np.array([1], "m8[ns]"))


def test_indices_and_slices(db):
    stream = filled(db)
    assert (stream[0].ts, stream[-1].ts, stream[np.int64(7)].ts) == (0, 9_999_000, 7_000)
    for span in (slice(None), slice(5, 4_000), slice(-10, None), slice(7, 3), slice(9_990, 20_000), slice(0, 0)):
        np.testing.assert_array_equal(stream[span]["x"], np.arange(10_000.0)[span])
    window = stream[10:4_000]
    assert (window[0].ts, window[-1].ts, window[2_000]["x"]) == (10_000, 3_999_000, 2_010.0)
    for wrong in (10_000, -10_001):
        with pytest.raises(IndexError):
            stream[wrong]
    with pytest.raises(IndexError):
        window[3_990]
    with pytest.raises(ValueError):
        stream[::2]
    with pytest.raises(TypeError):
        stream["5s"]


def test_neighbours_and_samples(db):
    stream = filled(db)
    assert stream.at(-1) is None
    assert stream.at(1_999).ts == 1_000 and stream.at(1_999, age_max="500us") is None
    assert stream.nearest(1_501).ts == 2_000 and stream.next_after(2_000).ts == 3_000
    assert stream.next_after(9_999_000) is None
    assert (stream.first().ts, stream.last()["x"]) == (0, 9_999.0)
    samples = stream.sample(-1_000, "3ms", "1ms", closed="both")
    assert samples.times.tolist() == [-1_000, 0, 1_000, 2_000, 3_000]
    assert samples.found.tolist() == [False, True, True, True, True]
    assert np.isnat(samples.timestamps.view("M8[us]")[0])
    assert samples["v"].shape == (5, 2, 3) and not samples["v"][0].any()
    assert samples.to_polars()["ts"].null_count() == 1


def test_zero_copy_and_lifetime(tmp_path):
    path = tmp_path / "db"
    db = presence.create(path)
    stream = filled(db)
    open_block = stream.window(0, 2_000_000)["x"]
    db.close()
    db = presence.open(path, read_only=True)
    window = db["ramp"].window(0, 2_000_000)
    assert len(window.blocks()) == 1, "what lies in one block is viewed"
    one, other = window["x"], window["x"]
    assert one.__array_interface__["data"] == other.__array_interface__["data"], "a copy was made"
    table = window.to_arrow()
    address = table["x"].chunk(0).buffers()[1].address
    assert address == one.__array_interface__["data"][0], "Arrow was given a copy"
    record = db["ramp"].at(7_000)["v"]
    for array in (one, record, open_block):
        with pytest.raises(ValueError):
            array[0] = 1
        with pytest.raises(ValueError):
            array.flags.writeable = True
    if np.lib.NumpyVersion(np.__version__) >= "2.1.0":
        shared = np.from_dlpack(one)
        assert shared.__array_interface__["data"] == one.__array_interface__["data"]
    db.close()
    del db, window, stream
    gc.collect()
    np.testing.assert_array_equal(one, np.arange(2_000.0))
    np.testing.assert_array_equal(open_block, one)
    assert record.tolist() == [[42, 43, 44], [45, 46, 47]]
    assert table["x"].to_pylist() == one.tolist()
    assert memoryview(one).readonly and bytes(memoryview(one)[:1]) == bytes(8)


@pytest.mark.parametrize("columns", ["f4", ("u2", (2, 3)), "?"])
def test_a_result_of_one_column_is_an_array(tmp_path, columns):
    dtype = np.dtype(columns)
    wanted = (np.arange(100 * dtype.itemsize // dtype.base.itemsize) % 2).astype(dtype.base)
    wanted = wanted.reshape(100, *dtype.shape)
    path = tmp_path / "db"
    with presence.create(path) as db, db.create_stream("s", columns).writer() as writer:
        writer.append_batch(range(100), wanted)
    modern = np.lib.NumpyVersion(np.__version__) >= "2.1.0"
    db = presence.open(path, read_only=True)
    window = db["s"].window()
    (block,) = window.blocks()
    for result in (window, block, db["s"].at_many(np.arange(100))):
        viewed = result["value"]
        for one in [np.asarray(result), *([np.from_dlpack(result)] if modern else [])]:
            assert one.__array_interface__["data"] == viewed.__array_interface__["data"]
            assert (one.dtype, one.shape) == (viewed.dtype, viewed.shape)
            assert not one.flags.writeable
            with pytest.raises(ValueError):
                one.flags.writeable = True
        assert result.__dlpack_device__() == viewed.__dlpack_device__()
        assert memoryview(np.asarray(result)).readonly
        assert np.array(result).flags.writeable
        assert np.asarray(result, dtype="f8").dtype == "f8"
    if modern:
        with pytest.raises(ValueError, match="copy"):
            np.asarray(window, dtype="f8", copy=False)
        with pytest.raises(BufferError):
            window.__dlpack__()
        assert np.from_dlpack(window, copy=True).flags.writeable
    kept = [np.asarray(window), np.asarray(block), np.from_dlpack(window) if modern else viewed]
    db.close()
    del db, window, block, result, viewed, one
    gc.collect()
    for one in kept:
        np.testing.assert_array_equal(one, wanted)


def test_a_result_of_several_columns_is_no_array(tmp_path):
    with presence.create(tmp_path / "db") as db:
        window = filled(db).window()
        for wrong in (np.asarray, lambda result: result.__dlpack__()):
            with pytest.raises(ValueError, match="has to be named"):
                wrong(window)


def test_blocks_are_windows_without_copies(db):
    stream = filled(db)
    window = stream.window("1s", "9s")
    blocks = window.blocks()
    assert len(blocks) > 2 and sum(map(len, blocks)) == len(window)
    np.testing.assert_array_equal(np.concatenate([block["x"] for block in blocks]), window["x"])
    np.testing.assert_array_equal(np.concatenate([block.timestamps for block in blocks]), window.timestamps)
    assert window.to_arrow()["x"].num_chunks == len(blocks)
    assert [record["x"] for record in window] == window["x"].tolist()


def test_other_libraries(db):
    import pandas
    import polars
    import pyarrow

    stream = filled(db, records=100, unit="ns")
    window = stream.window(10_000)
    assert window.to_polars().schema["ts"] == polars.Datetime("ns")
    assert window.to_polars()["v"].to_numpy().tolist() == window["v"].tolist()
    frame = window.to_pandas()
    assert isinstance(frame.index, pandas.DatetimeIndex) and frame["x"].tolist() == window["x"].tolist()
    assert stream.to_pandas().shape == (100, 2)
    array = pyarrow.array(window)
    assert array.type.field("ts").type == pyarrow.timestamp("ns") and len(array) == 90
    assert pyarrow.array(stream.at_many([-1, 5])).to_pylist()[0] == {"ts": None, "x": None, "v": None}
    assert stream.to_arrow().num_rows == len(stream.to_polars()) == len(stream.to_numpy()["x"])


def test_what_does_not_fit_is_refused_whole(db):
    stream = db.create_stream("s", {"n": "u1", "f": "f4", "b": "?"})
    with stream.writer() as writer:
        writer.append(1, 255, 0.5, True)
        writer.append(2, {"n": 0, "f": 1, "b": False})
        for wrong in ((256, 0.5, True), (-1, 0.5, True), (1.5, 0.5, True), (1, "x", True), (1, 0.5, 1), (True, 0.5, True)):
            with pytest.raises(ValueError):
                writer.append(3, *wrong)
        with pytest.raises(ValueError, match="2 columns given, of 3: n, f, b"):
            writer.append(3, 1, 0.5)
        with pytest.raises(presence.PresenceError, match="'b'|\"b\""):
            writer.append(3, n=1, f=0.5, c=True)
        with pytest.raises(ValueError, match="after 2 breaks the order") as told:
            writer.append(2, 1, 0.5, True)
        assert told.value.stream == "s"
        for wrong in ([1, 300], [1.0, 2.0], [[1], [2]], [1]):
            with pytest.raises(ValueError):
                writer.append_batch([3, 4], wrong, [0.0, 0.0], [True, True])
        with pytest.raises(presence.PresenceError):
            writer.append_batch([4, 3], [1, 2], [0.0, 0.0], [True, True])
        writer.append_batch(np.array([3, 4]), n=np.array([1, 2], "i8"), f=[0, 1], b=[True, False])
    assert stream.window().timestamps.tolist() == [1, 2, 3, 4]
    assert stream.window()["n"].tolist() == [255, 0, 1, 2]
    with pytest.raises(RuntimeError, match="closed"):
        writer.append(9, 1, 0.5, True)


def test_one_writer_and_the_end(db):
    stream = db.create_stream("s", "f8", order="non_decreasing")
    with stream.writer() as writer:
        with pytest.raises(RuntimeError) as told:
            stream.writer()
        assert told.value.stream == "s"
        writer.append(1, 1.0)
        writer.append(1, 2.0)
        writer.flush("disk")
    writer = stream.writer()
    writer.finish()
    assert stream.is_finished and stream.at(1).value == 2.0
    with pytest.raises(RuntimeError):
        stream.writer()
    for wrong in ({"unit": "s"}, {"order": "any"}, {"compression": "zip"}):
        with pytest.raises(ValueError):
            db.create_stream("t", "f8", **wrong)
    for wrong in ("f2", "c8", "U4", "O", {}, ("f8", 0)):
        with pytest.raises((ValueError, TypeError)):
            db.create_stream("t", wrong)
    assert list(db.create_stream("u", np.dtype([("a", "f4", (2,)), ("b", "?")])).columns) == ["a", "b"]


def test_a_database_and_its_care(tmp_path):
    path = tmp_path / "db"
    db = presence.create(path, flush_interval="20ms", segment_bytes=1 << 16)
    stream = filled(db)
    assert "ramp" in db and "nothing" not in db and list(db) == ["ramp"] and len(db) == 1
    info = db.info()
    assert info["streams"]["ramp"]["records"] == 10_000 and info["clean"] and info["segments"] > 1
    with pytest.raises(KeyError, match="no stream is named"):
        db["nothing"]
    with pytest.raises(ValueError):
        db.create_stream("ramp", "f8")
    with pytest.raises(OSError, match="written by"):
        presence.open(path)
    told = []
    backup = db.backup(tmp_path / "copy", copy=True, progress=lambda done, of: told.append((done, of)))
    assert backup["records"] == 10_000 and told[-1][0] == told[-1][1] > 0
    with pytest.raises(ZeroDivisionError):
        db.backup(tmp_path / "never", progress=lambda done, of: 1 // 0)
    assert not (tmp_path / "never").exists()
    assert db.retain(before="5s")["records"] > 0 and stream.first_sequence > 0
    assert db.compact()["records"] > 0
    first = stream[0]
    assert first["x"] == stream.first_sequence == stream.window()["x"][0]
    assert stream[:10]["x"].tolist() == [first["x"] + i for i in range(10)]
    with pytest.raises(ValueError):
        db.retain()
    again = pickle.loads(pickle.dumps(db))
    assert again.read_only and again.id == db.id
    with pytest.raises(RuntimeError):
        again.create_stream("x", "f8")
    clone = pickle.loads(pickle.dumps(stream))
    assert clone.name == "ramp" and clone.last().ts == stream.last().ts
    db.close()
    db.close()
    assert db.closed and "closed" in repr(db)
    with pytest.raises(RuntimeError, match="closed"):
        db.streams  # noqa: B018
    report = presence.fsck(path, level="deep")
    assert report.is_sound and report.totals["streams"] == 1
    assert presence.open(tmp_path / "copy", read_only=True)["ramp"].window()["x"][-1] == 9_999.0


def test_damage_is_told_where_it_is(tmp_path):
    path = tmp_path / "db"
    with presence.create(path) as db:
        filled(db)
    (segment,) = path.glob("seg-*.presence")
    data = bytearray(segment.read_bytes())
    data[len(data) // 2] ^= 1
    segment.write_bytes(data)
    with presence.open(path, read_only=True) as db, pytest.raises(OSError) as told:
        db["ramp"].window()["x"]  # noqa: B018
    assert isinstance(told.value, presence.PresenceError)
    assert Path(told.value.file).name == segment.name
    assert told.value.offset > 0 and told.value.stream == "ramp"
    assert pickle.loads(pickle.dumps(told.value)).offset == told.value.offset
    report = presence.fsck(path)
    assert not report.is_sound and report.findings


def test_paths_that_hold_nothing(tmp_path):
    with pytest.raises(FileNotFoundError) as told:
        presence.open(tmp_path / "nowhere")
    assert isinstance(told.value, presence.PresenceError) and told.value.file
    with pytest.raises(OSError):
        presence.open(tmp_path)
    with pytest.raises(FileNotFoundError):
        presence.fsck(tmp_path / "nowhere")
    presence.create(tmp_path / "db").close()
    with pytest.raises(FileExistsError):
        presence.create(tmp_path / "db")
    with pytest.raises(TypeError, match="no option 'colour'|no option \"colour\""):
        presence.create(tmp_path / "other", colour=1)
