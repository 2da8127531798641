//! The commands, one file each.
//!
//! # Invariants
//! - A command knows the public API of the engine only.

mod at;
mod backup;
mod compact;
mod demo;
pub(crate) mod import;
pub(crate) mod info;
mod retain;
mod window;

use clap::Subcommand;

use presence_cli::failure::{Outcome, Result};

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Bring files into a database: CSV with a header, MOT challenge text, KITTI tracking labels.
    Import(import::Arguments),
    /// Show the streams of a database, and what it costs and holds.
    Info(info::Arguments),
    /// Show the record in force at a time: the last one at or before it.
    At(at::Arguments),
    /// Write the records of a range of time.
    Window(window::Arguments),
    /// Give up the oldest segments, by age or by size.
    Retain(retain::Arguments),
    /// Rewrite segments into fewer and better ones.
    Compact(compact::Arguments),
    /// Make a consistent, verified copy, also of a database that is being written.
    Backup(backup::Arguments),
    /// Make a recording, kill it, recover it, ask it.
    Demo(demo::Arguments),
    /// The part of the demo that is killed.
    #[command(hide = true)]
    DemoRecord(demo::RecordArguments),
}

impl Command {
    /// Does it.
    ///
    /// # Errors
    /// What the command ran into.
    pub(crate) fn run(&self, json: bool) -> Result<Outcome> {
        match self {
            Self::Import(arguments) => import::run(arguments, json),
            Self::Info(arguments) => info::run(arguments, json),
            Self::At(arguments) => at::run(arguments, json),
            Self::Window(arguments) => window::run(arguments, json),
            Self::Retain(arguments) => retain::run(arguments, json),
            Self::Compact(arguments) => compact::run(arguments, json),
            Self::Backup(arguments) => backup::run(arguments, json),
            Self::Demo(arguments) => demo::run(arguments, json),
            Self::DemoRecord(arguments) => demo::record(arguments),
        }
    }
}
