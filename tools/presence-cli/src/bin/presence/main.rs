//! `presence`: a database of recordings, from the shell.
//!
//! # Invariants
//! - Answers go to standard output, everything else to standard error: one line for an error.
//! - Exit codes: 0 fine, 1 the answer is "no data", 2 usage, 3 I/O, 4 damaged, 130 interrupted.
//! - Text from files is escaped before a terminal sees it.
//! - A closed pipe ends the program quietly.

#![forbid(unsafe_code)]

mod commands;
mod demo;
mod export;
mod open;
mod question;
mod report;
mod session;
mod sightings;

use std::process::ExitCode;

use clap::Parser;

use commands::Command;

/// What errors begin with.
const PROGRAM: &str = "presence";

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

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return presence_cli::failure::refuse(PROGRAM, &error, 2),
    };
    match cli.command.run(cli.json) {
        Ok(outcome) => outcome.code(),
        Err(failure) => failure.tell(PROGRAM, cli.json),
    }
}
