//! Runs: the blocks of one stream in one segment, with their sparse index.
//!
//! # Invariants
//! - Blocks ascend in time and sequence.
//! - A block's checksum is checked before its first record is handed out, and once.

use presence_format::Compression;
use presence_format::block::BlockLayout;
use presence_format::index::IndexEntry;

use super::cache::PageCache;
use super::page::Page;
use super::search;
use crate::error::{Error, Result};
use crate::segment::SegmentFile;
use crate::shim::Arc;
use crate::shim::atomic::{AtomicU8, Ordering};

/// Blocks of one stream in one segment.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) segment: Arc<SegmentFile>,
    first_ts: Box<[i64]>,
    entries: Box<[IndexEntry]>,
    /// Per block: [`PLAIN`], [`ENCODED`], or not looked at yet.
    kinds: Box<[AtomicU8]>,
}

impl Run {
    /// The blocks `entries` of a segment; at least one.
    pub(crate) fn new(segment: Arc<SegmentFile>, entries: &[IndexEntry]) -> Self {
        Self {
            segment,
            first_ts: entries.iter().map(|entry| entry.first_ts.get()).collect(),
            entries: entries.into(),
            kinds: entries.iter().map(|_| AtomicU8::new(0)).collect(),
        }
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
        self.load(entry, kind, layout, cache)
    }

    #[cold]
    fn load(
        &self,
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
                kind.store(PLAIN, Ordering::Relaxed);
                return Ok(Page::mapped(segment, entry.payload_offset(), layout, records));
            }
            kind.store(ENCODED, Ordering::Relaxed);
        }
        let bytes = cache.get((segment.number(), offset), || {
            let entry = segment.block_entry(index)?;
            segment.decode_block(&entry, layout)
        })?;
        Ok(Page::owned(bytes, layout, records))
    }
}

/// The block was checked, and lies in the map as it is.
const PLAIN: u8 = 1;
/// The block must be decoded into a page.
const ENCODED: u8 = 2;
const BLOCK_HEADER_BYTES: u32 = presence_format::entry::EntryKind::Block.header_bytes();
