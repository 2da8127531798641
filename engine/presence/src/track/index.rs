//! The regions of a plane that are on disk, as a view's runs tell of them.
//!
//! # Invariants
//! - Of several blocks of a region the one of the highest sequence counts; its index entry tells
//!   how many ticks it has set. So counts over whole regions read nothing.
//! - A block is checked in full before its first question, and once.

use presence_format::FormatError;
use presence_format::block::WORDS_ONLY;
use presence_format::index::IndexEntry;
use presence_format::plane::region::first_tick;
use presence_format::plane::{REGION_TICKS, Region, WORD_TICKS, region_of};

use std::collections::BTreeMap;

use crate::device::AlignedBuf;
use crate::error::{Error, Result};
use crate::read::cache::Pages;
use crate::read::lane::{Decode, Lane};
use crate::read::slot::Slot;
use crate::read::view::StreamView;
use crate::segment::SegmentFile;
use crate::shim::atomic::{AtomicBool, Ordering};
use crate::shim::{Arc, OnceLock};

/// One region on disk.
#[derive(Debug)]
pub(crate) struct Stored {
    segment: Arc<SegmentFile>,
    entry: IndexEntry,
    number: i64,
    /// Checked where it lies in the map.
    mapped: AtomicBool,
    /// Where it is in the cache; made when it is first read into memory.
    owned: OnceLock<(Arc<Lane>, Arc<Slot>)>,
}

#[derive(Debug, Clone)]
struct Row {
    number: i64,
    /// Ticks set in all regions before this one.
    before: u64,
    stored: Arc<Stored>,
}

/// The regions of a plane, ascending.
#[derive(Debug, Default)]
pub(crate) struct PlaneIndex {
    rows: Vec<Row>,
    count: u64,
    /// The view it was made from.
    view: Option<Arc<StreamView>>,
}

impl PlaneIndex {
    /// The regions that `view` tells of. What `known` knows of the same blocks stays.
    pub(crate) fn new(view: Arc<StreamView>, known: &Self) -> Self {
        let mut latest: BTreeMap<i64, (u64, &Arc<SegmentFile>, IndexEntry)> = BTreeMap::new();
        for run in view.runs() {
            for entry in run.entries().iter().filter(|entry| !is_words_only(entry)) {
                let sequence = entry.first_sequence.get();
                let found = (sequence, &run.segment, *entry);
                let place = latest.entry(region_of(entry.first_ts.get())).or_insert(found);
                if place.0 < sequence {
                    *place = found;
                }
            }
        }
        let mut rows = Vec::with_capacity(latest.len());
        let mut count = 0;
        for (number, (_, segment, entry)) in latest {
            let stored = known.same(number, segment, &entry).unwrap_or_else(|| {
                Arc::new(Stored {
                    segment: Arc::clone(segment),
                    entry,
                    number,
                    mapped: AtomicBool::new(false),
                    owned: OnceLock::new(),
                })
            });
            rows.push(Row { number, before: count, stored });
            // What the index says is compared with the region when that is read.
            count += entry.rank.get().min(u64::from(REGION_TICKS));
        }
        Self { rows, count, view: Some(view) }
    }

    fn same(
        &self,
        number: i64,
        segment: &Arc<SegmentFile>,
        entry: &IndexEntry,
    ) -> Option<Arc<Stored>> {
        let stored = self.stored(number)?;
        let same = Arc::ptr_eq(&stored.segment, segment) && stored.entry == *entry;
        same.then(|| Arc::clone(stored))
    }

    /// Whether it was made from `view`.
    #[inline]
    pub(crate) fn is_of(&self, view: &Arc<StreamView>) -> bool {
        self.view.as_ref().is_some_and(|own| Arc::ptr_eq(own, view))
    }

    fn position(&self, number: i64) -> Result<usize, usize> {
        // Regions mostly follow one another, so it is where it would be without a hole.
        let first = self.rows.first().map_or(0, |row| row.number);
        let near = usize::try_from(number.saturating_sub(first)).unwrap_or(usize::MAX);
        match self.rows.get(near) {
            Some(row) if row.number == number => Ok(near),
            _ => self.rows.binary_search_by_key(&number, |row| row.number),
        }
    }

    /// The region `number`, where it is on disk.
    #[inline]
    pub(crate) fn stored(&self, number: i64) -> Option<&Arc<Stored>> {
        let at = self.position(number).ok()?;
        self.rows.get(at).map(|row| &row.stored)
    }

    /// Set ticks below `tick`. Reads at most one block.
    #[inline]
    pub(crate) fn rank(&self, tick: i64, pages: &Arc<Pages>) -> Result<u64> {
        let before = |at: usize| self.rows.get(at).map_or(self.count, |row| row.before);
        match self.position(region_of(tick)) {
            Err(at) => Ok(before(at)),
            Ok(at) => {
                let inside = tick.rem_euclid(i64::from(REGION_TICKS)) as u32;
                let Some(row) = self.rows.get(at).filter(|_| inside > 0) else {
                    return Ok(before(at));
                };
                Ok(row.before + u64::from(row.stored.with(pages, |region| region.rank(inside))?))
            }
        }
    }

    /// Every region on disk, ascending.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<Stored>> {
        self.rows.iter().map(|row| &row.stored)
    }

    /// The first region from `number` on.
    pub(crate) fn next(&self, number: i64) -> Option<&Arc<Stored>> {
        let at = self.position(number).unwrap_or_else(|behind| behind);
        self.rows.get(at).map(|row| &row.stored)
    }

    /// The last region up to `number`.
    pub(crate) fn previous(&self, number: i64) -> Option<&Arc<Stored>> {
        let at = self.rows.partition_point(|row| row.number <= number).checked_sub(1)?;
        self.rows.get(at).map(|row| &row.stored)
    }
}

/// Whether a block holds single words, and does not stand for its region.
pub(crate) fn is_words_only(entry: &IndexEntry) -> bool {
    entry.rank.get() == u64::from(WORDS_ONLY)
}

/// The first and the last tick that blocks of a plane tell of.
pub(crate) fn touched_ticks<'a>(
    blocks: impl Iterator<Item = &'a IndexEntry>,
) -> Option<(i64, i64)> {
    let ticks = |entry: &IndexEntry| {
        let (first, last) = (entry.first_ts.get(), entry.last_ts.get());
        if is_words_only(entry) {
            return (first, last.saturating_add(WORD_TICKS - 1));
        }
        let start = first_tick(region_of(first));
        (start, start.saturating_add(i64::from(REGION_TICKS) - 1))
    };
    blocks.map(ticks).reduce(|(a, b), (first, last)| (a.min(first), b.max(last)))
}

impl Stored {
    /// Its block.
    pub(crate) fn entry(&self) -> &IndexEntry {
        &self.entry
    }

    /// The segment it lies in.
    pub(crate) fn segment(&self) -> &Arc<SegmentFile> {
        &self.segment
    }

    /// Its number.
    pub(crate) fn number(&self) -> i64 {
        self.number
    }

    /// Asks `question` of the region, which is read and checked where it was not yet.
    #[inline]
    pub(crate) fn with<R>(
        &self,
        pages: &Arc<Pages>,
        question: impl FnOnce(Region<'_>) -> R,
    ) -> Result<R> {
        if self.mapped.load(Ordering::Acquire) {
            return self.ask(self.map().unwrap_or_default(), question);
        }
        if self.map().is_some() {
            load_region(&self.segment, &self.entry)?;
            self.mapped.store(true, Ordering::Release);
            return self.ask(self.map().unwrap_or_default(), question);
        }
        let (lane, slot) = self.owned.get_or_init(|| self.lane(pages));
        let page = pages.get(lane, 0, slot)?;
        self.ask(page.get(..self.bytes()).unwrap_or_default(), question)
    }

    /// A lane for this one region: what is asked of planes next is not told by their numbers.
    fn lane(&self, pages: &Arc<Pages>) -> (Arc<Lane>, Arc<Slot>) {
        let entries = std::slice::from_ref(&self.entry);
        let lane = Lane::new(pages, Regions(Arc::clone(&self.segment)), entries);
        let slot = lane.slots().first().cloned().unwrap_or_default();
        (lane, slot)
    }

    fn bytes(&self) -> usize {
        self.entry.payload_bytes.get() as usize
    }

    fn map(&self) -> Option<&[u8]> {
        map_of(&self.segment, &self.entry)
    }

    #[inline]
    fn ask<R>(&self, bytes: &[u8], question: impl FnOnce(Region<'_>) -> R) -> Result<R> {
        Region::head(bytes).map(question).map_err(self.fault())
    }

    fn fault(&self) -> impl FnOnce(FormatError) -> Error {
        Error::format(&self.segment.name, u64::from(payload_offset(&self.entry)))
    }
}

/// Regions are kept as they are stored.
#[derive(Debug)]
struct Regions(Arc<SegmentFile>);

impl Decode for Regions {
    fn decode(&self, entry: &IndexEntry) -> Result<AlignedBuf> {
        let segment = &*self.0;
        match load_region(segment, entry)? {
            Some(owned) => Ok(owned),
            // It has become possible to map it meanwhile.
            None => AlignedBuf::copy_of(map_of(segment, entry).unwrap_or_default())
                .map_err(Error::io("read", &segment.name)),
        }
    }
}

fn payload_offset(entry: &IndexEntry) -> u32 {
    let header = presence_format::entry::EntryKind::Block.header_bytes();
    entry.offset.get().saturating_add(header)
}

fn map_of<'a>(segment: &'a SegmentFile, entry: &IndexEntry) -> Option<&'a [u8]> {
    segment.mapped(payload_offset(entry), entry.payload_bytes.get() as usize)
}

/// Reads and checks the block of a region. None where it lies in the map.
fn load_region(segment: &SegmentFile, index: &IndexEntry) -> Result<Option<AlignedBuf>> {
    let fault = || Error::format(&segment.name, u64::from(payload_offset(index)));
    let entry = segment.block_entry(index)?;
    let owned = segment.checked_payload(&entry)?;
    let bytes = match &owned {
        Some(stored) => stored.get(..index.payload_bytes.get() as usize),
        None => map_of(segment, index),
    };
    let region = Region::parse(bytes.unwrap_or_default()).map_err(fault())?;
    let is_it = region.number() == region_of(index.first_ts.get())
        && u64::from(region.count()) == index.rank.get()
        && region.words() == index.records.get();
    if !is_it {
        let what = FormatError::corrupt(0, "a region other than its header says");
        return Err(fault()(what));
    }
    Ok(owned)
}
