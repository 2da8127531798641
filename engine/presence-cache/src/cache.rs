//! The cache, as its users hold it.
//!
//! # Invariants
//! - Handles are cheap to clone; with the last one the workers end.
//! - No call waits for anything but the load of the key it asks for.

use std::fmt;
use std::ops::Deref;

use crate::entry::EntryId;
use crate::inner::{Demand, Inner};
use crate::key::Key;
use crate::options::Builder;
use crate::provider::{LoadError, Provider};
use crate::shim::{Arc, Weak};
use crate::stats::Stats;
use crate::store::Met;
use crate::worker::Crew;

/// A cache in front of a [`Provider`], which loads each key once however many threads ask for it,
/// and fetches ahead what its predictor expects.
///
/// ```
/// use presence_cache::PrefetchCache;
///
/// let squares = |key: &u64| Ok::<_, std::io::Error>(key * key);
/// let cache = PrefetchCache::builder(squares).entries_max(100).build();
/// assert_eq!(cache.get(&12).unwrap(), 144);
/// assert_eq!(cache.get_many(&[1, 2, 3]).into_iter().flatten().sum::<u64>(), 14);
/// assert_eq!(cache.peek(&12), Some(144));
/// cache.close();
/// ```
pub struct PrefetchCache<K: Key, V: Clone, P: Provider<K, V>> {
    inner: Arc<Inner<K, V, P>>,
    closer: Arc<Closer<K, V, P>>,
}

/// Closes the cache when the last handle goes: workers hold the inner part only.
struct Closer<K: Key, V: Clone, P: Provider<K, V>> {
    inner: Arc<Inner<K, V, P>>,
}

impl<K: Key, V: Clone, P: Provider<K, V>> Drop for Closer<K, V, P> {
    fn drop(&mut self) {
        self.inner.close();
    }
}

impl<K: Key, V: Clone, P: Provider<K, V>> Clone for PrefetchCache<K, V, P> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner), closer: Arc::clone(&self.closer) }
    }
}

impl<K: Key, V: Clone, P> PrefetchCache<K, V, P>
where
    P: Provider<K, V>,
{
    /// Settings of a cache in front of `provider`, to be changed and built.
    pub fn builder(provider: P) -> Builder<K, P> {
        Builder::new(provider)
    }

    pub(crate) fn start(builder: Builder<K, P>) -> Self
    where
        V: Send + Sync + 'static,
    {
        let crew = Crew::new(builder.workers);
        let inner = Arc::new_cyclic(|me| Inner::new(builder, crew, Weak::clone(me)));
        Self { closer: Arc::new(Closer { inner: Arc::clone(&inner) }), inner }
    }

    /// The value of `key`: from the cache, or loaded by this thread, or by another one that has
    /// begun and is waited for. After [`close`](Self::close) as before, but for prefetching.
    ///
    /// # Errors
    /// The error of the load. That of a prefetch is told to the first who asks for the key; who
    /// asks again causes a load.
    #[inline]
    pub fn get(&self, key: &K) -> Result<V, LoadError<P::Error>> {
        self.inner.get(key)
    }

    /// The value of `key` if it is in the cache, as [`get`](Self::get) would give it: counted as a
    /// hit. Otherwise nothing happens. It waits for no load and runs no code of others.
    #[inline]
    pub fn get_if_here(&self, key: &K) -> Option<V> {
        let hit = self.inner.store.get(self.inner.store.hash(key), key)?;
        Some(self.inner.found(key, hit))
    }

    /// The values of all `keys`, in their order. What is missing is loaded by this thread and the
    /// workers together.
    pub fn get_many(&self, keys: &[K]) -> Vec<Result<V, LoadError<P::Error>>> {
        enum Part<V, D, E> {
            Here(Result<V, E>),
            Coming(D),
        }
        let inner = &*self.inner;
        let mut demands = Vec::new();
        let parts: Vec<_> = keys
            .iter()
            .map(|key| {
                let hash = inner.store.hash(key);
                if let Some(hit) = inner.store.get(hash, key) {
                    return Part::Here(Ok(inner.found(key, hit)));
                }
                let demand = |flight| Demand { hash, key: key.clone(), flight };
                match inner.meet(hash, key, false) {
                    Met::Hit(hit) => Part::Here(Ok(inner.found(key, hit))),
                    Met::Failed(error) => Part::Here(Err(error)),
                    Met::Join(flight, _) => Part::Coming(demand(flight)),
                    Met::Lead(flight) => {
                        demands.push(demand(Arc::clone(&flight)));
                        Part::Coming(demand(flight))
                    }
                }
            })
            .collect();
        if inner.crew.is_wanted() && demands.len() > 1 {
            // This thread takes the first one at once.
            inner.queue.demand(demands.into_iter().skip(1));
            inner.call_workers();
        }
        let answers = parts.into_iter().map(|part| match part {
            Part::Here(answer) => answer,
            Part::Coming(demand) => inner.join(demand.hash, &demand.key, &demand.flight),
        });
        answers.collect()
    }

    /// The value of `key` if it is in the cache, without a trace: nothing is loaded or counted, and
    /// nothing becomes more recent.
    pub fn peek(&self, key: &K) -> Option<V> {
        self.inner.store.peek(self.inner.store.hash(key), key)
    }

    /// The value of `key` if it is in the cache, to stay there as long as the guard lives.
    pub fn pin(&self, key: &K) -> Option<Pinned<'_, K, V, P>> {
        let (value, hash, id) = self.inner.pin(key)?;
        Some(Pinned { inner: &self.inner, value, hash, id })
    }

    /// Puts `value` in for `key`, in place of what is there or on its way. Whether there was room.
    pub fn insert(&self, key: K, value: V) -> bool {
        let bytes = self.inner.provider.bytes(&key, &value);
        let landed = self.inner.store.insert(key, value, bytes);
        self.inner.removed(landed.removed);
        landed.id.is_some()
    }

    /// Forgets the value of `key`, pinned or not, and a kept error. A load under way answers those
    /// who wait for it and is not kept: whoever asks from now on gets a newer one.
    pub fn invalidate(&self, key: &K) {
        self.inner.removed(self.inner.store.invalidate(key));
    }

    /// Forgets all keys that `matches`.
    pub fn invalidate_where(&self, mut matches: impl FnMut(&K) -> bool) {
        for key in self.inner.store.keys() {
            if matches(&key) {
                self.invalidate(&key);
            }
        }
    }

    /// Says that these keys are worth fetching now. How many of them found room in the queue.
    pub fn prefetch_hint(&self, keys: impl IntoIterator<Item = K>) -> usize {
        if !self.inner.crew.is_wanted() {
            return 0;
        }
        // Code of others runs before the lock is taken.
        let keys: Vec<K> =
            keys.into_iter().filter(|key| self.inner.provider.contains(key)).collect();
        if keys.is_empty() {
            return 0;
        }
        let taken = self.inner.queue.hint(keys);
        self.inner.call_workers();
        taken
    }

    /// The keys whose values are in the cache or on their way, or whose error is kept, in no order.
    pub fn keys(&self) -> Vec<K> {
        self.inner.store.keys()
    }

    /// The predicted keys that wait for a worker, each with its likelihood, the likeliest first.
    pub fn prefetches_waiting(&self) -> Vec<(K, f64)> {
        self.inner.queue.planned()
    }

    /// What the cache has counted, and how it is.
    pub fn stats(&self) -> Stats {
        self.inner.stats()
    }

    /// Ends prefetching, at once: loads under way end by themselves, and their workers with them.
    /// May be called any number of times.
    pub fn close(&self) {
        self.inner.close();
    }

    /// Whether it was closed.
    pub fn is_closed(&self) -> bool {
        self.inner.queue.is_closed()
    }

    /// Closes, and waits for the workers to end. From a listener or a provider it only closes.
    pub fn close_and_wait(&self) {
        self.close();
        self.inner.crew.join();
    }

    /// Waits until the workers have nothing left to do: for tests, and tools that show a state. A
    /// listener or a provider on a worker would wait for itself: not for them.
    pub fn wait_idle(&self) {
        if self.inner.crew.is_wanted() {
            self.inner.queue.wait_idle();
        }
    }

    /// A handle that does not keep the workers running: for listeners and providers that call the
    /// cache.
    pub fn downgrade(&self) -> WeakCache<K, V, P> {
        WeakCache { closer: Arc::downgrade(&self.closer) }
    }
}

impl<K: Key, V: Clone, P: Provider<K, V>> fmt::Debug for PrefetchCache<K, V, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PrefetchCache").field("stats", &self.inner.stats()).finish()
    }
}

/// A cache, as long as somebody else holds it.
pub struct WeakCache<K: Key, V: Clone, P: Provider<K, V>> {
    closer: Weak<Closer<K, V, P>>,
}

impl<K: Key, V: Clone, P: Provider<K, V>> WeakCache<K, V, P> {
    /// The cache, if there still is one.
    pub fn upgrade(&self) -> Option<PrefetchCache<K, V, P>> {
        let closer = self.closer.upgrade()?;
        Some(PrefetchCache { inner: Arc::clone(&closer.inner), closer })
    }
}

impl<K: Key, V: Clone, P: Provider<K, V>> Clone for WeakCache<K, V, P> {
    fn clone(&self) -> Self {
        Self { closer: Weak::clone(&self.closer) }
    }
}

/// A value that is not evicted while this lives.
pub struct Pinned<'a, K: Key, V: Clone, P: Provider<K, V>> {
    inner: &'a Inner<K, V, P>,
    value: V,
    hash: u64,
    id: EntryId,
}

impl<K: Key, V: Clone, P: Provider<K, V>> Deref for Pinned<'_, K, V, P> {
    type Target = V;

    fn deref(&self) -> &V {
        &self.value
    }
}

impl<K: Key, V: Clone, P: Provider<K, V>> Drop for Pinned<'_, K, V, P> {
    fn drop(&mut self) {
        self.inner.store.unpin(self.hash, self.id);
    }
}
