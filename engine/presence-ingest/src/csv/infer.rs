//! The first reading of a CSV: types of columns, the kind of time, whether it is in order.
//!
//! # Invariants
//! - Memory depends on the number of columns alone.
//! - A column of numbers stays one in spite of a few cells that are none: those lines are
//!   malformed. It is text where more than [`STRANGERS_MAX`] cells and a fifth of all are text.

use std::io::Read;

use presence_format::caps::COLUMNS_MAX;
use presence_format::{Column, DType, Order, Schema};

use crate::csv::header::{self, Header};
use crate::csv::record::{Cell, CsvRecord};
use crate::csv::time::TimeScan;
use crate::error::{IngestError, IngestErrorKind, Result};
use crate::lines::Lines;
use crate::number::{CellKind, classify, int};
use crate::options::Options;
use crate::progress::Watch;

/// Cells of text that a column of numbers may hold in a file of any size.
const STRANGERS_MAX: u64 = 10;
/// 2^53: larger integers are not all exact in an `f64`.
const F64_EXACT_MAX: i128 = 1 << 53;

/// What the first reading found.
#[derive(Debug)]
pub(crate) struct Inferred {
    pub(crate) schema: Schema,
    pub(crate) record: CsvRecord,
    /// Names of the fields, for messages.
    pub(crate) names: Vec<String>,
    pub(crate) is_sorted: bool,
    pub(crate) notes: Vec<String>,
}

/// Cells of one column, by kind.
#[derive(Debug, Clone, Default)]
struct Seen {
    empty: u64,
    int: u64,
    float: u64,
    bool: u64,
    text: u64,
    is_negative: bool,
    exceeds_i64: bool,
    exceeds_u64: bool,
    exceeds_f64: bool,
}

impl Seen {
    #[inline]
    fn see(&mut self, cell: &[u8]) {
        match classify(cell) {
            CellKind::Float => self.float += 1,
            CellKind::Int => {
                self.int += 1;
                self.is_negative |= cell.first() == Some(&b'-');
                // Shorter ones are within every limit.
                if cell.len() > 15 {
                    self.see_long(cell);
                }
            }
            CellKind::Empty => self.empty += 1,
            CellKind::Bool => self.bool += 1,
            CellKind::Text => self.text += 1,
        }
    }

    #[cold]
    fn see_long(&mut self, cell: &[u8]) {
        match int(cell) {
            Some(value) => {
                self.exceeds_i64 |= i64::try_from(value).is_err();
                self.exceeds_u64 |= value < i128::from(i64::MIN);
                self.exceeds_f64 |= value.abs() > F64_EXACT_MAX;
            }
            None => self.exceeds_u64 = true,
        }
        self.exceeds_i64 |= self.exceeds_u64;
    }

    /// The type of the column; `None` for text.
    fn cell(&self, forgives_text: bool) -> Option<Cell> {
        let numbers = self.int + self.float;
        let filled = numbers + self.bool + self.text;
        if filled == 0 {
            return Some(Cell::F64);
        }
        let known = numbers.max(self.bool);
        let strangers = filled - known;
        let few = forgives_text || strangers <= STRANGERS_MAX.max(filled / 5);
        if strangers > known || !few {
            return None;
        }
        Some(if self.bool > numbers {
            if self.empty > 0 { Cell::BoolF64 } else { Cell::Bool }
        } else if self.float > 0 || self.empty > 0 || self.exceeds_u64 {
            Cell::F64
        } else if !self.exceeds_i64 {
            Cell::I64
        } else if !self.is_negative {
            Cell::U64
        } else {
            Cell::F64
        })
    }
}

/// Reads all of `lines`, from the header on.
///
/// # Errors
/// I/O, a header that is none, no time column, a time of unknown unit, no column to keep; in
/// strict mode a column of text.
pub(crate) fn infer(
    file: &str,
    lines: &mut Lines<impl Read>,
    options: &Options,
    watch: &mut Watch,
) -> Result<Inferred> {
    let read_error = |e| IngestError::io(file, "read", e);
    let Some(first) = lines.advance().map_err(read_error)? else {
        let what = "is empty; a CSV begins with a header line";
        return Err(IngestError::new(IngestErrorKind::Header, file, what));
    };
    if first.fault.is_some() {
        let what = "the header line is too long, or a quote in it does not close";
        return Err(IngestError::new(IngestErrorKind::Header, file, what).at_line(first.number));
    }
    let fields = lines.fields();
    if fields.len() > COLUMNS_MAX + 1 {
        let what = format!("more than {COLUMNS_MAX} columns beside the time; split the file");
        return Err(IngestError::new(IngestErrorKind::Unsupported, file, what));
    }
    let header = header::read(file, fields, options.time_column.as_deref())
        .map_err(|error| error.at_line(first.number))?;
    lines.set_fields_max(header.names.len());
    let mut columns = vec![Seen::default(); header.names.len()];
    let mut time = TimeScan::new(options, header.time_scale);
    let mut records = 0_u64;
    while let Some(line) = lines.advance().map_err(read_error)? {
        watch.done(lines.consumed());
        let fields = lines.fields();
        if line.fault.is_some() || fields.len() != columns.len() {
            continue;
        }
        records += 1;
        for (index, (cell, seen)) in fields.iter().zip(&mut columns).enumerate() {
            if index == header.time_field {
                time.see(cell, line.number);
            } else {
                seen.see(cell);
            }
        }
    }
    conclude(file, header, &columns, &time, records, options)
}

fn conclude(
    file: &str,
    header: Header,
    columns: &[Seen],
    time: &TimeScan,
    records: u64,
    options: &Options,
) -> Result<Inferred> {
    let Header { names, unnamed, time_field, mut notes, .. } = header;
    let time_name = names.get(time_field).map_or("", String::as_str);
    let (rule, is_sorted) = time.decide(file, time_name, options, &mut notes)?;
    let choose = |forgives_text: bool| -> Vec<Option<Cell>> {
        let of = |(index, (seen, unnamed)): (usize, (&Seen, &bool))| {
            if index == time_field {
                Some(Cell::Time)
            } else if *unnamed && seen.empty == records {
                Some(Cell::Skip)
            } else {
                seen.cell(forgives_text)
            }
        };
        columns.iter().zip(&unnamed).enumerate().map(of).collect()
    };
    let is_kept = |cell: &Option<Cell>| !matches!(cell, None | Some(Cell::Skip | Cell::Time));
    let mut cells = choose(false);
    if !cells.iter().any(is_kept) {
        // Better malformed lines than nothing at all.
        cells = choose(true);
    }
    let (mut kept, mut text) = (Vec::new(), Vec::new());
    for ((name, cell), seen) in names.iter().zip(&cells).zip(columns) {
        let dtype = match cell {
            None => {
                text.push(format!("{name:?}"));
                continue;
            }
            Some(Cell::Skip | Cell::Time) => continue,
            Some(Cell::I64) => DType::I64,
            Some(Cell::U64) => DType::U64,
            Some(Cell::Bool) => DType::Bool,
            Some(Cell::F64 | Cell::BoolF64) => DType::F64,
        };
        note_column(name, *cell, seen, records, &mut notes);
        kept.push(Column::scalar(name, dtype));
    }
    if !text.is_empty() {
        note_text(file, &text, options, &mut notes)?;
    }
    if kept.is_empty() {
        let what = "no column beside the time holds numbers or truth values";
        return Err(IngestError::new(IngestErrorKind::Unsupported, file, what));
    }
    let schema = Schema::new(kept)
        .map_err(|error| IngestError::new(IngestErrorKind::Unsupported, file, error.what))?
        .with_order(Order::NonDecreasing)
        .with_time_unit(rule.unit());
    let cells = cells.into_iter().map(|cell| cell.unwrap_or(Cell::Skip)).collect();
    let record = CsvRecord { cells, time: rule };
    Ok(Inferred { schema, record, names, is_sorted, notes })
}

fn note_text(
    file: &str,
    text: &[String],
    options: &Options,
    notes: &mut Vec<String>,
) -> Result<()> {
    let list = text.join(", ");
    let columns = if text.len() == 1 { "column" } else { "columns" };
    if options.strict {
        let what = format!(
            "{columns} of text: {list}; a stream holds numbers and truth values; remove them, or \
             import without strict to leave them out"
        );
        return Err(IngestError::new(IngestErrorKind::Malformed, file, what));
    }
    notes.push(format!("{columns} of text left out: {list}"));
    Ok(())
}

fn note_column(name: &str, cell: Option<Cell>, seen: &Seen, records: u64, notes: &mut Vec<String>) {
    if records > 0 && seen.empty == records {
        notes.push(format!("column {name:?} is empty: all NaN"));
    } else if cell == Some(Cell::BoolF64) {
        notes.push(format!("column {name:?} has empty cells: 0, 1 and NaN instead of bool"));
    } else if cell == Some(Cell::F64) && (seen.exceeds_f64 || seen.exceeds_u64) {
        notes.push(format!("column {name:?} holds integers that f64 rounds"));
    } else if cell == Some(Cell::F64) && seen.float == 0 && seen.empty > 0 {
        notes.push(format!("column {name:?} has empty cells: f64 with NaN instead of integers"));
    }
}
