"""Makes a notebook of an example: its cells are what ``# %%`` lines are between.

    python examples/as_notebook.py examples/presence_per_hour.py

writes ``presence_per_hour.ipynb`` beside it. Editors that know these lines run the cells of an
example as it is.
"""

import json
import sys
from pathlib import Path


def cells(text: str) -> list[dict]:
    """The text before the first ``# %%``, a docstring, and a cell of code for each after it."""
    told, *code = text.split("\n# %%\n")
    words = told.strip().strip('"').strip()
    made = [{"cell_type": "markdown", "metadata": {}, "source": words}]
    for each in code:
        cell = {"cell_type": "code", "metadata": {}, "source": each.strip("\n")}
        made.append({**cell, "execution_count": None, "outputs": []})
    return made


def notebook(example: Path) -> dict:
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    # Cells have names from version 4.5 on; 4.4 does without.
    return {
        "cells": cells(example.read_text(encoding="utf-8")),
        "metadata": {"kernelspec": kernel},
        "nbformat": 4,
        "nbformat_minor": 4,
    }


if __name__ == "__main__":
    for name in sys.argv[1:]:
        path = Path(name)
        written = json.dumps(notebook(path), indent=1, ensure_ascii=False)
        path.with_suffix(".ipynb").write_text(written, encoding="utf-8")
