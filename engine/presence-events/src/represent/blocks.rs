//! Events cut where their bin of time changes, with their pixels as places in a table.
//!
//! Places are worked out for a block before the table is touched: what then goes through the table
//! is so short that a core waits for many of its lines at once.
//!
//! # Invariants
//! - Every event of a bin is handed out once, in order; `find` is asked only where a time is not in
//!   the span of the bin before.

use super::Span;
use crate::batch::{EventBatch, SensorSize};

/// Events of a block, at most.
const BLOCK: usize = 256;

/// Columns of events of one bin.
pub(super) struct Block<'a> {
    pub(super) t: &'a [i64],
    /// As [`SensorSize::places`] has them.
    pub(super) places: &'a [u32],
    pub(super) p: &'a [u8],
}

/// Hands out events in blocks of one bin. `find` says which bin a time falls into, if any, and from
/// when to when that is so.
#[inline]
pub(super) fn blocks<B: Copy>(
    events: &EventBatch,
    size: SensorSize,
    find: impl Fn(i64) -> (Option<B>, Span),
    mut each: impl FnMut(B, &Block<'_>),
) {
    let (mut found, mut span) = (None, Span { first: 1, last: 0 });
    let mut places = [0; BLOCK];
    let mut from = 0;
    while let Some(rest) = events.t().get(from..)
        && let Some(&t) = rest.first()
    {
        if !span.contains(t) {
            (found, span) = find(t);
        }
        let same = rest.iter().take(BLOCK).take_while(|t| span.contains(**t));
        let range = from..from + same.count().max(1);
        from = range.end;
        let (Some(bin), Some(t), Some(x), Some(y), Some(p), Some(places)) = (
            found,
            events.t().get(range.clone()),
            events.x().get(range.clone()),
            events.y().get(range.clone()),
            events.polarity().get(range.clone()),
            places.get_mut(..range.len()),
        ) else {
            continue;
        };
        size.places(size.width.into(), x, y, places);
        each(bin, &Block { t, places, p });
    }
}
