//! One pattern through one cache, measured.
//!
//! # Invariants
//! - A step is a hit when its frame was in the cache as it was asked for; one that came while it
//!   was waited for is none.

use std::sync::Arc;
use std::time::{Duration, Instant};

use presence_cache::{PrefetchCache, Stats};
use presence_cli::failure::{Failure, Result};
use presence_ingest::MotFrame;

use super::frames::Frames;

/// A cache of frames.
pub(crate) type Cache = PrefetchCache<u32, Arc<MotFrame>, Frames>;

/// What a replay measured.
#[derive(Debug)]
pub(crate) struct Measured {
    pub(crate) name: String,
    pub(crate) steps: usize,
    /// Time that each step waited, ascending.
    waits: Vec<Duration>,
    /// All time, thinking included.
    pub(crate) time: Duration,
    pub(crate) detections: u64,
    pub(crate) stats: Stats,
}

impl Measured {
    /// The time that `share` of all steps did not wait longer than.
    pub(crate) fn wait(&self, share: f64) -> Duration {
        let rank = (self.waits.len() as f64 * share).ceil() as usize;
        self.waits.get(rank.saturating_sub(1)).copied().unwrap_or_default()
    }

    /// Frames loaded, for a reader and ahead.
    pub(crate) fn loads(&self) -> u64 {
        self.stats.load_time.count()
    }

    /// Frames fetched ahead that nobody asked for.
    pub(crate) fn wasted(&self) -> u64 {
        self.stats.prefetches_wasted + self.stats.unused as u64
    }

    /// Loads whose frame was asked for.
    pub(crate) fn useful(&self) -> u64 {
        self.loads().saturating_sub(self.wasted())
    }
}

/// Asks for the frames `steps` (counted from 0), thinking after each. `after` is told of each frame
/// and how long it was waited for, before the thinking, and ends the replay where it says so.
///
/// # Errors
/// Where a frame cannot be read.
pub(crate) fn replay(
    name: &str,
    cache: &Cache,
    (first, steps): (u32, &[u32]),
    think: Duration,
    mut after: impl FnMut(u32, Duration) -> bool,
) -> Result<Measured> {
    let mut waits = Vec::with_capacity(steps.len());
    let mut detections = 0;
    let began = Instant::now();
    for &step in steps {
        let number = first + step;
        let asked = Instant::now();
        let frame = cache.get(&number).map_err(|error| Failure::cannot(error.to_string()))?;
        let wait = asked.elapsed();
        waits.push(wait);
        detections += frame.detections.len() as u64;
        if !after(number, wait) {
            break;
        }
        if !think.is_zero() {
            std::thread::sleep(think);
        }
    }
    let time = began.elapsed();
    // Loads under way are counted with those that ended.
    cache.close_and_wait();
    waits.sort_unstable();
    let (name, steps) = (name.to_owned(), waits.len());
    Ok(Measured { name, steps, waits, time, detections, stats: cache.stats() })
}
