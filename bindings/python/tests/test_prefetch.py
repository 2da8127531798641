"""The prefetching cache under the names that many know."""

import gc
import subprocess
import sys
import threading
import time
import weakref

import pytest
from presence import PresenceError, PresenceTracker
from presence.prefetch import (
    CacheEntry,
    CacheMetrics,
    DistanceDecayPredictor,
    DynamicDataPredictor,
    DynamicDistanceDecayPredictor,
    DynamicPrefetchingCache,
    EvictionPolicyLargest,
    EvictionPolicySmallest,
    MOTDataProvider,
    MOTDetection,
    PrefetchTask,
)


class Tens:
    """Ten times the key, and who asked."""

    def __init__(self, frames=()):
        self.frames = set(frames)
        self.loads = []

    def load(self, key):
        self.loads.append(key)
        if key == 13:
            raise LookupError("no thirteen")
        return [key * 10]

    def get_available_frames(self):
        return self.frames

    def get_total_frames(self):
        return len(self.frames)

    def get_stats(self):
        return {}


class Silent:
    def get_likelihoods(self, current, history):
        return {}


def test_values_are_the_providers_and_hits_are_counted():
    provider = Tens()
    with DynamicPrefetchingCache(provider, Silent()) as cache:
        first = cache.get(1)
        assert first == [10]
        assert cache.get(1) is first
        assert cache.get_many([3, 1, 2]) == [[30], [10], [20]]
        stats = cache.stats()
        assert (stats["hits"], stats["misses"], stats["cache_keys"]) == (2, 3, 3)
        assert cache.metrics == CacheMetrics(2, 3, 0, 0)
        assert list(cache.history) == [1, 3, 1, 2]
        assert cache.current_key == 2
        assert cache.cache[3].data == [30]
        assert isinstance(cache.cache[3], CacheEntry)
        cache.invalidate(1)
        assert cache.get(1) is not first
    assert cache.get(50) == [500], "closed, it loads still"
    cache.close()


def test_what_is_likely_is_there_before_it_is_asked_for():
    provider = Tens(range(20))
    with DynamicPrefetchingCache(provider, DynamicDistanceDecayPredictor()) as cache:
        for key in range(20):
            if key != 13:
                cache.get(key)
            cache.wait_idle()
        stats = cache.stats()
        assert stats["hits"] == 18
        assert sorted(provider.loads) == list(range(20)), "twice, or what is not there"
        assert stats["prefetch_errors"] == 1
        with pytest.raises(LookupError, match="no thirteen"):
            cache.get(13)
        assert cache.work_queue.qsize() == 0
        assert cache.queued_keys == set()


def test_exceptions_are_passed_on():
    class Angry:
        def get_likelihoods(self, current, history):
            raise ZeroDivisionError(f"at {current} after {history}")

    heard = []
    cache = DynamicPrefetchingCache(
        Tens(), Angry(), on_event=lambda name, **kwargs: heard.append((name, kwargs))
    )
    with pytest.raises(LookupError) as told:
        cache.get(13)
    assert told.traceback[-1].name == "load"
    cache.wait_idle()
    with pytest.raises(ZeroDivisionError, match=r"at 13 after \[13\]"):
        cache.get(1)
    assert ("worker_error", {"error": "at 13 after [13]"}) in heard
    assert ("cache_load_error", {"key": 13, "error": "no thirteen"}) in heard
    cache.close()
    with pytest.raises(TypeError):
        cache.get("one")
    with pytest.raises(AttributeError):
        DynamicPrefetchingCache(object(), Silent())


def test_policies_written_in_python():
    asked = []

    class Newest:
        def pick_victim(self, cache_contents, scores):
            asked.append((dict(cache_contents), dict(scores)))
            return max(cache_contents, key=lambda key: cache_contents[key].timestamp)

    cache = DynamicPrefetchingCache(Tens(), Silent(), 3, eviction_policy=Newest, workers=0)
    for key in (1, 2, 3, 4, 5):
        cache.get(key)
    assert list(cache.cache) == [1, 2, 5]
    assert {key: entry.data for key, entry in asked[0][0].items()} == {1: [10], 2: [20], 3: [30]}
    assert asked[0][1] == {1: 0.0, 2: 0.0, 3: 0.0}
    assert cache.stats()["evictions"] == 2

    class Wrong:
        def pick_victim(self, cache_contents, scores):
            raise RuntimeError("I will not")

    cache = DynamicPrefetchingCache(Tens(), Silent(), 3, eviction_policy=Wrong, workers=0)
    for key in (1, 2, 3):
        cache.get(key)
    with pytest.raises(RuntimeError, match="I will not"):
        cache.get(4)
    assert list(cache.cache) == [2, 3, 4], "the oldest goes"


def test_a_policy_cannot_ask_the_cache():
    class Asking:
        def pick_victim(self, cache_contents, scores):
            return cache.get(99)

    cache = DynamicPrefetchingCache(Tens(), Silent(), 2, eviction_policy=Asking(), workers=0)
    cache.get_many([1, 2, 3])
    with pytest.raises(PresenceError, match="under the cache's lock") as told:
        cache.get_many([4, 5, 6])
    assert isinstance(told.value, RuntimeError)


@pytest.mark.parametrize(
    ("policy", "left"), [(EvictionPolicyLargest, [1, 2, 9]), (EvictionPolicySmallest, [3, 4, 9])]
)
def test_policies_by_size(policy, left):
    class Sized(Tens):
        def load(self, key):
            return bytes(100 * key if key < 9 else 250)

    cache = DynamicPrefetchingCache(
        Sized(), Silent(), max_keys_cached=3, eviction_policy=policy, workers=0
    )
    for key in (1, 2, 3, 4, 9) if policy is EvictionPolicySmallest else (4, 3, 1, 2, 9):
        cache.get(key)
    assert sorted(cache.cache) == left


def test_limits():
    cache = DynamicPrefetchingCache(Tens(), Silent(), max_keys_cached=0)
    assert [cache.get(1), cache.get(1)] == [[10], [10]]
    assert cache.stats()["cache_keys"] == 0
    size = sys.getsizeof([10])
    cache = DynamicPrefetchingCache(Tens(), Silent(), max_bytes=2 * size, workers=0)
    cache.get_many([1, 2, 3])
    assert cache.stats()["bytes"] == 2 * size
    for name in ("max_keys", "max_number_of_keys_in_cache"):
        assert DynamicPrefetchingCache(Tens(), Silent(), **{name: 7}).max_keys_cached == 7
    with pytest.raises(TypeError, match="names of one argument"):
        DynamicPrefetchingCache(Tens(), Silent(), 5, max_keys=5)
    with pytest.raises(ValueError, match="prefetch_delay_ms"):
        DynamicPrefetchingCache(Tens(), Silent(), prefetch_delay_ms=-1)


def test_one_load_for_many_readers():
    gate = threading.Event()

    class Slow(Tens):
        def load(self, key):
            gate.wait()
            return super().load(key)

    provider = Slow()
    cache = DynamicPrefetchingCache(provider, Silent())
    readers = [threading.Thread(target=cache.get, args=(5,)) for _ in range(8)]
    for reader in readers:
        reader.start()
    while cache.stats()["misses"] < 8:
        time.sleep(0.001)
    cache.close()  # does not wait for the provider
    gate.set()
    for reader in readers:
        reader.join()
    assert provider.loads == [5]


def test_events_may_call_the_cache_and_raise():
    heard = []

    def listen(name, **kwargs):
        heard.append((name, kwargs.get("key")))
        cache.stats()
        if name == "cache_evict":
            cache.get(77)
        raise ValueError("ignored")

    cache = DynamicPrefetchingCache(Tens(), Silent(), 2, workers=0, on_event=listen)
    for key in (1, 2, 3):
        cache.get(key)
    assert heard[:2] == [("cache_load_start", 1), ("cache_load_complete", 1)]
    assert ("cache_evict", 1) in heard


def test_readers_and_statistics_side_by_side():
    cache = DynamicPrefetchingCache(Tens(), DistanceDecayPredictor(max_span=4), 50)
    wrong = []

    def read(start):
        for step in range(1000):
            key = (start + step * 3) % 200
            if key != 13 and cache.get(key) != [key * 10]:
                wrong.append(key)

    readers = [threading.Thread(target=read, args=(start,)) for start in range(4)]
    for reader in readers:
        reader.start()
    while any(reader.is_alive() for reader in readers):
        assert cache.stats()["cache_keys"] <= 50
    assert wrong == []
    cache.close()


def test_a_delay_ends_when_a_reader_waits():
    provider = Tens(range(10))
    cache = DynamicPrefetchingCache(
        provider, DynamicDistanceDecayPredictor(), prefetch_delay_ms=3_600_000
    )
    for key in (0, 1, 2, 3):
        assert cache.get(key) == [key * 10]
    cache.close()
    cache.wait_idle()


def test_predictors_of_ones_own():
    seen = []

    class Next(DynamicDataPredictor):
        def get_likelihoods(self, current, history):
            seen.append((current, list(history)))
            return {current + 1: 1.0, current + 2: 0.0, current - 1: -1.0}

    provider = Tens()
    with DynamicPrefetchingCache(provider, Next([1]), history_size=2) as cache:
        for key in (1, 5, 9):
            cache.get(key)
            cache.wait_idle()
    assert seen == [(1, [1]), (5, [1, 5]), (9, [5, 9])]
    assert sorted(provider.loads) == [1, 2, 5, 6, 9, 10]
    assert PrefetchTask(-2.0, 1) < PrefetchTask(-1.0, 0)
    with pytest.raises(AttributeError):
        DynamicDataPredictor([1]).max_span = 3


def test_a_cache_goes_with_its_last_name():
    provider = Tens()
    gone = weakref.ref(provider)
    cache = DynamicPrefetchingCache(provider, DynamicDistanceDecayPredictor())
    cache.get(1)
    cache.wait_idle()
    del cache, provider
    gc.collect()
    # The last worker may have been the one to let go: what it held goes with any call.
    for _ in range(1000):
        PresenceTracker()
        if gone() is None:
            break
        time.sleep(0.01)
    assert gone() is None


def test_the_interpreter_ends_beside_a_busy_cache():
    program = """
import time
from presence.prefetch import DynamicPrefetchingCache, DistanceDecayPredictor
class Slow:
    def load(self, key):
        time.sleep(0.02)
        return key
cache = DynamicPrefetchingCache(Slow(), DistanceDecayPredictor())
cache.get(1)
print("done")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr


def test_mot_files_of_all_kinds(tmp_path):
    path = tmp_path / "mot.txt"
    lines = [
        b"1,7,1.5,2,3,4,0.5,1,0.25",
        b"  2,8,1,2,3,4,1,2,1  ",
        b"1,9,1,2,3,4,1,-1,-1,-1",
        b"",
        b"x,9,1,2,3,4,1,1,1",
        b"2,9,1,2,3,4",
        b"3,9,1,2,3,4,\xff,1,1",
        b"1,10,1,2,3,4,1,1,1",
    ]
    path.write_bytes(b"\r\n".join(lines))
    provider = MOTDataProvider(path)
    first = provider.load(1)
    assert first.frame_number == 1
    assert first.detections[0] == MOTDetection(1, 7, 1.5, 2.0, 3.0, 4.0, 0.5, 1, 0.25)
    assert [(found.track_id, found.class_id) for found in first.detections] == [
        (7, 1),
        (9, -1),
        (10, 1),
    ]
    assert [found.track_id for found in provider.load(2).detections] == [8]
    assert provider.load(4).detections == []
    assert provider.get_available_frames() == {1, 2, 3}
    stats = provider.get_stats()
    assert (stats["total_frames"], stats["total_indexed_lines"]) == (3, 6)
    provider.close()
    assert list(provider.load_batch([2, 1])) == [2, 1], "it opens again"
    with pytest.raises(FileNotFoundError, match="nowhere"):
        MOTDataProvider(str(tmp_path / "nowhere"))
    small = MOTDataProvider(path, cache_size=1)
    assert small.load(1) is small.load(1)
    small.load(2)
    assert small.get_stats()["cache_hits"] == 1
    assert small.get_stats()["cache_size"] == 1
