"""Signals: values in time, found by index or by time."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Generic, TypeVar, final

import numpy as np

from ..errors import InvalidError

T = TypeVar("T")

#: Records that a view gives at once when it is iterated.
_CHUNK = 4096


class Kind(Enum):
    """What values are, for those who show them.

    >>> import pathlib, tempfile
    >>> from presence.dataset import Kind, SimpleSignal, SimpleSignalWriter
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "level.signal"
    >>> with SimpleSignalWriter(path) as writer:
    ...     for step in range(4):
    ...         writer.append(0.5 * step, 1_000 * step)
    >>> signal = SimpleSignal(path)
    >>> signal.kind is Kind.NUMERIC
    True
    """

    NUMERIC = "numeric"
    IMAGE = "image"


@dataclass
class SignalMeta:
    """The type and shape of a signal's values.

    >>> import pathlib, tempfile
    >>> from presence.dataset import SimpleSignal, SimpleSignalWriter
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "level.signal"
    >>> with SimpleSignalWriter(path) as writer:
    ...     for step in range(4):
    ...         writer.append(0.5 * step, 1_000 * step)
    >>> signal = SimpleSignal(path)
    >>> signal.meta
    SignalMeta(dtype=<class 'float'>, shape=(), kind=<Kind.NUMERIC: 'numeric'>)
    """

    dtype: Any
    shape: Any
    kind: Kind = Kind.NUMERIC


def _described(value: Any) -> SignalMeta:
    if isinstance(value, np.ndarray):
        image = value.dtype == np.uint8 and value.ndim == 3 and value.shape[2] == 3
        kind = Kind.IMAGE if image else Kind.NUMERIC
        return SignalMeta(value.dtype, value.shape, kind)
    return SignalMeta(type(value), ())


def _times(times: Any) -> np.ndarray:
    """Times in an array; real numbers, or nothing."""
    array = np.asarray(times)
    if array.size == 0:
        return array.astype(np.int64)
    if not (np.issubdtype(array.dtype, np.integer) or np.issubdtype(array.dtype, np.floating)):
        raise TypeError(f"Invalid timestamp array dtype: {array.dtype}")
    return array


def floors(times: Any) -> np.ndarray:
    """Times as whole nanoseconds, rounded down: exact where floating point would not be."""
    array = _times(times)
    if not np.issubdtype(array.dtype, np.floating):
        return array
    if np.isnan(array).any():
        raise InvalidError("a time is not a number")
    limits = np.iinfo(np.int64)
    down = np.floor(array)
    whole = np.clip(down, limits.min, 2.0**62).astype(np.int64)
    return np.where(down > 2.0**62, limits.max, whole)


class Signal(Sequence[tuple[T, int]], ABC, Generic[T]):
    """Records of a value and a time in nanoseconds, in the order of time.

    ``signal[i]`` is a record, ``signal[a:b]`` and ``signal[[i, j]]`` are views. By time:
    ``signal.time[t]`` is the last record at or before ``t``; ``time[a:b]`` a view of those from
    ``a`` to before ``b``, which begins with the record in force at ``a``, stamped ``a``;
    ``time[a:b:step]`` and ``time[[t, u]]`` views of what is in force at these times, stamped so.

    Who derives from it says how many records there are, and their times and values.

    >>> import pathlib, tempfile
    >>> from presence.dataset import SimpleSignal, SimpleSignalWriter
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "level.signal"
    >>> with SimpleSignalWriter(path) as writer:
    ...     for step in range(4):
    ...         writer.append(0.5 * step, 1_000 * step)
    >>> signal = SimpleSignal(path)
    >>> len(signal), signal.start_ts, signal.last_ts
    (4, 0, 3000)
    >>> value, ts = signal[1]
    >>> float(value), ts
    (0.5, 1000)
    >>> signal.time[1_500]
    (0.5, 1000)
    >>> signal.time[500:2_500].keys().tolist(), signal.time[500:2_500].values().tolist()
    ([500, 1000, 2000], [0.0, 0.5, 1.0])
    """

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def _ts_at(self, indices: Any) -> np.ndarray:
        """The times of the records that a slice or an array of indices names."""

    @abstractmethod
    def _values_at(self, indices: Any) -> Sequence[T]:
        """The values of the records that a slice or an array of indices names."""

    @abstractmethod
    def _search_ts(self, ts_array: Any) -> np.ndarray:
        """For each time the index of the last record at or before it, or -1."""

    def _record_at(self, ts: Any) -> tuple[T, int] | None:
        """The last record at or before a time."""
        index = int(np.asarray(self._search_ts([ts]))[0])
        return None if index < 0 else self[index]

    def _end(self) -> None:
        if len(self) == 0:
            raise InvalidError("Signal is empty")

    @property
    def start_ts(self) -> int:
        """The time of the first record.

        >>> import pathlib, tempfile
        >>> from presence.dataset import SimpleSignal, SimpleSignalWriter
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "level.signal"
        >>> with SimpleSignalWriter(path) as writer:
        ...     for step in range(4):
        ...         writer.append(0.5 * step, 1_000 * step)
        >>> signal = SimpleSignal(path)
        >>> signal.start_ts
        0
        """
        self._end()
        return int(np.asarray(self._ts_at(slice(0, 1)))[0])

    @property
    def last_ts(self) -> int:
        """The time of the last record.

        >>> import pathlib, tempfile
        >>> from presence.dataset import SimpleSignal, SimpleSignalWriter
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "level.signal"
        >>> with SimpleSignalWriter(path) as writer:
        ...     for step in range(4):
        ...         writer.append(0.5 * step, 1_000 * step)
        >>> signal = SimpleSignal(path)
        >>> signal.last_ts
        3000
        """
        self._end()
        return int(np.asarray(self._ts_at(slice(len(self) - 1, len(self))))[0])

    @property
    def meta(self) -> SignalMeta:
        """The type, shape and kind of the values, by the first of them.

        >>> import pathlib, tempfile
        >>> from presence.dataset import SimpleSignal, SimpleSignalWriter
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "level.signal"
        >>> with SimpleSignalWriter(path) as writer:
        ...     for step in range(4):
        ...         writer.append(0.5 * step, 1_000 * step)
        >>> signal = SimpleSignal(path)
        >>> signal.meta.kind
        <Kind.NUMERIC: 'numeric'>
        """
        self._end()
        return _described(self._values_at(slice(0, 1))[0])

    @property
    def dtype(self) -> Any:
        return self.meta.dtype

    @property
    def shape(self) -> Any:
        return self.meta.shape

    @property
    def kind(self) -> Kind:
        return self.meta.kind

    @final
    @property
    def time(self) -> _Time[T]:
        """The signal by time.

        >>> import pathlib, tempfile
        >>> from presence.dataset import SimpleSignal, SimpleSignalWriter
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "level.signal"
        >>> with SimpleSignalWriter(path) as writer:
        ...     for step in range(4):
        ...         writer.append(0.5 * step, 1_000 * step)
        >>> signal = SimpleSignal(path)
        >>> signal.time[[500, 2_500]].values().tolist()
        [0.0, 1.0]
        """
        return _Time(self)

    @final
    def values(self) -> Sequence[T]:
        """All values.

        >>> import pathlib, tempfile
        >>> from presence.dataset import SimpleSignal, SimpleSignalWriter
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "level.signal"
        >>> with SimpleSignalWriter(path) as writer:
        ...     for step in range(4):
        ...         writer.append(0.5 * step, 1_000 * step)
        >>> signal = SimpleSignal(path)
        >>> signal.values().tolist()
        [0.0, 0.5, 1.0, 1.5]
        """
        return self._values_at(slice(None))

    @final
    def keys(self) -> np.ndarray:
        """All times.

        >>> import pathlib, tempfile
        >>> from presence.dataset import SimpleSignal, SimpleSignalWriter
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "level.signal"
        >>> with SimpleSignalWriter(path) as writer:
        ...     for step in range(4):
        ...         writer.append(0.5 * step, 1_000 * step)
        >>> signal = SimpleSignal(path)
        >>> signal.keys().tolist()
        [0, 1000, 2000, 3000]
        """
        return self._ts_at(slice(None))

    def __iter__(self) -> Iterator[tuple[T, int]]:
        for start in range(0, len(self), _CHUNK):
            part = slice(start, min(start + _CHUNK, len(self)))
            stamps = np.asarray(self._ts_at(part)).tolist()
            yield from zip(self._values_at(part), stamps, strict=True)

    @final
    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, (int, np.integer)) and not isinstance(key, bool):
            index = int(key) + len(self) if key < 0 else int(key)
            if not 0 <= index < len(self):
                raise IndexError(f"Index {key} out of range for Signal of length {len(self)}")
            one = slice(index, index + 1)
            return self._values_at(one)[0], int(np.asarray(self._ts_at(one))[0])
        if isinstance(key, slice):
            if key.step is not None and key.step <= 0:
                raise InvalidError("Slice step must be positive")
            return _View.of(self, np.arange(*key.indices(len(self))))
        if isinstance(key, (np.ndarray, Sequence)) and not isinstance(key, (str, bytes)):
            indices = np.asarray(key)
            if indices.size == 0:
                return _View.of(self, indices.astype(np.int64))
            if indices.dtype == np.bool_:
                raise IndexError("Boolean mask indexing is not supported for Signal")
            if not np.issubdtype(indices.dtype, np.integer):
                raise TypeError(f"Unsupported index dtype: {indices.dtype}")
            indices = np.where(indices < 0, indices + len(self), indices)
            if (indices < 0).any() or (indices >= len(self)).any():
                raise IndexError("Index out of range for Signal")
            return _View.of(self, indices)
        raise TypeError(f"Unsupported index type: {type(key)}")


class _Time(Generic[T]):
    """A signal by time."""

    def __init__(self, signal: Signal[T]) -> None:
        self._signal = signal

    def __getitem__(self, key: Any) -> Any:
        signal = self._signal
        if isinstance(key, (int, float, np.integer, np.floating)) and not isinstance(key, bool):
            record = signal._record_at(key)
            if record is None:
                raise KeyError(f"Timestamp {key} precedes the first record")
            return record
        if isinstance(key, slice):
            return self._range(key) if key.step is None else self._grid(key)
        if isinstance(key, (np.ndarray, Sequence)) and not isinstance(key, (str, bytes)):
            return self._sampled(_times(key))
        raise TypeError(f"Unsupported index type: {type(key)}")

    def _bounds(self, key: slice) -> tuple[Any, Any]:
        start = self._signal.start_ts if key.start is None else key.start
        return start, self._signal.last_ts + 1 if key.stop is None else key.stop

    def _range(self, key: slice) -> Signal[T]:
        signal = self._signal
        if len(signal) == 0:
            return _View.of(signal, np.arange(0))
        start, stop = self._bounds(key)
        # Before `stop` is at or before the last whole nanosecond below it.
        whole = isinstance(stop, (int, np.integer))
        below = int(stop) - 1 if whole else math.ceil(stop) - 1
        at, before = (int(np.asarray(signal._search_ts([t]))[0]) for t in (start, below))
        carried = None
        if at >= 0 and int(signal._ts_at(slice(at, at + 1))[0]) < start:
            carried = start
        return _View.of(signal, np.arange(max(at, 0), before + 1), first=carried)

    def _grid(self, key: slice) -> Signal[T]:
        if key.step <= 0:
            raise InvalidError("Slice step must be positive")
        if key.start is None:
            raise InvalidError("Slice start is required when step is provided")
        if len(self._signal) == 0:
            return _View.of(self._signal, np.arange(0))
        start, stop = self._bounds(key)
        if start < self._signal.start_ts:
            raise KeyError(f"Timestamp {start} precedes the first record")
        return self._sampled(np.arange(start, stop, key.step))

    def _sampled(self, times: np.ndarray) -> Signal[T]:
        indices = np.asarray(self._signal._search_ts(times))
        if (indices < 0).any():
            raise KeyError("No record at or before some of the requested timestamps")
        return _View.of(self._signal, indices, stamps=times)


class _View(Signal[T]):
    """Some records of a signal, perhaps with other times. A view of a view is one of the signal."""

    def __init__(
        self, signal: Signal[T], indices: np.ndarray, stamps: np.ndarray | None, whole: bool
    ) -> None:
        self._signal = signal
        self._indices = indices
        self._stamps = stamps
        #: The indices follow each other.
        self._whole = whole

    @classmethod
    def of(
        cls,
        signal: Signal[T],
        indices: np.ndarray,
        stamps: np.ndarray | None = None,
        first: Any = None,
    ) -> _View[T]:
        if first is not None and len(indices) > 0:
            stamps = np.array(signal._ts_at(slice(int(indices[0]), int(indices[-1]) + 1)))
            if isinstance(first, (float, np.floating)):
                stamps = stamps.astype(np.float64)
            stamps[0] = first
        if isinstance(signal, _View):
            if stamps is None and signal._stamps is not None:
                stamps = signal._stamps[indices]
            indices = signal._indices[indices]
            signal = signal._signal
        whole = len(indices) > 0 and bool((np.diff(indices) == 1).all())
        return cls(signal, indices, stamps, whole)

    def _mapped(self, indices: Any) -> Any:
        chosen = self._indices[indices]
        if self._whole and isinstance(indices, slice) and indices.step in (None, 1):
            return slice(int(chosen[0]), int(chosen[-1]) + 1) if len(chosen) else slice(0, 0)
        return chosen

    def __len__(self) -> int:
        return len(self._indices)

    def _ts_at(self, indices: Any) -> np.ndarray:
        if self._stamps is not None:
            return self._stamps[indices]
        return self._signal._ts_at(self._mapped(indices))

    def _values_at(self, indices: Any) -> Sequence[T]:
        return self._signal._values_at(self._mapped(indices))

    def _search_ts(self, ts_array: Any) -> np.ndarray:
        times = self._ts_at(slice(None))
        if len(times) > 1 and (np.diff(times) < 0).any():
            raise InvalidError("a view whose times are not in order has no answers by time")
        return np.searchsorted(times, floors(ts_array), side="right") - 1
