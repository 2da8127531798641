//! What can go wrong, where, and what to do about it.
//!
//! # Invariants
//! - Every error about bytes names the file and the offset; every error about a value holds both
//!   the value and what it was compared with.
//! - Errors are cheap to clone, so the first failure of a writer can be told to every later call.

use std::io;

use presence_format::rate::RateError;
use presence_format::{FormatError, FormatErrorKind};

use crate::shim::Arc;

/// Shorthand used through this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of the engine.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused or failed.
    #[error("cannot {action} {file}: {source}")]
    Io {
        /// What was being done: `read`, `write`, `sync`.
        action: &'static str,
        /// The file or directory.
        file: String,
        /// The system's error.
        source: Arc<io::Error>,
    },
    /// Bytes contradict their checksum or each other; everything else stays readable.
    #[error("{file} at byte {offset}: {what}{}; `presence-fsck` tells what is affected",
        affected.as_ref().map_or(String::new(), |a| format!(" ({a})")))]
    Corrupt {
        /// The segment's file.
        file: String,
        /// Offset in the file.
        offset: u64,
        /// The fault.
        what: String,
        /// The records that cannot be read because of it, where known.
        affected: Option<Box<Affected>>,
    },
    /// Records are missing between two sound blocks; the rest stays readable.
    #[error("damaged: {0} cannot be read; `presence-fsck` names the file")]
    Gap(Box<Affected>),
    /// A newer version of the format, or a feature that this build does not know.
    #[error("{file}: {what}")]
    Incompatible {
        /// The segment's file.
        file: String,
        /// What is unknown.
        what: String,
    },
    /// The path holds no database.
    #[error("{path} is not a presence database: {what}")]
    NotADatabase {
        /// The directory.
        path: String,
        /// Why.
        what: String,
    },
    /// The path holds a database already.
    #[error("{path} already holds a database; open it instead of creating it")]
    AlreadyExists {
        /// The directory.
        path: String,
    },
    /// Another handle or process writes this database.
    #[error("{path} is being written by {holder}; only one writer at a time, readers are free")]
    Locked {
        /// The directory.
        path: String,
        /// What the holder left about itself.
        holder: String,
    },
    /// The directory is on a network file system, where locks and syncs cannot be relied on.
    #[error("{path} is on a network file system; set `allow_network_fs` to write there anyway")]
    NetworkFileSystem {
        /// The directory.
        path: String,
    },
    /// The database was opened for reading.
    #[error("the database is open read-only")]
    ReadOnly,
    /// An earlier write or sync failed; nothing is written by this handle any more.
    #[error("an earlier failure ended this writer: {first}; reopen to see what was kept")]
    Poisoned {
        /// The first failure.
        first: Box<Error>,
    },
    /// The database was closed.
    #[error("the database is closed")]
    Closed,
    /// The handle was made before a fork, in the parent.
    #[error(
        "the handle belongs to process {owner}, not to this child of it; open the database here"
    )]
    Forked {
        /// The process that opened the database.
        owner: u32,
    },
    /// No stream has this name.
    #[error("no stream is named {name:?}")]
    NoSuchStream {
        /// The name asked for.
        name: String,
    },
    /// A stream has this name already.
    #[error("a stream named {name:?} exists already")]
    StreamExists {
        /// The name.
        name: String,
    },
    /// No track has this name.
    #[error("no presence track is named {name:?}")]
    NoSuchTrack {
        /// The name asked for.
        name: String,
    },
    /// A track has this name already, or a stream has that of one of its planes.
    #[error("a presence track named {name:?}, or a stream of that name, exists already")]
    TrackExists {
        /// The name.
        name: String,
    },
    /// A class of a track was set or named before.
    #[error("class {class} of presence track {track:?} is in use already")]
    ClassInUse {
        /// The track.
        track: String,
        /// The class.
        class: u16,
    },
    /// The stream was closed for ever.
    #[error("stream {name:?} is finished; nothing can be appended to it")]
    StreamFinished {
        /// The stream.
        name: String,
    },
    /// Another writer of the stream is alive.
    #[error("stream {name:?} has a writer already; drop it first")]
    WriterTaken {
        /// The stream.
        name: String,
    },
    /// The database has as many streams as the format allows.
    #[error("a database has at most {limit} streams")]
    TooManyStreams {
        /// The limit.
        limit: u32,
    },
    /// The timestamp breaks the stream's order.
    #[error("stream {stream:?}: timestamp {ts} after {last_ts} breaks the order {order}")]
    TimeOrder {
        /// The stream.
        stream: String,
        /// The timestamp before.
        last_ts: i64,
        /// The timestamp refused.
        ts: i64,
        /// The stream's order.
        order: &'static str,
    },
    /// The value's type or shape is not the stream's.
    #[error("stream {stream:?} has {expected}, not {given}")]
    SchemaMismatch {
        /// The stream.
        stream: String,
        /// The stream's columns.
        expected: String,
        /// The columns given.
        given: String,
    },
    /// Columns of a batch differ in length.
    #[error("stream {stream:?}: {what}")]
    Batch {
        /// The stream.
        stream: String,
        /// The lengths that differ.
        what: String,
    },
    /// A name, schema or option that cannot be.
    #[error("{what}")]
    Invalid {
        /// What is wrong with it.
        what: String,
    },
    /// The caller asked to end before the work was done.
    #[error("{what} was interrupted")]
    Interrupted {
        /// What was being done.
        what: &'static str,
    },
    /// A range whose start lies after its end.
    #[error("the range begins at {start}, after its end {end}")]
    ReversedRange {
        /// Where it begins.
        start: i64,
        /// Where it ends.
        end: i64,
    },
}

/// Records that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Affected {
    /// The stream's name.
    pub stream: String,
    /// Nothing is missing at or before this timestamp.
    pub after_ts: Option<i64>,
    /// Nothing is missing at or after this timestamp.
    pub before_ts: Option<i64>,
    /// How many records.
    pub records: u64,
}

impl std::fmt::Display for Affected {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} records of stream {:?}", self.records, self.stream)?;
        match (self.after_ts, self.before_ts) {
            (Some(after), Some(before)) => write!(f, " from {after} to {before}"),
            (Some(after), None) => write!(f, " after {after}"),
            (None, Some(before)) => write!(f, " before {before}"),
            (None, None) => Ok(()),
        }
    }
}

impl Error {
    pub(crate) fn io(action: &'static str, file: &str) -> impl FnOnce(io::Error) -> Self {
        let file = file.to_owned();
        move |source| Self::Io { action, file, source: Arc::new(source) }
    }

    /// A fault in the bytes of `file`, found by decoding from `base` on.
    pub(crate) fn format(file: &str, base: u64) -> impl FnOnce(FormatError) -> Self {
        let file = file.to_owned();
        move |error| match error.kind {
            FormatErrorKind::Incompatible => Self::Incompatible { file, what: error.what },
            _ => Self::Corrupt {
                file,
                offset: base.saturating_add(error.offset),
                what: error.what,
                affected: None,
            },
        }
    }

    pub(crate) fn invalid(what: impl Into<String>) -> Self {
        Self::Invalid { what: what.into() }
    }

    /// Whether the error tells of damaged data, as against a wrong call or a failing system.
    pub const fn is_damage(&self) -> bool {
        matches!(self, Self::Corrupt { .. } | Self::Gap(_))
    }
}

impl From<RateError> for Error {
    fn from(error: RateError) -> Self {
        Self::invalid(error.to_string())
    }
}

/// Names every variant once: one that is left out does not compile, and one that is named and that
/// no test provokes fails the tests.
#[cfg(any(test, feature = "simulation"))]
macro_rules! variants {
    ($($name:ident),* $(,)?) => {
        impl Error {
            /// The names of all variants.
            #[doc(hidden)]
            pub const VARIANTS: &[&str] = &[$(stringify!($name)),*];

            /// The variant's name.
            #[doc(hidden)]
            pub const fn variant(&self) -> &'static str {
                match self {
                    $(Self::$name { .. } => stringify!($name),)*
                }
            }
        }
    };
}

#[cfg(any(test, feature = "simulation"))]
variants! {
    Io, Corrupt, Gap, Incompatible, NotADatabase, AlreadyExists, Locked, NetworkFileSystem,
    ReadOnly, Poisoned, Closed, Forked, NoSuchStream, StreamExists, NoSuchTrack, TrackExists,
    ClassInUse, StreamFinished, WriterTaken, TooManyStreams, TimeOrder, SchemaMismatch, Batch,
    Invalid, ReversedRange, Interrupted,
}
