//! Reads an unsealed segment entry by entry, and tells a torn tail from rot.
//!
//! # Invariants
//! - An entry counts when its header, its payload, its number and its chain are right.
//! - What is unsound below a durable offset that a later sound entry names is rot: it is recorded
//!   and passed over. What is unsound above every such offset is a torn tail: the scan ends there.
//! - An entry that chains to the last sound one, wherever it lies behind torn bytes, was written by
//!   a recovery (or is the index behind reserved zeros), and the scan goes on with it. What lies
//!   before it with a number as high, or higher, is left over from before the crash.
//! - Bytes behind the end of the file count as zeros: what a crash cut off may have been nothing
//!   but zeros, and then the entry is sound whatever is written behind it later.
//! - Time and reads are linear in the file's length: the file is searched for entries behind
//!   unsound bytes once. A file that contradicts itself more often than any accident does is read
//!   up to there, and the rest is damage.
//! - A segment gets its name after its first catalog is durable: one without it is damaged.

use std::collections::BTreeMap;

use presence_format::block::BlockLayout;
use presence_format::catalog::{Catalog, StreamEntry};
use presence_format::checksum::PayloadChecks;
use presence_format::entry::{ENTRY_ALIGN, Entry, EntryKind, align_up};
use presence_format::segment::FIRST_ENTRY;
use presence_format::zeros::is_zeros;

use super::ahead::Ahead;
use super::file::SegmentFile;
use super::scanned::{ScannedStream, take_block, take_frame};
use super::window::Window;
use super::writer::End;
use crate::error::{Error, Result};
use crate::shim::Arc;

/// Damaged places of one segment that are told one by one.
const DAMAGE_MAX: usize = 10_000;
/// Payloads that turn out unsound may be read for this many bytes, and twice the file's length:
/// headers that overlap could claim any number.
const WASTE_MAX: u64 = 256 << 20;

/// Unsound bytes that were durable once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The segment's file.
    pub file: String,
    /// Where the unsound bytes begin.
    pub offset: u64,
    /// Where sound bytes begin again.
    pub end: u64,
    /// The fault found first.
    pub what: String,
}

/// A scan of one segment that can go on when the file has grown.
#[derive(Debug)]
pub(crate) struct Scanner {
    segment: Arc<SegmentFile>,
    window: Window,
    pub(crate) end: End,
    /// Where the last entry taken ends.
    taken_to: u32,
    /// The end before an index entry, where that came last.
    before_index: Option<End>,
    /// Largest durable offset known of.
    pub(crate) durable: u32,
    pub(crate) retained_from: u32,
    pub(crate) catalog: BTreeMap<u32, StreamEntry>,
    pub(crate) streams: BTreeMap<u32, ScannedStream>,
    pub(crate) damage: Vec<Damage>,
    /// Bytes of torn entries that others follow.
    torn_inside: u32,
    /// Bytes of torn entries at the end; beside a writer also of one being written.
    torn_end: u32,
    /// Where a recovery may go on writing.
    pub(crate) resume_at: u32,
    /// Sound headers behind the first unsound entry; none before there was one.
    ahead: Option<Ahead>,
    /// Whether something was followed before: what is zeros since then was not written yet.
    followed: bool,
    /// Bytes of payloads that were read for nothing.
    wasted: u64,
}

impl Scanner {
    /// A scan that has read nothing.
    pub(crate) fn new(segment: Arc<SegmentFile>) -> Self {
        let crc = segment.header.header_crc.get();
        Self {
            window: Window::new(Arc::clone(&segment)),
            segment,
            end: End { offset: FIRST_ENTRY, crc, entries: 0 },
            taken_to: FIRST_ENTRY,
            before_index: None,
            durable: FIRST_ENTRY + 1,
            retained_from: 0,
            catalog: BTreeMap::new(),
            streams: BTreeMap::new(),
            damage: Vec::new(),
            torn_inside: 0,
            torn_end: 0,
            resume_at: FIRST_ENTRY,
            ahead: None,
            followed: false,
            wasted: 0,
        }
    }

    /// The same, where segments before this one told of these streams.
    pub(crate) fn knowing(mut self, catalog: Catalog) -> Self {
        for entry in catalog.streams {
            let layout = Arc::new(BlockLayout::new(&entry.schema));
            self.streams.insert(entry.id, ScannedStream::new(layout));
            self.catalog.insert(entry.id, entry);
        }
        self
    }

    /// The first entry of a segment of the log, which tells of every stream.
    pub(crate) fn first_catalog(segment: &Arc<SegmentFile>) -> Option<Catalog> {
        let mut scanner = Self::new(Arc::clone(segment));
        let fault = scanner.step().ok()?;
        let streams = scanner.catalog.into_values().collect();
        fault.is_none().then_some(Catalog { retained_from: scanner.retained_from, streams })
    }

    /// Where the entries end, an index at the very end left out.
    pub(crate) fn data_end(&self) -> End {
        self.before_index.unwrap_or(self.entries_end())
    }

    /// Where the entries end, torn bytes and zeros behind the last one left out.
    pub(crate) fn entries_end(&self) -> End {
        End { offset: self.taken_to, ..self.end }
    }

    /// Bytes of torn entries, in the middle and at the end.
    pub(crate) fn torn_bytes(&self) -> u32 {
        self.torn_inside.saturating_add(self.torn_end)
    }

    /// Forgets what lies behind the end: in a copy of the sound entries it is not there.
    pub(crate) fn cut_end(&mut self) {
        self.torn_end = 0;
        self.resume_at = self.end.offset;
    }

    /// Takes what a reader beside a writer may: as [`Scanner::recover`], but what looks like a torn
    /// tail is not there yet.
    pub(crate) fn follow(&mut self) -> Result<()> {
        self.window.clear();
        self.ahead = None;
        self.torn_end = 0;
        self.wasted = 0;
        loop {
            let fault = self.run()?;
            let offset = self.end.offset;
            let nothing_yet = is_zeros(self.window.get(offset, ENTRY_ALIGN as usize)?);
            if nothing_yet && self.followed {
                break;
            }
            // The writer may have written here after these bytes were read: the durable offset of
            // what was found behind them tells that a second look sees all of it.
            self.ahead(offset)?;
            self.window.clear();
            if self.step()?.is_none() {
                continue;
            }
            let Some(next) = self.look_ahead(&fault)? else { break };
            self.end.offset = next;
        }
        self.followed = true;
        Ok(())
    }

    /// Takes every entry that counts, passing over rot; what is left is a torn tail. Everything
    /// below `durable` is known to have been durable.
    pub(crate) fn recover(&mut self, durable: u32) -> Result<()> {
        self.durable = self.durable.max(durable);
        loop {
            let fault = self.run()?;
            let Some(next) = self.look_ahead(&fault)? else { return Ok(()) };
            self.end.offset = next;
        }
    }

    /// Takes entries up to the first that is unsound, and tells what is wrong with that.
    fn run(&mut self) -> Result<String> {
        loop {
            if let Some(fault) = self.step()? {
                return Ok(fault);
            }
        }
    }

    /// Takes the entry at the end, or tells what is wrong with it. Reading fails as an error.
    fn step(&mut self) -> Result<Option<String>> {
        let offset = self.end.offset;
        let entry = match Entry::parse(
            self.window.get_padded(offset, 128)?,
            self.segment.place(),
            offset,
        ) {
            Ok(entry) => entry,
            Err(error) => return Ok(Some(error.what)),
        };
        if entry.header.number.get() != self.end.entries
            || entry.header.previous_crc.get() != self.end.crc
        {
            return Ok(Some("the entry does not follow the one before".to_owned()));
        }
        if let Err(what) = self.take(&entry)? {
            self.wasted = self.wasted.saturating_add(u64::from(entry.stored_bytes()));
            return Ok(Some(what));
        }
        self.before_index = (entry.kind == EntryKind::Index).then_some(self.entries_end());
        self.end = End {
            offset: entry.end(),
            crc: entry.header.header_crc.get(),
            entries: self.end.entries.saturating_add(1),
        };
        self.taken_to = self.end.offset;
        self.resume_at = self.end.offset;
        Ok(None)
    }

    fn take(&mut self, entry: &Entry) -> Result<Result<(), String>> {
        let stored = entry.stored_bytes() as usize;
        let stored = self.window.get_padded(entry.payload_offset(), stored)?;
        let payload_bytes = entry.header.payload_bytes.get();
        let Some((payload, table)) = stored.split_at_checked(payload_bytes as usize) else {
            return Ok(Err("the file ends inside the entry".to_owned()));
        };
        let sound = PayloadChecks::new(payload_bytes, entry.header.payload_crc.get(), table)
            .and_then(|checks| checks.check(payload));
        if let Err(error) = sound {
            return Ok(Err(error.what));
        }
        let taken = match entry.kind {
            EntryKind::Catalog => match Catalog::decode(payload) {
                Ok(catalog) => {
                    self.take_catalog(entry, catalog);
                    Ok(())
                }
                Err(error) => Err(error),
            },
            EntryKind::Frame => take_frame(&mut self.streams, entry, payload),
            EntryKind::Block => take_block(&mut self.streams, entry),
            EntryKind::Index => Ok(()),
        };
        match taken {
            Ok(()) => {
                self.durable = self.durable.max(entry.header.durable_offset.get());
                Ok(Ok(()))
            }
            Err(error) => Ok(Err(error.what)),
        }
    }

    /// Takes what a catalog says of streams, but for what contradicts an earlier one.
    fn take_catalog(&mut self, entry: &Entry, catalog: Catalog) {
        let at = (entry.header.offset.get(), entry.end());
        if catalog.retained_from <= self.segment.header.log_last.get() {
            self.retained_from = self.retained_from.max(catalog.retained_from);
        } else {
            self.note_damage(at.0, at.1, "a catalog that gives up its own segment");
        }
        for stream in catalog.streams {
            let known = self.catalog.get(&stream.id);
            if known.is_some_and(|known| !known.is_same(&stream)) {
                let what = format!("stream {} has another name or schema than before", stream.id);
                self.note_damage(at.0, at.1, &what);
                continue;
            }
            let layout = || Arc::new(BlockLayout::new(&stream.schema));
            self.streams.entry(stream.id).or_insert_with(|| ScannedStream::new(layout()));
            self.catalog.insert(stream.id, stream);
        }
    }

    /// Looks behind an unsound entry for the place to go on. `None` where the rest is a torn tail.
    fn look_ahead(&mut self, fault: &str) -> Result<Option<u32>> {
        let End { offset: bad, entries, crc } = self.end;
        let (follower, above, durable, used, overflow) = {
            let ahead = self.ahead(bad)?;
            let follower = ahead.above(bad, entries).filter(|next| next.number == entries);
            let above = ahead.above(bad, entries.saturating_add(1));
            (follower, above, ahead.durable, ahead.used, ahead.overflow)
        };
        self.durable = self.durable.max(durable);
        if let Some(why) = self.gives_up(overflow)? {
            self.note_damage(bad, used.max(bad), why);
        } else if let Some(next) = follower.filter(|next| next.previous_crc == crc) {
            let torn = next.used_before.saturating_sub(bad);
            self.torn_inside = self.torn_inside.saturating_add(torn);
            return Ok(Some(next.offset));
        } else if let Some(next) = above.filter(|_| self.durable > bad) {
            self.note_damage(bad, next.offset, fault);
            self.end.crc = next.previous_crc;
            self.end.entries = next.number;
            return Ok(Some(next.offset));
        } else if self.durable > bad && self.is_missed(bad, used) {
            self.note_damage(bad, used.min(self.durable).max(bad), fault);
        }
        self.torn_end = used.saturating_sub(bad);
        self.resume_at = align_up(used.max(bad));
        Ok(None)
    }

    fn note_damage(&mut self, from: u32, to: u32, what: &str) {
        self.damage.push(Damage {
            file: self.segment.name.clone(),
            offset: u64::from(from),
            end: u64::from(to),
            what: what.to_owned(),
        });
    }

    /// Whether anybody misses what lies from `bad` on: nobody what was never there, behind the
    /// durable end of a segment with a successor, nor what can only be a footer behind its index.
    fn is_missed(&self, bad: u32, used: u32) -> bool {
        let is_footer = self.before_index.is_some() && used.saturating_sub(bad) <= 2 * ENTRY_ALIGN;
        bad == FIRST_ENTRY || (used > bad && !is_footer)
    }

    /// Why the scan does not go on, where the file contradicts itself too often.
    fn gives_up(&self, overflow: bool) -> Result<Option<&'static str>> {
        let file = &self.segment;
        let len = file.file.len().map_err(Error::io("measure", &file.name))?;
        Ok(if overflow {
            Some("too many entries that do not follow each other; not read from here on")
        } else if self.damage.len() >= DAMAGE_MAX {
            Some("too many damaged places; not read from here on")
        } else if self.wasted > WASTE_MAX.saturating_add(len.saturating_mul(2)) {
            Some("too many entries whose payload is unsound; not read from here on")
        } else {
            None
        })
    }

    /// The sound headers behind `bad`: found once, kept for the rest of the scan.
    fn ahead(&mut self, bad: u32) -> Result<&Ahead> {
        if self.ahead.is_none() {
            self.ahead = Some(Ahead::search(&mut self.window, self.segment.place(), bad)?);
        }
        Ok(self.ahead.get_or_insert_default())
    }
}
