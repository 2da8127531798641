"""Streams as lazy frames of polars, which read what a query needs and no more."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ._native import Database, Stream, open

if TYPE_CHECKING:
    import polars

_SMALLEST, _LARGEST = _EVERYTHING = -(2**63), 2**63 - 1
_NANOS = {"Nanoseconds": 1, "Microseconds": 1_000, "Milliseconds": 1_000_000}
_TURNED = {"Lt": "Gt", "LtEq": "GtEq", "Gt": "Lt", "GtEq": "LtEq", "Eq": "Eq"}


def scan(
    database: Database | str | os.PathLike[str] | Stream,
    stream: str | None = None,
) -> polars.LazyFrame:
    """A stream as a ``polars.LazyFrame``.

    Of a query's filters, those that bound the time decide which blocks are read; of its columns,
    only those asked for are made. ``database`` is a database, its path, or the stream itself.

    >>> import datetime, polars, presence, tempfile
    >>> db = presence.create(tempfile.mkdtemp())
    >>> writer = db.create_stream("force", {"x": "f8", "y": "f8"}).writer()
    >>> writer.append_batch([1, 2, 3], [1.0, 2.0, 3.0], [4.0, 5.0, 6.0])
    >>> late = polars.col("ts") >= datetime.datetime(1970, 1, 1, microsecond=2)
    >>> presence.scan(db, "force").filter(late).select("y").collect()["y"].to_list()
    [5.0, 6.0]
    """
    import polars
    from polars.io.plugins import register_io_source

    source = _stream(database, stream)
    schema = polars.DataFrame(source[:0]).schema

    def frames(
        columns: list[str] | None,
        predicate: polars.Expr | None,
        rows: int | None,
        batch_rows: int | None,
    ) -> Iterator[polars.DataFrame]:
        first, last = (_SMALLEST, _LARGEST)
        time = next(iter(schema))
        if predicate is not None and rows is None:
            first, last = _bounds(predicate, time, source.unit)
        if first > last:
            return
        window = source.window(first, last, closed="both")
        left = rows
        for block in window.blocks():
            frame = _frame(block, schema, columns, predicate, left)
            if left is not None:
                left -= min(left, len(block))
            for part in frame.iter_slices(batch_rows) if batch_rows else [frame]:
                yield part
            if left == 0:
                return

    return register_io_source(frames, schema=schema)


def scan_events(
    path: str | os.PathLike[str],
    *,
    format: str | None = None,
    time_unit: str = "auto",
    columns: str | None = None,
) -> polars.LazyFrame:
    """A recording of an event camera as a ``polars.LazyFrame`` of ``x``, ``y``, ``t`` and
    ``polarity`` (-1 or 1), in the order of the file.

    The file is read part by part when the query runs, and never as a whole: bounds of the time in
    its filters choose events before a frame is made of them, and only columns that are asked for
    are made. Arguments are those of ``presence.events.read``.

    >>> import datetime, pathlib, polars, presence, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "some.txt"
    >>> _ = path.write_text("0.000001 3 4 1\\n0.000002 5 6 0\\n")
    >>> some = presence.scan_events(path, time_unit="s", columns="t,x,y,p")
    >>> late = polars.col("t") > datetime.timedelta(microseconds=1)
    >>> some.filter(late).select("x", "polarity").collect().rows()
    [(5, -1)]
    """
    import polars
    from polars.io.plugins import register_io_source

    from ._frames import SCHEMA, to_frame
    from ._native import EventReader

    def frames(
        wanted: list[str] | None,
        predicate: polars.Expr | None,
        rows: int | None,
        batch_rows: int | None,
    ) -> Iterator[polars.DataFrame]:
        first, last = _EVERYTHING
        if predicate is not None:
            first, last = _bounds(predicate, "t", "us")
        names = None if wanted is None else list(wanted)
        if names is not None and predicate is not None:
            names += [name for name in predicate.meta.root_names() if name not in names]
        left = rows
        reader = EventReader(
            path,
            format=format,
            time_unit=time_unit,
            columns=columns,
            events_max=batch_rows or 1 << 20,
        )
        for part in reader:
            if (first, last) != _EVERYTHING:
                part = part.select(first=first, last=last)
            frame = to_frame(part, columns=names)
            if left is not None:
                frame = frame.head(left)
                left -= len(frame)
            if predicate is not None:
                frame = frame.filter(predicate)
            yield frame if wanted is None else frame.select(wanted)
            if left == 0:
                return

    return register_io_source(frames, schema=SCHEMA)


def _stream(database: Any, name: str | None) -> Stream:
    if isinstance(database, Stream):
        return database
    if name is None:
        raise TypeError("scan() wants the name of a stream, too")
    if not isinstance(database, Database):
        database = open(database, read_only=True)
    return database.stream(name)


def _frame(
    block: Any,
    schema: Any,
    columns: list[str] | None,
    predicate: Any,
    rows: int | None,
) -> Any:
    import polars

    names = list(schema)
    wanted = set(names if columns is None else columns)
    if predicate is not None:
        wanted.update(predicate.meta.root_names())
    arrays = {}
    for name in names:
        if name in wanted:
            array = block.timestamps if name == names[0] else block[name]
            arrays[name] = polars.Series(name, array[:rows]).cast(schema[name])
    frame = polars.DataFrame(arrays)
    if predicate is not None:
        frame = frame.filter(predicate)
    return frame if columns is None else frame.select(columns)


def _bounds(predicate: Any, time: str, unit: str) -> tuple[int, int]:
    """The first and the last timestamp that ``predicate`` can hold for, as far as it says.

    Too wide where it is not understood, never too narrow: all of it is applied to what is read.
    """
    try:
        tree = json.loads(predicate.meta.serialize(format="json"))
    except Exception:  # What polars cannot write down bounds nothing.
        return _EVERYTHING
    return _of(tree, time, unit)


def _of(node: Any, time: str, unit: str) -> tuple[int, int]:
    if isinstance(node, dict) and "BinaryExpr" in node:
        inner = node["BinaryExpr"]
        left, op, right = inner.get("left"), inner.get("op"), inner.get("right")
        if op in ("And", "LogicalAnd"):
            one, other = _of(left, time, unit), _of(right, time, unit)
            return max(one[0], other[0]), min(one[1], other[1])
        if _is_column(right, time):
            left, op, right = right, _TURNED.get(op, ""), left
        if _is_column(left, time):
            return _compared(op, right, unit)
    if isinstance(node, dict) and "Function" in node:
        inner = node["Function"]
        between = isinstance(inner["function"], dict) and inner["function"].get("Boolean")
        if isinstance(between, dict) and "IsBetween" in between:
            of, lower, upper = inner["input"]
            if _is_column(of, time):
                first, last = _compared("GtEq", lower, unit), _compared("LtEq", upper, unit)
                return first[0], last[1]
    return _EVERYTHING


def _compared(op: str, literal: Any, unit: str) -> tuple[int, int]:
    bounds = _literal(literal, unit)
    if bounds is None:
        return _EVERYTHING
    low, high = bounds
    return {
        "Lt": (_SMALLEST, high),
        "LtEq": (_SMALLEST, high),
        "Gt": (low, _LARGEST),
        "GtEq": (low, _LARGEST),
        "Eq": (low, high),
    }.get(op, _EVERYTHING)


def _is_column(node: Any, name: str) -> bool:
    return isinstance(node, dict) and node.get("Column") == name


def _literal(node: Any, unit: str) -> tuple[int, int] | None:
    """The timestamps around a literal of date and time, without a zone, or of a duration."""
    value = node.get("Literal", {}).get("Scalar") if isinstance(node, dict) else None
    if not isinstance(value, dict):
        return None
    moment = value.get("Datetime")
    if moment is None and isinstance(value.get("Duration"), list):
        moment = [*value["Duration"], None]
    if not isinstance(moment, list) or len(moment) != 3 or moment[2] is not None:
        return None
    nanos = moment[0] * _NANOS[moment[1]]
    one = {"us": 1_000, "ns": 1}[unit]
    low, high = nanos // one, -(-nanos // one)
    return max(low, _SMALLEST), min(high, _LARGEST)
