"""What the engine takes: columns from descriptions of types, and values as contiguous arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .errors import InvalidError, SchemaError

Column = tuple[str, str, tuple[int, ...]]


def columns(described: Any) -> list[Column]:
    """Name, element type and shape of each column.

    Of anything that ``numpy.dtype`` takes, of which a structured one has a column for each field,
    or of a mapping of names to such.
    """
    if isinstance(described, Mapping):
        return [_column(name, np.dtype(one)) for name, one in described.items()]
    dtype = np.dtype(described)
    if dtype.names is None:
        return [_column("value", dtype)]
    return [_column(name, dtype[name]) for name in dtype.names]


def _column(name: str, dtype: np.dtype) -> Column:
    base, shape = (dtype.base, dtype.shape)
    if base.kind == "b":
        return name, "bool", shape
    if base.kind in "iuf" and base.itemsize <= 8 and base.str != "<f2":
        return name, f"{base.kind}{8 * base.itemsize}", shape
    raise InvalidError(f"column {name!r} cannot have elements of {base}")


def contiguous(values: Any, dtype: str, shape: tuple[int, ...]) -> np.ndarray:
    """``values`` as they lie in a block, as bytes; refused where a value would change.

    Floats may lose digits on their way to a narrower float, and nothing else.
    """
    want = np.dtype(dtype)
    array = np.asarray(values)
    if array.shape != shape:
        raise SchemaError(f"values of shape {array.shape}, not {shape}")
    if array.dtype != want:
        array = _cast(array, want)
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8)


def _cast(array: np.ndarray, want: np.dtype) -> np.ndarray:
    kind = array.dtype.kind
    if not array.size:
        return array.astype(want)
    if want.kind == "f" and kind in "iuf":
        return array.astype(want)
    if want.kind in "iu" and kind in "iu":
        info = np.iinfo(want)
        if int(array.min()) >= info.min and int(array.max()) <= info.max:
            return array.astype(want)
        raise SchemaError(f"values from {array.min()} to {array.max()} do not fit {want}")
    raise SchemaError(f"values of {array.dtype}, not {want}")
