//! Every lock, atomic and thread of the cache comes from here.
//!
//! Built with `--cfg loom`, the same names are a model checker's: models, in the files of what they
//! model, then run the real code in every order of its steps.
//!
//! # Invariants
//! - `std::sync` and `std::thread` occur in this file only.
//! - A lock poisoned by a panic is entered all the same: what is guarded is put right before code
//!   of others runs, or after it by a guard.

#[cfg(not(loom))]
pub(crate) use std::sync::{Condvar, Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};
#[cfg(not(loom))]
pub(crate) mod atomic {
    pub(crate) use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
}
#[cfg(loom)]
pub(crate) use loom::sync::{
    Condvar, Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard,
};
#[cfg(loom)]
pub(crate) mod atomic {
    pub(crate) use loom::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
}
#[cfg(all(test, loom))]
pub(crate) use std::sync::OnceLock;
pub(crate) use std::sync::{Arc, PoisonError, Weak};

#[cfg(not(loom))]
pub(crate) use std::thread;
#[cfg(loom)]
pub(crate) mod thread {
    pub(crate) use loom::thread::{Builder, JoinHandle, ThreadId, current};
}

/// How many processors there are, asked once: the answer is in files of the system, and a database
/// that is opened makes a cache.
#[cfg(not(loom))]
pub(crate) fn processors() -> usize {
    static PROCESSORS: std::sync::OnceLock<usize> = std::sync::OnceLock::new();
    *PROCESSORS.get_or_init(|| thread::available_parallelism().map_or(4, std::num::NonZero::get))
}

/// Models have one processor for each thread.
#[cfg(loom)]
pub(crate) fn processors() -> usize {
    1
}

/// What keys are hashed with: seeded at random, or the same every time for a model.
#[cfg(not(loom))]
pub(crate) type Hasher = hashbrown::DefaultHashBuilder;
#[cfg(loom)]
pub(crate) type Hasher = std::hash::BuildHasherDefault<std::hash::DefaultHasher>;

/// Enters a lock whether or not a holder panicked.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Enters a lock beside other readers, whether or not a holder panicked.
#[inline]
pub(crate) fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

/// Enters a lock alone, whether or not a holder panicked.
pub(crate) fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

/// Sleeps until told, whether or not a holder of the lock panicked.
pub(crate) fn wait<'a, T>(condvar: &Condvar, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
    condvar.wait(guard).unwrap_or_else(PoisonError::into_inner)
}

/// A small number for this thread, the same all its life, and no other's while it lives.
#[cfg(not(loom))]
#[inline]
pub(crate) fn thread_number() -> usize {
    numbers::MINE.with(|mine| match mine.get() {
        numbers::NONE => numbers::take(),
        number => number,
    })
}

#[cfg(not(loom))]
mod numbers {
    use std::cell::Cell;
    use std::sync::Mutex;

    /// This thread has no number yet.
    pub(super) const NONE: usize = usize::MAX;

    thread_local! {
        pub(super) static MINE: Cell<usize> = const { Cell::new(NONE) };
        static RETURN: Return = const { Return(Cell::new(NONE)) };
    }

    /// Numbers that were given back, and the next one that never was given.
    static FREE: Mutex<(Vec<usize>, usize)> = Mutex::new((Vec::new(), 0));

    /// Gives the number back when the thread ends.
    struct Return(Cell<usize>);

    impl Drop for Return {
        fn drop(&mut self) {
            MINE.with(|mine| mine.set(NONE));
            if self.0.get() != NONE {
                super::lock(&FREE).0.push(self.0.get());
            }
        }
    }

    #[cold]
    pub(super) fn take() -> usize {
        let mut free = super::lock(&FREE);
        let number = free.0.pop().unwrap_or(free.1);
        // A thread that is ending keeps none: it takes another each time, which is nobody's.
        let keeps = RETURN.try_with(|back| back.0.set(number)).is_ok();
        free.1 = free.1.max(number.saturating_add(1));
        if keeps {
            MINE.with(|mine| mine.set(number));
        }
        number
    }
}

#[cfg(loom)]
pub(crate) fn thread_number() -> usize {
    0
}

/// Whether the fault `name` is planted: a step left out or an order weakened, which a model must
/// find. Outside a model none ever is, and the branch is not compiled.
#[cfg(not(all(test, loom)))]
#[inline(always)]
pub(crate) const fn planted(_name: &str) -> bool {
    false
}

/// Whether the fault `name` is planted, by the environment variable `PRESENCE_PLANT`.
#[cfg(all(test, loom))]
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
