//! How a cache is made.
//!
//! # Invariants
//! - Every combination of numbers makes a cache that works; none is refused. No bytes or no entries
//!   make one that keeps nothing, no workers one that fetches nothing ahead.

use crate::cache::PrefetchCache;
use crate::event::{Event, Listener};
use crate::key::Key;
use crate::policy::{EvictionPolicy, Lru};
use crate::predict::{Adaptive, Predictor};
use crate::provider::Provider;
use crate::shim::processors;

/// Settings of a [`PrefetchCache`], to be built.
#[must_use = "nothing is made before `build`"]
pub struct Builder<K, P> {
    pub(crate) provider: P,
    pub(crate) bytes_max: u64,
    pub(crate) entries_max: usize,
    pub(crate) workers: usize,
    pub(crate) starts_late: bool,
    pub(crate) prefetch_max: usize,
    pub(crate) queue_max: usize,
    pub(crate) history_max: usize,
    pub(crate) parts: usize,
    pub(crate) policy: Box<dyn EvictionPolicy>,
    pub(crate) predictor: Box<dyn Predictor<K>>,
    pub(crate) listener: Option<Listener<K>>,
}

impl<K: Key, P> Builder<K, P> {
    pub(crate) fn new(provider: P) -> Self {
        Self {
            provider,
            bytes_max: 64 << 20,
            entries_max: usize::MAX,
            workers: 4,
            starts_late: false,
            prefetch_max: 20,
            queue_max: 256,
            history_max: 30,
            parts: (4 * processors()).clamp(1, 64),
            policy: Box::new(Lru::new()),
            predictor: Box::new(Adaptive::new()),
            listener: None,
        }
    }

    /// Bytes to hold at most, as the provider counts them; 64 MiB if not said.
    pub fn bytes_max(mut self, bytes_max: u64) -> Self {
        self.bytes_max = bytes_max;
        self
    }

    /// Values to hold at most; no limit if not said.
    pub fn entries_max(mut self, entries_max: usize) -> Self {
        self.entries_max = entries_max;
        self
    }

    /// Threads that fetch ahead, and help [`PrefetchCache::get_many`]; 4 if not said. With 0 there
    /// is no prefetching. They begin with the first miss, hint, or `get_many` of several loads.
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = workers;
        self
    }

    /// The threads begin only when there is something to fetch: until then the predictor runs on
    /// readers that have missed. For caches of which many are made and few are read in an order,
    /// with a predictor that is quick beside a load.
    pub fn start_late(mut self) -> Self {
        self.starts_late = true;
        self
    }

    /// Keys to look ahead at most, here or not; 20 if not said. Never more than half of what the
    /// cache can hold.
    pub fn prefetch_max(mut self, prefetch_max: usize) -> Self {
        self.prefetch_max = prefetch_max;
        self
    }

    /// Loads of `get_many`, and hints, that may wait for a worker; 256 of each if not said.
    pub fn queue_max(mut self, queue_max: usize) -> Self {
        self.queue_max = queue_max;
        self
    }

    /// Keys of history that predictors see; 30 if not said.
    pub fn history_max(mut self, history_max: usize) -> Self {
        self.history_max = history_max;
        self
    }

    /// Who goes when room is needed; [`Lru`] if not said.
    pub fn policy(mut self, policy: impl EvictionPolicy) -> Self {
        self.policy = Box::new(policy);
        self
    }

    /// What is fetched ahead; [`Adaptive`] if not said.
    pub fn predictor(mut self, predictor: impl Predictor<K>) -> Self {
        self.predictor = Box::new(predictor);
        self
    }

    /// A function that is told what happens. It runs outside every lock, on the thread on which it
    /// happens, and may call the cache; to hold the cache in it, see [`PrefetchCache::downgrade`].
    pub fn on_event(mut self, listener: impl Fn(&Event<K>) + Send + Sync + 'static) -> Self {
        self.listener = Some(Box::new(listener));
        self
    }

    /// Makes a small cache for a model.
    #[cfg(all(test, loom))]
    pub(crate) fn model<V>(mut self) -> PrefetchCache<K, V, P>
    where
        V: Clone + Send + Sync + 'static,
        P: Provider<K, V>,
    {
        self.parts = 1;
        self.build()
    }

    /// Makes the cache.
    pub fn build<V>(self) -> PrefetchCache<K, V, P>
    where
        V: Clone + Send + Sync + 'static,
        P: Provider<K, V>,
    {
        PrefetchCache::start(self)
    }
}
