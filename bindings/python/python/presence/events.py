"""Recordings of event cameras: read, filter, represent, convert.

Times are microseconds of the camera's clock, polarities 1 (the light rose) and 0 (it fell).

>>> import numpy as np
>>> from presence import events
>>> some = events.Events(np.array([0, 10, 20]), np.array([1, 1, 5], np.uint16),
...                      np.array([2, 2, 6], np.uint16), np.array([1, 0, 1], np.int8))
>>> events.window(some, 0, 20)
<presence.events.Events: 2 events>
>>> events.filter(some, refractory_us=15).t
array([ 0, 20])
>>> events.represent(some, "voxel_grid", height=8, width=8, bins=4).shape
(4, 8, 8)
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _native
from ._native import Events
from .errors import InvalidError

if TYPE_CHECKING:
    import polars as pl

#: Formats that are written, by the ends of names that say them.
WRITTEN = {
    ".aedat4": "aedat4",
    ".csv": "text",
    ".dat": "dat",
    ".h5": "hdf5",
    ".hdf5": "hdf5",
    ".raw": "evt3",
    ".txt": "text",
}

#: The grids of ``represent``.
GRIDS = ("stacked_histogram", "event_frame", "voxel_grid", "mixed_density", "time_surface")


def detect(path: str | os.PathLike[str]) -> str:
    """The format of a file by its content: ``evt2``, ``evt2.1``, ``evt3``, ``dat``, ``aedat1`` to
    ``aedat4``, ``es``, ``bin40``, ``hdf5`` or ``text``.

    >>> import pathlib, tempfile
    >>> from presence import events
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "some.txt"
    >>> _ = path.write_text("0.000001 3 4 1\\n")
    >>> events.detect(path)
    'text'
    """
    return _native.events_format(path)


def read(
    path: str | os.PathLike[str],
    *,
    format: str | None = None,
    time_unit: str = "auto",
    columns: str | None = None,
    progress: Callable[[int, int], object] | bool | None = None,
) -> Events:
    """All events of a file, in its order; what is damaged is left out.

    Of text, ``time_unit`` (``s``, ``ms``, ``us``, ``ns``) and ``columns`` (such as ``x,y,p,t``)
    say what it does not say itself. ``progress(done, all)`` is told bytes; ``True`` is a bar.

    >>> import pathlib, tempfile
    >>> from presence import events
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "some.txt"
    >>> _ = path.write_text("0.000001 3 4 1\\n0.000002 5 6 0\\n")
    >>> events.read(path, time_unit="s", columns="t,x,y,p").x
    array([3, 5], dtype=uint16)
    """
    return Events.read(
        path, format=format, time_unit=time_unit, columns=columns, progress=progress
    )


def window(events: Events, start: int, end: int) -> Events:
    """The events from ``start`` to before ``end``, microseconds.

    >>> import numpy as np
    >>> from presence import events
    >>> x = np.zeros(4, np.uint16)
    >>> some = events.Events(np.array([0, 10, 20, 30]), x, x, np.ones(4, np.int8))
    >>> events.window(some, 10, 30).t
    array([10, 20])
    """
    if start >= end:
        return events.select(first=1, last=0)
    return events.select(first=start, last=end - 1)


def filter(
    events: Events,
    *,
    start: int | None = None,
    end: int | None = None,
    rois: Sequence[tuple[int, int, int, int]] | None = None,
    polarity: int | None = None,
    hot_pixels: bool | float = False,
    refractory_us: int | None = None,
    neighbours_us: int | None = None,
) -> Events:
    """Those that all rules keep, which are applied in the order of the arguments.

    From ``start`` to before ``end`` (microseconds); in any of the rectangles ``(x_min, x_max,
    y_min, y_max)``, borders included; of a polarity; not of hot pixels (``True``: far more active
    than their neighbours; a number: above this percentile of active pixels); more than
    ``refractory_us`` after the one before of their pixel; with one of the 8 pixels around active
    within ``neighbours_us`` before. The last two put events into the order of time.

    >>> import numpy as np
    >>> from presence import events
    >>> x = np.array([1, 2, 1, 9], np.uint16)
    >>> some = events.Events(np.array([0, 10, 20, 30]), x, x, np.ones(4, np.int8))
    >>> events.filter(some, rois=[(0, 5, 0, 5)], refractory_us=50).t
    array([ 0, 10])
    """
    last = None if end is None else end - 1
    events = events.select(first=start, last=last, rois=rois, polarity=polarity)
    if hot_pixels is not False:
        events = events.without_hot_pixels(None if hot_pixels is True else hot_pixels)
    if refractory_us is not None:
        events = events.sorted().refractory(refractory_us)
    if neighbours_us is not None:
        events = events.sorted().with_neighbours(neighbours_us)
    return events


def represent(events: Events, kind: str, *, height: int, width: int, **options: Any) -> np.ndarray:
    """Events as a grid of numbers, x last.

    ``stacked_histogram`` (``bins``, ``window_us``) and ``event_frame`` (``bins``) count by bin of
    time and polarity; ``voxel_grid`` (``bins``) spreads polarities over the two nearest bins;
    ``mixed_density`` (``levels``) is sums and counts; ``time_surface`` (``at``, ``tau_us``) is how
    long ago each pixel fired.

    >>> import numpy as np
    >>> from presence import events
    >>> x = np.array([1, 2, 1, 3], np.uint16)
    >>> some = events.Events(np.array([0, 10, 20, 30]), x, x, np.array([1, 1, 0, 0], np.int8))
    >>> grid = events.represent(some, "event_frame", height=4, width=4, bins=2)
    >>> grid.shape, grid.sum(axis=(2, 3)).tolist()
    ((2, 2, 4, 4), [[0, 2], [2, 0]])
    """
    if kind not in GRIDS:
        raise InvalidError(f"{kind!r} is none of {', '.join(GRIDS)}")
    return getattr(_native, kind)(events, height=height, width=width, **options)


def to_polars(events: Events) -> pl.DataFrame:
    """Events as a frame of polars: ``x``, ``y``, ``t`` (a duration) and ``polarity`` (-1 or 1).

    >>> import numpy as np
    >>> from presence import events
    >>> x = np.array([1, 2], np.uint16)
    >>> some = events.Events(np.array([0, 10]), x, x, np.array([1, 0], np.int8))
    >>> events.to_polars(some)["polarity"].to_list()
    [1, -1]
    """
    from ._frames import to_frame

    return to_frame(events)


def convert(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    format: str | None = None,
    time_unit: str = "auto",
    columns: str | None = None,
) -> int:
    """Writes the events of a file in another format, which the name says where ``format`` does
    not (``.aedat4``, ``.dat``, ``.h5``, ``.raw``, ``.txt``). How many they are.

    >>> import pathlib, tempfile
    >>> from presence import events
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> _ = (folder / "some.txt").write_text("0.000001 3 4 1\\n0.000002 5 6 0\\n")
    >>> columns = {"time_unit": "s", "columns": "t,x,y,p"}
    >>> events.convert(folder / "some.txt", folder / "some.raw", **columns)
    2
    >>> events.detect(folder / "some.raw")
    'evt3'
    """
    if format is None:
        format = WRITTEN.get(Path(target).suffix.lower())
    if format is None:
        raise InvalidError(f"{os.fspath(target)!r} does not say its format")
    events = read(source, time_unit=time_unit, columns=columns)
    events.write(target, format)
    return len(events)


__all__ = ["Events", "convert", "detect", "filter", "read", "represent", "to_polars", "window"]
