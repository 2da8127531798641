//! What is known of a value in the cache.
//!
//! # Invariants
//! - A hit writes here only where something changes: readers of one entry do not fight for it.

use crate::shim::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};

/// Names a value in the cache; one that came later has a larger one. Never given twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EntryId(pub(crate) u64);

/// Uses are counted up to here.
pub(crate) const USES_MAX: u8 = 3;

/// A value in the cache, as eviction policies see it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Resident {
    /// Its name.
    pub id: EntryId,
    /// Hash of its key.
    pub hash: u64,
    /// What it counts for in the budget.
    pub bytes: u64,
    /// When it was last used or predicted. Time passes whenever a value comes in: what was used
    /// since the last one is equally recent.
    pub last_used: u64,
    /// At how many times it was used again after it came in, counted up to 3.
    pub uses: u8,
    /// Whether it was fetched ahead and not asked for yet.
    pub unused: bool,
    /// How likely it is to be asked for next, by the latest prediction; 0 where nothing was said.
    pub likelihood: f64,
}

/// The part of an entry that changes while it is shared.
#[derive(Debug)]
pub(crate) struct Live {
    last_used: AtomicU64,
    pins: AtomicU32,
    uses: AtomicU8,
    unused: AtomicBool,
}

impl Live {
    pub(crate) fn new(now: u64, unused: bool) -> Self {
        Self {
            last_used: AtomicU64::new(now),
            pins: AtomicU32::new(0),
            uses: AtomicU8::new(0),
            unused: AtomicBool::new(unused),
        }
    }

    /// The entry is used. Whether it was fetched ahead and this is the first use.
    #[inline]
    pub(crate) fn touch(&self, now: u64) -> bool {
        if self.last_used.load(Ordering::Relaxed) != now {
            self.last_used.store(now, Ordering::Relaxed);
            let uses = self.uses.load(Ordering::Relaxed);
            if uses < USES_MAX && !self.unused() {
                self.uses.store(uses + 1, Ordering::Relaxed);
            }
        }
        self.unused() && self.unused.swap(false, Ordering::Relaxed)
    }

    /// The entry is as recent as if it was used.
    pub(crate) fn refresh(&self, now: u64) {
        self.last_used.store(now, Ordering::Relaxed);
    }

    pub(crate) fn last_used(&self) -> u64 {
        self.last_used.load(Ordering::Relaxed)
    }

    #[inline]
    pub(crate) fn unused(&self) -> bool {
        self.unused.load(Ordering::Relaxed)
    }

    pub(crate) fn uses(&self) -> u8 {
        self.uses.load(Ordering::Relaxed)
    }

    pub(crate) fn set_uses(&self, uses: u8) {
        self.uses.store(uses, Ordering::Relaxed);
    }

    /// Pinned under the read lock of the bank, looked at under its write lock.
    pub(crate) fn pin(&self) {
        self.pins.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn unpin(&self) {
        self.pins.fetch_sub(1, Ordering::Relaxed);
    }

    pub(crate) fn is_pinned(&self) -> bool {
        self.pins.load(Ordering::Relaxed) > 0
    }
}
