"""``python -m presence``: the command-line tool."""

from __future__ import annotations

import signal
import sys

from ._native import run_tool


def main() -> int:
    """Runs the tool with the arguments of this process, and returns its exit code."""
    # The tool's own handling of Ctrl-C, not that of an interpreter that is not running.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    return run_tool(["presence", *sys.argv[1:]], [sys.executable, "-m", "presence"])


if __name__ == "__main__":
    sys.exit(main())
