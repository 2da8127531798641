//! Where events come from: a file of any format, or a stream in a database.
//!
//! # Invariants
//! - A file is decoded piece by piece, a stream read block by block: memory does not grow.
//! - Of a stream, only the blocks that can hold events of the range are read.

use std::ops::Range;
use std::path::PathBuf;

use clap::Args;
use presence::{TimeUnit, Within};
use presence_events::{EventBatch, OnDamage, Options, Report, SensorSize, TextOptions, Trigger};
use presence_ingest::{InputFormat, TimeScale};

use super::file::FileEvents;
use super::stored::StoredEvents;
use crate::commands::import::{EventColumns, parse_columns, parse_sensor};
use presence_cli::failure::{Failure, Result};
use presence_cli::moment::Moment;
use presence_cli::quantity::counted;
use presence_cli::terminal::say;

/// Which events.
#[derive(Debug, Args)]
pub(super) struct SourceArguments {
    /// A recording of any format of events, or a database.
    #[arg(value_name = "FILE|DB")]
    source: PathBuf,
    /// The stream of events, of a database; not needed where there is one only.
    stream: Option<String>,
    /// Leave out events before this time.
    #[arg(long, value_name = "T", allow_negative_numbers = true)]
    from: Option<Moment>,
    /// Leave out events at this time and later.
    #[arg(long, value_name = "T", allow_negative_numbers = true)]
    until: Option<Moment>,
    /// Leave out all but these events, counted from 0 among those of the time asked for: 0..1000,
    /// 5000.. or ..20.
    #[arg(long, value_name = "A..B", value_parser = parse_numbers)]
    numbers: Option<Range<u64>>,
    /// The format of a file, where its content is not to be asked: evt2, evt2.1, evt3, dat, aedat1
    /// to aedat4, es, hdf5, bin40, events (text).
    #[arg(long, value_name = "FORMAT")]
    format: Option<InputFormat>,
    /// The sensor's size, like 640x480, where the source does not tell it.
    #[arg(long, value_name = "WxH", value_parser = parse_sensor)]
    sensor: Option<SensorSize>,
    /// Text: the columns in order, like x,y,p,t; `-` is one that is passed over.
    #[arg(long, value_name = "NAMES", value_parser = parse_columns)]
    columns: Option<EventColumns>,
    /// Text: the unit of times: s, ms, us or ns.
    #[arg(long, value_name = "UNIT")]
    time_unit: Option<TimeScale>,
    /// Stop at the first damage or falling time in a file, instead of leaving it out and telling.
    #[arg(long)]
    strict: bool,
}

/// Microseconds, the first and the last one, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Micros {
    pub(super) first: i64,
    pub(super) last: i64,
}

impl Micros {
    pub(super) const ALL: Self = Self { first: i64::MIN, last: i64::MAX };
}

fn parse_numbers(text: &str) -> Result<Range<u64>, String> {
    let wrong = || format!("{text:?} are no numbers of events; write them like 0..1000");
    let (from, until) = text.split_once("..").ok_or_else(wrong)?;
    let number = |text: &str, open: u64| match text.trim() {
        "" => Ok(open),
        digits => digits.parse().map_err(|_| wrong()),
    };
    let range = number(from, 0)?..number(until, u64::MAX)?;
    if range.is_empty() { Err(wrong()) } else { Ok(range) }
}

/// Which events of a source: those of a time, and of these those with these numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) time: Micros,
    pub(super) numbers: Option<Range<u64>>,
}

/// A source that was opened.
pub(super) struct Source {
    kind: Kind,
    part: Part,
    /// Declared, or known from the source.
    sensor: Option<SensorSize>,
}

enum Kind {
    File(Box<FileEvents>),
    Stored(Box<StoredEvents>),
}

impl SourceArguments {
    /// Opens the source; a stream is looked for in a database.
    ///
    /// # Errors
    /// Where there is none.
    pub(super) fn open(&self) -> Result<Source> {
        let part = Part { time: self.range()?, numbers: self.numbers.clone() };
        let is_db = self.source.is_dir();
        let kind = if is_db {
            Kind::Stored(Box::new(StoredEvents::open(&self.source, self.stream.as_deref())?))
        } else {
            Kind::File(Box::new(self.file()?))
        };
        let sensor = match &kind {
            Kind::Stored(stored) => self.sensor.or(stored.sensor()?),
            Kind::File(_) => self.sensor,
        };
        Ok(Source { kind, part, sensor })
    }

    fn range(&self) -> Result<Micros> {
        let bound = |moment: Option<Moment>| moment.map(|t| t.ceil(TimeUnit::Us)).transpose();
        let (from, until) = (bound(self.from)?, bound(self.until)?);
        if let (Some(from), Some(until)) = (from, until)
            && from > until
        {
            return Err(Failure::usage("--from is after --until"));
        }
        let last = until.map_or(i64::MAX, |until| until.saturating_sub(1));
        Ok(Micros { first: from.unwrap_or(i64::MIN), last })
    }

    fn file(&self) -> Result<FileEvents> {
        if self.stream.is_some() {
            let name = self.source.display();
            let what = "is no database: a stream is of one only";
            return Err(Failure::usage(format!("{name} {what}")));
        }
        let format = match self.format {
            Some(InputFormat::Events(format)) => Some(format),
            Some(other) => return Err(Failure::usage(format!("{other} is no format of events"))),
            None => None,
        };
        let unit = self.time_unit.and_then(|unit| presence_events::TimeUnit::of_name(unit.name()));
        let columns = self.columns.as_ref().map(|columns| columns.to_vec());
        let text = TextOptions { columns, time_unit: unit.unwrap_or_default() };
        let on_damage = if self.strict { OnDamage::Refuse } else { OnDamage::Skip };
        let sensor_size = self.sensor;
        let options = Options { format, sensor_size, text, on_damage, ..Options::default() };
        FileEvents::open(&self.source, options)
    }
}

impl Source {
    /// Hands all events of the range to `take`, in batches, with what comes beside them.
    /// May be called again: it begins anew.
    ///
    /// # Errors
    /// Where the file cannot be read or decoded, or a block is damaged; and what `take` gives.
    pub(super) fn each(
        &mut self,
        mut take: impl FnMut(&mut EventBatch, &[Trigger]) -> Result<()>,
    ) -> Result<()> {
        self.each_sized(|events, triggers, _| take(events, triggers))
    }

    /// As [`Source::each`], with the sensor's size as far as it is known.
    ///
    /// # Errors
    /// As [`Source::each`].
    pub(super) fn each_sized(
        &mut self,
        mut take: impl FnMut(&mut EventBatch, &[Trigger], Option<SensorSize>) -> Result<()>,
    ) -> Result<()> {
        let (part, sensor) = (&self.part, &mut self.sensor);
        match &mut self.kind {
            Kind::File(file) => file.each(part, |out, size| {
                *sensor = sensor.or(size);
                take(&mut out.events, &out.triggers, *sensor)
            }),
            Kind::Stored(stored) => {
                stored.each(part, |events, triggers| take(events, triggers, *sensor))
            }
        }
    }

    /// Says which values are asked for: from now on, what is read of a stream need not have others.
    pub(super) fn ask_within(&mut self, within: Vec<Within>) {
        if let Kind::Stored(stored) = &mut self.kind {
            stored.ask_within(within);
        }
    }

    /// What was counted by [`Source::each`]: of a file all of it, of a stream what was read.
    pub(super) fn report(&self) -> &Report {
        match &self.kind {
            Kind::File(file) => file.report(),
            Kind::Stored(stored) => stored.report(),
        }
    }

    /// What was left out of a file, in words.
    pub(super) fn losses(&self) -> Vec<String> {
        let report = self.report();
        [
            (report.dropped, "event", "LEFT OUT: beyond the sensor, or marked invalid"),
            (report.untimed, "event", "LEFT OUT: before the first time word"),
            (report.unknown_words, "word", "of no known kind"),
            (report.out_of_order, "event", "below the time of the one before"),
            (report.tail_bytes, "byte", "at the end that are no whole event"),
        ]
        .into_iter()
        .filter(|(number, ..)| *number > 0)
        .map(|(number, noun, what)| format!("{} {what}", counted(number, noun)))
        .collect()
    }

    /// Tells on standard error what was left out of a file.
    pub(super) fn say_losses(&self) {
        for line in self.losses() {
            say(&format!("presence: {line}"));
        }
    }

    /// Whether no time and no number is left out.
    pub(super) fn is_whole(&self) -> bool {
        self.part.time == Micros::ALL && self.part.numbers.is_none()
    }

    /// When the range begins, where that was said.
    pub(super) fn begins(&self) -> Option<i64> {
        let first = self.part.time.first;
        (first != i64::MIN).then_some(first)
    }

    /// The sensor's size, where it is known; of a file after [`Source::each`].
    pub(super) fn sensor(&self) -> Option<SensorSize> {
        self.sensor
    }

    /// The camera, where the file names it.
    pub(super) fn camera(&self) -> Option<&str> {
        match &self.kind {
            Kind::File(file) => file.camera(),
            Kind::Stored(_) => None,
        }
    }

    /// The format of a file; `presence` of a stream.
    pub(super) fn format(&self) -> &'static str {
        match &self.kind {
            Kind::File(file) => file.format(),
            Kind::Stored(_) => "presence",
        }
    }

    /// Bytes on disk.
    pub(super) fn bytes(&self) -> u64 {
        match &self.kind {
            Kind::File(file) => file.bytes(),
            Kind::Stored(stored) => stored.bytes(),
        }
    }
}
