//! What a cache, its provider, predictor and policy share.
//!
//! # Invariants
//! - Only the exception of a predictor or policy that came first is kept; it is raised once.

use std::cell::Cell;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pyo3::prelude::*;

thread_local! {
    /// Whether this thread asks the cache for something.
    static ASKING: Cell<bool> = const { Cell::new(false) };
    /// Whether this thread runs an eviction policy.
    static EVICTING: Cell<bool> = const { Cell::new(false) };
}

/// A flag of this thread that is set as long as this lives.
pub(super) struct Flag(&'static std::thread::LocalKey<Cell<bool>>, bool);

impl Flag {
    pub(super) fn asking() -> Self {
        Self(&ASKING, ASKING.replace(true))
    }

    pub(super) fn evicting() -> Self {
        Self(&EVICTING, EVICTING.replace(true))
    }
}

impl Drop for Flag {
    fn drop(&mut self) {
        self.0.set(self.1);
    }
}

pub(super) fn is_asking() -> bool {
    ASKING.get()
}

pub(super) fn is_evicting() -> bool {
    EVICTING.get()
}

/// Calls of Python code by threads that are not Python's own.
static CALLS: AtomicUsize = AtomicUsize::new(0);
/// No more of them begin.
static ENDING: AtomicBool = AtomicBool::new(false);

/// A call of Python code that is counted.
struct Call;

impl Call {
    fn begin() -> Option<Self> {
        CALLS.fetch_add(1, Ordering::SeqCst);
        let call = Self;
        (!ENDING.load(Ordering::SeqCst)).then_some(call)
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        CALLS.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Runs `call` with the interpreter, unless that ends: a thread of the cache's would not survive
/// the end within it.
pub(super) fn attached<T>(call: impl FnOnce(Python<'_>) -> T) -> Option<T> {
    if is_asking() {
        return Python::try_attach(call);
    }
    let _counted = Call::begin()?;
    Python::try_attach(call)
}

/// Before the interpreter ends: waits for the Python code that workers run, and lets none begin.
#[pyfunction]
pub(super) fn _end_prefetching(py: Python<'_>) {
    ENDING.store(true, Ordering::SeqCst);
    py.detach(|| {
        while CALLS.load(Ordering::SeqCst) > 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
    });
}

/// In a process that was forked, which has no workers.
#[pyfunction]
pub(super) fn _forget_prefetching() {
    CALLS.store(0, Ordering::SeqCst);
}

/// A value in the cache.
pub(super) struct Held {
    pub(super) data: Py<PyAny>,
    /// `time.monotonic()` when it was loaded.
    pub(super) loaded: f64,
    /// `sys.getsizeof` of it.
    pub(super) bytes: u64,
}

pub(super) type Value = Arc<Held>;

/// Where readers are.
pub(super) struct Trail {
    pub(super) current: Option<i64>,
    pub(super) history: VecDeque<i64>,
    pub(super) history_max: usize,
}

pub(super) struct Shared {
    pub(super) trail: Mutex<Trail>,
    failed: AtomicBool,
    failure: Mutex<Option<PyErr>>,
    /// Readers that had to wait, and whether all is over.
    waiters: Mutex<(u64, bool)>,
    wake: Condvar,
    /// Questions asked again because a prefetch had failed before.
    pub(super) again: AtomicU64,
    /// Told of events, by a name and keywords.
    pub(super) listener: Option<Py<PyAny>>,
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(super) fn new(history_max: usize, listener: Option<Py<PyAny>>) -> Self {
        let trail = Trail { current: None, history: VecDeque::new(), history_max };
        Self {
            trail: Mutex::new(trail),
            failed: AtomicBool::new(false),
            failure: Mutex::new(None),
            waiters: Mutex::new((0, false)),
            wake: Condvar::new(),
            again: AtomicU64::new(0),
            listener,
        }
    }

    /// A reader asks for `key`.
    pub(super) fn step(&self, key: i64) {
        let mut trail = lock(&self.trail);
        if trail.current == Some(key) {
            return;
        }
        trail.current = Some(key);
        if trail.history.len() >= trail.history_max {
            trail.history.pop_front();
        }
        if trail.history_max > 0 {
            trail.history.push_back(key);
        }
    }

    /// Keeps what a predictor or a policy raised.
    pub(super) fn fail(&self, py: Python<'_>, error: PyErr) {
        if let Some(listener) = &self.listener {
            let kwargs = pyo3::types::PyDict::new(py);
            let told = kwargs
                .set_item("error", error.value(py).to_string())
                .and_then(|()| listener.call(py, ("worker_error",), Some(&kwargs)));
            if let Err(error) = told {
                error.write_unraisable(py, Some(listener.bind(py)));
            }
        }
        lock(&self.failure).get_or_insert(error);
        self.failed.store(true, Ordering::Release);
    }

    /// Raises what was kept.
    pub(super) fn check(&self) -> PyResult<()> {
        if !self.failed.load(Ordering::Acquire) {
            return Ok(());
        }
        let mut failure = lock(&self.failure);
        self.failed.store(false, Ordering::Release);
        failure.take().map_or(Ok(()), Err)
    }

    /// Waits before a load that nobody asked for, until a reader misses something.
    pub(super) fn delay(&self, delay: Duration) {
        let waiters = lock(&self.waiters);
        let before = waiters.0;
        let until = |now: &mut (u64, bool)| now.0 == before && !now.1;
        drop(self.wake.wait_timeout_while(waiters, delay, until));
    }

    /// A reader misses something.
    pub(super) fn hurry(&self) {
        lock(&self.waiters).0 += 1;
        self.wake.notify_all();
    }

    /// Ends all delays.
    pub(super) fn close(&self) {
        lock(&self.waiters).1 = true;
        self.wake.notify_all();
    }
}
