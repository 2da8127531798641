//! What a cache counts.
//!
//! # Invariants
//! - Taking statistics never holds two locks, and never waits for a load.
//! - With no load under way, `prefetches_started` is the sum of useful, late, wasted, failed and
//!   `unused`.

use std::time::Duration;

use crate::shim::atomic::{AtomicU64, Ordering};

/// Classes of a [`Histogram`].
const CLASSES: usize = 40;

/// Counts of durations: class `i` holds those of less than 2^i microseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Histogram {
    counts: [u64; CLASSES],
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: [0; CLASSES] }
    }
}

impl Histogram {
    /// How many were counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// How many took less than 2^i microseconds and not less than 2^(i-1), for each `i`.
    #[must_use]
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// A duration that `share` (0 to 1) of all took less than; zero where there are none.
    #[must_use]
    pub fn quantile(&self, share: f64) -> Duration {
        let target = (self.count() as f64 * share).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (class, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= target {
                return Duration::from_micros(1 << class);
            }
        }
        Duration::ZERO
    }
}

/// Numbers since the cache was made, and how it is now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Answers from the cache.
    pub hits: u64,
    /// Questions that had to wait for a load, or got an error.
    pub misses: u64,
    /// Loads that readers waited for from the beginning.
    pub loads: u64,
    /// Those of them that failed.
    pub load_errors: u64,
    /// Values evicted for want of room.
    pub evictions: u64,
    /// Bytes held, as the provider counts them.
    pub bytes: u64,
    /// Values held.
    pub entries: usize,
    /// Loads under way.
    pub loading: usize,
    /// Values held that were fetched ahead and not asked for yet.
    pub unused: usize,
    /// Prefetches begun.
    pub prefetches_started: u64,
    /// Values that were there when they were first asked for.
    pub prefetches_useful: u64,
    /// Asked for while they were under way: the reader waited for the rest.
    pub prefetches_late: u64,
    /// Values that left the cache, or were not kept, without being asked for.
    pub prefetches_wasted: u64,
    /// Failed before anybody asked.
    pub prefetch_errors: u64,
    /// Taken from the queue because they were not likely any more.
    pub prefetches_cancelled: u64,
    /// Waiting in the queue.
    pub prefetches_waiting: usize,
    /// Predictions made.
    pub predictions: u64,
    /// Time spent in the predictor.
    pub predictor_time: Duration,
    /// Threads that have begun to fetch ahead.
    pub workers: usize,
    /// Panics of the predictor and of other code on the workers, and of a provider that was told
    /// what left.
    pub worker_errors: u64,
    /// Panics of the eviction policy.
    pub policy_panics: u64,
    /// Panics of the listener to events.
    pub listener_panics: u64,
    /// How long loads took.
    pub load_time: Histogram,
}

impl Stats {
    /// Share of questions answered from the cache; 0 where there were none.
    #[must_use]
    pub fn hit_rate(&self) -> f64 {
        let all = self.hits + self.misses;
        if all == 0 { 0.0 } else { self.hits as f64 / all as f64 }
    }
}

macro_rules! counters {
    ($($name:ident),*) => {
        /// Counters that nobody touches on a hit.
        #[derive(Debug)]
        pub(crate) struct Counters {
            $(pub(crate) $name: Counter,)*
            load_time: [Counter; CLASSES],
        }

        impl Default for Counters {
            fn default() -> Self {
                let load_time = std::array::from_fn(|_| Counter::default());
                Self { $($name: Counter::default(),)* load_time }
            }
        }
    };
}

counters!(
    misses,
    loads,
    load_errors,
    evictions,
    started,
    useful,
    late,
    wasted,
    errors,
    cancelled,
    predictions,
    predictor_ns,
    worker_errors
);

/// A number that only grows.
#[derive(Debug)]
pub(crate) struct Counter(AtomicU64);

impl Default for Counter {
    fn default() -> Self {
        Self(AtomicU64::new(0))
    }
}

impl Counter {
    pub(crate) fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Counters {
    pub(crate) fn load_took(&self, time: Duration) {
        let us = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let class = (u64::BITS - us.leading_zeros()) as usize;
        if let Some(count) = self.load_time.get(class.min(CLASSES - 1)) {
            count.add(1);
        }
    }

    pub(crate) fn load_time(&self) -> Histogram {
        let mut counts = [0; CLASSES];
        for (count, counter) in counts.iter_mut().zip(&self.load_time) {
            *count = counter.get();
        }
        Histogram { counts }
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;

    #[test]
    fn durations_fall_into_their_classes() {
        let counters = Counters::default();
        for us in [0, 1, 2, 3, 1000, u64::MAX] {
            counters.load_took(Duration::from_micros(us));
        }
        let histogram = counters.load_time();
        assert_eq!(histogram.counts()[..3], [1, 1, 2]);
        assert_eq!((histogram.counts()[10], histogram.counts()[CLASSES - 1]), (1, 1));
        assert_eq!(histogram.quantile(0.5), Duration::from_micros(4));
        assert_eq!(histogram.count(), 6);
    }
}
