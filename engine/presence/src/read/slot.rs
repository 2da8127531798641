//! Where the page of a block hangs while it is in the cache, to be found without a lock.
//!
//! # Invariants
//! - A page hangs in its slot only while the cache keeps it: whoever hangs one up that has left
//!   meanwhile takes it down again. So slots hold nothing beyond the budget.
//! - A page that was looked at lately is handed out from its slot, and the cache is not told; else
//!   the cache is asked for it, so that it knows what is in use.

use std::ops::Deref;

use crate::device::AlignedBuf;
use crate::shim::atomic::{AtomicBool, AtomicU64, Ordering};
use crate::shim::{Arc, SwapOption, Weak, planted};

/// While so few pages have come into the cache since it was asked for a page, that was lately: all
/// looks of one answer at a page count as one.
const LATELY_LOADS: u64 = 8;

/// The cache was never asked for the page.
const NEVER: u64 = u64::MAX;

/// A verified, decoded block in memory of its own.
#[derive(Debug)]
pub(crate) struct OwnedPage {
    bytes: AlignedBuf,
    slot: Weak<Slot>,
    /// Loads of the cache when it was last asked for this page.
    asked: AtomicU64,
    /// The cache does not keep it any more.
    gone: AtomicBool,
}

impl OwnedPage {
    /// A page that belongs into `slot`.
    pub(crate) fn new(bytes: AlignedBuf, slot: &Arc<Slot>) -> Self {
        Self {
            bytes,
            slot: Arc::downgrade(slot),
            asked: AtomicU64::new(NEVER),
            gone: AtomicBool::new(false),
        }
    }

    /// The cache was asked for the page, after `loads` of them.
    pub(crate) fn asked(&self, loads: u64) {
        self.asked.store(loads, Ordering::Relaxed);
    }

    #[inline]
    fn is_known(&self, loads: u64) -> bool {
        let asked = self.asked.load(Ordering::Relaxed);
        asked != NEVER && loads.wrapping_sub(asked) < LATELY_LOADS
    }

    /// The cache does not keep the page any more.
    pub(crate) fn leave(&self) {
        self.gone.store(true, Ordering::Release);
        if let Some(slot) = self.slot.upgrade() {
            // It may be a newer page that hangs there: then that one is found through the cache.
            slot.page.store(None);
        }
    }
}

impl Deref for OwnedPage {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

/// The place of one block's page.
#[derive(Debug, Default)]
pub(crate) struct Slot {
    page: SwapOption<OwnedPage>,
}

impl Slot {
    /// Asks `question` of the page, where it hangs here and the cache need not be asked, after
    /// `loads` of it.
    #[inline]
    pub(crate) fn with<R>(
        &self,
        loads: u64,
        question: impl FnOnce(&Arc<OwnedPage>) -> R,
    ) -> Option<R> {
        let page = self.page.load();
        let page = page.as_ref()?;
        page.is_known(loads).then(|| question(page))
    }

    /// Whether `page` hangs here.
    pub(crate) fn holds(&self, page: &Arc<OwnedPage>) -> bool {
        self.page.load().as_ref().is_some_and(|own| Arc::ptr_eq(own, page))
    }

    /// Whether no page hangs here.
    pub(crate) fn is_empty(&self) -> bool {
        self.page.load().is_none()
    }

    /// Hangs up a page that the cache has kept.
    pub(crate) fn hang(&self, page: &Arc<OwnedPage>) {
        self.page.store(Some(Arc::clone(page)));
        // Either this is seen here, or `leave` finds the page hanging: both replace what is there.
        if page.gone.load(Ordering::Acquire) && !planted("hung_though_gone") {
            self.page.store(None);
        }
    }
}
