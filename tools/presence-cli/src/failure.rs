//! How a command ends: well, without data, or with an error that has a code, a kind and a message.
//!
//! # Invariants
//! - An error is one line: control characters in it are escaped.
//! - Kinds are for programs and never change their spelling.

use std::io;
use std::process::ExitCode;

use clap::error::ErrorKind;
use presence::Error;
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
    pub fn code(self) -> ExitCode {
        ExitCode::from(match self {
            Self::Fine => 0,
            Self::NoData => 1,
            Self::Damaged => 4,
        })
    }
}

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    code: u8,
    kind: &'static str,
    message: String,
}

/// Shorthand used through this crate.
pub type Result<T, E = Failure> = std::result::Result<T, E>;

/// The kind of a failure that nobody needs to hear of: whoever read the output went away.
const CLOSED_PIPE: &str = "closed_pipe";

impl Failure {
    /// A wrong call: what is wrong, and what to do.
    pub fn usage(message: impl Into<String>) -> Self {
        Self { code: 2, kind: "usage", message: message.into() }
    }

    /// The system refused or failed.
    pub fn io(doing: &str, error: &io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self { code: 0, kind: CLOSED_PIPE, message: String::new() };
        }
        Self { code: 3, kind: "io", message: format!("cannot {doing}: {error}") }
    }

    /// What was asked cannot be done with what is there.
    pub fn cannot(message: impl Into<String>) -> Self {
        Self { code: 3, kind: "cannot", message: message.into() }
    }

    /// Data of a later version, or with features that this build does not know.
    pub fn incompatible(message: impl Into<String>) -> Self {
        Self { code: 3, kind: "incompatible", message: message.into() }
    }

    /// Ended by a signal.
    pub fn interrupted(message: impl Into<String>) -> Self {
        Self { code: 130, kind: "interrupted", message: message.into() }
    }

    /// Data that contradicts what it should be.
    pub fn damaged(message: impl Into<String>) -> Self {
        Self { code: 4, kind: "corrupt", message: message.into() }
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

    /// Tells it on standard error, as `program`.
    pub fn tell(&self, program: &str, json: bool) -> ExitCode {
        if self.kind != CLOSED_PIPE {
            if json {
                let (kind, message) = (self.kind, &self.message);
                terminal::say(&json!({"error": {"kind": kind, "message": message}}).to_string());
            } else {
                terminal::say(&format!("{program}: {}", terminal::escape(&self.message)));
            }
        }
        ExitCode::from(self.code)
    }
}

/// Tells, as `program`, what is wrong with the arguments, with the exit code `code`; or shows the
/// help that was asked for.
pub fn refuse(program: &str, error: &clap::Error, code: u8) -> ExitCode {
    let is_answer = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    if !is_answer && std::env::args_os().any(|argument| argument == "--json") {
        let text = error.render().to_string();
        let text = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let text = text.take_while(|line| !line.starts_with("Usage:")).collect::<Vec<_>>();
        let text = text.join(" ");
        let message = text.strip_prefix("error: ").unwrap_or(&text).to_owned();
        return Failure { code, kind: "usage", message }.tell(program, true);
    }
    // Where it cannot be shown, nobody is there to be told so.
    let _shown = error.print();
    if is_answer { ExitCode::SUCCESS } else { ExitCode::from(code) }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let (code, kind) = match &error {
            Error::Poisoned { first } => {
                let first = Self::from(Error::clone(first));
                (first.code, first.kind)
            }
            Error::Corrupt { .. } => (4, "corrupt"),
            Error::Gap(_) => (4, "gap"),
            Error::Incompatible { .. } => (3, "incompatible"),
            Error::NotADatabase { .. } => (3, "not_a_database"),
            Error::Locked { .. } => (3, "locked"),
            Error::Interrupted { .. } => (130, "interrupted"),
            Error::NetworkFileSystem { .. } => (3, "network_file_system"),
            Error::NoSuchStream { .. } => (2, "no_such_stream"),
            Error::StreamExists { .. } => (2, "stream_exists"),
            Error::StreamFinished { .. } => (2, "stream_finished"),
            Error::SchemaMismatch { .. } => (2, "schema_mismatch"),
            Error::TimeOrder { .. } => (2, "time_order"),
            Error::ReversedRange { .. } => (2, "reversed_range"),
            Error::Invalid { .. } | Error::Batch { .. } | Error::TooManyStreams { .. } => {
                (2, "usage")
            }
            other if other.is_damage() => (4, "corrupt"),
            _ => (3, "io"),
        };
        Self { code, kind, message: error.to_string() }
    }
}

impl From<IngestError> for Failure {
    fn from(error: IngestError) -> Self {
        let (code, kind) = match error.kind {
            IngestErrorKind::Io => (3, "io"),
            IngestErrorKind::Changed => (3, "changed"),
            IngestErrorKind::UnknownFormat => (2, "unknown_format"),
            IngestErrorKind::Header => (2, "header"),
            IngestErrorKind::NoTimeColumn => (2, "no_time_column"),
            IngestErrorKind::NoTimeUnit => (2, "no_time_unit"),
            IngestErrorKind::Malformed => (2, "malformed"),
            IngestErrorKind::Unsupported => (2, "unsupported"),
            _ => (2, "usage"),
        };
        Self { code, kind, message: error.to_string() }
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
