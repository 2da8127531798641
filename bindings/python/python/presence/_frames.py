"""Events of cameras as frames of polars, and back. Needs polars, which is imported here."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from ._native import Events
from .errors import InvalidError

#: Columns and types of events, as ``evlib`` has them.
SCHEMA = pl.Schema(
    {"x": pl.Int16(), "y": pl.Int16(), "t": pl.Duration("us"), "polarity": pl.Int8()}
)

#: How events are told: a path, a frame, or what has columns ``t``, ``x``, ``y`` and ``p``.
EventsLike = Any


def to_frame(
    events: Events, off: int = -1, columns: Sequence[str] | None = None
) -> pl.DataFrame:
    """Events as a frame of ``SCHEMA``, or of some of its columns; ``off`` is the polarity where
    the light fell."""
    corner = events.corner()
    if corner is not None and max(corner) > np.iinfo(np.int16).max:
        raise InvalidError(f"pixel {corner} is beyond 32767, the last that the column's type holds")
    made = {
        "x": lambda: events.x.view(np.int16),
        "y": lambda: events.y.view(np.int16),
        "t": lambda: events.t.view("m8[us]"),
        "polarity": lambda: events.polarity(off),
    }
    wanted = list(made) if columns is None else [name for name in made if name in columns]
    return pl.DataFrame([pl.Series(name, made[name]()) for name in wanted])


def is_path(events: EventsLike) -> bool:
    return isinstance(events, (str, os.PathLike))


def read(path: Any, time_unit: str = "auto", columns: str | None = None) -> Events:
    """The events of a file. Text that says nothing itself is ``t x y p`` in seconds, as the peer
    has it, where its first time has a decimal point; whole numbers may be of any unit."""
    try:
        return Events.read(path, time_unit=time_unit, columns=columns)
    except InvalidError:
        if time_unit != "auto" and columns is not None:
            raise
        if time_unit == "auto":
            if not _has_fraction(path):
                raise
            time_unit = "s"
        return Events.read(path, time_unit=time_unit, columns=columns or "t,x,y,p")


def _has_fraction(path: Any) -> bool:
    """Whether the first line that begins with a number begins with one that has a fraction."""
    with open(path, "rb") as file:
        for line in file:
            first = line.replace(b",", b" ").split(maxsplit=1)[:1]
            if first and first[0][:1].isdigit():
                return b"." in first[0]
    return False


def to_lazy(events: EventsLike) -> pl.LazyFrame:
    """Whatever it is as a lazy frame, sorted by time where it is a file."""
    if isinstance(events, pl.LazyFrame):
        return events
    if isinstance(events, pl.DataFrame):
        return events.lazy()
    if is_path(events):
        return to_frame(read(events).sorted()).lazy()
    if isinstance(events, Events):
        return to_frame(events).lazy()
    if hasattr(events, "to_polars"):
        return stored(events.to_polars()).lazy()
    raise TypeError(f"events are a path, a frame or a stored stream, not {type(events).__name__}")


def stored(frame: pl.DataFrame) -> pl.DataFrame:
    """A stream of events as the engine stores it (times, ``x``, ``y`` and ``p``) in ``SCHEMA``."""
    names = set(frame.columns)
    time = next(
        (name for name in ("ts", "t", "time", "timestamp") if name in names), frame.columns[0]
    )
    polarity = "polarity" if "polarity" in names else "p"
    t = frame[time]
    if t.dtype == pl.Datetime or t.dtype == pl.Duration:
        t = t.dt.cast_time_unit("us")
    p = frame[polarity].cast(pl.Int8)
    return pl.DataFrame(
        {
            "x": frame["x"].cast(pl.Int16),
            "y": frame["y"].cast(pl.Int16),
            "t": t.cast(pl.Int64).cast(SCHEMA["t"]),
            "polarity": p if (p < 0).any() else p * 2 - 1,
        }
    )


def _pixels(column: pl.Series) -> np.ndarray:
    values = column.to_numpy()
    if len(values) > 0 and not 0 <= values.min() <= values.max() <= 0xFFFF:
        raise InvalidError(f"pixels of {column.name} from {values.min()} to {values.max()}")
    if values.dtype == np.int16:
        return np.ascontiguousarray(values).view(np.uint16)
    return np.ascontiguousarray(values, dtype=np.uint16)


def to_events(events: EventsLike) -> tuple[Events, int]:
    """Whatever it is as events, and the polarity that is off there."""
    if isinstance(events, Events):
        return events, -1
    if is_path(events):
        return read(events).sorted(), -1
    frame = to_lazy(events).select("t", "x", "y", "polarity").collect()
    polarity = frame["polarity"].cast(pl.Int8)
    off = 0 if (polarity == 0).any() and not (polarity < 0).any() else -1
    t = frame["t"]
    if t.dtype == pl.Duration:
        t = t.dt.cast_time_unit("us")
    made = Events(
        np.ascontiguousarray(t.cast(pl.Int64).to_numpy()),
        _pixels(frame["x"]),
        _pixels(frame["y"]),
        np.ascontiguousarray(polarity.to_numpy()),
    )
    return made, off
