//! How a command ends: well, without data, or with an error that has a code, a kind and a message.
//!
//! # Invariants
//! - An error is one line: control characters in it are escaped.
//! - Kinds are for programs and never change their spelling.

use std::io;

use clap::error::ErrorKind;
use presence::{Error, ExpressionError};
use presence_events::{EventError, EventErrorKind};
use presence_ingest::{IngestError, IngestErrorKind};
use serde_json::json;

use crate::terminal;

/// How a command ended that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// There is an answer.
    Fine,
    /// The answer is "no data".
    NoData,
    /// There is an answer, and it tells of damage.
    Damaged,
}

impl Outcome {
    /// The exit code.
    pub const fn code(self) -> u8 {
        match self {
            Self::Fine => 0,
            Self::NoData => 1,
            Self::Damaged => 4,
        }
    }
}

/// Names every kind once: its word for programs, and the exit code that goes with it.
macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $word:literal, $code:literal;)*) => {
        /// What went wrong.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Kind {
            $($(#[$doc])* $name,)*
        }

        impl Kind {
            /// All there are.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The word that programs see.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $word,)*
                }
            }

            /// The exit code of `presence`.
            pub const fn code(self) -> u8 {
                match self {
                    $(Self::$name => $code,)*
                }
            }
        }
    };
}

kinds! {
    /// Whoever read the output went away: nobody needs to hear of it.
    ClosedPipe = "closed_pipe", 0;
    /// A wrong call.
    Usage = "usage", 2;
    /// No stream has the name.
    NoSuchStream = "no_such_stream", 2;
    /// No presence track has the name.
    NoSuchTrack = "no_such_track", 2;
    /// A presence track, or a part of one, has the name already.
    TrackExists = "track_exists", 2;
    /// The text of an expression over classes that is none.
    Expression = "expression", 2;
    /// The stream was closed for ever.
    StreamFinished = "stream_finished", 2;
    /// A range that ends before it begins.
    ReversedRange = "reversed_range", 2;
    /// An input in none of the known formats.
    UnknownFormat = "unknown_format", 2;
    /// A header that is missing or cannot be used.
    Header = "header", 2;
    /// No column is the time.
    NoTimeColumn = "no_time_column", 2;
    /// Nothing tells the unit of the times.
    NoTimeUnit = "no_time_unit", 2;
    /// A malformed line of an input.
    Malformed = "malformed", 2;
    /// An input that no stream can hold.
    Unsupported = "unsupported", 2;
    /// The system refused or failed.
    Io = "io", 3;
    /// What was asked cannot be done with what is there.
    Cannot = "cannot", 3;
    /// Data of a later version, or with features that this build does not know.
    Incompatible = "incompatible", 3;
    /// There is no database.
    NotADatabase = "not_a_database", 3;
    /// Somebody else writes the database.
    Locked = "locked", 3;
    /// The database is on a network file system.
    NetworkFileSystem = "network_file_system", 3;
    /// An input changed while it was read.
    Changed = "changed", 3;
    /// Bytes that contradict what they should be.
    Corrupt = "corrupt", 4;
    /// Records are missing.
    Gap = "gap", 4;
    /// Ended by a signal.
    Interrupted = "interrupted", 130;
}

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    code: u8,
    kind: Kind,
    message: String,
}

/// Shorthand used through this crate.
pub type Result<T, E = Failure> = std::result::Result<T, E>;

impl Failure {
    fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { code: kind.code(), kind, message: message.into() }
    }

    /// A wrong call: what is wrong, and what to do.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Kind::Usage, message)
    }

    /// The system refused or failed.
    pub fn io(doing: &str, error: &io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::new(Kind::ClosedPipe, "");
        }
        Self::new(Kind::Io, format!("cannot {doing}: {error}"))
    }

    /// The text of an expression over classes that is none, with a mark where it ceases to be one.
    pub fn expression(text: &str, error: &ExpressionError) -> Self {
        let at = text.char_indices().nth(error.column.saturating_sub(1));
        let (before, behind) = text.split_at(at.map_or(text.len(), |(at, _)| at));
        Self::new(Kind::Expression, format!("{error}, at the mark: {before}▶{behind}"))
    }

    /// What was asked cannot be done with what is there.
    pub fn cannot(message: impl Into<String>) -> Self {
        Self::new(Kind::Cannot, message)
    }

    /// Data of a later version, or with features that this build does not know.
    pub fn incompatible(message: impl Into<String>) -> Self {
        Self::new(Kind::Incompatible, message)
    }

    /// Ended by a signal.
    pub fn interrupted(message: impl Into<String>) -> Self {
        Self::new(Kind::Interrupted, message)
    }

    /// The error of a decoder or writer of events, of the file called `name`.
    pub fn of_events(name: &str, error: &EventError) -> Self {
        let kind = match error.kind {
            EventErrorKind::UnknownFormat => Kind::UnknownFormat,
            EventErrorKind::Unsupported => Kind::Unsupported,
            EventErrorKind::Invalid => Kind::Usage,
            EventErrorKind::Unreadable => Kind::Io,
            _ => Kind::Malformed,
        };
        Self::new(kind, format!("{name}: {}", error.what))
    }

    /// Data that contradicts what it should be.
    pub fn damaged(message: impl Into<String>) -> Self {
        Self::new(Kind::Corrupt, message)
    }

    /// The same failure with `more` said behind it.
    #[must_use]
    pub fn with(mut self, more: &str) -> Self {
        self.message.push_str("; ");
        self.message.push_str(more);
        self
    }

    /// The exit code.
    pub fn code(&self) -> u8 {
        self.code
    }

    /// The same failure with the codes of fsck(8), which the checking tools share: 16 for a wrong
    /// call, 8 where the system failed, 32 where it was interrupted.
    #[must_use]
    pub fn with_fsck_code(mut self) -> Self {
        self.code = match self.code {
            2 => 16,
            3 => 8,
            130 => 32,
            code => code,
        };
        self
    }

    /// Tells it on standard error, as `program`. Returns the exit code.
    pub fn tell(&self, program: &str, json: bool) -> u8 {
        if self.kind != Kind::ClosedPipe {
            if json {
                let (kind, message) = (self.kind.as_str(), &self.message);
                terminal::say(&json!({"error": {"kind": kind, "message": message}}).to_string());
            } else {
                terminal::say(&format!("{program}: {}", terminal::escape(&self.message)));
            }
        }
        self.code
    }
}

/// Tells, as `program`, what is wrong with the arguments, with the exit code `code`; or shows the
/// help that was asked for. Returns the exit code.
pub fn refuse(program: &str, error: &clap::Error, code: u8) -> u8 {
    let is_answer = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    if !is_answer && std::env::args_os().any(|argument| argument == "--json") {
        let text = error.render().to_string();
        let text = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let text = text.take_while(|line| !line.starts_with("Usage:")).collect::<Vec<_>>();
        let text = text.join(" ");
        let message = text.strip_prefix("error: ").unwrap_or(&text).to_owned();
        return Failure { code, kind: Kind::Usage, message }.tell(program, true);
    }
    // Where it cannot be shown, nobody is there to be told so.
    let _shown = error.print();
    if is_answer { 0 } else { code }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::new(kind_of(&error), error.to_string())
    }
}

fn kind_of(error: &Error) -> Kind {
    match error {
        Error::Poisoned { first } => kind_of(first),
        Error::Corrupt { .. } => Kind::Corrupt,
        Error::Gap(_) => Kind::Gap,
        Error::Incompatible { .. } => Kind::Incompatible,
        Error::NotADatabase { .. } => Kind::NotADatabase,
        Error::Locked { .. } => Kind::Locked,
        Error::Interrupted { .. } => Kind::Interrupted,
        Error::NetworkFileSystem { .. } => Kind::NetworkFileSystem,
        Error::NoSuchStream { .. } => Kind::NoSuchStream,
        Error::NoSuchTrack { .. } => Kind::NoSuchTrack,
        Error::TrackExists { .. } => Kind::TrackExists,
        Error::StreamFinished { .. } => Kind::StreamFinished,
        Error::ReversedRange { .. } => Kind::ReversedRange,
        Error::Invalid { .. }
        | Error::Batch { .. }
        | Error::StreamExists { .. }
        | Error::ClassInUse { .. }
        | Error::SchemaMismatch { .. }
        | Error::TimeOrder { .. }
        | Error::TooManyStreams { .. } => Kind::Usage,
        _ => Kind::Io,
    }
}

impl From<IngestError> for Failure {
    fn from(error: IngestError) -> Self {
        let kind = match error.kind {
            IngestErrorKind::Io => Kind::Io,
            IngestErrorKind::Changed => Kind::Changed,
            IngestErrorKind::UnknownFormat => Kind::UnknownFormat,
            IngestErrorKind::Header => Kind::Header,
            IngestErrorKind::NoTimeColumn => Kind::NoTimeColumn,
            IngestErrorKind::NoTimeUnit => Kind::NoTimeUnit,
            IngestErrorKind::Malformed => Kind::Malformed,
            IngestErrorKind::Unsupported => Kind::Unsupported,
            _ => Kind::Usage,
        };
        Self::new(kind, error.to_string())
    }
}

/// Errors of writing the answer: nothing else in this crate uses `?` on an [`io::Error`].
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::io("write the output", &error)
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        Self::from(io::Error::from(error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a test of the program cannot bring about: a share on a network, a file that changes
    /// between two readings.
    #[test]
    fn what_comes_from_outside() {
        let path = "/mnt/share".to_owned();
        let failure = Failure::from(Error::NetworkFileSystem { path });
        assert_eq!((failure.kind, failure.code()), (Kind::NetworkFileSystem, 3));
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "t_us,x\n1,2\n3,4\n").unwrap();
        let source = presence_ingest::Source::path(file.path());
        let mut import = presence_ingest::Import::open(source, Default::default()).unwrap();
        std::fs::write(file.path(), "t_us,x\n9,2\n3,4\n").unwrap();
        let failure = Failure::from(import.next_batch().unwrap_err());
        assert_eq!((failure.kind, failure.with_fsck_code().code()), (Kind::Changed, 8));
    }

    #[test]
    fn what_ended_a_writer_is_what_failed_first() {
        let first = Error::NoSuchStream { name: "s".to_owned() };
        let failure = Failure::from(Error::Poisoned { first: Box::new(first) });
        assert_eq!((failure.kind, failure.code()), (Kind::NoSuchStream, 2));
        assert!(failure.to_string().contains("no stream is named"), "{failure}");
    }
}
