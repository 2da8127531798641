"""The tracker under the names that many know."""

import math
import runpy
from pathlib import Path

import presence
import pytest
from presence import PresenceTracker

FRAME = 33_333


def test_the_readme_prints_the_frames(capsys):
    runpy.run_path(str(Path(__file__).parent.parent / "examples" / "readme.py"))
    assert capsys.readouterr().out == "Presence timestamps: [2, 4, 6, 8]\n"


def test_both_ends_are_in_and_the_threshold_is_kept():
    tracker = PresenceTracker()
    tracker.update_batch(current_time=0, detections=[(7, 0.5)], confidence_threshold=0.5)
    tracker.update_batch(3 * FRAME, [(7, 0.49), (8, 1.0)], 0.5)
    tracker.update_batch(2 * FRAME, [(7, 0.9)], 0.5)  # late
    assert tracker.list_presence_timestamps(7, 0, 2 * FRAME) == [0, 2 * FRAME]
    assert tracker.list_presence_timestamps(7, 0, 2 * FRAME - 1) == [0]
    assert tracker.list_presence_timestamps(9, 0, 10**9) == []
    assert tracker.query_presence(class_id=7, start_time=0, end_time=2**63) == pytest.approx(2 / 3)
    assert tracker.query_presence(9, 0, 1) == 0.0


def test_a_long_stretch_is_all_there():
    tracker = PresenceTracker()
    for frame in range(256):
        tracker.update_batch(frame * FRAME, [(1, 1.0)], 0.5)
    assert tracker.query_presence(1, 0, 128 * FRAME - 1) == 1.0
    assert len(tracker.list_presence_timestamps(1, 0, 10**9)) == 256


def test_wrong_calls_are_the_errors_one_would_catch():
    tracker = PresenceTracker()
    with pytest.raises(ValueError, match="InvalidTimeRange"):
        tracker.query_presence(1, 5, 5)
    with pytest.raises(OverflowError):
        tracker.update_batch(-1, [], 0.5)
    with pytest.raises(OverflowError):
        tracker.update_batch(0, [(65_536, 0.5)], 0.5)
    with pytest.raises(TypeError):
        tracker.update_batch(0.5, [], 0.5)
    for threshold in (1.5, -0.1, math.nan):
        with pytest.raises(presence.PresenceError) as told:
            tracker.update_batch(0, [(1, 0.5)], threshold)
        assert isinstance(told.value, ValueError)
    with pytest.raises(ValueError, match="not a number"):
        tracker.update_batch(0, [(1, 0.9), (2, math.nan)], 0.5)
    assert tracker.list_presence_timestamps(1, 0, 100) == [], "half of a batch was kept"


def test_saved_and_loaded(tmp_path):
    tracker = PresenceTracker(fps=25)
    for frame in range(0, 1_000, 3):
        tracker.update_batch(frame * 40_000, [(1, 1.0)], 0.5)
    path = tmp_path / "saved.presence"
    tracker.save_to_file(path)
    other = PresenceTracker()
    other.load_from_file(str(path))
    want = list(range(0, 40_000_000, 120_000))
    assert other.list_presence_timestamps(1, 0, 10**9) == want
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(OSError, match="saved.presence") as told:
        other.load_from_file(path)
    assert isinstance(told.value, presence.PresenceError)
    assert told.value.file is not None
    with pytest.raises(OSError):
        other.load_from_file(tmp_path / "nowhere")
    assert other.list_presence_timestamps(1, 0, 10**9) == want, "a failed load changed something"


def test_forgetting():
    tracker = PresenceTracker()
    for frame in range(10):
        tracker.update_batch(frame * FRAME, [(1, 1.0)], 0.5)
    tracker.cleanup_old_data(4 * FRAME)
    assert tracker.list_presence_timestamps(1, 0, 10**9) == [f * FRAME for f in range(4, 10)]
