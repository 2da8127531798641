//! Batches cut into slices of a fixed duration or of a fixed number of events.
//!
//! # Invariants
//! - Every event is in one slice; slices follow each other, and their numbers never fall: an event
//!   from before the open slice stays in it.
//! - Where batches end changes nothing.

use std::ops::Range;

use crate::batch::EventBatch;
use crate::error::{EventError, Result};

/// How a stream is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SliceBy {
    /// So many events each; the last slice may have fewer.
    Count(u64),
    /// So many microseconds each.
    Micros {
        /// When slice 0 begins; `None` is the time of the first event. Events before it are in
        /// slice 0.
        origin: Option<i64>,
        /// How long a slice is.
        step: u64,
    },
}

/// Events of a batch that lie in one slice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlicePart {
    /// Which slice, from 0. Slices of time without events have no part.
    pub slice: u64,
    /// When the slice begins: of slices by count, the time of its first event.
    pub from: i64,
    /// The events in the batch.
    pub range: Range<usize>,
}

/// Cuts batches, one behind the other.
///
/// ```
/// use presence_events::{Event, EventBatch, SliceBy, Slicer};
///
/// let event = |t| Event { t, x: 0, y: 0, polarity: 1 };
/// let events: EventBatch = [0, 4, 9, 10, 31].map(event).into_iter().collect();
/// let mut slicer = Slicer::new(SliceBy::Micros { origin: None, step: 10 })?;
/// let parts = slicer.cut(&events);
/// assert_eq!(parts.iter().map(|part| part.slice).collect::<Vec<_>>(), [0, 1, 3]);
/// assert_eq!(parts[0].range, 0..3);
/// # Ok::<(), presence_events::EventError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Slicer {
    by: SliceBy,
    /// The open slice: its number, when it begins, how many events it has.
    open: Option<(u64, i64, u64)>,
}

impl Slicer {
    /// A slicer that has seen nothing.
    ///
    /// # Errors
    /// `Invalid` for slices of nothing.
    pub fn new(by: SliceBy) -> Result<Self> {
        match by {
            SliceBy::Count(0) | SliceBy::Micros { step: 0, .. } => {
                Err(EventError::invalid("a slice has at least one event or one microsecond"))
            }
            _ => Ok(Self { by, open: None }),
        }
    }

    /// Cuts the next batch: its parts, in order, all of its events.
    pub fn cut(&mut self, events: &EventBatch) -> Vec<SlicePart> {
        let times = events.t();
        let mut parts = Vec::new();
        let mut at = 0;
        while let Some(rest @ [first, ..]) = times.get(at..) {
            let (slice, from, held) = self.slice_of(*first);
            let taken = match self.by {
                SliceBy::Count(count) => {
                    let room = usize::try_from(count - held).unwrap_or(usize::MAX);
                    rest.len().min(room)
                }
                SliceBy::Micros { step, .. } => {
                    let is_later = |t: &i64| t.checked_sub(from).is_none_or(|t| t >= 0);
                    let is_after = |t: &i64| is_later(t) && t.abs_diff(from) >= step;
                    rest.iter().position(is_after).unwrap_or(rest.len())
                }
            };
            self.open = Some((slice, from, held + taken as u64));
            parts.push(SlicePart { slice, from, range: at..at + taken });
            at += taken;
        }
        parts
    }

    /// The slice that takes an event at `t`: the open one, or one behind it.
    fn slice_of(&self, t: i64) -> (u64, i64, u64) {
        match (self.by, self.open) {
            (SliceBy::Count(_), None) => (0, t, 0),
            (SliceBy::Count(count), Some((slice, _, held))) if held == count => (slice + 1, t, 0),
            (SliceBy::Count(_), Some(open)) => open,
            (SliceBy::Micros { origin, step }, open) => {
                let (slice, from, held) = open.unwrap_or((0, origin.unwrap_or(t), 0));
                let steps = if t < from { 0 } else { t.abs_diff(from) / step };
                if steps == 0 {
                    return (slice, from, held);
                }
                (slice + steps, from.saturating_add_unsigned(steps * step), 0)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::Event;

    fn batch(times: &[i64]) -> EventBatch {
        times.iter().map(|&t| Event { t, x: 0, y: 0, polarity: 0 }).collect()
    }

    fn cut(by: SliceBy, times: &[i64], piece: usize) -> Vec<(u64, i64, i64)> {
        let mut slicer = Slicer::new(by).unwrap();
        let mut all = Vec::new();
        for times in times.chunks(piece) {
            let events = batch(times);
            let parts = slicer.cut(&events);
            assert!(parts.iter().flat_map(|part| part.range.clone()).eq(0..times.len()));
            for part in parts {
                let times = events.t().get(part.range).unwrap();
                all.extend(times.iter().map(|&t| (part.slice, part.from, t)));
            }
        }
        all
    }

    #[test]
    fn where_batches_end_changes_nothing() {
        let times: Vec<i64> = (0..500).map(|i| i * i / 7 - 40 + (i % 5) * 3).collect();
        for by in [
            SliceBy::Count(1),
            SliceBy::Count(7),
            SliceBy::Count(1000),
            SliceBy::Micros { origin: None, step: 100 },
            SliceBy::Micros { origin: Some(-1_000), step: 333 },
            SliceBy::Micros { origin: Some(50), step: 1 },
        ] {
            let whole = cut(by, &times, times.len());
            assert!(whole.is_sorted_by_key(|(slice, ..)| *slice), "{by:?}");
            for piece in [1, 2, 13, 499] {
                assert_eq!(cut(by, &times, piece), whole, "{by:?} in {piece}");
            }
            for (place, (slice, from, t)) in whole.iter().enumerate() {
                match by {
                    SliceBy::Count(count) => assert_eq!(*slice, place as u64 / count),
                    SliceBy::Micros { step, .. } => assert!(*t < from + step as i64),
                }
            }
        }
    }

    #[test]
    fn time_slices_are_steps_from_the_origin_and_late_events_stay() {
        let by = SliceBy::Micros { origin: Some(0), step: 10 };
        let got = cut(by, &[-5, 9, 10, 3, 45, 39, 50], 3);
        let want = [(0, 0), (0, 0), (1, 10), (1, 10), (4, 40), (4, 40), (5, 50)];
        assert_eq!(got.iter().map(|(slice, from, _)| (*slice, *from)).collect::<Vec<_>>(), want);
        // The ends of the clock.
        let by = SliceBy::Micros { origin: Some(i64::MIN), step: u64::MAX };
        assert_eq!(cut(by, &[i64::MIN, 0, i64::MAX], 3).last().unwrap().0, 1);
        assert!(Slicer::new(SliceBy::Count(0)).is_err());
        assert!(Slicer::new(SliceBy::Micros { origin: None, step: 0 }).is_err());
    }
}
