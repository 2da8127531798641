"""Handles that were pickled: opened anew by their path, for reading."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._native import Database, PresenceTrack, Stream


def database(path: str) -> Database:
    """The database at ``path``."""
    from ._native import open

    return open(path, read_only=True)


def stream(path: str, name: str) -> Stream:
    """A stream of the database at ``path``."""
    return database(path).stream(name)


def track(path: str, name: str) -> PresenceTrack:
    """A presence track of the database at ``path``."""
    return database(path).track(name)
