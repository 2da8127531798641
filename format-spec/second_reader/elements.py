"""Elements of columns: their bytes, and how the twin shows them."""

import struct

from .checks import Fault

ELEMENT_BYTES = {
    "bool": 1, "i8": 1, "i16": 2, "i32": 4, "i64": 8,
    "u8": 1, "u16": 2, "u32": 4, "u64": 8, "f32": 4, "f64": 8,
}  # fmt: skip


def shown_element(dtype, value):
    if dtype == "bool":
        return bool(value) if value < 2 else value
    if dtype not in ("f32", "f64"):
        return value
    if value != value:
        code, digits = ("<f", 8) if dtype == "f32" else ("<d", 16)
        bits = int.from_bytes(nan_bytes(code, value), "little")
        return f"nan 0x{bits:0{digits}x}"
    if value in (float("inf"), float("-inf")):
        return str(value)
    return shortest_single(value) if dtype == "f32" else value


class Single(float):
    """A NaN of 32 bits that remembers them: a double would quieten it."""

    raw = b""


def nan_bytes(code, value):
    return value.raw if isinstance(value, Single) else struct.pack(code, value)


def shortest_single(value):
    """The double with the fewest digits that rounds to the same 32 bits."""
    for digits in range(1, 10):
        short = float(f"{value:.{digits}g}")
        try:
            if struct.pack("<f", short) == struct.pack("<f", value):
                return short
        except OverflowError:  # rounded up beyond the largest single
            continue
    raise Fault(f"{value} is no single")


def records(schema, lanes):
    """Records as the twin shows them, from lanes of elements, timestamps first."""
    columns = [lanes[0]]
    for column, lane in zip(schema.columns, lanes[1:], strict=True):
        lane = [shown_element(column.dtype.name, value) for value in lane]
        if column.num_sides > 0:
            step = column.elements
            lane = [lane[at : at + step] for at in range(0, len(lane), step)]
        columns.append(lane)
    return [list(record) for record in zip(*columns, strict=True)]
