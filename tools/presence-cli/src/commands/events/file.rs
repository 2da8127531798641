//! The events of a file of any format.
//!
//! # Invariants
//! - It is read piece by piece: memory does not grow with the file.

use std::fs::File;
use std::path::{Path, PathBuf};

use presence_events::filter::{Filter, TimeFilter};
use presence_events::{
    EventBatch, EventError, EventErrorKind, Options, Output, Recording, Report, SensorSize,
};
use presence_ingest::{FileSource, Seen};

use super::source::{Micros, Part};
use presence_cli::failure::{Failure, Result};
use presence_cli::progress::Bar;
use presence_cli::quantity::counted;

/// A file that was opened.
pub(super) struct FileEvents {
    path: PathBuf,
    options: Options,
    bytes: u64,
    seen: Seen,
    recording: Recording,
}

impl FileEvents {
    /// Opens the file and finds its format.
    ///
    /// # Errors
    /// Where it cannot be read, or is HDF5 without events.
    pub(super) fn open(path: &Path, options: Options) -> Result<Self> {
        let name = path.display().to_string();
        let fault = |error: std::io::Error| Failure::io(&format!("open {name}"), &error);
        let file = File::open(path).map_err(fault)?;
        let metadata = file.metadata().map_err(fault)?;
        if !metadata.is_file() {
            let what = "is a pipe or a device; write it to a file, or `presence import` it";
            return Err(Failure::usage(format!("{name} {what}")));
        }
        let bytes = metadata.len();
        let source = FileSource::new(file, bytes);
        let seen = source.seen();
        let recording =
            Recording::open(Box::new(source), &options).map_err(|error| refused(&name, &error))?;
        Ok(Self { path: path.to_owned(), options, bytes, seen, recording })
    }

    /// Hands out what is in the part, in batches, with the sensor's size as far as it is known.
    /// What is behind the last number is not read.
    ///
    /// # Errors
    /// Where the file cannot be read or decoded, and what `take` gives.
    pub(super) fn each(
        &mut self,
        part: &Part,
        mut take: impl FnMut(&mut Output, Option<SensorSize>) -> Result<()>,
    ) -> Result<()> {
        if self.recording.report() != &Report::default() {
            *self = Self::open(&self.path, self.options.clone())?;
        }
        let name = self.path.display().to_string();
        let mut cut = Cut::new(part);
        let mut bar = Bar::new(&name);
        let mut out = Output::default();
        let mut is_more = true;
        while is_more {
            // What came before damage is taken first.
            let read = self.recording.read(&mut out);
            cut.apply(&mut out);
            take(&mut out, self.recording.sensor_size())?;
            out.clear();
            is_more = read.map_err(|error| refused(&name, &error))? && !cut.is_done();
            let events = self.recording.report().events;
            bar.draw(self.seen.bytes(), Some(self.bytes), &counted(events, "event"));
        }
        Ok(())
    }

    pub(super) fn report(&self) -> &Report {
        self.recording.report()
    }

    pub(super) fn camera(&self) -> Option<&str> {
        self.recording.source()
    }

    pub(super) fn format(&self) -> &'static str {
        self.recording.format().name()
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }
}

/// Leaves out what is not in a part of a file.
struct Cut {
    time: Micros,
    /// How many events are still to be passed over, and then to be kept.
    skip: u64,
    keep: u64,
    /// What is beside the events is cut by their times: where there are numbers, from the first
    /// event on, up to the last.
    beside: Option<Micros>,
    part: EventBatch,
}

impl Cut {
    fn new(part: &Part) -> Self {
        let numbers = part.numbers.clone().unwrap_or(0..u64::MAX);
        Self {
            time: part.time,
            skip: numbers.start,
            keep: numbers.end - numbers.start,
            beside: part.numbers.is_none().then_some(part.time),
            part: EventBatch::new(),
        }
    }

    /// Whether nothing more is kept.
    fn is_done(&self) -> bool {
        self.keep == 0
    }

    fn apply(&mut self, out: &mut Output) {
        if self.time != Micros::ALL {
            let (first, last) = (Some(self.time.first), Some(self.time.last));
            TimeFilter { first, last }.apply(&mut out.events);
        }
        self.count(&mut out.events);
        match self.beside {
            Some(Micros::ALL) => {}
            Some(Micros { first, last }) => {
                out.triggers.retain(|trigger| (first..=last).contains(&trigger.t));
            }
            None => out.triggers.clear(),
        }
    }

    /// Keeps the events whose numbers are asked for.
    fn count(&mut self, events: &mut EventBatch) {
        let all = events.len() as u64;
        let from = self.skip.min(all);
        let until = from.saturating_add(self.keep).min(all);
        self.skip -= from;
        self.keep -= until - from;
        if until - from < all {
            let range = from as usize..until as usize;
            self.part.clear();
            self.part.extend_from(events, range);
            events.truncate(0);
            events.extend_from(&self.part, 0..self.part.len());
        }
        if let Some(&first) = events.t().first() {
            self.beside.get_or_insert(Micros { first, last: self.time.last });
        }
        if let (true, Some(beside), Some(&last)) =
            (self.keep == 0, &mut self.beside, events.t().last())
        {
            beside.last = last;
        }
    }
}

/// The error of a decoder, with how to declare what it misses.
fn refused(name: &str, error: &EventError) -> Failure {
    let failure = Failure::of_events(name, error);
    match error.kind {
        EventErrorKind::Invalid => failure.with("see --columns, --time-unit and --sensor"),
        _ => failure,
    }
}
