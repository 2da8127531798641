//! File to batches: reads, decodes, sorts within the window.
//!
//! # Invariants
//! - Holds what a [`Recording`] holds, one output and the window, and nothing else that grows.
//! - After an error of the file nothing more is read; what was decoded before it is handed out.

use presence_events::{EventBatch, EventError, EventErrorKind, Options, Output, Recording};
use presence_format::{Batch, Schema};

use super::beside::{Beside, Filled};
use super::budget::Budget;
use super::file::{FileSource, Seen};
use super::options::ingest_error;
use super::reorder::Reorder;
use super::report::EventReport;
use super::role::Role;
use crate::error::{IngestError, IngestErrorKind, Result};
use crate::progress::Watch;

/// A recording being read.
pub(super) struct Reader {
    name: String,
    recording: Recording,
    seen: Seen,
    out: Output,
    reorder: Reorder,
    beside: Beside,
    schema: Schema,
    told_sensor: bool,
    events: u64,
}

/// Takes what a reader hands out; `false` where nobody wants more.
pub(super) trait Sink {
    /// An empty batch of events, or one whose memory can be used again.
    fn spare(&mut self) -> Option<Batch>;
    /// Takes a batch.
    fn put(&mut self, filled: Filled) -> bool;
}

impl Reader {
    pub(super) fn new(
        name: &str,
        file: FileSource,
        options: &Options,
        budget: Budget,
    ) -> Result<Self> {
        let seen = file.seen();
        let recording = Recording::open(Box::new(file), options)
            .map_err(|error| read_error(name, &seen, &error))?;
        let schema = Role::Events.schema(None).map_err(|error| format_error(name, &error.what))?;
        Ok(Self {
            name: name.to_owned(),
            recording,
            seen,
            out: Output::new(budget.chunk_events),
            reorder: Reorder::new(budget.window_events),
            beside: Beside::default(),
            schema,
            told_sensor: false,
            events: 0,
        })
    }

    pub(super) fn recording(&self) -> &Recording {
        &self.recording
    }

    pub(super) fn report(&self) -> EventReport {
        EventReport {
            events: self.events,
            decoded: self.recording.report().clone(),
            sorted: self.reorder.sorted(),
            late: self.reorder.late(),
            late_beside: self.beside.late,
            frames_unlike: self.beside.frames_unlike,
        }
    }

    /// Decodes the next batch: whether more follow. What it held is handed out.
    pub(super) fn advance(&mut self, watch: &mut Watch, sink: &mut impl Sink) -> Result<bool> {
        let is_more = self.recording.read(&mut self.out);
        if !self.hand_out(sink, false)? {
            return Ok(false);
        }
        let is_more = is_more.map_err(|error| read_error(&self.name, &self.seen, &error))?;
        watch.now.records = self.events;
        watch.done(self.seen.bytes());
        Ok(is_more)
    }

    /// Hands out what the window lets go; all of it at the end of the file.
    fn hand_out(&mut self, sink: &mut impl Sink, all: bool) -> Result<bool> {
        let beside = self.beside.take(&mut self.out);
        let beside = beside.map_err(|error| format_error(&self.name, &error.what))?;
        self.reorder.push(&mut self.out.events);
        while let Some(events) = self.reorder.pop(all) {
            if !self.put_events(&events, sink)? {
                return Ok(false);
            }
            self.reorder.recycle(events);
        }
        Ok(beside.into_iter().all(|filled| sink.put(filled)))
    }

    fn put_events(&mut self, events: &EventBatch, sink: &mut impl Sink) -> Result<bool> {
        self.events += events.len() as u64;
        if !std::mem::replace(&mut self.told_sensor, true)
            && let Some(sensor) = self.sensor(events)?
            && !sink.put(sensor)
        {
            return Ok(false);
        }
        let mut batch = sink.spare().unwrap_or_else(|| Batch::new(&self.schema));
        batch.clear();
        batch.timestamps.extend_from_slice(events.t());
        if let [x, y, polarity] = batch.columns.as_mut_slice() {
            x.extend(events.x());
            y.extend(events.y());
            polarity.push_bytes(events.polarity());
        }
        Ok(sink.put(Filled { role: Role::Events, schema: self.schema.clone(), batch }))
    }

    /// The sensor's size as a record at the time of the first event.
    fn sensor(&self, events: &EventBatch) -> Result<Option<Filled>> {
        let (Some(size), Some(&t)) = (self.recording.sensor_size(), events.t().first()) else {
            return Ok(None);
        };
        let schema = Role::Sensor.schema(None);
        let schema = schema.map_err(|error| format_error(&self.name, &error.what))?;
        let mut batch = Batch::new(&schema);
        batch.timestamps.push(t);
        for (column, side) in batch.columns.iter_mut().zip([size.width, size.height]) {
            column.push(side);
        }
        Ok(Some(Filled { role: Role::Sensor, schema, batch }))
    }

    /// After the last batch: what the window still holds.
    pub(super) fn finish(&mut self, watch: &mut Watch, sink: &mut impl Sink) -> Result<()> {
        self.hand_out(sink, true)?;
        watch.now.records = self.events;
        Ok(())
    }

    /// After an error: what the window still holds is sound, and handed out.
    pub(super) fn drain(&mut self, sink: &mut impl Sink) {
        // The first error is the one to tell.
        let _drained = self.hand_out(sink, true);
    }
}

fn format_error(name: &str, what: &str) -> IngestError {
    IngestError::new(IngestErrorKind::Unsupported, name, what)
}

/// The error of a recording, or of the file beneath it.
fn read_error(name: &str, seen: &Seen, error: &EventError) -> IngestError {
    let kind = match error.kind {
        EventErrorKind::Unreadable if seen.is_shorter() => IngestErrorKind::Changed,
        EventErrorKind::Unreadable => IngestErrorKind::Io,
        _ => return ingest_error(name, error),
    };
    IngestError::new(kind, name, &error.what)
}
