"""Times of Python and numpy in exact nanoseconds, for what is given to the engine."""

from __future__ import annotations

import datetime
from typing import Any

import numpy as np

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
_NANOS = {
    "ns": 1,
    "us": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
    "D": 86_400_000_000_000,
    "W": 604_800_000_000_000,
}


def _of_delta(delta: datetime.timedelta) -> int:
    return (delta.days * 86_400 + delta.seconds) * 1_000_000_000 + delta.microseconds * 1_000


def nanos(time: Any) -> int | None:
    """Nanoseconds since 1970, or of a span; ``None`` for what is no time."""
    from .errors import InvalidError

    if isinstance(time, (np.datetime64, np.timedelta64)):
        if np.isnat(time):
            raise InvalidError("NaT is not a time")
        unit, count = np.datetime_data(time.dtype)
        if isinstance(time, np.datetime64) and unit in ("Y", "M"):
            time, unit, count = time.astype("datetime64[D]"), "D", 1
        if unit not in _NANOS:
            raise InvalidError(f"a time in units of {unit!r}")
        return int(time.astype(np.int64)) * count * _NANOS[unit]
    if isinstance(time, datetime.datetime):
        if time.tzinfo is None:
            time = time.replace(tzinfo=datetime.timezone.utc)
        return _of_delta(time - _EPOCH)
    if isinstance(time, datetime.timedelta):
        return _of_delta(time)
    return None


def timestamps(times: Any, unit: str) -> np.ndarray:
    """Many times as a contiguous array of int64 in ``unit``."""
    from .errors import InvalidError, SchemaError

    array = np.asarray(times)
    if array.ndim != 1:
        raise SchemaError(f"times are of one dimension, not {array.ndim}")
    if array.dtype.kind in "mM":
        if np.isnat(array).any():
            raise InvalidError("NaT is not a time")
        exact = array.astype(f"{array.dtype.kind}8[{unit}]")
        if not np.array_equal(exact.astype(array.dtype), array):
            raise InvalidError(f"times finer than {unit}, or beyond its range")
        array = exact.view(np.int64)
    elif array.dtype.kind == "O":
        per = _NANOS[unit]
        array = np.array([_one(time, per) for time in array.tolist()], dtype=np.int64)
    elif array.dtype.kind == "u" and array.dtype.itemsize == 8:
        if array.size and int(array.max()) > np.iinfo(np.int64).max:
            raise InvalidError("times beyond 2^63")
    elif array.dtype.kind not in "iu" and array.size:
        raise TypeError(f"times are integers, datetimes or numpy's, not {array.dtype}")
    return np.ascontiguousarray(array, dtype=np.int64)


def _one(time: Any, per: int) -> int:
    if isinstance(time, int) and not isinstance(time, bool):
        return time
    exact = nanos(time)
    if exact is None:
        raise TypeError(f"times are integers, datetimes or numpy's, not {type(time).__name__}")
    return exact // per
