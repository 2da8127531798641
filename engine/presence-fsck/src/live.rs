//! Which segments of a directory count, by the format's chapters on compaction and retention.
//!
//! # Invariants
//! - Written from the format's text, beside the engine's own rule: neither calls the other.
//! - What may be the only copy of something counts.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use presence_format::segment::SegmentHeader;

/// The sets of one directory.
#[derive(Debug)]
pub(crate) struct Sets {
    sets: Vec<Set>,
}

/// The outputs of one compaction, or one segment of the log.
#[derive(Debug)]
pub(crate) struct Set {
    generation: u32,
    log_first: u32,
    pub(crate) log_last: u32,
    previous: u32,
    parts: u16,
    /// Numbers of the segments that are there, by part.
    members: BTreeMap<u16, u32>,
    /// Numbers of segments that repeat a part.
    repeated: Vec<u32>,
}

impl Set {
    fn is_whole(&self) -> bool {
        self.members.len() == usize::from(self.parts)
    }

    fn spans(&self, other: &Self) -> bool {
        self.log_first <= other.log_first && other.log_last <= self.log_last
    }

    /// Parts that are not there.
    pub(crate) fn missing(&self) -> usize {
        usize::from(self.parts).saturating_sub(self.members.len())
    }

    /// Numbers of its segments, in order.
    pub(crate) fn numbers(&self) -> impl Iterator<Item = u32> + '_ {
        self.members.values().chain(&self.repeated).copied()
    }
}

impl Sets {
    /// Sorts segments into sets.
    pub(crate) fn new<'a>(headers: impl Iterator<Item = &'a SegmentHeader>) -> Self {
        let mut sets: BTreeMap<_, Set> = BTreeMap::new();
        for header in headers {
            let (generation, parts) = (header.generation.get(), header.parts.get());
            let (log_first, log_last) = (header.log_first.get(), header.log_last.get());
            let key = (log_first, header.set.get(), generation, log_last, parts);
            let set = sets.entry(key).or_insert_with(|| Set {
                generation,
                log_first,
                log_last,
                previous: header.previous_segment.get(),
                parts,
                members: BTreeMap::new(),
                repeated: Vec::new(),
            });
            let number = header.segment.get();
            match set.members.entry(header.part.get()) {
                Entry::Vacant(place) => {
                    place.insert(number);
                }
                Entry::Occupied(_) => set.repeated.push(number),
            }
        }
        Self { sets: sets.into_values().collect() }
    }

    /// The sets that count, in the order of the log, and the numbers of segments that do not.
    pub(crate) fn live(&self) -> (Vec<&Set>, Vec<u32>) {
        let (dead, live): (Vec<&Set>, Vec<&Set>) =
            self.sets.iter().partition(|set| self.is_dead(set));
        (live, dead.into_iter().flat_map(Set::numbers).collect())
    }

    fn is_dead(&self, set: &Set) -> bool {
        let others = || self.sets.iter().filter(|other| !std::ptr::eq(*other, set));
        let replaced = others().any(|other| {
            other.is_whole()
                && other.spans(set)
                && (other.generation > set.generation || !set.is_whole())
        });
        replaced || (!set.is_whole() && self.has_inputs(set))
    }

    /// Whether everything that `set` stands for is there in other whole sets: each names the one
    /// before.
    fn has_inputs(&self, set: &Set) -> bool {
        let input = |last: u32| {
            self.sets.iter().find(|other| {
                other.is_whole()
                    && other.log_last == last
                    && other.generation < set.generation
                    && set.spans(other)
            })
        };
        let mut last = set.log_last;
        loop {
            match input(last) {
                Some(other) if other.log_first == set.log_first => return true,
                Some(other) if other.previous < last => last = other.previous,
                _ => return false,
            }
        }
    }
}
