//! Rows of a table, page by page: one chunk unpacked at a time for each column of chunks.
//!
//! # Invariants
//! - At most one chunk, or [`PAGE_BYTES`] of a dataset without chunks, is in memory for each column
//!   that is read.

use super::chunks::Chunk;
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
        let spare = old.unwrap_or_default().bytes;
        let page = Reading { table: &self.table, input, group, row, spare }.page()?;
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

/// A row to be read, and what it takes.
struct Reading<'a> {
    table: &'a Table,
    input: &'a mut Input,
    /// The column of chunks.
    group: u64,
    row: u64,
    /// Memory of another page.
    spare: Vec<u8>,
}

impl Reading<'_> {
    /// The page that the row is in.
    fn page(self) -> Result<Page, Gap> {
        let table = self.table;
        match &table.layout {
            Layout::Compact(bytes) => self.compact(bytes),
            Layout::Contiguous(None) => Err(self.absent("that were never written")),
            Layout::Contiguous(Some(address)) => self.contiguous(*address),
            Layout::Chunked { rows, columns, chunks } => self.chunk(*rows, *columns, chunks),
        }
    }

    /// Bytes of a row where there are no chunks.
    fn stride(&self) -> u64 {
        self.table.columns.saturating_mul(self.table.element_bytes as u64).max(1)
    }

    /// No further row is there.
    fn absent(&self, what: &str) -> Gap {
        let place = self.input.place(self.table.address);
        let what = format!("HDF5: rows of {} {what}", self.table.path);
        let error = EventError::new(EventErrorKind::Corrupt, place, what);
        Gap { end: self.table.rows, error }
    }

    /// All rows, which the header has.
    fn compact(self, bytes: &[u8]) -> Result<Page, Gap> {
        let stride = self.stride();
        let rows = (bytes.len() as u64 / stride).min(self.table.rows);
        if self.row >= rows {
            return Err(self.absent("that are not there"));
        }
        let place = self.input.place(self.table.address);
        Ok(Page { start: 0, rows, stride: stride as usize, bytes: bytes.to_vec(), place })
    }

    /// Rows from the row on, of those that begin at `address`.
    fn contiguous(self, address: u64) -> Result<Page, Gap> {
        let stride = self.stride();
        let Self { table, input, row, spare, .. } = self;
        let gap = |error| Gap { end: table.rows, error };
        let start = address.saturating_add(row.saturating_mul(stride));
        let there = input.total().saturating_sub(input.place(start)) / stride;
        let rows = (PAGE_BYTES / stride).max(1).min(table.rows - row).min(there.max(1));
        if stride > super::table::CHUNK_BYTES_MAX {
            return Err(gap(input.unsupported(table.address, "rows that are too long")));
        }
        let bytes = input.bytes_into(start, rows * stride, spare).map_err(gap)?;
        let place = input.place(start);
        Ok(Page { start: row, rows, stride: stride as usize, bytes, place })
    }

    /// The chunk that the row is in, unpacked; chunks are of so many rows and columns.
    fn chunk(self, rows: u64, columns: u64, chunks: &[Chunk]) -> Result<Page, Gap> {
        let Self { table, input, group, row, spare } = self;
        let number = row / rows;
        let end_of = |number: u64| number.saturating_mul(rows).min(table.rows);
        let index = chunks.partition_point(|chunk| (chunk.column, chunk.row) < (group, number));
        let found = chunks.get(index).filter(|chunk| chunk.column == group);
        let Some(chunk) = found.filter(|chunk| chunk.row == number) else {
            let end = found.map_or(table.rows, |next| end_of(next.row));
            let place = input.place(table.address);
            let path = &table.path;
            let what = format!("HDF5: rows {row} to {end} of {path} that were never written");
            return Err(Gap { end, error: EventError::new(EventErrorKind::Corrupt, place, what) });
        };
        let end = end_of(number + 1);
        let place = input.place(chunk.address);
        let stride = columns as usize * table.element_bytes;
        // The last chunk may hold only what is needed of it.
        let needed = (end - number * rows) as usize * stride;
        let whole = rows as usize * stride;
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
                let error = EventError::new(EventErrorKind::Corrupt, place, what);
                return Err(Gap { end, error });
            }
        };
        Ok(Page { start: number * rows, rows: end - number * rows, stride, bytes, place })
    }
}
