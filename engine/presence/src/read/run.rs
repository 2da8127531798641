//! Runs: the blocks of one stream in one segment, with their sparse index.
//!
//! # Invariants
//! - Blocks ascend in time and sequence.
//! - A block's checksum is checked before its first record is handed out, and once.

use presence_format::Compression;
use presence_format::block::BlockLayout;
use presence_format::index::IndexEntry;

use super::cache::{PageCache, Slot};
use super::page::Page;
use super::search::{self, Line};
use crate::error::{Error, Result};
use crate::segment::SegmentFile;
use crate::shim::atomic::{AtomicU8, Ordering};
use crate::shim::{Arc, OnceLock};

/// Blocks of one stream in one segment.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) segment: Arc<SegmentFile>,
    first_ts: Box<[i64]>,
    entries: Box<[IndexEntry]>,
    /// Per block: [`PLAIN`], [`ENCODED`], or not looked at yet.
    kinds: Box<[AtomicU8]>,
    /// Per block, the timestamp of every so many records, once it was read: a large block's
    /// straight line strays too far.
    samples: Box<[OnceLock<Box<[i64]>>]>,
    /// Per block, where its decoded page hangs; made when the first block is decoded.
    slots: OnceLock<Box<[Arc<Slot>]>>,
}

impl Run {
    /// The blocks `entries` of a segment; at least one.
    pub(crate) fn new(segment: Arc<SegmentFile>, entries: &[IndexEntry]) -> Self {
        Self {
            segment,
            first_ts: entries.iter().map(|entry| entry.first_ts.get()).collect(),
            entries: entries.into(),
            kinds: entries.iter().map(|_| AtomicU8::new(0)).collect(),
            samples: entries.iter().map(|_| OnceLock::new()).collect(),
            slots: OnceLock::new(),
        }
    }

    /// The run with one block more. Pages decoded already stay.
    pub(crate) fn extended(&self, entry: &IndexEntry) -> Self {
        let entries = [&self.entries[..], std::slice::from_ref(entry)].concat();
        let run = Self::new(Arc::clone(&self.segment), &entries);
        if let Some(slots) = self.slots.get() {
            let slots = slots.iter().cloned().chain([Arc::default()]).collect();
            let _first = run.slots.set(slots);
        }
        run
    }

    /// The line on which `t` is looked for in block `block`, whose index entry is `entry`.
    #[inline]
    pub(crate) fn line(&self, block: usize, entry: &IndexEntry, t: i64) -> Line {
        let records = entry.records.get() as usize;
        let (first, last) = (entry.first_ts.get(), entry.last_ts.get());
        let Some(samples) = self.samples.get(block).and_then(OnceLock::get) else {
            return Line::new(0, records, first, last);
        };
        let above = samples.iter().map(|&sample| usize::from(sample <= t)).sum::<usize>();
        let below = above.saturating_sub(1);
        let from = samples.get(below).copied().unwrap_or(first);
        let base = below * SAMPLE_RECORDS;
        match samples.get(above) {
            Some(&to) => Line::new(base, SAMPLE_RECORDS + 1, from, to),
            None => Line::new(base, records.saturating_sub(base), from, last),
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

    fn slot(&self, block: usize) -> Option<&Arc<Slot>> {
        self.slots.get_or_init(|| self.entries.iter().map(|_| Arc::default()).collect()).get(block)
    }

    /// Asks `question` of the decoded bytes of block `block`, where they are in the cache.
    #[inline]
    pub(crate) fn with_cached<R>(
        &self,
        block: usize,
        question: impl FnOnce(&[u8]) -> R,
    ) -> Option<R> {
        self.slots.get()?.get(block)?.with(|page| question(page))
    }

    /// The sparse index.
    pub(crate) fn entries(&self) -> &[IndexEntry] {
        &self.entries
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
        let count = if inclusive {
            search::count_at_most(&self.first_ts, t)
        } else {
            search::count_less(&self.first_ts, t)
        };
        count.checked_sub(1)
    }

    /// The decoded bytes of block `block`, borrowed from the map; `None` where it was not checked
    /// yet, or must be decoded.
    #[inline]
    pub(crate) fn mapped_block(&self, block: usize, layout: &BlockLayout) -> Option<&[u8]> {
        if self.kinds.get(block)?.load(Ordering::Relaxed) != PLAIN {
            return None;
        }
        let entry = self.entries.get(block)?;
        let bytes = layout.decoded_bytes(entry.records.get() as usize);
        self.segment.mapped(entry.offset.get() + BLOCK_HEADER_BYTES, bytes)
    }

    /// The page of block `block`.
    #[inline]
    pub(crate) fn page(
        self: &Arc<Self>,
        block: usize,
        layout: &Arc<BlockLayout>,
        cache: &PageCache,
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
        self.load(block, entry, kind, layout, cache)
    }

    fn load(
        &self,
        block: usize,
        index: &IndexEntry,
        kind: &AtomicU8,
        layout: &Arc<BlockLayout>,
        cache: &PageCache,
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
                segment.checked_payload(&entry)?;
                let page = Page::mapped(segment, entry.payload_offset(), layout, records);
                self.sample(block, &page);
                kind.store(PLAIN, Ordering::Relaxed);
                return Ok(page);
            }
            kind.store(ENCODED, Ordering::Relaxed);
        }
        let Some(slot) = self.slot(block) else {
            return Err(Error::invalid(format!("block {block} has no place for its page")));
        };
        let bytes = cache.get(slot, || {
            let entry = segment.block_entry(index)?;
            segment.decode_block(&entry, layout)
        })?;
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
