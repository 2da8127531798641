//! Representations: events as grids of numbers, for pictures and for networks.
//!
//! A grid is filled batch by batch, whatever their sizes, so a recording need not fit into memory.
//! Those that cut a span of time into bins are told its first and last microsecond beforehand.
//! Rules are those of the reference, but for its losses at the edges: there the last event of the
//! span, and events of the last, incomplete slice, are dropped. Here every event of the span
//! counts.
//!
//! # Invariants
//! - Events beyond the sensor, and outside the span, are left out.
//! - Grids are row-major with x last; polarity, where it is a dimension, is 0 (off), 1 (on).

mod blocks;
mod counts;
mod density;
mod surface;
mod voxel;

pub use counts::{EventFrame, StackedHistogram};
pub use density::MixedDensity;
pub use surface::TimeSurface;
pub use voxel::VoxelGrid;

/// A span of time, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Span {
    /// The first microsecond.
    pub first: i64,
    /// The last microsecond.
    pub last: i64,
}

impl Span {
    /// Microseconds from the first to the last; 0 for one moment, and where `last` is before.
    #[must_use]
    pub fn us(self) -> i64 {
        self.last.saturating_sub(self.first).max(0)
    }

    #[inline]
    fn contains(self, t: i64) -> bool {
        t >= self.first && t <= self.last
    }

    /// Time since the first microsecond, where `t` is in the span.
    #[inline]
    fn since(self, t: i64) -> Option<i64> {
        let since = t.wrapping_sub(self.first);
        (t >= self.first && t <= self.last && since >= 0).then_some(since)
    }
}
