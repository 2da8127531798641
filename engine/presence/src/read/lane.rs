//! Lanes: the blocks of one stream in one segment, as the page cache asks for them.
//!
//! # Invariants
//! - A lane has a number of its own in its database, and lives as long as any run over its blocks:
//!   whoever can ask for a page can have it loaded.
//! - Blocks are only added. With the lane all its pages leave the cache.

use std::fmt::Debug;

use presence_format::block::BlockLayout;
use presence_format::index::IndexEntry;

use super::cache::Pages;
use super::slot::{OwnedPage, Slot};
use crate::device::AlignedBuf;
use crate::error::{Error, Result};
use crate::segment::SegmentFile;
use crate::shim::{Arc, Mutex, lock};

/// How blocks become pages.
pub(crate) trait Decode: Debug + Send + Sync {
    /// Reads, checks and decodes the block that `entry` tells of.
    fn decode(&self, entry: &IndexEntry) -> Result<AlignedBuf>;
}

/// Blocks of records.
#[derive(Debug)]
pub(super) struct Records {
    pub(super) segment: Arc<SegmentFile>,
    pub(super) layout: Arc<BlockLayout>,
}

impl Decode for Records {
    fn decode(&self, index: &IndexEntry) -> Result<AlignedBuf> {
        self.segment.decode_block(&self.segment.block_entry(index)?, &self.layout)
    }
}

/// Blocks whose pages are kept in the cache.
#[derive(Debug)]
pub(crate) struct Lane {
    number: u64,
    pages: Arc<Pages>,
    decode: Box<dyn Decode>,
    blocks: Mutex<Vec<(IndexEntry, Arc<Slot>)>>,
}

impl Lane {
    /// A lane of these blocks, with the slot of each.
    pub(crate) fn new(
        pages: &Arc<Pages>,
        decode: impl Decode + 'static,
        entries: &[IndexEntry],
    ) -> Arc<Self> {
        let blocks = entries.iter().map(|entry| (*entry, Arc::default())).collect();
        let (pages, number) = (Arc::clone(pages), pages.lane_number());
        let lane =
            Arc::new(Self { number, pages, decode: Box::new(decode), blocks: Mutex::new(blocks) });
        lane.pages.register(&lane);
        lane
    }

    /// Its number.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// The slots of its blocks.
    pub(crate) fn slots(&self) -> Box<[Arc<Slot>]> {
        lock(&self.blocks).iter().map(|(_, slot)| Arc::clone(slot)).collect()
    }

    /// Takes in the blocks of `entries` beyond those it has.
    pub(crate) fn extend(&self, entries: &[IndexEntry]) {
        let mut blocks = lock(&self.blocks);
        let more = entries.get(blocks.len()..).unwrap_or_default();
        blocks.extend(more.iter().map(|entry| (*entry, Arc::default())));
    }

    fn block(&self, index: u32) -> Option<(IndexEntry, Arc<Slot>)> {
        lock(&self.blocks).get(index as usize).cloned()
    }

    /// Whether there is such a block, and no page of it yet.
    pub(crate) fn wants(&self, index: u32) -> bool {
        lock(&self.blocks).get(index as usize).is_some_and(|(_, slot)| slot.is_empty())
    }

    /// The page of block `index`, from the segment.
    pub(crate) fn load(&self, index: u32) -> Result<OwnedPage> {
        let Some((entry, slot)) = self.block(index) else {
            return Err(Error::invalid(format!("block {index} of a lane without it")));
        };
        Ok(OwnedPage::new(self.decode.decode(&entry)?, &slot))
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        let blocks = u32::try_from(lock(&self.blocks).len()).unwrap_or(u32::MAX);
        self.pages.forget(self.number, blocks);
    }
}
