"""One signal, or stream, in one file."""

from __future__ import annotations

import operator
import os
import shutil
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np

import presence

from ..errors import InvalidError, MissingError, SchemaError, StateError, TimeOrderError
from .signal import Signal, SignalMeta, _described, floors

T = TypeVar("T")

#: The stream of a file.
_VALUE = "value"
#: What the name of further times begins with.
_EXTRA = "ts_ns."
_FINISHED = "a finished"
#: The largest segment: a signal beyond it is a directory of several.
_SEGMENT_BYTES = 512 << 20


class Stream(ABC, Generic[T]):
    """Records of a value and a time in nanoseconds.

    >>> import pathlib, tempfile
    >>> from presence.dataset import SimpleStream, SimpleStreamWriter
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "level.stream"
    >>> writer = SimpleStreamWriter(path)
    >>> for step in range(4):
    ...     writer.append(0.5 * step, 1_000 * step)
    >>> writer.finish()
    >>> stream = SimpleStream(path)
    >>> values, times = stream.window(1_000, 2_000)
    >>> values.tolist(), times.tolist()
    ([0.5, 1.0], [1000, 2000])
    """

    @abstractmethod
    def at(self, ts_ns: int) -> tuple[T, int] | None:
        """The last record at or before a time, and its time; ``None`` before the first."""

    @abstractmethod
    def window(self, start_ts_ns: int, end_ts_ns: int) -> tuple[Sequence[T], np.ndarray]:
        """Values and times of the records from one time to another, both included."""


class StreamWriter(ABC, Generic[T]):
    """Writes a stream.

    >>> import pathlib, tempfile
    >>> from presence.dataset import SimpleStream, SimpleStreamWriter
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "level.stream"
    >>> writer = SimpleStreamWriter(path)
    >>> for step in range(4):
    ...     writer.append(0.5 * step, 1_000 * step)
    >>> writer.finish()
    >>> stream = SimpleStream(path)
    >>> path.exists()
    True
    """

    @abstractmethod
    def append(self, data: T, ts_ns: int) -> None:
        """Adds a record, later than the one before."""

    @abstractmethod
    def finish(self) -> None:
        """Makes the stream readable. Nothing is added afterwards."""


class SignalWriter(ABC, Generic[T]):
    """Writes a signal; used in a ``with``, which finishes it.

    >>> import pathlib, tempfile
    >>> from presence.dataset import SimpleSignalWriter
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "level.signal"
    >>> writer = SimpleSignalWriter(path)
    >>> writer.append(0.5, 1_000)
    >>> writer.abort()
    >>> path.exists()
    False
    """

    @abstractmethod
    def append(self, data: T, ts_ns: int, extra_ts: dict[str, int] | None = None) -> None:
        """Adds a record, later than the one before."""

    @abstractmethod
    def abort(self) -> None:
        """Gives up what was written."""

    def __enter__(self) -> SignalWriter[T]:
        return self

    @abstractmethod
    def __exit__(self, exc_type: Any, exc: Any, tb: Any) -> None: ...


def is_parquet(path: Path) -> bool:
    if not path.is_file():
        return False
    with open(path, "rb") as file:
        return file.read(4) == b"PAR1"


class _Columns:
    """Times, values and further times in memory, as a file of Parquet gives them."""

    def __init__(self, path: Path) -> None:
        from . import parquet

        self.timestamps, self.columns = parquet.read(path)

    def ts(self, indices: Any) -> np.ndarray:
        return self.timestamps[indices]

    def values(self, name: str, indices: Any) -> np.ndarray:
        return self.columns[name][indices]

    def at(self, ts: int) -> tuple[Any, int] | None:
        index = int(np.searchsorted(self.timestamps, ts, side="right")) - 1
        if index < 0:
            return None
        return self.columns[_VALUE][index], int(self.timestamps[index])


class _Stored:
    """A stream of the engine."""

    def __init__(self, path: Path) -> None:
        self._stream = presence.open(path, read_only=True)[_VALUE]
        self.columns = dict.fromkeys(self._stream.columns)
        self._times: np.ndarray | None = None

    @property
    def timestamps(self) -> np.ndarray:
        if self._times is None:
            self._times = self._stream.window().timestamps
        return self._times

    def ts(self, indices: Any) -> np.ndarray:
        if isinstance(indices, slice) and indices.step in (None, 1):
            return self._stream[indices].timestamps
        return self.timestamps[indices]

    def values(self, name: str, indices: Any) -> np.ndarray:
        if isinstance(indices, slice):
            start, stop, step = indices.indices(len(self._stream))
            return self._stream[start:stop][name][::step]
        return self._stream.at_many(self.timestamps[indices])[name]

    def at(self, ts: int) -> tuple[Any, int] | None:
        record = self._stream.at(ts)
        return None if record is None else (record[_VALUE], record.ts)

    def __len__(self) -> int:
        return len(self._stream)


def _backend(path: Path) -> _Columns | _Stored:
    if not path.exists():
        raise MissingError(f"{path}: no such file")
    return _Columns(path) if is_parquet(path) else _Stored(path)


class SimpleSignal(Signal[T]):
    """The signal in a file: the engine's, or Parquet with ``timestamp`` and ``value``.

    Nothing is read before it is asked for, and no more than that of the engine's files.
    ``extra_ts(name)`` are further times that were recorded with the values.

    >>> import pathlib, tempfile
    >>> from presence.dataset import SimpleSignal, SimpleSignalWriter
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "level.signal"
    >>> with SimpleSignalWriter(path) as writer:
    ...     for step in range(4):
    ...         writer.append(0.5 * step, 1_000 * step, {"stored": 1_000 * step + 5})
    >>> signal = SimpleSignal(path)
    >>> signal.time[1_500], signal.timelines, signal.extra_ts("stored").tolist()
    ((0.5, 1000), ['stored'], [5, 1005, 2005, 3005])
    """

    def __init__(self, filepath: str | os.PathLike[str]) -> None:
        self.filepath = Path(filepath)
        self._opened: _Columns | _Stored | None = None
        self._count: int | None = None

    @property
    def _file(self) -> _Columns | _Stored:
        if self._opened is None:
            self._opened = _backend(self.filepath)
        return self._opened

    def __getstate__(self) -> Path:
        return self.filepath

    def __setstate__(self, filepath: Path) -> None:
        self.__init__(filepath)  # type: ignore[misc]

    def __len__(self) -> int:
        if self._count is None:
            file = self._file
            self._count = len(file) if isinstance(file, _Stored) else len(file.timestamps)
        return self._count

    def _ts_at(self, indices: Any) -> np.ndarray:
        return self._file.ts(indices)

    def _values_at(self, indices: Any) -> Any:
        return self._file.values(_VALUE, indices)

    def _search_ts(self, ts_array: Any) -> np.ndarray:
        return np.searchsorted(self._file.timestamps, floors(ts_array), side="right") - 1

    def _record_at(self, ts: Any) -> tuple[T, int] | None:
        return self._file.at(
            int(floors([ts])[0]) if isinstance(ts, (float, np.floating)) else int(ts)
        )

    @property
    def meta(self) -> SignalMeta:
        self._end()
        value, _ = self._file.at(self.start_ts) or (None, 0)
        return _described(value)

    @property
    def timelines(self) -> list[str]:
        """The names of further times.

        >>> import pathlib, tempfile
        >>> from presence.dataset import SimpleSignal, SimpleSignalWriter
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "level.signal"
        >>> with SimpleSignalWriter(path) as writer:
        ...     for step in range(4):
        ...         writer.append(0.5 * step, 1_000 * step, {"stored": 1_000 * step + 5})
        >>> signal = SimpleSignal(path)
        >>> signal.timelines
        ['stored']
        """
        return [name[len(_EXTRA) :] for name in self._file.columns if name.startswith(_EXTRA)]

    def extra_ts(self, name: str) -> np.ndarray:
        """The further times called ``name``, one for each record.

        >>> import pathlib, tempfile
        >>> from presence.dataset import SimpleSignal, SimpleSignalWriter
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "level.signal"
        >>> with SimpleSignalWriter(path) as writer:
        ...     for step in range(4):
        ...         writer.append(0.5 * step, 1_000 * step, {"stored": 1_000 * step + 5})
        >>> signal = SimpleSignal(path)
        >>> signal.extra_ts("stored").tolist()
        [5, 1005, 2005, 3005]
        """
        if name not in self.timelines:
            raise KeyError(name)
        return self._file.values(_EXTRA + name, slice(None))

    def to_parquet(self, path: str | os.PathLike[str]) -> None:
        """Writes the signal as Parquet, which ``SimpleSignal`` reads. Needs pyarrow.

        >>> import pathlib, tempfile
        >>> from presence.dataset import SimpleSignal, SimpleSignalWriter
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "level.signal"
        >>> with SimpleSignalWriter(path) as writer:
        ...     for step in range(4):
        ...         writer.append(0.5 * step, 1_000 * step, {"stored": 1_000 * step + 5})
        >>> signal = SimpleSignal(path)
        >>> signal.to_parquet(path.with_suffix(".parquet"))
        >>> len(SimpleSignal(path.with_suffix(".parquet")))
        4
        """
        from . import parquet

        columns = {name: self._file.values(name, slice(None)) for name in self._file.columns}
        parquet.write(Path(path), np.asarray(self.keys()), columns)

    @classmethod
    def from_parquet(
        cls, source: str | os.PathLike[str], path: str | os.PathLike[str]
    ) -> SimpleSignal[T]:
        """Copies a signal from Parquet into a file of the engine's. Needs pyarrow.

        >>> import pathlib, tempfile
        >>> from presence.dataset import SimpleSignal, SimpleSignalWriter
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "level.signal"
        >>> with SimpleSignalWriter(path) as writer:
        ...     for step in range(4):
        ...         writer.append(0.5 * step, 1_000 * step, {"stored": 1_000 * step + 5})
        >>> signal = SimpleSignal(path)
        >>> signal.to_parquet(path.with_suffix(".parquet"))
        >>> copy = SimpleSignal.from_parquet(path.with_suffix(".parquet"), path.with_name("copy"))
        >>> copy.time[1_500]
        (0.5, 1000)
        """
        read = _Columns(Path(source))
        writer = SimpleSignalWriter[Any](path)
        with writer:
            writer._append_all(read.timestamps, read.columns)
        return cls(path)


class SimpleStream(Stream[T]):
    """The stream in a file.

    >>> import pathlib, tempfile
    >>> from presence.dataset import SimpleStream, SimpleStreamWriter
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "level.stream"
    >>> writer = SimpleStreamWriter(path)
    >>> for step in range(4):
    ...     writer.append(0.5 * step, 1_000 * step)
    >>> writer.finish()
    >>> stream = SimpleStream(path)
    >>> stream.at(1_500)
    (0.5, 1000)
    >>> stream.at(-1)
    """

    def __init__(self, filepath: str | os.PathLike[str]) -> None:
        self.signal: SimpleSignal[T] = SimpleSignal(filepath)

    def at(self, ts_ns: int) -> tuple[T, int] | None:
        return self.signal._record_at(operator.index(ts_ns))

    def window(self, start_ts_ns: int, end_ts_ns: int) -> tuple[Sequence[T], np.ndarray]:
        bounds = [operator.index(start_ts_ns) - 1, operator.index(end_ts_ns)]
        start, end = (self.signal._search_ts(bounds) + 1).tolist()
        part = slice(start, max(start, end))
        return self.signal._values_at(part), self.signal._ts_at(part)


class _Recorder:
    """Writes records into a database beside the file, which becomes the file when it is done."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._partial = self.path.with_name(self.path.name + ".partial")
        self._database: Any = None
        self._writer: Any = None
        self.ended: str | None = None
        self.last_ts: int | None = None
        self._expected: Any = None
        self._extra: tuple[str, ...] = ()

    def _begin(self, dtype: Any, shape: tuple[int, ...], extra: Sequence[str]) -> None:
        shutil.rmtree(self._partial, ignore_errors=True)
        columns: dict[str, Any] = {_VALUE: (dtype, shape) if shape else dtype}
        columns |= {_EXTRA + name: "i8" for name in extra}
        self._database = presence.create(self._partial, segment_bytes=_SEGMENT_BYTES)
        try:
            stream = self._database.create_stream(_VALUE, columns, unit="ns")
        except presence.PresenceError:
            self.discard()
            raise
        self._writer = stream.writer()
        self._extra = tuple(extra)

    def _checked(self, data: Any) -> Any:
        if not isinstance(data, (np.ndarray, np.generic)) and hasattr(data, "to_numpy"):
            data = data.to_numpy()
        if isinstance(data, (list, tuple)):
            data = np.array(data)
        if isinstance(data, np.ndarray):
            kind: Any = (data.shape, data.dtype)
        else:
            kind = type(data)
        if self._expected is None:
            if not isinstance(data, (np.ndarray, np.generic, bool, int, float)):
                raise SchemaError(f"values of {type(data).__name__} are not stored")
            self._expected = kind
        elif kind != self._expected:
            raise SchemaError(self._difference(data))
        return data

    def _difference(self, data: Any) -> str:
        if not isinstance(data, np.ndarray) or not isinstance(self._expected, tuple):
            expected = np.ndarray if isinstance(self._expected, tuple) else self._expected
            return f"Data type {type(data)} doesn't match expected type {expected}"
        shape, dtype = self._expected
        if data.shape != shape:
            return f"Data shape {data.shape} doesn't match expected shape {shape}"
        return f"Data dtype {data.dtype} doesn't match expected dtype {dtype}"

    def check(self, data: Any, ts_ns: int) -> tuple[Any, int]:
        if self.ended is not None:
            raise StateError(f"Cannot append to {self.ended} writer")
        ts = operator.index(ts_ns)
        if self.last_ts is not None and ts <= self.last_ts:
            text = f"Timestamp {ts} is not increasing (last was {self.last_ts})"
            raise TimeOrderError(text)
        return self._checked(data), ts

    def append(self, data: Any, ts: int, extra: dict[str, int] | None) -> None:
        names = tuple(sorted(extra)) if extra else ()
        if self._writer is None:
            array = np.asarray(data)
            try:
                self._begin(array.dtype, array.shape, names)
            except presence.PresenceError:
                self._expected = None
                raise
        elif names != self._extra:
            raise InvalidError(
                "extra_ts keys must be consistent across all appends. "
                f"Expected {list(self._extra)}, got {list(names)}"
            )
        if isinstance(data, np.generic) or (isinstance(data, np.ndarray) and data.ndim == 0):
            data = data.item()
        if extra:
            self._writer.append(ts, data, *(operator.index(extra[name]) for name in names))
        else:
            self._writer.append(ts, data)
        self.last_ts = ts

    def append_all(self, timestamps: np.ndarray, columns: dict[str, np.ndarray]) -> None:
        values = columns[_VALUE]
        names = [name for name in columns if name != _VALUE]
        if self._writer is None and len(timestamps) > 0:
            self._begin(values.dtype, values.shape[1:], [name[len(_EXTRA) :] for name in names])
        if len(timestamps) > 0:
            self._writer.append_batch(timestamps, columns)
            self.last_ts = int(timestamps[-1])

    def finish(self) -> None:
        if self.ended is not None:
            return
        if self._writer is None:
            self._begin(np.dtype("i8"), (), ())
        self.ended = _FINISHED
        self._writer.finish()
        self._database.close()
        segments = sorted(self._partial.glob("*.presence"))
        if self.path.is_dir():
            shutil.rmtree(self.path)
        if len(segments) == 1:
            os.replace(segments[0], self.path)
            shutil.rmtree(self._partial)
        else:
            self.path.unlink(missing_ok=True)
            os.replace(self._partial, self.path)

    def discard(self) -> None:
        if self._writer is not None:
            self._writer.close()
        if self._database is not None:
            self._database.close()
        self._writer = self._database = None
        shutil.rmtree(self._partial, ignore_errors=True)

    def abort(self) -> None:
        if self.ended == _FINISHED:
            raise StateError(f"Cannot abort {_FINISHED} writer")
        if self.ended is None:
            self.ended = "an aborted"
            self.discard()


class SimpleStreamWriter(StreamWriter[T]):
    """Writes a stream into a file, which appears when it is finished.

    Until then the records are in a database beside it (``<file>.partial``), which a crash leaves.

    >>> import pathlib, tempfile
    >>> from presence.dataset import SimpleStream, SimpleStreamWriter
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "level.stream"
    >>> writer = SimpleStreamWriter(path)
    >>> for step in range(4):
    ...     writer.append(0.5 * step, 1_000 * step)
    >>> writer.finish()
    >>> stream = SimpleStream(path)
    >>> stream.at(3_000)
    (1.5, 3000)
    """

    def __init__(self, filepath: str | os.PathLike[str]) -> None:
        self.filepath = Path(filepath)
        self._recorder = _Recorder(filepath)

    def append(self, data: T, ts_ns: int) -> None:
        data, ts = self._recorder.check(data, ts_ns)
        self._recorder.append(data, ts, None)

    def finish(self) -> None:
        self._recorder.finish()


class SimpleSignalWriter(SignalWriter[T]):
    """Writes a signal into a file, which appears when it is done: at the end of the ``with``, even
    one that an exception ends.

    With ``drop_equal_bytes_threshold`` a value that equals the one before is left out, if the
    first value has fewer bytes. ``chunk_size`` is accepted and means nothing.

    >>> import pathlib, tempfile
    >>> from presence.dataset import SimpleSignalWriter
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "level.signal"
    >>> writer = SimpleSignalWriter(path)
    >>> writer.append(0.5, 1_000)
    >>> writer.finish()
    >>> path.exists()
    True
    """

    def __init__(
        self,
        filepath: str | os.PathLike[str],
        chunk_size: int = 10000,
        drop_equal_bytes_threshold: int | None = None,
    ) -> None:
        self.filepath = Path(filepath)
        self.chunk_size = chunk_size
        self._recorder = _Recorder(filepath)
        self._threshold = drop_equal_bytes_threshold
        self._last_value: Any = None

    def append(self, data: T, ts_ns: int, extra_ts: dict[str, int] | None = None) -> None:
        recorder = self._recorder
        value, ts = recorder.check(data, ts_ns)
        if self._threshold is not None:
            if recorder.last_ts is None and np.asarray(value).nbytes >= self._threshold:
                self._threshold = None
            elif recorder.last_ts is not None and np.array_equal(value, self._last_value):
                return
            self._last_value = value.copy() if isinstance(value, np.ndarray) else value
        recorder.append(value, ts, extra_ts)

    def _append_all(self, timestamps: np.ndarray, columns: dict[str, np.ndarray]) -> None:
        self._recorder.append_all(timestamps, columns)

    def finish(self) -> None:
        """Makes the file appear.

        >>> import pathlib, tempfile
        >>> from presence.dataset import SimpleSignalWriter
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "level.signal"
        >>> writer = SimpleSignalWriter(path)
        >>> writer.append(0.5, 1_000)
        >>> writer.finish()
        >>> path.exists()
        True
        """
        self._recorder.finish()

    def abort(self) -> None:
        self._recorder.abort()

    def __exit__(self, exc_type: Any, exc: Any, tb: Any) -> None:
        self.finish()
