//! Leaving out events of a batch in place, 64 at a time.
//!
//! # Invariants
//! - A block of which all are kept is moved as a whole, or not at all; one of which none is kept
//!   costs nothing. Time ranges and regions mostly meet such blocks.

use std::cell::Cell;

use crate::batch::{ColumnsMut, EventBatch};

/// Events of a block.
pub(super) const BLOCK: usize = 64;

/// Columns of up to [`BLOCK`] events.
pub(super) struct Block<'a> {
    pub(super) t: &'a [i64],
    pub(super) x: &'a [u16],
    pub(super) y: &'a [u16],
    pub(super) p: &'a [u8],
}

/// Keeps the events whose mark `judge` sets to 1; it is given marks of 0.
pub(super) fn compact(events: &mut EventBatch, mut judge: impl FnMut(&Block<'_>, &mut [u8])) {
    let len = events.len();
    let mut columns = events.columns_mut(0);
    let (mut read, mut written) = (0, 0);
    while read < len {
        let end = (read + BLOCK).min(len);
        let mut all_marks = [0_u8; BLOCK];
        let Some(marks) = all_marks.get_mut(..end - read) else { break };
        let range = read..end;
        let (Some(t), Some(x), Some(y), Some(p)) = (
            columns.t.get(range.clone()),
            columns.x.get(range.clone()),
            columns.y.get(range.clone()),
            columns.p.get(range.clone()),
        ) else {
            break;
        };
        judge(&Block { t, x, y, p }, marks);
        let kept = ones(&all_marks);
        if kept == range.len() {
            if written < read {
                columns.t.copy_within(range.clone(), written);
                columns.x.copy_within(range.clone(), written);
                columns.y.copy_within(range.clone(), written);
                columns.p.copy_within(range, written);
            }
        } else if kept > 0 {
            let mut all_places = [0; BLOCK + LANES];
            find_places(&all_marks, &mut all_places);
            let places = all_places.get(..kept.next_multiple_of(LANES)).unwrap_or_default();
            if gather(&mut columns, read, written, places).is_none() {
                let marks = all_marks.as_slice();
                gather_end(columns.t, read, written, marks);
                gather_end(columns.x, read, written, marks);
                gather_end(columns.y, read, written, marks);
                gather_end(columns.p, read, written, marks);
            }
        }
        written += kept;
        read = end;
    }
    events.truncate(written);
}

/// For each byte the places of its bits, in order, as bytes of a number.
static PLACES: [u64; 256] = bit_places();
const LANES: usize = 8;
/// A byte 1 in each lane.
const EACH: u64 = 0x0101_0101_0101_0101;

const fn bit_places() -> [u64; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let (mut bit, mut n) = (0, 0);
        while bit < LANES {
            if byte >> bit & 1 == 1 {
                #[expect(clippy::indexing_slicing, reason = "evaluated by the compiler")]
                {
                    table[byte] |= (bit as u64) << (8 * n);
                }
                n += 1;
            }
            bit += 1;
        }
        byte += 1;
    }
    table
}

/// Where the marks that are 1 stand, eight at a time and without a branch on them.
#[inline]
fn find_places(marks: &[u8; BLOCK], places: &mut [u8; BLOCK + LANES]) {
    let (mut n, mut first) = (0, 0);
    let (groups, _) = marks.as_chunks();
    for eight in groups {
        // The lowest bits of eight bytes, gathered in the highest byte of a product.
        let eight = u64::from_le_bytes(*eight);
        let byte = (eight.wrapping_mul(0x0102_0408_1020_4080) >> 56) as usize;
        let into = places.get_mut(n..).and_then(<[_]>::first_chunk_mut);
        if let (Some(into), Some(found)) = (into, PLACES.get(byte)) {
            *into = (found + first).to_le_bytes();
        }
        n += (eight.wrapping_mul(EACH) >> 56) as usize;
        first += EACH * LANES as u64;
    }
}

/// How many marks are 1.
#[inline]
fn ones(marks: &[u8; BLOCK]) -> usize {
    let (groups, _) = marks.as_chunks();
    let lanes: u64 = groups.iter().map(|eight| u64::from_le_bytes(*eight)).sum();
    (lanes.wrapping_mul(EACH) >> 56) as usize
}

/// Moves the events at `places` behind `read` to `written` and on; `None` where there is no whole
/// block. Nothing is overwritten before it is read, since events only move to the front; what is
/// written behind the last of them is written again, or cut off.
fn gather(columns: &mut ColumnsMut<'_>, read: usize, written: usize, places: &[u8]) -> Option<()> {
    gather_two(columns.t, columns.x, read, written, places)?;
    gather_two(columns.y, columns.p, read, written, places)
}

/// Two columns at a time: as many as keep all their ends in registers.
fn gather_two<T: Copy, U: Copy>(
    first: &mut [T],
    second: &mut [U],
    read: usize,
    written: usize,
    places: &[u8],
) -> Option<()> {
    let (from_first, into_first) = blocks(first, read, written)?;
    let (from_second, into_second) = blocks(second, read, written)?;
    for (place, (first, second)) in places.iter().zip(into_first.iter().zip(into_second)) {
        let place = usize::from(*place) & (BLOCK - 1);
        first.set(from_first.get(place)?.get());
        second.set(from_second.get(place)?.get());
    }
    Some(())
}

type Cells<T> = [Cell<T>; BLOCK];

/// Two blocks of a column, which may overlap.
fn blocks<T>(column: &mut [T], read: usize, written: usize) -> Option<(&Cells<T>, &Cells<T>)> {
    let cells = Cell::from_mut(column).as_slice_of_cells();
    Some((cells.get(read..)?.first_chunk()?, cells.get(written..)?.first_chunk()?))
}

/// The same of one column, for the block at the end.
fn gather_end<T: Copy>(column: &mut [T], read: usize, written: usize, marks: &[u8]) {
    let kept = (read..).zip(marks).filter(|(_, mark)| **mark == 1);
    for (into, (from, _)) in (written..).zip(kept) {
        if from < column.len() {
            column.copy_within(from..=from, into);
        }
    }
}
