//! A recording of an event camera into a stream, and into others beside it.
//!
//! # Invariants
//! - The stream of events is made first, also where there are none; the others when they have
//!   their first record. Their names begin with its name.

use std::collections::BTreeMap;
use std::io::Write;

use presence::{ColumnWriter, Compression, TimeUnit, check_name};
use presence_ingest::{EventImport, EventReport, Role};
use serde_json::{Value, json};

use super::Arguments;
use crate::session::{Session, Wanted};
use presence_cli::failure::{Failure, Result};
use presence_cli::moment;
use presence_cli::quantity::{count, counted};
use presence_cli::terminal::escape;

/// One imported recording.
#[derive(Debug)]
pub(super) struct Recording {
    file: String,
    stream: String,
    format: &'static str,
    sensor: Option<(u16, u16)>,
    camera: Option<String>,
    /// First and last timestamp of the events.
    span: Option<(i64, i64)>,
    /// Records of the streams beside the events.
    beside: BTreeMap<Role, u64>,
    report: EventReport,
}

/// Imports a recording that is open.
///
/// # Errors
/// As of any import.
pub(super) fn import(
    arguments: &Arguments,
    session: &Session,
    file: &str,
    mut import: EventImport,
) -> Result<Recording> {
    let description = import.description().clone();
    let stream = arguments.stream.clone().unwrap_or_else(|| description.stream_name.clone());
    let longest = Role::ALL.iter().map(|role| role.suffix().len()).max().unwrap_or_default();
    check_name("stream", &format!("{stream}{}", "x".repeat(longest)))
        .and_then(|()| check_name("stream", &stream))
        .map_err(|error| Failure::usage(error.what).with("give one with --stream"))?;
    let mut into = Into { arguments, session, file, stream: &stream, writers: BTreeMap::new() };
    let mut recording = Recording {
        file: file.to_owned(),
        stream: stream.clone(),
        format: description.format.name(),
        sensor: description.sensor_size.map(|size| (size.width, size.height)),
        camera: description.camera,
        span: None,
        beside: BTreeMap::new(),
        report: EventReport::default(),
    };
    into.begin(Role::Events, &description.schema, description.first_ts)?;
    while let Some((role, schema, batch)) = import.next_batch()? {
        let first = batch.timestamps.first().copied();
        let last = batch.timestamps.last().copied();
        let writer = into.begin(role, schema, first)?;
        if role == Role::Events {
            session.append(writer, None, batch)?;
            if let (Some(first), Some(last)) = (first, last) {
                recording.span = Some((recording.span.map_or(first, |span| span.0), last));
            }
        } else {
            session.append_beside(writer, batch)?;
            *recording.beside.entry(role).or_default() += batch.len() as u64;
        }
    }
    session.end();
    recording.report = import.report().clone();
    Ok(recording)
}

/// The streams that a recording goes into.
struct Into<'a> {
    arguments: &'a Arguments,
    session: &'a Session,
    file: &'a str,
    stream: &'a str,
    writers: BTreeMap<Role, ColumnWriter>,
}

impl Into<'_> {
    /// The writer of a role's stream, which is made or looked up at its first use.
    fn begin(
        &mut self,
        role: Role,
        schema: &presence::Schema,
        first_ts: Option<i64>,
    ) -> Result<&mut ColumnWriter> {
        use std::collections::btree_map::Entry;
        match self.writers.entry(role) {
            Entry::Occupied(found) => Ok(found.into_mut()),
            Entry::Vacant(place) => {
                let compression = self.arguments.compression.unwrap_or(match role {
                    Role::Events | Role::Exposures | Role::Colors => Compression::Split,
                    _ => Compression::Packed,
                });
                let (stream, _) = self.session.begin(Wanted {
                    file: self.file,
                    name: &format!("{}{}", self.stream, role.suffix()),
                    schema: &schema.clone().with_compression(compression),
                    is_compression_given: self.arguments.compression.is_some(),
                    first_ts,
                    plan: None,
                    is_beside: role != Role::Events,
                })?;
                Ok(place.insert(stream.column_writer()?))
            }
        }
    }
}

impl Recording {
    /// Events or bytes that were left out.
    pub(super) fn skipped(&self) -> u64 {
        self.report.decoded.faults_total
    }

    /// What the streams are, for programs.
    pub(super) fn streams_json(&self) -> Vec<Value> {
        let decoded = &self.report.decoded;
        let events = json!({
            "name": self.stream,
            "records": self.report.events,
            "files": [self.file],
            "format": self.format,
            "width": self.sensor.map(|size| size.0),
            "height": self.sensor.map(|size| size.1),
            "camera": self.camera,
            "first_ts": self.span.map(|span| span.0),
            "last_ts": self.span.map(|span| span.1),
            "dropped": decoded.dropped,
            "untimed": decoded.untimed,
            "unknown_words": decoded.unknown_words,
            "tail_bytes": decoded.tail_bytes,
            "out_of_order": decoded.out_of_order,
            "sorted": self.report.sorted,
            "late": self.report.late,
            "late_beside": self.report.late_beside,
            "frames_unlike": self.report.frames_unlike,
        });
        let beside = self.beside.iter().map(|(role, records)| {
            let name = format!("{}{}", self.stream, role.suffix());
            json!({"name": name, "records": records, "files": [self.file]})
        });
        std::iter::once(events).chain(beside).collect()
    }

    /// The faults that were skipped, for programs.
    pub(super) fn faults_json(&self) -> impl Iterator<Item = Value> + '_ {
        let faults = self.report.decoded.faults.iter();
        faults.map(|fault| json!({"file": self.file, "byte": fault.offset, "reason": fault.what}))
    }

    /// For people.
    pub(super) fn write(&self, out: &mut impl Write) -> Result<()> {
        let report = &self.report;
        let file = escape(&self.file);
        let events = counted(report.events, "event");
        write!(out, "{file}: {events} into stream {:?} ({}", self.stream, self.format)?;
        match self.sensor {
            Some((width, height)) => write!(out, ", {width} x {height}")?,
            None => write!(out, ", sensor's size unknown: --sensor tells it")?,
        }
        writeln!(out, ")")?;
        if let Some((first, last)) = self.span {
            let describe = |ts| moment::describe(ts, TimeUnit::Us);
            let (first_words, last_words) = (describe(first), describe(last));
            writeln!(out, "  from {first} to {last} us ({first_words} to {last_words})")?;
        }
        for (role, records) in self.beside.iter().filter(|(role, _)| **role != Role::Sensor) {
            let records = counted(*records, "record");
            writeln!(out, "  {records} into stream {:?}", self.stream.clone() + role.suffix())?;
        }
        for line in self.losses() {
            writeln!(out, "  {line}")?;
        }
        for fault in &report.decoded.faults {
            writeln!(out, "    byte {}: {}", fault.offset, escape(&fault.what))?;
        }
        let hidden = report.decoded.faults_total - report.decoded.faults.len() as u64;
        if hidden > 0 {
            writeln!(out, "    and {} more", count(hidden))?;
        }
        Ok(())
    }

    /// What was put elsewhere or left out, in words.
    fn losses(&self) -> Vec<String> {
        let (report, decoded) = (&self.report, &self.report.decoded);
        [
            (report.sorted, "event", "put where they belong in the order of time"),
            (report.late, "event", "LEFT OUT: too late to be put where they belong"),
            (report.late_beside, "record", "beside the events LEFT OUT: too late"),
            (report.frames_unlike, "frame", "LEFT OUT: of another shape than the first"),
            (decoded.dropped, "event", "LEFT OUT: beyond the sensor, or marked invalid"),
            (decoded.untimed, "event", "LEFT OUT: before the first time word"),
            (decoded.unknown_words, "word", "of no known kind"),
            (decoded.tail_bytes, "byte", "at the end that are no whole event"),
        ]
        .into_iter()
        .filter(|(number, ..)| *number > 0)
        .map(|(number, noun, what)| format!("{} {what}", counted(number, noun)))
        .collect()
    }
}
