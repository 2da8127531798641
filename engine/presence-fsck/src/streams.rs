//! What is known of each stream: its catalog entry, and which of its records are there.
//!
//! # Invariants
//! - Catalogs are taken in the order of the log; what contradicts an earlier one is told.
//! - Memory grows with streams and holes, never with records.

use std::collections::BTreeMap;

use presence_format::Compression;
use presence_format::block::BlockLayout;
use presence_format::catalog::{Catalog, StreamEntry};
use presence_format::entry::Entry;
use presence_format::frame::Section;
use presence_format::index::IndexEntry;
use presence_format::plane::{Plane, WORD_TICKS};

use crate::intervals::{Interval, Intervals};
use crate::planes::{self, PlaneFacts, describe};
use crate::report::Lost;
use crate::tracks::Tracks;

/// Holes in all streams that are told one by one.
const INTERVALS_MAX: usize = 200_000;

/// One stream.
#[derive(Debug)]
pub(crate) struct StreamFacts {
    pub(crate) entry: StreamEntry,
    pub(crate) layout: BlockLayout,
    /// Records that are there; of a plane none, but what `plane` tells.
    pub(crate) present: Intervals,
    pub(crate) plane: Option<PlaneFacts>,
    /// Behind the newest block: sequence and timestamp.
    last: Option<(u64, i64)>,
    /// Records that came before the segments at hand, where a catalog says so.
    start: Option<u64>,
    /// Records that catalogs know of.
    counted: u64,
}

/// All streams of a database.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    by_id: BTreeMap<u32, StreamFacts>,
    /// Names, and whose they are.
    names: BTreeMap<String, u32>,
    pub(crate) retained_from: u32,
    /// Whether blocks have sequences or times that others before them have, too.
    pub(crate) repeats: bool,
    pub(crate) tracks: Tracks,
    /// Whether the planes of a track are compared.
    pub(crate) deep: bool,
    intervals: usize,
}

impl Streams {
    /// No streams yet; planes of tracks are compared where `deep`.
    pub(crate) fn new(deep: bool) -> Self {
        Self { deep, ..Self::default() }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &StreamFacts> {
        self.by_id.values()
    }

    pub(crate) fn get(&self, id: u32) -> Option<&StreamFacts> {
        self.by_id.get(&id)
    }

    /// Takes a catalog; tells what in it contradicts earlier ones. What it `counts` came before it.
    pub(crate) fn take_catalog(&mut self, catalog: Catalog, counts: bool) -> Vec<String> {
        let mut wrong = Vec::new();
        self.retained_from = self.retained_from.max(catalog.retained_from);
        for entry in catalog.streams {
            let id = entry.id;
            let layout = BlockLayout::new(&entry.schema);
            if let Some(known) = self.by_id.get_mut(&id) {
                if known.layout.schema_crc() != layout.schema_crc() {
                    wrong.push(format!("stream {:?} has another schema than before", entry.name));
                    continue;
                }
                if known.entry.name != entry.name {
                    wrong.push(format!(
                        "stream {id} is called {:?}, and {:?} before",
                        entry.name, known.entry.name
                    ));
                    continue;
                }
                known.counted = known.counted.max(entry.sequence);
                if let Some(plane) = &mut known.plane {
                    plane.count(entry.sequence, counts);
                }
                known.entry = entry;
                continue;
            }
            if let Some(other) = self.names.get(&entry.name) {
                wrong.push(format!("streams {other} and {id} are both called {:?}", entry.name));
            }
            self.names.insert(entry.name.clone(), id);
            let counted = entry.sequence;
            let start = counts.then_some(counted);
            let plane = entry.schema.plane().map(|plane| {
                wrong.extend(self.tracks.take_plane(id, &entry.name, plane));
                // Of what comes before the first segment at hand, `lost` tells.
                let mut facts = PlaneFacts::default();
                facts.count(counted, false);
                facts
            });
            let (present, last) = (Intervals::default(), None);
            let facts = StreamFacts { entry, layout, present, plane, last, start, counted };
            self.by_id.insert(id, facts);
        }
        wrong
    }

    /// Takes a block; `Err` where it contradicts what is known of its stream. Of an unsealed
    /// segment of the log, a plane's entries follow each other `without_a_hole`.
    pub(crate) fn take_block(&mut self, entry: &Entry, without_a_hole: bool) -> Result<(), String> {
        let header = &entry.header;
        let Some(block) = entry.block else { return Ok(()) };
        let Some(stream) = self.by_id.get_mut(&header.stream.get()) else {
            return Err(format!("a block of stream {}, which no catalog tells of", header.stream));
        };
        let name = &stream.entry.name;
        if block.schema_crc.get() != stream.layout.schema_crc() {
            return Err(format!("a block of another schema than that of stream {name:?}"));
        }
        let records = header.records.get();
        if block.decoded_bytes.get() as usize != stream.layout.decoded_bytes(records as usize) {
            return Err(format!("{records} records of stream {name:?} are no such block"));
        }
        if let Some((plane, facts)) = stream.entry.schema.plane().zip(stream.plane.as_mut()) {
            let index = planes::check_block(plane, entry)?;
            return facts.take_block(&index, without_a_hole).map_err(|what| {
                self.repeats = true;
                format!("{what} of {}", describe(plane))
            });
        }
        if block.set_ticks.get() != 0 || block.compression == Compression::Presence as u8 {
            return Err(format!("a block of presence of stream {name:?}, which is no plane"));
        }
        let from = header.first_sequence.get();
        let to = from.saturating_add(u64::from(records));
        let (first_ts, last_ts) = (block.first_ts.get(), block.last_ts.get());
        if let Some((end, ts)) = stream.last {
            if from < end {
                self.repeats = true;
                return Err(format!("it repeats records {from} to {end} of stream {name:?}"));
            }
            if !stream.layout.allows(ts, first_ts) {
                self.repeats = true;
                return Err(format!("timestamp {first_ts} of stream {name:?} after {ts}"));
            }
        }
        stream.last = Some((to, last_ts));
        self.insert(header.stream.get(), Interval { from, to, first_ts, last_ts })
    }

    /// Looks at the payload of a block that was taken.
    pub(crate) fn content(
        &mut self,
        id: u32,
        file: &str,
        entry: &Entry,
        payload: &[u8],
    ) -> Result<(), String> {
        let Some(stream) = self.by_id.get(&id) else { return Ok(()) };
        let of = |what: String| match stream.entry.schema.plane() {
            Some(plane) => format!("{what}: a block of {}", describe(plane)),
            None => what,
        };
        crate::segment::content(entry, payload, &stream.layout).map_err(of)?;
        if stream.plane.is_some() {
            self.tracks.take_block((id, &stream.layout), file, entry, payload);
        }
        Ok(())
    }

    /// Takes a frame's payload: where its segment is read entry by entry, its records count.
    ///
    /// Returns how many records it holds; `Err` where it cannot be read as a frame, or contradicts
    /// its streams.
    pub(crate) fn take_frame(&mut self, payload: &[u8], counts: bool) -> Result<u64, String> {
        let mut rest = payload;
        let mut records = 0;
        let mut seen = Vec::new();
        while !rest.is_empty() {
            let section;
            let size = |id| self.by_id.get(&id).map(|stream| stream.layout.record_bytes());
            (section, rest) = Section::decode(rest, size).map_err(|error| error.what)?;
            seen.push(section);
            records += u64::from(section.records);
        }
        let mut ids: Vec<u32> = seen.iter().map(|section| section.stream).collect();
        ids.sort_unstable();
        if ids.windows(2).any(|pair| matches!(pair, [a, b] if a == b)) {
            return Err("a frame with two sections of one stream".to_owned());
        }
        if !counts {
            // Of a sealed segment: all of them must be in its blocks.
            for section in &seen {
                let end = section.first_sequence.saturating_add(u64::from(section.records));
                if let Some(stream) = self.by_id.get_mut(&section.stream) {
                    stream.counted = stream.counted.max(end);
                    if let Some(plane) = &mut stream.plane {
                        plane.count(end, false);
                    }
                }
            }
        }
        for section in seen.iter().filter(|_| counts) {
            self.check_section(section)?;
        }
        for section in seen.iter().filter(|_| counts) {
            let words = section.bytes.as_chunks::<8>().0;
            let times = words.get(..section.records as usize).unwrap_or_default();
            let ts = |word: Option<&[u8; 8]>| word.map_or(0, |word| i64::from_le_bytes(*word));
            let from = section.first_sequence;
            let to = from.saturating_add(u64::from(section.records));
            let stream = self.by_id.get_mut(&section.stream);
            if let Some(plane) = stream.and_then(|stream| stream.plane.as_mut()) {
                plane.take((from, to), true);
                if self.deep {
                    let values = words.get(section.records as usize..).unwrap_or_default();
                    let words = times.iter().zip(values);
                    let words = words
                        .map(|(ts, word)| (i64::from_le_bytes(*ts), u64::from_le_bytes(*word)));
                    self.tracks.take_words(section.stream, from, words);
                }
                continue;
            }
            self.insert(
                section.stream,
                Interval { from, to, first_ts: ts(times.first()), last_ts: ts(times.last()) },
            )?;
        }
        Ok(records)
    }

    /// The streams as a catalog written now would tell of them.
    pub(crate) fn catalog(&self) -> Catalog {
        let streams = self.by_id.values().map(|stream| {
            let mut entry = stream.entry.clone();
            if let Some(plane) = &stream.plane {
                entry.sequence = entry.sequence.max(plane.end);
            }
            if let Some((sequence, last_ts)) = stream.last {
                entry.sequence = entry.sequence.max(sequence);
                entry.last_ts = entry.last_ts.max(Some(last_ts));
            }
            entry
        });
        Catalog { retained_from: self.retained_from, streams: streams.collect() }
    }

    /// Sections follow each other and the blocks, and keep the stream's order.
    fn check_section(&self, section: &Section<'_>) -> Result<(), String> {
        let Some(stream) = self.by_id.get(&section.stream) else { return Ok(()) };
        let name = &stream.entry.name;
        if let Some((plane, facts)) = stream.entry.schema.plane().zip(stream.plane.as_ref()) {
            return check_words(plane, facts, section);
        }
        let times = section.lanes(&stream.layout).next().unwrap_or_default();
        let last = stream.present.as_slice().last();
        if last.is_some_and(|last| section.first_sequence < last.to) {
            return Err(format!("a frame that repeats records of stream {name:?}"));
        }
        let checked = stream.layout.check_order(last.map(|last| last.last_ts), times);
        checked.map_err(|error| format!("{} in stream {name:?}", error.what))
    }

    /// Takes a block that an index tells of.
    pub(crate) fn take_indexed(&mut self, id: u32, entry: &IndexEntry) -> Result<(), String> {
        let Some(stream) = self.by_id.get_mut(&id) else {
            return Err(format!("a block of stream {id}, which no catalog tells of"));
        };
        if let Some((plane, facts)) = stream.entry.schema.plane().zip(stream.plane.as_mut()) {
            planes::check_entry(plane, entry)?;
            let taken = facts.take_block(entry, false);
            return taken.map_err(|what| format!("{what} of {}", describe(plane)));
        }
        let interval = Interval {
            from: entry.first_sequence.get(),
            to: entry.end_sequence(),
            first_ts: entry.first_ts.get(),
            last_ts: entry.last_ts.get(),
        };
        self.insert(id, interval)
    }

    /// Takes blocks of a sealed segment that its index tells of, and that are not there.
    pub(crate) fn lose(&mut self, id: u32, entry: &IndexEntry) {
        if let Some(plane) = self.by_id.get_mut(&id).and_then(|stream| stream.plane.as_mut()) {
            plane.lose(entry);
        }
    }

    fn insert(&mut self, id: u32, interval: Interval) -> Result<(), String> {
        let Some(stream) = self.by_id.get_mut(&id) else { return Ok(()) };
        let before = stream.present.as_slice().len();
        stream.present.insert(interval);
        self.intervals = (self.intervals + stream.present.as_slice().len()).saturating_sub(before);
        if self.intervals > INTERVALS_MAX {
            return Err("more holes than can be told".to_owned());
        }
        Ok(())
    }

    /// What is missing between the first record that retention kept and the last that is known of.
    /// Of a segment alone, what is missing behind what its first catalog counts.
    pub(crate) fn lost(&self, is_alone: bool) -> Vec<Lost> {
        let is_whole = self.retained_from <= 1 && !is_alone;
        self.by_id.values().flat_map(|stream| stream.lost(is_whole, !is_alone)).collect()
    }
}

impl StreamFacts {
    /// Records that are there.
    pub(crate) fn records(&self) -> u64 {
        self.plane.as_ref().map_or_else(|| self.present.records(), |plane| plane.words)
    }

    fn lost(&self, is_whole: bool, to_end: bool) -> Vec<Lost> {
        let mut lost = Vec::new();
        if let Some((plane, facts)) = self.entry.schema.plane().zip(self.plane.as_ref()) {
            let before = self.start.filter(|&start| is_whole && start > 0);
            lost.extend(before.map(|records| Lost {
                stream: self.entry.name.clone(),
                first_sequence: 0,
                records,
                after_ts: None,
                before_ts: None,
                known_since: None,
            }));
            lost.extend(facts.lost(&self.entry.name, plane));
            return lost;
        }
        let start = if is_whole { Some(0) } else { self.start };
        let mut end = start.map(|start| (start, None));
        let mut note = |from: u64, to: u64, after_ts: Option<i64>, before_ts: Option<i64>| {
            if to > from {
                lost.push(Lost {
                    stream: self.entry.name.clone(),
                    first_sequence: from,
                    records: to - from,
                    after_ts,
                    before_ts,
                    known_since: None,
                });
            }
        };
        for interval in self.present.as_slice() {
            if let Some((from, after)) = end {
                note(from, interval.from, after, Some(interval.first_ts));
            }
            end = Some((interval.to, Some(interval.last_ts)));
        }
        if let Some((from, after)) = end.filter(|_| to_end) {
            note(from, self.counted, after, None);
        }
        lost
    }
}

/// A section of words follows what came before, and its words begin where words do.
fn check_words(plane: &Plane, facts: &PlaneFacts, section: &Section<'_>) -> Result<(), String> {
    if section.first_sequence < facts.end {
        return Err(format!("a frame that repeats words of {}", describe(plane)));
    }
    let times = section.bytes.as_chunks::<8>().0.get(..section.records as usize);
    let ticks = times.unwrap_or_default().iter().map(|word| i64::from_le_bytes(*word));
    match ticks.into_iter().find(|tick| tick.rem_euclid(WORD_TICKS) != 0) {
        Some(tick) => Err(format!(
            "a word at tick {tick}, where none begins, in a frame of {}",
            describe(plane)
        )),
        None => Ok(()),
    }
}
