//! The one error of this crate: what is wrong, in which input, at which line, and what to do.
//!
//! # Invariants
//! - `what` is a sentence for people and ends with the remedy where there is one.
//! - `line` counts physical lines from 1, as editors do.

use std::io;

/// What kind of fault an [`IngestError`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum IngestErrorKind {
    /// The operating system refused a read, a write or an open; the source is attached.
    Io,
    /// The content is none of the formats this crate reads.
    UnknownFormat,
    /// The header of a CSV is missing or cannot be used.
    Header,
    /// No column of the CSV is the time, or the one named is not there.
    NoTimeColumn,
    /// Integer times whose unit neither the option nor the column's name tells.
    NoTimeUnit,
    /// A malformed line, or a column of text, in strict mode.
    Malformed,
    /// Well formed, and nothing a stream can hold: no numeric column, too many columns.
    Unsupported,
    /// An option is out of its bounds or contradicts the input.
    Options,
    /// The file changed while it was being read.
    Changed,
}

/// Why an input could not be imported.
#[derive(Debug, thiserror::Error)]
#[error("{file}{}: {what}", LineSuffix(*line))]
pub struct IngestError {
    /// The kind, for programs.
    pub kind: IngestErrorKind,
    /// The path or name of the input, as the caller gave it.
    pub file: String,
    /// The physical line, from 1, where the fault belongs to one.
    pub line: Option<u64>,
    /// The fault in plain words, and what to do about it.
    pub what: String,
    /// The operating system's error, for [`IngestErrorKind::Io`].
    #[source]
    pub source: Option<io::Error>,
}

impl IngestError {
    /// An error of `kind` in the input called `file`.
    pub(crate) fn new(kind: IngestErrorKind, file: &str, what: impl Into<String>) -> Self {
        Self { kind, file: file.to_owned(), line: None, what: what.into(), source: None }
    }

    /// The same error at a line.
    #[must_use]
    pub(crate) fn at_line(mut self, line: u64) -> Self {
        self.line = Some(line);
        self
    }

    /// An error of the operating system while `doing` something.
    pub(crate) fn io(file: &str, doing: &str, source: io::Error) -> Self {
        Self {
            kind: IngestErrorKind::Io,
            file: file.to_owned(),
            line: None,
            what: format!("{doing}: {source}"),
            source: Some(source),
        }
    }
}

struct LineSuffix(Option<u64>);

impl std::fmt::Display for LineSuffix {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.map_or(Ok(()), |line| write!(f, ":{line}"))
    }
}

/// Shorthand used through this crate.
pub type Result<T, E = IngestError> = std::result::Result<T, E>;
