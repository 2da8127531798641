//! What happens in a cache, told to whoever listens.
//!
//! # Invariants
//! - A listener runs outside every lock, on the thread where it happened, and may call the cache.
//! - What a listener causes itself, on its thread, is not told to it: it would never end.
//! - A listener that panics is caught and counted.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::shim::Arc;
use crate::shim::atomic::{AtomicU64, Ordering};

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event<K> {
    /// A reader begins to load a key.
    CacheLoadStart(K),
    /// It has the value.
    CacheLoadComplete(K),
    /// It has an error instead.
    CacheLoadError(K, Arc<str>),
    /// A worker begins to fetch a key ahead.
    PrefetchStart(K),
    /// It has the value.
    PrefetchSuccess(K),
    /// It has an error instead, kept for the reader who asks for the key.
    PrefetchError(K, Arc<str>),
    /// A value was evicted.
    CacheEvict(K),
    /// A worker met a panic of a predictor or the like, and goes on.
    WorkerError(Arc<str>),
}

impl<K> Event<K> {
    /// Its name: `cache_load_start`, `prefetch_error` and so on.
    pub fn name(&self) -> &'static str {
        match self {
            Self::CacheLoadStart(_) => "cache_load_start",
            Self::CacheLoadComplete(_) => "cache_load_complete",
            Self::CacheLoadError(..) => "cache_load_error",
            Self::PrefetchStart(_) => "prefetch_start",
            Self::PrefetchSuccess(_) => "prefetch_success",
            Self::PrefetchError(..) => "prefetch_error",
            Self::CacheEvict(_) => "cache_evict",
            Self::WorkerError(_) => "worker_error",
        }
    }

    /// The key it is about.
    pub fn key(&self) -> Option<&K> {
        match self {
            Self::CacheLoadStart(key)
            | Self::CacheLoadComplete(key)
            | Self::CacheLoadError(key, _)
            | Self::PrefetchStart(key)
            | Self::PrefetchSuccess(key)
            | Self::PrefetchError(key, _)
            | Self::CacheEvict(key) => Some(key),
            Self::WorkerError(_) => None,
        }
    }
}

/// A function that is told.
pub(crate) type Listener<K> = Box<dyn Fn(&Event<K>) + Send + Sync>;

/// Tells the listener, if there is one.
pub(crate) struct Events<K> {
    listener: Option<Listener<K>>,
    panics: AtomicU64,
}

thread_local! {
    static TELLING: Cell<bool> = const { Cell::new(false) };
}

/// Ends the telling, however the listener ends.
struct Telling;

impl Drop for Telling {
    fn drop(&mut self) {
        let _ended = TELLING.try_with(|telling| telling.set(false));
    }
}

impl<K> Events<K> {
    pub(crate) fn new(listener: Option<Listener<K>>) -> Self {
        Self { listener, panics: AtomicU64::new(0) }
    }

    /// Tells what `event` makes; nothing is made where nobody listens.
    #[inline]
    pub(crate) fn tell(&self, event: impl FnOnce() -> Event<K>) {
        if let Some(listener) = &self.listener {
            self.tell_listener(listener, event);
        }
    }

    fn tell_listener(&self, listener: &Listener<K>, event: impl FnOnce() -> Event<K>) {
        // A thread that is ending has no flag any more, and hears nothing.
        if TELLING.try_with(|telling| telling.replace(true)).unwrap_or(true) {
            return;
        }
        let _telling = Telling;
        if catch_unwind(AssertUnwindSafe(|| listener(&event()))).is_err() {
            self.panics.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How often the listener panicked.
    pub(crate) fn panics(&self) -> u64 {
        self.panics.load(Ordering::Relaxed)
    }
}
