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
        let mut marks = [0_u8; BLOCK];
        let Some(marks) = marks.get_mut(..end - read) else { break };
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
            let places = places(marks);
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

/// Where the marks that are 1 stand, without a branch on them.
fn places(marks: &[u8]) -> [u8; BLOCK] {
    let mut places = [0; BLOCK];
    let mut n = 0;
    for (place, mark) in marks.iter().enumerate() {
        if let Some(at) = places.get_mut(n & (BLOCK - 1)) {
            *at = place as u8;
        }
        n += usize::from(*mark);
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
