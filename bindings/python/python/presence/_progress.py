"""How far a long call is, as a bar: what ``progress=True`` shows."""

from __future__ import annotations

import sys
from typing import TextIO

_WIDTH = 40
_EIGHTHS = " ▏▎▍▌▋▊▉"


def _is_shown(file: TextIO) -> bool:
    """Whether somebody looks at it: a terminal, or a notebook."""
    shell = sys.modules.get("IPython")
    if shell is not None and getattr(shell.get_ipython(), "kernel", None) is not None:
        return True
    return file.isatty()


class Bar:
    """A bar on the last line of a terminal or of a notebook's cell; nothing elsewhere.

    >>> import io
    >>> from presence._progress import Bar
    >>> bar = Bar(io.StringIO(), shown=True)
    >>> bar(1, 4), bar(4, 4)
    (None, None)
    >>> bar.file.getvalue().count("█"), bar.file.getvalue().endswith("100 %\\n")
    (50, True)
    """

    def __init__(self, file: TextIO | None = None, shown: bool | None = None) -> None:
        self.file = sys.stderr if file is None else file
        self._is_shown = _is_shown(self.file) if shown is None else shown

    def __call__(self, done: int, of: int) -> None:
        if not self._is_shown:
            return
        share = min(done / of, 1.0) if of > 0 else 1.0
        whole, eighth = divmod(int(share * _WIDTH * 8), 8)
        drawn = ("█" * whole + _EIGHTHS[eighth].strip()).ljust(_WIDTH)
        end = "\n" if done >= of else ""
        self.file.write(f"\r{drawn} {share:4.0%}"[:-1] + f" %{end}")
        self.file.flush()
