"""An embedded time-series storage engine for machines that watch the world.

>>> import presence
>>> tracker = presence.PresenceTracker()
>>> tracker.update_batch(40_000, [(1, 0.9), (2, 0.1)], 0.5)
>>> tracker.list_presence_timestamps(1, 0, 100_000)
[33333]
"""

from ._native import PresenceTracker, __version__
from .errors import PresenceError

__all__ = ["PresenceError", "PresenceTracker", "__version__"]
