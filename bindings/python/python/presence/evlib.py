"""Events of cameras under the names that many know.

The names, arguments, rules and schemas (``x: Int16, y: Int16, t: Duration(us), polarity: Int8``)
are those of ``evlib``: change the import, and a program runs on the engine. Every function takes a
path, a frame of polars (lazy or not), ``presence.events.Events``, or a stored stream of events.

>>> import polars as pl
>>> from presence import evlib
>>> events = pl.DataFrame({"x": [1, 1, 9], "y": [2, 2, 9], "t": [0, 400, 2_000],
...                        "polarity": [1, -1, 1]}, schema=evlib.SCHEMA)
>>> evlib.filter_noise(events, refractory_period_us=1_000).collect()["x"].to_list()
[1, 9]
>>> evlib.create_event_frame(events, height=10, width=10, n_time_bins=2)["count"].sum()
3

What was wrong there and is not here:

- Times in text are exact, not cut to a microsecond below. Whole numbers are not taken for seconds:
  where no header says their unit, ``time_unit`` has to.
- The polarity of every file is -1 or 1. Frames keep theirs; 0 and -1 are both off.
- A file that damage or a malformed line is in is read as far as it goes, not refused; columns may
  be apart by commas. DAT, Event Stream and N-MNIST's files are read, too.
- ``pathlib.Path`` is a path everywhere. A pixel beyond 32767 is an error, not another pixel.
- Errors are those of ``presence.errors``, which are ``ValueError`` or ``OSError``, too.
- Event frames and voxel grids count the last event, and what is left of the span goes to the last
  bin; time surfaces have the last, incomplete slice.
- ``time_surface`` works.
- ``filter_by_activity`` is there, and all filters are at the top of the module as well.
- Text is written with all digits of its times and appears when it is whole.

What looks at one event alone (time, region, polarity) stays lazy and keeps all columns of a lazy
frame; the others read the four. ``engine`` is accepted and means nothing.
"""

from __future__ import annotations

import math
import os
import sys
import types
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import polars as pl

from . import _native
from ._frames import SCHEMA, EventsLike, is_path, read, to_events, to_frame, to_lazy
from ._native import Events
from .errors import IncompatibleError, InvalidError

_MAGIC_HDF5 = b"\x89HDF\r\n\x1a\n"

#: The engine's names of formats as ``detect_format`` tells them, and how they are found.
_FORMATS = {
    "evt2": ("EVT2", 0.95, "evt2_header"),
    "evt2.1": ("EVT2.1", 0.95, "evt21_header"),
    "evt3": ("EVT3", 0.95, "evt3_header"),
    "dat": ("DAT", 0.95, "dat_header"),
    "aedat1": ("AEDAT 1.0", 0.9, "aedat1_header"),
    "aedat2": ("AEDAT 2.0", 0.9, "aedat2_header"),
    "aedat3": ("AEDAT 3.1", 0.9, "aedat3_header"),
    "aedat4": ("AEDAT 4.0", 0.9, "aedat4_header"),
    "es": ("Event Stream", 0.95, "es_header"),
    "bin40": ("Binary", 0.6, "content"),
    "text": ("Text", 0.9, "text_analysis"),
}

_DESCRIPTIONS = {
    "EVT2": "EVT2 format (Prophesee binary events)",
    "EVT2.1": "EVT2.1 format (Prophesee binary events)",
    "EVT3": "EVT3 format (Prophesee binary events)",
    "DAT": "DAT format (Prophesee binary events)",
    "AEDAT 1.0": "AEDAT 1.0 format (jAER binary events)",
    "AEDAT 2.0": "AEDAT 2.0 format (jAER binary events)",
    "AEDAT 3.1": "AEDAT 3.1 format (cAER binary events)",
    "AEDAT 4.0": "AEDAT 4.0 format (DV binary events)",
    "Event Stream": "Event Stream format (.es)",
    "Binary": "40 bits an event (N-MNIST, N-Caltech101)",
    "HDF5": "HDF5 format (hierarchical data)",
    "Text": "Text format (one event a line)",
}


def detect_format(path: str | os.PathLike[str]) -> tuple[str, float, dict[str, str]]:
    """The format of a file, how sure that is (0 to 1), and how it was found.

    >>> import pathlib, tempfile
    >>> from presence import evlib
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "events.txt"
    >>> evlib.save_events_to_text([1, 3], [2, 0], [0.0, 0.002], [1, -1], path)
    >>> evlib.detect_format(path)[0]
    'Text'
    """
    with open(path, "rb") as file:
        if file.read(len(_MAGIC_HDF5)) == _MAGIC_HDF5:
            return "HDF5", 0.95, {"detection_method": "magic_bytes"}
    try:
        name, sure, how = _FORMATS[_native.events_format(path)]
    except (InvalidError, IncompatibleError):
        return "Unknown", 0.0, {"detection_method": "content"}
    return name, sure, {"detection_method": how}


def get_format_description(format_name: str) -> str:
    """A format, as ``detect_format`` names it, in words.

    >>> from presence import evlib
    >>> evlib.get_format_description("EVT3")
    'EVT3 format (Prophesee binary events)'
    """
    return _DESCRIPTIONS.get(format_name, "Unknown format")


def load_events(
    path: str | os.PathLike[str],
    t_start: float | None = None,
    t_end: float | None = None,
    min_x: int | None = None,
    max_x: int | None = None,
    min_y: int | None = None,
    max_y: int | None = None,
    polarity: int | None = None,
    sort: bool = True,
    *,
    time_unit: str = "auto",
    columns: str | None = None,
) -> pl.LazyFrame:
    """The events of a file, in the order of time unless ``sort`` is false.

    Times are seconds; all bounds are included. ``time_unit`` (``"s"``, ``"ms"``, ``"us"``,
    ``"ns"``) and ``columns`` (such as ``"t,x,y,p"``) say how to read text that does not say it.

    >>> import pathlib, tempfile
    >>> from presence import evlib
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "events.txt"
    >>> evlib.save_events_to_text([1, 3], [2, 0], [0.0, 0.002], [1, -1], path)
    >>> evlib.load_events(path, time_unit="s", min_x=2).collect().rows()
    [(3, 0, datetime.timedelta(microseconds=2000), -1)]
    """
    events = read(path, time_unit, columns)
    if any(bound is not None for bound in (t_start, t_end, min_x, max_x, min_y, max_y, polarity)):
        low, high = 0, 0xFFFF
        roi = (
            low if min_x is None else min_x,
            high if max_x is None else max_x,
            low if min_y is None else min_y,
            high if max_y is None else max_y,
        )
        events = _select(events, t_start, t_end, [roi], polarity, -1)
    return to_frame(events.sorted() if sort else events).lazy()


def _microseconds(t_start: float | None, t_end: float | None) -> tuple[int | None, int | None]:
    """The first and the last whole microsecond from ``t_start`` to ``t_end`` seconds."""
    limit = 2**63 - 1

    def whole(seconds: float | None, rounded: Any) -> int | None:
        if seconds is None:
            return None
        us = seconds * 1_000_000
        if math.isnan(us):
            raise InvalidError("a bound of time is not a number")
        return (
            max(-limit, min(limit, rounded(us)))
            if math.isfinite(us)
            else int(math.copysign(limit, us))
        )

    return whole(t_start, math.ceil), whole(t_end, math.floor)


def _clip(roi: Sequence[int]) -> tuple[int, int, int, int] | None:
    """A rectangle as far as there are pixels; ``None`` where there are none in it."""
    x_min, x_max, y_min, y_max = roi
    clipped = max(x_min, 0), min(x_max, 0xFFFF), max(y_min, 0), min(y_max, 0xFFFF)
    if clipped[0] > clipped[1] or clipped[2] > clipped[3]:
        return None
    return clipped


def _asked(
    t_start: float | None,
    t_end: float | None,
    rois: Sequence[Sequence[int]] | None,
    polarity: int | Iterable[int] | None,
    off: int,
) -> tuple[int | None, int | None, list[tuple[int, int, int, int]] | None, int | None]:
    """The first and last time, rectangles and polarity as the engine takes them."""
    first, last = _microseconds(t_start, t_end)
    clipped = None
    if rois:
        clipped = [found for found in map(_clip, rois) if found is not None]
        if not clipped:
            # No pixel can be in it, and no rectangles would be all of them.
            first, last = 1, 0
    wanted = None
    if polarity is not None:
        known = {off: 0, 1: 1}
        values = {known[value] for value in _values(polarity) if value in known}
        if not values:
            first, last = 1, 0
        elif len(values) == 1:
            wanted = values.pop()
    return first, last, clipped, wanted


def _select(
    events: Events,
    t_start: float | None,
    t_end: float | None,
    rois: Sequence[Sequence[int]] | None,
    polarity: int | Iterable[int] | None,
    off: int,
) -> Events:
    first, last, clipped, wanted = _asked(t_start, t_end, rois, polarity, off)
    return events.select(first=first, last=last, rois=clipped, polarity=wanted)


def _values(polarity: int | Iterable[int]) -> list[int]:
    if isinstance(polarity, (int, float, np.number)):
        return [int(polarity)]
    return [int(value) for value in polarity]


def filter_by_time(
    events: EventsLike,
    t_start: float | None = None,
    t_end: float | None = None,
    engine: Any = "auto",
) -> pl.LazyFrame:
    """Events from ``t_start`` to ``t_end`` seconds, both included.

    >>> import polars as pl
    >>> from presence import evlib
    >>> rows = [(1, 2, 0, 1), (1, 2, 400, -1), (3, 0, 2_000, 1)]
    >>> events = pl.DataFrame(rows, evlib.SCHEMA, orient="row")
    >>> evlib.filter_by_time(events, t_end=0.001).collect()["x"].to_list()
    [1, 1]
    """
    if is_path(events):
        return to_frame(_select(to_events(events)[0], t_start, t_end, None, None, -1)).lazy()
    frame = to_lazy(events)
    first, last = _microseconds(t_start, t_end)
    t = pl.col("t").dt.total_microseconds()
    if first is not None:
        frame = frame.filter(t >= first)
    if last is not None:
        frame = frame.filter(t <= last)
    return frame


def filter_by_roi(
    events: EventsLike, x_min: int, x_max: int, y_min: int, y_max: int, engine: Any = "auto"
) -> pl.LazyFrame:
    """Events of a rectangle of pixels, its borders included.

    >>> import polars as pl
    >>> from presence import evlib
    >>> rows = [(1, 2, 0, 1), (1, 2, 400, -1), (3, 0, 2_000, 1)]
    >>> events = pl.DataFrame(rows, evlib.SCHEMA, orient="row")
    >>> evlib.filter_by_roi(events, 2, 3, 0, 3).collect()["x"].to_list()
    [3]
    """
    if x_min > x_max:
        raise InvalidError(f"invalid ROI: x_min ({x_min}) > x_max ({x_max})")
    if y_min > y_max:
        raise InvalidError(f"invalid ROI: y_min ({y_min}) > y_max ({y_max})")
    return filter_multiple_rois(events, [(x_min, x_max, y_min, y_max)], engine)


def filter_multiple_rois(
    events: EventsLike, rois: Sequence[Sequence[int]], engine: Any = "auto"
) -> pl.LazyFrame:
    """Events of any of the rectangles ``(x_min, x_max, y_min, y_max)``; all, where there are none
    of them.

    >>> import polars as pl
    >>> from presence import evlib
    >>> rows = [(1, 2, 0, 1), (1, 2, 400, -1), (3, 0, 2_000, 1)]
    >>> events = pl.DataFrame(rows, evlib.SCHEMA, orient="row")
    >>> evlib.filter_multiple_rois(events, [(0, 0, 0, 3), (3, 3, 0, 0)]).collect()["x"].to_list()
    [3]
    """
    if is_path(events):
        return to_frame(_select(to_events(events)[0], None, None, rois, None, -1)).lazy()
    frame = to_lazy(events)
    inside = [
        pl.col("x").is_between(x_min, x_max) & pl.col("y").is_between(y_min, y_max)
        for x_min, x_max, y_min, y_max in rois
    ]
    return frame.filter(pl.any_horizontal(inside)) if inside else frame


def filter_by_polarity(
    events: EventsLike, polarity: int | Iterable[int], engine: Any = "auto"
) -> pl.LazyFrame:
    """Events of one or several polarities.

    >>> import polars as pl
    >>> from presence import evlib
    >>> rows = [(1, 2, 0, 1), (1, 2, 400, -1), (3, 0, 2_000, 1)]
    >>> events = pl.DataFrame(rows, evlib.SCHEMA, orient="row")
    >>> evlib.filter_by_polarity(events, -1).collect()["x"].to_list()
    [1]
    """
    values = _values(polarity)
    if is_path(events):
        return to_frame(_select(to_events(events)[0], None, None, None, values, -1)).lazy()
    return to_lazy(events).filter(pl.col("polarity").is_in(values))


def filter_hot_pixels(
    events: EventsLike, threshold_percentile: float | None = None, engine: Any = "auto"
) -> pl.LazyFrame:
    """Without the events of pixels that have more of them than a percentile (99.9) of all pixels
    that have any.

    >>> import polars as pl
    >>> from presence import evlib
    >>> rows = [(1, 2, 0, 1), (1, 2, 400, -1), (3, 0, 2_000, 1)]
    >>> events = pl.DataFrame(rows, evlib.SCHEMA, orient="row")
    >>> evlib.filter_hot_pixels(events, threshold_percentile=10).collect()["x"].to_list()
    [3]
    """
    given, off = to_events(events)
    percentile = 99.9 if threshold_percentile is None else threshold_percentile
    return to_frame(given.without_hot_pixels(percentile), off).lazy()


def filter_noise(
    events: EventsLike,
    method: str | None = None,
    refractory_period_us: float | None = None,
    engine: Any = "auto",
) -> pl.LazyFrame:
    """Without noise, in the order of time.

    ``"refractory"``: an event is kept where the one before of its pixel, kept or not, was more
    than the period (1000) before. ``"refractory_kept"``: where the one that was kept before was.
    ``"neighbours"``: where one of the 8 pixels around fired within the period before.

    >>> import polars as pl
    >>> from presence import evlib
    >>> rows = [(1, 2, 0, 1), (1, 2, 400, -1), (3, 0, 2_000, 1)]
    >>> events = pl.DataFrame(rows, evlib.SCHEMA, orient="row")
    >>> evlib.filter_noise(events, refractory_period_us=1_000).collect()["x"].to_list()
    [1, 3]
    """
    if method not in (None, "refractory", "refractory_kept", "neighbours"):
        raise InvalidError(f"Unknown noise filtering method: {method!r}")
    given, off = to_events(events)
    period = _period(refractory_period_us)
    given = given.sorted()
    if method == "neighbours":
        given = given.with_neighbours(period)
    else:
        given = given.refractory(period, by_kept=method == "refractory_kept")
    return to_frame(given, off).lazy()


def _period(refractory_period_us: float | None) -> int:
    """Whole microseconds: what is more than it is more than its fraction, too."""
    if refractory_period_us is None:
        return 1000
    if not math.isfinite(refractory_period_us):
        raise InvalidError(f"a period of {refractory_period_us} microseconds")
    return math.floor(refractory_period_us)


def filter_by_activity(
    events: EventsLike,
    min_events: int,
    max_events: int | None = None,
    window_us: int = 10_000,
    engine: Any = "auto",
) -> pl.LazyFrame:
    """Events of windows of time that hold ``min_events`` to ``max_events`` of them, in the order
    of time. Windows begin at multiples of ``window_us``.

    >>> import polars as pl
    >>> from presence import evlib
    >>> rows = [(1, 2, 0, 1), (1, 2, 400, -1), (3, 0, 2_000, 1)]
    >>> events = pl.DataFrame(rows, evlib.SCHEMA, orient="row")
    >>> evlib.filter_by_activity(events, min_events=2, window_us=1_000).collect()["x"].to_list()
    [1, 1]
    """
    if window_us < 1:
        raise InvalidError(f"a window of {window_us} microseconds")
    given, off = to_events(events)
    return to_frame(given.sorted().active(window_us, min_events, max_events), off).lazy()


def preprocess_events(
    events: EventsLike,
    t_start: float | None = None,
    t_end: float | None = None,
    roi: Sequence[int] | None = None,
    polarity: int | Iterable[int] | None = None,
    remove_hot_pixels: bool = True,
    hot_pixel_threshold: float = 99.9,
    denoise: bool = True,
    refractory_period_us: float = 1000.0,
    engine: Any = "auto",
) -> pl.LazyFrame:
    """Time, region, polarity, hot pixels and refractory period, in this order.

    >>> import polars as pl
    >>> from presence import evlib
    >>> rows = [(1, 2, 0, 1), (1, 2, 400, -1), (3, 0, 2_000, 1)]
    >>> events = pl.DataFrame(rows, evlib.SCHEMA, orient="row")
    >>> evlib.preprocess_events(events, roi=(0, 1, 0, 2)).collect()["x"].to_list()
    [1]
    """
    if roi is not None:
        x_min, x_max, y_min, y_max = roi
        if x_min > x_max or y_min > y_max:
            raise InvalidError(f"invalid ROI: {tuple(roi)}")
    given, off = to_events(events)
    rois = None if roi is None else [roi]
    first, last, clipped, wanted = _asked(t_start, t_end, rois, polarity, off)
    kept = (given.sorted() if denoise else given).preprocessed(
        first=first,
        last=last,
        roi=None if clipped is None else clipped[0],
        polarity=wanted,
        percentile=hot_pixel_threshold if remove_hot_pixels else None,
        period_us=_period(refractory_period_us) if denoise else None,
    )
    return to_frame(kept, off).lazy()


def _columns(xs: Any, ys: Any, ts: Any, ps: Any) -> tuple[np.ndarray, ...]:
    x, y, p = np.asarray(xs), np.asarray(ys), np.asarray(ps)
    seconds = np.asarray(ts, dtype=np.float64)
    if not len(x) == len(y) == len(p) == len(seconds):
        raise InvalidError("Arrays must have the same length")
    if len(x) and not (0 <= min(x.min(), y.min()) and max(x.max(), y.max()) <= 0xFFFF):
        raise InvalidError("pixels are 0 to 65535")
    return x.astype(np.uint16), y.astype(np.uint16), seconds, np.sign(p).astype(np.int8)


def save_events_to_text(xs: Any, ys: Any, ts: Any, ps: Any, path: str | os.PathLike[str]) -> None:
    """Writes arrays of events as text, ``t x y p`` in a line; ``ts`` are seconds.

    Times are rounded to the nearest microsecond; a polarity above 0 is 1, others 0.

    >>> import pathlib, tempfile
    >>> from presence import evlib
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "events.txt"
    >>> evlib.save_events_to_text([1, 3], [2, 0], [0.0, 0.002], [1, -1], path)
    >>> print(path.read_text(), end="")
    0.000000 1 2 1
    0.002000 3 0 0
    """
    x, y, seconds, p = _columns(xs, ys, ts, ps)
    t = np.rint(seconds * 1e6).astype(np.int64)
    Events(t, x, y, p).write(path, "text")


def save_events_to_hdf5(xs: Any, ys: Any, ts: Any, ps: Any, path: str | os.PathLike[str]) -> None:
    """Writes arrays of events as ``/events/xs``, ``ys``, ``ts`` (seconds) and ``ps`` of an HDF5
    file, which appears when it is whole. Needs h5py.

    >>> import h5py, pathlib, tempfile
    >>> from presence import evlib
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "events.h5"
    >>> evlib.save_events_to_hdf5([1, 3], [2, 0], [0.0, 0.002], [1, -1], path)
    >>> with h5py.File(path) as file:
    ...     print(file["events/xs"][:])
    [1 3]
    """
    import h5py

    x, y, seconds, p = _columns(xs, ys, ts, ps)
    partial = f"{os.fspath(path)}.partial"
    with h5py.File(partial, "w") as file:
        group = file.create_group("events")
        for name, values in (("xs", x), ("ys", y), ("ts", seconds), ("ps", p)):
            group.create_dataset(name, data=values, compression="gzip" if len(values) else None)
    os.replace(partial, path)


def _cells(grid: np.ndarray, off: int) -> pl.DataFrame:
    """The cells of ``[bin, polarity, y, x]`` that are not 0, in their order."""
    time_bin, polarity, y, x = np.nonzero(grid)
    return pl.DataFrame(
        {
            "time_bin": time_bin.astype(np.int32),
            "polarity": np.where(polarity == 0, off, 1).astype(np.int8),
            "y": y.astype(np.int16),
            "x": x.astype(np.int16),
            "count": grid[time_bin, polarity, y, x],
        }
    )


def create_stacked_histogram(
    events: EventsLike,
    height: int,
    width: int,
    bins: int = 10,
    window_duration_ms: float = 50.0,
    engine: Any = "auto",
) -> pl.DataFrame:
    """Counts by bin of time, polarity, y and x; bins are ``window_duration_ms`` each, from the
    first event on, and what is behind the last one is left out.

    >>> import polars as pl
    >>> from presence import evlib
    >>> rows = [(1, 2, 0, 1), (1, 2, 400, -1), (3, 0, 2_000, 1)]
    >>> events = pl.DataFrame(rows, evlib.SCHEMA, orient="row")
    >>> evlib.create_stacked_histogram(events, 3, 4, bins=2, window_duration_ms=2).rows()
    [(0, -1, 2, 1, 1), (0, 1, 2, 1, 1), (1, 1, 0, 3, 1)]
    """
    given, off = to_events(events)
    window_us = round(window_duration_ms * 1000)
    return _cells(_native.stacked_histogram(given, height, width, bins, window_us), off)


def create_event_frame(
    events: EventsLike, height: int, width: int, n_time_bins: int = 10, engine: Any = "auto"
) -> pl.DataFrame:
    """Counts by bin of time, polarity (0 or 1), y and x; bins cut all the time into equal parts.

    >>> import polars as pl
    >>> from presence import evlib
    >>> rows = [(1, 2, 0, 1), (1, 2, 400, -1), (3, 0, 2_000, 1)]
    >>> events = pl.DataFrame(rows, evlib.SCHEMA, orient="row")
    >>> evlib.create_event_frame(events, 3, 4, n_time_bins=2).rows()
    [(0, 0, 2, 1, 1), (0, 1, 2, 1, 1), (1, 1, 0, 3, 1)]
    """
    given, _ = to_events(events)
    return _cells(_native.event_frame(given, height, width, n_time_bins), 0)


def create_voxel_grid(
    events: EventsLike, height: int, width: int, n_time_bins: int = 5, engine: Any = "auto"
) -> pl.DataFrame:
    """Polarities spread over the two nearest bins of time, summed by x, y and bin.

    >>> import polars as pl
    >>> from presence import evlib
    >>> rows = [(1, 2, 0, 1), (1, 2, 400, -1), (3, 0, 2_000, 1)]
    >>> events = pl.DataFrame(rows, evlib.SCHEMA, orient="row")
    >>> evlib.create_voxel_grid(events, 3, 4, n_time_bins=3).rows()
    [(1, 2, 0, 0.6000000238418579), (1, 2, 1, -0.6000000238418579), (3, 0, 2, 1.0)]
    """
    given, _ = to_events(events)
    grid = _native.voxel_grid(given, height, width, n_time_bins)
    time_bin, y, x = np.nonzero(grid)
    return pl.DataFrame(
        {
            "x": x.astype(np.int16),
            "y": y.astype(np.int16),
            "time_bin": time_bin.astype(np.int32),
            "contribution": grid[time_bin, y, x].astype(np.float64),
        }
    )


voxel_grid = create_voxel_grid


def create_time_surface(
    events: EventsLike, height: int, width: int, dt: float, tau: float, engine: Any = "auto"
) -> pl.DataFrame:
    """When each pixel fired last in each slice of ``dt`` microseconds, by slice, polarity (0 or
    1), y and x; ``densify_time_surface`` lets it fade with ``tau``.

    >>> import polars as pl
    >>> from presence import evlib
    >>> rows = [(1, 2, 0, 1), (1, 2, 400, -1), (3, 0, 2_000, 1)]
    >>> events = pl.DataFrame(rows, evlib.SCHEMA, orient="row")
    >>> evlib.create_time_surface(events, 3, 4, dt=1_000, tau=500).rows()
    [(0, 0, 2, 1, 400.0), (0, 1, 2, 1, 0.0), (2, 1, 0, 3, 2000.0)]
    """
    given, _ = to_events(events)
    columns = _native.last_times(given.sorted(), height, width, dt)
    names = ("slice", "polarity", "y", "x", "last_t")
    return pl.DataFrame(dict(zip(names, columns, strict=True)))


def create_mixed_density_stack(
    events: EventsLike, height: int, width: int, engine: Any = "auto"
) -> pl.DataFrame:
    """The sum of polarities and the number of events of each pixel that has any.

    >>> import polars as pl
    >>> from presence import evlib
    >>> rows = [(1, 2, 0, 1), (1, 2, 400, -1), (3, 0, 2_000, 1)]
    >>> events = pl.DataFrame(rows, evlib.SCHEMA, orient="row")
    >>> evlib.create_mixed_density_stack(events, 3, 4).rows()
    [(3, 0, 1, 1), (1, 2, 0, 2)]
    """
    given, off = to_events(events)
    sums, counts = _native.mixed_density(given, height, width)
    _, y, x = np.nonzero(counts)
    total, count = sums[0, y, x].astype(np.int64), counts[0, y, x]
    return pl.DataFrame(
        {
            "x": x.astype(np.int16),
            "y": y.astype(np.int16),
            # Events that are off count 0 where that is how the frame has them.
            "polarity_sum": total if off == -1 else (total + count) // 2,
            "count": count,
        }
    )


def time_surface(
    events: EventsLike, height: int, width: int, tau: float = 100_000.0, engine: Any = "auto"
) -> pl.DataFrame:
    """When each pixel fired last with each polarity, how often, and how far that has faded by the
    last event of all: ``exp(-age / tau)``, microseconds both.

    >>> import polars as pl
    >>> from presence import evlib
    >>> rows = [(1, 2, 0, 1), (1, 2, 400, -1), (3, 0, 2_000, 1)]
    >>> events = pl.DataFrame(rows, evlib.SCHEMA, orient="row")
    >>> evlib.time_surface(events, 3, 4).sort("x")["event_count"].to_list()
    [1, 1, 1]
    """
    seen = _inside(to_lazy(events).with_columns(end=pl.col("t").max()), height, width)
    age = (pl.col("end").first() - pl.col("t").max()).dt.total_microseconds()
    return (
        seen.group_by("x", "y", "polarity")
        .agg(
            last_timestamp=pl.col("t").max(),
            event_count=pl.len(),
            surface_value=(-age / tau).exp(),
        )
        .collect()
    )


def event_histogram(
    events: EventsLike, height: int, width: int, engine: Any = "auto"
) -> pl.DataFrame:
    """The number of events and the sum of their microseconds, by x, y and polarity.

    >>> import polars as pl
    >>> from presence import evlib
    >>> rows = [(1, 2, 0, 1), (1, 2, 400, -1), (3, 0, 2_000, 1)]
    >>> events = pl.DataFrame(rows, evlib.SCHEMA, orient="row")
    >>> evlib.event_histogram(events, 3, 4).sort("x", "polarity").rows()
    [(1, 2, -1, 1, 400), (1, 2, 1, 1, 0), (3, 0, 1, 1, 2000)]
    """
    seen = _inside(to_lazy(events), height, width).group_by("x", "y", "polarity")
    total = pl.col("t").dt.total_microseconds().sum()
    return seen.agg(count=pl.len(), t_us_sum=total).collect()


def _inside(frame: pl.LazyFrame, height: int, width: int) -> pl.LazyFrame:
    inside = pl.col("x").is_between(0, width - 1) & pl.col("y").is_between(0, height - 1)
    return frame.filter(inside)


def preprocess_for_detection(
    events: EventsLike, height: int, width: int, bins: int = 5, engine: Any = "auto"
) -> pl.DataFrame:
    """A stacked histogram of ``bins`` windows of 50 ms.

    >>> import polars as pl
    >>> from presence import evlib
    >>> rows = [(1, 2, 0, 1), (1, 2, 400, -1), (3, 0, 2_000, 1)]
    >>> events = pl.DataFrame(rows, evlib.SCHEMA, orient="row")
    >>> evlib.preprocess_for_detection(events, 3, 4)["count"].to_list()
    [1, 1, 1]
    """
    return create_stacked_histogram(events, height, width, bins)


def _scatter(shape: tuple[int, ...], at: list[np.ndarray], values: np.ndarray) -> np.ndarray:
    """An array of zeros with values added where they belong; others are left out."""
    dense = np.zeros(shape, dtype=values.dtype)
    inside = np.all([(0 <= a) & (a < n) for a, n in zip(at, shape, strict=True)], axis=0)
    np.add.at(dense, tuple(a[inside] for a in at), values[inside])
    return dense


def densify_event_frame(
    df: pl.DataFrame, n_time_bins: int, n_polarities: int, height: int, width: int
) -> np.ndarray:
    """``create_event_frame``'s rows as int64 ``[n_time_bins, n_polarities, height, width]``.

    >>> import polars as pl
    >>> from presence import evlib
    >>> rows = [(1, 2, 0, 1), (1, 2, 400, -1), (3, 0, 2_000, 1)]
    >>> events = pl.DataFrame(rows, evlib.SCHEMA, orient="row")
    >>> frame = evlib.create_event_frame(events, 3, 4, n_time_bins=2)
    >>> evlib.densify_event_frame(frame, 2, 2, 3, 4)[0, :, 2].tolist()
    [[0, 1, 0, 0], [0, 1, 0, 0]]
    """
    at = [df[name].to_numpy().astype(np.int64) for name in ("time_bin", "polarity", "y", "x")]
    shape = (n_time_bins, n_polarities, height, width)
    return _scatter(shape, at, df["count"].to_numpy().astype(np.int64))


def densify_voxel_grid(df: pl.DataFrame, n_time_bins: int, height: int, width: int) -> np.ndarray:
    """``create_voxel_grid``'s rows as float64 ``[n_time_bins, 1, height, width]``.

    >>> import polars as pl
    >>> from presence import evlib
    >>> rows = [(1, 2, 0, 1), (1, 2, 400, -1), (3, 0, 2_000, 1)]
    >>> events = pl.DataFrame(rows, evlib.SCHEMA, orient="row")
    >>> grid = evlib.create_voxel_grid(events, 3, 4, n_time_bins=3)
    >>> evlib.densify_voxel_grid(grid, 3, 3, 4)[2, 0].tolist()
    [[0.0, 0.0, 0.0, 1.0], [0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]]
    """
    at = [df[name].to_numpy().astype(np.int64) for name in ("time_bin", "y", "x")]
    at.insert(1, np.zeros_like(at[0]))
    shape = (n_time_bins, 1, height, width)
    return _scatter(shape, at, df["contribution"].to_numpy().astype(np.float64))


def densify_time_surface(
    df: pl.DataFrame,
    n_slices: int,
    n_polarities: int,
    height: int,
    width: int,
    dt: float,
    tau: float,
    start_t: float,
) -> np.ndarray:
    """``create_time_surface``'s rows as float64 ``[n_slices, n_polarities, height, width]``: how
    long ago each pixel fired at the end of each slice, ``exp(-age / tau)``; 0 where it never did.

    >>> import polars as pl
    >>> from presence import evlib
    >>> rows = [(1, 2, 0, 1), (1, 2, 400, -1), (3, 0, 2_000, 1)]
    >>> events = pl.DataFrame(rows, evlib.SCHEMA, orient="row")
    >>> surface = evlib.create_time_surface(events, 3, 4, dt=1_000, tau=500)
    >>> dense = evlib.densify_time_surface(surface, 3, 2, 3, 4, dt=1_000, tau=500, start_t=0)
    >>> dense.round(3)[:, 1, 2, 1].tolist()
    [0.135, 0.018, 0.002]
    """
    last = np.full((n_slices, n_polarities, height, width), -np.inf)
    rows = df.filter(pl.col("slice") < n_slices)
    at = tuple(rows[name].to_numpy().astype(np.int64) for name in ("slice", "polarity", "y", "x"))
    last[at] = rows["last_t"].to_numpy()
    last = np.maximum.accumulate(last, axis=0)
    ends = (np.arange(n_slices, dtype=np.float64) + 1.0) * dt + start_t
    return np.exp((last - ends[:, None, None, None]) / tau)


def get_recommended_engine() -> str:
    """The engine of polars that ``collect_with_optimal_engine`` uses.

    >>> from presence import evlib
    >>> evlib.get_recommended_engine()
    'streaming'
    """
    return "streaming"


def collect_with_optimal_engine(lazy_frame: pl.LazyFrame) -> pl.DataFrame:
    """The rows of a lazy frame.

    >>> import polars as pl
    >>> from presence import evlib
    >>> rows = [(1, 2, 0, 1), (1, 2, 400, -1), (3, 0, 2_000, 1)]
    >>> events = pl.DataFrame(rows, evlib.SCHEMA, orient="row")
    >>> evlib.collect_with_optimal_engine(evlib.filter_by_time(events, 0.001)).rows()
    [(3, 0, datetime.timedelta(microseconds=2000), 1)]
    """
    return lazy_frame.collect(engine="streaming")


def version() -> str:
    """The version of presence.

    >>> import presence
    >>> from presence import evlib
    >>> evlib.version() == presence.__version__
    True
    """
    return _native.__version__


def _submodule(name: str, names: Sequence[str]) -> types.ModuleType:
    """A part of this module under a name of its own, as ``evlib`` has them."""
    module = types.ModuleType(f"{__name__}.{name}", f"``presence.evlib``'s {name}.")
    vars(module).update({each: globals()[each] for each in names}, __all__=list(names))
    sys.modules[module.__name__] = module
    return module


__all__ = [
    "SCHEMA",
    "collect_with_optimal_engine",
    "create_event_frame",
    "create_mixed_density_stack",
    "create_stacked_histogram",
    "create_time_surface",
    "create_voxel_grid",
    "densify_event_frame",
    "densify_time_surface",
    "densify_voxel_grid",
    "detect_format",
    "event_histogram",
    "filter_by_activity",
    "filter_by_polarity",
    "filter_by_roi",
    "filter_by_time",
    "filter_hot_pixels",
    "filter_multiple_rois",
    "filter_noise",
    "filtering",
    "formats",
    "get_format_description",
    "get_recommended_engine",
    "load_events",
    "preprocess_events",
    "preprocess_for_detection",
    "representations",
    "save_events_to_hdf5",
    "save_events_to_text",
    "time_surface",
    "version",
    "voxel_grid",
]


def _named(*beginnings: str) -> list[str]:
    return [name for name in __all__ if name.startswith(beginnings)]


filtering = _submodule("filtering", _named("filter_", "preprocess_events"))
formats = _submodule("formats", _named("detect_", "get_format_", "load_", "save_"))
representations = _submodule(
    "representations",
    _named("create_", "densify_", "event_h", "preprocess_for_", "time_surface", "voxel_grid"),
)
