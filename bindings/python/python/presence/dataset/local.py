"""Datasets: episodes in a directory."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InvalidError, MissingError
from .episode import UNFINISHED, DiskEpisode, DiskEpisodeWriter, Episode, EpisodeWriter

#: Episodes in one directory.
_BLOCK = 1000


class Dataset(ABC, Sequence[Episode]):
    """Episodes in their order: ``[i]``, slices, arrays of indices, ``+`` and ``sum``.

    >>> import tempfile
    >>> from presence.dataset import LocalDataset, LocalDatasetWriter
    >>> root = tempfile.mkdtemp()
    >>> for number in range(3):
    ...     with LocalDatasetWriter(root).new_episode() as episode:
    ...         episode.set_static("task", f"wave {number}")
    ...         episode.append("level", 0.5 * number, 1_000)
    >>> dataset = LocalDataset(root)
    >>> len(dataset), [episode["task"] for episode in dataset[1:]], len(dataset + dataset)
    (3, ['wave 1', 'wave 2'], 6)
    """

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def _get_episode(self, index: int) -> Episode:
        """The episode at an index that is in range."""

    def _one(self, index: int) -> Episode:
        found = index + len(self) if index < 0 else index
        if not 0 <= found < len(self):
            raise IndexError(f"Index {index} out of range for {len(self)} episodes")
        return self._get_episode(found)

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, slice):
            return [self._get_episode(index) for index in range(*key.indices(len(self)))]
        if isinstance(key, (np.ndarray, Sequence)) and not isinstance(key, (str, bytes)):
            indices = np.asarray(key)
            if indices.dtype == np.bool_:
                raise TypeError("Boolean indexing is not supported")
            return [self._one(int(index)) for index in indices]
        return self._one(int(key))

    @property
    def meta(self) -> dict[str, Any]:
        """What is known of the dataset; a copy."""
        return {}

    def __add__(self, other: Any) -> Dataset:
        return ConcatDataset(self, other) if isinstance(other, Dataset) else NotImplemented

    def __radd__(self, other: Any) -> Dataset:
        # The sum of datasets begins with 0.
        return self if other == 0 else NotImplemented


class ConcatDataset(Dataset):
    """Datasets one after the other.

    >>> import tempfile
    >>> from presence.dataset import ConcatDataset, LocalDataset, LocalDatasetWriter
    >>> root = tempfile.mkdtemp()
    >>> for number in range(3):
    ...     with LocalDatasetWriter(root).new_episode() as episode:
    ...         episode.set_static("task", f"wave {number}")
    ...         episode.append("level", 0.5 * number, 1_000)
    >>> both = ConcatDataset(LocalDataset(root), LocalDataset(root))
    >>> len(both), both[-1]["task"]
    (6, 'wave 2')
    """

    def __init__(self, *datasets: Dataset) -> None:
        if not datasets:
            raise InvalidError("ConcatDataset requires at least one dataset")
        self._datasets = datasets

    def __len__(self) -> int:
        return sum(map(len, self._datasets))

    def _get_episode(self, index: int) -> Episode:
        for dataset in self._datasets:
            if index < len(dataset):
                return dataset[index]
            index -= len(dataset)
        raise IndexError(index)


class FilterDataset(Dataset):
    """The episodes that a predicate holds for; it is asked when they are.

    >>> import tempfile
    >>> from presence.dataset import FilterDataset, LocalDataset, LocalDatasetWriter
    >>> root = tempfile.mkdtemp()
    >>> for number in range(3):
    ...     with LocalDatasetWriter(root).new_episode() as episode:
    ...         episode.set_static("task", f"wave {number}")
    ...         episode.append("level", 0.5 * number, 1_000)
    >>> high = FilterDataset(LocalDataset(root), lambda episode: episode["level"][0][0] > 0.2)
    >>> [episode["task"] for episode in high]
    ['wave 1', 'wave 2']
    """

    def __init__(self, dataset: Dataset, predicate: Callable[[Episode], bool]) -> None:
        self._dataset = dataset
        self._predicate = predicate
        self._found: list[int] | None = None

    def _indices(self) -> list[int]:
        if self._found is None:
            found = (i for i in range(len(self._dataset)) if self._predicate(self._dataset[i]))
            self._found = list(found)
        return self._found

    def __len__(self) -> int:
        return len(self._indices())

    def _get_episode(self, index: int) -> Episode:
        return self._dataset[self._indices()[index]]

    @property
    def meta(self) -> dict[str, Any]:
        return self._dataset.meta


class CachedDataset(Dataset):
    """The same episodes, each opened once and kept.

    >>> import tempfile
    >>> from presence.dataset import CachedDataset, LocalDataset, LocalDatasetWriter
    >>> root = tempfile.mkdtemp()
    >>> for number in range(3):
    ...     with LocalDatasetWriter(root).new_episode() as episode:
    ...         episode.set_static("task", f"wave {number}")
    ...         episode.append("level", 0.5 * number, 1_000)
    >>> cached = CachedDataset(LocalDataset(root))
    >>> cached[1] is cached[1]
    True
    """

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset
        self._kept: dict[int, Episode] = {}

    def __len__(self) -> int:
        return len(self._dataset)

    def _get_episode(self, index: int) -> Episode:
        if index not in self._kept:
            self._kept[index] = self._dataset[index]
        return self._kept[index]

    @property
    def meta(self) -> dict[str, Any]:
        return self._dataset.meta


def _numbered(directory: Path) -> list[Path]:
    """Directories named by 12 digits, in their order."""
    names = (path for path in directory.iterdir() if len(path.name) == 12 and path.name.isdigit())
    return sorted(path for path in names if path.is_dir())


class LocalDataset(Dataset):
    """The finished episodes below a directory: ``000000001000/000000001234`` is episode 1234.

    >>> import tempfile
    >>> from presence.dataset import LocalDataset, LocalDatasetWriter
    >>> root = tempfile.mkdtemp()
    >>> for number in range(3):
    ...     with LocalDatasetWriter(root).new_episode() as episode:
    ...         episode.set_static("task", f"wave {number}")
    ...         episode.append("level", 0.5 * number, 1_000)
    >>> LocalDataset(root)[1].time[1_000]
    {'task': 'wave 1', 'level': 0.5}
    """

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self.root = Path(root).expanduser()
        if not self.root.exists():
            raise MissingError(f"Dataset directory {self.root} does not exist")
        self._paths = [
            path
            for block in _numbered(self.root)
            for path in _numbered(block)
            if not (path / UNFINISHED).exists()
        ]

    def __len__(self) -> int:
        return len(self._paths)

    def _get_episode(self, index: int) -> Episode:
        return DiskEpisode(self._paths[index])


class DatasetWriter(ABC):
    """Records episodes.

    >>> import tempfile
    >>> from presence.dataset import DatasetWriter, LocalDatasetWriter
    >>> with LocalDatasetWriter(tempfile.mkdtemp()) as writer:
    ...     with writer.new_episode() as episode:
    ...         episode.append("level", 0.5, 1_000)
    >>> isinstance(writer, DatasetWriter)
    True
    """

    @abstractmethod
    def new_episode(self) -> EpisodeWriter[Any]:
        """The writer of a new episode."""

    def __enter__(self) -> DatasetWriter:
        return self

    def __exit__(self, exc_type: Any, exc: Any, tb: Any) -> None:
        return None


class LocalDatasetWriter(DatasetWriter):
    """Records episodes below a directory, behind those that are there. Several writers, of several
    processes, may do so at once.

    >>> import tempfile
    >>> from presence.dataset import LocalDataset, LocalDatasetWriter
    >>> root = tempfile.mkdtemp()
    >>> for number in range(3):
    ...     with LocalDatasetWriter(root).new_episode() as episode:
    ...         episode.set_static("task", f"wave {number}")
    ...         episode.append("level", 0.5 * number, 1_000)
    >>> [episode["task"] for episode in LocalDataset(root)]
    ['wave 0', 'wave 1', 'wave 2']
    """

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self.root = Path(root).expanduser()
        self.root.mkdir(parents=True, exist_ok=True)
        numbers = (int(path.name) for block in _numbered(self.root) for path in _numbered(block))
        self._next = max(numbers, default=-1) + 1

    def new_episode(self, *, created_ts_ns: int | None = None) -> DiskEpisodeWriter[Any]:
        while True:
            number = self._next
            self._next += 1
            block = self.root / f"{number // _BLOCK * _BLOCK:012d}"
            try:
                return DiskEpisodeWriter(block / f"{number:012d}", created_ts_ns=created_ts_ns)
            except FileExistsError:
                # Another writer has taken it.
                continue


def load_all_datasets(root: str | os.PathLike[str]) -> Dataset:
    """The episodes of all datasets in a tree of directories, the nearest to its root first.

    >>> import tempfile
    >>> from presence.dataset import LocalDatasetWriter, load_all_datasets
    >>> root = tempfile.mkdtemp()
    >>> for number in range(3):
    ...     with LocalDatasetWriter(root).new_episode() as episode:
    ...         episode.set_static("task", f"wave {number}")
    ...         episode.append("level", 0.5 * number, 1_000)
    >>> len(load_all_datasets(root))
    3
    """
    top = Path(root).expanduser()
    if not top.exists():
        raise MissingError(f"Directory {top} does not exist")
    if not top.is_dir():
        raise InvalidError(f"{top} is not a directory")
    found: list[Dataset] = []
    folders = [top]
    # Those behind are added while those in front are looked at.
    for folder in folders:
        dataset = LocalDataset(folder)
        if len(dataset):
            found.append(dataset)
        numbered = set(_numbered(folder))
        inner = (path for path in folder.iterdir() if path.is_dir() and path not in numbered)
        folders += sorted(inner)
    if not found:
        raise InvalidError(f"No valid datasets found in {top}")
    return found[0] if len(found) == 1 else ConcatDataset(*found)
