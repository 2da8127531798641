//! The one error of this crate: what is wrong, at which byte, and what to do about it.
//!
//! # Invariants
//! - `offset` counts bytes from the start of the input, whatever pieces it was fed in.
//! - All events before the damage have been handed out when an error is returned.

/// What kind of fault an [`EventError`] or a [`Fault`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EventErrorKind {
    /// The content is none of the formats this crate reads, or not for certain one of them.
    UnknownFormat,
    /// A known format that holds no camera events, or a variant that is not read.
    Unsupported,
    /// Bytes that the format does not permit.
    Corrupt,
    /// The input ends inside a header, a word, a packet or a line.
    Truncated,
    /// A pixel beyond the sensor.
    OutOfBounds,
    /// A timestamp below the one before it.
    OutOfOrder,
    /// Bytes that their source could not read.
    Unreadable,
    /// An option is missing, contradicts the input, or the values do not fit the format.
    Invalid,
}

/// Why events could not be read or written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("at byte {offset}: {what}")]
pub struct EventError {
    /// The kind, for programs.
    pub kind: EventErrorKind,
    /// The byte of the input, from 0, where the fault begins.
    pub offset: u64,
    /// The fault in plain words, and what to do about it.
    pub what: String,
}

impl EventError {
    /// An error of `kind` at a byte of the input.
    pub(crate) fn new(kind: EventErrorKind, offset: u64, what: impl Into<String>) -> Self {
        Self { kind, offset, what: what.into() }
    }

    /// An error of a source that could not read its bytes.
    #[must_use]
    pub fn unreadable(offset: u64, what: impl Into<String>) -> Self {
        Self::new(EventErrorKind::Unreadable, offset, what)
    }

    /// An error of an option or of a value to write, which has no place in an input.
    pub(crate) fn invalid(what: impl Into<String>) -> Self {
        Self::new(EventErrorKind::Invalid, 0, what)
    }
}

/// A fault that was skipped, as a [`Report`](crate::Report) lists it.
pub type Fault = EventError;

/// Shorthand used through this crate.
pub type Result<T, E = EventError> = std::result::Result<T, E>;

/// The first error of a decoder, which it returns for ever after.
#[derive(Debug, Clone, Default)]
pub(crate) struct Latch(Option<EventError>);

impl Latch {
    /// The error, where there was one.
    pub(crate) fn check(&self) -> Result<()> {
        self.0.clone().map_or(Ok(()), Err)
    }

    /// Keeps the error of `result`, which passes through.
    pub(crate) fn keep<T>(&mut self, result: Result<T>) -> Result<T> {
        if let Err(error) = &result {
            self.0.get_or_insert_with(|| error.clone());
        }
        result
    }
}
