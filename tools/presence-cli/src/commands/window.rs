//! `presence window`: the records of a range of time.
//!
//! # Invariants
//! - `t0 t1` is half-open, `[t0, t1)`: neighbouring windows share no record. `--before T --span S`
//!   is `(T - S, T]`: the record at `T` is in it, as it is the answer of `at T`.
//! - Memory does not grow with the window.

use std::ops::Bound;
use std::path::PathBuf;

use clap::Args;
use presence::{Stream, Window, WindowOptions};

use crate::export::{self, Format};
use crate::open;
use presence_cli::failure::{Failure, Outcome, Result};
use presence_cli::moment::{Moment, Span};
use presence_cli::output::Output;
use presence_cli::terminal::say;

/// Which records, and how.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The database.
    #[arg(value_name = "DB")]
    db: PathBuf,
    /// The stream.
    stream: String,
    /// The first time of the window.
    #[arg(allow_negative_numbers = true, requires = "t1", required_unless_present = "before")]
    t0: Option<Moment>,
    /// The time before which the window ends: a record at exactly this time is not in it.
    #[arg(allow_negative_numbers = true)]
    t1: Option<Moment>,
    /// The last time of the window: a record at exactly this time is in it.
    #[arg(long, value_name = "T", requires = "span", conflicts_with_all = ["t0", "t1"],
          allow_negative_numbers = true)]
    before: Option<Moment>,
    /// How far the window reaches back from --before: 5s, 200ms, or an integer in the stream's
    /// unit. A record at exactly its start is not in it.
    #[arg(long, value_name = "SPAN", requires = "before")]
    span: Option<Span>,
    /// How to write the records; by default a table, and jsonl with --json.
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// The file to write, which appears whole or not at all; by default standard output.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Only these columns, in this order.
    #[arg(long, value_delimiter = ',', value_name = "NAME,…")]
    columns: Vec<String>,
    /// At most so many records: the first ones.
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    /// Begin with the record in force at the start, where none is exactly there.
    #[arg(long)]
    carry_in: bool,
    /// Pass over records that are lost to damage, instead of failing.
    #[arg(long)]
    skip_gaps: bool,
}

impl Arguments {
    fn range(&self, stream: &Stream) -> Result<(Bound<i64>, Bound<i64>)> {
        let unit = stream.schema().time_unit();
        match (self.t0, self.t1, self.before, self.span) {
            (Some(t0), Some(t1), ..) => {
                Ok((Bound::Included(t0.ceil(unit)?), Bound::Excluded(t1.ceil(unit)?)))
            }
            (_, _, Some(before), Some(span)) => before.back(span, unit),
            _ => Err(Failure::usage("a window needs t0 and t1, or --before and --span")),
        }
    }

    fn options(&self) -> WindowOptions {
        let mut options = WindowOptions::default();
        options.carry_in = self.carry_in;
        options.skip_gaps = self.skip_gaps;
        options
    }
}

/// Writes the records.
///
/// # Errors
/// As [`Stream::window`], and where the output cannot be written.
pub(crate) fn run(arguments: &Arguments, json: bool) -> Result<Outcome> {
    let format = arguments.format.unwrap_or(if json { Format::Jsonl } else { Format::Table });
    let is_stdout = arguments.output.as_ref().is_none_or(|path| path.as_os_str() == "-");
    if format == Format::Parquet && is_stdout {
        return Err(Failure::usage("--format parquet needs a file: -o FILE"));
    }
    let db = open::to_read(&arguments.db)?;
    let stream = open::stream(&db, &arguments.stream)?;
    let fields = export::fields(stream.schema(), &arguments.columns)?;
    let window = stream.window_with(arguments.range(&stream)?, arguments.options())?;
    if window.is_empty() && format == Format::Table {
        say(&format!("presence: no data: stream {:?} has no records there", stream.name()));
        return Ok(Outcome::NoData);
    }
    let output = Output::open(arguments.output.as_deref())?;
    let mut export = export::begin(format, stream.schema(), fields, output)?;
    put(&window, arguments.limit, &mut *export)?;
    export.end()?.finish()?;
    Ok(if window.is_empty() { Outcome::NoData } else { Outcome::Fine })
}

fn put(window: &Window, limit: Option<u64>, export: &mut dyn export::Export) -> Result<()> {
    let mut left = limit.unwrap_or(u64::MAX);
    for slice in window.slices() {
        let slice = slice?;
        let records = slice.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        if records == 0 {
            break;
        }
        export.put(&slice, records)?;
        left -= records as u64;
    }
    Ok(())
}
