"""Episodes: signals recorded together, and what does not change while they are."""

from __future__ import annotations

import base64
import json
import os
import platform
import shutil
import sys
import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar
from urllib.parse import quote, unquote

import numpy as np

import presence

from ..errors import InvalidError, StateError
from .signal import Signal
from .storage import SignalWriter, SimpleSignal, SimpleSignalWriter

T = TypeVar("T")

UNFINISHED = ".unfinished"
_ENDINGS = (".signal", ".parquet")
_BYTES = "__bytes_b64__"
_FINISHED = "a finished"


def _encoded(value: Any) -> Any:
    if isinstance(value, bytes):
        return {_BYTES: base64.b64encode(value).decode("ascii")}
    raise TypeError(type(value))


def _decoded(value: dict[str, Any]) -> Any:
    return base64.b64decode(value[_BYTES]) if set(value) == {_BYTES} else value


def _is_static(value: Any) -> bool:
    if isinstance(value, (str, int, float, bool, bytes)):
        return True
    if isinstance(value, (list, tuple)):
        return all(map(_is_static, value))
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_static(each) for key, each in value.items())
    return False


class _EpisodeTime:
    def __init__(self, episode: Episode) -> None:
        self._episode = episode

    def __getitem__(self, key: Any) -> dict[str, Any]:
        signals = self._episode.signals
        static = self._episode.static
        if isinstance(key, (int, float, np.integer, np.floating)):
            return {**static, **{name: signal.time[key][0] for name, signal in signals.items()}}
        if isinstance(key, slice):
            if key.step is None:
                raise KeyError(
                    "Episode.time[start:stop] is not supported; use a step or explicit timestamps"
                )
            if key.stop is None:
                key = slice(key.start, self._episode.last_ts + 1, key.step)
        elif not isinstance(key, (Sequence, np.ndarray)) or isinstance(key, (str, bytes)):
            raise TypeError(f"Invalid index type: {type(key)}")
        return {**static, **{name: signal.time[key].values() for name, signal in signals.items()}}


class Episode(ABC, Mapping[str, Any]):
    """Signals and static values by name.

    ``episode.time[t]`` is a dict of the static values and of each signal's value in force at
    ``t``; ``time[a:b:step]`` and ``time[[t, u]]`` have sequences of values.

    >>> import pathlib, tempfile
    >>> from presence.dataset import DiskEpisode, DiskEpisodeWriter
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "episode"
    >>> with DiskEpisodeWriter(path) as writer:
    ...     writer.set_static("task", "wave")
    ...     for step in range(4):
    ...         writer.append("level", 0.5 * step, 1_000 * step)
    >>> episode = DiskEpisode(path)
    >>> episode["task"], episode.start_ts, episode.last_ts, episode.duration_ns
    ('wave', 0, 3000, 3000)
    >>> episode.time[1_500]
    {'task': 'wave', 'level': 0.5}
    >>> episode.time[0:4_000:2_000]["level"].tolist()
    [0.0, 1.0]
    """

    @property
    @abstractmethod
    def meta(self) -> dict[str, Any]:
        """What is known of the recording; a copy."""

    @property
    def signals(self) -> dict[str, Signal[Any]]:
        return {name: value for name, value in self.items() if isinstance(value, Signal)}

    @property
    def static(self) -> dict[str, Any]:
        return {name: value for name, value in self.items() if not isinstance(value, Signal)}

    @property
    def start_ts(self) -> int:
        """When the last of the signals begins: from then on all have values."""
        return max(self._of_all(lambda signal: signal.start_ts))

    @property
    def last_ts(self) -> int:
        """When the last record of any signal is."""
        return max(self._of_all(lambda signal: signal.last_ts))

    def _of_all(self, ask: Callable[[Signal[Any]], int]) -> list[int]:
        signals = self.signals
        if not signals:
            raise InvalidError("Episode has no signals")
        return [ask(signal) for signal in signals.values()]

    @property
    def duration_ns(self) -> int:
        return self.last_ts - self.start_ts if self.signals else 0

    @property
    def time(self) -> _EpisodeTime:
        return _EpisodeTime(self)


class EpisodeWriter(ABC, Generic[T]):
    """Records an episode; used in a ``with``, which finishes it, or aborts it on an exception.

    >>> import pathlib, tempfile
    >>> from presence.dataset import DiskEpisodeWriter
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "episode"
    >>> with DiskEpisodeWriter(path) as writer:
    ...     writer.append("level", 0.5, 1_000)
    ...     writer.abort()
    >>> path.exists()
    False
    """

    @abstractmethod
    def append(
        self, signal_name: str, data: T, ts_ns: int, extra_ts: dict[str, int] | None = None
    ) -> None:
        """Adds a record to a signal, which the first one makes."""

    @abstractmethod
    def set_static(self, name: str, data: Any) -> None:
        """Says what does not change, once."""

    @abstractmethod
    def abort(self) -> None:
        """Gives up what was recorded."""

    def __enter__(self) -> EpisodeWriter[T]:
        return self

    @abstractmethod
    def __exit__(self, exc_type: Any, exc: Any, tb: Any) -> None: ...


class DiskEpisodeWriter(EpisodeWriter[T]):
    """Records an episode into a directory that does not exist.

    >>> import pathlib, tempfile
    >>> from presence.dataset import DiskEpisode, DiskEpisodeWriter
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "episode"
    >>> with DiskEpisodeWriter(path) as writer:
    ...     writer.set_static("task", "wave")
    ...     for step in range(4):
    ...         writer.append("level", 0.5 * step, 1_000 * step)
    >>> episode = DiskEpisode(path)
    >>> [float(value) for value, _ in episode["level"]]
    [0.0, 0.5, 1.0, 1.5]
    """

    def __init__(
        self, directory: str | os.PathLike[str], *, created_ts_ns: int | None = None
    ) -> None:
        self.path = Path(directory)
        self.path.mkdir(parents=True)
        (self.path / UNFINISHED).touch()
        self._writers: dict[str, SignalWriter[Any]] = {}
        self._static: dict[str, Any] = {}
        self._ended: str | None = None
        self._meta = {
            "schema_version": 1,
            "uid": uuid.uuid4().hex,
            "created_ts_ns": created_ts_ns or time.time_ns(),
            "writer": {
                "name": f"{type(self).__module__}.{type(self).__qualname__}",
                "version": presence.__version__,
                "python": sys.version.split(" ")[0],
                "platform": platform.platform(),
            },
        }

    @property
    def meta(self) -> dict[str, Any]:
        return {**self._meta, "path": str(self.path.resolve())}

    def _check(self, what: str) -> None:
        if self._ended is not None:
            raise StateError(f"Cannot {what} {self._ended} writer {self.path}")

    def append(
        self, signal_name: str, data: T, ts_ns: int, extra_ts: dict[str, int] | None = None
    ) -> None:
        self._check("append to")
        if signal_name in self._static:
            raise InvalidError(f"Static item '{signal_name}' already set for this episode")
        writer = self._writers.get(signal_name)
        if writer is None:
            file = self.path / f"{quote(signal_name, safe='')}{_ENDINGS[0]}"
            writer = self._writers[signal_name] = SimpleSignalWriter(file)
        writer.append(data, ts_ns, extra_ts)

    def set_static(self, name: str, data: Any) -> None:
        self._check("set static on")
        if name in self._writers:
            raise InvalidError(f"Signal '{name}' already exists for this episode")
        if name in self._static:
            raise InvalidError(f"Static item '{name}' already set for this episode")
        if not _is_static(data):
            raise InvalidError(
                "Static item must be JSON-serializable: dict/list over numbers and strings, "
                f"but got {name}: {data!r}"
            )
        self._static[name] = data

    def _finish(self) -> None:
        self._ended = _FINISHED
        spans = []
        for writer in self._writers.values():
            writer.__exit__(None, None, None)
            signal: SimpleSignal[Any] = SimpleSignal(writer.filepath)  # type: ignore[attr-defined]
            if len(signal):
                spans.append((signal.start_ts, signal.last_ts))
        if spans:
            starts, ends = zip(*spans, strict=True)
            self._meta["duration_ns"] = max(ends) - max(starts)
        static = json.dumps(self._static, indent=2, default=_encoded)
        (self.path / "static.json").write_text(static, encoding="utf-8")
        (self.path / "meta.json").write_text(json.dumps(self._meta, indent=2), encoding="utf-8")
        (self.path / UNFINISHED).unlink()

    def abort(self) -> None:
        if self._ended == _FINISHED:
            raise StateError(f"Cannot abort {_FINISHED} writer {self.path}")
        if self._ended is None:
            self._ended = "an aborted"
            for writer in self._writers.values():
                writer.abort()
            shutil.rmtree(self.path)

    def __exit__(self, exc_type: Any, exc: Any, tb: Any) -> None:
        if exc_type is not None:
            self.abort()
        elif self._ended is None:
            self._finish()


class DiskEpisode(Episode):
    """The episode in a directory: signals of the engine's, or of Parquet.

    >>> import pathlib, tempfile
    >>> from presence.dataset import DiskEpisode, DiskEpisodeWriter
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "episode"
    >>> with DiskEpisodeWriter(path) as writer:
    ...     writer.set_static("task", "wave")
    ...     for step in range(4):
    ...         writer.append("level", 0.5 * step, 1_000 * step)
    >>> episode = DiskEpisode(path)
    >>> sorted(episode), len(episode["level"]), episode.static
    (['level', 'task'], 4, {'task': 'wave'})
    """

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        self.path = Path(directory)
        if (self.path / UNFINISHED).exists():
            raise InvalidError(f"Cannot read unfinished episode at {self.path}")
        files = sorted(path for path in self.path.iterdir() if path.suffix in _ENDINGS)
        self._signals: dict[str, Signal[Any]] = {
            unquote(path.stem): SimpleSignal(path)
            for path in files
            if not path.name.endswith(".frames.parquet")
        }
        self._static: dict[str, Any] | None = None

    def __repr__(self) -> str:
        return f"DiskEpisode(path={str(self.path)!r})"

    def _read(self, name: str) -> dict[str, Any]:
        path = self.path / name
        if not path.exists():
            return {}
        read = json.loads(path.read_text(encoding="utf-8"), object_hook=_decoded)
        if not isinstance(read, dict):
            raise InvalidError(f"{path} must contain a JSON object")
        return read

    @property
    def static(self) -> dict[str, Any]:
        if self._static is None:
            self._static = self._read("static.json")
        return dict(self._static)

    @property
    def signals(self) -> dict[str, Signal[Any]]:
        return dict(self._signals)

    @property
    def meta(self) -> dict[str, Any]:
        meta = self._read("meta.json")
        meta.pop("duration_ns", None)
        files = (path for path in self.path.rglob("*") if path.is_file())
        size_mb = sum(path.stat().st_size for path in files) / (1 << 20)
        return {"size_mb": size_mb, **meta, "path": str(self.path.resolve())}

    @property
    def duration_ns(self) -> int:
        known = self._read("meta.json").get("duration_ns")
        return super().duration_ns if known is None else known

    def __iter__(self) -> Iterator[str]:
        yield from self._signals
        yield from self.static

    def __len__(self) -> int:
        return len(self._signals) + len(self.static)

    def __getitem__(self, name: str) -> Any:
        if name in self._signals:
            return self._signals[name]
        static = self.static
        if name in static:
            return static[name]
        raise KeyError(f"'{name}' not found in episode {self.path}. Keys: {', '.join(self)}")
