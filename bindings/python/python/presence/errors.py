"""What can go wrong: one tree, and in it the built-in that one would catch."""

from __future__ import annotations


class PresenceError(Exception):
    """Any error of presence.

    ``file``, ``stream`` and ``offset`` say where, as far as it is known, and are ``None`` else.
    """

    file: str | None = None
    stream: str | None = None
    offset: int | None = None


class InvalidError(PresenceError, ValueError):
    """A name, value, option or range that cannot be."""


class TimeOrderError(InvalidError):
    """A timestamp breaks the stream's order."""


class SchemaError(InvalidError):
    """A value's type or shape is not the stream's."""


class ExistsError(InvalidError):
    """A stream or track of this name exists already."""


class NotFoundError(PresenceError, KeyError):
    """No stream or track has this name."""

    def __str__(self) -> str:
        # A KeyError would show the text in quotation marks.
        return str(self.args[0]) if self.args else ""


class StateError(PresenceError, RuntimeError):
    """The handle cannot do this: closed, read-only, finished, taken, of another process."""


class PoisonedError(StateError):
    """An earlier write failed, and ended this handle's writing; reopen to see what was kept."""


class StorageError(PresenceError, OSError):
    """The system refused or failed; ``errno`` says how, where it is known."""


class MissingError(StorageError, FileNotFoundError):
    """There is no such file or directory."""


class DeniedError(StorageError, PermissionError):
    """The system does not permit it."""


class DatabaseExistsError(StorageError, FileExistsError):
    """The directory holds a database already."""


class NotADatabaseError(StorageError):
    """The path holds no database."""


class LockedError(StorageError):
    """Another handle or process writes this database."""


class CorruptError(StorageError):
    """Bytes contradict their checksum or each other, or records are missing; all else is readable."""


class IncompatibleError(StorageError):
    """A newer version of the format, or a feature that this build does not know."""


__all__ = [
    "CorruptError",
    "DatabaseExistsError",
    "DeniedError",
    "ExistsError",
    "IncompatibleError",
    "InvalidError",
    "LockedError",
    "MissingError",
    "NotADatabaseError",
    "NotFoundError",
    "PoisonedError",
    "PresenceError",
    "SchemaError",
    "StateError",
    "StorageError",
    "TimeOrderError",
]
