//! A predictor that learns from the accesses themselves.
//!
//! It finds steps that repeat: reading forward or back, strides, rounds of up to 32 steps, jumps
//! from the same place to the same place, loops of any length, and several such sequences
//! interleaved by one reader. Each thread is a reader of its own. Where nothing repeats it says
//! nothing.
//!
//! # Invariants
//! - What it remembers is bounded: readers, sequences and jumps, the oldest forgotten first.
//! - It looks as far ahead as was needed lately: further when values came late, less far when they
//!   were not asked for.

mod reader;
mod track;

use super::{Access, Context, Feedback, Predictor};
use crate::key::{Key, Place};

use reader::Reader;

/// Readers in lanes that are remembered.
const READERS_MAX: usize = 32;
/// Readers that have not moved for so many steps of others are silent.
const IDLE_STEPS: u64 = 256;
/// How far to look to begin with.
const DEPTH_MIN: u32 = 4;
/// Values in time after which a little less depth is tried.
const STREAK: u64 = 64;

/// Learns sequences, strides, jumps and loops of several readers; silent on random access.
#[derive(Debug)]
pub struct Adaptive {
    readers: Vec<Known>,
    steps: u64,
    depth: u32,
    streak: u64,
}

#[derive(Debug)]
struct Known {
    lane: u64,
    number: usize,
    moved: u64,
    reader: Reader,
}

impl Default for Adaptive {
    fn default() -> Self {
        Self::new()
    }
}

impl Adaptive {
    /// One that has seen nothing.
    #[must_use]
    pub fn new() -> Self {
        Self { readers: Vec::new(), steps: 0, depth: DEPTH_MIN, streak: 0 }
    }

    fn step(&mut self, place: Place, number: usize, gap: bool) {
        self.steps += 1;
        let moved = self.steps;
        let Place { lane, position } = place;
        let known =
            self.readers.iter_mut().find(|known| known.lane == lane && known.number == number);
        if let Some(known) = known {
            known.moved = moved;
            return known.reader.observe(position, gap);
        }
        if self.readers.len() >= READERS_MAX
            && let Some(oldest) = (0..self.readers.len())
                .min_by_key(|&index| self.readers.get(index).map(|known| known.moved))
        {
            self.readers.swap_remove(oldest);
        }
        self.readers.push(Known { lane, number, moved, reader: Reader::new(position) });
    }

    /// Looks further ahead, or less far, as it went lately.
    fn adapt(&mut self, feedback: Feedback, keys_max: u32) {
        let Feedback { useful, late, wasted } = feedback;
        if late > 0 {
            self.depth = self.depth.saturating_mul(2);
            self.streak = 0;
        } else if wasted > useful {
            self.depth /= 2;
        }
        self.streak += useful;
        if self.streak >= STREAK {
            self.depth -= self.depth / 8;
            self.streak = 0;
        }
        self.depth = self.depth.min(keys_max).max(DEPTH_MIN.min(keys_max));
    }
}

impl<K: Key> Predictor<K> for Adaptive {
    fn observe(&mut self, access: &Access<K>) {
        if let Some(place) = access.key.place() {
            self.step(place, access.reader, access.gap);
        }
    }

    fn predict(&mut self, context: &Context<'_, K>, likely: &mut Vec<(K, f64)>) {
        self.adapt(context.feedback, u32::try_from(context.keys_max).unwrap_or(u32::MAX));
        for known in &self.readers {
            if self.steps - known.moved > IDLE_STEPS {
                continue;
            }
            known.reader.predict(self.depth, &mut |position, likelihood| {
                let place = Place { lane: known.lane, position };
                likely.extend(K::from_place(place).map(|key| (key, likelihood)));
            });
        }
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests;
