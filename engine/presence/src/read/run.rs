//! Runs: the blocks of one stream in one segment, with their sparse index.
//!
//! # Invariants
//! - Blocks ascend in time and sequence.
//! - A block's checksum is checked before its first record is handed out, and once.

use presence_format::Compression;
use presence_format::block::BlockLayout;
use presence_format::index::IndexEntry;

use super::cache::Pages;
use super::lane::{self, Lane};
use super::page::Page;
use super::search::{self, Line};
use super::slot::Slot;
use crate::error::{Error, Result};
use crate::segment::{BlockPayload, SegmentFile};
use crate::shim::atomic::{AtomicU8, Ordering};
use crate::shim::{Arc, OnceLock};

/// What a question needs to know of a block, in half a cache line.
#[derive(Debug, Clone, Copy)]
struct Row {
    line: Line,
    /// Where the payload begins.
    payload: u32,
    /// Bytes of the decoded block.
    decoded_bytes: u32,
}

/// Blocks of one stream in one segment.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) segment: Arc<SegmentFile>,
    first_ts: Box<[i64]>,
    /// The line through the first timestamps: about which block a time is in.
    line: Line,
    rows: Box<[Row]>,
    entries: Box<[IndexEntry]>,
    /// Per block: [`PLAIN`], [`ENCODED`], or not looked at yet.
    kinds: Box<[AtomicU8]>,
    /// Per block, the timestamp of every so many records, once it was read: a large block's
    /// straight line strays too far.
    samples: Box<[OnceLock<Box<[i64]>>]>,
    /// Where decoded pages are; made when the first block is decoded.
    decoded: OnceLock<Decoded>,
}

/// Where the decoded pages of a run are.
#[derive(Debug)]
struct Decoded {
    lane: Arc<Lane>,
    /// Per block, where its page hangs.
    slots: Box<[Arc<Slot>]>,
}

impl Decoded {
    fn of(lane: Arc<Lane>) -> Self {
        Self { slots: lane.slots(), lane }
    }
}

impl Run {
    /// The blocks `entries` of a segment; at least one.
    pub(crate) fn new(
        segment: Arc<SegmentFile>,
        layout: &BlockLayout,
        entries: &[IndexEntry],
    ) -> Self {
        let row = |entry: &IndexEntry| {
            let records = entry.records.get() as usize;
            Row {
                line: Line::new(0, records, entry.first_ts.get(), entry.last_ts.get()),
                payload: entry.offset.get().saturating_add(BLOCK_HEADER_BYTES),
                decoded_bytes: u32::try_from(layout.decoded_bytes(records)).unwrap_or(u32::MAX),
            }
        };
        Self::of_rows(segment, entries.iter().map(row).collect(), entries)
    }

    /// The run with the blocks at the indexes `kept`, ascending.
    pub(crate) fn keeping(&self, kept: &[usize]) -> Self {
        let row = |&index: &usize| self.rows.get(index).copied();
        let entry = |&index: &usize| self.entries.get(index).copied();
        let entries: Vec<IndexEntry> = kept.iter().filter_map(entry).collect();
        Self::of_rows(Arc::clone(&self.segment), kept.iter().filter_map(row).collect(), &entries)
    }

    fn of_rows(segment: Arc<SegmentFile>, rows: Box<[Row]>, entries: &[IndexEntry]) -> Self {
        let first_ts: Box<[i64]> = entries.iter().map(|entry| entry.first_ts.get()).collect();
        let (first, last) = (first_ts.first().copied(), first_ts.last().copied());
        Self {
            segment,
            line: Line::new(0, entries.len(), first.unwrap_or(0), last.unwrap_or(0)),
            rows,
            first_ts,
            entries: entries.into(),
            kinds: entries.iter().map(|_| AtomicU8::new(0)).collect(),
            samples: entries.iter().map(|_| OnceLock::new()).collect(),
            decoded: OnceLock::new(),
        }
    }

    /// The run with more blocks. What is known of the others stays: checks, samples, pages.
    pub(crate) fn extended(&self, layout: &BlockLayout, more: &[IndexEntry]) -> Self {
        let entries = [&self.entries[..], more].concat();
        let run = Self::new(Arc::clone(&self.segment), layout, &entries);
        for (new, old) in run.kinds.iter().zip(&self.kinds) {
            new.store(old.load(Ordering::Relaxed), Ordering::Relaxed);
        }
        for (new, old) in run.samples.iter().zip(&self.samples) {
            if let Some(samples) = old.get() {
                let _first = new.set(samples.clone());
            }
        }
        if let Some(decoded) = self.decoded.get() {
            decoded.lane.extend(&entries);
            let _first = run.decoded.set(Decoded::of(Arc::clone(&decoded.lane)));
        }
        run
    }

    /// About where in block `block` a record at `t` is: its index.
    #[inline]
    pub(crate) fn guess(&self, block: usize, t: i64) -> usize {
        match self.samples.get(block).and_then(OnceLock::get) {
            Some(samples) => self.guess_in(block, samples, t),
            None => self.rows.get(block).map_or(0, |row| row.line.guess(t)),
        }
    }

    /// The guess between two samples.
    fn guess_in(&self, block: usize, samples: &[i64], t: i64) -> usize {
        let above = samples.iter().map(|&sample| usize::from(sample <= t)).sum::<usize>();
        let below = above.saturating_sub(1);
        let base = below * SAMPLE_RECORDS;
        let Some(entry) = self.entries.get(block) else { return 0 };
        let from = samples.get(below).copied().unwrap_or(entry.first_ts.get());
        let records = entry.records.get() as usize;
        match samples.get(above) {
            Some(&to) => Line::new(base, SAMPLE_RECORDS + 1, from, to).guess(t),
            None => {
                Line::new(base, records.saturating_sub(base), from, entry.last_ts.get()).guess(t)
            }
        }
    }

    /// Keeps samples of a block's timestamps, where it is large.
    fn sample(&self, block: usize, page: &Page) {
        if let Some(samples) = self.samples.get(block)
            && page.records() > 2 * SAMPLE_RECORDS
        {
            samples.get_or_init(|| page.times().iter().step_by(SAMPLE_RECORDS).copied().collect());
        }
    }

    fn decoded(&self, layout: &Arc<BlockLayout>, pages: &Arc<Pages>) -> &Decoded {
        self.decoded.get_or_init(|| {
            let (segment, layout) = (Arc::clone(&self.segment), Arc::clone(layout));
            Decoded::of(Lane::new(pages, lane::Records { segment, layout }, &self.entries))
        })
    }

    /// Asks `question` of the decoded bytes of block `block`, where they are at hand.
    #[inline]
    pub(crate) fn with_decoded<R>(
        &self,
        block: usize,
        pages: &Pages,
        question: impl FnOnce(&[u8]) -> R,
    ) -> Option<R> {
        self.decoded.get()?.slots.get(block)?.with(pages.loads(), |page| question(page))
    }

    /// Has block `block` on its way before it is asked for: from the medium into memory, or, where
    /// it is going to be decoded, into the cache, for which its key is returned.
    pub(crate) fn read_ahead(
        &self,
        block: usize,
        layout: &Arc<BlockLayout>,
        pages: &Arc<Pages>,
    ) -> Option<(u64, u32)> {
        let kind = self.kinds.get(block)?.load(Ordering::Relaxed);
        let entry = self.entries.get(block)?;
        let is_mapped = self.segment.mapped(entry.offset.get(), 1).is_some();
        if is_mapped && kind != ENCODED && self.decoded.get().is_none() {
            if kind != PLAIN {
                self.segment.will_need(entry);
            }
            return None;
        }
        let decoded = self.decoded(layout, pages);
        let wanted = kind != PLAIN && decoded.slots.get(block)?.is_empty();
        wanted.then(|| (decoded.lane.number(), u32::try_from(block).unwrap_or(u32::MAX)))
    }

    /// The sparse index.
    pub(crate) fn entries(&self) -> &[IndexEntry] {
        &self.entries
    }

    /// Records of block `block`; zero where there is none.
    pub(crate) fn records(&self, block: usize) -> usize {
        self.entries.get(block).map_or(0, |entry| entry.records.get() as usize)
    }

    /// Timestamp of the run's first record.
    pub(crate) fn first_ts(&self) -> i64 {
        self.first_ts.first().copied().unwrap_or(i64::MAX)
    }

    /// Timestamp of the run's last record.
    pub(crate) fn last_ts(&self) -> i64 {
        self.entries.last().map_or(i64::MIN, |entry| entry.last_ts.get())
    }

    /// Sequence of the run's first record.
    pub(crate) fn first_sequence(&self) -> u64 {
        self.entries.first().map_or(0, |entry| entry.first_sequence.get())
    }

    /// Sequence after the run's last record.
    pub(crate) fn end_sequence(&self) -> u64 {
        self.entries.last().map_or(0, IndexEntry::end_sequence)
    }

    /// The last block whose first timestamp is at most `t` (`inclusive`) or less than it.
    #[inline]
    pub(crate) fn block_at(&self, t: i64, inclusive: bool) -> Option<usize> {
        let count = search::count_near(&self.first_ts, self.line.guess(t), t, inclusive);
        count.checked_sub(1)
    }

    /// The decoded bytes of block `block`, borrowed from the map; `None` where it was not checked
    /// yet, or must be decoded.
    #[inline]
    pub(crate) fn mapped_block(&self, block: usize) -> Option<&[u8]> {
        if self.kinds.get(block)?.load(Ordering::Relaxed) != PLAIN {
            return None;
        }
        let row = self.rows.get(block)?;
        self.segment.mapped(row.payload, row.decoded_bytes as usize)
    }

    /// Whether block `block` is stored so that single columns of it can be decoded, and not at hand
    /// decoded.
    fn is_to_decode(&self, block: usize) -> bool {
        let kind = self.kinds.get(block).map(|kind| kind.load(Ordering::Relaxed));
        let slot = || self.decoded.get().and_then(|decoded| decoded.slots.get(block));
        kind != Some(PLAIN) && slot().is_none_or(|slot| slot.is_empty())
    }

    /// The stored payload of block `block`, checked, where single columns of it can be decoded and
    /// it is not at hand decoded.
    pub(crate) fn payload(
        &self,
        block: usize,
        layout: &BlockLayout,
    ) -> Result<Option<BlockPayload<'_>>> {
        let Some(index) = self.entries.get(block).filter(|_| self.is_to_decode(block)) else {
            return Ok(None);
        };
        let entry = self.segment.block_entry(index)?;
        let compression = entry.block.map(|block| Compression::from_code(block.compression));
        match compression {
            Some(Ok(compression)) if layout.has_runs(compression) => {
                self.segment.block_payload(&entry, layout).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// The page of block `block`.
    #[inline]
    pub(crate) fn page(
        self: &Arc<Self>,
        block: usize,
        layout: &Arc<BlockLayout>,
        pages: &Arc<Pages>,
    ) -> Result<Page> {
        let (Some(entry), Some(kind)) = (self.entries.get(block), self.kinds.get(block)) else {
            return Err(Error::invalid(format!(
                "block {block} of a run of {}",
                self.entries.len()
            )));
        };
        let records = entry.records.get() as usize;
        if kind.load(Ordering::Relaxed) == PLAIN {
            let offset = entry.offset.get() + BLOCK_HEADER_BYTES;
            return Ok(Page::mapped(&self.segment, offset, layout, records));
        }
        self.load(block, entry, kind, layout, pages)
    }

    fn load(
        &self,
        block: usize,
        index: &IndexEntry,
        kind: &AtomicU8,
        layout: &Arc<BlockLayout>,
        pages: &Arc<Pages>,
    ) -> Result<Page> {
        let records = index.records.get() as usize;
        let segment = &self.segment;
        let offset = index.offset.get();
        if kind.load(Ordering::Relaxed) != ENCODED && segment.mapped(offset, 1).is_some() {
            let entry = segment.block_entry(index)?;
            let as_it_is = entry.block.is_some_and(|block| {
                block.compression == Compression::None.code()
                    && block.schema_crc.get() == layout.schema_crc()
                    && entry.header.payload_bytes.get() as usize == layout.decoded_bytes(records)
            });
            if as_it_is {
                segment.check_mapped(&entry, layout)?;
                let page = Page::mapped(segment, entry.payload_offset(), layout, records);
                self.sample(block, &page);
                kind.store(PLAIN, Ordering::Relaxed);
                return Ok(page);
            }
            kind.store(ENCODED, Ordering::Relaxed);
        }
        let decoded = self.decoded(layout, pages);
        let (Some(slot), Ok(number)) = (decoded.slots.get(block), u32::try_from(block)) else {
            return Err(Error::invalid(format!("block {block} has no place for its page")));
        };
        let bytes = pages.get(&decoded.lane, number, slot)?;
        let page = Page::owned(bytes, layout, records);
        self.sample(block, &page);
        Ok(page)
    }
}

/// Records between two samples of a large block's timestamps.
const SAMPLE_RECORDS: usize = 2048;
/// The block was checked, and lies in the map as it is.
const PLAIN: u8 = 1;
/// The block must be decoded into a page.
const ENCODED: u8 = 2;
const BLOCK_HEADER_BYTES: u32 = presence_format::entry::EntryKind::Block.header_bytes();
