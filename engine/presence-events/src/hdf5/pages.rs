//! Rows of a table, page by page: one chunk unpacked at a time for each column of chunks.
//!
//! # Invariants
//! - At most one chunk, or [`PAGE_BYTES`] of a dataset without chunks, is in memory for each column
//!   that is read.

use super::filter::{self, Fault};
use super::input::Input;
use super::table::{Layout, Table};
use crate::error::{EventError, EventErrorKind, Result};

/// Of datasets that are not in chunks.
const PAGE_BYTES: u64 = 1 << 20;

/// Rows in memory.
#[derive(Debug, Default)]
struct Page {
    start: u64,
    rows: u64,
    /// Bytes of a row.
    stride: usize,
    bytes: Vec<u8>,
    /// The byte of the file where it lies.
    place: u64,
}

/// A table and its pages, one for each column of chunks that is read.
#[derive(Debug)]
pub(super) struct Pages {
    pub(super) table: Table,
    pages: Vec<(u64, Page)>,
}

/// Rows that can be read from a row on: bytes of the first one, and where the next begins.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rows<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) stride: usize,
    pub(super) rows: u64,
    pub(super) place: u64,
}

/// Rows that cannot be read, and why; reading may go on at `end`.
#[derive(Debug)]
pub(super) struct Gap {
    pub(super) end: u64,
    pub(super) error: EventError,
}

impl Pages {
    pub(super) fn new(table: Table) -> Self {
        Self { table, pages: Vec::new() }
    }

    /// Takes care that the row of a column is in memory.
    pub(super) fn load(&mut self, input: &mut Input, column: u64, row: u64) -> Result<(), Gap> {
        let group = self.group(column);
        let held = self.pages.iter().position(|(number, _)| *number == group);
        if let Some((_, page)) = held.and_then(|at| self.pages.get(at))
            && page.start <= row
            && row - page.start < page.rows
        {
            return Ok(());
        }
        // An error leaves a page without rows.
        let old = held.and_then(|at| self.pages.get_mut(at)).map(|(_, old)| std::mem::take(old));
        let page = page(&self.table, input, group, row, old.unwrap_or_default().bytes)?;
        match held.and_then(|at| self.pages.get_mut(at)) {
            Some((_, old)) => *old = page,
            None => self.pages.push((group, page)),
        }
        Ok(())
    }

    /// The rows of a column from one on, which has been loaded.
    pub(super) fn rows(&self, column: u64, row: u64) -> Option<Rows<'_>> {
        let group = self.group(column);
        let (_, page) = self.pages.iter().find(|(number, _)| *number == group)?;
        let skipped = row.checked_sub(page.start)?;
        let first = self.first_column(group);
        let before = usize::try_from(column - first).ok()? * self.table.element_bytes;
        let start = usize::try_from(skipped).ok()?.checked_mul(page.stride)?;
        Some(Rows {
            bytes: page.bytes.get(start.checked_add(before)?..)?,
            stride: page.stride,
            rows: page.rows.checked_sub(skipped)?,
            place: page.place,
        })
    }

    /// The column of chunks that a column is in.
    fn group(&self, column: u64) -> u64 {
        match self.table.layout {
            Layout::Chunked { columns, .. } => column / columns.max(1),
            _ => 0,
        }
    }

    fn first_column(&self, group: u64) -> u64 {
        match self.table.layout {
            Layout::Chunked { columns, .. } => group * columns,
            _ => 0,
        }
    }
}

/// The page that a row is in; `spare` is memory of another.
fn page(
    table: &Table,
    input: &mut Input,
    group: u64,
    row: u64,
    spare: Vec<u8>,
) -> Result<Page, Gap> {
    let stride = table.columns.saturating_mul(table.element_bytes as u64).max(1);
    let gap = |end: u64, error: EventError| Gap { end, error };
    let absent = |kind, place, what: &str| {
        EventError::new(kind, place, format!("HDF5: rows of {} {what}", table.path))
    };
    match &table.layout {
        Layout::Compact(bytes) => {
            let rows = (bytes.len() as u64 / stride).min(table.rows);
            let place = input.place(table.address);
            if row >= rows {
                let error = absent(EventErrorKind::Corrupt, place, "that are not there");
                return Err(gap(table.rows, error));
            }
            let bytes = bytes.clone();
            Ok(Page { start: 0, rows, stride: stride as usize, bytes, place })
        }
        Layout::Contiguous(None) => {
            let place = input.place(table.address);
            let error = absent(EventErrorKind::Corrupt, place, "that were never written");
            Err(gap(table.rows, error))
        }
        Layout::Contiguous(Some(address)) => {
            let start = address.saturating_add(row.saturating_mul(stride));
            let there = input.total().saturating_sub(input.place(start)) / stride;
            let rows = (PAGE_BYTES / stride).max(1).min(table.rows - row).min(there.max(1));
            if stride > super::table::CHUNK_BYTES_MAX {
                let error = input.unsupported(table.address, "rows that are too long");
                return Err(gap(table.rows, error));
            }
            let bytes = input.bytes_into(start, rows * stride, spare);
            let bytes = bytes.map_err(|error| gap(table.rows, error))?;
            let place = input.place(start);
            Ok(Page { start: row, rows, stride: stride as usize, bytes, place })
        }
        Layout::Chunked { .. } => chunk(table, input, group, row, spare),
    }
}

/// The chunk that a row is in, unpacked; `spare` is memory of another page.
fn chunk(
    table: &Table,
    input: &mut Input,
    group: u64,
    row: u64,
    spare: Vec<u8>,
) -> Result<Page, Gap> {
    let Layout::Chunked { rows, columns, chunks } = &table.layout else {
        return Err(Gap { end: table.rows, error: input.corrupt(table.address, "no chunks") });
    };
    let number = row / rows;
    let end_of = |number: u64| number.saturating_mul(*rows).min(table.rows);
    let index = chunks.partition_point(|chunk| (chunk.column, chunk.row) < (group, number));
    let found = chunks.get(index).filter(|chunk| chunk.column == group);
    let Some(chunk) = found.filter(|chunk| chunk.row == number) else {
        let end = found.map_or(table.rows, |next| end_of(next.row));
        let place = input.place(table.address);
        let what = format!("HDF5: rows {row} to {end} of {} that were never written", table.path);
        return Err(Gap { end, error: EventError::new(EventErrorKind::Corrupt, place, what) });
    };
    let end = end_of(number + 1);
    let place = input.place(chunk.address);
    let stride = *columns as usize * table.element_bytes;
    // The last chunk may hold only what is needed of it.
    let needed = (end - number * rows) as usize * stride;
    let whole = *rows as usize * stride;
    let packed = input.bytes_into(chunk.address, chunk.bytes, spare);
    let packed = packed.map_err(|error| Gap { end, error })?;
    let bytes = match filter::undo(&table.filters, chunk.mask, packed, whole, needed) {
        Ok(bytes) => bytes,
        Err(Fault::Unknown(what)) => {
            let what = format!("HDF5: {} is packed by {what}", table.path);
            let error = EventError::new(EventErrorKind::Unsupported, place, what);
            return Err(Gap { end: table.rows, error });
        }
        Err(Fault::Corrupt(what)) => {
            let what = format!("HDF5: {} has {what}", table.path);
            return Err(Gap { end, error: EventError::new(EventErrorKind::Corrupt, place, what) });
        }
    };
    Ok(Page { start: number * rows, rows: end - number * rows, stride, bytes, place })
}
