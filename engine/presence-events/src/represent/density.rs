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
use crate::batch::{EventBatch, SensorSize};

/// Sums and numbers, `[level, y, x]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MixedDensity {
    size: SensorSize,
    span: Span,
    levels: usize,
    /// Events of this level and of no shorter one.
    sums: Vec<i32>,
    counts: Vec<u32>,
}

impl MixedDensity {
    /// A stack of zeros of 1 to 62 levels; other numbers are taken for the nearest.
    #[must_use]
    pub fn new(size: SensorSize, span: Span, levels: usize) -> Self {
        let levels = levels.clamp(1, 62);
        let values = levels * size.pixels();
        Self { size, span, levels, sums: vec![0; values], counts: vec![0; values] }
    }

    /// Adds the events of a batch.
    pub fn add(&mut self, events: &EventBatch) {
        let (size, pixels) = (self.size, self.size.pixels());
        let us = self.span.us();
        let (mut level, mut longest, mut shorter) = (0, -1, 0);
        for event in events.iter() {
            let Some(since) = self.span.since(event.t) else { continue };
            if event.x >= size.width || event.y >= size.height {
                continue;
            }
            // The shortest level: the largest i with before_end * 2^i <= us. It is looked for only
            // where it is another than the one before.
            let before_end = us - since;
            if before_end > longest || before_end <= shorter {
                let halvings = us.checked_div(before_end).map_or(u32::MAX, i64::ilog2) as usize;
                level = halvings.min(self.levels - 1);
                longest = us >> level;
                shorter = if level + 1 == self.levels { -1 } else { us >> (level + 1) };
            }
            let index = level * pixels + size.index(event.x, event.y);
            if let (Some(sum), Some(count)) = (self.sums.get_mut(index), self.counts.get_mut(index))
            {
                *sum = sum.saturating_add(i32::from(event.polarity) * 2 - 1);
                *count = count.saturating_add(1);
            }
        }
    }

    /// `[levels, height, width]`.
    #[must_use]
    pub fn shape(&self) -> [usize; 3] {
        [self.levels, usize::from(self.size.height), usize::from(self.size.width)]
    }

    /// The sums of polarities of all levels.
    #[must_use]
    pub fn polarity_sums(&self) -> Vec<i32> {
        cumulated(&self.sums, self.size.pixels(), i32::saturating_add)
    }

    /// The numbers of events of all levels.
    #[must_use]
    pub fn counts(&self) -> Vec<u32> {
        cumulated(&self.counts, self.size.pixels(), u32::saturating_add)
    }
}

/// Each level with all shorter ones in it.
fn cumulated<T: Copy>(values: &[T], pixels: usize, add: impl Fn(T, T) -> T) -> Vec<T> {
    let mut all = values.to_vec();
    for index in (0..all.len().saturating_sub(pixels)).rev() {
        let shorter = all.get(index + pixels).copied();
        if let (Some(value), Some(shorter)) = (all.get_mut(index), shorter) {
            *value = add(*value, shorter);
        }
    }
    all
}
