//! Counts of events per bin of time, polarity and pixel.
//!
//! # Invariants
//! - Counts saturate instead of starting again.

use super::Span;
use crate::batch::{EventBatch, SensorSize};

/// The table that both representations fill.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Counts {
    size: SensorSize,
    bins: usize,
    values: Vec<u32>,
}

impl Counts {
    fn new(size: SensorSize, bins: usize) -> Self {
        Self { size, bins, values: vec![0; bins * 2 * size.pixels()] }
    }

    /// Counts events; `bin` says which bin a time falls into, and from when to when that is so. It
    /// is asked only where a time is in another bin than the one before.
    #[inline]
    fn add(&mut self, events: &EventBatch, bin: impl Fn(i64) -> (Option<usize>, Span)) {
        let (size, bins, pixels) = (self.size, self.bins, self.size.pixels());
        let (mut found, mut span) = (None, Span { first: 1, last: 0 });
        for event in events.iter() {
            if event.t < span.first || event.t > span.last {
                (found, span) = bin(event.t);
            }
            if let Some(bin) = found
                && bin < bins
                && event.x < size.width
                && event.y < size.height
            {
                let channel = bin * 2 + usize::from(event.polarity);
                let index = channel * pixels + size.index(event.x, event.y);
                if let Some(count) = self.values.get_mut(index) {
                    *count = count.saturating_add(1);
                }
            }
        }
    }
}

/// Event count frames: a span cut into bins of equal width, `[bin, polarity, y, x]`.
///
/// Rule: the width is `(last - first) / bins` microseconds, rounded down; the bin is `(t - first)
/// / width`, and the last bin takes what is left of the span. Where the span is shorter than
/// `bins`, everything is in bin 0. (The reference drops what is left, the last event with it.)
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventFrame {
    span: Span,
    counts: Counts,
}

impl EventFrame {
    /// A grid of zeros; no bins are taken for one.
    #[must_use]
    pub fn new(size: SensorSize, span: Span, bins: usize) -> Self {
        Self { span, counts: Counts::new(size, bins.max(1)) }
    }

    /// Counts the events of a batch.
    pub fn add(&mut self, events: &EventBatch) {
        let (span, last) = (self.span, self.counts.bins - 1);
        let width = span.us() / self.counts.bins as i64;
        self.counts.add(events, |t| {
            let Some(since) = span.since(t) else { return (None, Span { first: t, last: t }) };
            let bin = since.checked_div(width).map_or(0, |bin| (bin as usize).min(last));
            let first = span.first + bin as i64 * width;
            let end = if bin == last || width == 0 { span.last } else { first + width - 1 };
            (Some(bin), Span { first, last: end })
        });
    }

    /// `[bins, 2, height, width]`.
    #[must_use]
    pub fn shape(&self) -> [usize; 4] {
        shape(&self.counts)
    }

    /// The grid.
    #[must_use]
    pub fn values(&self) -> &[u32] {
        &self.counts.values
    }
}

/// Stacked histogram: bins of a fixed width from the first microsecond on, `[bin, polarity, y, x]`.
///
/// Rule: the bin is `(t - first) / window`; what comes before the first or behind the last bin is
/// left out, as in the reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StackedHistogram {
    first: i64,
    window_us: i64,
    counts: Counts,
}

impl StackedHistogram {
    /// A grid of zeros; a window of less than a microsecond is taken for one.
    #[must_use]
    pub fn new(size: SensorSize, first: i64, window_us: i64, bins: usize) -> Self {
        Self { first, window_us: window_us.max(1), counts: Counts::new(size, bins) }
    }

    /// Counts the events of a batch.
    pub fn add(&mut self, events: &EventBatch) {
        let span = Span { first: self.first, last: i64::MAX };
        let window_us = self.window_us;
        self.counts.add(events, |t| {
            let Some(since) = span.since(t) else { return (None, Span { first: t, last: t }) };
            let first = t - since % window_us;
            let last = first.saturating_add(window_us - 1);
            (usize::try_from(since / window_us).ok(), Span { first, last })
        });
    }

    /// `[bins, 2, height, width]`.
    #[must_use]
    pub fn shape(&self) -> [usize; 4] {
        shape(&self.counts)
    }

    /// The grid.
    #[must_use]
    pub fn values(&self) -> &[u32] {
        &self.counts.values
    }

    /// The grid as bytes, counts above `cutoff` cut off there.
    #[must_use]
    pub fn to_u8(&self, cutoff: u8) -> Vec<u8> {
        self.counts.values.iter().map(|&count| count.min(u32::from(cutoff)) as u8).collect()
    }
}

fn shape(counts: &Counts) -> [usize; 4] {
    [counts.bins, 2, usize::from(counts.size.height), usize::from(counts.size.width)]
}
