//! Decoded pages kept for the next reader, bounded by bytes.
//!
//! # Invariants
//! - The bytes held never exceed the budget, but for one page larger than it.
//! - A page is keyed by segment number and offset. Numbers are never used again, so a key never
//!   means two things.

use std::collections::HashMap;

use crate::device::aligned::AlignedBuf;
use crate::shim::{Arc, Mutex, lock};

type Key = (u32, u32);

/// A cache of decoded pages, least recently used out first.
#[derive(Debug)]
pub(crate) struct PageCache {
    budget_bytes: usize,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    pages: HashMap<Key, (Arc<AlignedBuf>, u64)>,
    bytes: usize,
    clock: u64,
}

impl PageCache {
    /// An empty cache that keeps up to `budget_bytes`.
    pub(crate) fn new(budget_bytes: usize) -> Self {
        Self { budget_bytes, inner: Mutex::default() }
    }

    /// The page under `key`, or the one that `load` makes. Two readers that miss at once both
    /// load; the first one's page is kept.
    pub(crate) fn get<E>(
        &self,
        key: Key,
        load: impl FnOnce() -> Result<AlignedBuf, E>,
    ) -> Result<Arc<AlignedBuf>, E> {
        if let Some(page) = lock(&self.inner).touch(key) {
            return Ok(page);
        }
        let page = Arc::new(load()?);
        let mut inner = lock(&self.inner);
        if let Some(earlier) = inner.touch(key) {
            return Ok(earlier);
        }
        inner.make_room(self.budget_bytes.saturating_sub(page.len()));
        inner.bytes += page.len();
        let clock = inner.clock;
        inner.pages.insert(key, (Arc::clone(&page), clock));
        Ok(page)
    }

    /// Bytes held now.
    #[cfg(test)]
    pub(crate) fn bytes(&self) -> usize {
        lock(&self.inner).bytes
    }
}

impl Inner {
    fn touch(&mut self, key: Key) -> Option<Arc<AlignedBuf>> {
        self.clock += 1;
        let clock = self.clock;
        let (page, used) = self.pages.get_mut(&key)?;
        *used = clock;
        Some(Arc::clone(page))
    }

    fn make_room(&mut self, bytes: usize) {
        while self.bytes > bytes {
            let oldest = self.pages.iter().min_by_key(|(_, (_, used))| *used).map(|(key, _)| *key);
            let Some((page, _)) = oldest.and_then(|key| self.pages.remove(&key)) else { return };
            self.bytes = self.bytes.saturating_sub(page.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(len: usize) -> Result<AlignedBuf, std::io::Error> {
        AlignedBuf::zeroed(len)
    }

    #[test]
    fn keeps_the_budget_and_the_newest() {
        let cache = PageCache::new(1000);
        for offset in 0..20 {
            cache.get((1, offset), || page(300)).unwrap();
            assert!(cache.bytes() <= 1000);
        }
        cache.get((1, 19), || Err(())).unwrap();
        assert_eq!(cache.get((1, 0), || Err(())).unwrap_err(), ());
        cache.get((1, 100), || page(5000)).unwrap();
        assert_eq!(cache.bytes(), 5000);
        cache.get((1, 101), || page(1)).unwrap();
        assert!(cache.bytes() <= 1000);
    }
}
