"""An embedded time-series storage engine for machines that watch the world.

One directory is one database of streams (typed records with a timestamp each) and presence tracks
(which class was seen when). One process writes, any number read, at the same time.

>>> import presence, tempfile
>>> with presence.create(tempfile.mkdtemp()) as db:
...     joints = db.create_stream("arm/joints", ("f4", 7))
...     with joints.writer() as writer:
...         writer.append_batch(range(0, 1_000_000, 10_000), [[tick] * 7 for tick in range(100)])
>>> ts, state = joints.at("0.5s")
>>> ts, state[0]
(500000, np.float32(50.0))
>>> joints.window("0.1s", "0.2s").values.shape
(10, 7)

Results are read-only numpy arrays that view the engine's pages where they can, and stay valid
whatever is closed. Times are integers in the stream's unit, datetimes and timedeltas of Python and
numpy, or text like ``"5s"``; a datetime without a zone is UTC.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from ._native import (
    Block,
    Database,
    PresenceTrack,
    PresenceTracker,
    Ratio,
    Record,
    Samples,
    Stream,
    StreamWriter,
    Window,
    __version__,
    create,
    open,
)
from ._native import _forked as _forked
from .errors import PresenceError

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)

if TYPE_CHECKING:
    from ._episodes import EpisodeDataset
    from ._fsck import Report, fsck
    from . import dataset as dataset
    from . import events as events
    from . import evlib as evlib
    from . import prefetch as prefetch
    from ._scan import scan, scan_events
    from ._torch import WindowDataset

__all__ = [
    "Block",
    "Database",
    "EpisodeDataset",
    "PresenceError",
    "PresenceTrack",
    "PresenceTracker",
    "Ratio",
    "Record",
    "Report",
    "Samples",
    "Stream",
    "StreamWriter",
    "Window",
    "WindowDataset",
    "__version__",
    "create",
    "fsck",
    "open",
    "scan",
    "scan_events",
]

# What needs more than numpy, or is seldom asked for: imported when it is.
_LATER = {
    "EpisodeDataset": "_episodes",
    "Report": "_fsck",
    "WindowDataset": "_torch",
    "fsck": "_fsck",
    "scan": "_scan",
    "scan_events": "_scan",
}
_MODULES = ("dataset", "events", "evlib", "prefetch")


def __getattr__(name: str) -> Any:
    if name in _LATER:
        import importlib

        return getattr(importlib.import_module(f".{_LATER[name]}", __name__), name)
    if name in _MODULES:
        import importlib

        return importlib.import_module(f".{name}", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
