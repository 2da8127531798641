//! Every lock, atomic, thread and published pointer of the engine comes from here.
//!
//! Built with `--cfg loom`, the same names are a model checker's.
//!
//! # Invariants
//! - `std::sync` and `std::thread` occur in this file only.
//! - A lock poisoned by a panic elsewhere is entered all the same: what it guards is either
//!   re-checked or marked unusable by the poison flag of the log.

#[cfg(not(loom))]
pub(crate) use std::sync::{Condvar, Mutex, MutexGuard};
#[cfg(not(loom))]
pub(crate) mod atomic {
    pub(crate) use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
}
#[cfg(loom)]
pub(crate) use loom::sync::{Condvar, Mutex, MutexGuard};
#[cfg(loom)]
pub(crate) mod atomic {
    pub(crate) use loom::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
}
pub(crate) use std::sync::{Arc, OnceLock, PoisonError};
pub(crate) use std::thread;

/// Enters a lock whether or not a holder panicked.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Records which part of a shared buffer is read and written, so that a model checker sees a race.
/// Outside a model it is nothing.
#[cfg(not(loom))]
#[derive(Debug, Default)]
pub(crate) struct RaceDetector;

#[cfg(not(loom))]
impl RaceDetector {
    #[inline]
    pub(crate) fn new(_: usize) -> Self {
        Self
    }

    #[inline]
    pub(crate) fn read(&self, _: usize) {}

    #[inline]
    pub(crate) fn write(&self, _: std::ops::Range<usize>) {}
}

#[cfg(loom)]
#[derive(Debug, Default)]
pub(crate) struct RaceDetector(Vec<loom::cell::UnsafeCell<()>>);

#[cfg(loom)]
impl RaceDetector {
    pub(crate) fn new(records: usize) -> Self {
        Self((0..records).map(|_| loom::cell::UnsafeCell::new(())).collect())
    }

    /// The first `len` records are read.
    pub(crate) fn read(&self, len: usize) {
        self.0.iter().take(len).for_each(|record| record.with(|_| ()));
    }

    /// These records are written.
    pub(crate) fn write(&self, records: std::ops::Range<usize>) {
        let written = self.0.get(records).unwrap_or_default();
        written.iter().for_each(|record| record.with_mut(|_| ()));
    }
}

/// A published immutable value: readers load it without a lock, writers replace it whole.
#[derive(Debug)]
pub(crate) struct Swap<T>(arc_swap::ArcSwap<T>);

impl<T> Swap<T> {
    /// Publishes `value`.
    pub(crate) fn new(value: T) -> Self {
        Self(arc_swap::ArcSwap::from_pointee(value))
    }

    /// The value as it is now. Wait-free; meant to be held briefly.
    pub(crate) fn load(&self) -> arc_swap::Guard<Arc<T>> {
        self.0.load()
    }

    /// The value as it is now, to keep.
    pub(crate) fn load_full(&self) -> Arc<T> {
        self.0.load_full()
    }

    /// Replaces the value by one made from it; `make` runs again where another replaced it first.
    pub(crate) fn update(&self, mut make: impl FnMut(&T) -> T) {
        self.0.rcu(|value| make(value));
    }

    /// Replaces the value.
    pub(crate) fn store(&self, value: T) {
        self.0.store(Arc::new(value));
    }
}

/// A published value that may be absent.
#[derive(Debug)]
pub(crate) struct SwapOption<T>(arc_swap::ArcSwapOption<T>);

impl<T> Default for SwapOption<T> {
    fn default() -> Self {
        Self(arc_swap::ArcSwapOption::const_empty())
    }
}

impl<T> SwapOption<T> {
    /// The value as it is now. Wait-free; meant to be held briefly.
    #[inline]
    pub(crate) fn load(&self) -> arc_swap::Guard<Option<Arc<T>>> {
        self.0.load()
    }

    /// Replaces the value.
    pub(crate) fn store(&self, value: Option<Arc<T>>) {
        self.0.store(value);
    }
}
