//! The planes of presence tracks: what a block of one must be, and what is missing of them.
//!
//! # Invariants
//! - Written from the format's text, beside the engine's reading of it: neither calls the other.
//! - Blocks of a plane take numbers of their own: a hole between them is no loss. What is missing
//!   is known where entries follow each other without a hole, and where an index tells of a block.

use presence_format::Compression;
use presence_format::block::{BlockLayout, WORDS_ONLY};
use presence_format::entry::Entry;
use presence_format::index::IndexEntry;
use presence_format::plane::region::first_tick;
use presence_format::plane::{Plane, PlaneKind, REGION_TICKS, Region, WORD_TICKS, region_of};

use crate::report::Lost;

/// Losses of one plane that are told one by one; the last stands for all further ones.
const LOST_MAX: usize = 10_000;

/// A plane in words.
pub(crate) fn describe(plane: &Plane) -> String {
    match plane.kind() {
        PlaneKind::Observed => format!("what was observed of track {:?}", plane.track()),
        PlaneKind::Class { id, name } if name.is_empty() => {
            format!("class {id} of track {:?}", plane.track())
        }
        PlaneKind::Class { id, name } => {
            format!("class {id} ({name:?}) of track {:?}", plane.track())
        }
    }
}

/// The name that the stream of a plane has.
pub(crate) fn name_of(plane: &Plane) -> String {
    match plane.kind() {
        PlaneKind::Observed => format!("{}:observed", plane.track()),
        PlaneKind::Class { id, .. } => format!("{}:{id}", plane.track()),
    }
}

/// Whether a block holds single words, and does not stand for its region.
pub(crate) fn is_words_only(entry: &IndexEntry) -> bool {
    entry.rank.get() == u64::from(WORDS_ONLY)
}

/// The region that a block stands for; none for a block of words.
pub(crate) fn region(entry: &IndexEntry) -> Option<i64> {
    (!is_words_only(entry)).then(|| region_of(entry.first_ts.get()))
}

/// What the index, or the block's header, says of a block of `plane` must agree with itself.
pub(crate) fn check_entry(plane: &Plane, entry: &IndexEntry) -> Result<(), String> {
    let wrong = |what: String| Err(format!("{what} in a block of {}", describe(plane)));
    let (first, last) = (entry.first_ts.get(), entry.last_ts.get());
    for tick in [first, last] {
        if tick.rem_euclid(WORD_TICKS) != 0 {
            return wrong(format!("tick {tick}, which begins no word,"));
        }
    }
    let (records, set) = (u64::from(entry.records.get()), entry.rank.get());
    if is_words_only(entry) {
        return Ok(());
    }
    if region_of(first) != region_of(last) {
        return wrong(format!("ticks {first} to {last}, of more than one region,"));
    }
    // Each of its words has a set tick; a region without any has one word.
    if set > records * WORD_TICKS.cast_unsigned() || (set < records && (set, records) != (0, 1)) {
        return wrong(format!("{set} set ticks in {records} words"));
    }
    Ok(())
}

/// A block's header must be that of a block of `plane`.
pub(crate) fn check_block(plane: &Plane, entry: &Entry) -> Result<IndexEntry, String> {
    let none = || "no block".to_owned();
    let (index, block) = IndexEntry::of(entry).zip(entry.block).ok_or_else(none)?;
    let compression = Compression::from_code(block.compression).map_err(|error| error.what)?;
    let expected = if is_words_only(&index) { Compression::None } else { Compression::Presence };
    if compression != expected {
        return Err(format!(
            "compression {compression:?} with {} set ticks in a block of {}",
            block.set_ticks,
            describe(plane)
        ));
    }
    check_entry(plane, &index).map(|()| index)
}

/// The words of a block of a plane, whose header is sound: the tick of each, and the word.
pub(crate) fn words(
    entry: &Entry,
    payload: &[u8],
    layout: &BlockLayout,
) -> Result<Vec<(i64, u64)>, String> {
    let index = IndexEntry::of(entry).ok_or_else(|| "no block".to_owned())?;
    let records = index.records.get() as usize;
    if is_words_only(&index) {
        let mut lanes = layout.ranges(records).map(|range| payload.get(range).unwrap_or_default());
        let mut lane = || lanes.next().map_or(&[][..], |lane| lane.as_chunks::<8>().0);
        let times = lane();
        let pairs = times.iter().zip(lane());
        return Ok(pairs
            .map(|(ts, word)| (i64::from_le_bytes(*ts), u64::from_le_bytes(*word)))
            .collect());
    }
    let region = Region::parse(payload).map_err(|error| error.what)?;
    let (mut times, mut words) = (Vec::new(), Vec::new());
    region.records(&mut times, &mut words);
    Ok(times.into_iter().zip(words).collect())
}

/// Compares the payload of a block of a plane with its header.
pub(crate) fn content(entry: &Entry, payload: &[u8], layout: &BlockLayout) -> Result<(), String> {
    let index = IndexEntry::of(entry).ok_or_else(|| "no block".to_owned())?;
    let words = if is_words_only(&index) {
        if payload.len() != layout.decoded_bytes(index.records.get() as usize) {
            return Err("a block of words of another length than its words".to_owned());
        }
        words(entry, payload, layout)?
    } else {
        let region = Region::parse(payload).map_err(|error| error.what)?;
        let number = region_of(index.first_ts.get());
        if region.number() != number {
            return Err(format!("region {}, and its header is of {number}", region.number()));
        }
        if u64::from(region.count()) != index.rank.get() {
            let (count, stated) = (region.count(), index.rank);
            return Err(format!("{count} set ticks, and its header says {stated}"));
        }
        let words = words(entry, payload, layout)?;
        if words.len() != region.words() as usize {
            return Err(format!("{} words, and it says {}", words.len(), region.words()));
        }
        words
    };
    if words.len() != index.records.get() as usize {
        return Err(format!("{} words, and its header says {}", words.len(), index.records));
    }
    if let Some((tick, _)) = words.iter().find(|(tick, _)| tick.rem_euclid(WORD_TICKS) != 0) {
        return Err(format!("a word at tick {tick}, where none begins"));
    }
    if let Some([(a, _), (b, _)]) = words.array_windows().find(|[(a, _), (b, _)]| a >= b) {
        return Err(format!("the word at tick {b} stands after that at {a}"));
    }
    let ends = words.first().zip(words.last()).map(|(first, last)| (first.0, last.0));
    let stated = (index.first_ts.get(), index.last_ts.get());
    match ends {
        Some(found) if found == stated => Ok(()),
        _ => Err(format!("ticks {ends:?}, and its header says {stated:?}")),
    }
}

/// What is known of the entries of a plane.
#[derive(Debug, Default)]
pub(crate) struct PlaneFacts {
    /// Behind everything that entries and catalogs told of.
    pub(crate) end: u64,
    /// Behind the newest block.
    last_block: u64,
    /// Words that are there.
    pub(crate) words: u64,
    lost: Vec<Missing>,
}

/// Entries that are not there.
#[derive(Debug)]
struct Missing {
    from: u64,
    to: u64,
    records: u64,
    /// Ticks that may be concerned, where that is known; the last of them.
    ticks: Option<(i64, i64)>,
    region: Option<i64>,
}

impl PlaneFacts {
    /// Takes the numbers of a section or block. Where each of the plane's entries follows the one
    /// before `without_a_hole`, numbers between are missing.
    pub(crate) fn take(&mut self, (from, to): (u64, u64), without_a_hole: bool) {
        if without_a_hole {
            self.expect(from);
        }
        self.end = self.end.max(to);
        self.words = self.words.saturating_add(to.saturating_sub(from));
    }

    /// A catalog counts so many: where it stands in the log, all of them were there.
    pub(crate) fn count(&mut self, sequence: u64, in_the_log: bool) {
        if in_the_log {
            self.expect(sequence);
        }
        self.end = self.end.max(sequence);
    }

    /// Everything below `to` was there once.
    fn expect(&mut self, to: u64) {
        if to > self.end {
            let from = self.end;
            self.note(Missing { from, to, records: to - from, ticks: None, region: None });
            self.end = to;
        }
    }

    /// Takes a block; `Err` where it has numbers that others before it have.
    pub(crate) fn take_block(
        &mut self,
        entry: &IndexEntry,
        without_a_hole: bool,
    ) -> Result<(), String> {
        let (from, to) = (entry.first_sequence.get(), entry.end_sequence());
        let free = if without_a_hole { self.end } else { self.last_block };
        if from < free {
            return Err(format!("it repeats numbers {from} to {to}"));
        }
        self.last_block = to;
        self.take((from, to), without_a_hole);
        if let Some(region) = region(entry) {
            self.lost.retain(|lost| lost.region != Some(region) || lost.from > from);
        }
        Ok(())
    }

    /// An index tells of a block that is not there.
    pub(crate) fn lose(&mut self, entry: &IndexEntry) {
        let region = region(entry);
        let ticks = match region {
            Some(region) => {
                let first = first_tick(region);
                (first, first.saturating_add(i64::from(REGION_TICKS) - 1))
            }
            None => (entry.first_ts.get(), entry.last_ts.get().saturating_add(WORD_TICKS - 1)),
        };
        let (from, to) = (entry.first_sequence.get(), entry.end_sequence());
        self.note(Missing { from, to, records: to - from, ticks: Some(ticks), region });
    }

    fn note(&mut self, lost: Missing) {
        if self.lost.len() < LOST_MAX {
            self.lost.push(lost);
        } else if let Some(last) = self.lost.last_mut() {
            let records = last.records.saturating_add(lost.records);
            let (from, to) = (last.from.min(lost.from), last.to.max(lost.to));
            *last = Missing { from, to, records, ticks: None, region: None };
        }
    }

    /// Whether something is missing.
    pub(crate) fn is_whole(&self) -> bool {
        self.lost.is_empty()
    }

    /// What is missing of `plane`, the stream `name`; bounds are microseconds.
    pub(crate) fn lost<'a>(
        &'a self,
        name: &'a str,
        plane: &'a Plane,
    ) -> impl Iterator<Item = Lost> {
        self.lost.iter().map(move |lost| Lost {
            stream: name.to_owned(),
            first_sequence: lost.from,
            records: lost.records,
            after_ts: lost.ticks.map(|(first, _)| plane.start_us(first).saturating_sub(1)),
            before_ts: lost.ticks.map(|(_, last)| plane.start_us(last.saturating_add(1))),
            known_since: None,
        })
    }
}
