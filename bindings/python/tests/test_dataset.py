"""Streams, signals, episodes and datasets under the names that many know."""

import math
import pickle
import subprocess
import sys

import numpy as np
import presence
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from presence import dataset
from presence.dataset import (
    LocalDataset,
    LocalDatasetWriter,
    SimpleSignal,
    SimpleSignalWriter,
    SimpleStream,
    SimpleStreamWriter,
)

LIMITS = np.iinfo(np.int64)


@pytest.fixture
def signal(tmp_path):
    """10 at 1000, 20 at 2000, up to 50 at 5000."""
    with SimpleSignalWriter(tmp_path / "fixture.signal") as writer:
        for step in range(1, 6):
            writer.append(step * 10, step * 1000)
    return SimpleSignal(tmp_path / "fixture.signal")


def test_a_stream_appears_when_it_is_finished(tmp_path):
    path = tmp_path / "one.stream"
    writer = SimpleStreamWriter(path)
    for step in range(3):
        writer.append([1.0 * step, 2.0], 10 * step)
    assert not path.exists()
    writer.finish()
    writer.finish()
    assert path.exists()
    assert [each.name for each in tmp_path.iterdir()] == ["one.stream"]
    with pytest.raises(RuntimeError, match="Cannot append to a finished writer"):
        writer.append([0.0, 0.0], 100)
    stream = SimpleStream(str(path))
    assert isinstance(stream, dataset.Stream)
    value, ts = stream.at(15)
    assert (value.tolist(), ts) == ([1.0, 2.0], 10)
    assert stream.at(-1) is None
    values, times = stream.window(0, 10)
    assert (values.tolist(), times.tolist()) == ([[0.0, 2.0], [1.0, 2.0]], [0, 10])
    assert len(stream.window(11, 11)[0]) == len(stream.window(20, 10)[1]) == 0
    assert len(stream.window(LIMITS.min + 1, LIMITS.max)[1]) == 3
    with pytest.raises(TypeError):
        stream.at(1.5)
    # The engine reads it, too.
    assert len(presence.open(path, read_only=True)["value"]) == 3


def test_empty(tmp_path):
    SimpleStreamWriter(tmp_path / "none").finish()
    stream = SimpleStream(tmp_path / "none")
    assert stream.at(5) is None
    assert [len(part) for part in stream.window(0, 9)] == [0, 0]
    signal = stream.signal
    assert len(signal) == len(signal.time[0:9]) == len(signal[:]) == 0
    for ask in (lambda: signal.start_ts, lambda: signal.last_ts, lambda: signal.meta):
        with pytest.raises(ValueError, match="Signal is empty"):
            ask()
    with pytest.raises(KeyError):
        signal.time[5]
    with pytest.raises(FileNotFoundError, match="nowhere"):
        len(SimpleSignal(tmp_path / "nowhere"))


def test_what_is_refused(tmp_path):
    writer = SimpleSignalWriter(tmp_path / "a")
    for wrong in ("text", b"bytes", None, {1}):
        with pytest.raises(ValueError, match="not stored"):
            writer.append(wrong, 0)
    writer.append(np.zeros(3, np.float32), 5)
    with pytest.raises(ValueError, match=r"Timestamp 5 is not increasing \(last was 5\)"):
        writer.append(np.zeros(3, np.float32), 5)
    with pytest.raises(ValueError, match="Data shape"):
        writer.append(np.zeros(4, np.float32), 6)
    with pytest.raises(ValueError, match="Data dtype"):
        writer.append(np.zeros(3), 6)
    with pytest.raises(ValueError, match="Data type"):
        writer.append(1.0, 6)
    with pytest.raises(TypeError):
        writer.append(np.zeros(3, np.float32), 6.5)
    with pytest.raises(ValueError, match="extra_ts keys"):
        writer.append(np.zeros(3, np.float32), 6, {"other": 1})
    writer.abort()
    writer.abort()
    with pytest.raises(RuntimeError, match="aborted"):
        writer.append(np.zeros(3, np.float32), 7)
    with writer:
        pass
    assert list(tmp_path.iterdir()) == []
    scalars = SimpleSignalWriter(tmp_path / "b")
    scalars.append(1.0, 0)
    with pytest.raises(ValueError, match="Data type"):
        scalars.append(1, 1)
    scalars.abort()


def test_by_index(signal):
    assert signal[0] == signal[-5] == (10, 1000)
    assert signal[np.int64(4)] == (50, 5000)
    assert list(signal[1:4:2]) == [(20, 2000), (40, 4000)]
    assert list(signal[1:][1:][[0, -1]]) == [(30, 3000), (50, 5000)]
    indices = np.array([-1, 0])
    assert list(signal[indices]) == [(50, 5000), (10, 1000)]
    assert indices.tolist() == [-1, 0], "the caller's array was changed"
    assert len(signal[[]]) == 0
    for wrong, error in [
        (5, IndexError),
        ([5], IndexError),
        (np.array([True] * 5), IndexError),
        ([0.5], TypeError),
        ("a", TypeError),
        (slice(None, None, -1), ValueError),
    ]:
        with pytest.raises(error):
            signal[wrong]


def test_by_time(signal):
    at = signal.time
    assert at[1000] == at[1999.9] == at[np.int64(1999)] == at[np.float64(1000)] == (10, 1000)
    assert list(at[1500:3500]) == [(10, 1500), (20, 2000), (30, 3000)]
    assert list(at[500:900]) == []
    assert list(at[2500:2500]) == [(20, 2500)]
    assert list(at[2000:2000]) == []
    assert list(at[6000:7000]) == [(50, 6000)]
    assert list(at[:2000.5]) == [(10, 1000), (20, 2000)]
    assert len(at[:]) == 5
    assert list(at[1000:3000:1000]) == [(10, 1000), (20, 2000)]
    assert list(at[[5500, 1000, 1000]]) == [(50, 5500), (10, 1000), (10, 1000)]
    assert list(at[[1000.5]]) == [(10, 1000.5)]
    assert len(at[[]]) == 0
    assert list(at[1500:4500].time[2000:3500]) == [(20, 2000), (30, 3000)]
    assert at[1500:4500].time[1700] == (10, 1500)
    for wrong, error in [
        (999, KeyError),
        ([999, 1000], KeyError),
        (slice(0, 9, 1), KeyError),
        (slice(None, 9000, 1), ValueError),
        (slice(0, 9, -1), ValueError),
        (["a"], TypeError),
        (math.nan, ValueError),
    ]:
        with pytest.raises(error):
            at[wrong]
    unsorted = at[[5000, 1000]]
    with pytest.raises(ValueError, match="not in order"):
        unsorted.time[3000]
    assert signal.meta == dataset.SignalMeta(int, ())
    assert signal.kind is dataset.Kind.NUMERIC


def test_times_of_today_are_exact(tmp_path):
    now = 1_764_000_000_000_000_000
    with SimpleSignalWriter(tmp_path / "a") as writer:
        for step in range(4):
            writer.append(step, now + step)
    signal = SimpleSignal(tmp_path / "a")
    assert [signal.time[now + step][0] for step in range(4)] == [0, 1, 2, 3]
    assert signal.time[np.int64(now + 2)] == (2, now + 2)
    assert list(signal.time[now + 1 : np.int64(now + 3)]) == [(1, now + 1), (2, now + 2)]


def test_equal_values_and_further_times(tmp_path):
    with SimpleSignalWriter(tmp_path / "a", drop_equal_bytes_threshold=16) as writer:
        for step, value in enumerate([1.0, 1.0, 2.0, 2.0, 1.0, math.nan, math.nan]):
            writer.append(value, step, {"world": -step, "camera": 10 * step})
    signal = SimpleSignal(tmp_path / "a")
    assert signal.keys().tolist() == [0, 2, 4, 5, 6]
    assert sorted(signal.timelines) == ["camera", "world"]
    assert signal.extra_ts("world").tolist() == [0, -2, -4, -5, -6]
    with pytest.raises(KeyError):
        signal.extra_ts("moon")
    with SimpleSignalWriter(tmp_path / "b", drop_equal_bytes_threshold=16) as writer:
        value = np.zeros(2)
        for step in range(3):
            writer.append(value, step)
    assert len(SimpleSignal(tmp_path / "b")) == 3, "not smaller than the threshold"
    with pytest.raises(ZeroDivisionError), SimpleSignalWriter(tmp_path / "c") as writer:
        writer.append(1, 1)
        raise ZeroDivisionError
    assert len(SimpleSignal(tmp_path / "c")) == 1


DTYPES = ["?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f4", "f8"]


@settings(max_examples=12, deadline=None)
@given(
    dtype=st.sampled_from(DTYPES),
    shape=st.lists(st.integers(1, 4), max_size=3).map(tuple),
    count=st.integers(1, 30),
    seed=st.integers(0, 2**32 - 1),
)
def test_every_type_and_shape_goes_both_ways(tmp_path_factory, dtype, shape, count, seed):
    pytest.importorskip("pyarrow")
    folder = tmp_path_factory.mktemp("both")
    random = np.random.default_rng(seed)
    size = np.dtype(dtype).itemsize * count * math.prod(shape)
    values = np.frombuffer(random.bytes(size), np.uint8 if dtype == "?" else dtype)
    values = (values % 2).astype(bool) if dtype == "?" else values
    values = values.reshape(count, *shape)
    times = np.cumsum(random.integers(1, 2**40, count))
    with SimpleSignalWriter(folder / "ours") as writer:
        for value, ts in zip(values, times, strict=True):
            writer.append(np.asarray(value), int(ts), {"more": int(ts) * 2})
    ours = SimpleSignal(folder / "ours")
    ours.to_parquet(folder / "theirs")
    back = SimpleSignal.from_parquet(folder / "theirs", folder / "back")
    for each in (ours, SimpleSignal(folder / "theirs"), back):
        read = np.asarray(each.values())
        assert read.dtype == values.dtype
        assert read.tobytes() == values.tobytes()
        assert read.shape == values.shape
        assert np.array_equal(each.keys(), times)
        assert np.array_equal(each.extra_ts("more"), times * 2)
        picked = random.integers(0, count, 5)
        assert np.asarray(each[picked].values()).tobytes() == values[picked].tobytes()


def test_many_records_are_walked_in_linear_time(tmp_path):
    with SimpleSignalWriter(tmp_path / "a") as writer:
        writer._append_all(np.arange(100_000) * 10, {"value": np.arange(100_000)})
    signal = SimpleSignal(tmp_path / "a")
    walked = list(signal[1:][::2].time[5:])
    assert len(walked) == 50_000
    assert walked[7] == (15, 150)
    assert sum(value for value, _ in signal) == 99_999 * 50_000


def test_a_handle_goes_to_another_process(signal):
    again = pickle.loads(pickle.dumps(signal))
    assert again[2] == signal[2]
    assert len(pickle.dumps(signal)) < 400


def test_what_a_killed_process_recorded_is_there(tmp_path):
    program = f"""
import os
from presence.dataset import SimpleSignalWriter
writer = SimpleSignalWriter({str(tmp_path / "a")!r})
for step in range(1000):
    writer.append(step, step)
writer._recorder._database.flush("os")
os._exit(9)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 9, done.stderr
    assert not (tmp_path / "a").exists()
    with presence.open(tmp_path / "a.partial", read_only=True) as left:
        assert len(left["value"]) == 1000


def test_episodes_and_datasets(tmp_path):
    root = tmp_path / "root"
    for number in range(3):
        with LocalDatasetWriter(root) as writer, writer.new_episode() as episode:
            for step in range(5):
                episode.append("arm/joints", np.full(3, step + number), 100 * step)
                episode.append("gripper", step % 2 == 0, 100 * step + 50)
                episode.append("camera", np.full((4, 5, 3), step, np.uint8), 100 * step + 10)
            episode.set_static("task", "pick")
            episode.set_static("blob", {"raw": b"\x00\xff", "list": [1, 2.5, True]})
            for name, wrong in [
                ("task", "again"),
                ("gripper", 1),
                ("none", None),
                ("set", {1}),
                ("array", np.zeros(2)),
            ]:
                with pytest.raises(ValueError, match=name):
                    episode.set_static(name, wrong)
            with pytest.raises(ValueError, match="Static item"):
                episode.append("task", 1, 1)
        with pytest.raises(RuntimeError):
            episode.append("gripper", True, 10_000)
    local = LocalDataset(root)
    assert len(local) == 3
    episode = local[1]
    assert set(episode) == {"arm/joints", "gripper", "camera", "task", "blob"}
    assert episode["task"] == "pick"
    assert episode["blob"] == {"raw": b"\x00\xff", "list": [1, 2.5, True]}
    assert (episode.start_ts, episode.last_ts, episode.duration_ns) == (50, 450, 400)
    assert episode["camera"].kind is dataset.Kind.IMAGE
    assert episode["camera"][4][0].max() == 4
    frame = episode.time[260]
    assert frame["arm/joints"].tolist() == [3, 3, 3]
    assert (frame["gripper"], frame["task"]) == (True, "pick")
    sampled = episode.time[50:460:100]
    assert list(sampled["gripper"]) == [True, False, True, False, True]
    assert sampled["task"] == "pick"
    assert np.asarray(episode.time[[50, 450]]["arm/joints"]).tolist() == [[1] * 3, [5] * 3]
    with pytest.raises(KeyError, match="step"):
        episode.time[0:100]
    with pytest.raises(KeyError, match="nothing"):
        episode["nothing"]
    meta = episode.meta
    assert meta["schema_version"] == 1
    assert len({each.meta["uid"] for each in local}) == 3
    assert len(local[np.array([0, -1])]) == len(local[1:]) == 2
    with pytest.raises(TypeError):
        local[np.array([True, False, True])]
    assert len(sum([local, local])) == len(local + local) == 6
    assert len(dataset.FilterDataset(local, lambda each: each["arm/joints"][0][0][0] > 0)) == 2


def test_writers_side_by_side_and_what_is_not_finished(tmp_path):
    one, other = LocalDatasetWriter(tmp_path), LocalDatasetWriter(tmp_path)
    first, second = one.new_episode(), other.new_episode()
    assert first.path != second.path
    with pytest.raises(ZeroDivisionError), first:
        first.append("a", 1, 1)
        raise ZeroDivisionError
    assert not first.path.exists()
    second.append("a", 1, 1)
    assert len(LocalDataset(tmp_path)) == 0
    with second:
        pass
    assert len(LocalDataset(tmp_path)) == 1
    with pytest.raises(FileNotFoundError):
        LocalDataset(tmp_path / "nowhere")
