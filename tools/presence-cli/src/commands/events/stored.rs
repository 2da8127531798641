//! The events of a stream in a database.
//!
//! # Invariants
//! - It is read block by block, and only the blocks that can hold events of the range are; of
//!   these, where values are asked for, only runs of events that can hold them.
//! - Triggers come with the events before which they were.

use std::path::Path;

use presence::{DType, Database, Stream, TimeUnit, Window, Within};
use presence_events::{EventBatch, Report, SensorSize, Trigger};

use super::source::{Micros, Part};
use crate::open;
use presence_cli::failure::{Failure, Result};
use presence_cli::progress::Bar;
use presence_cli::quantity::counted;

/// A stream that was opened.
pub(super) struct StoredEvents {
    // Streams live as long as it.
    _db: Database,
    stream: Stream,
    sensor: Option<Stream>,
    triggers: Option<Stream>,
    /// What is asked for; events beside it may come too.
    within: Vec<Within>,
    report: Report,
}

impl StoredEvents {
    /// Opens a database and finds the stream in it; where none is named, the only one of events.
    ///
    /// # Errors
    /// Where there is none, or it holds no events.
    pub(super) fn open(path: &Path, name: Option<&str>) -> Result<Self> {
        let db = open::to_read(path)?;
        let stream = match name {
            Some(name) => open::stream(&db, name)?,
            None => only_one(path, &db)?,
        };
        let name = stream.name();
        if !holds_events(&stream) {
            return Err(Failure::usage(format!(
                "stream {name:?} holds no events: they are x u16, y u16, polarity bool, in us"
            )));
        }
        let beside = |role: &str| db.stream(&format!("{name}.{role}")).ok();
        let (sensor, triggers) = (beside("sensor"), beside("triggers"));
        let (within, report) = (Vec::new(), Report::default());
        Ok(Self { _db: db, stream, sensor, triggers, within, report })
    }

    /// Says which values are asked for: from now on, events without them need not be handed out.
    pub(super) fn ask_within(&mut self, within: Vec<Within>) {
        self.within = within;
    }

    /// The sensor's size that an import kept beside the events.
    ///
    /// # Errors
    /// Where its block is damaged.
    pub(super) fn sensor(&self) -> Result<Option<SensorSize>> {
        let Some(sensor) = &self.sensor else { return Ok(None) };
        let side = |record: &presence::RecordRef, column| {
            record.column_bytes(column).first_chunk::<2>().map(|bytes| u16::from_le_bytes(*bytes))
        };
        Ok(sensor.last()?.and_then(|record| {
            Some(SensorSize { width: side(&record, 0)?, height: side(&record, 1)? })
        }))
    }

    /// Hands out what is in the range, a block at a time.
    ///
    /// # Errors
    /// Where a block is damaged, and what `take` gives.
    pub(super) fn each(
        &mut self,
        part: &Part,
        mut take: impl FnMut(&mut EventBatch, &[Trigger]) -> Result<()>,
    ) -> Result<()> {
        self.report = Report::default();
        let mut batch = EventBatch::new();
        let mut bar = Bar::new(self.stream.name());
        let (window, range) = self.window(part)?;
        let total = window.len() as u64;
        let mut triggers = self.triggers_of(range)?;
        let mut handed = 0;
        for slice in window.slices_within(&self.within)? {
            let slice = slice?;
            batch.clear();
            let (x, y) = (slice.column::<u16>(0)?, slice.column::<u16>(1)?);
            batch.extend_columns(slice.timestamps(), x, y, slice.column_bytes(2));
            self.report.add(&batch);
            let last = slice.timestamps().last().copied().unwrap_or(range.first);
            // At the last timestamp of the slice more events may follow, in the next one.
            let due = triggers.partition_point(|trigger| trigger.t < last).max(handed);
            take(&mut batch, triggers.get(handed..due).unwrap_or_default())?;
            handed = due;
            bar.draw(self.report.events, Some(total), &counted(self.report.events, "event"));
        }
        bar.clear();
        self.report.events = total;
        self.report.triggers = triggers.len() as u64;
        let rest = triggers.split_off(handed);
        take(&mut EventBatch::new(), &rest)
    }

    /// The window of a part, and the time of what is beside its events.
    fn window(&self, part: &Part) -> Result<(Window, Micros)> {
        let window = self.stream.window(part.time.first..=part.time.last)?;
        let Some(numbers) = &part.numbers else { return Ok((window, part.time)) };
        let is_to_end = numbers.end > window.len() as u64;
        let number = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        let window = window.part(number(numbers.start)..number(numbers.end));
        let t = |event: usize| -> Result<Option<i64>> {
            Ok(window.part(event..event + 1).timestamps()?.first().copied())
        };
        let ends = t(0)?.zip(t(window.len().saturating_sub(1))?);
        // Without events there is no time.
        let (first, last) = ends.unwrap_or((i64::MAX, i64::MAX));
        let last = if is_to_end { part.time.last } else { last };
        Ok((window, Micros { first, last }))
    }

    /// The triggers that an import kept beside the events, which are few.
    fn triggers_of(&self, range: Micros) -> Result<Vec<Trigger>> {
        let mut all = Vec::new();
        let Some(triggers) = &self.triggers else { return Ok(all) };
        for slice in triggers.window(range.first..=range.last)?.slices() {
            let slice = slice?;
            let (ids, values) = (slice.column::<u8>(0)?, slice.column::<u8>(1)?);
            let records = slice.timestamps().iter().zip(ids.iter().zip(values));
            all.extend(records.map(|(&t, (&id, &value))| Trigger { t, id, value }));
        }
        Ok(all)
    }

    pub(super) fn report(&self) -> &Report {
        &self.report
    }

    pub(super) fn bytes(&self) -> u64 {
        self.stream.stats().stored_bytes
    }
}

/// The only stream of events in a database.
fn only_one(path: &Path, db: &Database) -> Result<Stream> {
    // Crossings of ATIS pixels look like events and lie beside some.
    let is_main = |stream: &Stream| holds_events(stream) && !stream.name().ends_with(".exposures");
    let mut streams: Vec<Stream> = db.streams().into_iter().filter(is_main).collect();
    let path = path.display();
    match (streams.pop(), streams.len()) {
        (Some(stream), 0) => Ok(stream),
        (Some(stream), _) => {
            let mut names: Vec<String> =
                streams.iter().chain([&stream]).map(|s| format!("{:?}", s.name())).collect();
            names.sort();
            let what = "holds several streams of events; name one of";
            Err(Failure::usage(format!("{path} {what} {}", names.join(", "))))
        }
        (None, _) => Err(Failure::usage(format!(
            "{path} holds no stream of events; `presence import` makes one of a recording"
        ))),
    }
}

/// Whether the columns of a stream are those of events.
fn holds_events(stream: &Stream) -> bool {
    let schema = stream.schema();
    let is = |index: usize, name: &str, dtype: DType| {
        let column = schema.columns().get(index);
        column.is_some_and(|c| c.name() == name && c.dtype() == dtype && c.shape().is_empty())
    };
    schema.time_unit() == TimeUnit::Us
        && schema.columns().len() == 3
        && is(0, "x", DType::U16)
        && is(1, "y", DType::U16)
        && is(2, "polarity", DType::Bool)
}
