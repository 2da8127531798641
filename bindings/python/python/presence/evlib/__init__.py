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

import polars as pl

from .. import _native
from .._frames import SCHEMA
from . import filtering, formats, representations
from .filtering import (
    filter_by_activity,
    filter_by_polarity,
    filter_by_roi,
    filter_by_time,
    filter_hot_pixels,
    filter_multiple_rois,
    filter_noise,
    preprocess_events,
)
from .formats import (
    detect_format,
    get_format_description,
    load_events,
    save_events_to_hdf5,
    save_events_to_text,
)
from .representations import (
    create_event_frame,
    create_mixed_density_stack,
    create_stacked_histogram,
    create_time_surface,
    create_voxel_grid,
    densify_event_frame,
    densify_time_surface,
    densify_voxel_grid,
    event_histogram,
    preprocess_for_detection,
    time_surface,
    voxel_grid,
)

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
