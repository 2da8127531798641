//! `presence events`: recordings of event cameras, as files and as streams.
//!
//! # Invariants
//! - All work alike on a file of any format and on a stream of a database.

mod convert;
mod file;
mod filters;
mod frame;
mod picture;
mod plot;
mod rate;
mod sink;
mod slice;
mod source;
mod stats;
mod stored;

use clap::{Args, Subcommand};

use presence_cli::failure::{Outcome, Result};

/// What to do with events.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Tell what a recording is: format, sensor, camera, times, what is beside the events.
    Info(stats::InfoArguments),
    /// Count: events, polarities, times, what was left out.
    Stats(stats::Arguments),
    /// Draw events over time.
    Rate(rate::Arguments),
    /// Draw the events of a time as a picture.
    Frame(frame::Arguments),
    /// Cut into slices of a fixed duration or number of events; list them, or write each as a file.
    Slice(slice::Arguments),
    /// Write events in another format.
    Convert(convert::Arguments),
    /// Leave out noise or parts, and write the rest as a file.
    Filter(convert::FilterArguments),
}

/// Does it.
///
/// # Errors
/// What the command ran into.
pub(crate) fn run(arguments: &Arguments, json: bool) -> Result<Outcome> {
    match &arguments.command {
        Command::Info(arguments) => stats::info(arguments, json),
        Command::Stats(arguments) => stats::run(arguments, json),
        Command::Rate(arguments) => rate::run(arguments, json),
        Command::Frame(arguments) => frame::run(arguments, json),
        Command::Slice(arguments) => slice::run(arguments, json),
        Command::Convert(arguments) => convert::run(arguments, json),
        Command::Filter(arguments) => convert::filter(arguments, json),
    }
}
