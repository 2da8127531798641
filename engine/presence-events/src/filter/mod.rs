//! Filters: batches in place, events left out or moved, order kept.
//!
//! Each is streaming: its state carries from batch to batch, so that cutting a stream into other
//! batches changes nothing. Memory is constant in the size of the sensor.
//!
//! # Invariants
//! - A filter never changes the order of what it keeps, and adds nothing.
//! - Filters that look at neighbours or at a pixel's past need the sensor's size, and leave out
//!   events beyond it.

mod activity;
mod compact;
mod geometry;
mod hot;
mod map;
mod neighbours;
mod preprocess;
mod refractory;
mod select;

pub use activity::ActivityFilter;
pub use geometry::{Crop, Downsample, Flip, Remap, Transpose};
pub use hot::{HotPixelFilter, HotPixelRule, PixelCounts};
pub use neighbours::BackgroundActivity;
pub use preprocess::{Preprocess, PreprocessOptions};
pub use refractory::{Refractory, RefractoryReset};
pub use select::{Decimate, PolarityFilter, Roi, RoiFilter, TimeFilter};

use crate::batch::EventBatch;

/// A rule that leaves out or moves events.
pub trait Filter: std::fmt::Debug + Send {
    /// Applies the rule to a batch, in place.
    fn apply(&mut self, events: &mut EventBatch);

    /// Hands out what was held back, at the end of the stream.
    fn finish(&mut self, _: &mut EventBatch) {}
}

/// Filters one after the other.
#[derive(Debug, Default)]
pub struct Chain(pub Vec<Box<dyn Filter>>);

impl Filter for Chain {
    fn apply(&mut self, events: &mut EventBatch) {
        for filter in &mut self.0 {
            filter.apply(events);
        }
    }

    fn finish(&mut self, events: &mut EventBatch) {
        for at in 0..self.0.len() {
            let mut held = EventBatch::new();
            let Some((filter, later)) = self.0.get_mut(at..).and_then(<[_]>::split_first_mut)
            else {
                return;
            };
            filter.finish(&mut held);
            for filter in later {
                filter.apply(&mut held);
            }
            events.extend_from(&held, 0..held.len());
        }
    }
}
