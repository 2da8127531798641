"""What must hold of every vector, and what all of them together must show."""

SEEN = set()
MUST_BE_SEEN = {
    *(f"lz4 mode {mode}" for mode in range(4)),
    *(f"packed mode {mode}" for mode in range(4)),
    *(f"split mode {mode}" for mode in range(3)),
    *("bitmap of places", "list of places", "far words of far words"),
    *("rows", "stream", "patched", "excepted", "decimal"),
    *("sparse", "runs", "dense", "block of words", "region without set ticks"),
}  # fmt: skip


class Fault(Exception):
    """The vector contradicts the specification, or its twin."""


def require(condition, what):
    if not condition:
        raise Fault(what)
