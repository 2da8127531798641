//! The usual chain, in the reference's order: time, region, polarity, hot pixels, refractory
//! period.
//!
//! Hot pixels need all counts before the first event is judged: [`Preprocess::count`] sees every
//! batch first, then [`Filter::apply`] every batch again. Without hot pixels one reading is enough.
//!
//! # Invariants
//! - Counted are the events that time, region and polarity keep, as in the reference.

use super::compact::compact;
use super::hot::{HotPixelFilter, HotPixelRule, PixelCounts};
use super::refractory::{Refractory, RefractoryReset};
use super::select::Roi;
use super::{Filter, PolarityFilter, RoiFilter, TimeFilter};
use crate::batch::{EventBatch, SensorSize};

/// What the chain does; the default is the reference's.
#[derive(Debug, Clone, PartialEq)]
pub struct PreprocessOptions {
    /// The sensor.
    pub sensor_size: SensorSize,
    /// The first microsecond kept.
    pub first: Option<i64>,
    /// The last microsecond kept.
    pub last: Option<i64>,
    /// The region kept.
    pub roi: Option<Roi>,
    /// The polarity kept.
    pub polarity: Option<u8>,
    /// Which pixels are hot; `None` removes none.
    pub hot_pixels: Option<HotPixelRule>,
    /// The refractory period in microseconds and what starts it; `None` leaves it out.
    pub refractory: Option<(i64, RefractoryReset)>,
}

impl PreprocessOptions {
    /// All of the sensor, hot pixels above the percentile 99.9 removed, 1 ms refractory period.
    #[must_use]
    pub fn new(sensor_size: SensorSize) -> Self {
        Self {
            sensor_size,
            first: None,
            last: None,
            roi: None,
            polarity: None,
            hot_pixels: Some(HotPixelRule::Percentile(99.9)),
            refractory: Some((1_000, RefractoryReset::ByAny)),
        }
    }
}

/// The chain.
#[derive(Debug)]
pub struct Preprocess {
    options: PreprocessOptions,
    counts: PixelCounts,
    hot: Option<HotPixelFilter>,
    refractory: Option<Refractory>,
    kept: EventBatch,
}

impl Preprocess {
    /// A chain that has seen nothing.
    #[must_use]
    pub fn new(options: PreprocessOptions) -> Self {
        let size = options.sensor_size;
        let refractory = options.refractory.map(|(us, reset)| Refractory::new(size, us, reset));
        let counts = PixelCounts::new(size);
        Self { options, counts, hot: None, refractory, kept: EventBatch::new() }
    }

    /// The first reading: counts events for hot pixels. Without it none is hot.
    pub fn count(&mut self, events: &EventBatch) {
        if self.options.hot_pixels.is_none() {
            return;
        }
        if is_plain(&self.options) {
            self.counts.add(events);
            return;
        }
        self.kept.clear();
        self.kept.extend_from(events, 0..events.len());
        select(&self.options, &mut self.kept);
        self.counts.add(&self.kept);
    }
}

/// Whether time, region and polarity keep everything.
fn is_plain(options: &PreprocessOptions) -> bool {
    let PreprocessOptions { first, last, roi, polarity, .. } = options;
    first.is_none() && last.is_none() && roi.is_none() && polarity.is_none()
}

fn select(options: &PreprocessOptions, events: &mut EventBatch) {
    if options.first.is_some() || options.last.is_some() {
        TimeFilter { first: options.first, last: options.last }.apply(events);
    }
    if let Some(roi) = options.roi {
        RoiFilter(vec![roi]).apply(events);
    }
    if let Some(polarity) = options.polarity {
        PolarityFilter(polarity).apply(events);
    }
}

impl Filter for Preprocess {
    fn apply(&mut self, events: &mut EventBatch) {
        select(&self.options, events);
        let size = self.options.sensor_size;
        match self.options.hot_pixels {
            Some(rule) => {
                let counts = &self.counts;
                self.hot.get_or_insert_with(|| HotPixelFilter::new(counts, rule)).apply(events);
            }
            None => compact(events, |block, marks| {
                for (mark, (x, y)) in marks.iter_mut().zip(block.x.iter().zip(block.y)) {
                    *mark = u8::from(size.contains(*x, *y));
                }
            }),
        }
        if let Some(refractory) = &mut self.refractory {
            refractory.apply(events);
        }
    }
}
