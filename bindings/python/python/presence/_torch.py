"""Windows of streams as a map-style data set of torch, which is not needed to have one."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ._native import Database, Stream, open
from ._times import timestamps


class WindowDataset:
    """Windows around moments: what a map-style data set is to torch, or to anything else.

    Item ``i`` is a dict of one array for each stream: its values at ``moment[i] + offset`` for each
    of ``offsets``, as ``Stream.at_many`` gives them. Moments are those of a stream (``trigger``),
    at a fixed rate (``every``), any (``moments``), or so many at random (``random``, the same for a
    ``seed``); those at which a stream has no record yet, or
    that reach behind the end of one, are left out.

    The database is opened where it is read: a data set is pickled, forked and spawned with its path
    alone, and each worker opens it for reading at its first item.

    >>> import presence, tempfile
    >>> path = tempfile.mkdtemp()
    >>> with presence.create(path) as db, db.create_stream("joints", ("f4", 7)).writer() as writer:
    ...     writer.append_batch(range(100), [[tick] * 7 for tick in range(100)])
    >>> windows = presence.WindowDataset(path, ["joints"], every=10, offsets=[-2, -1, 0])
    >>> len(windows), windows[0]["joints"].shape, windows[0]["joints"][:, 0].tolist()
    (9, (3, 7), [8.0, 9.0, 10.0])
    """

    def __init__(
        self,
        database: Database | str | os.PathLike[str],
        streams: Sequence[str],
        *,
        trigger: str | None = None,
        every: Any = None,
        moments: Any = None,
        random: int | None = None,
        seed: int = 0,
        offsets: Any = (0,),
        start: Any = None,
        end: Any = None,
    ) -> None:
        self._path = database.path if isinstance(database, Database) else os.fspath(database)
        self._streams = list(streams)
        self._open: tuple[int, dict[str, Stream]] | None = None
        if not self._streams:
            raise ValueError("a data set has at least one stream")
        opened = self._opened()
        units = {stream.unit for stream in opened.values()}
        if len(units) != 1:
            raise ValueError("the streams count time in different units")
        (self._unit,) = units
        self._offsets = timestamps(offsets, self._unit)
        given = sum(one is not None for one in (trigger, every, moments, random))
        if given != 1:
            raise ValueError("give one of `trigger`, `every`, `moments` and `random`")
        first = max(_end(stream.first(), name) for name, stream in opened.items())
        last = min(_end(stream.last(), name) for name, stream in opened.items())
        if moments is not None:
            candidates = timestamps(moments, self._unit)
        elif trigger is not None:
            by = open(self._path, read_only=True).stream(trigger)
            if by.unit != self._unit:
                raise ValueError("the trigger counts time in another unit")
            candidates = by.window(start, end).timestamps
        else:
            any_stream = next(iter(opened.values()))
            # Bounds of any form become timestamps where a window is asked for.
            low = first if start is None else _timestamp(any_stream, start)
            high = last + 1 if end is None else _timestamp(any_stream, end)
            if random is None:
                candidates = any_stream.sample(low, high, every).times
            else:
                low = max(low, first - int(self._offsets.min()))
                high = min(high, last - int(self._offsets.max()) + 1)
                if low >= high:
                    raise ValueError("no moment has records at all its offsets")
                candidates = np.random.default_rng(seed).integers(low, high, random)
        low, high = first - self._offsets.min(), last - self._offsets.max()
        self._moments = candidates[(candidates >= low) & (candidates <= high)]

    @property
    def unit(self) -> str:
        """What the moments count: ``'us'`` or ``'ns'``."""
        return self._unit

    @property
    def moments(self) -> np.ndarray:
        """The moment of each item."""
        return self._moments

    def __len__(self) -> int:
        return len(self._moments)

    def __getitem__(self, index: int) -> dict[str, Any]:
        times = self._moments[index] + self._offsets
        streams = self._opened()
        return {name: _owned(streams[name].at_many(times).values) for name in self._streams}

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_open": None}

    def _opened(self) -> dict[str, Stream]:
        # A forked process opens anew: threads that follow a writer stay behind in the parent.
        if self._open is None or self._open[0] != os.getpid():
            database = open(self._path, read_only=True)
            self._open = os.getpid(), {name: database.stream(name) for name in self._streams}
        return self._open[1]


def _timestamp(stream: Stream, time: Any) -> int:
    return int(stream.sample(time, time, 1, closed="both").times[0])


def _end(record: Any, name: str) -> int:
    if record is None:
        raise ValueError(f"stream {name!r} is empty")
    return int(record.ts)


def _owned(values: Any) -> Any:
    """Arrays that a batch may be collated from in place: torch wants them writable."""
    if isinstance(values, Mapping):
        return {name: one.copy() for name, one in values.items()}
    return values.copy()
