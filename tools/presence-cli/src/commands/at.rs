//! `presence at`: the record in force at a time.
//!
//! # Invariants
//! - The answer is the last record at or before the time, never a later one.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use presence::{Column, RecordRef, Stream};
use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::open;
use presence_cli::element::Shaped;
use presence_cli::failure::{Outcome, Result};
use presence_cli::moment::{self, Moment, Span};
use presence_cli::output::Output;
use presence_cli::terminal::{escape, say};

/// What to ask.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The database.
    #[arg(value_name = "DB")]
    db: PathBuf,
    /// The stream.
    stream: String,
    /// The time.
    #[arg(allow_negative_numbers = true)]
    t: Moment,
    /// No answer where the record is older than this: 5s, 200ms, or an integer in the stream's
    /// unit.
    #[arg(long, value_name = "SPAN")]
    max_age: Option<Span>,
}

/// A record as JSON: `{"ts", "value"}`.
#[derive(Debug, serde::Serialize)]
struct Answer<'a> {
    ts: Option<i64>,
    value: Option<Values<'a>>,
}

/// The values of a record as an object by column.
#[derive(Debug)]
struct Values<'a> {
    columns: &'a [Column],
    record: &'a RecordRef,
}

impl<'a> Values<'a> {
    fn entries(&self) -> impl Iterator<Item = (&'a str, Shaped<'a>)> {
        let record = self.record;
        self.columns.iter().enumerate().map(move |(index, column)| {
            let (dtype, shape) = (column.dtype(), column.shape());
            (column.name(), Shaped { dtype, shape, bytes: record.column_bytes(index) })
        })
    }
}

impl Serialize for Values<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.columns.len()))?;
        for (name, value) in self.entries() {
            map.serialize_entry(name, &value)?;
        }
        map.end()
    }
}

/// Answers.
///
/// # Errors
/// As [`Stream::at`], and where there is no such stream.
pub(crate) fn run(arguments: &Arguments, json: bool) -> Result<Outcome> {
    let db = open::to_read(&arguments.db)?;
    let stream = open::stream(&db, &arguments.stream)?;
    let unit = stream.schema().time_unit();
    let t = arguments.t.floor(unit)?;
    let record = match arguments.max_age {
        Some(age) => stream.at_within(t, age.units(unit))?,
        None => stream.at(t)?,
    };
    let mut out = Output::stdout();
    if json {
        let value = record.as_ref().map(|record| Values { columns: stream.columns(), record });
        let answer = Answer { ts: record.as_ref().map(RecordRef::ts), value };
        serde_json::to_writer(&mut out, &answer)?;
        writeln!(out)?;
    } else {
        match &record {
            Some(record) => write(&stream, record, t, &mut out)?,
            None => say(&format!("presence: {}", nothing(&stream, t, arguments.max_age)?)),
        }
    }
    out.finish()?;
    Ok(if record.is_some() { Outcome::Fine } else { Outcome::NoData })
}

fn write(stream: &Stream, record: &RecordRef, t: i64, out: &mut impl Write) -> Result<()> {
    let unit = stream.schema().time_unit();
    let titles = ["ts"].into_iter().chain(stream.columns().iter().map(Column::name));
    let width = titles.map(|title| escape(title).chars().count()).max().unwrap_or(2);
    let ts = record.ts();
    let age = moment::seconds(i128::from(t) - i128::from(ts), unit);
    let when = moment::describe(ts, unit);
    writeln!(out, "{:width$}  {ts}  ({when}, {age} before the time asked for)", "ts")?;
    for (name, value) in (Values { columns: stream.columns(), record }).entries() {
        writeln!(out, "{:width$}  {value}", escape(name))?;
    }
    Ok(())
}

/// Why there is no answer.
fn nothing(stream: &Stream, t: i64, max_age: Option<Span>) -> Result<String> {
    let unit = stream.schema().time_unit();
    let name = stream.name();
    Ok(match (stream.first()?, stream.at(t)?, max_age) {
        (None, ..) => format!("no data: stream {name:?} has no records"),
        (Some(_), Some(record), Some(_)) => format!(
            "no data: the last record of stream {name:?} before that is {} old",
            moment::seconds(i128::from(t) - i128::from(record.ts()), unit)
        ),
        (Some(first), ..) => format!(
            "no data: stream {name:?} begins at {} ({})",
            first.ts(),
            moment::describe(first.ts(), unit)
        ),
    })
}
