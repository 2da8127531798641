//! The page cache: verified, decoded blocks kept for the next reader, and fetched ahead of it.
//!
//! Its core is `presence-cache`, which knows no files: keys are lane and block, values pages. What
//! a scan reads once goes first. A page that hangs in its [`Slot`] is found without asking the
//! cache at all.
//!
//! # Invariants
//! - The pages kept never exceed the budget, that of all databases together which share one cache.
//!   A page for which there can be no room is handed to its readers and not kept.
//! - A block is loaded once however many ask for it; nobody waits for another block's load.
//! - A cache has no threads before a page is to be fetched ahead.

use std::collections::HashMap;

use presence_cache::policy::ScanResistant;
use presence_cache::{LoadError, PrefetchCache, Provider, SourceError, SourceKey, Sources, Stats};

use super::ends::HELD_BYTES_MAX;
use super::lane::Lane;
use super::slot::{OwnedPage, Slot};
use crate::error::{Error, Result};
use crate::shim::atomic::{AtomicU64, AtomicUsize, Ordering};
use crate::shim::{Arc, Mutex, OnceLock, Weak, lock};

/// What a page costs beyond its bytes.
const PAGE_OVERHEAD_BYTES: u64 = 256;

/// How far ahead of a scan pages are fetched at most.
const AHEAD_BYTES: usize = 4 << 20;

/// Budgets below that fetch nothing ahead: what came too early would be decoded twice.
const AHEAD_BUDGET_BYTES: usize = 2 << 20;

/// Lane and block.
type PageKey = (u64, u32);
type Kept = PrefetchCache<SourceKey<PageKey>, Arc<OwnedPage>, Arc<Sources<Database>>>;

/// Pages kept for readers, within a budget: of one database, or of several that share it.
///
/// ```
/// use presence::{Database, Options, PageCache};
///
/// # let dir = tempfile::tempdir()?;
/// # let path = |name: &str| dir.path().join(name);
/// let mut options = Options::default();
/// options.cache = Some(PageCache::new(256 << 20));
/// let left = Database::open_or_create(path("left"), options.clone())?;
/// let right = Database::open_or_create(path("right"), options)?;
/// assert_eq!(left.cache(), right.cache());
/// assert!(left.cache().stats().bytes <= 256 << 20);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct PageCache(Arc<Shared>);

struct Shared {
    bytes_max: usize,
    workers: usize,
    sources: Arc<Sources<Database>>,
    kept: OnceLock<Kept>,
    /// Pages loaded so far.
    loads: Arc<AtomicU64>,
}

impl PageCache {
    /// An empty cache of up to `bytes_max`, with two threads that fetch pages ahead of readers;
    /// with none below 2 MiB, where there is hardly room beside the pages in use.
    #[must_use]
    pub fn new(bytes_max: usize) -> Self {
        Self::with_workers(bytes_max, if bytes_max < AHEAD_BUDGET_BYTES { 0 } else { 2 })
    }

    /// An empty cache with so many threads; with none, nothing is fetched ahead.
    #[must_use]
    pub fn with_workers(bytes_max: usize, workers: usize) -> Self {
        let cache = Self(Arc::new(Shared {
            bytes_max,
            // A model has the threads that it starts.
            workers: if cfg!(loom) { 0 } else { workers },
            sources: Arc::new(Sources::new()),
            kept: OnceLock::new(),
            loads: Arc::default(),
        }));
        if cfg!(loom) {
            // A model does not see what a `OnceLock` orders.
            cache.kept();
        }
        cache
    }

    /// What the pages kept may take, in bytes.
    pub fn bytes_max(&self) -> usize {
        self.0.bytes_max
    }

    /// What the cache has counted. Hits are those that the cache was asked for: a page that was
    /// asked for just before is at hand without.
    pub fn stats(&self) -> Stats {
        self.0.kept.get().map(Kept::stats).unwrap_or_default()
    }

    /// Waits until nothing is fetched ahead any more: for tests.
    #[doc(hidden)]
    pub fn wait_idle(&self) {
        if let Some(kept) = self.0.kept.get() {
            kept.wait_idle();
        }
    }

    fn kept(&self) -> &Kept {
        self.0.kept.get_or_init(|| {
            PrefetchCache::builder(Arc::clone(&self.0.sources))
                .bytes_max(self.0.bytes_max as u64)
                .workers(self.0.workers)
                .start_late()
                .policy(ScanResistant::new())
                .build()
        })
    }
}

impl PartialEq for PageCache {
    /// Whether it is the same cache.
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for PageCache {}

impl std::fmt::Debug for PageCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PageCache").field("bytes_max", &self.0.bytes_max).finish_non_exhaustive()
    }
}

/// The lanes of one database, as the cache finds them.
#[derive(Debug)]
struct Database {
    lanes: Mutex<HashMap<u64, Weak<Lane>>>,
    loads: Arc<AtomicU64>,
}

impl Database {
    fn lane(&self, number: u64) -> Option<Arc<Lane>> {
        lock(&self.lanes).get(&number).and_then(Weak::upgrade)
    }
}

impl Provider<PageKey, Arc<OwnedPage>> for Database {
    type Error = Error;

    fn load(&self, &(number, block): &PageKey) -> Result<Arc<OwnedPage>> {
        let Some(lane) = self.lane(number) else {
            return Err(Error::invalid(format!("lane {number} has been given up")));
        };
        let page = lane.load(block)?;
        self.loads.fetch_add(1, Ordering::Relaxed);
        Ok(Arc::new(page))
    }

    fn contains(&self, &(number, block): &PageKey) -> bool {
        self.lane(number).is_some_and(|lane| lane.wants(block))
    }

    fn bytes(&self, _: &PageKey, page: &Arc<OwnedPage>) -> u64 {
        PAGE_OVERHEAD_BYTES.saturating_add(page.len() as u64)
    }

    fn removed(&self, _: &PageKey, page: Arc<OwnedPage>) {
        page.leave();
    }

    fn describe(&self, error: &Error) -> String {
        error.to_string()
    }
}

/// The pages of one database.
#[derive(Debug)]
pub(crate) struct Pages {
    cache: PageCache,
    database: Arc<Database>,
    /// The database in the cache.
    number: u32,
    next_lane: AtomicU64,
    /// Bytes that windows hold.
    held: AtomicUsize,
}

impl Default for Pages {
    /// Pages of which none is kept.
    fn default() -> Self {
        Self::new(&PageCache::with_workers(0, 0))
    }
}

impl Pages {
    /// The pages of a new database in `cache`.
    pub(crate) fn new(cache: &PageCache) -> Self {
        let lanes = Mutex::default();
        let database = Arc::new(Database { lanes, loads: Arc::clone(&cache.0.loads) });
        let number = cache.0.sources.add_shared(Arc::clone(&database));
        Self {
            cache: cache.clone(),
            database,
            number,
            next_lane: AtomicU64::new(0),
            held: AtomicUsize::new(0),
        }
    }

    /// The cache they are in.
    pub(crate) fn cache(&self) -> &PageCache {
        &self.cache
    }

    /// A number for a new lane.
    pub(super) fn lane_number(&self) -> u64 {
        self.next_lane.fetch_add(1, Ordering::Relaxed)
    }

    pub(super) fn register(&self, lane: &Arc<Lane>) {
        lock(&self.database.lanes).insert(lane.number(), Arc::downgrade(lane));
    }

    /// Gives up a lane of so many blocks, and its pages.
    pub(super) fn forget(&self, lane: u64, blocks: u32) {
        lock(&self.database.lanes).remove(&lane);
        if let Some(kept) = self.cache.0.kept.get() {
            (0..blocks).for_each(|block| kept.invalidate(&self.key(lane, block)));
        }
    }

    fn key(&self, lane: u64, block: u32) -> SourceKey<PageKey> {
        SourceKey { source: self.number, key: (lane, block) }
    }

    /// Pages loaded into the cache so far, by which it is told what was looked at lately.
    #[inline]
    pub(crate) fn loads(&self) -> u64 {
        self.cache.0.loads.load(Ordering::Relaxed)
    }

    /// The page of a block, whose slot is `slot`.
    pub(crate) fn get(&self, lane: &Lane, block: u32, slot: &Slot) -> Result<Arc<OwnedPage>> {
        if let Some(page) = slot.with(self.loads(), Arc::clone) {
            return Ok(page);
        }
        let kept = self.cache.kept();
        let key = self.key(lane.number(), block);
        let page = kept.get(&key).map_err(told)?;
        page.asked(self.loads());
        let is_kept = |page| kept.peek(&key).is_some_and(|kept| Arc::ptr_eq(&kept, page));
        if !slot.holds(&page) && is_kept(&page) {
            slot.hang(&page);
        }
        Ok(page)
    }

    /// Takes a window's pages into account, where there is room for them. Whether there is.
    pub(crate) fn hold(&self, bytes: usize) -> bool {
        let before = self.held.fetch_add(bytes, Ordering::Relaxed);
        let fits = before.saturating_add(bytes) <= HELD_BYTES_MAX;
        if !fits {
            self.release(bytes);
        }
        fits
    }

    /// A window has let go of its pages.
    pub(crate) fn release(&self, bytes: usize) {
        self.held.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// How many bytes of pages to fetch ahead of a scan.
    pub(crate) fn ahead_bytes(&self) -> usize {
        AHEAD_BYTES.min(self.cache.0.bytes_max / 4)
    }

    /// Has pages fetched that a reader is going to ask for.
    pub(crate) fn fetch(&self, blocks: impl IntoIterator<Item = PageKey>) {
        let keys = blocks.into_iter().map(|(lane, block)| self.key(lane, block));
        // What finds no room in the queue is loaded when it is asked for.
        let _found_room = self.cache.kept().prefetch_hint(keys);
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        // The last lane took the last pages with it: lanes hold this.
        self.cache.0.sources.remove(self.number);
    }
}

/// What the cache says, in the engine's words.
fn told(error: LoadError<SourceError<Error>>) -> Error {
    match error.provider() {
        Some(SourceError::Source(error)) => error.clone(),
        _ => Error::invalid(format!("a page was not loaded: {error:?}")),
    }
}

#[cfg(test)]
mod fixture {
    use presence_format::index::IndexEntry;

    use super::*;
    use crate::device::AlignedBuf;
    use crate::read::lane::Decode;

    /// Blocks as long as their count of records, filled with their sequence.
    #[derive(Debug, Default)]
    pub(super) struct Filled(pub(super) Arc<AtomicU64>);

    impl Decode for Filled {
        fn decode(&self, entry: &IndexEntry) -> Result<AlignedBuf> {
            self.0.fetch_add(1, Ordering::Relaxed);
            let len = entry.records.get() as usize;
            let mut bytes = AlignedBuf::zeroed(len).map_err(Error::io("decode", "a block"))?;
            bytes.fill(entry.first_sequence.get() as u8);
            Ok(bytes)
        }
    }

    /// Entries of blocks of these lengths.
    pub(super) fn entries(lens: &[u32]) -> Vec<IndexEntry> {
        let entry = |(index, &len): (usize, &u32)| IndexEntry {
            first_ts: 0.into(),
            last_ts: 0.into(),
            first_sequence: (index as u64).into(),
            rank: 0.into(),
            records: len.into(),
            offset: 0.into(),
            payload_bytes: len.into(),
            header_crc: 0.into(),
        };
        lens.iter().enumerate().map(entry).collect()
    }

    /// A lane with its slots.
    pub(super) struct Laid(pub(super) Arc<Lane>, pub(super) Box<[Arc<Slot>]>);

    impl Laid {
        pub(super) fn new(pages: &Arc<Pages>, decode: Filled, lens: &[u32]) -> Self {
            let lane = Lane::new(pages, decode, &entries(lens));
            let slots = lane.slots();
            Self(lane, slots)
        }

        /// Asks for a block, and checks that it is that.
        pub(super) fn get(&self, pages: &Pages, block: usize) -> Arc<OwnedPage> {
            let page = pages.get(&self.0, block as u32, &self.1[block]).unwrap();
            assert!(page.iter().all(|&byte| usize::from(byte) == block));
            page
        }

        /// Checks that what hangs in slots is what is kept, once nothing is fetched ahead any more.
        /// How many bytes that are.
        pub(super) fn check(&self, pages: &Pages) -> u64 {
            pages.cache.wait_idle();
            let kept = pages.cache.kept();
            let held = self.1.iter().enumerate().filter_map(|(block, slot)| {
                let key = pages.key(self.0.number(), block as u32);
                let page = kept.peek(&key);
                let hangs = page.as_ref().is_some_and(|page| slot.holds(page));
                assert!(slot.is_empty() || hangs, "block {block} hangs there and is not kept");
                page.map(|page| PAGE_OVERHEAD_BYTES + page.len() as u64)
            });
            held.sum()
        }
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::fixture::{Filled, Laid, entries};
    use super::*;

    fn pages(bytes_max: usize) -> Arc<Pages> {
        Arc::new(Pages::new(&PageCache::with_workers(bytes_max, 1)))
    }

    #[test]
    fn the_budget_holds_and_what_is_used_stays() {
        // Many times as many pages as may come in before the cache is told again what is in use.
        let bytes_max = 32 * 556;
        let pages = pages(bytes_max);
        let lane = Laid::new(&pages, Filled::default(), &[300; 256]);
        for round in 0..2 {
            for block in 0..200 {
                lane.get(&pages, block);
                lane.get(&pages, 250);
                assert!(lane.check(&pages) <= bytes_max as u64, "round {round}");
                assert_eq!(lane.check(&pages), pages.cache.stats().bytes);
            }
        }
        let often = pages.key(lane.0.number(), 250);
        assert!(pages.cache.kept().peek(&often).is_some(), "used all the time");
        let large = Laid::new(&pages, Filled::default(), &[bytes_max as u32]);
        large.get(&pages, 0);
        assert_eq!((large.check(&pages), large.1[0].is_empty()), (0, true), "no room for it");
    }

    #[test]
    fn two_databases_share_a_budget() {
        let cache = PageCache::with_workers(4 * 556, 0);
        let [left, right] = [(); 2].map(|()| Arc::new(Pages::new(&cache)));
        let of_left = Laid::new(&left, Filled::default(), &[300; 9]);
        let of_right = Laid::new(&right, Filled::default(), &[300; 9]);
        for block in 0..9 {
            of_left.get(&left, block);
            of_right.get(&right, block);
            let all = of_left.check(&left) + of_right.check(&right);
            assert!(all <= 4 * 556 && all == cache.stats().bytes);
        }
        assert_eq!(cache.stats().bytes, 4 * 556);
        drop((of_left, left));
        assert_eq!(of_right.check(&right), cache.stats().bytes, "the other's pages went with it");
    }

    #[test]
    fn a_lane_takes_its_pages_with_it() {
        let pages = pages(1 << 20);
        let loads = Arc::default();
        let lane = Laid::new(&pages, Filled(Arc::clone(&loads)), &[300; 4]);
        let slot = Arc::clone(&lane.1[1]);
        let page = lane.get(&pages, 1);
        lane.0.extend(&entries(&[300; 6]));
        assert_eq!(lane.0.slots().len(), 6);
        assert!(Arc::ptr_eq(&lane.0.slots()[1], &slot));
        assert_eq!(lane.0.load(5).unwrap()[0], 5);
        assert!(lane.0.load(6).is_err());
        pages.fetch([(lane.0.number(), 2), (lane.0.number(), 1), (lane.0.number(), 9)]);
        pages.cache.wait_idle();
        assert_eq!(pages.cache.stats().entries, 2);
        let number = lane.0.number();
        drop(lane);
        assert!(slot.is_empty());
        assert_eq!((pages.cache.stats().entries, pages.cache.stats().bytes), (0, 0));
        assert_eq!(page[0], 1, "who has a page keeps it");
        pages.fetch([(number, 3)]);
        pages.cache.wait_idle();
        assert_eq!(loads.load(Ordering::Relaxed), 3);
    }
}

#[cfg(test)]
#[cfg(loom)]
mod models {
    use super::fixture::{Filled, Laid};
    use super::*;
    use crate::shim::explore;

    /// Two readers want pages of a cache for one: each gets what it asked for, and in the slots
    /// hangs nothing that is not kept.
    #[test]
    fn pages_come_and_go() {
        explore(2, || {
            let pages = Arc::new(Pages::new(&PageCache::new(320)));
            let lane = Arc::new(Laid::new(&pages, Filled::default(), &[64, 64]));
            let other = loom::thread::spawn({
                let (pages, lane) = (Arc::clone(&pages), Arc::clone(&lane));
                move || drop(lane.get(&pages, 1))
            });
            let kept = lane.get(&pages, 0);
            other.join().unwrap();
            assert!(lane.check(&pages) <= 320);
            assert_eq!(kept[0], 0);
        });
    }
}
