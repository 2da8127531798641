#!/usr/bin/env python3
"""The second reader of the format: reads every golden vector and compares it with its twin.

Structures are parsed by the reader that the Kaitai compiler generates from presence.ksy. What a
description cannot say (checksums, the search behind torn bytes, the codecs) is written in
second_reader/ from the text of README.md alone. Nothing is shared with the engine but that text
and the twins.

    read_vectors.py FOLDER_OF_GENERATED_READER [FOLDER_OF_VECTORS]

`cargo xtask test --only kaitai` installs what this needs (kaitaistruct, lz4) and runs it.
"""

import json
import sys
from pathlib import Path

from second_reader.checks import MUST_BE_SEEN, SEEN, require
from second_reader.segment import Segment


def first_difference(ours, twin, path=""):
    """Where two JSON values first differ, or None. `1`, `1.0` and `true` are different."""
    if isinstance(ours, dict) and isinstance(twin, dict):
        if list(ours) != list(twin):
            return f"{path}: fields {list(ours)}, twin {list(twin)}"
        pairs = [(f"{path}.{key}", ours[key], twin[key]) for key in ours]
    elif isinstance(ours, list) and isinstance(twin, list):
        if len(ours) != len(twin):
            return f"{path}: {len(ours)} items, twin {len(twin)}"
        pairs = [(f"{path}[{at}]", *pair) for at, pair in enumerate(zip(ours, twin, strict=True))]
    else:
        same = json.dumps(ours) == json.dumps(twin)
        return None if same else f"{path}: {ours!r}, twin {twin!r}"
    return next((found for pair in pairs if (found := first_difference(*pair[1:], pair[0]))), None)


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    sys.path.insert(0, sys.argv[1])
    from presence import Presence

    here = Path(__file__).resolve().parent
    folder = Path(sys.argv[2]) if len(sys.argv) == 3 else here / "vectors" / "v1"
    failed = 0
    vectors = sorted(folder.glob("*.presence"))
    for path in vectors:
        twin = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        name = [twin.pop("vector"), twin.pop("about")][0]
        try:
            require(name == path.stem, "the twin is of another vector")
            fault = first_difference(Segment(Presence, path.read_bytes()).twin(), twin)
        except Exception as error:  # one bad vector must not hide the others
            fault = f"{type(error).__name__}: {error}"
        failed += fault is not None
        if fault:
            print(f"{path.name}: {fault}")
    unseen = sorted(MUST_BE_SEEN - SEEN)
    if unseen:
        print(f"no vector shows {', '.join(unseen)}")
    print(f"kaitai: {len(vectors) - failed} of {len(vectors)} vectors agree with their twins")
    sys.exit(1 if failed or unseen or not vectors else 0)


if __name__ == "__main__":
    main()
