//! Voxel grid: polarity spread over the two nearest bins of time, `[bin, y, x]`.
//!
//! Rule: with `s = (t - first) / (last - first) * bins` and `i` its whole part, the event adds its
//! polarity (-1 or 1) times `1 - (s - i)` to bin `i` and times `s - i` to bin `i + 1`. What would
//! go behind the last bin goes into the last bin. (The reference drops that part, and with it the
//! event at the last microsecond.) Where the span is one moment, everything is in bin 0.
//!
//! # Invariants
//! - The sum of the grid is the sum of the polarities, but for rounding.

use super::Span;
use crate::batch::{EventBatch, SensorSize};

/// The grid.
#[derive(Debug, Clone, PartialEq)]
pub struct VoxelGrid {
    size: SensorSize,
    span: Span,
    bins: usize,
    values: Vec<f32>,
}

impl VoxelGrid {
    /// A grid of zeros; no bins are taken for one.
    #[must_use]
    pub fn new(size: SensorSize, span: Span, bins: usize) -> Self {
        let bins = bins.max(1);
        Self { size, span, bins, values: vec![0.0; bins * size.pixels()] }
    }

    /// Adds the events of a batch.
    pub fn add(&mut self, events: &EventBatch) {
        let (size, pixels, last) = (self.size, self.size.pixels(), self.bins - 1);
        let us = self.span.us();
        let per_us = if us == 0 { 0.0 } else { self.bins as f64 / us as f64 };
        for event in events.iter() {
            let Some(since) = self.span.since(event.t) else { continue };
            if event.x >= size.width || event.y >= size.height {
                continue;
            }
            let place = since as f64 * per_us;
            let bin = place as usize;
            let share = (place - bin as f64) as f32;
            let polarity = f32::from(event.polarity) * 2.0 - 1.0;
            let pixel = size.index(event.x, event.y);
            for (bin, share) in [(bin, 1.0 - share), (bin + 1, share)] {
                if let Some(value) = self.values.get_mut(bin.min(last) * pixels + pixel) {
                    *value += polarity * share;
                }
            }
        }
    }

    /// `[bins, height, width]`.
    #[must_use]
    pub fn shape(&self) -> [usize; 3] {
        [self.bins, usize::from(self.size.height), usize::from(self.size.width)]
    }

    /// The grid.
    #[must_use]
    pub fn values(&self) -> &[f32] {
        &self.values
    }
}
