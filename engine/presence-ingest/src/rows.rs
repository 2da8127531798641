//! Records as rows of fixed width, and rows as batches of columns.
//!
//! A row is the timestamp, eight little-endian bytes, and then each column's value in the order of
//! the schema, without padding: `Schema::record_bytes` in all.
//!
//! # Invariants
//! - A buffer of rows holds whole rows: a record that fails half-way is cut off again.

use presence_format::{Batch, Schema};

/// Most records in one batch.
pub(crate) const BATCH_RECORDS_MAX: usize = 8192;
/// Bytes of rows after which a batch is handed out; one record may be larger.
pub(crate) const BATCH_BYTES: usize = 1 << 20;

/// How many records of `record_bytes` make a batch: at least one.
pub(crate) fn batch_records(record_bytes: usize) -> usize {
    (BATCH_BYTES / record_bytes.max(1)).clamp(1, BATCH_RECORDS_MAX)
}

/// The timestamp of a row.
#[inline]
pub(crate) fn row_time(row: &[u8]) -> i64 {
    row.first_chunk::<8>().map_or(0, |bytes| i64::from_le_bytes(*bytes))
}

/// Turns `rows` into columns; `batch` is cleared first.
pub(crate) fn to_batch(rows: &[u8], schema: &Schema, batch: &mut Batch) {
    let record_bytes = schema.record_bytes();
    batch.clear();
    batch.timestamps.extend(rows.chunks_exact(record_bytes).map(row_time));
    let mut at = 8;
    for (column, data) in schema.columns().iter().zip(&mut batch.columns) {
        let len = column.value_bytes();
        // Fixed widths compile to single moves.
        match len {
            1 => push_column::<1>(rows, record_bytes, at, data),
            2 => push_column::<2>(rows, record_bytes, at, data),
            4 => push_column::<4>(rows, record_bytes, at, data),
            8 => push_column::<8>(rows, record_bytes, at, data),
            _ => {
                for row in rows.chunks_exact(record_bytes) {
                    data.push_bytes(row.get(at..at + len).unwrap_or_default());
                }
            }
        }
        at += len;
    }
}

fn push_column<const N: usize>(
    rows: &[u8],
    record_bytes: usize,
    at: usize,
    data: &mut presence_format::ColumnData,
) {
    for row in rows.chunks_exact(record_bytes) {
        let value = row.get(at..).and_then(|rest| rest.first_chunk::<N>());
        data.push_bytes(value.unwrap_or(&[0; N]));
    }
}
