//! Background activity: events that no neighbour supports are noise.
//!
//! Rule: an event is kept where one of the eight pixels around it had an event of either polarity
//! at most the window before, `t - neighbour <= window`, and not after it. The event's own pixel
//! does not count. Every event, kept or not, supports its neighbours.
//!
//! # Invariants
//! - One time per pixel is the whole state; the table has a border, so that edges are no case.

use super::Filter;
use super::compact::compact;
use crate::batch::{EventBatch, SensorSize};

/// The filter.
#[derive(Debug, Clone)]
pub struct BackgroundActivity {
    window_us: u64,
    size: SensorSize,
    /// Width with the border.
    stride: usize,
    last: Vec<i64>,
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
        let last = vec![NEVER; stride * (usize::from(size.height) + 2)];
        let window_us = window_us.max(0).cast_unsigned().min(WINDOW_US_MAX);
        Self { window_us, size, stride, last }
    }
}

impl Filter for BackgroundActivity {
    fn apply(&mut self, events: &mut EventBatch) {
        let Self { window_us, size, stride, last } = self;
        let (window_us, stride) = (*window_us, *stride);
        let last = last.as_mut_slice();
        compact(events, |block, marks| {
            let pixels = block.x.iter().zip(block.y);
            for ((mark, t), (x, y)) in marks.iter_mut().zip(block.t).zip(pixels) {
                if !size.contains(*x, *y) {
                    continue;
                }
                let corner = usize::from(*y) * stride + usize::from(*x);
                let row = |down: usize| -> [i64; 3] {
                    let start = corner + down * stride;
                    let three = last.get(start..).and_then(|rest| rest.first_chunk());
                    three.copied().unwrap_or([NEVER; 3])
                };
                let ([a, b, c], [d, _, e], [f, g, h]) = (row(0), row(1), row(2));
                // Not after the event, and at most the window before it, in one comparison.
                let supports = |at: i64| t.wrapping_sub(at) as u64 <= window_us;
                let any = supports(a) | supports(b) | supports(c) | supports(d);
                *mark = u8::from(any | supports(e) | supports(f) | supports(g) | supports(h));
                if let Some(own) = last.get_mut(corner + stride + 1) {
                    *own = *t;
                }
            }
        });
    }
}
