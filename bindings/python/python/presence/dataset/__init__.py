"""Signals, episodes and datasets under the names that many know.

The names, arguments and results are those of ``positronic``'s dataset, of its first days (streams)
and now (signals): change the import, and a program runs on the engine.

>>> import tempfile, pathlib
>>> from presence.dataset import SimpleSignal, SimpleSignalWriter
>>> path = pathlib.Path(tempfile.mkdtemp()) / "force.signal"
>>> with SimpleSignalWriter(path) as writer:
...     for step in range(5):
...         writer.append(step * 0.5, 1_000 * (step + 1))
>>> signal = SimpleSignal(path)
>>> signal.time[2_500]
(0.5, 2000)
>>> [(float(value), ts) for value, ts in signal.time[1_500:3_500]]
[(0.0, 1500), (0.5, 2000), (1.0, 3000)]

A file is a sealed segment of the engine's (a directory of several beyond 512 MiB), checksummed,
compressed and read where it is asked for; ``presence.open`` reads it, too. Parquet of positronic's
is read in its place, and ``SimpleSignal.to_parquet`` and ``from_parquet`` lead both ways without
loss.

What was wrong there and is not here:

- A file appears when it is whole. What a killed process had recorded is in ``<file>.partial``, a
  database that ``presence.open`` opens.
- Iterating a view is linear; a view of a view costs no more than one of the signal.
- One record is read without the others; an episode keeps its signals open.
- Values of any shape are written, images without loss.
- A time with a fraction, or of a number that is no integer of numpy's, is an error when written
  (it was cut off); numpy's integers are times when read (they were errors).
- Arrays of indices are not changed. A view whose times are not in order does not answer by time
  with wrong data: it is an ``InvalidError``.
- The names of ``extra_ts`` are checked at every append.
- An array after numbers is refused when it is appended (the episode was lost at its end).
- Several writers of one dataset do not collide.

Not stored are values of text, bytes and ``None``: they are a ``SchemaError``. Not here are
positronic's videos, edits, remote datasets and transforms.
"""

from .episode import DiskEpisode, DiskEpisodeWriter, Episode, EpisodeWriter
from .local import (
    CachedDataset,
    ConcatDataset,
    Dataset,
    DatasetWriter,
    FilterDataset,
    LocalDataset,
    LocalDatasetWriter,
    load_all_datasets,
)
from .signal import Kind, Signal, SignalMeta
from .storage import (
    SignalWriter,
    SimpleSignal,
    SimpleSignalWriter,
    SimpleStream,
    SimpleStreamWriter,
    Stream,
    StreamWriter,
)

__all__ = [
    "CachedDataset",
    "ConcatDataset",
    "Dataset",
    "DatasetWriter",
    "DiskEpisode",
    "DiskEpisodeWriter",
    "Episode",
    "EpisodeWriter",
    "FilterDataset",
    "Kind",
    "LocalDataset",
    "LocalDatasetWriter",
    "Signal",
    "SignalMeta",
    "SignalWriter",
    "SimpleSignal",
    "SimpleSignalWriter",
    "SimpleStream",
    "SimpleStreamWriter",
    "Stream",
    "StreamWriter",
    "load_all_datasets",
]
