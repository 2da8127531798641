//! One line of a CSV to one record.
//!
//! # Invariants
//! - There is one [`Cell`] a field of the header, and those that are kept are in the order of the
//!   schema.

use crate::csv::time::TimeRule;
use crate::fault::{Fault, Wanted};
use crate::lines::Fields;
use crate::number::{CellKind, classify, float, int, truth};

/// What becomes of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cell {
    /// Left out.
    Skip,
    /// The timestamp.
    Time,
    /// A signed integer.
    I64,
    /// An integer beyond the signed ones.
    U64,
    /// A number; NaN where empty.
    F64,
    /// A truth value.
    Bool,
    /// A truth value as 0 or 1; NaN where empty.
    BoolF64,
}

/// The parser of CSV lines.
#[derive(Debug)]
pub(crate) struct CsvRecord {
    pub(crate) cells: Vec<Cell>,
    pub(crate) time: TimeRule,
}

impl CsvRecord {
    /// Appends the record to `rows`, in the layout of [`crate::rows`]; returns its time. On a
    /// fault `rows` may hold a part of it.
    #[inline]
    pub(crate) fn parse(&self, fields: Fields<'_>, rows: &mut Vec<u8>) -> Result<i64, Fault> {
        if fields.len() != self.cells.len() {
            return Err(Fault::FieldCount { found: fields.len() });
        }
        let row_at = rows.len();
        rows.extend_from_slice(&[0; 8]);
        let mut time = 0;
        for (field, (cell, kind)) in fields.iter().zip(&self.cells).enumerate() {
            let bytes = match kind {
                Cell::Skip => continue,
                Cell::Time => {
                    time = self.time.read(cell, field)?;
                    continue;
                }
                Cell::Bool => {
                    let value =
                        boolean(cell).ok_or(Fault::Cell { field, wanted: Wanted::Truth })?;
                    rows.push(u8::from(value));
                    continue;
                }
                Cell::F64 => number(cell, field)?.to_le_bytes(),
                Cell::I64 => integer::<i64>(cell, field)?.to_le_bytes(),
                Cell::U64 => integer::<u64>(cell, field)?.to_le_bytes(),
                Cell::BoolF64 => match boolean(cell) {
                    Some(value) => f64::from(u8::from(value)).to_le_bytes(),
                    None if classify(cell) == CellKind::Empty => f64::NAN.to_le_bytes(),
                    None => return Err(Fault::Cell { field, wanted: Wanted::Truth }),
                },
            };
            rows.extend_from_slice(&bytes);
        }
        if let Some(slot) = rows.get_mut(row_at..row_at + 8) {
            slot.copy_from_slice(&time.to_le_bytes());
        }
        Ok(time)
    }
}

#[inline]
fn number(cell: &[u8], field: usize) -> Result<f64, Fault> {
    match float(cell) {
        Some(value) => Ok(value),
        None if classify(cell) == CellKind::Empty => Ok(f64::NAN),
        None => Err(Fault::Cell { field, wanted: Wanted::Number }),
    }
}

#[inline]
fn integer<T: TryFrom<i128>>(cell: &[u8], field: usize) -> Result<T, Fault> {
    int(cell)
        .and_then(|value| T::try_from(value).ok())
        .ok_or(Fault::Cell { field, wanted: Wanted::Integer })
}

fn boolean(cell: &[u8]) -> Option<bool> {
    match cell {
        b"0" => Some(false),
        b"1" => Some(true),
        _ => truth(cell),
    }
}
