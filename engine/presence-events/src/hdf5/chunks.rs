//! The indexes of chunks, old and new, as one sorted list.
//!
//! # Invariants
//! - The list is sorted by column and row, no chunk is in it twice, and all chunks together are not
//!   larger than the file.

use super::input::{Fields, Input};
use super::{arrays, tree2};
use crate::error::Result;

const TREE_DEPTH_MAX: u8 = 32;
const SINGLE: u8 = 1;
const IMPLICIT: u8 = 2;
const FIXED_ARRAY: u8 = 3;
const EXTENSIBLE_ARRAY: u8 = 4;
const TREE: u8 = 5;

/// A chunk, as it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Chunk {
    /// The number of its column and of its row in the grid of chunks.
    pub(super) column: u64,
    pub(super) row: u64,
    pub(super) address: u64,
    pub(super) bytes: u64,
    /// A bit for each filter that was not used.
    pub(super) mask: u32,
}

/// The form of chunks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Form {
    /// Of the dataset's header.
    pub(super) address: u64,
    pub(super) rank: usize,
    pub(super) rows: u64,
    pub(super) columns: u64,
    pub(super) grid_rows: u64,
    pub(super) grid_columns: u64,
    /// Of a chunk that is not packed.
    pub(super) bytes: u64,
    pub(super) is_filtered: bool,
}

impl Form {
    /// Column and row of the chunk with a number.
    fn place(&self, number: u64) -> (u64, u64) {
        let columns = self.grid_columns.max(1);
        (number % columns, number / columns)
    }
}

/// The list in order, checked.
pub(super) fn settled(input: &Input, form: &Form, mut chunks: Vec<Chunk>) -> Result<Vec<Chunk>> {
    chunks.retain(|chunk| chunk.row < form.grid_rows && chunk.column < form.grid_columns);
    chunks.sort_by_key(|chunk| (chunk.column, chunk.row));
    let places = |pair: &[Chunk]| match pair {
        [a, b] => (a.column, a.row) == (b.column, b.row),
        _ => false,
    };
    if chunks.windows(2).any(places) {
        return Err(input.corrupt(form.address, "an index that lists a chunk twice"));
    }
    let total = chunks.iter().fold(0_u64, |sum, chunk| sum.saturating_add(chunk.bytes));
    if total > input.total() {
        return Err(input.corrupt(form.address, "chunks that are together larger than the file"));
    }
    Ok(chunks)
}

/// The tree of version 1.
pub(super) fn tree(input: &mut Input, form: &Form, data: &[u8]) -> Result<Vec<Chunk>> {
    let mut chunks = Vec::new();
    let Some(Some(root)) = input.fields(data).address() else { return Ok(chunks) };
    let address_bytes = input.address_bytes as u64;
    let mut open = vec![(root, None)];
    while let Some((at, level)) = open.pop() {
        let head_bytes = 8 + 2 * address_bytes;
        let head = input.structure(at, head_bytes)?;
        let &[b'T', b'R', b'E', b'E', 1, this, low, high, ..] = head.as_slice() else {
            return Err(input.corrupt(at, "no index of chunks where one should be"));
        };
        if level.is_some_and(|level| this != level) || this > TREE_DEPTH_MAX {
            return Err(input.corrupt(at, "an index of chunks with levels out of order"));
        }
        let count = u64::from(u16::from_le_bytes([low, high]));
        let entry = 8 + 8 * (form.rank as u64 + 1) + address_bytes;
        let entries = input.structure(at.saturating_add(head_bytes), count * entry)?;
        let mut fields = input.fields(&entries);
        while let Some((chunk, child)) = entry_of(&mut fields, form) {
            match this {
                0 => chunks.push(Chunk { address: child, ..chunk }),
                _ => open.push((child, Some(this - 1))),
            }
        }
    }
    Ok(chunks)
}

/// A key and the address behind it.
fn entry_of(fields: &mut Fields<'_>, form: &Form) -> Option<(Chunk, u64)> {
    let (bytes, mask) = (u64::from(fields.u32()?), fields.u32()?);
    let row = fields.uint(8)? / form.rows;
    let column = if form.rank == 2 { fields.uint(8)? / form.columns } else { 0 };
    fields.skip(8)?;
    let child = fields.address()??;
    Some((Chunk { column, row, address: 0, bytes, mask }, child))
}

/// The indexes that came with version 4 of the layout.
pub(super) fn indexed(
    input: &mut Input,
    form: &Form,
    kind: u8,
    flags: u8,
    data: &[u8],
) -> Result<Vec<Chunk>> {
    let mut fields = input.fields(data);
    let mut filtered_single = None;
    if kind == SINGLE && flags & 2 != 0 {
        filtered_single = fields.length().zip(fields.u32());
    }
    let parameters = match kind {
        SINGLE | IMPLICIT => 0,
        FIXED_ARRAY => 1,
        EXTENSIBLE_ARRAY => 5,
        TREE => 6,
        _ => {
            let what = format!("an index of chunks of the unknown kind {kind}");
            return Err(input.unsupported(form.address, &what));
        }
    };
    fields.skip(parameters);
    let Some(address) = fields.address() else {
        return Err(input.corrupt(form.address, "an index of chunks that is cut"));
    };
    let Some(address) = address else { return Ok(Vec::new()) };
    let plain = |number: u64, address: u64| {
        let (column, row) = form.place(number);
        Chunk { column, row, address, bytes: form.bytes, mask: 0 }
    };
    match kind {
        SINGLE => {
            let (bytes, mask) = filtered_single.unwrap_or((form.bytes, 0));
            Ok(vec![Chunk { column: 0, row: 0, address, bytes, mask }])
        }
        IMPLICIT => {
            let most = input.total() / form.bytes + 1;
            let count = form.grid_rows.saturating_mul(form.grid_columns).min(most);
            Ok((0..count).map(|n| plain(n, address.saturating_add(n * form.bytes))).collect())
        }
        TREE => by_tree(input, form, address),
        _ => {
            let elements = match kind {
                FIXED_ARRAY => arrays::fixed(input, address)?,
                _ => arrays::extensible(input, address)?,
            };
            let mut chunks = Vec::new();
            for (number, element) in elements {
                let mut fields = input.fields(&element);
                let Some(Some(address)) = fields.address() else { continue };
                let chunk = plain(number, address);
                chunks.push(match form.is_filtered {
                    true => packed(&mut fields, element.len() - input.address_bytes, chunk),
                    false => chunk,
                });
            }
            Ok(chunks)
        }
    }
}

/// The size and the mask behind an address, together of so many bytes.
fn packed(fields: &mut Fields<'_>, bytes: usize, chunk: Chunk) -> Chunk {
    let size = fields.uint(bytes.saturating_sub(4)).unwrap_or(u64::MAX);
    Chunk { bytes: size, mask: fields.u32().unwrap_or(0), ..chunk }
}

fn by_tree(input: &mut Input, form: &Form, address: u64) -> Result<Vec<Chunk>> {
    let mut chunks = Vec::new();
    for record in tree2::records(input, address)? {
        let mut fields = input.fields(&record);
        let Some(Some(address)) = fields.address() else { continue };
        let mut chunk = Chunk { column: 0, row: 0, address, bytes: form.bytes, mask: 0 };
        if form.is_filtered {
            let places = 8 * form.rank;
            let bytes = record.len().saturating_sub(input.address_bytes + places);
            chunk = packed(&mut fields, bytes, chunk);
        }
        let row = fields.uint(8);
        let column = if form.rank == 2 { fields.uint(8) } else { Some(0) };
        if let (Some(row), Some(column)) = (row, column) {
            chunks.push(Chunk { row, column, ..chunk });
        }
    }
    Ok(chunks)
}
