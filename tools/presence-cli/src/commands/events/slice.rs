//! `presence events slice`: a recording cut into slices of a fixed duration or number of events.
//!
//! # Invariants
//! - Every event is in one slice. One slice's file is open at a time.

use std::io::Write;
use std::ops::Range;
use std::path::{Path, PathBuf};

use clap::Args;
use presence::TimeUnit;
use presence_events::{EventBatch, Format, SensorSize, SliceBy, Slicer, Trigger};
use serde_json::json;

use super::sink::{Encoding, Sink, extension, parse_written};
use super::source::SourceArguments;
use presence_cli::failure::{Failure, Outcome, Result};
use presence_cli::moment::Span;
use presence_cli::output::Output;
use presence_cli::terminal::say;

/// How to cut.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    source: SourceArguments,
    /// Slices of so long each, from --from or the first event on: 10ms, 500us.
    #[arg(long, value_name = "SPAN", required_unless_present = "count")]
    every: Option<Span>,
    /// Slices of so many events each.
    #[arg(long, value_name = "N", conflicts_with = "every")]
    count: Option<u64>,
    /// Write each slice that has events to a file of its own in this directory, which is made.
    #[arg(short, long, value_name = "DIR", requires = "to")]
    output: Option<PathBuf>,
    /// The format of these files: evt2, evt3, dat, aedat4, hdf5 or text.
    #[arg(long, value_name = "FORMAT", value_parser = parse_written, requires = "output")]
    to: Option<Format>,
    #[command(flatten)]
    encoding: Encoding,
}

/// Cuts, and lists the slices.
///
/// # Errors
/// Where the source cannot be read or a file not be written.
pub(super) fn run(arguments: &Arguments, json: bool) -> Result<Outcome> {
    let mut source = arguments.source.open()?;
    let by = match (arguments.count, arguments.every) {
        (Some(count), _) => SliceBy::Count(count),
        (None, every) => {
            let step = every.map_or(0, |every| every.units(TimeUnit::Us));
            SliceBy::Micros { origin: source.begins(), step }
        }
    };
    let mut slicer = Slicer::new(by).map_err(|error| Failure::usage(error.what))?;
    let mut files = Files::new(arguments)?;
    let mut listing = Listing::new(json);
    let mut open: Option<Slice> = None;
    source.each_sized(|events, triggers, size| {
        let (mut parts, mut handed) = (slicer.cut(events).into_iter().peekable(), 0);
        while let Some(part) = parts.next() {
            if let Some(done) = open.take_if(|open| open.number != part.slice) {
                listing.line(&done)?;
                files.end()?;
            }
            let slice = open.get_or_insert_with(|| Slice::at(part.slice, part.from));
            slice.add(events, part.range.clone());
            // Triggers before the next part's first event are of this one.
            let next = parts.peek().and_then(|next| events.t().get(next.range.start));
            let due = next.map_or(triggers.len(), |&next| {
                triggers.partition_point(|trigger| trigger.t < next).max(handed)
            });
            let beside = triggers.get(handed..due).unwrap_or_default();
            files.put(part.slice, events, part.range, beside, size)?;
            handed = due;
        }
        Ok(())
    })?;
    if let Some(last) = open {
        listing.line(&last)?;
    }
    files.end()?;
    source.say_losses();
    listing.end()
}

/// One slice, as far as it was read.
#[derive(Debug, Clone, Copy)]
struct Slice {
    number: u64,
    from: i64,
    events: u64,
    on: u64,
    /// Timestamps of the first and the last event.
    span: Option<(i64, i64)>,
}

impl Slice {
    const fn at(number: u64, from: i64) -> Self {
        Self { number, from, events: 0, on: 0, span: None }
    }

    fn add(&mut self, events: &EventBatch, range: Range<usize>) {
        self.events += range.len() as u64;
        let polarity = events.polarity().get(range.clone()).unwrap_or_default();
        self.on += polarity.iter().map(|on| u64::from(*on)).sum::<u64>();
        if let Some([first, .., last] | [first @ last]) = events.t().get(range) {
            self.span = Some((self.span.map_or(*first, |span| span.0), *last));
        }
    }
}

/// The lines about slices, written as they come.
struct Listing {
    out: Output,
    json: bool,
    slices: u64,
}

impl Listing {
    fn new(json: bool) -> Self {
        Self { out: Output::stdout(), json, slices: 0 }
    }

    fn line(&mut self, slice: &Slice) -> Result<()> {
        let Slice { number, from, events, on, span } = *slice;
        let (first, last) = span.unwrap_or((from, from));
        if self.json {
            let before = if self.slices == 0 { "{\"slices\":[" } else { "," };
            let line = json!({
                "slice": number, "from": from, "events": events, "on": on,
                "first_ts": first, "last_ts": last,
            });
            write!(self.out, "{before}{line}")?;
        } else {
            if self.slices == 0 {
                writeln!(
                    self.out,
                    "{:>8} {:>20} {:>12} {:>12}",
                    "slice", "from us", "events", "on"
                )?;
            }
            writeln!(self.out, "{number:>8} {from:>20} {events:>12} {on:>12}")?;
        }
        self.slices += 1;
        Ok(())
    }

    fn end(mut self) -> Result<Outcome> {
        if self.json {
            writeln!(self.out, "{}", if self.slices == 0 { "{\"slices\":[]}" } else { "]}" })?;
        }
        self.out.finish()?;
        if self.slices == 0 {
            say("presence: no data: there are no events there");
            return Ok(Outcome::NoData);
        }
        Ok(Outcome::Fine)
    }
}

/// The files of the slices, where they are wanted.
struct Files<'a> {
    into: Option<(&'a Path, Format, Encoding)>,
    open: Option<Sink>,
    part: EventBatch,
}

impl<'a> Files<'a> {
    fn new(arguments: &'a Arguments) -> Result<Self> {
        let into = arguments.output.as_deref().zip(arguments.to);
        if let Some((dir, _)) = into {
            std::fs::create_dir_all(dir)
                .map_err(|error| Failure::io(&format!("make {}", dir.display()), &error))?;
        }
        let into = into.map(|(dir, format)| (dir, format, arguments.encoding));
        Ok(Self { into, open: None, part: EventBatch::new() })
    }

    fn put(
        &mut self,
        slice: u64,
        events: &EventBatch,
        range: Range<usize>,
        triggers: &[Trigger],
        size: Option<SensorSize>,
    ) -> Result<()> {
        let Some((dir, format, encoding)) = self.into else { return Ok(()) };
        let sink = match &mut self.open {
            Some(sink) => sink,
            none => {
                let path = dir.join(format!("{slice:08}.{}", extension(format)));
                none.insert(Sink::open(&path, format, encoding)?)
            }
        };
        self.part.clear();
        self.part.extend_from(events, range);
        sink.put(&self.part, triggers, size)
    }

    fn end(&mut self) -> Result<()> {
        self.open.take().map_or(Ok(()), |sink| sink.end(None).map(|_| ()))
    }
}
