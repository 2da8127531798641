//! `cargo xtask <command>`: the automation of this repository, in Rust.
//!
//! # Invariants
//! - Commands change nothing in the tree, but for `vectors` and `figures --write`, which write what
//!   they are asked for, and `fuzz`, which keeps inputs that fail. `test` may install tools, and
//!   says so when it does.
//! - Every command is right from any working directory and ends with 0 only where all was well.

mod coverage;
mod figures;
mod fuzz;
mod kaitai;
mod miri;
mod models;
mod python;
mod spec;
mod steps;
mod supply;
mod test;
mod tidy;
mod torture;
mod vectors;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// An error is a message for people: what happened, and what to do.
type Result<T> = std::result::Result<T, String>;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Automation of the presence repository")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run everything a change must pass, step by step, up to the first that fails.
    Test(test::Options),
    /// Run the randomised tests with fresh seeds and growing numbers until the time is over.
    Torture(torture::Options),
    /// Measure which lines of format, recovery and fsck are run by tests.
    Coverage(coverage::Options),
    /// Print what the last run counted, or write it into a document.
    Figures(figures::Options),
    /// Check the style rules that can be checked without compiling.
    Tidy,
    /// Compare the tables of the format's specification with the code.
    Spec,
    /// Run the tests of readers beside writers under the thread sanitizer: minutes.
    Tsan,
    /// Write the golden vectors of the format that are missing, or verify them all.
    Vectors(vectors::Options),
}

fn main() -> ExitCode {
    let outcome = root().and_then(|root| match Arguments::parse().command {
        Command::Test(options) => test::run(&root, &options),
        Command::Torture(options) => torture::run(&root, &options),
        Command::Coverage(options) => coverage::run(&root, &options),
        Command::Figures(options) => figures::run(&root, &options),
        Command::Tidy => tidy::run(&root),
        Command::Spec => spec::run(&root),
        Command::Tsan => miri::tsan(&root),
        Command::Vectors(options) => vectors::run(&root, &options),
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("xtask: {message}");
            ExitCode::FAILURE
        }
    }
}

/// The top folder of the repository: two above this crate.
fn root() -> Result<PathBuf> {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .map(Path::to_path_buf)
        .ok_or_else(|| "this crate is not two folders below the repository's top".to_owned())
}
