//! Hot pixels: first count the events of every pixel, then leave out those of pixels that are hot.
//!
//! Two rules. `Percentile` is the reference's: hot is a pixel with more events than the
//! nearest-rank quantile of the counts of active pixels. It always removes about the same share,
//! whatever the recording. `Neighbours`, the default, compares a pixel with those around it: a
//! scene excites neighbours together, a hot pixel is alone.
//!
//! # Invariants
//! - A count is all that is kept of a pixel.

use super::Filter;
use super::compact::compact;
use crate::batch::{EventBatch, SensorSize};

/// When a pixel is hot.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum HotPixelRule {
    /// More events than this quantile, in percent, of the counts of active pixels: with the counts
    /// in order, the one at `(active - 1) * percent / 100`, rounded to the nearest, halves up.
    Percentile(f64),
    /// With `n` the fourth largest count among the 24 pixels around it (absent ones count 0): at
    /// least `count_min` events, and more than `factor * n + 6 * sqrt(n + 1)`.
    Neighbours {
        /// How many times as active as its neighbours a pixel may be.
        factor: f64,
        /// Fewer events tell nothing.
        count_min: u32,
    },
}

impl Default for HotPixelRule {
    fn default() -> Self {
        Self::Neighbours { factor: 2.0, count_min: 8 }
    }
}

/// Rank, from 0, of the neighbour that a pixel is compared with: up to three hot ones do not
/// matter.
const NEIGHBOUR_RANK: usize = 3;

/// Events of every pixel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PixelCounts {
    size: SensorSize,
    counts: Vec<u32>,
}

impl PixelCounts {
    /// No events yet.
    #[must_use]
    pub fn new(size: SensorSize) -> Self {
        Self { size, counts: vec![0; size.pixels()] }
    }

    /// Counts the events of a batch; those beyond the sensor are not counted.
    pub fn add(&mut self, events: &EventBatch) {
        let Self { size, counts } = self;
        for (x, y) in events.x().iter().zip(events.y()) {
            if *x < size.width
                && let Some(count) = counts.get_mut(size.index(*x, *y))
            {
                *count = count.saturating_add(1);
            }
        }
    }

    /// The counts, row by row.
    #[must_use]
    pub fn counts(&self) -> &[u32] {
        &self.counts
    }

    /// Which pixels are hot, row by row.
    #[must_use]
    pub fn hot(&self, rule: HotPixelRule) -> Vec<bool> {
        match rule {
            HotPixelRule::Percentile(percent) => self.above_percentile(percent),
            HotPixelRule::Neighbours { factor, count_min } => {
                self.above_neighbours(factor, count_min)
            }
        }
    }

    fn above_percentile(&self, percent: f64) -> Vec<bool> {
        let mut active: Vec<u32> = self.counts.iter().copied().filter(|&count| count > 0).collect();
        active.sort_unstable();
        let share = (percent / 100.0).clamp(0.0, 1.0);
        let rank = (active.len().saturating_sub(1) as f64 * share + 0.5).floor() as usize;
        let limit = active.get(rank).copied().unwrap_or(u32::MAX);
        self.counts.iter().map(|&count| count > limit).collect()
    }

    fn above_neighbours(&self, factor: f64, count_min: u32) -> Vec<bool> {
        let SensorSize { width, height } = self.size;
        let pixels = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
        let judge = |((x, y), &count): ((u16, u16), &u32)| {
            if count < count_min.max(1) {
                return false;
            }
            let n = f64::from(self.neighbour(x, y));
            f64::from(count) > factor * n + 6.0 * (n + 1.0).sqrt()
        };
        pixels.zip(&self.counts).map(judge).collect()
    }

    /// The count that a pixel is compared with.
    fn neighbour(&self, x: u16, y: u16) -> u32 {
        let mut largest = [0_u32; NEIGHBOUR_RANK + 1];
        for row in y.saturating_sub(2)..=y.saturating_add(2).min(self.size.height - 1) {
            for column in x.saturating_sub(2)..=x.saturating_add(2).min(self.size.width - 1) {
                if (column, row) == (x, y) {
                    continue;
                }
                let index = self.size.index(column, row);
                let mut count = self.counts.get(index).copied().unwrap_or(0);
                for place in &mut largest {
                    if count > *place {
                        std::mem::swap(place, &mut count);
                    }
                }
            }
        }
        largest.last().copied().unwrap_or(0)
    }
}

/// Leaves out events of hot pixels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HotPixelFilter {
    size: SensorSize,
    /// 1 for pixels that are kept.
    cold: Vec<u8>,
}

impl HotPixelFilter {
    /// A filter of the pixels that are hot by `rule` in these counts.
    #[must_use]
    pub fn new(counts: &PixelCounts, rule: HotPixelRule) -> Self {
        let cold = counts.hot(rule).into_iter().map(|hot| u8::from(!hot)).collect();
        Self { size: counts.size, cold }
    }

    /// The number of hot pixels.
    #[must_use]
    pub fn hot_pixels(&self) -> usize {
        self.cold.iter().filter(|cold| **cold == 0).count()
    }
}

impl Filter for HotPixelFilter {
    fn apply(&mut self, events: &mut EventBatch) {
        let Self { size, cold } = self;
        compact(events, |block, marks| {
            for (mark, (x, y)) in marks.iter_mut().zip(block.x.iter().zip(block.y)) {
                let cold = cold.get(size.index(*x, *y)).copied().unwrap_or(0);
                *mark = cold & u8::from(*x < size.width);
            }
        });
    }
}
