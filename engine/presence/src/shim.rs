//! Every lock, atomic, thread and published pointer of the engine comes from here.
//!
//! Built with `--cfg loom`, the same names are a model checker's: models, in the files of what they
//! model, then run the real code in every order of its steps.
//!
//! # Invariants
//! - `std::sync` and `std::thread` occur in this file only.
//! - A lock poisoned by a panic elsewhere is entered all the same: what it guards is either
//!   re-checked or marked unusable by the poison flag of the log.
//!
//! What the models cannot tell: `OnceLock`, `Arc` and the insides of `arc_swap` are taken at their
//! word. A [`Swap`] is one indivisible step in a model, and waits without an end: a timeout never
//! hides a wakeup that was lost.

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
pub(crate) use std::sync::{Arc, OnceLock, PoisonError, Weak};
#[cfg(not(loom))]
pub(crate) use std::thread;
#[cfg(loom)]
pub(crate) mod thread {
    pub(crate) use loom::thread::{Builder, JoinHandle};

    /// Models have no clock.
    pub(crate) fn sleep(_: std::time::Duration) {
        loom::thread::yield_now();
    }
}

/// Locks that no model looks into: those of devices in memory, whose every call is one step.
pub(crate) mod plain {
    pub(crate) use std::sync::atomic::{AtomicU64, Ordering};
    pub(crate) use std::sync::{Mutex, MutexGuard};

    /// Enters a lock whether or not a holder panicked.
    pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
        mutex.lock().unwrap_or_else(super::PoisonError::into_inner)
    }
}

/// Enters a lock whether or not a holder panicked.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether the fault `name` is planted: a step left out or an order weakened, which a model must
/// find. Outside a model none ever is, and the branch is not compiled.
#[cfg(not(loom))]
#[inline(always)]
pub(crate) const fn planted(_name: &str) -> bool {
    false
}

/// Whether the fault `name` is planted, by the environment variable `PRESENCE_PLANT`.
#[cfg(loom)]
pub(crate) fn planted(name: &str) -> bool {
    static PLANT: OnceLock<Option<String>> = OnceLock::new();
    PLANT.get_or_init(|| std::env::var("PRESENCE_PLANT").ok()).as_deref() == Some(name)
}

/// Runs `model` in every order of its threads' steps, with up to `preemptions` switches that no
/// thread asked for (or `LOOM_MAX_PREEMPTIONS`), and tells how many orders there are.
#[cfg(all(test, loom))]
pub(crate) fn explore(preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
    use std::sync::atomic::{AtomicU64, Ordering};
    let orders = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&orders);
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(preemptions));
    builder.max_branches = 100_000;
    builder.check(move || {
        counted.fetch_add(1, Ordering::Relaxed);
        model();
    });
    println!("interleavings\t{}", orders.load(Ordering::Relaxed));
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
pub(crate) struct Swap<T>(swap::Cell<T>);

impl<T> Swap<T> {
    /// Publishes `value`.
    pub(crate) fn new(value: T) -> Self {
        Self(swap::Cell::from_pointee(value))
    }

    /// The value as it is now. Wait-free; meant to be held briefly.
    pub(crate) fn load(&self) -> swap::Guard<Arc<T>> {
        self.0.load()
    }

    /// The value as it is now, to keep.
    pub(crate) fn load_full(&self) -> Arc<T> {
        self.0.load_full()
    }

    /// Replaces the value by one made from it; `make` runs again where another replaced it first.
    pub(crate) fn update(&self, mut make: impl FnMut(&T) -> T) {
        if planted("blind_update") {
            return self.store(make(&self.load()));
        }
        self.0.rcu(|value| make(value));
    }

    /// Replaces the value.
    pub(crate) fn store(&self, value: T) {
        self.0.store(Arc::new(value));
    }
}

/// A published value that may be absent.
#[derive(Debug)]
pub(crate) struct SwapOption<T>(swap::OptionCell<T>);

impl<T> Default for SwapOption<T> {
    fn default() -> Self {
        Self(swap::OptionCell::from(None))
    }
}

impl<T> SwapOption<T> {
    /// The value as it is now. Wait-free; meant to be held briefly.
    #[inline]
    pub(crate) fn load(&self) -> swap::Guard<Option<Arc<T>>> {
        self.0.load()
    }

    /// Replaces the value.
    pub(crate) fn store(&self, value: Option<Arc<T>>) {
        self.0.store(value);
    }
}

#[cfg(not(loom))]
mod swap {
    pub(crate) use arc_swap::{ArcSwap as Cell, ArcSwapOption as OptionCell, Guard};
}

/// What `arc_swap` promises, in steps that a model sees.
#[cfg(loom)]
mod swap {
    use super::{Arc, Mutex, lock};

    pub(crate) type Guard<P> = P;

    #[derive(Debug)]
    pub(crate) struct Cell<T>(Mutex<Arc<T>>);

    impl<T> Cell<T> {
        pub(crate) fn from_pointee(value: T) -> Self {
            Self(Mutex::new(Arc::new(value)))
        }

        pub(crate) fn load(&self) -> Guard<Arc<T>> {
            self.load_full()
        }

        pub(crate) fn load_full(&self) -> Arc<T> {
            Arc::clone(&lock(&self.0))
        }

        pub(crate) fn store(&self, value: Arc<T>) {
            let earlier = std::mem::replace(&mut *lock(&self.0), value);
            drop(earlier);
        }

        pub(crate) fn rcu(&self, mut make: impl FnMut(&Arc<T>) -> T) {
            loop {
                let seen = self.load_full();
                let made = Arc::new(make(&seen));
                let mut current = lock(&self.0);
                if Arc::ptr_eq(&current, &seen) {
                    let earlier = std::mem::replace(&mut *current, made);
                    drop(current);
                    drop(earlier);
                    return;
                }
            }
        }
    }

    #[derive(Debug)]
    pub(crate) struct OptionCell<T>(Mutex<Option<Arc<T>>>);

    impl<T> From<Option<Arc<T>>> for OptionCell<T> {
        fn from(value: Option<Arc<T>>) -> Self {
            Self(Mutex::new(value))
        }
    }

    impl<T> OptionCell<T> {
        pub(crate) fn load(&self) -> Guard<Option<Arc<T>>> {
            lock(&self.0).clone()
        }

        pub(crate) fn store(&self, value: Option<Arc<T>>) {
            let earlier = std::mem::replace(&mut *lock(&self.0), value);
            drop(earlier);
        }
    }
}
