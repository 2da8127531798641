"""Presence tracks: every question, against sets of ticks."""

import pickle
from fractions import Fraction

import numpy as np
import presence
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

TICK = 100_000  # ten a second


def filled(track, person, car, observed):
    for tick in observed:
        seen = [(1, 1.0)] * (tick in person) + [(2, 1.0)] * (tick in car)
        track.update_batch(tick * TICK, seen, 0.5)


@settings(max_examples=60, deadline=None)
@given(
    st.sets(st.integers(0, 300)),
    st.sets(st.integers(0, 300)),
    st.sets(st.integers(0, 300)),
    st.integers(-5, 305),
    st.integers(0, 200),
)
def test_questions_are_those_of_sets(person, car, others, start, length):
    observed = person | car | others
    track = presence.PresenceTrack(10)
    filled(track, person, car, observed)
    span = range(start, start + length)
    bounds = (start * TICK, (start + length) * TICK)
    for asked, ticks in (
        (1, person),
        ("1 & 2", person & car),
        ("1 | 2", person | car),
        ("1 & !2", person - car),
    ):
        inside = sorted(ticks.intersection(span))
        starts = track.timestamps(asked, *bounds)
        assert starts.dtype == np.int64 and not starts.flags.writeable
        assert (starts // TICK).tolist() == inside
        ratio = track.ratio(asked, *bounds)
        looked = len(observed.intersection(span))
        assert (ratio.present, ratio.observed, ratio.range_ticks) == (len(inside), looked, length)
        assert ratio.over_observed == (len(inside) / looked if looked else None)
        assert track.count(asked, *bounds) == len(inside)
        assert track.any(asked, *bounds) == bool(inside)
        assert track.first(asked, *bounds) == (inside[0] * TICK if inside else None)
        assert track.last(asked, *bounds) == (inside[-1] * TICK if inside else None)
        seen = track.intervals(asked, *bounds)
        covered = [t for one in seen for t in range(one["enter_us"] // TICK, one["leave_us"] // TICK)]
        assert covered == inside
        closed = track.intervals(asked, *bounds, close_gaps="1h")
        assert len(closed) == bool(inside)
        every = track.ratio_every(asked, "1s", *bounds)
        assert every["present"].sum() == len(inside)
        if length:
            tick = span[0]
            want = None if tick not in observed else tick in ticks
            assert track.at(asked, tick * TICK) is want
            after = [t for t in sorted(ticks) if t > tick]
            assert track.next_after(asked, tick * TICK) == (after[0] * TICK if after else None)
            before = [t for t in sorted(ticks) if t < tick]
            assert track.previous_before(asked, tick * TICK) == (before[-1] * TICK if before else None)
    classes, matrix = track.co_occurrence([1, 2], *bounds)
    assert classes.tolist() == [1, 2]
    both = len((person & car).intersection(span))
    sums = [len(person.intersection(span)), len(car.intersection(span))]
    assert matrix.tolist() == [[sums[0], both], [both, sums[1]]]


def test_a_track_in_a_database(tmp_path):
    path = tmp_path / "db"
    with presence.create(path) as db:
        track = db.create_track("cam", "30000/1001", epoch="1s")
        track.update_batch("2s", {"person": 0.9, "car": 0.1}, 0.5)
        track.update_many(np.array([3_000_000, 4_000_000]), np.array([9, 9], "u2"), np.array([0.9, 0.1], "f4"), 0.5)
        track.set_range("car", "10s", "11s")
        track.observe_range("11s", "12s")
        track.unset("car", "10.5s")
        other = presence.PresenceTrack(Fraction(30_000, 1_001), epoch=1_000_000)
        other.set("person", "20s")
        track.merge(other)
    with presence.open(path, read_only=True) as db:
        (name,) = db.tracks
        track = db.track(name)
        assert (track.name, track.rate, track.epoch_us) == ("cam", Fraction(30_000, 1_001), 1_000_000)
        assert set(track.classes.values()) == {"person", "car", None}
        assert track.count("person") == 2 and track.count(9) == 1
        assert len(track.intervals("car")) == 2
        assert len(track.intervals("car", close_gaps="100ms")) == 1
        assert track.all("car", "10.6s", "10.9s") and not track.all("car", "10s", "11s")
        assert track.at("car", "11.5s") is False and track.at("car", "15s") is None
        days = track.ratio_every("car", "day", 0, "24h", zone="Europe/Berlin")
        assert days["present"].sum() == track.count("car")
        assert len(track.to_roaring("car")) > 8
        again = pickle.loads(pickle.dumps(track))
        assert again.count("person") == 2
        with pytest.raises(RuntimeError):
            track.set("person", 0)
        with pytest.raises(KeyError):
            db.track("nothing")
        tick = track.tick_of("2s")
        assert track.start_us(tick) <= 2_000_000 < track.start_us(tick + 1)


def test_wrong_calls():
    track = presence.PresenceTrack(30)
    for wrong in ("person &", "nobody", "(1"):
        with pytest.raises(ValueError):
            track.ratio(wrong)
    with pytest.raises(TypeError):
        presence.PresenceTrack(29.97)
    with pytest.raises(ValueError):
        presence.PresenceTrack(0)
    with pytest.raises(ValueError):
        track.with_edge("middle")
    with pytest.raises(ValueError):
        track.ratio(1, 5, 3)
    with pytest.raises(TypeError):
        pickle.dumps(track)
    with pytest.raises(ValueError):
        track.update_many([1, 2], np.zeros(1, "u2"), np.zeros(2, "f4"))
