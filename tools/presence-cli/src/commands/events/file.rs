//! The events of a file of any format.
//!
//! # Invariants
//! - It is read piece by piece: memory does not grow with the file.

use std::fs::File;
use std::path::{Path, PathBuf};

use presence_events::filter::{Filter, TimeFilter};
use presence_events::{EventError, EventErrorKind, Options, Output, Recording, Report, SensorSize};
use presence_ingest::{FileSource, Seen};

use super::source::Micros;
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

    /// Hands out what is in the range, in batches, with the sensor's size as far as it is known.
    ///
    /// # Errors
    /// Where the file cannot be read or decoded, and what `take` gives.
    pub(super) fn each(
        &mut self,
        range: Micros,
        mut take: impl FnMut(&mut Output, Option<SensorSize>) -> Result<()>,
    ) -> Result<()> {
        if self.recording.report() != &Report::default() {
            *self = Self::open(&self.path, self.options.clone())?;
        }
        let name = self.path.display().to_string();
        let mut cut = TimeFilter { first: Some(range.first), last: Some(range.last) };
        let mut bar = Bar::new(&name);
        let mut out = Output::default();
        let mut is_more = true;
        while is_more {
            // What came before damage is taken first.
            let read = self.recording.read(&mut out);
            if range != Micros::ALL {
                cut.apply(&mut out.events);
                out.triggers.retain(|trigger| (range.first..=range.last).contains(&trigger.t));
            }
            take(&mut out, self.recording.sensor_size())?;
            out.clear();
            is_more = read.map_err(|error| refused(&name, &error))?;
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

/// The error of a decoder, with how to declare what it misses.
fn refused(name: &str, error: &EventError) -> Failure {
    let failure = Failure::of_events(name, error);
    match error.kind {
        EventErrorKind::Invalid => failure.with("see --columns, --time-unit and --sensor"),
        _ => failure,
    }
}
