//! The steps of each reader: what was asked for lately, in order, for whoever predicts.
//!
//! A thread writes its steps into a ring of its own, without a lock; only where there are more
//! threads than rings do some of them share the last one.
//!
//! # Invariants
//! - A step costs a few plain loads and stores, on memory that no other thread writes to.
//! - Every step is counted. What it was may be overwritten before it is looked at, which is told as
//!   a gap; a step that was overwritten while it was read is at worst a wrong hint.

use crate::entry::EntryId;
use crate::key::Place;
use crate::shim::atomic::{AtomicU64, Ordering};

/// Steps kept of each reader.
#[cfg(not(loom))]
const STEPS: usize = 64;
#[cfg(loom)]
const STEPS: usize = 2;

/// No entry.
const NOTHING: u64 = u64::MAX;

/// One reader's ring. Two cache lines apart from the next, since processors fetch pairs of them.
#[repr(align(128))]
struct Trail {
    steps: AtomicU64,
    /// The entry in use.
    current: AtomicU64,
    ring: [Step; STEPS],
}

#[derive(Default)]
struct Step {
    /// Its number, from 1; written last.
    number: AtomicU64,
    lane: AtomicU64,
    position: AtomicU64,
}

impl Default for Trail {
    fn default() -> Self {
        Self {
            steps: AtomicU64::new(0),
            current: AtomicU64::new(NOTHING),
            ring: std::array::from_fn(|_| Step::default()),
        }
    }
}

/// The trails of all readers.
pub(crate) struct Trails(Box<[Trail]>);

impl Trails {
    /// `count` of them, and one to share.
    pub(crate) fn new(count: usize) -> Self {
        Self((0..=count).map(|_| Trail::default()).collect())
    }

    /// The trail of `reader`. Threads beyond the number of trails share the last one.
    #[inline]
    fn trail(&self, reader: usize) -> Option<&Trail> {
        self.0.get(reader.min(self.last()))
    }

    #[inline]
    fn last(&self) -> usize {
        self.0.len().wrapping_sub(1)
    }

    /// `reader` asks for what lies at `place` and is, or will be, `entry`. How many steps it has
    /// made before.
    #[inline]
    pub(crate) fn step(&self, reader: usize, place: Option<Place>, entry: Option<EntryId>) -> u64 {
        let Some(trail) = self.trail(reader) else { return 0 };
        let number = match reader < self.last() {
            // Nobody else writes here: an addition that is not indivisible is much cheaper.
            true => {
                let number = trail.steps.load(Ordering::Relaxed);
                trail.steps.store(number + 1, Ordering::Relaxed);
                number
            }
            false => trail.steps.fetch_add(1, Ordering::Relaxed),
        };
        trail.current.store(entry.map_or(NOTHING, |id| id.0), Ordering::Relaxed);
        let Some(place) = place else { return number };
        if let Some(step) = trail.ring.get(number as usize % STEPS) {
            step.lane.store(place.lane, Ordering::Relaxed);
            step.position.store(place.position.cast_unsigned(), Ordering::Relaxed);
            step.number.store(number + 1, Ordering::Release);
        }
        number
    }

    /// `entry` is what `reader` has in use.
    pub(crate) fn set_current(&self, reader: usize, entry: EntryId) {
        if let Some(trail) = self.trail(reader) {
            trail.current.store(entry.0, Ordering::Relaxed);
        }
    }

    /// Whether some reader has `entry` in use.
    pub(crate) fn is_current(&self, entry: EntryId) -> bool {
        self.0.iter().any(|trail| trail.current.load(Ordering::Relaxed) == entry.0)
    }

    /// Steps of all readers.
    pub(crate) fn steps(&self) -> u64 {
        self.0.iter().map(|trail| trail.steps.load(Ordering::Relaxed)).sum()
    }
}

/// Reads the trails from where it read last.
pub(crate) struct Follower(Vec<u64>);

impl Follower {
    /// One that has read nothing of `trails`.
    pub(crate) fn new(trails: &Trails) -> Self {
        Self(vec![0; trails.0.len()])
    }

    /// Tells every new step: the reader, the place, and whether steps before it were missed.
    pub(crate) fn follow(&mut self, trails: &Trails, mut tell: impl FnMut(usize, Place, bool)) {
        for (reader, (trail, next)) in trails.0.iter().zip(&mut self.0).enumerate() {
            let end = trail.steps.load(Ordering::Acquire);
            let begin = (*next).max(end.saturating_sub(STEPS as u64));
            let mut gap = begin > *next;
            for number in begin..end {
                let Some(step) = trail.ring.get(number as usize % STEPS) else { continue };
                if step.number.load(Ordering::Acquire) != number + 1 {
                    gap = true;
                    continue;
                }
                let lane = step.lane.load(Ordering::Relaxed);
                let position = step.position.load(Ordering::Relaxed).cast_signed();
                tell(reader, Place { lane, position }, gap);
                gap = false;
            }
            *next = end;
        }
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;

    #[test]
    fn steps_are_told_once_and_gaps_with_them() {
        let trails = Trails::new(2);
        let mut follower = Follower::new(&trails);
        let at = |position| Some(Place { lane: 1, position });
        let mut told = |trails: &Trails| {
            let mut steps = Vec::new();
            follower.follow(trails, |reader, place, gap| steps.push((reader, place.position, gap)));
            steps
        };
        trails.step(0, at(5), None);
        trails.step(1, at(-6), None);
        trails.step(0, None, None);
        trails.step(0, at(7), None);
        assert_eq!(told(&trails), [(0, 5, false), (0, 7, true), (1, -6, false)]);
        assert_eq!(told(&trails), []);
        for position in 0..STEPS as i64 + 3 {
            trails.step(1, at(position), None);
        }
        let steps = told(&trails);
        assert_eq!((steps.len(), steps[0], steps[1]), (STEPS, (1, 3, true), (1, 4, false)));
        assert_eq!(trails.steps(), 4 + STEPS as u64 + 3);
    }
}
