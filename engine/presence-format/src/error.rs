//! The one error of this crate: what is wrong with some bytes, and where.
//!
//! # Invariants
//! - `offset` is relative to the start of the bytes handed in; callers who know the file add to it.

/// What kind of fault the bytes have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FormatErrorKind {
    /// The bytes end before the structure does.
    Truncated,
    /// The bytes are all there, and contradict their checksum, a cap, or each other.
    Corrupt,
    /// Sound bytes of a version or feature that this build does not know.
    Incompatible,
    /// Sound bytes in the wrong place: another database, segment, stream or offset.
    Foreign,
    /// A value given by the caller cannot be stored.
    Invalid,
}

/// A fault in bytes, with the offset at which it was found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} at byte {offset}")]
pub struct FormatError {
    /// The kind, for programs.
    pub kind: FormatErrorKind,
    /// The fault in plain words, for people.
    pub what: String,
    /// Where, relative to the start of the bytes decoded.
    pub offset: u64,
}

impl FormatError {
    /// An error of `kind` at `offset`.
    pub fn new(kind: FormatErrorKind, offset: u64, what: impl Into<String>) -> Self {
        Self { kind, what: what.into(), offset }
    }

    /// The bytes end too early.
    pub fn truncated(offset: u64, what: impl Into<String>) -> Self {
        Self::new(FormatErrorKind::Truncated, offset, what)
    }

    /// The bytes are wrong.
    pub fn corrupt(offset: u64, what: impl Into<String>) -> Self {
        Self::new(FormatErrorKind::Corrupt, offset, what)
    }

    /// The caller's value cannot be stored.
    pub fn invalid(what: impl Into<String>) -> Self {
        Self::new(FormatErrorKind::Invalid, 0, what)
    }

    /// The same fault, seen from `base` bytes further out.
    #[must_use]
    pub fn at_base(mut self, base: u64) -> Self {
        self.offset = self.offset.saturating_add(base);
        self
    }
}

/// Shorthand used through this crate.
pub type Result<T, E = FormatError> = std::result::Result<T, E>;
