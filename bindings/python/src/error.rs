//! The engine's errors as exceptions of `presence.errors`.
//!
//! # Invariants
//! - Every exception is a `PresenceError` and the built-in that one would catch.
//! - Where an error knows its file, stream or offset, the exception tells it.

use pyo3::prelude::*;
use pyo3::types::PyType;

use presence::Error;

/// The name of an error's class in `presence.errors`.
fn class_name(error: &Error) -> &'static str {
    match error {
        Error::Io { source, .. } => match source.kind() {
            std::io::ErrorKind::NotFound => "MissingError",
            std::io::ErrorKind::PermissionDenied => "DeniedError",
            _ => "StorageError",
        },
        Error::Corrupt { .. } | Error::Gap(_) => "CorruptError",
        Error::Incompatible { .. } => "IncompatibleError",
        Error::NotADatabase { .. } => "NotADatabaseError",
        Error::AlreadyExists { .. } => "DatabaseExistsError",
        Error::Locked { .. } => "LockedError",
        Error::NetworkFileSystem { .. } => "StorageError",
        Error::Poisoned { .. } => "PoisonedError",
        Error::NoSuchStream { .. } | Error::NoSuchTrack { .. } => "NotFoundError",
        Error::StreamExists { .. } | Error::TrackExists { .. } => "ExistsError",
        Error::TimeOrder { .. } => "TimeOrderError",
        Error::SchemaMismatch { .. } | Error::Batch { .. } => "SchemaError",
        Error::ReadOnly
        | Error::Closed
        | Error::Forked { .. }
        | Error::StreamFinished { .. }
        | Error::WriterTaken { .. }
        | Error::Interrupted { .. } => "StateError",
        _ => "InvalidError",
    }
}

/// Where an error happened, as far as it says.
#[derive(Default)]
struct Place<'a> {
    file: Option<&'a str>,
    stream: Option<&'a str>,
    offset: Option<u64>,
}

impl<'a> Place<'a> {
    fn of(error: &'a Error) -> Self {
        match error {
            Error::Corrupt { file, offset, affected, .. } => Self {
                file: Some(file),
                stream: affected.as_ref().map(|affected| affected.stream.as_str()),
                offset: Some(*offset),
            },
            Error::Io { file, .. } | Error::Incompatible { file, .. } => {
                Self { file: Some(file), ..Self::default() }
            }
            Error::NotADatabase { path, .. }
            | Error::AlreadyExists { path }
            | Error::Locked { path, .. }
            | Error::NetworkFileSystem { path } => Self { file: Some(path), ..Self::default() },
            Error::Gap(affected) => Self { stream: Some(&affected.stream), ..Self::default() },
            Error::NoSuchStream { name }
            | Error::StreamExists { name }
            | Error::NoSuchTrack { name }
            | Error::TrackExists { name }
            | Error::StreamFinished { name }
            | Error::WriterTaken { name } => Self { stream: Some(name), ..Self::default() },
            Error::TimeOrder { stream, .. }
            | Error::SchemaMismatch { stream, .. }
            | Error::Batch { stream, .. } => Self { stream: Some(stream), ..Self::default() },
            Error::Poisoned { first } => Self::of(first),
            _ => Self::default(),
        }
    }
}

/// A class of `presence.errors`.
fn class<'py>(py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyType>> {
    Ok(py.import("presence.errors")?.getattr(name)?.cast_into::<PyType>()?)
}

/// The exception of a class of `presence.errors` with this text.
pub(crate) fn raise(py: Python<'_>, name: &str, text: impl std::fmt::Display) -> PyErr {
    let made = class(py, name).and_then(|class| class.call1((text.to_string(),)));
    made.map_or_else(|error| error, PyErr::from_value)
}

/// An argument that cannot be.
pub(crate) fn invalid(py: Python<'_>, text: impl std::fmt::Display) -> PyErr {
    raise(py, "InvalidError", text)
}

/// The exception that tells of `error`.
pub(crate) fn exception(py: Python<'_>, error: &Error) -> PyErr {
    let made = class(py, class_name(error)).and_then(|class| {
        let exception = class.call1((error.to_string(),))?;
        let place = Place::of(error);
        exception.setattr("file", place.file)?;
        exception.setattr("stream", place.stream)?;
        exception.setattr("offset", place.offset)?;
        if let Error::Io { source, .. } = error {
            exception.setattr("errno", source.raw_os_error())?;
        }
        Ok(exception)
    });
    made.map_or_else(|error| error, PyErr::from_value)
}

/// Results of the engine become results of Python.
pub(crate) trait OrRaise<T> {
    /// The value, or the exception that tells of the error.
    fn or_raise(self, py: Python<'_>) -> PyResult<T>;
}

impl<T> OrRaise<T> for presence::Result<T> {
    fn or_raise(self, py: Python<'_>) -> PyResult<T> {
        self.map_err(|error| exception(py, &error))
    }
}
