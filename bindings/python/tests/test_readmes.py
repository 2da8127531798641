"""The examples of the READMEs of presence and of positronic's dataset: only the lines that import
are others. Those of evlib are in test_events.py, of dynamic-prefetching-cache in
test_prefetch_readme.py."""

import numpy as np
import pytest


def test_presence(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    from presence import PresenceTracker

    # Create a new tracker (default 30 FPS)
    tracker = PresenceTracker()

    # Track some detections
    detections = [(0, 0.9)]  # (class_id, confidence)
    frame_time = 33_333  # microseconds (about 30 FPS)

    # Update multiple frames
    for i in range(1, 10):
        t = frame_time * i
        tracker.update_batch(t, detections, confidence_threshold=0.5)

    # Query all presence timestamps
    timestamps = tracker.list_presence_timestamps(
        class_id=0,
        start_time=0,
        end_time=frame_time * 1000
    )

    # Save/load state
    tracker.save_to_file("tracker_state.bin")
    tracker.load_from_file("tracker_state.bin")

    assert timestamps == [frame_time * i for i in range(1, 10)]
    assert tracker.list_presence_timestamps(0, 0, frame_time * 1000) == timestamps


def test_positronic_streams(tmp_path):
    """Its first README has declarations instead of examples: what their comments say."""
    from presence.dataset import SimpleStream, SimpleStreamWriter, Stream, StreamWriter

    filepath = tmp_path / "stream.parquet"
    writer: StreamWriter[float] = SimpleStreamWriter(filepath)
    for ts in range(10, 60, 10):
        # Appends data. Fails if `ts` is not increasing or the data is not compliant
        writer.append(ts / 10, ts)
    for data, ts in ((1.0, 50), ("text", 60), (1, 60)):
        with pytest.raises(ValueError):
            writer.append(data, ts)
    # Finalises the writing. All following `append` calls will fail
    writer.finish()
    with pytest.raises(RuntimeError):
        writer.append(1.0, 60)

    stream: Stream[float] = SimpleStream(filepath)
    # Returns the value and timestamp of the closest record at or before the given timestamp, or
    # None if not found
    assert stream.at(25) == (2.0, 20)
    assert stream.at(9) is None
    # All the records in [start_ts, end_ts]
    values, timestamps = stream.window(20, 40)
    assert (list(values), list(timestamps)) == ([2.0, 3.0, 4.0], [20, 30, 40])


def test_positronic_signals(tmp_path):
    """As above, of its later README."""
    from presence.dataset import SimpleSignal, SimpleSignalWriter

    filepath = tmp_path / "signal.parquet"
    with SimpleSignalWriter(filepath) as signal_writer:
        for ts_ns in range(1_000, 6_000, 1_000):
            signal_writer.append(np.array([ts_ns, 0.5]), ts_ns)
    signal = SimpleSignal(filepath)

    def both(view):
        return [(value[0], ts) for value, ts in view]

    # signal[idx] returns (value, timestamp_ns) tuple; negative indices supported
    assert (signal[0][0].tolist(), signal[0][1]) == ([1_000, 0.5], 1_000)
    assert signal[-1][1] == 5_000
    # signal[a:b:s] -> Signal view; signal[[i1, i2, ...]] -> Signal view
    assert both(signal[1:5:2]) == [(2_000, 2_000), (4_000, 4_000)]
    assert both(signal[[3, 0]]) == [(4_000, 4_000), (1_000, 1_000)]
    # signal.time[ts] -> (value_at_or_before_ts, ts_at_or_before) or KeyError if ts < first
    assert signal.time[2_500][1] == 2_000
    with pytest.raises(KeyError):
        signal.time[999]
    # signal.time[start:stop] -> a carried-back sample is injected at exactly `start`
    assert both(signal.time[1_500:3_500]) == [(1_000, 1_500), (2_000, 2_000), (3_000, 3_000)]
    # signal.time[start:stop:step] -> sampled at t_i = start + i*step (end-exclusive)
    assert both(signal.time[1_500:4_000:1_000]) == [(1_000, 1_500), (2_000, 2_500), (3_000, 3_500)]
    # signal.time[[t1, t2, ...]] -> sampled at provided timestamps
    assert both(signal.time[[5_500, 1_000]]) == [(5_000, 5_500), (1_000, 1_000)]
    assert len(signal.time[[]]) == 0
    assert (signal.dtype, signal.shape) == (np.float64, (2,))


def test_positronic_datasets(tmp_path):
    from presence.dataset import LocalDataset, LocalDatasetWriter

    dataset_writer, ts_ns = LocalDatasetWriter(tmp_path), 1_000

    with dataset_writer.new_episode() as ew:
        ew.set_static("task", "pick_place")
        ew.set_static("id", 123)
        ew.append("state", np.array([0.5, 0.25]), ts_ns)

    ds = LocalDataset(tmp_path)
    ep = ds[0]
    assert len(ds) == len(ds[0:1]) == len(ds[[0]]) == 1
    assert set(ep.keys()) == {"task", "id", "state"}
    assert (ep["task"], ep["id"]) == ("pick_place", 123)
    # ep.time[ts] -> dict merging static items with sampled values from each `Signal`
    at = ep.time[ts_ns]
    assert (at["task"], at["state"].tolist()) == ("pick_place", [0.5, 0.25])
    with pytest.raises(KeyError):
        ep.time[ts_ns : ts_ns + 5]
    assert len(ep.time[ts_ns : ts_ns + 5 : 1]["state"]) == 5
    assert len(ep.meta["uid"]) == 32
