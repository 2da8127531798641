//! Time surface: how long ago each pixel fired, fading away, `[polarity, y, x]`.
//!
//! Rule: the memory of a pixel is the largest time it fired at, for each polarity, over all that
//! was added. At the moment `at` its value is `exp(-(at - memory) / tau)`, and 0 where it never
//! fired. The reference's slices of `dt` are this: add the events of slice `i`, then ask for the
//! moment `first + (i + 1) * dt`. It drops the last slice where that is incomplete; here it is the
//! caller's.
//!
//! # Invariants
//! - Memory carries over from slice to slice.

use super::Span;
use super::blocks::blocks;
use crate::batch::{EventBatch, SensorSize};

const NEVER: i64 = i64::MIN;

/// The memory of all pixels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimeSurface {
    size: SensorSize,
    memory: Vec<i64>,
}

impl TimeSurface {
    /// No pixel has fired.
    #[must_use]
    pub fn new(size: SensorSize) -> Self {
        Self { size, memory: vec![NEVER; 2 * size.pixels()] }
    }

    /// Remembers the events of a batch.
    pub fn add(&mut self, events: &EventBatch) {
        let pixels = self.size.pixels();
        let Some((off, on)) = self.memory.split_at_mut_checked(pixels) else { return };
        let mut planes = [off, on];
        let always = |_| (Some(()), Span { first: i64::MIN, last: i64::MAX });
        blocks(events, self.size, always, |(), block| {
            for (t, (place, p)) in block.t.iter().zip(block.places.iter().zip(block.p)) {
                let plane = planes.get_mut(usize::from(p & 1));
                if let Some(memory) = plane.and_then(|plane| plane.get_mut(*place as usize)) {
                    *memory = (*memory).max(*t);
                }
            }
        });
    }

    /// `[2, height, width]`.
    #[must_use]
    pub fn shape(&self) -> [usize; 3] {
        [2, usize::from(self.size.height), usize::from(self.size.width)]
    }

    /// The largest times; `None` where a pixel never fired.
    pub fn memory(&self) -> impl ExactSizeIterator<Item = Option<i64>> + '_ {
        self.memory.iter().map(|&t| (t != NEVER).then_some(t))
    }

    /// The surface at the moment `at`, with the time constant `tau_us`.
    #[must_use]
    pub fn at(&self, at: i64, tau_us: f64) -> Vec<f32> {
        let fade = |t: Option<i64>| {
            t.map_or(0.0, |t| (-(at.saturating_sub(t) as f64) / tau_us).exp() as f32)
        };
        self.memory().map(fade).collect()
    }
}
