//! Background activity: events that no neighbour supports are noise.
//!
//! Rule: an event is kept where the last event before it in the eight pixels around it, of either
//! polarity, was at most the window before, `t - last <= window`, and not after it. The event's own
//! pixel does not count. Every event, kept or not, supports its neighbours.
//!
//! # Invariants
//! - One time per pixel is the whole state: that of the last event around it. An event writes its
//!   time to its neighbours and reads one, which is cheaper than to read eight.
//! - The table has a border, so that edges are no case.

use super::Filter;
use super::compact::{BLOCK, compact};
use crate::batch::{EventBatch, SensorSize};

/// The filter.
#[derive(Debug, Clone)]
pub struct BackgroundActivity {
    window_us: u64,
    size: SensorSize,
    /// Width with the border.
    stride: usize,
    /// The time of the last event around each pixel.
    around: Vec<i64>,
}

/// Further from every time of a recording than the longest window.
const NEVER: i64 = i64::MIN / 2;
/// Thousands of years.
const WINDOW_US_MAX: u64 = 1 << 60;

impl BackgroundActivity {
    /// A filter with no events in its past; a negative window is taken for 0.
    #[must_use]
    pub fn new(size: SensorSize, window_us: i64) -> Self {
        let stride = usize::from(size.width) + 2;
        let around = vec![NEVER; stride * (usize::from(size.height) + 2)];
        let window_us = window_us.max(0).cast_unsigned().min(WINDOW_US_MAX);
        Self { window_us, size, stride, around }
    }
}

impl Filter for BackgroundActivity {
    fn apply(&mut self, events: &mut EventBatch) {
        let Self { window_us, size, stride, around } = self;
        let (window_us, stride) = (*window_us, *stride);
        let around = around.as_mut_slice();
        let mut corners = [0; BLOCK];
        compact(events, |block, marks| {
            size.places(stride as u32, block.x, block.y, &mut corners);
            for ((mark, t), corner) in marks.iter_mut().zip(block.t).zip(&corners) {
                let Some(rows) = around.get_mut(*corner as usize..) else { continue };
                if let Some(above) = rows.first_chunk_mut() {
                    *above = [*t; 3];
                }
                let Some(rows) = rows.get_mut(stride..) else { continue };
                if let Some([left, last, right]) = rows.first_chunk_mut() {
                    // Not after the event, and at most the window before it, in one comparison.
                    *mark = u8::from(t.wrapping_sub(*last) as u64 <= window_us);
                    (*left, *right) = (*t, *t);
                }
                if let Some(below) = rows.get_mut(stride..).and_then(<[_]>::first_chunk_mut) {
                    *below = [*t; 3];
                }
            }
        });
    }
}
