//! What all readings of an input share, and the first of them.
//!
//! # Invariants
//! - Each reading sees the same lines and skips the same ones; in strict mode the first malformed
//!   line ends the first reading, before any batch.

use std::fs::File;
use std::io::Take;
use std::path::PathBuf;

use presence_format::caps::COLUMNS_MAX;
use presence_format::{FormatError, Schema};

use crate::csv;
use crate::error::{IngestError, IngestErrorKind, Result};
use crate::fault::Fault;
use crate::import::Description;
use crate::kitti::Kitti;
use crate::lines::{Fields, Lines, Split};
use crate::mot::Mot;
use crate::options::{Format, Options};
use crate::parser::Parser;
use crate::progress::{Phase, Watch};
use crate::report::Report;
use crate::source::Input;

/// What all readings of an input share.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) input: Input,
    pub(crate) strict: bool,
    pub(crate) line_bytes_max: usize,
    pub(crate) memory_bytes: usize,
    pub(crate) temp_dir: PathBuf,
    pub(crate) split: Split,
    pub(crate) names: Vec<String>,
    pub(crate) wanted_fields: String,
}

impl Context {
    pub(crate) fn error(&self, kind: IngestErrorKind, what: impl Into<String>) -> IngestError {
        IngestError::new(kind, &self.input.name, what)
    }

    pub(crate) fn changed(&self) -> IngestError {
        let what = "the file changed while it was read; import it again when it is complete";
        self.error(IngestErrorKind::Changed, what)
    }

    pub(crate) fn sort_error(&self, error: std::io::Error) -> IngestError {
        let doing = format!("sort in temporary files in {}", self.temp_dir.display());
        IngestError::io(&self.input.name, &doing, error)
    }

    /// The first reading: a parser that knows the types, and the description.
    pub(crate) fn learn(
        &mut self,
        format: Format,
        options: &Options,
        watch: &mut Watch,
    ) -> Result<(Parser, Description)> {
        let (mut parser, schema, mut notes, is_sorted) = match format {
            Format::Csv => {
                let mut lines = self.lines(COLUMNS_MAX + 1)?;
                let found = csv::infer(&self.input.name, &mut lines, options, watch)?;
                self.wanted_fields = found.names.len().to_string();
                self.names = found.names;
                let parser = Parser::Csv(found.record);
                (parser, found.schema, found.notes, Some(found.is_sorted))
            }
            Format::Mot => {
                let (mot, notes) = Mot::new(options);
                self.names = Mot::field_names();
                self.wanted_fields = "7 to 10".to_owned();
                (Parser::Mot(mot), self.schema(Mot::schema())?, notes, None)
            }
            Format::Kitti => {
                let (kitti, notes) = Kitti::new(options);
                self.names = Kitti::field_names();
                self.wanted_fields = "17 or 18".to_owned();
                (Parser::Kitti(kitti), self.schema(Kitti::schema())?, notes, None)
            }
        };
        // A streamed CSV is handed out before its last line is parsed: strict looks first.
        let is_sorted = match is_sorted {
            Some(is_sorted) if !self.strict => is_sorted,
            Some(_) => {
                watch.enter(Phase::Check, Some(self.input.bytes));
                self.check(&mut parser, watch)?
            }
            None => self.check(&mut parser, watch)?,
        };
        let classes = parser.conclude(&mut notes);
        let stream_name = self.input.stem.clone();
        let frames = parser.frames();
        let description =
            Description { stream_name, format, schema, frames, classes, is_sorted, notes };
        Ok((parser, description))
    }

    pub(crate) fn schema(&self, schema: Result<Schema, FormatError>) -> Result<Schema> {
        schema.map_err(|error| self.error(IngestErrorKind::Unsupported, error.what))
    }

    /// Parses every line; says whether the records are in order.
    pub(crate) fn check(&self, parser: &mut Parser, watch: &mut Watch) -> Result<bool> {
        let mut lines = self.records(parser)?;
        let (mut rows, mut report) = (Vec::new(), Report::default());
        let (mut last, mut is_sorted) = (i64::MIN, true);
        while let Some(time) = self.next_row(&mut lines, parser, &mut report, &mut rows)? {
            rows.clear();
            is_sorted &= time >= last;
            last = time;
            watch.done(lines.consumed());
        }
        Ok(is_sorted)
    }

    pub(crate) fn lines(&self, fields_max: usize) -> Result<Lines<Take<File>>> {
        Ok(Lines::new(self.input.reader()?, self.split, self.line_bytes_max, fields_max))
    }

    /// The lines that hold records: those of a CSV begin behind its header.
    pub(crate) fn records(&self, parser: &Parser) -> Result<Lines<Take<File>>> {
        let mut lines = self.lines(self.names.len())?;
        if matches!(parser, Parser::Csv(_)) {
            lines.advance().map_err(|e| self.read_error(e))?;
        }
        Ok(lines)
    }

    pub(crate) fn read_error(&self, error: std::io::Error) -> IngestError {
        if error.kind() == std::io::ErrorKind::InvalidData {
            return self.error(IngestErrorKind::Malformed, error.to_string());
        }
        IngestError::io(&self.input.name, "read", error)
    }

    /// Appends the next record to `rows` and gives its time; passes over malformed lines.
    #[inline]
    pub(crate) fn next_row(
        &self,
        lines: &mut Lines<Take<File>>,
        parser: &mut Parser,
        report: &mut Report,
        rows: &mut Vec<u8>,
    ) -> Result<Option<i64>> {
        let len = rows.len();
        loop {
            let Some(line) = lines.advance().map_err(|error| self.read_error(error))? else {
                return Ok(None);
            };
            let fields = lines.fields();
            let parsed = match line.fault {
                None => parser.parse(fields, rows),
                Some(fault) => Err(Fault::Line(fault)),
            };
            match parsed {
                Ok(time) => return Ok(Some(time)),
                Err(fault) => {
                    rows.truncate(len);
                    self.skip(line.number, fault, fields, report)?;
                }
            }
        }
    }

    #[cold]
    pub(crate) fn skip(
        &self,
        line: u64,
        fault: Fault,
        fields: Fields<'_>,
        report: &mut Report,
    ) -> Result<()> {
        let reason = || fault.reason(fields, &self.names, &self.wanted_fields, self.line_bytes_max);
        if self.strict {
            return Err(self.error(IngestErrorKind::Malformed, reason()).at_line(line));
        }
        report.skip(line, reason);
        Ok(())
    }
}
