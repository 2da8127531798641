"""What is asked of events: times, rectangles of pixels and polarities, as the engine takes them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from .._native import Events
from ..errors import InvalidError


def microseconds(t_start: float | None, t_end: float | None) -> tuple[int | None, int | None]:
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


def asked(
    t_start: float | None,
    t_end: float | None,
    rois: Sequence[Sequence[int]] | None,
    polarity: int | Iterable[int] | None,
    off: int,
) -> tuple[int | None, int | None, list[tuple[int, int, int, int]] | None, int | None]:
    """The first and last time, rectangles and polarity as the engine takes them."""
    first, last = microseconds(t_start, t_end)
    clipped = None
    if rois:
        clipped = [found for found in map(_clip, rois) if found is not None]
        if not clipped:
            # No pixel can be in it, and no rectangles would be all of them.
            first, last = 1, 0
    wanted = None
    if polarity is not None:
        known = {off: 0, 1: 1}
        values = {known[value] for value in polarities(polarity) if value in known}
        if not values:
            first, last = 1, 0
        elif len(values) == 1:
            wanted = values.pop()
    return first, last, clipped, wanted


def select(
    events: Events,
    t_start: float | None,
    t_end: float | None,
    rois: Sequence[Sequence[int]] | None,
    polarity: int | Iterable[int] | None,
    off: int,
) -> Events:
    first, last, clipped, wanted = asked(t_start, t_end, rois, polarity, off)
    return events.select(first=first, last=last, rois=clipped, polarity=wanted)


def polarities(polarity: int | Iterable[int]) -> list[int]:
    if isinstance(polarity, (int, float, np.number)):
        return [int(polarity)]
    return [int(value) for value in polarity]
