"""Signals as Parquet: ``timestamp``, ``value`` and ``ts_ns.<name>``. Needs pyarrow."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ..errors import SchemaError


def _to_arrow(values: np.ndarray) -> Any:
    """Values of any shape: lists of a fixed length, one in another."""
    array = pa.array(np.ascontiguousarray(values).reshape(-1))
    for length in reversed(values.shape[1:]):
        array = pa.FixedSizeListArray.from_arrays(array, length)
    return array


def _to_numpy(column: Any, name: str) -> np.ndarray:
    array = column.combine_chunks()
    if isinstance(array, pa.ChunkedArray):
        array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], array.type)
    shape = [len(array)]
    while pa.types.is_list(array.type) or pa.types.is_fixed_size_list(array.type):
        if array.null_count:
            raise SchemaError(f"column {name!r} has nulls")
        if pa.types.is_list(array.type):
            lengths = np.unique(np.diff(np.asarray(array.offsets)))
            if len(lengths) > 1:
                raise SchemaError(f"values of column {name!r} differ in length")
            shape.append(int(lengths[0]) if len(lengths) else 0)
        else:
            shape.append(array.type.list_size)
        array = array.flatten()
    if array.null_count:
        raise SchemaError(f"column {name!r} has nulls")
    return array.to_numpy(zero_copy_only=False).reshape(shape)


def write(path: Path, timestamps: np.ndarray, columns: dict[str, np.ndarray]) -> None:
    """Writes a file, which appears when it is whole."""
    arrays = [pa.array(timestamps), *(_to_arrow(values) for values in columns.values())]
    table = pa.table(dict(zip(["timestamp", *columns], arrays, strict=True)))
    partial = path.with_name(path.name + ".partial")
    pq.write_table(table, partial)
    os.replace(partial, path)


def read(path: Path) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Times, and the other columns by name."""
    table = pq.ParquetFile(path).read()
    if not {"timestamp", "value"} <= set(table.column_names):
        raise SchemaError(f"{path}: a signal has columns timestamp and value")
    columns = {name: _to_numpy(table[name], name) for name in table.column_names}
    timestamps = columns.pop("timestamp").astype(np.int64, copy=False)
    return timestamps, {"value": columns.pop("value"), **columns}
