//! `presence import`: files people have, into streams, and detections into presence tracks too.
//!
//! # Invariants
//! - A file whose opening or first reading fails leaves nothing behind; one that fails later
//!   leaves the records before the fault, in the order of time, and the message says how many.

mod events;

use std::collections::HashMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use presence::{Compression, TimeUnit, check_name};
use presence_events::{SensorSize, TextOptions};
use presence_ingest::{
    EventOptions, Import, InputFormat, Opened, Options, Phase, Progress, Rate, Report, Skipped,
    Source, TimeScale,
};
use serde_json::json;

use self::events::Recording;
use crate::session::{Session, Wanted, lock};
use crate::sightings::{Filled, Plan, Sightings};
use presence_cli::failure::{Failure, Outcome, Result};
use presence_cli::memory;
use presence_cli::moment;
use presence_cli::output::Output;
use presence_cli::quantity::{self, count, counted};
use presence_cli::terminal::escape;

/// What to import, and how.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Files; `-` is standard input.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The database: a directory, made where there is none.
    #[arg(long, value_name = "DIR")]
    into: PathBuf,
    /// The stream; by default a file's name without its extension. Records are appended where it
    /// exists, has the same columns, and ends before they begin.
    #[arg(long, value_name = "NAME")]
    stream: Option<String>,
    /// auto, csv, mot, kitti, or of events: evt2, evt2.1, evt3, dat, aedat1 to aedat4, es, bin40,
    /// events (text); auto looks at the content.
    #[arg(long, default_value = "auto", value_parser = parse_format)]
    format: FormatChoice,
    /// Events: the sensor's size, like 640x480, where the file does not tell it; events beyond it
    /// are left out.
    #[arg(long, value_name = "WxH", value_parser = parse_sensor)]
    sensor: Option<SensorSize>,
    /// Events as text: the columns in order, like x,y,p,t; `-` is one that is passed over.
    #[arg(long, value_name = "NAMES", value_parser = parse_columns)]
    columns: Option<EventColumns>,
    /// CSV: the column that holds the time; by default the one that is named like a time.
    #[arg(long, value_name = "COLUMN")]
    time_column: Option<String>,
    /// CSV and events as text: the unit of numbers in the time column: s, ms, us or ns. Needed for
    /// integers in a column whose name does not end with it.
    #[arg(long, value_name = "UNIT")]
    time_unit: Option<TimeScale>,
    /// CSV: the unit of the stream's timestamps: us or ns; by default us, and ns where the times
    /// are finer than that.
    #[arg(long, value_name = "UNIT", value_parser = parse_unit)]
    stream_unit: Option<TimeUnit>,
    /// MOT, KITTI: frames a second, like 30, 29.97 or 30000/1001; by default 30 and 10.
    #[arg(long, value_name = "RATE")]
    frame_rate: Option<Rate>,
    /// MOT, KITTI: how sure a detection must be to count as present in the track.
    #[arg(long, value_name = "CONFIDENCE", default_value = "0.5", value_parser = parse_threshold)]
    threshold: f64,
    /// MOT, KITTI: fill the stream only, and no presence track of its name.
    #[arg(long)]
    no_track: bool,
    /// CSV: the delimiter, one ASCII character or `tab`; by default the commonest of `,` `;` and
    /// tab in the header.
    #[arg(long, value_name = "CHARACTER", value_parser = parse_delimiter)]
    delimiter: Option<u8>,
    /// How a new stream is stored: none, lz4, packed or split; by default none, of recordings of
    /// events split for what has pixels and packed for what is beside.
    #[arg(long, value_name = "HOW", value_parser = parse_compression)]
    compression: Option<Compression>,
    /// Refuse a file for its first malformed line or a column of text, for damage in a recording of
    /// events or a timestamp that is below the one before, instead of leaving that out.
    #[arg(long)]
    strict: bool,
    /// Memory for sorting records that are not in the order of time, and for events in all; by
    /// default a quarter of what is free, at most 1 GiB.
    #[arg(long, value_name = "SIZE", value_parser = quantity::parse_bytes)]
    memory_limit: Option<u64>,
    /// Where pipes and unsorted records are spooled; by default the system's temporary directory.
    #[arg(long, value_name = "DIR")]
    temp_dir: Option<PathBuf>,
}

/// The format, or that it is to be found out.
#[derive(Debug, Clone, Copy)]
struct FormatChoice(Option<InputFormat>);

fn parse_format(text: &str) -> Result<FormatChoice, String> {
    if text == "auto" {
        return Ok(FormatChoice(None));
    }
    text.parse().map(|format| FormatChoice(Some(format)))
}

/// The size of a sensor: `640x480`.
///
/// # Errors
/// A sentence for people.
pub(crate) fn parse_sensor(text: &str) -> Result<SensorSize, String> {
    let wrong = || format!("{text:?} is no size of a sensor; write it like 640x480");
    let (width, height) = text.split_once(['x', 'X']).ok_or_else(wrong)?;
    let side = |text: &str| text.trim().parse().ok().filter(|side| *side > 0).ok_or_else(wrong);
    Ok(SensorSize { width: side(width)?, height: side(height)? })
}

/// Columns of text in order.
pub(crate) type EventColumns = std::sync::Arc<[presence_events::Column]>;

/// Columns of text: `x,y,p,t`.
///
/// # Errors
/// A sentence for people.
pub(crate) fn parse_columns(text: &str) -> Result<EventColumns, String> {
    TextOptions::columns_of(text).map(Into::into).map_err(|error| error.what)
}

fn parse_unit(text: &str) -> Result<TimeUnit, String> {
    [TimeUnit::Us, TimeUnit::Ns]
        .into_iter()
        .find(|unit| unit.name() == text)
        .ok_or_else(|| format!("{text:?} is not a unit of timestamps; one of us, ns"))
}

fn parse_threshold(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|threshold| (0.0..=1.0).contains(threshold))
        .ok_or_else(|| format!("{text:?} is no confidence; it is a number from 0 to 1"))
}

fn parse_delimiter(text: &str) -> Result<u8, String> {
    match text.as_bytes() {
        _ if text == "tab" || text == r"\t" => Ok(b'\t'),
        [byte] if byte.is_ascii() => Ok(*byte),
        _ => Err(format!("{text:?} is not one ASCII character, nor `tab`")),
    }
}

fn parse_compression(text: &str) -> Result<Compression, String> {
    Compression::OF_RECORDS
        .into_iter()
        .find(|compression| compression.name() == text)
        .ok_or_else(|| format!("{text:?} is no compression; one of none, lz4, packed, split"))
}

impl Arguments {
    fn options(&self) -> Options {
        Options {
            time_column: self.time_column.clone(),
            time_unit: self.time_unit,
            stream_unit: self.stream_unit,
            frame_rate: self.frame_rate,
            delimiter: self.delimiter,
            strict: self.strict,
            memory_bytes: self.memory_bytes(),
            temp_dir: self.temp_dir.clone(),
            ..Options::default()
        }
    }

    fn event_options(&self) -> EventOptions {
        let unit = self.time_unit.and_then(|unit| presence_events::TimeUnit::of_name(unit.name()));
        let columns = self.columns.as_ref().map(|columns| columns.to_vec());
        let decode = presence_events::Options {
            sensor_size: self.sensor,
            text: TextOptions { columns, time_unit: unit.unwrap_or_default() },
            ..presence_events::Options::default()
        };
        EventOptions {
            decode,
            strict: self.strict,
            memory_bytes: self.memory_bytes().saturating_sub(ENGINE_BYTES),
            ..EventOptions::default()
        }
    }

    /// The limit given, or the default.
    fn memory_bytes(&self) -> usize {
        let limit = self.memory_limit.unwrap_or_else(memory::quarter_of_free);
        usize::try_from(limit).unwrap_or(usize::MAX)
    }

    /// Refuses what can be known to end badly before anything was read.
    fn check(&self) -> Result<()> {
        if let Some(name) = &self.stream {
            check_name("stream", name).map_err(|error| Failure::usage(error.what))?;
        }
        let mut stems: HashMap<_, &Path> = HashMap::new();
        for file in &self.files {
            let stem = file.file_stem().unwrap_or(file.as_os_str());
            let Some(earlier) = stems.insert(stem, file) else { continue };
            if self.stream.is_none() || earlier == file {
                return Err(Failure::usage(format!(
                    "{} and {} would both become stream {:?}; import them one by one, \
                     with --stream",
                    earlier.display(),
                    file.display(),
                    stem.display()
                )));
            }
        }
        Ok(())
    }
}

/// Memory of the program itself, and of the database that is written to.
const ENGINE_BYTES: usize = 48 << 20;

/// One imported file.
#[derive(Debug)]
enum Done {
    Records(Box<Imported>),
    Events(Box<Recording>),
}

/// One imported file of records.
#[derive(Debug)]
struct Imported {
    file: String,
    stream: String,
    unit: TimeUnit,
    first_ts: Option<i64>,
    last_ts: Option<i64>,
    classes: Vec<(u16, String)>,
    track: Option<Filled>,
    report: Report,
}

impl Done {
    fn records(&self) -> Option<&Imported> {
        match self {
            Self::Records(imported) => Some(imported),
            Self::Events(_) => None,
        }
    }

    fn skipped(&self) -> u64 {
        match self {
            Self::Records(imported) => imported.report.skipped_total,
            Self::Events(recording) => recording.skipped(),
        }
    }

    /// What was left out, for programs.
    fn skipped_json(&self) -> Vec<serde_json::Value> {
        match self {
            Self::Events(recording) => recording.faults_json().collect(),
            Self::Records(imported) => {
                let lines = imported.report.skipped.iter();
                lines.map(|skipped| skipped_json(&imported.file, skipped)).collect()
            }
        }
    }
}

fn skipped_json(file: &str, Skipped { line, reason }: &Skipped) -> serde_json::Value {
    json!({"file": file, "line": line, "reason": reason})
}

/// Imports the files.
///
/// # Errors
/// Of the first file that cannot be imported whole.
pub(crate) fn run(arguments: &Arguments, json: bool) -> Result<Outcome> {
    arguments.check()?;
    let session = Session::new(&arguments.into, json)?;
    let mut all = Vec::new();
    for file in &arguments.files {
        let imported = import(arguments, &session, file);
        all.push(imported.map_err(|failure| session.fail(failure))?);
    }
    session.close()?;
    let mut out = Output::stdout();
    if json {
        serde_json::to_writer(&mut out, &summary_json(&all))?;
        writeln!(out)?;
    } else {
        all.iter().try_for_each(|done| match done {
            Done::Records(imported) => imported.write(&mut out),
            Done::Events(recording) => recording.write(&mut out),
        })?;
    }
    out.finish()?;
    Ok(Outcome::Fine)
}

fn import(arguments: &Arguments, session: &Session, file: &Path) -> Result<Done> {
    let source = Source::path(file);
    let name = source.name().to_owned();
    let bar = session.bar();
    *lock(&bar) = presence_cli::progress::Bar::new(&name);
    let mut phase = None;
    let tell = {
        let bar = std::sync::Arc::clone(&bar);
        move |progress: Progress| draw(&mut lock(&bar), &mut phase, progress)
    };
    let (records, events) = (arguments.options(), arguments.event_options());
    match Opened::open(source, arguments.format.0, records, events, tell)? {
        Opened::Records(import) => import_records(arguments, session, &name, import)
            .map(|imported| Done::Records(Box::new(imported))),
        Opened::Events(import) => events::import(arguments, session, &name, import)
            .map(|recording| Done::Events(Box::new(recording))),
    }
}

fn import_records(
    arguments: &Arguments,
    session: &Session,
    name: &str,
    mut import: Import,
) -> Result<Imported> {
    let description = import.description().clone();
    let stream_name = arguments.stream.clone().unwrap_or_else(|| description.stream_name.clone());
    check_name("stream", &stream_name)
        .map_err(|error| Failure::usage(error.what).with("give one with --stream"))?;
    let compression = arguments.compression.unwrap_or_default();
    let plan = Plan::new(&description, arguments.threshold).filter(|_| !arguments.no_track);
    let schema = description.schema.with_compression(compression);
    // Sorts where that is needed: until now nothing was made that a fault could leave behind.
    let mut batch = import.next_batch()?;
    let first_ts = batch.and_then(|batch| batch.timestamps.first().copied());
    let (stream, mut sightings) = session.begin(Wanted {
        file: name,
        name: &stream_name,
        schema: &schema,
        is_compression_given: arguments.compression.is_some(),
        first_ts,
        plan: plan.as_ref(),
        is_beside: false,
    })?;
    let mut writer = stream.column_writer()?;
    let mut last_ts = first_ts;
    while let Some(records) = batch {
        session.append(&mut writer, sightings.as_mut(), records)?;
        last_ts = records.timestamps.last().copied().or(last_ts);
        batch = import.next_batch()?;
    }
    session.end();
    Ok(Imported {
        file: name.to_owned(),
        stream: stream_name,
        unit: schema.time_unit(),
        first_ts,
        last_ts,
        classes: description.classes,
        track: sightings.map(Sightings::end),
        report: import.report().clone(),
    })
}

fn draw(bar: &mut presence_cli::progress::Bar, phase: &mut Option<Phase>, progress: Progress) {
    if *phase != Some(progress.phase) {
        *phase = Some(progress.phase);
        bar.restart();
    }
    let rate = progress.bytes_done as f64 / bar.spent().as_secs_f64().max(1e-3);
    let mut detail = format!("{}  {}/s", progress.phase.name(), quantity::bytes(rate as u64));
    if progress.records > 0 {
        detail.push_str(&format!("  {}", counted(progress.records, "record")));
    }
    if progress.phase == Phase::Done {
        bar.clear();
    } else {
        bar.draw(progress.bytes_done, progress.bytes_total, &detail);
    }
}

/// Most skipped lines that people are shown.
const SHOWN_MAX: usize = 10;

impl Imported {
    fn write(&self, out: &mut impl Write) -> Result<()> {
        let report = &self.report;
        let records = counted(report.records, "record");
        writeln!(out, "{}: {records} into stream {:?}", escape(&self.file), self.stream)?;
        if let (Some(first), Some(last)) = (self.first_ts, self.last_ts) {
            let describe = |ts| moment::describe(ts, self.unit);
            writeln!(
                out,
                "  from {first} to {last} {} ({} to {})",
                self.unit.name(),
                describe(first),
                describe(last)
            )?;
        }
        for note in &report.notes {
            writeln!(out, "  note: {}", escape(note))?;
        }
        if !self.classes.is_empty() {
            let classes: Vec<String> =
                self.classes.iter().map(|(id, name)| format!("{id} {name}")).collect();
            writeln!(out, "  class_id: {}", escape(&classes.join(", ")))?;
        }
        if let Some(track) = &self.track {
            writeln!(out, "  {}", escape(&track.described(report.records)))?;
        }
        if report.skipped_total > 0 {
            writeln!(out, "  skipped {}:", counted(report.skipped_total, "line"))?;
        }
        for skipped in report.skipped.iter().take(SHOWN_MAX) {
            writeln!(out, "    line {}: {}", skipped.line, escape(&skipped.reason))?;
        }
        let hidden = report.skipped_total.saturating_sub(SHOWN_MAX as u64);
        if hidden > 0 {
            writeln!(out, "    and {} more; --json lists the first 1,000", count(hidden))?;
        }
        Ok(())
    }
}

fn summary_json(all: &[Done]) -> serde_json::Value {
    let records: Vec<&Imported> = all.iter().filter_map(Done::records).collect();
    let mut streams: Vec<serde_json::Value> = Vec::new();
    for (index, done) in all.iter().enumerate() {
        match done {
            Done::Events(recording) => streams.extend(recording.streams_json()),
            Done::Records(imported) => {
                let is_same = |other: &&&Imported| other.stream == imported.stream;
                let earlier = all.iter().take(index).filter_map(Done::records);
                if !earlier.into_iter().any(|earlier| is_same(&&earlier)) {
                    streams.push(stream_json(&records, &imported.stream));
                }
            }
        }
    }
    let skipped = all.iter().flat_map(Done::skipped_json);
    let notes = records.iter().flat_map(|imported| {
        let notes = imported.report.notes.iter();
        notes.map(|note| json!({"file": imported.file, "note": note}))
    });
    json!({
        "streams": streams,
        "skipped": skipped.collect::<Vec<_>>(),
        "skipped_total": all.iter().map(Done::skipped).sum::<u64>(),
        "notes": notes.collect::<Vec<_>>(),
    })
}

/// What all files of records brought into one stream.
fn stream_json(all: &[&Imported], name: &str) -> serde_json::Value {
    let parts: Vec<&Imported> = all.iter().filter(|part| part.stream == name).copied().collect();
    let mut stream = json!({
        "name": name,
        "records": parts.iter().map(|part| part.report.records).sum::<u64>(),
        "files": parts.iter().map(|part| &part.file).collect::<Vec<_>>(),
    });
    let Some(members) = stream.as_object_mut() else { return stream };
    let classes = parts.first().map(|part| part.classes.as_slice()).unwrap_or_default();
    if !classes.is_empty() {
        let classes = classes.iter().map(|(id, name)| json!({"id": id, "name": name}));
        members.insert("classes".to_owned(), classes.collect());
    }
    let kept = parts.iter().filter_map(|part| part.track.as_ref());
    if let Some(track) = kept.clone().next() {
        let track = json!({
            "name": track.name,
            "rate": track.rate.to_string(),
            "threshold": track.threshold,
            "records_kept": kept.map(|track| track.kept).sum::<u64>(),
        });
        members.insert("track".to_owned(), track);
    }
    stream
}
