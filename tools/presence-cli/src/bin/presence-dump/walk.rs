//! The way through a segment, from entry to entry, behind damage too.
//!
//! # Invariants
//! - Every byte between header and footer is in exactly one part, but for sound entries that lie
//!   inside the claimed extent of an unsound one.
//! - Work is linear in the file's length: payloads that overlap are not checked for ever.
//! - Tells what is unsound, and does not judge whether a crash may leave it.

use std::collections::VecDeque;

use presence_cli::failure::Result;
use presence_format::catalog::Catalog;
use presence_format::entry::{ENTRY_ALIGN, ENTRY_MAGIC, Entry, EntryKind, Place};
use presence_format::frame::Section;
use presence_format::index::Index;
use presence_format::segment::FIRST_ENTRY;

use crate::bytes::Bytes;
use crate::ends::{Ends, check_payload};
use crate::streams::Streams;

/// A stretch of the file.
#[derive(Debug)]
pub(crate) enum Part {
    Entry(Found),
    /// Nothing was written here.
    Zeros {
        from: u64,
        to: u64,
    },
    /// No sound entry begins here.
    Unsound {
        from: u64,
        to: u64,
        what: String,
    },
}

/// An entry whose header is sound.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) entry: Entry,
    /// Which block of the segment it is.
    pub(crate) block: Option<u64>,
    /// What is wrong with it.
    pub(crate) fault: Option<String>,
    /// What is worth knowing and not wrong.
    pub(crate) note: Option<String>,
    pub(crate) contents: Contents,
}

/// What a payload holds, in short.
#[derive(Debug)]
pub(crate) enum Contents {
    /// A block, or nothing that can be read.
    Plain,
    /// A catalog with so many streams.
    Catalog(usize),
    Sections(Vec<SectionHead>),
    /// An index of so many blocks.
    Index(usize),
}

/// One stream's part of a frame.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SectionHead {
    pub(crate) stream: u32,
    pub(crate) first_sequence: u64,
    pub(crate) records: u32,
    pub(crate) first_ts: i64,
    pub(crate) last_ts: i64,
}

/// Where the chain of entries stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Link {
    number: u32,
    crc: u32,
}

/// The walk.
#[derive(Debug)]
pub(crate) struct Walk<'a> {
    pub(crate) file: &'a mut Bytes,
    pub(crate) ends: &'a Ends,
    pub(crate) streams: Streams,
    place: Option<Place>,
    at: u32,
    end: u32,
    /// None where the segment's header is unsound and nothing was found yet.
    link: Option<Link>,
    /// The chain before the first unsound part since it last held.
    anchor: Option<Link>,
    after_unsound: bool,
    blocks: u64,
    /// Payload bytes that may still be checked.
    budget: u64,
    ready: VecDeque<Part>,
}

impl<'a> Walk<'a> {
    pub(crate) fn new(file: &'a mut Bytes, ends: &'a Ends) -> Self {
        let mut streams = Streams::default();
        if let Some(Ok(index)) = &ends.index {
            // Entries whose catalog is lost can be read all the same; its faults are told there.
            let _told_later = streams.learn(index.catalog.clone());
        }
        let header = ends.header.as_ref().ok();
        let link = header.map(|header| Link { number: 0, crc: header.header_crc.get() });
        let mut ready = VecDeque::new();
        let (end, len) = (ends.data_end(), file.len());
        if len > u64::from(end) && ends.footer.as_ref().is_none_or(Result::is_err) {
            let what = "beyond the largest segment; not looked at".to_owned();
            ready.push_back(Part::Unsound { from: u64::from(end), to: len, what });
        }
        Self {
            budget: len.saturating_mul(4).saturating_add(64 << 20),
            file,
            ends,
            streams,
            place: ends.place,
            at: FIRST_ENTRY,
            end,
            link,
            anchor: None,
            after_unsound: link.is_none(),
            blocks: 0,
            ready,
        }
    }

    /// The next part; none at the end.
    ///
    /// # Errors
    /// Where reading fails.
    pub(crate) fn next(&mut self) -> Result<Option<Part>> {
        // A part beyond the cap waits in the queue for its turn, which is last.
        while self.at < self.end && self.ready.iter().all(|part| self.is_beyond(part)) {
            let parsed = match self.place {
                Some(place) => {
                    let bytes = self.file.get(u64::from(self.at), 128)?;
                    Entry::parse(bytes, place, self.at).map_err(|error| error.what)
                }
                None => Err("no entry of the segment is sound".to_owned()),
            };
            match parsed {
                Ok(entry) => {
                    let found = self.take(entry)?;
                    self.ready.push_front(Part::Entry(found));
                }
                Err(what) => self.pass_over(&what)?,
            }
        }
        Ok(self.ready.pop_front())
    }

    fn is_beyond(&self, part: &Part) -> bool {
        matches!(part, Part::Unsound { from, .. } if *from >= u64::from(self.end))
    }

    fn take(&mut self, entry: Entry) -> Result<Found> {
        let block = (entry.kind == EntryKind::Block).then_some(self.blocks);
        self.blocks += u64::from(block.is_some());
        let (contents, mut fault) = match self.contents(&entry)? {
            Ok(contents) => (contents, None),
            Err(what) => (Contents::Plain, Some(what)),
        };
        let is_sound = fault.is_none();
        let note = self.follow(&entry, is_sound, &mut fault);
        if fault.is_none() {
            fault = self.unlike_index(&entry);
        }
        // An unsound entry may have been written over by a recovery: it is not trusted to end.
        let inside = self.at.saturating_add(ENTRY_ALIGN);
        let end = entry.end().min(self.end).max(inside);
        self.at = if is_sound { end } else { self.sound_within(inside, end)?.unwrap_or(end) };
        self.after_unsound = !is_sound;
        Ok(Found { entry, block, fault, note, contents })
    }

    /// Checks the payload and reads it, in short.
    fn contents(&mut self, entry: &Entry) -> Result<Result<Contents, String>> {
        let bytes = entry.stored_bytes();
        let Some(left) = self.budget.checked_sub(u64::from(bytes)) else {
            return Ok(Err("not checked: too many entries that overlap".to_owned()));
        };
        self.budget = left;
        let stored = self.file.get(u64::from(entry.payload_offset()), bytes as usize)?;
        let payload = match check_payload(entry, stored) {
            Ok(payload) => payload,
            Err(what) => return Ok(Err(what)),
        };
        Ok(match entry.kind {
            EntryKind::Block => self.streams.fits(entry).map(|()| Contents::Plain),
            EntryKind::Frame => sections(payload, &self.streams).map(Contents::Sections),
            EntryKind::Index => {
                let index = Index::decode(payload, entry.header.offset.get());
                index.map_err(|error| error.what).and_then(|index| {
                    let blocks = index.streams.iter().map(|blocks| blocks.entries.len()).sum();
                    self.streams.learn(index.catalog).map(|()| Contents::Index(blocks))
                })
            }
            EntryKind::Catalog => {
                Catalog::decode(payload).map_err(|error| error.what).and_then(|catalog| {
                    let streams = catalog.streams.len();
                    self.streams.learn(catalog).map(|()| Contents::Catalog(streams))
                })
            }
        })
    }

    /// Whether the entry follows the one before. Where it does not, and nothing unsound lies
    /// between, that is a fault; else it is worth a note.
    fn follow(
        &mut self,
        entry: &Entry,
        is_sound: bool,
        fault: &mut Option<String>,
    ) -> Option<String> {
        let header = &entry.header;
        let own = Link { number: header.number.get(), crc: header.previous_crc.get() };
        let next = Link { number: own.number.saturating_add(1), crc: header.header_crc.get() };
        let before = self.link.replace(next);
        let mut note = None;
        if before != Some(own) {
            let expected = before.map_or(0, |link| link.number);
            let what = format!("entry {} stands where entry {expected} was expected", own.number);
            if self.anchor == Some(own) {
                let what = "goes on behind what a crash left";
                note = Some(what.to_owned());
                self.anchor = None;
            } else if self.after_unsound {
                note = before.map(|_| what);
            } else if fault.is_none() {
                *fault = Some(if own.number == expected {
                    "does not chain to the entry before".to_owned()
                } else {
                    what
                });
                self.anchor = self.anchor.or(before);
            }
        } else if is_sound && !self.after_unsound {
            self.anchor = None;
        }
        if !is_sound {
            self.anchor = self.anchor.or(before);
        }
        note
    }

    fn unlike_index(&self, entry: &Entry) -> Option<String> {
        if entry.kind != EntryKind::Block {
            return None;
        }
        let header = &entry.header;
        match self.ends.indexed(header.stream.get(), header.first_sequence.get())? {
            Some(index)
                if index.header_crc == header.header_crc && index.offset == header.offset =>
            {
                None
            }
            _ => Some("the index does not tell of this block".to_owned()),
        }
    }

    /// The first sound header from `from` on, below `to`.
    fn sound_within(&mut self, from: u32, to: u32) -> Result<Option<u32>> {
        let Some(place) = self.place else { return Ok(None) };
        for offset in (from..to).step_by(ENTRY_ALIGN as usize) {
            let bytes = self.file.get(u64::from(offset), 128)?;
            if begins_entry(bytes, place, offset) {
                return Ok(Some(offset));
            }
        }
        Ok(None)
    }

    /// Moves to the next sound header, and tells what lies before it.
    fn pass_over(&mut self, what: &str) -> Result<()> {
        let from = self.at;
        let mut to = self.end;
        let mut used: Option<(u32, u32)> = None;
        for offset in (from..self.end).step_by(ENTRY_ALIGN as usize) {
            let len = (self.end - offset).min(ENTRY_ALIGN);
            let bytes = self.file.get(u64::from(offset), 128)?;
            if offset > from && self.place.is_some_and(|place| begins_entry(bytes, place, offset)) {
                to = offset;
                break;
            }
            let own = bytes.get(..len as usize).unwrap_or_default();
            if own.iter().any(|&byte| byte != 0) {
                let first = used.map_or(offset, |(first, _)| first);
                used = Some((first, offset.saturating_add(len)));
            }
        }
        let (first, last) = used.unwrap_or((to, to));
        let mut parts = Vec::new();
        let zeros = |from: u32, to: u32| Part::Zeros { from: from.into(), to: to.into() };
        if first > from {
            parts.push(zeros(from, first));
        }
        if last > first {
            let what = if first == from { what } else { "no entry begins here" }.to_owned();
            parts.push(Part::Unsound { from: first.into(), to: last.into(), what });
            self.anchor = self.anchor.or(self.link);
            self.after_unsound = true;
        }
        if to > last {
            parts.push(zeros(last, to));
        }
        parts.into_iter().rev().for_each(|part| self.ready.push_front(part));
        self.at = to;
        Ok(())
    }
}

fn begins_entry(bytes: &[u8], place: Place, offset: u32) -> bool {
    bytes.starts_with(&ENTRY_MAGIC) && Entry::parse(bytes, place, offset).is_ok()
}

/// The sections of a frame, in short.
fn sections(payload: &[u8], streams: &Streams) -> Result<Vec<SectionHead>, String> {
    let mut heads: Vec<SectionHead> = Vec::new();
    let mut seen = std::collections::BTreeSet::new();
    let mut rest = payload;
    while !rest.is_empty() {
        let record_bytes = |id| streams.get(id).map(|known| known.layout.record_bytes());
        let (section, later) = Section::decode(rest, record_bytes).map_err(|error| error.what)?;
        rest = later;
        if !seen.insert(section.stream) {
            return Err(format!("two sections of stream {}", section.stream));
        }
        let times = section.bytes.get(..8 * section.records as usize).unwrap_or_default();
        let times = times.as_chunks::<8>().0;
        let ts = |word: Option<&[u8; 8]>| word.map_or(0, |word| i64::from_le_bytes(*word));
        heads.push(SectionHead {
            stream: section.stream,
            first_sequence: section.first_sequence,
            records: section.records,
            first_ts: ts(times.first()),
            last_ts: ts(times.last()),
        });
    }
    Ok(heads)
}
