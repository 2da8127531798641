"""Events as grids and surfaces: their cells as rows of a frame, and such rows as dense arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from .. import _native
from .._frames import EventsLike, to_events, to_lazy

__all__ = [
    "create_event_frame",
    "create_mixed_density_stack",
    "create_stacked_histogram",
    "create_time_surface",
    "create_voxel_grid",
    "densify_event_frame",
    "densify_time_surface",
    "densify_voxel_grid",
    "event_histogram",
    "preprocess_for_detection",
    "time_surface",
    "voxel_grid",
]


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
