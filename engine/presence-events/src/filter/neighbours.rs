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
    window_us: i64,
    size: SensorSize,
    /// Width with the border.
    stride: usize,
    last: Vec<i64>,
}

/// Before every time, and not so early that a difference overflows.
const NEVER: i64 = i64::MIN / 2;

impl BackgroundActivity {
    /// A filter with no events in its past.
    #[must_use]
    pub fn new(size: SensorSize, window_us: i64) -> Self {
        let stride = usize::from(size.width) + 2;
        let last = vec![NEVER; stride * (usize::from(size.height) + 2)];
        Self { window_us, size, stride, last }
    }
}

impl Filter for BackgroundActivity {
    fn apply(&mut self, events: &mut EventBatch) {
        let Self { window_us, size, stride, last } = self;
        let (window_us, stride) = (*window_us, *stride);
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
                let supports = |at: i64| (at <= *t) & (t.saturating_sub(at) <= window_us);
                let any = supports(a) | supports(b) | supports(c) | supports(d);
                *mark = u8::from(any | supports(e) | supports(f) | supports(g) | supports(h));
                if let Some(own) = last.get_mut(corner + stride + 1) {
                    *own = *t;
                }
            }
        });
    }
}
