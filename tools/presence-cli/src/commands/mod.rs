//! The commands, one file each.
//!
//! # Invariants
//! - A command knows the public API of the engine only.

mod at;
mod backup;
mod compact;
mod demo;
mod events;
pub(crate) mod import;
pub(crate) mod info;
mod intervals;
mod mot;
mod ratio;
mod retain;
mod scrub;
mod timeline;
mod times;
mod window;

use clap::Subcommand;

use presence_cli::failure::{Outcome, Result};

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Bring files into a database: CSV with a header; MOT challenge text and KITTI tracking
    /// labels, which fill a presence track too; recordings of event cameras.
    Import(import::Arguments),
    /// Look at, convert and filter recordings of event cameras, in files and in databases.
    Events(events::Arguments),
    /// Show the streams and presence tracks of a database, and what it costs and holds.
    Info(info::Arguments),
    /// Show the record in force at a time: the last one at or before it.
    At(at::Arguments),
    /// Write the records of a range of time.
    Window(window::Arguments),
    /// Tell how much of a time something was seen, of a presence track.
    Ratio(ratio::Arguments),
    /// List every tick at which something was seen, of a presence track.
    Times(times::Arguments),
    /// List from when to when something was seen, of a presence track.
    Intervals(intervals::Arguments),
    /// Draw when each class was seen, of a presence track.
    Timeline(timeline::Arguments),
    /// Give up the oldest segments, by age or by size.
    Retain(retain::Arguments),
    /// Rewrite segments into fewer and better ones.
    Compact(compact::Arguments),
    /// Make a consistent, verified copy, also of a database that is being written.
    Backup(backup::Arguments),
    /// Jump through frames of MOT text, or of a database of it, and see the cache think.
    Scrub(scrub::Arguments),
    /// Make MOT text.
    Mot(mot::Arguments),
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
            Self::Events(arguments) => events::run(arguments, json),
            Self::Info(arguments) => info::run(arguments, json),
            Self::At(arguments) => at::run(arguments, json),
            Self::Window(arguments) => window::run(arguments, json),
            Self::Ratio(arguments) => ratio::run(arguments, json),
            Self::Times(arguments) => times::run(arguments, json),
            Self::Intervals(arguments) => intervals::run(arguments, json),
            Self::Timeline(arguments) => timeline::run(arguments, json),
            Self::Retain(arguments) => retain::run(arguments, json),
            Self::Compact(arguments) => compact::run(arguments, json),
            Self::Backup(arguments) => backup::run(arguments, json),
            Self::Scrub(arguments) => scrub::run(arguments, json),
            Self::Mot(arguments) => mot::run(arguments),
            Self::Demo(arguments) => demo::run(arguments, json),
            Self::DemoRecord(arguments) => demo::record(arguments),
        }
    }
}
