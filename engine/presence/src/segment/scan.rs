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

use std::collections::{BTreeMap, BTreeSet};

use presence_format::FormatError;
use presence_format::block::BlockLayout;
use presence_format::caps::SEGMENT_BYTES_MAX;
use presence_format::catalog::{Catalog, StreamEntry};
use presence_format::checksum::PayloadChecks;
use presence_format::entry::{ENTRY_ALIGN, ENTRY_MAGIC, Entry, EntryKind, align_up};
use presence_format::frame::Section;
use presence_format::index::IndexEntry;
use presence_format::segment::FIRST_ENTRY;

use super::file::SegmentFile;
use super::writer::End;
use crate::error::{Error, Result};
use crate::shim::Arc;

/// Damaged places of one segment that are told one by one.
const DAMAGE_MAX: usize = 10_000;
/// Sound headers behind the first unsound entry that are kept: 32 MiB of them.
const AHEAD_MAX: usize = 2 << 20;
/// Zeros are passed over in steps of this.
const SKIP: usize = 4096;
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

/// Records of frames that no block repeats yet, as lanes.
#[derive(Debug, Clone)]
pub(crate) struct Piece {
    pub(crate) first_sequence: u64,
    pub(crate) records: usize,
    pub(crate) lanes: Vec<Vec<u8>>,
}

impl Piece {
    /// The sequence after the last record.
    pub(crate) fn end_sequence(&self) -> u64 {
        self.first_sequence.saturating_add(self.records as u64)
    }
}

/// What a scan found of one stream.
#[derive(Debug, Clone)]
pub(crate) struct ScannedStream {
    pub(crate) layout: Arc<BlockLayout>,
    pub(crate) blocks: Vec<IndexEntry>,
    /// Behind the last block; more than one only where rot took a frame between them. Of a plane
    /// all words of frames.
    pub(crate) tail: Vec<Piece>,
}

impl ScannedStream {
    fn new(layout: Arc<BlockLayout>) -> Self {
        Self { layout, blocks: Vec::new(), tail: Vec::new() }
    }

    /// Where the sequence goes on behind all blocks and frames.
    pub(crate) fn end_sequence(&self) -> u64 {
        let in_blocks = self.blocks.last().map_or(0, IndexEntry::end_sequence);
        self.tail.last().map_or(0, Piece::end_sequence).max(in_blocks)
    }

    fn take_block(&mut self, index: IndexEntry) {
        let end = index.end_sequence();
        self.blocks.push(index);
        // A region stands for what came before of its own ticks only.
        if self.layout.is_plane() {
            return;
        }
        self.tail.retain(|piece| piece.end_sequence() > end);
        for piece in &mut self.tail {
            let done = end.saturating_sub(piece.first_sequence) as usize;
            for (lane, shape) in piece.lanes.iter_mut().zip(self.layout.lanes()) {
                lane.drain(..(done * shape.value_bytes).min(lane.len()));
            }
            piece.records -= done;
            piece.first_sequence += done as u64;
        }
    }

    /// Sections follow each other and the blocks, and keep the stream's order.
    fn check_section(&self, section: &Section<'_>) -> presence_format::error::Result<()> {
        if section.first_sequence < self.end_sequence() {
            return Err(FormatError::corrupt(0, "a frame that repeats records"));
        }
        let times = section.lanes(&self.layout).next().unwrap_or_default();
        let in_tail = self.tail.last().and_then(|piece| piece.lanes.first()?.last_chunk());
        let in_blocks = self.blocks.last().map(|block| block.last_ts.get());
        let last = in_tail.map(|word| i64::from_le_bytes(*word)).or(in_blocks);
        self.layout.check_order(last, times)
    }

    fn take_section(&mut self, section: &Section<'_>) {
        let continues =
            self.tail.last().is_some_and(|piece| piece.end_sequence() == section.first_sequence);
        if !continues {
            self.tail.push(Piece {
                first_sequence: section.first_sequence,
                records: 0,
                lanes: vec![Vec::new(); self.layout.lanes().len()],
            });
        }
        if let Some(piece) = self.tail.last_mut() {
            for (lane, bytes) in piece.lanes.iter_mut().zip(section.lanes(&self.layout)) {
                lane.extend_from_slice(bytes);
            }
            piece.records += section.records as usize;
        }
    }
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

/// Sound headers that lie behind unsound bytes, ascending in offset and number.
#[derive(Debug, Default)]
struct Ahead {
    headers: Vec<AheadHeader>,
    /// Largest durable offset that one of them names.
    durable: u32,
    /// Whether there are more than are kept.
    overflow: bool,
    /// End of the last byte that is not zero.
    used: u32,
}

#[derive(Debug, Clone, Copy)]
struct AheadHeader {
    offset: u32,
    number: u32,
    previous_crc: u32,
    /// End of the last byte before it that is not zero.
    used_before: u32,
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
            let nothing_yet =
                self.window.get(offset, ENTRY_ALIGN as usize)?.iter().all(|&byte| byte == 0);
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
    ///
    /// A header counts only while none behind it has a number as low: what has is left over from
    /// before a crash whose recovery wrote those behind it.
    fn ahead(&mut self, bad: u32) -> Result<&Ahead> {
        if self.ahead.is_none() {
            let place = self.segment.place();
            let mut ahead = Ahead { used: bad, ..Ahead::default() };
            let mut offset = bad;
            while offset < SEGMENT_BYTES_MAX {
                // Only where a step begins: at the end of the file it cannot be held.
                if offset.is_multiple_of(SKIP as u32) {
                    let skipped = self.window.get(offset, SKIP)?;
                    if skipped.len() == SKIP && skipped.iter().all(|&byte| byte == 0) {
                        offset = offset.saturating_add(SKIP as u32);
                        continue;
                    }
                }
                let bytes = self.window.get(offset, 128)?;
                let chunk = bytes.get(..bytes.len().min(ENTRY_ALIGN as usize)).unwrap_or_default();
                if chunk.is_empty() {
                    break;
                }
                if offset > bad
                    && chunk.starts_with(&ENTRY_MAGIC)
                    && let Ok(entry) = Entry::parse(bytes, place, offset)
                {
                    ahead.take(&entry, offset);
                }
                if let Some(last) = chunk.iter().rposition(|&byte| byte != 0) {
                    ahead.used = offset.saturating_add(last as u32 + 1);
                }
                offset = offset.saturating_add(ENTRY_ALIGN);
            }
            self.ahead = Some(ahead);
        }
        Ok(self.ahead.get_or_insert_default())
    }
}

impl Ahead {
    fn take(&mut self, entry: &Entry, offset: u32) {
        let number = entry.header.number.get();
        while self.headers.last().is_some_and(|last| last.number >= number) {
            self.headers.pop();
        }
        self.durable = self.durable.max(entry.header.durable_offset.get());
        if self.headers.len() >= AHEAD_MAX {
            self.overflow = true;
            return;
        }
        self.headers.push(AheadHeader {
            offset,
            number,
            previous_crc: entry.header.previous_crc.get(),
            used_before: self.used,
        });
    }

    /// The first header above `offset` with at least this number.
    fn above(&self, offset: u32, number: u32) -> Option<AheadHeader> {
        let is_below = |header: &AheadHeader| header.offset <= offset || header.number < number;
        let at = self.headers.partition_point(is_below);
        self.headers.get(at).copied()
    }
}

fn take_block(
    streams: &mut BTreeMap<u32, ScannedStream>,
    entry: &Entry,
) -> presence_format::error::Result<()> {
    let stream = streams.get_mut(&entry.header.stream.get());
    let (Some(stream), Some(index)) = (stream, IndexEntry::of(entry)) else {
        return Err(FormatError::corrupt(32, "block of an unknown stream"));
    };
    let ascends = stream.blocks.last().is_none_or(|last| {
        last.end_sequence() <= index.first_sequence.get()
            && stream.layout.allows(last.last_ts.get(), index.first_ts.get())
    });
    if !ascends {
        return Err(FormatError::corrupt(40, "block out of order"));
    }
    stream.take_block(index);
    Ok(())
}

fn take_frame(
    streams: &mut BTreeMap<u32, ScannedStream>,
    entry: &Entry,
    payload: &[u8],
) -> presence_format::error::Result<()> {
    let record_bytes = |stream| streams.get(&stream).map(|found| found.layout.record_bytes());
    let mut sections = Vec::new();
    let mut seen = BTreeSet::new();
    let mut rest = payload;
    let mut records = 0_u64;
    while !rest.is_empty() {
        let section;
        (section, rest) = Section::decode(rest, record_bytes)?;
        if !seen.insert(section.stream) {
            return Err(FormatError::corrupt(0, "a frame with two sections of one stream"));
        }
        if let Some(stream) = streams.get(&section.stream) {
            stream.check_section(&section)?;
        }
        records += u64::from(section.records);
        sections.push(section);
    }
    if records != u64::from(entry.header.records.get()) {
        return Err(FormatError::corrupt(36, format!("a frame of {records} records")));
    }
    for section in sections {
        if let Some(stream) = streams.get_mut(&section.stream) {
            stream.take_section(&section);
        }
    }
    Ok(())
}

/// A window of the file, moved along as the scan goes.
#[derive(Debug)]
struct Window {
    segment: Arc<SegmentFile>,
    start: u32,
    /// Bytes of the file, and zeros behind its end where they were asked for.
    bytes: Vec<u8>,
    /// How many of them are the file's.
    read: usize,
}

const WINDOW_BYTES: usize = 256 << 10;

impl Window {
    fn new(segment: Arc<SegmentFile>) -> Self {
        Self { segment, start: 0, bytes: Vec::new(), read: 0 }
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.read = 0;
    }

    /// Up to `len` bytes from `offset` on; fewer at the end of the file.
    fn get(&mut self, offset: u32, len: usize) -> Result<&[u8]> {
        let from = self.hold(offset, len)?;
        let to = from.saturating_add(len).min(self.read);
        Ok(self.bytes.get(from..to).unwrap_or_default())
    }

    /// `len` bytes from `offset` on, zeros behind the end of the file.
    fn get_padded(&mut self, offset: u32, len: usize) -> Result<&[u8]> {
        let from = self.hold(offset, len)?;
        Ok(self.bytes.get(from..from.saturating_add(len)).unwrap_or_default())
    }

    /// Sees to it that the range is held, and tells where it begins.
    fn hold(&mut self, offset: u32, len: usize) -> Result<usize> {
        let held = self.start as usize..self.start as usize + self.bytes.len();
        let want = offset as usize..(offset as usize).saturating_add(len);
        if !(held.contains(&want.start) && want.end <= held.end) {
            self.fill(offset, len)?;
        }
        Ok((offset - self.start) as usize)
    }

    fn fill(&mut self, offset: u32, len: usize) -> Result<()> {
        let name = &self.segment.name;
        let file_bytes = self.segment.file.len().map_err(Error::io("measure", name))?;
        let left = usize::try_from(file_bytes.saturating_sub(u64::from(offset)));
        let want = len.max(WINDOW_BYTES).min(left.unwrap_or(usize::MAX));
        self.start = offset;
        self.bytes.clear();
        self.bytes.resize(want, 0);
        self.read = self
            .segment
            .file
            .read_at(&mut self.bytes, u64::from(offset))
            .map_err(Error::io("read", name))?;
        self.bytes.truncate(self.read);
        self.bytes.resize(self.read.max(len), 0);
        Ok(())
    }
}
