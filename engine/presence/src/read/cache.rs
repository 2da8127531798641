//! Decoded pages kept for the next reader, bounded by bytes.
//!
//! A page hangs in the [`Slot`] of its block, where a reader finds it without a lock; the cache
//! knows the slots in use and empties those that were not looked at lately (the clock algorithm:
//! one bit of recency a slot, Corbató 1968).
//!
//! # Invariants
//! - The bytes held never exceed the budget, but for one page larger than it.
//! - A hit takes no lock; a miss takes one after the page was made, never while.

use std::collections::VecDeque;

use crate::device::AlignedBuf;
use crate::shim::atomic::{AtomicBool, Ordering};
use crate::shim::{Arc, Mutex, SwapOption, lock, planted};

/// The place of one block's page.
#[derive(Debug, Default)]
pub(crate) struct Slot {
    page: SwapOption<AlignedBuf>,
    used: AtomicBool,
}

impl Slot {
    /// Asks `question` of the page, where it is there.
    #[inline]
    pub(crate) fn with<R>(&self, question: impl FnOnce(&Arc<AlignedBuf>) -> R) -> Option<R> {
        let page = self.page.load();
        let page = page.as_ref()?;
        if !self.used.load(Ordering::Relaxed) {
            self.used.store(true, Ordering::Relaxed);
        }
        Some(question(page))
    }
}

/// A cache of decoded pages; by default one that keeps a single page.
#[derive(Debug, Default)]
pub(crate) struct PageCache {
    budget_bytes: usize,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// Slots that hold a page, the next to be looked at in front.
    clock: VecDeque<Arc<Slot>>,
    bytes: usize,
}

impl PageCache {
    /// An empty cache that keeps up to `budget_bytes`.
    pub(crate) fn new(budget_bytes: usize) -> Self {
        Self { budget_bytes, inner: Mutex::default() }
    }

    /// The page in `slot`, or the one that `load` makes. Two readers that miss at once both load;
    /// the first one's page is kept.
    pub(crate) fn get<E>(
        &self,
        slot: &Arc<Slot>,
        load: impl FnOnce() -> Result<AlignedBuf, E>,
    ) -> Result<Arc<AlignedBuf>, E> {
        if let Some(page) = slot.with(Arc::clone) {
            return Ok(page);
        }
        let page = Arc::new(load()?);
        let mut inner = lock(&self.inner);
        if let Some(earlier) = slot.with(Arc::clone).filter(|_| !planted("insert_twice")) {
            return Ok(earlier);
        }
        inner.make_room(self.budget_bytes.saturating_sub(page.len()));
        inner.bytes += page.len();
        slot.page.store(Some(Arc::clone(&page)));
        slot.used.store(true, Ordering::Relaxed);
        inner.clock.push_back(Arc::clone(slot));
        Ok(page)
    }

    /// Bytes held now.
    #[cfg(all(test, not(loom)))]
    pub(crate) fn bytes(&self) -> usize {
        lock(&self.inner).bytes
    }
}

impl Inner {
    /// Empties slots until at most `bytes` are held: those not used since the clock last passed.
    fn make_room(&mut self, bytes: usize) {
        while self.bytes > bytes {
            let Some(slot) = self.clock.pop_front() else { return };
            if slot.used.swap(false, Ordering::Relaxed) {
                self.clock.push_back(slot);
                continue;
            }
            let len = slot.page.load().as_ref().map_or(0, |page| page.len());
            slot.page.store(None);
            self.bytes = self.bytes.saturating_sub(len);
        }
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;

    fn page(len: usize) -> Result<AlignedBuf, std::io::Error> {
        AlignedBuf::zeroed(len)
    }

    #[test]
    fn keeps_the_budget_and_what_is_used() {
        let cache = PageCache::new(1000);
        let slots: Vec<Arc<Slot>> = (0..20).map(|_| Arc::default()).collect();
        for slot in &slots {
            cache.get(slot, || page(300)).unwrap();
            assert!(cache.bytes() <= 1000);
            cache.get(&slots[0], || page(300)).unwrap();
        }
        assert!(cache.get(&slots[0], || Err(())).is_ok(), "used all the time");
        assert_eq!(cache.get(&slots[1], || Err(())).unwrap_err(), ());
        let (large, small) = (Arc::default(), Arc::default());
        cache.get(&large, || page(5000)).unwrap();
        assert_eq!(cache.bytes(), 5000);
        cache.get(&small, || page(1)).unwrap();
        assert!(cache.bytes() <= 1000);
    }
}

#[cfg(test)]
#[cfg(loom)]
mod models {
    use super::*;
    use crate::shim::explore;

    impl PageCache {
        /// Checks that what is counted is what is held, and within the budget.
        fn check(&self) {
            let inner = lock(&self.inner);
            let held = |slot: &Arc<Slot>| slot.page.load().as_ref().map_or(0, |page| page.len());
            assert_eq!(inner.bytes, inner.clock.iter().map(held).sum::<usize>());
            assert!(inner.bytes <= self.budget_bytes);
            assert!(inner.clock.iter().all(|slot| held(slot) > 0), "an empty slot on the clock");
            let mut places: Vec<_> = inner.clock.iter().map(Arc::as_ptr).collect();
            places.sort();
            places.dedup();
            assert_eq!(places.len(), inner.clock.len(), "a slot twice on the clock");
        }
    }

    /// Three readers want three pages of a cache for two, two of them the same one at first: each
    /// gets the page it asked for, and keeps it when it is evicted.
    #[test]
    fn pages_come_and_go() {
        explore(3, || {
            let cache = Arc::new(PageCache::new(2 * 64));
            let slots: [Arc<Slot>; 3] = Default::default();
            let read = |cache: &PageCache, slots: &[Arc<Slot>; 3], pages: &[usize]| {
                let mut kept = Vec::new();
                for &page in pages {
                    let load = || {
                        let mut bytes = AlignedBuf::zeroed(64)?;
                        bytes.fill(page as u8);
                        Ok::<_, std::io::Error>(bytes)
                    };
                    kept.push((page, cache.get(&slots[page], load).unwrap()));
                }
                for (page, bytes) in kept {
                    assert!(bytes.iter().all(|&byte| usize::from(byte) == page));
                }
            };
            let others: Vec<_> = [&[0, 1][..], &[2]]
                .into_iter()
                .map(|pages| {
                    let (cache, slots) = (Arc::clone(&cache), slots.clone());
                    loom::thread::spawn(move || read(&cache, &slots, pages))
                })
                .collect();
            read(&cache, &slots, &[0, 2]);
            for other in others {
                other.join().unwrap();
            }
            cache.check();
        });
    }
}
