//! Rules that look at one event alone: time, region, polarity, every n-th.
//!
//! # Invariants
//! - Bounds are inclusive on both sides, as in the reference.

use super::Filter;
use super::compact::compact;
use crate::batch::EventBatch;

/// Keeps events from `first` to `last`, both included; `None` is open. `first` after `last` keeps
/// nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeFilter {
    /// The first microsecond kept.
    pub first: Option<i64>,
    /// The last microsecond kept.
    pub last: Option<i64>,
}

impl Filter for TimeFilter {
    fn apply(&mut self, events: &mut EventBatch) {
        let first = self.first.unwrap_or(i64::MIN);
        let last = self.last.unwrap_or(i64::MAX);
        compact(events, |block, marks| {
            for (mark, t) in marks.iter_mut().zip(block.t) {
                *mark = u8::from(*t >= first) & u8::from(*t <= last);
            }
        });
    }
}

/// A rectangle of pixels, its borders included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Roi {
    /// First column.
    pub x_min: u16,
    /// Last column.
    pub x_max: u16,
    /// First row.
    pub y_min: u16,
    /// Last row.
    pub y_max: u16,
}

impl Roi {
    /// Whether the pixel is inside.
    #[must_use]
    pub fn contains(&self, x: u16, y: u16) -> bool {
        self.mark(x, y) == 1
    }

    #[inline]
    fn mark(&self, x: u16, y: u16) -> u8 {
        let columns = u8::from(x >= self.x_min) & u8::from(x <= self.x_max);
        columns & u8::from(y >= self.y_min) & u8::from(y <= self.y_max)
    }
}

/// Keeps events inside any of the rectangles; no rectangles keep everything, as in the reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoiFilter(pub Vec<Roi>);

impl Filter for RoiFilter {
    fn apply(&mut self, events: &mut EventBatch) {
        if self.0.is_empty() {
            return;
        }
        compact(events, |block, marks| {
            for roi in &self.0 {
                for (mark, (x, y)) in marks.iter_mut().zip(block.x.iter().zip(block.y)) {
                    *mark |= roi.mark(*x, *y);
                }
            }
        });
    }
}

/// Keeps one polarity: 1 is on, 0 is off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PolarityFilter(pub u8);

impl Filter for PolarityFilter {
    fn apply(&mut self, events: &mut EventBatch) {
        compact(events, |block, marks| {
            for (mark, p) in marks.iter_mut().zip(block.p) {
                *mark = u8::from(*p == self.0);
            }
        });
    }
}

/// Keeps the first event of every `n`, counted over the whole stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decimate {
    every: u64,
    seen: u64,
}

impl Decimate {
    /// Keeps one of `every` events; 0 is taken for 1.
    #[must_use]
    pub fn new(every: u64) -> Self {
        Self { every: every.max(1), seen: 0 }
    }
}

impl Filter for Decimate {
    fn apply(&mut self, events: &mut EventBatch) {
        let Self { every, seen } = self;
        compact(events, |_, marks| {
            for mark in marks {
                *mark = u8::from(*seen == 0);
                *seen = if *seen + 1 == *every { 0 } else { *seen + 1 };
            }
        });
    }
}
