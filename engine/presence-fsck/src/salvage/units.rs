//! Which of the sound pieces found are taken: each record once, in order.
//!
//! # Invariants
//! - A record is taken from a block in its place before anything else that holds it.
//! - What a crash cut, and others replaced, is not taken.

use std::collections::BTreeMap;

use presence_format::entry::Entry;

/// How far a piece is to be preferred to another that holds the same records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    /// A block where it belongs.
    Block,
    /// A part of a frame where it belongs.
    Frame,
    /// A block or frame that stands elsewhere.
    Displaced,
}

/// Records of one stream that lie together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unit {
    pub(super) stream: u32,
    pub(super) first_sequence: u64,
    pub(super) records: u32,
    /// Which of the files.
    pub(super) file: u32,
    /// Where the entry begins in it.
    pub(super) at: u64,
    pub(super) rank: Rank,
}

impl Unit {
    pub(super) fn end_sequence(&self) -> u64 {
        self.first_sequence.saturating_add(u64::from(self.records))
    }
}

/// Tells which entries of a segment are left over from before a crash: one behind them, in the same
/// segment, has a number as low.
#[derive(Debug, Default)]
pub(super) struct Timeline {
    /// Entries that count so far: number, and where in the file.
    entries: Vec<(u32, u64)>,
}

impl Timeline {
    /// Takes the next entry in its place; tells the offsets of those that it replaces.
    pub(super) fn take(&mut self, entry: &Entry, at: u64, mut replaced: impl FnMut(u64)) {
        let number = entry.header.number.get();
        while let Some(&(last, offset)) = self.entries.last()
            && last >= number
        {
            replaced(offset);
            self.entries.pop();
        }
        self.entries.push((number, at));
    }
}

/// Sorts the units of all streams: each stream's by sequence, the preferred ones first.
pub(super) fn sorted(units: Vec<Unit>) -> BTreeMap<u32, Vec<Unit>> {
    let mut streams: BTreeMap<u32, Vec<Unit>> = BTreeMap::new();
    for unit in units {
        streams.entry(unit.stream).or_default().push(unit);
    }
    for units in streams.values_mut() {
        units.sort_by_key(|unit| {
            (unit.first_sequence, unit.rank, std::cmp::Reverse(unit.records), unit.file, unit.at)
        });
    }
    streams
}
