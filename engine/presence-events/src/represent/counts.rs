//! Counts of events per bin of time, polarity and pixel.
//!
//! # Invariants
//! - Counts saturate instead of starting again.

use std::collections::BTreeMap;

use super::Span;
use super::blocks::blocks;
use crate::batch::{EventBatch, SensorSize};

/// Events of each bin, polarity and pixel. Counts are bytes, so that more of them stay in a cache;
/// how often one has started again from 0 is kept beside them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Counts {
    size: SensorSize,
    bins: usize,
    low: Vec<u8>,
    carried: BTreeMap<usize, u32>,
}

impl Counts {
    pub(super) fn new(size: SensorSize, bins: usize) -> Self {
        let low = vec![0; bins * 2 * size.pixels()];
        Self { size, bins, low, carried: BTreeMap::new() }
    }

    /// Counts events; `find` is that of [`blocks`].
    #[inline]
    pub(super) fn add(&mut self, events: &EventBatch, find: impl Fn(i64) -> (Option<usize>, Span)) {
        let Self { size, low, carried, .. } = self;
        let pixels = size.pixels();
        blocks(events, *size, find, |bin: usize, block| {
            let start = bin.saturating_mul(2 * pixels);
            let planes = low.get_mut(start..).unwrap_or_default();
            let Some((off, rest)) = planes.split_at_mut_checked(pixels) else { return };
            let Some(on) = rest.get_mut(..pixels) else { return };
            let mut planes = [off, on];
            for (place, p) in block.places.iter().zip(block.p) {
                let plane = planes.get_mut(usize::from(p & 1));
                if let Some(count) = plane.and_then(|plane| plane.get_mut(*place as usize)) {
                    let (sum, carry) = count.overflowing_add(1);
                    *count = sum;
                    if carry {
                        let index = start + usize::from(p & 1) * pixels + *place as usize;
                        carry_over(carried, index);
                    }
                }
            }
        });
    }

    pub(super) fn values(&self) -> Vec<u32> {
        let mut values: Vec<u32> = self.low.iter().copied().map(u32::from).collect();
        for (index, carries) in &self.carried {
            if let Some(value) = values.get_mut(*index) {
                *value = carries.saturating_mul(256).saturating_add(*value);
            }
        }
        values
    }
}

#[cold]
fn carry_over(carried: &mut BTreeMap<usize, u32>, index: usize) {
    let carries = carried.entry(index).or_default();
    *carries = carries.saturating_add(1);
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
    pub fn values(&self) -> Vec<u32> {
        self.counts.values()
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
    pub fn values(&self) -> Vec<u32> {
        self.counts.values()
    }

    /// The grid as bytes, counts above `cutoff` cut off there.
    #[must_use]
    pub fn to_u8(&self, cutoff: u8) -> Vec<u8> {
        self.values().into_iter().map(|count| count.min(u32::from(cutoff)) as u8).collect()
    }
}

fn shape(counts: &Counts) -> [usize; 4] {
    [counts.bins, 2, usize::from(counts.size.height), usize::from(counts.size.width)]
}
