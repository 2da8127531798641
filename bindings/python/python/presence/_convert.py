"""Results in the forms of other libraries, imported when one is asked for."""

from __future__ import annotations

from typing import Any


def to_arrow(result: Any) -> Any:
    """A ``pyarrow.Table`` that shares the result's memory where Arrow's layout is the same."""
    import pyarrow

    return pyarrow.table(result)


def to_polars(result: Any) -> Any:
    """A ``polars.DataFrame``."""
    import polars

    return polars.DataFrame(result)


def to_pandas(result: Any) -> Any:
    """A ``pandas.DataFrame`` whose index is the time."""
    import pandas

    arrays = result.to_numpy()
    (time, stamps), *columns = arrays.items()
    values = {name: one if one.ndim == 1 else list(one) for name, one in columns}
    index = pandas.Index(stamps.view(f"datetime64[{result.unit}]"), name=time)
    return pandas.DataFrame(values, index=index)
