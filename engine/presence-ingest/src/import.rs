//! An import: an opened input that hands out batches.
//!
//! # Invariants
//! - Input in order is streamed; other input is read whole into a [`Sorter`] at the first batch.
//! - A timestamp never goes below the one before, even where the file changes while it is read:
//!   that is an error.
//! - After an error no batch is handed out.

use std::fs::File;
use std::io::Take;

use presence_format::{Batch, Schema};

use crate::context::Context;
use crate::csv;
use crate::detect::{HEAD_BYTES, detect, first_line};
use crate::error::{IngestError, IngestErrorKind, Result};
use crate::frames::Frames;
use crate::lines::{Lines, Split};
use crate::options::{Format, Options};
use crate::parser::Parser;
use crate::progress::{Phase, Progress, Watch};
use crate::report::Report;
use crate::rows::{batch_records, to_batch};
use crate::sort::{Sorted, Sorter};
use crate::source::{Input, Source};

/// What an input holds, known before its first batch.
#[derive(Debug, Clone)]
pub struct Description {
    /// The file's name without its extension, or the name given to a reader. It may be empty or
    /// hold any character: check it before it names a stream.
    pub stream_name: String,
    /// The format, given or detected.
    pub format: Format,
    /// The columns, the unit of timestamps, and the order: always non-decreasing.
    pub schema: Schema,
    /// How the frames in the column `frame` are counted; `None` of CSV, which has none.
    pub frames: Option<Frames>,
    /// Codes in the column `class_id` and their names; empty where the file has no classes.
    /// KITTI: all known types, then those the file adds. MOT: those of MOTChallenge.
    pub classes: Vec<(u16, String)>,
    /// Whether the records are in the order of time, so that they are streamed and not sorted.
    pub is_sorted: bool,
    /// What was assumed or left out, for people.
    pub notes: Vec<String>,
}

/// An opened input: ask for its description, and take its batches.
#[derive(Debug)]
pub struct Import {
    description: Description,
    context: Context,
    parser: Parser,
    watch: Watch,
    report: Report,
    rows: Vec<u8>,
    batch: Batch,
    state: State,
}

enum State {
    Begin,
    Stream { lines: Box<Lines<Take<File>>>, last: i64 },
    Sorted(Sorted),
    Done,
    Failed,
}

impl Import {
    /// Opens an input and reads it once, to learn its schema and whether it is in order.
    ///
    /// # Errors
    /// Where it cannot be read, is of no known format, has no usable header or time column; in
    /// strict mode for the first malformed line.
    pub fn open(source: Source, options: Options) -> Result<Self> {
        Self::open_watched(source, options, |_| {})
    }

    /// As [`Import::open`]; `tell` is called at the start of each phase and every 4 MiB, here and
    /// in [`Import::next_batch`].
    ///
    /// # Errors
    /// As [`Import::open`].
    pub fn open_watched(
        source: Source,
        options: Options,
        tell: impl FnMut(Progress) + Send + 'static,
    ) -> Result<Self> {
        let mut watch = Watch::new(Box::new(tell));
        let input = source.open(&options.temp_dir(), &mut watch)?;
        let head = input.head(HEAD_BYTES)?;
        Self::of_input(input, &head, options, watch)
    }

    /// Opens an input whose first bytes were read.
    pub(crate) fn of_input(
        input: Input,
        head: &[u8],
        options: Options,
        mut watch: Watch,
    ) -> Result<Self> {
        let temp_dir = options.temp_dir();
        let format = match options.format {
            Some(format) => format,
            // Only CSV has a delimiter to choose.
            None if options.delimiter.is_some() => Format::Csv,
            None => detect(&input.name, head)?,
        };
        let split = match format {
            Format::Csv => Split::Csv(delimiter(&input.name, &options, head)?),
            Format::Mot => Split::Comma,
            Format::Kitti => Split::Whitespace,
        };
        let mut context = Context {
            input,
            strict: options.strict,
            line_bytes_max: options.line_bytes_max,
            memory_bytes: options.memory_bytes,
            temp_dir,
            split,
            names: Vec::new(),
            wanted_fields: String::new(),
        };
        watch.enter(Phase::Scan, Some(context.input.bytes));
        let (parser, description) = context.learn(format, &options, &mut watch)?;
        let report = Report { notes: description.notes.clone(), ..Report::default() };
        let batch = Batch::new(&description.schema);
        let state = State::Begin;
        let rows = Vec::new();
        Ok(Self { description, context, parser, watch, report, rows, batch, state })
    }

    /// What the input holds.
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// How far the import is.
    pub fn progress(&self) -> Progress {
        self.watch.now
    }

    /// What was imported and skipped so far: complete after [`Import::next_batch`] gave `None`.
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// The next batch, of at most 8192 records and about 1 MiB, sorted by time; `None` at the end.
    /// The first call of an input that is not in order reads and sorts all of it.
    ///
    /// # Errors
    /// I/O on the input or a temporary file; `Changed` where the file is another one than before.
    /// After an error every call gives one.
    pub fn next_batch(&mut self) -> Result<Option<&Batch>> {
        match self.advance() {
            Ok(()) if self.rows.is_empty() => Ok(None),
            Ok(()) => {
                to_batch(&self.rows, &self.description.schema, &mut self.batch);
                self.report.records += self.batch.len() as u64;
                self.watch.now.records = self.report.records;
                Ok(Some(&self.batch))
            }
            Err(error) => {
                self.state = State::Failed;
                Err(error)
            }
        }
    }

    /// Fills `rows` with the records of the next batch; with none at the end.
    fn advance(&mut self) -> Result<()> {
        self.rows.clear();
        if matches!(self.state, State::Begin) {
            self.state = self.begin()?;
        }
        let records = batch_records(self.description.schema.record_bytes());
        match &mut self.state {
            State::Stream { lines, last } => {
                for _ in 0..records {
                    let (context, report) = (&self.context, &mut self.report);
                    let parser = &mut self.parser;
                    let Some(time) = context.next_row(lines, parser, report, &mut self.rows)?
                    else {
                        break;
                    };
                    if time < *last {
                        return Err(context.changed());
                    }
                    *last = time;
                }
                self.watch.done(lines.consumed());
            }
            State::Sorted(sorted) => {
                sorted
                    .fill(&mut self.rows, records)
                    .map_err(|error| self.context.sort_error(error))?;
                self.watch.done(self.watch.now.bytes_done + self.rows.len() as u64);
            }
            State::Begin | State::Done => {}
            State::Failed => {
                let what = "the import failed before; open it again";
                return Err(self.context.error(IngestErrorKind::Io, what));
            }
        }
        if self.rows.is_empty() && !matches!(self.state, State::Done) {
            self.state = State::Done;
            self.watch.enter(Phase::Done, None);
        }
        Ok(())
    }

    fn begin(&mut self) -> Result<State> {
        let mut lines = self.context.records(&self.parser)?;
        let bytes = Some(self.context.input.bytes);
        if self.description.is_sorted {
            self.watch.enter(Phase::Read, bytes);
            return Ok(State::Stream { lines: Box::new(lines), last: i64::MIN });
        }
        self.watch.enter(Phase::Sort, bytes);
        let context = &self.context;
        let record_bytes = self.description.schema.record_bytes();
        let mut sorter = Sorter::new(record_bytes, context.memory_bytes, context.temp_dir.clone());
        let (parser, report) = (&mut self.parser, &mut self.report);
        while let Some(time) = context.next_row(&mut lines, parser, report, sorter.buffer())? {
            sorter.keep(time).map_err(|error| context.sort_error(error))?;
            self.watch.done(lines.consumed());
        }
        let sorted = sorter.finish().map_err(|error| context.sort_error(error))?;
        self.watch.enter(Phase::Merge, Some(sorted.bytes()));
        Ok(State::Sorted(sorted))
    }
}

fn delimiter(file: &str, options: &Options, head: &[u8]) -> Result<u8> {
    match options.delimiter {
        None => Ok(csv::guess_delimiter(first_line(head).unwrap_or_default())),
        Some(byte) if byte.is_ascii() && !matches!(byte, b'"' | b'\r' | b'\n' | 0) => Ok(byte),
        Some(byte) => {
            let what = format!(
                "{:?} is no delimiter; it is one ASCII character, no quote and no line break",
                char::from(byte)
            );
            Err(IngestError::new(IngestErrorKind::Options, file, what))
        }
    }
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Begin => "Begin",
            Self::Stream { .. } => "Stream",
            Self::Sorted(_) => "Sorted",
            Self::Done => "Done",
            Self::Failed => "Failed",
        })
    }
}
