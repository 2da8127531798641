"""Beside dynamic-prefetching-cache as it is installed: equal, but for what is listed as mended."""

import random
from pathlib import Path

import pytest

peer = pytest.importorskip("dynamic_prefetching_cache", reason="the peer is not installed")

from dynamic_prefetching_cache import types as peer_types  # noqa: E402
from presence import prefetch  # noqa: E402

MOT = Path(__file__).parents[4] / ".." / "shared" / "data"


def histories(seed):
    """Ways through keys: forward, back, by jumps, anywhere."""
    chance = random.Random(seed)
    for _ in range(300):
        current = chance.choice([0, 1, 2, 5, 50, 997, 999])
        history = [chance.randrange(1000) for _ in range(chance.randrange(4))]
        if chance.random() < 0.5:
            history = list(range(max(0, current - 3), current))
        yield current, [*history, current]


PREDICTORS = [
    ("DistanceDecayPredictor", {}),
    ("DistanceDecayPredictor", {"max_span": 3, "decay": 0.7}),
    ("DynamicDistanceDecayPredictor", {}),
    ("DynamicDistanceDecayPredictor", {"forward_bias": 0.5, "max_span": 7}),
    ("DynamicDataPredictor", {"possible_jumps": [-15, -5, -1, 1, 5, 15, 30]}),
    ("DynamicDataPredictor", {"possible_jumps": [7, 9], "proximity_range": 1, "length": 1000}),
    ("DynamicDataPredictor", {"possible_jumps": [], "history_boost": 9.0, "max_span": 4}),
]


@pytest.mark.parametrize(("name", "arguments"), PREDICTORS)
def test_predictors_say_the_same(name, arguments):
    ours, theirs = getattr(prefetch, name)(**arguments), getattr(peer, name)(**arguments)
    for current, history in histories(seed=1):
        expected = theirs.get_likelihoods(current, history)
        assert ours.get_likelihoods(current, history) == pytest.approx(expected, rel=1e-12), (
            current,
            history,
        )


@pytest.mark.parametrize("name", ["Oldest", "Largest", "Smallest"])
def test_policies_pick_the_same(name):
    ours = getattr(prefetch, f"EvictionPolicy{name}")()
    theirs = getattr(peer, f"EvictionPolicy{name}")()
    chance = random.Random(2)
    for _ in range(200):
        held = {
            chance.randrange(100): (bytes(chance.randrange(50)), chance.random() + 0.1)
            for _ in range(chance.randrange(1, 20))
        }
        assert ours.pick_victim(
            {key: prefetch.CacheEntry(*of) for key, of in held.items()}, {}
        ) == theirs.pick_victim({key: peer_types.CacheEntry(*of) for key, of in held.items()}, {})


class Source:
    """Fails for each seventh key."""

    def load(self, key):
        if key % 7 == 3:
            raise LookupError(key)
        return key * 3

    def get_available_frames(self):
        return set(range(200))


def test_caches_answer_the_same():
    def ask(cache, key):
        try:
            return cache.get(key)
        except LookupError as error:
            return repr(error)

    chance = random.Random(3)
    keys = [chance.randrange(200) for _ in range(400)] + list(range(100))
    predictor = {"possible_jumps": [-5, 5]}
    with (
        peer.DynamicPrefetchingCache(
            Source(), peer.DynamicDataPredictor(**predictor), max_keys_cached=40
        ) as theirs,
        prefetch.DynamicPrefetchingCache(
            Source(), prefetch.DynamicDataPredictor(**predictor), max_keys_cached=40
        ) as ours,
    ):
        assert [ask(ours, key) for key in keys] == [ask(theirs, key) for key in keys]
        assert ours.current_key == theirs.current_key
        assert list(ours.history) == list(theirs.history)
        mine, its = ours.stats(), theirs.stats()
        assert set(its) <= set(mine)
        assert mine["hits"] + mine["misses"] == its["hits"] + its["misses"] == len(keys)


def recordings():
    real = sorted(MOT.glob("JonathonLuiten+TrackEval/*_gt.txt"))
    return real or [pytest.param(None, marks=pytest.mark.skip("no recordings are here"))]


@pytest.mark.parametrize("path", recordings(), ids=lambda path: path.name if path else "none")
def test_real_recordings_hold_the_same(path):
    ours, theirs = prefetch.MOTDataProvider(path), peer.MOTDataProvider(str(path))
    assert ours.get_available_frames() == theirs.get_available_frames()
    assert ours.get_total_frames() == theirs.get_total_frames() > 0
    found = 0
    frames = sorted(theirs.get_available_frames())
    for frame in [*frames[:: max(1, len(frames) // 200)], 0, -1, 10**6]:
        mine, its = ours.load(frame), theirs.load(frame)
        assert mine.frame_number == its.frame_number
        assert [vars(one) for one in mine.detections] == [vars(one) for one in its.detections]
        found += len(its.detections)
    assert found > 1000
    mine, its = ours.get_stats(), theirs.get_stats()
    assert set(its) <= set(mine)
    assert mine["total_indexed_lines"] == its["total_indexed_lines"]
    theirs.close()
