//! The program `presence`, for whoever starts it: the binary, or Python's `-m presence`.
//!
//! # Invariants
//! - Answers go to standard output, everything else to standard error: one line for an error.
//! - Exit codes: 0 fine, 1 the answer is "no data", 2 usage, 3 I/O, 4 damaged, 130 interrupted.
//! - Text from files is escaped before a terminal sees it.
//! - A closed pipe ends the program quietly.

use std::ffi::OsString;
use std::process::Command as Process;
use std::sync::OnceLock;

use clap::Parser;

use crate::commands::Command;

/// What errors begin with.
pub(crate) const PROGRAM: &str = "presence";

const CODES: &str = "\
Exit codes: 0 fine, 1 the answer is \"no data\", 2 wrong usage or input, 3 I/O, 4 damaged data, \
130 interrupted.

Times: an integer in the stream's unit, for presence tracks microseconds; a number with a unit \
(1.5s, 200ms, 12us, 3ns), counted from zero of the stream's clock; a date and time \
(2014-07-01T00:30:00Z, UTC where it names no offset); or `now`. Write -- before one that begins \
with a minus and ends with a unit.";

/// Keep, inspect and query recordings of machines that watch the world.
#[derive(Debug, Parser)]
#[command(name = "presence", version, after_help = CODES, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Answers and errors as JSON, for programs.
    #[arg(long, global = true)]
    json: bool,
}

/// The words that start this program again, where it is not a program of its own.
static STARTED_BY: OnceLock<Vec<OsString>> = OnceLock::new();

/// Runs the program with `arguments`, the first of which is its name, and returns its exit code.
/// `started_by` are the words that start it again, where that is not the running executable.
pub fn run(arguments: impl IntoIterator<Item = OsString>, started_by: Option<Vec<OsString>>) -> u8 {
    if let Some(words) = started_by {
        STARTED_BY.get_or_init(|| words);
    }
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => return crate::failure::refuse(PROGRAM, &error, 2),
    };
    match cli.command.run(cli.json) {
        Ok(outcome) => outcome.code(),
        Err(failure) => failure.tell(PROGRAM, cli.json),
    }
}

/// This program, to be started once more.
///
/// # Errors
/// Where nobody knows which one is running.
pub(crate) fn again() -> std::io::Result<Process> {
    match STARTED_BY.get().map(Vec::as_slice) {
        Some([program, words @ ..]) => {
            let mut process = Process::new(program);
            process.args(words);
            Ok(process)
        }
        _ => Ok(Process::new(std::env::current_exe()?)),
    }
}
