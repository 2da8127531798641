"""Files of events: what format they are of, read and written."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import polars as pl

from .. import _native
from .._frames import read, to_frame
from .._native import Events
from ..errors import IncompatibleError, InvalidError
from ._asked import select

__all__ = [
    "detect_format",
    "get_format_description",
    "load_events",
    "save_events_to_hdf5",
    "save_events_to_text",
]

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
        events = select(events, t_start, t_end, [roi], polarity, -1)
    return to_frame(events.sorted() if sort else events).lazy()


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
