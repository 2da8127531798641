//! Leaving out events of a batch in place, 64 at a time.
//!
//! # Invariants
//! - A block of which all are kept is moved as a whole, or not at all; one of which none is kept
//!   costs nothing. Time ranges and regions mostly meet such blocks.

use crate::batch::EventBatch;

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
    let columns = events.columns_mut(0);
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
        let kept: usize = marks.iter().map(|mark| usize::from(*mark)).sum();
        if kept == range.len() {
            if written < read {
                columns.t.copy_within(range.clone(), written);
                columns.x.copy_within(range.clone(), written);
                columns.y.copy_within(range.clone(), written);
                columns.p.copy_within(range, written);
            }
        } else if kept > 0 {
            let places = places(&all_marks);
            let places = places.get(..kept).unwrap_or_default();
            gather(columns.t, range.clone(), written, places);
            gather(columns.x, range.clone(), written, places);
            gather(columns.y, range.clone(), written, places);
            gather(columns.p, range, written, places);
        }
        written += kept;
        read = end;
    }
    events.truncate(written);
}

/// For each byte the places of its bits, in order.
static PLACES: [[u8; LANES]; 256] = bit_places();
const LANES: usize = 8;

const fn bit_places() -> [[u8; LANES]; 256] {
    let mut table = [[0; LANES]; 256];
    let mut byte = 0;
    while byte < 256 {
        let (mut bit, mut n) = (0, 0);
        while bit < LANES {
            if byte >> bit & 1 == 1 {
                #[expect(clippy::indexing_slicing, reason = "evaluated by the compiler")]
                {
                    table[byte][n] = bit as u8;
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
fn places(marks: &[u8; BLOCK]) -> [u8; BLOCK + LANES] {
    let mut places = [0; BLOCK + LANES];
    let mut n = 0;
    for (group, eight) in marks.chunks_exact(LANES).enumerate() {
        // The lowest bits of eight bytes, gathered in the highest byte of a product.
        let eight: u64 = eight.try_into().map_or(0, u64::from_le_bytes);
        let byte = (eight.wrapping_mul(0x0102_0408_1020_4080) >> 56) as usize;
        let into = places.get_mut(n..n + LANES);
        if let (Some(into), Some(found)) = (into, PLACES.get(byte)) {
            for (place, found) in into.iter_mut().zip(found) {
                *place = found + (group * LANES) as u8;
            }
        }
        n += byte.count_ones() as usize;
    }
    places
}

fn gather<T: Copy + Default>(
    column: &mut [T],
    range: std::ops::Range<usize>,
    written: usize,
    places: &[u8],
) {
    let mut block = [T::default(); BLOCK];
    for (into, from) in block.iter_mut().zip(column.get(range).unwrap_or_default()) {
        *into = *from;
    }
    let into = column.get_mut(written..written + places.len()).unwrap_or_default();
    for (into, place) in into.iter_mut().zip(places) {
        if let Some(value) = block.get(usize::from(*place) & (BLOCK - 1)) {
            *into = *value;
        }
    }
}
