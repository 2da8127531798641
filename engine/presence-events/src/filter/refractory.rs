//! Refractory period: a pixel that fired is deaf for a while.
//!
//! Rule: the first event of a pixel is kept; a later one where it is more than the period after the
//! pixel's previous event, `t - previous > period`. What the previous event is, is the reset: any
//! event of the pixel (as in the reference, where a dropped event starts the period again), or the
//! last one that was kept. An event whose time is before the previous one is left out.
//!
//! # Invariants
//! - One time per pixel is the whole state.

use super::Filter;
use super::compact::{BLOCK, compact};
use crate::batch::{EventBatch, SensorSize};

/// What starts the period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RefractoryReset {
    /// Every event of the pixel, as in the reference.
    #[default]
    ByAny,
    /// An event that was kept.
    ByKept,
}

/// The filter.
#[derive(Debug, Clone)]
pub struct Refractory {
    period_us: i64,
    reset: RefractoryReset,
    size: SensorSize,
    last: Vec<i64>,
}

impl Refractory {
    /// A filter with no events in its past; a negative period is taken for 0, which drops events of
    /// a pixel at one time but for the first.
    #[must_use]
    pub fn new(size: SensorSize, period_us: i64, reset: RefractoryReset) -> Self {
        let period_us = period_us.max(0);
        Self { period_us, reset, size, last: vec![i64::MIN; size.pixels()] }
    }
}

impl Filter for Refractory {
    fn apply(&mut self, events: &mut EventBatch) {
        let Self { period_us, reset, size, last } = self;
        let by_any = *reset == RefractoryReset::ByAny;
        let mut places = [0; BLOCK];
        compact(events, |block, marks| {
            size.places(size.width.into(), block.x, block.y, &mut places);
            for ((mark, t), place) in marks.iter_mut().zip(block.t).zip(&places) {
                let Some(last) = last.get_mut(*place as usize) else { continue };
                let keep = (*last == i64::MIN) | (t.wrapping_sub(*last) > *period_us);
                *mark = u8::from(keep);
                *last = if by_any | keep { *t } else { *last };
            }
        });
    }
}
