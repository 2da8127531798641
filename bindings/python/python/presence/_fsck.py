"""Whether data is safe, what is missing, and what to do next."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ._native import fsck_json


@dataclass(frozen=True)
class Report:
    """What a check found; the fields are those of ``presence-fsck --json``.

    >>> import presence, tempfile
    >>> path = tempfile.mkdtemp()
    >>> presence.create(path).close()
    >>> report = presence.fsck(path)
    >>> report.is_sound, report.findings
    (True, [])
    """

    report_version: int
    tool_version: str
    path: str
    level: str
    strict: bool
    database: str | None
    findings: list[dict[str, Any]]
    further_findings: int
    lost: list[dict[str, Any]]
    totals: dict[str, int]
    interrupted: bool
    exit_code: int

    @property
    def is_sound(self) -> bool:
        """Whether every byte looked at is as it was written."""
        return self.exit_code == 0


def fsck(
    path: str | os.PathLike[str],
    *,
    level: str = "default",
    strict: bool = False,
    progress: Callable[[int, int], object] | bool | None = None,
) -> Report:
    """Judges the database, or the one segment, at ``path``. Changes nothing.

    ``level`` is ``'quick'`` (headers and indexes), ``'default'`` (every checksum) or ``'deep'``
    (every block decoded). ``strict`` counts what a crash leaves as an error. ``progress(done,
    all)`` is told bytes; ``True`` is a bar.

    >>> import presence, tempfile
    >>> path = tempfile.mkdtemp()
    >>> presence.create(path).close()
    >>> presence.fsck(path).is_sound
    True
    """
    return Report(**json.loads(fsck_json(path, level, strict, progress)))
