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
use super::blocks::blocks;
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
        let Self { size, span, bins, ref mut values } = *self;
        let (pixels, last, us) = (size.pixels(), bins - 1, span.us());
        let per_us = if us == 0 { 0.0 } else { bins as f64 / us as f64 };
        let scale = Scale { span, per_us };
        let find = |t| scale.bin(t);
        blocks(events, size, find, |bin, block| {
            let start = (bin as usize).min(last) * pixels;
            let planes = values.get_mut(start..).unwrap_or_default();
            let Some((lower, rest)) = planes.split_at_mut_checked(pixels) else { return };
            let mut upper = rest.get_mut(..pixels);
            for (t, (place, p)) in block.t.iter().zip(block.places.iter().zip(block.p)) {
                let part = (scale.position(*t) - f64::from(bin)) as f32;
                let polarity = if *p == 0 { -1.0 } else { 1.0 };
                let Some(value) = lower.get_mut(*place as usize) else { continue };
                *value += polarity * (1.0 - part);
                let value = match &mut upper {
                    Some(upper) => upper.get_mut(*place as usize),
                    None => Some(value),
                };
                value.into_iter().for_each(|value| *value += polarity * part);
            }
        });
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

/// Times as positions among the bins.
#[derive(Debug, Clone, Copy)]
struct Scale {
    span: Span,
    per_us: f64,
}

impl Scale {
    #[inline]
    fn position(self, t: i64) -> f64 {
        t.wrapping_sub(self.span.first) as f64 * self.per_us
    }

    /// The bin of a time, and times with the same one: positions only rise, so what has the same
    /// bin at both ends has it in between.
    fn bin(self, t: i64) -> (Option<u32>, Span) {
        let moment = Span { first: t, last: t };
        if self.span.since(t).is_none() {
            return (None, moment);
        }
        let bin = self.position(t) as u32;
        let edge = |bin: u32| self.span.first.saturating_add((f64::from(bin) / self.per_us) as i64);
        let wide = Span {
            first: edge(bin).saturating_add(1),
            last: edge(bin.saturating_add(1)).saturating_sub(1).min(self.span.last),
        };
        let is_same = |t| self.position(t) as u32 == bin;
        let holds = wide.contains(t) && is_same(wide.first) && is_same(wide.last);
        (Some(bin), if holds { wide } else { moment })
    }
}
