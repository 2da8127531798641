//! Mixed density stack: how the polarities of a pixel sum up, over ever shorter times before the
//! end.
//!
//! Rule: level `i` of the stack covers the last `1 / 2^i` of the span: events with `(last - t) *
//! 2^i <= last - first`. It holds the sum of the polarities (-1 or 1) and the number of events.
//! With one level it is the reference's.
//!
//! # Invariants
//! - Level 0 is the whole span; each level is part of the one before.

use super::Span;
use super::counts::Counts;
use crate::batch::{EventBatch, SensorSize};

/// Sums and numbers, `[level, y, x]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MixedDensity {
    size: SensorSize,
    span: Span,
    levels: usize,
    /// Events of this level and of no shorter one.
    counts: Counts,
}

impl MixedDensity {
    /// A stack of zeros of 1 to 62 levels; other numbers are taken for the nearest.
    #[must_use]
    pub fn new(size: SensorSize, span: Span, levels: usize) -> Self {
        let levels = levels.clamp(1, 62);
        Self { size, span, levels, counts: Counts::new(size, levels) }
    }

    /// Adds the events of a batch.
    pub fn add(&mut self, events: &EventBatch) {
        let (span, levels) = (self.span, self.levels);
        self.counts.add(events, |t| match span.since(t) {
            Some(since) => level(span, levels, span.us() - since),
            None => (None, Span { first: t, last: t }),
        });
    }

    /// `[levels, height, width]`.
    #[must_use]
    pub fn shape(&self) -> [usize; 3] {
        [self.levels, usize::from(self.size.height), usize::from(self.size.width)]
    }

    /// The sums of polarities of all levels.
    #[must_use]
    pub fn polarity_sums(&self) -> Vec<i32> {
        let sum = |off: u32, on: u32| i64::from(on) - i64::from(off);
        self.stack(|off, on| i32::try_from(sum(off, on)).unwrap_or(i32::MAX), i32::saturating_add)
    }

    /// The numbers of events of all levels.
    #[must_use]
    pub fn counts(&self) -> Vec<u32> {
        self.stack(u32::saturating_add, u32::saturating_add)
    }

    /// One value of the counts of both polarities, each level with all shorter ones in it.
    fn stack<T: Copy>(&self, join: impl Fn(u32, u32) -> T, add: impl Fn(T, T) -> T) -> Vec<T> {
        let (values, pixels) = (self.counts.values(), self.size.pixels());
        let mut all = Vec::with_capacity(values.len() / 2);
        for level in values.chunks_exact(2 * pixels.max(1)) {
            let (off, on) = level.split_at(pixels);
            all.extend(off.iter().zip(on).map(|(off, on)| join(*off, *on)));
        }
        for index in (0..all.len().saturating_sub(pixels)).rev() {
            let shorter = all.get(index + pixels).copied();
            if let (Some(value), Some(shorter)) = (all.get_mut(index), shorter) {
                *value = add(*value, shorter);
            }
        }
        all
    }
}

/// The shortest level of an event `before_end` microseconds before the end: the largest `i` with
/// `before_end * 2^i <= us`; and from when to when that is so.
fn level(span: Span, levels: usize, before_end: i64) -> (Option<usize>, Span) {
    let us = span.us();
    let halvings = us.checked_div(before_end).map_or(u32::MAX, i64::ilog2) as usize;
    let level = halvings.min(levels - 1);
    let shorter = if level + 1 == levels { -1 } else { us >> (level + 1) };
    (Some(level), Span { first: span.last - (us >> level), last: span.last - shorter - 1 })
}
