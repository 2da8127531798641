//! `presence events convert` and `filter`: events to a file of another format, all or some of them.
//!
//! # Invariants
//! - The file appears whole or not at all.
//! - What the format cannot hold is an error; triggers that it cannot hold are counted and told.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use presence_events::filter::{Filter, PixelCounts};
use presence_events::{EventBatch, Format, SensorSize};
use serde_json::json;

use super::filters::Filters;
use super::sink::{Encoding, Sink, parse_written};
use super::source::{Source, SourceArguments};
use presence_cli::failure::{Failure, Outcome, Result};
use presence_cli::output::Output;
use presence_cli::quantity::{bytes, count, counted};
use presence_cli::terminal::say;

/// Where to.
#[derive(Debug, Args)]
struct Target {
    /// The file to write, which appears whole or not at all; `-` is standard output.
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Its format: evt2, evt3, dat, aedat4, hdf5 or text.
    #[arg(long, value_name = "FORMAT", value_parser = parse_written)]
    to: Format,
    #[command(flatten)]
    encoding: Encoding,
}

impl Target {
    fn open(&self) -> Result<Sink> {
        Sink::open(&self.output, self.to, self.encoding)
    }
}

/// What to write.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    source: SourceArguments,
    #[command(flatten)]
    target: Target,
}

/// What to leave out, and what to write.
#[derive(Debug, Args)]
pub(super) struct FilterArguments {
    #[command(flatten)]
    source: SourceArguments,
    #[command(flatten)]
    filters: Filters,
    #[command(flatten)]
    target: Target,
}

/// Writes all events.
///
/// # Errors
/// Where the source cannot be read, or the format cannot hold an event.
pub(super) fn run(arguments: &Arguments, json: bool) -> Result<Outcome> {
    let mut source = arguments.source.open()?;
    let mut sink = arguments.target.open()?;
    source_to(&mut source, &mut sink, None, None)?;
    told(&arguments.target, sink, &source, json)
}

/// Writes what the filters keep.
///
/// # Errors
/// As [`run`], and where a filter needs the sensor's size and it is unknown.
pub(super) fn filter(arguments: &FilterArguments, json: bool) -> Result<Outcome> {
    let filters = &arguments.filters;
    let mut source = arguments.source.open()?;
    source.ask_within(filters.within());
    let mut sink = arguments.target.open()?;
    let mut counts = None;
    if source.sensor().is_none() || filters.needs_counts() {
        // The size of a file's sensor is known once its header was read.
        let mut selection = filters.selection();
        let mut sized: Option<PixelCounts> = None;
        let wants = filters.needs_counts();
        source.each_sized(|events, _, size| {
            if !wants {
                return Ok(());
            }
            selection.apply(events);
            match size {
                Some(size) => {
                    let counts = sized.get_or_insert_with(|| PixelCounts::new(size));
                    counts.add(events);
                    Ok(())
                }
                None if events.is_empty() => Ok(()),
                None => {
                    Err(Failure::usage("--hot-pixels needs the sensor's size; --sensor tells it"))
                }
            }
        })?;
        counts = sized;
    }
    let (mut chain, size) = filters.chain(source.sensor(), counts.as_ref())?;
    source_to(&mut source, &mut sink, Some(&mut chain), size)?;
    told(&arguments.target, sink, &source, json)
}

/// Hands all events of `source` through `filter` to `sink`; `size` is the sensor's behind it.
fn source_to(
    source: &mut Source,
    sink: &mut Sink,
    mut filter: Option<&mut dyn Filter>,
    size: Option<SensorSize>,
) -> Result<()> {
    let known = size.or(source.sensor());
    source.each_sized(|events, triggers, found| {
        if let Some(filter) = &mut filter {
            filter.apply(events);
        }
        sink.put(events, triggers, known.or(found))
    })?;
    if let Some(filter) = filter {
        let mut held = EventBatch::new();
        filter.finish(&mut held);
        sink.put(&held, &[], known)?;
    }
    Ok(())
}

/// Ends the file, and says what is in it.
fn told(target: &Target, sink: Sink, source: &Source, json: bool) -> Result<Outcome> {
    let written = sink.end(source.sensor())?;
    let (format, read) = (target.to, source.report().events);
    if json {
        let told = json!({
            "format": format.name(),
            "events": written.events,
            "events_read": read,
            "bytes": written.bytes,
            "triggers": written.triggers,
            "triggers_left_out": written.triggers_left,
            "losses": source.losses(),
        });
        if target.output.as_os_str() == "-" {
            say(&told.to_string());
        } else {
            let mut out = Output::stdout();
            writeln!(out, "{told}")?;
            out.finish()?;
        }
    } else {
        let (events, size) = (counted(written.events, "event"), bytes(written.bytes));
        say(&format!("presence: {events} of {} as {format}, {size}", count(read)));
        source.say_losses();
        if written.triggers_left > 0 {
            let triggers = counted(written.triggers_left, "trigger");
            say(&format!("presence: {triggers} LEFT OUT: {format} holds none"));
        }
    }
    Ok(if written.events == 0 { Outcome::NoData } else { Outcome::Fine })
}
