"""Episodes as a map-style data set of torch, which is not needed to have one."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from ._native import _span_ns
from ._times import timestamps
from .dataset import Dataset, Episode, LocalDataset, Signal
from .errors import InvalidError

#: Episodes that a process keeps open.
_OPEN_MAX = 32


class EpisodeDataset:
    """Recorded episodes, or windows of them: what a map-style data set is to torch, or to others.

    An item is a dict of what ``names`` names in its episode: of a signal the values in force at
    the item's times, as an array of times times shape, and static values as they are. Moments of
    an episode are those of a signal (``trigger``), at a fixed rate (``every``) from its start, or
    so many at random (``random``, the same for a ``seed``); they lie from where the last of the
    named signals begins to where the last of them ends. Nanoseconds, or any form of a time.

    Without ``offsets``, item ``i`` is episode ``i`` at all of its moments, and there are as many
    items as episodes. With them an item is one moment: its times are ``moment + offset`` for each
    of them, and moments with one that lies outside of their episode are left out.

    Episodes are those below a directory, or of any ``presence.dataset.Dataset``. They are opened
    where they are read: each worker, forked or spawned, opens its own, and keeps the last few.

    >>> import presence, tempfile
    >>> from presence.dataset import LocalDatasetWriter
    >>> root = tempfile.mkdtemp()
    >>> for number in range(2):
    ...     with LocalDatasetWriter(root).new_episode() as episode:
    ...         episode.set_static("task", f"wave {number}")
    ...         for step in range(10):
    ...             episode.append("joints", [step, number], step * 1_000)
    >>> whole = presence.EpisodeDataset(root, ["joints", "task"], every="3us")
    >>> len(whole), whole[1]["task"], whole[1]["joints"].tolist()
    (2, 'wave 1', [[0, 1], [3, 1], [6, 1], [9, 1]])
    >>> windows = presence.EpisodeDataset(root, ["joints"], trigger="joints", offsets=[-1_000, 0])
    >>> len(windows), windows.episode(9), windows[9]["joints"].tolist()
    (18, 1, [[0, 1], [1, 1]])
    """

    def __init__(
        self,
        dataset: Dataset | str | os.PathLike[str],
        names: Sequence[str],
        *,
        trigger: str | None = None,
        every: Any = None,
        random: int | None = None,
        seed: int = 0,
        offsets: Any = None,
    ) -> None:
        self._dataset = dataset if isinstance(dataset, Dataset) else LocalDataset(dataset)
        self._names = list(names)
        self._trigger = trigger
        self._every = None if every is None else _span_ns(every)
        self._random = random
        self._seed = seed
        self._offsets = None if offsets is None else timestamps(offsets, "ns")
        self._open: tuple[int, dict[int, Episode]] = (os.getpid(), {})
        if not self._names:
            raise InvalidError("an item has at least one name")
        if sum(one is not None for one in (trigger, every, random)) != 1:
            raise InvalidError("give one of `trigger`, `every` and `random`")
        if self._every == 0:
            raise InvalidError("`every` is above zero")
        if self._offsets is not None:
            if not len(self._offsets):
                raise InvalidError("an item has at least one offset")
            each = [self._moments_of(number) for number in range(len(self._dataset))]
            self._episodes = np.repeat(np.arange(len(each)), [len(one) for one in each])
            self._moments = np.concatenate([np.zeros(0, np.int64), *each])
            self._open[1].clear()

    def __len__(self) -> int:
        return len(self._dataset if self._offsets is None else self._moments)

    def episode(self, index: int) -> int:
        """The number of the episode that an item is of.

        >>> import presence, tempfile
        >>> from presence.dataset import LocalDatasetWriter
        >>> root = tempfile.mkdtemp()
        >>> with LocalDatasetWriter(root).new_episode() as episode:
        ...     episode.append("level", 0.5, 1_000)
        >>> presence.EpisodeDataset(root, ["level"], trigger="level").episode(-1)
        0
        """
        if self._offsets is not None:
            return int(self._episodes[index])
        return range(len(self._dataset))[index]

    def times(self, index: int) -> np.ndarray:
        """The times that the values of an item are of: int64, nanoseconds.

        >>> import presence, tempfile
        >>> from presence.dataset import LocalDatasetWriter
        >>> root = tempfile.mkdtemp()
        >>> with LocalDatasetWriter(root).new_episode() as episode:
        ...     for step in range(3):
        ...         episode.append("level", 0.5 * step, step * 1_000)
        >>> presence.EpisodeDataset(root, ["level"], every="1us").times(0)
        array([   0, 1000, 2000])
        """
        if self._offsets is None:
            return self._moments_of(self.episode(index))
        return self._moments[index] + self._offsets

    def __getitem__(self, index: int) -> dict[str, Any]:
        episode = self._opened(self.episode(index))
        times = self.times(index)
        named = {name: episode[name] for name in self._names}
        return {
            # torch collates a batch from arrays that it may write to.
            name: np.array(one.time[times].values()) if isinstance(one, Signal) else one
            for name, one in named.items()
        }

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_open": (0, {})}

    def _moments_of(self, number: int) -> np.ndarray:
        episode = self._opened(number)
        signals = [one for one in map(episode.__getitem__, self._names) if isinstance(one, Signal)]
        if not signals:
            raise InvalidError(f"none of {self._names} is a signal")
        low = max(signal.start_ts for signal in signals)
        high = max(signal.last_ts for signal in signals)
        if self._offsets is not None:
            low -= min(0, int(self._offsets.min()))
            high -= max(0, int(self._offsets.max()))
        if self._trigger is not None:
            stamps = np.asarray(episode[self._trigger].keys())
            return stamps[(stamps >= low) & (stamps <= high)]
        if self._every is not None:
            return np.arange(low, high + 1, self._every)
        if low > high:
            return np.zeros(0, np.int64)
        chance = np.random.default_rng([self._seed, number])
        return np.sort(chance.integers(low, high, self._random, endpoint=True))

    def _opened(self, number: int) -> Episode:
        # A forked process opens anew, and shares nothing that its parent reads.
        if self._open[0] != os.getpid():
            self._open = os.getpid(), {}
        opened = self._open[1]
        if number not in opened:
            if len(opened) >= _OPEN_MAX:
                opened.pop(next(iter(opened)), None)
            opened[number] = self._dataset[number]
        return opened[number]
