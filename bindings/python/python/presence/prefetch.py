"""Values that are there before they are asked for, under the names that many know.

The names, arguments and results are those of ``dynamic-prefetching-cache``: change the import, and
a program runs on the engine's cache.

>>> from presence.prefetch import DynamicDataPredictor, DynamicPrefetchingCache
>>> class Squares:
...     def load(self, key):
...         return key * key
>>> predictor = DynamicDataPredictor(possible_jumps=[-5, 5])
>>> with DynamicPrefetchingCache(Squares(), predictor, max_keys_cached=64) as cache:
...     [cache.get(key) for key in range(5)]
[0, 1, 4, 9, 16]

What was wrong there and is not here:

- Several readers of one key cause one load, and a prefetch never loads what is there or on its way.
- The predictor runs beside the readers, not in ``get``; a hit does not wait for it. What it raises
  is raised by a ``get`` afterwards, once; so is what an eviction policy raises.
- The key that was asked for last is not evicted, nor is anything for want of a prediction while
  less likely values are there.
- What is not likely any more is taken from the queue. Keys of no likelihood, and keys that
  ``get_available_frames`` does not name, are not fetched ahead. No more is fetched ahead than half
  of what the cache holds.
- ``stats`` beside ``get`` does not deadlock. ``on_event`` may call the cache: it is called outside
  every lock (what it causes itself is not told to it).
- ``close`` returns at once, whatever a provider is waiting for; the end of the interpreter waits
  for loads that are under way.
- ``max_keys`` and ``max_number_of_keys_in_cache``, which its README speaks of, are names of
  ``max_keys_cached``.
- A prefetch that failed is tried again by who asks for the key.
- Predictors clip keys below 0 and at ``length`` backwards, too.
- ``MOTDataProvider`` reads lines of ten fields (their class is -1 and their visibility nan), lines
  that end in CR LF, and may be asked by several threads.

``workers`` threads (4, not 1) fetch ahead; ``max_bytes`` limits the sum of ``sys.getsizeof``.
``cache``, ``queued_keys``, ``work_queue`` and ``metrics`` are copies of how it is when they are
asked for.
"""

from __future__ import annotations

import atexit
import logging
import os
import queue
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from . import _native
from ._native import (
    DistanceDecayPredictor,
    DynamicDataPredictor,
    DynamicDistanceDecayPredictor,
)

logger = logging.getLogger("DynamicPrefetchingCache")


class DataProvider(Protocol):
    """Loads records by key. Asked by several threads at once.

    >>> from presence.prefetch import DistanceDecayPredictor, DynamicPrefetchingCache
    >>> class Lines:
    ...     lines = ["zero", "one", "two"]
    ...     def load(self, key):
    ...         return self.lines[key]
    ...     def get_available_frames(self):
    ...         return {0, 1, 2}
    >>> with DynamicPrefetchingCache(Lines(), DistanceDecayPredictor()) as cache:
    ...     cache.get(1)
    'one'
    """

    def load(self, key: int) -> Any:
        """The record of ``key``; may take its time, and may raise."""

    def get_available_frames(self) -> set[int]:
        """The keys there are; all may be, where it is empty."""

    def get_total_frames(self) -> int:
        """How many keys there are."""

    def get_stats(self) -> dict[str, Any]:
        """What the provider counts."""


class AccessPredictor(Protocol):
    """Says what is asked for next.

    >>> from presence.prefetch import DynamicPrefetchingCache
    >>> class Next:
    ...     def get_likelihoods(self, current, history):
    ...         return {current + 1: 1.0}
    >>> class Squares:
    ...     def load(self, key):
    ...         return key * key
    >>> with DynamicPrefetchingCache(Squares(), Next()) as cache:
    ...     [cache.get(key) for key in (1, 2, 3)]
    [1, 4, 9]
    """

    def get_likelihoods(self, current: int, history: Sequence[int]) -> dict[int, float]:
        """The likely keys, each with a number that is compared with the others'."""


class EvictionPolicy(Protocol):
    """Says what goes for want of room, among what is equally likely.

    >>> from presence.prefetch import DistanceDecayPredictor, DynamicPrefetchingCache
    >>> class Highest:
    ...     def pick_victim(self, cache_contents, scores):
    ...         return max(cache_contents)
    >>> class Squares:
    ...     def load(self, key):
    ...         return key * key
    >>> with DynamicPrefetchingCache(Squares(), DistanceDecayPredictor(), 10, Highest) as cache:
    ...     cache.get(9)
    81
    """

    def pick_victim(
        self, cache_contents: Mapping[int, CacheEntry], scores: Mapping[int, float]
    ) -> int:
        """A key of ``cache_contents``. It cannot ask the cache: it runs under its lock."""


class EventCallback(Protocol):
    """Is told what happens.

    ``cache_load_start``, ``cache_load_complete``, ``cache_load_error``, ``prefetch_start``,
    ``prefetch_success``, ``prefetch_error`` and ``cache_evict`` have a ``key``; those that end in
    ``error``, and ``worker_error``, have an ``error`` in words.

    >>> from presence.prefetch import DistanceDecayPredictor, DynamicPrefetchingCache
    >>> told = []
    >>> class Squares:
    ...     def load(self, key):
    ...         return key * key
    >>> predictor = DistanceDecayPredictor()
    >>> def listen(event_name, **about):
    ...     told.append((event_name, about["key"]))
    >>> options = {"max_keys_prefetched": 0, "on_event": listen}
    >>> cache = DynamicPrefetchingCache(Squares(), predictor, **options)
    >>> cache.get(3)
    9
    >>> cache.close()
    >>> told
    [('cache_load_start', 3), ('cache_load_complete', 3)]
    """

    def __call__(self, event_name: str, **kwargs: Any) -> None: ...


@dataclass
class CacheEntry:
    """A value in the cache, and when it came (``time.monotonic()``).

    >>> from presence.prefetch import DistanceDecayPredictor, DynamicPrefetchingCache
    >>> class Squares:
    ...     def load(self, key):
    ...         return key * key
    >>> predictor = DistanceDecayPredictor()
    >>> cache = DynamicPrefetchingCache(Squares(), predictor, max_keys_prefetched=0)
    >>> cache.get(4)
    16
    >>> cache.cache[4].data
    16
    """

    data: Any
    timestamp: float

    def __post_init__(self) -> None:
        if self.timestamp == 0:
            self.timestamp = time.time()


@dataclass
class CacheMetrics:
    """What a cache counts.

    >>> from presence.prefetch import DistanceDecayPredictor, DynamicPrefetchingCache
    >>> class Squares:
    ...     def load(self, key):
    ...         return key * key
    >>> predictor = DistanceDecayPredictor()
    >>> cache = DynamicPrefetchingCache(Squares(), predictor, max_keys_prefetched=0)
    >>> [cache.get(key) for key in (4, 4, 5)]
    [16, 16, 25]
    >>> cache.metrics
    CacheMetrics(hits=1, misses=2, evictions=0, prefetch_errors=0)
    """

    hits: int = 0
    misses: int = 0
    evictions: int = 0
    prefetch_errors: int = 0


@dataclass
class PrefetchTask:
    """A key that waits to be fetched ahead; ``priority`` is its likelihood, negative.

    >>> from presence.prefetch import PrefetchTask
    >>> min(PrefetchTask(-0.5, 7), PrefetchTask(-0.9, 8))
    PrefetchTask(priority=-0.9, key=8)
    """

    priority: float
    key: int

    def __lt__(self, other: PrefetchTask) -> bool:
        return self.priority < other.priority


class EvictionPolicyOldest:
    """The value that came in first goes first.

    >>> from presence.prefetch import CacheEntry, EvictionPolicyOldest
    >>> contents = {1: CacheEntry("longer", 10.0), 2: CacheEntry("short", 20.0)}
    >>> EvictionPolicyOldest().pick_victim(contents, {1: 0.0, 2: 0.0})
    1
    """

    _native_name = "oldest"

    def pick_victim(
        self, cache_contents: Mapping[int, CacheEntry], scores: Mapping[int, float]
    ) -> int:
        return min(cache_contents, key=lambda key: cache_contents[key].timestamp)


class EvictionPolicyLargest:
    """The value of the largest ``sys.getsizeof`` goes first.

    >>> from presence.prefetch import CacheEntry, EvictionPolicyLargest
    >>> contents = {1: CacheEntry("longer", 10.0), 2: CacheEntry("short", 20.0)}
    >>> EvictionPolicyLargest().pick_victim(contents, {1: 0.0, 2: 0.0})
    1
    """

    _native_name = "largest"

    def pick_victim(
        self, cache_contents: Mapping[int, CacheEntry], scores: Mapping[int, float]
    ) -> int:
        return max(cache_contents, key=lambda key: sys.getsizeof(cache_contents[key].data))


class EvictionPolicySmallest:
    """The value of the smallest ``sys.getsizeof`` goes first.

    >>> from presence.prefetch import CacheEntry, EvictionPolicySmallest
    >>> contents = {1: CacheEntry("longer", 10.0), 2: CacheEntry("short", 20.0)}
    >>> EvictionPolicySmallest().pick_victim(contents, {1: 0.0, 2: 0.0})
    2
    """

    _native_name = "smallest"

    def pick_victim(
        self, cache_contents: Mapping[int, CacheEntry], scores: Mapping[int, float]
    ) -> int:
        return min(cache_contents, key=lambda key: sys.getsizeof(cache_contents[key].data))


_BUILT_IN_POLICIES = (EvictionPolicyOldest, EvictionPolicyLargest, EvictionPolicySmallest)

# Workers end before the interpreter does, and a forked process has none.
atexit.register(_native._end_prefetching)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_native._forget_prefetching)


def _one_of(default: int, **given: int | None) -> int:
    named = {name: value for name, value in given.items() if value is not None}
    if len(named) > 1:
        raise TypeError(f"{' and '.join(named)} are names of one argument")
    return next(iter(named.values()), default)


def _guarded(on_event: EventCallback) -> EventCallback:
    def tell(event_name: str, **kwargs: Any) -> None:
        try:
            on_event(event_name, **kwargs)
        except Exception as error:
            logger.warning("Error emitting event %s: %s", event_name, error)

    return tell


class DynamicPrefetchingCache(_native.PrefetchCache):
    """Serves values by key, and fetches ahead what the predictor expects.

    ``eviction_policy`` is a class, made without arguments, or an object. ``prefetch_delay_ms`` is
    how long a worker waits before each load, to spare a busy provider; a reader who has to wait
    for anything ends it.

    >>> from presence.prefetch import DistanceDecayPredictor, DynamicPrefetchingCache
    >>> class Squares:
    ...     def load(self, key):
    ...         return key * key
    >>> predictor = DistanceDecayPredictor()
    >>> cache = DynamicPrefetchingCache(Squares(), predictor, max_keys_prefetched=0)
    >>> cache.get(4), cache.get(4), cache.stats()["hits"]
    (16, 16, 1)
    >>> cache.close()
    """

    provider: DataProvider
    predictor: AccessPredictor
    eviction_policy: Any
    max_keys_cached: int
    max_keys_prefetched: int
    on_event: EventCallback | None

    def __new__(
        cls,
        provider: DataProvider,
        predictor: AccessPredictor,
        max_keys_cached: int | None = None,
        eviction_policy: Any = EvictionPolicyOldest,
        history_size: int = 30,
        max_keys_prefetched: int = 20,
        on_event: EventCallback | None = None,
        *,
        max_keys: int | None = None,
        max_number_of_keys_in_cache: int | None = None,
        max_bytes: int | None = None,
        prefetch_delay_ms: float = 0.0,
        workers: int = 4,
    ) -> DynamicPrefetchingCache:
        keys_max = _one_of(
            100,
            max_keys_cached=max_keys_cached,
            max_keys=max_keys,
            max_number_of_keys_in_cache=max_number_of_keys_in_cache,
        )
        policy = eviction_policy() if isinstance(eviction_policy, type) else eviction_policy
        known = type(policy) in _BUILT_IN_POLICIES
        self = super().__new__(
            cls,
            provider=provider,
            predictor=predictor,
            policy=policy._native_name if known else policy,
            entry=CacheEntry,
            keys_max=keys_max,
            bytes_max=max_bytes,
            prefetch_max=max_keys_prefetched,
            history_max=history_size,
            workers=workers,
            delay_ms=prefetch_delay_ms,
            listener=None if on_event is None else _guarded(on_event),
        )
        self.provider = provider
        self.predictor = predictor
        self.eviction_policy = policy
        self.max_keys_cached = keys_max
        self.max_keys_prefetched = max_keys_prefetched
        self.on_event = on_event
        return self

    def shutdown(self) -> None:
        """The same as ``close``.

        >>> from presence.prefetch import DistanceDecayPredictor, DynamicPrefetchingCache
        >>> class Squares:
        ...     def load(self, key):
        ...         return key * key
        >>> predictor = DistanceDecayPredictor()
        >>> cache = DynamicPrefetchingCache(Squares(), predictor, max_keys_prefetched=0)
        >>> cache.shutdown()
        """
        self.close()

    def __enter__(self) -> DynamicPrefetchingCache:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def cache(self) -> dict[int, CacheEntry]:
        """What is in the cache, in the order in which it was loaded.

        >>> from presence.prefetch import DistanceDecayPredictor, DynamicPrefetchingCache
        >>> class Squares:
        ...     def load(self, key):
        ...         return key * key
        >>> predictor = DistanceDecayPredictor()
        >>> cache = DynamicPrefetchingCache(Squares(), predictor, max_keys_prefetched=0)
        >>> cache.get(4), list(cache.cache)
        (16, [4])
        """
        return {key: CacheEntry(data, loaded) for key, data, loaded in self._contents()}

    @property
    def metrics(self) -> CacheMetrics:
        """The numbers of ``stats`` that only grow.

        >>> from presence.prefetch import DistanceDecayPredictor, DynamicPrefetchingCache
        >>> class Squares:
        ...     def load(self, key):
        ...         return key * key
        >>> predictor = DistanceDecayPredictor()
        >>> cache = DynamicPrefetchingCache(Squares(), predictor, max_keys_prefetched=0)
        >>> cache.get(4), cache.metrics.misses
        (16, 1)
        """
        stats = self.stats()
        return CacheMetrics(
            stats["hits"], stats["misses"], stats["evictions"], stats["prefetch_errors"]
        )

    @property
    def queued_keys(self) -> set[int]:
        """The keys that wait to be fetched ahead.

        >>> from presence.prefetch import DistanceDecayPredictor, DynamicPrefetchingCache
        >>> class Squares:
        ...     def load(self, key):
        ...         return key * key
        >>> predictor = DistanceDecayPredictor()
        >>> cache = DynamicPrefetchingCache(Squares(), predictor, max_keys_prefetched=0)
        >>> cache.get(4), cache.queued_keys
        (16, set())
        """
        return {key for key, _ in self._waiting()}

    @property
    def work_queue(self) -> queue.PriorityQueue[PrefetchTask]:
        """What waits to be fetched ahead, the likeliest first.

        >>> from presence.prefetch import DistanceDecayPredictor, DynamicPrefetchingCache
        >>> class Squares:
        ...     def load(self, key):
        ...         return key * key
        >>> predictor = DistanceDecayPredictor()
        >>> cache = DynamicPrefetchingCache(Squares(), predictor, max_keys_prefetched=0)
        >>> cache.get(4), cache.work_queue.qsize()
        (16, 0)
        """
        tasks: queue.PriorityQueue[PrefetchTask] = queue.PriorityQueue()
        for key, likelihood in self._waiting():
            tasks.put(PrefetchTask(-likelihood, key))
        return tasks


@dataclass
class MOTDetection:
    """What was detected of one object in one frame.

    >>> import pathlib, tempfile
    >>> from presence.prefetch import MOTDataProvider
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "gt.txt"
    >>> lines = ["1,7,10,20,30,40,1,1,0.5", "3,7,11,20,30,40,1,1,0.5", "3,8,50,60,5,5,1,2,1"]
    >>> _ = path.write_text("\\n".join(lines))
    >>> provider = MOTDataProvider(path)
    >>> detection = provider.load(1).detections[0]
    >>> detection.track_id, detection.bb_left, detection.confidence
    (7, 10.0, 1.0)
    """

    frame: int
    track_id: int
    bb_left: float
    bb_top: float
    bb_width: float
    bb_height: float
    confidence: float
    class_id: int
    visibility_ratio: float


@dataclass
class MOTFrameData:
    """All detections of a frame, in the order of the file.

    >>> import pathlib, tempfile
    >>> from presence.prefetch import MOTDataProvider
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "gt.txt"
    >>> lines = ["1,7,10,20,30,40,1,1,0.5", "3,7,11,20,30,40,1,1,0.5", "3,8,50,60,5,5,1,2,1"]
    >>> _ = path.write_text("\\n".join(lines))
    >>> provider = MOTDataProvider(path)
    >>> frame = provider.load(3)
    >>> frame.frame_number, [detection.track_id for detection in frame.detections]
    (3, [7, 8])
    """

    frame_number: int
    detections: list[MOTDetection]


class MOTDataProvider:
    """Frames of a MOT challenge file, found by an index of its lines.

    A frame that is not in the file has no detections. With ``cache_size`` so many frames that were
    asked for last are kept; by default none, as a cache is to be in front of it.

    >>> import pathlib, tempfile
    >>> from presence.prefetch import MOTDataProvider
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "gt.txt"
    >>> lines = ["1,7,10,20,30,40,1,1,0.5", "3,7,11,20,30,40,1,1,0.5", "3,8,50,60,5,5,1,2,1"]
    >>> _ = path.write_text("\\n".join(lines))
    >>> provider = MOTDataProvider(path)
    >>> provider.get_total_frames(), [len(provider.load(frame).detections) for frame in (1, 2, 3)]
    (2, [1, 0, 2])
    """

    def __init__(self, data_file: str | os.PathLike[str], cache_size: int = 0) -> None:
        began = time.perf_counter()
        self.data_file = data_file
        self._file = _native.MotFile(data_file)
        self._build_time = time.perf_counter() - began
        self._kept: dict[int, MOTFrameData] = {}
        self._kept_max = cache_size
        self._hits = self._misses = 0
        self._times = {"direct_load": (0, 0.0), "batch_total": (0, 0.0)}

    def _took(self, name: str, began: float) -> None:
        count, total = self._times[name]
        self._times[name] = (count + 1, total + time.perf_counter() - began)

    def load(self, frame_number: int) -> MOTFrameData:
        """The detections of one frame.

        >>> import pathlib, tempfile
        >>> from presence.prefetch import MOTDataProvider
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "gt.txt"
        >>> lines = ["1,7,10,20,30,40,1,1,0.5", "3,7,11,20,30,40,1,1,0.5", "3,8,50,60,5,5,1,2,1"]
        >>> _ = path.write_text("\\n".join(lines))
        >>> provider = MOTDataProvider(path)
        >>> provider.load(1).detections[0].bb_width
        30.0
        """
        kept = self._kept.pop(frame_number, None)
        if kept is not None:
            self._kept[frame_number] = kept
            self._hits += 1
            return kept
        began = time.perf_counter()
        found = [MOTDetection(*fields) for fields in self._file.detections(frame_number)]
        frame = MOTFrameData(frame_number, found)
        self._misses += 1
        self._took("direct_load", began)
        if self._kept_max > 0:
            self._kept[frame_number] = frame
            while len(self._kept) > self._kept_max:
                self._kept.pop(next(iter(self._kept)), None)
        return frame

    def load_batch(self, frame_numbers: Iterable[int]) -> dict[int, MOTFrameData]:
        """The detections of several frames, by their numbers.

        >>> import pathlib, tempfile
        >>> from presence.prefetch import MOTDataProvider
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "gt.txt"
        >>> lines = ["1,7,10,20,30,40,1,1,0.5", "3,7,11,20,30,40,1,1,0.5", "3,8,50,60,5,5,1,2,1"]
        >>> _ = path.write_text("\\n".join(lines))
        >>> provider = MOTDataProvider(path)
        >>> [len(frame.detections) for frame in provider.load_batch([1, 2, 3]).values()]
        [1, 0, 2]
        """
        began = time.perf_counter()
        frames = {number: self.load(number) for number in frame_numbers}
        self._took("batch_total", began)
        return frames

    def get_total_frames(self) -> int:
        """How many frames have lines.

        >>> import pathlib, tempfile
        >>> from presence.prefetch import MOTDataProvider
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "gt.txt"
        >>> lines = ["1,7,10,20,30,40,1,1,0.5", "3,7,11,20,30,40,1,1,0.5", "3,8,50,60,5,5,1,2,1"]
        >>> _ = path.write_text("\\n".join(lines))
        >>> provider = MOTDataProvider(path)
        >>> provider.get_total_frames()
        2
        """
        return self._file.sizes()[0]

    def get_available_frames(self) -> set[int]:
        """The numbers of the frames that have lines.

        >>> import pathlib, tempfile
        >>> from presence.prefetch import MOTDataProvider
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "gt.txt"
        >>> lines = ["1,7,10,20,30,40,1,1,0.5", "3,7,11,20,30,40,1,1,0.5", "3,8,50,60,5,5,1,2,1"]
        >>> _ = path.write_text("\\n".join(lines))
        >>> provider = MOTDataProvider(path)
        >>> provider.get_available_frames()
        {1, 3}
        """
        return set(self._file.frames())

    def get_stats(self) -> dict[str, Any]:
        """Sizes, and mean times in seconds.

        >>> import pathlib, tempfile
        >>> from presence.prefetch import MOTDataProvider
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "gt.txt"
        >>> lines = ["1,7,10,20,30,40,1,1,0.5", "3,7,11,20,30,40,1,1,0.5", "3,8,50,60,5,5,1,2,1"]
        >>> _ = path.write_text("\\n".join(lines))
        >>> provider = MOTDataProvider(path)
        >>> provider.get_stats()["total_indexed_lines"]
        3
        """
        frames, lines, index_bytes = self._file.sizes()
        asked = self._hits + self._misses
        means = {
            f"avg_{name}_time": total / count if count else 0.0
            for name, (count, total) in self._times.items()
        }
        return {
            "total_frames": frames,
            "total_indexed_lines": lines,
            "index_memory_bytes": index_bytes,
            "cache_size": len(self._kept),
            "cache_max_size": self._kept_max,
            "cache_hits": self._hits,
            "cache_misses": self._misses,
            "cache_hit_rate": self._hits / asked if asked else 0.0,
            **means,
            "index_build_time": self._build_time,
        }

    def clear_cache(self) -> None:
        """Forgets the frames that are kept."""
        self._kept.clear()

    def close(self) -> None:
        """Closes the file; who asks for a frame afterwards opens it again."""
        self._file.close()


__all__ = [
    "AccessPredictor",
    "CacheEntry",
    "CacheMetrics",
    "DataProvider",
    "DistanceDecayPredictor",
    "DynamicDataPredictor",
    "DynamicDistanceDecayPredictor",
    "DynamicPrefetchingCache",
    "EventCallback",
    "EvictionPolicy",
    "EvictionPolicyLargest",
    "EvictionPolicyOldest",
    "EvictionPolicySmallest",
    "MOTDataProvider",
    "MOTDetection",
    "MOTFrameData",
    "PrefetchTask",
]
