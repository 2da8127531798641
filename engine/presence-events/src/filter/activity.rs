//! Activity: windows of time with too few or too many events are left out.
//!
//! Rule: time is cut into windows `[k * window, (k + 1) * window)`; the events of a window are kept
//! where their number is from `min` to `max`, both included. Events that come after one of a later
//! window are counted with that later window.
//!
//! # Invariants
//! - Held are at most `max` events, or `min` where there is no `max`: what is decided is not held.

use super::Filter;
use crate::batch::EventBatch;

/// The filter.
#[derive(Debug, Clone)]
pub struct ActivityFilter {
    window_us: i64,
    min: u64,
    max: Option<u64>,
    window: Option<i64>,
    count: u64,
    held: EventBatch,
}

impl ActivityFilter {
    /// Keeps windows of `window_us` (at least 1) with `min` to `max` events.
    #[must_use]
    pub fn new(window_us: i64, min: u64, max: Option<u64>) -> Self {
        let held = EventBatch::new();
        Self { window_us: window_us.max(1), min, max, window: None, count: 0, held }
    }

    /// Hands out the held events where their window counts, and forgets them.
    fn close(&mut self, out: &mut EventBatch) {
        if self.count >= self.min && self.max.is_none_or(|max| self.count <= max) {
            out.extend_from(&self.held, 0..self.held.len());
        }
        self.held.clear();
        self.count = 0;
    }
}

impl Filter for ActivityFilter {
    fn apply(&mut self, events: &mut EventBatch) {
        let mut out = EventBatch::with_capacity(events.len());
        for event in events.iter() {
            let window = event.t.div_euclid(self.window_us);
            if self.window.is_none_or(|open| window > open) {
                self.close(&mut out);
                self.window = Some(window);
            }
            self.count += 1;
            match self.max {
                Some(max) if self.count > max => self.held.clear(),
                None if self.count >= self.min => {
                    out.extend_from(&self.held, 0..self.held.len());
                    self.held.clear();
                    out.push(event);
                }
                _ => self.held.push(event),
            }
        }
        events.clear();
        events.extend_from(&out, 0..out.len());
    }

    fn finish(&mut self, events: &mut EventBatch) {
        self.close(events);
        self.window = None;
    }
}
