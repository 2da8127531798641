//! `presence`: a database of recordings, from the shell.

#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(presence_cli::tool::run(std::env::args_os(), None))
}
