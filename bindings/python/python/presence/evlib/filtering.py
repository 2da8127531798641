"""Events without those that are not wanted."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import polars as pl

from .._frames import EventsLike, is_path, to_events, to_frame, to_lazy
from ..errors import InvalidError
from ._asked import asked, microseconds, polarities, select

__all__ = [
    "filter_by_activity",
    "filter_by_polarity",
    "filter_by_roi",
    "filter_by_time",
    "filter_hot_pixels",
    "filter_multiple_rois",
    "filter_noise",
    "preprocess_events",
]


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
        return to_frame(select(to_events(events)[0], t_start, t_end, None, None, -1)).lazy()
    frame = to_lazy(events)
    first, last = microseconds(t_start, t_end)
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
        return to_frame(select(to_events(events)[0], None, None, rois, None, -1)).lazy()
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
    values = polarities(polarity)
    if is_path(events):
        return to_frame(select(to_events(events)[0], None, None, None, values, -1)).lazy()
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
    first, last, clipped, wanted = asked(t_start, t_end, rois, polarity, off)
    kept = (given.sorted() if denoise else given).preprocessed(
        first=first,
        last=last,
        roi=None if clipped is None else clipped[0],
        polarity=wanted,
        percentile=hot_pixel_threshold if remove_hot_pixels else None,
        period_us=_period(refractory_period_us) if denoise else None,
    )
    return to_frame(kept, off).lazy()
