//! Several providers behind one cache, so that they share its budget and its workers.
//!
//! # Invariants
//! - A number names one provider, for ever: it is not given again.
//! - No lock is held while a provider loads; one that was removed may still end its loads.

use hashbrown::HashMap;

use crate::key::{Key, Place};
use crate::provider::Provider;
use crate::shim::atomic::{AtomicU32, Ordering};
use crate::shim::{Arc, RwLock, read, write};

/// Bits of a lane that are left to the keys of a source.
const LANE_BITS: u32 = 40;

/// A key of one of several providers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SourceKey<K> {
    /// The number that [`Sources::add`] gave.
    pub source: u32,
    /// The provider's own key.
    pub key: K,
}

impl<K: Key> Key for SourceKey<K> {
    /// Lanes up to 2^40 of sources up to 2^24; others are not predicted.
    #[inline]
    fn place(&self) -> Option<Place> {
        let Place { lane, position } = self.key.place()?;
        let fits = lane < 1 << LANE_BITS && self.source < 1 << (u64::BITS - LANE_BITS);
        fits.then_some(Place { lane: u64::from(self.source) << LANE_BITS | lane, position })
    }

    fn from_place(place: Place) -> Option<Self> {
        let source = u32::try_from(place.lane >> LANE_BITS).ok()?;
        let lane = place.lane & ((1 << LANE_BITS) - 1);
        Some(Self { source, key: K::from_place(Place { lane, ..place })? })
    }
}

/// Providers that come and go behind one cache.
///
/// ```
/// use std::sync::Arc;
///
/// use presence_cache::{PrefetchCache, SourceKey, Sources};
///
/// let sources = Arc::new(Sources::new());
/// let cache = PrefetchCache::builder(Arc::clone(&sources)).bytes_max(1 << 20).build();
/// let tens = sources.add(|key: &u64| Ok::<u64, ()>(key * 10));
/// assert_eq!(cache.get(&SourceKey { source: tens, key: 4 }).unwrap(), 40);
///
/// sources.remove(tens);
/// cache.invalidate_where(|key| key.source == tens);
/// assert!(cache.get(&SourceKey { source: tens, key: 4 }).is_err());
/// ```
#[derive(Debug)]
pub struct Sources<S> {
    sources: RwLock<HashMap<u32, Arc<S>>>,
    next: AtomicU32,
}

/// Why a key of several sources has no value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceError<E> {
    /// There is no such source (any more).
    Removed(u32),
    /// The source's own error.
    Source(E),
}

impl<S> Default for Sources<S> {
    fn default() -> Self {
        Self::new()
    }
}

impl<S> Sources<S> {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        Self { sources: RwLock::new(HashMap::new()), next: AtomicU32::new(0) }
    }

    /// Adds a provider. Returns the number that its keys carry.
    pub fn add(&self, source: S) -> u32 {
        self.add_shared(Arc::new(source))
    }

    /// Adds a provider that its owner keeps a handle of.
    pub fn add_shared(&self, source: Arc<S>) -> u32 {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        write(&self.sources).insert(number, source);
        number
    }

    /// Removes a provider. Its values stay in the cache until they are invalidated.
    pub fn remove(&self, number: u32) -> Option<Arc<S>> {
        write(&self.sources).remove(&number)
    }

    /// The provider of this number.
    pub fn get(&self, number: u32) -> Option<Arc<S>> {
        read(&self.sources).get(&number).map(Arc::clone)
    }
}

impl<K, V, S> Provider<SourceKey<K>, V> for Arc<Sources<S>>
where
    S: Provider<K, V>,
{
    type Error = SourceError<S::Error>;

    fn load(&self, key: &SourceKey<K>) -> Result<V, Self::Error> {
        let source = self.get(key.source).ok_or(SourceError::Removed(key.source))?;
        source.load(&key.key).map_err(SourceError::Source)
    }

    fn contains(&self, key: &SourceKey<K>) -> bool {
        self.get(key.source).is_some_and(|source| source.contains(&key.key))
    }

    fn bytes(&self, key: &SourceKey<K>, value: &V) -> u64 {
        let own = (size_of::<SourceKey<K>>() + size_of::<V>()) as u64;
        self.get(key.source).map_or(own, |source| source.bytes(&key.key, value))
    }

    fn removed(&self, key: &SourceKey<K>, value: V) {
        if let Some(source) = self.get(key.source) {
            source.removed(&key.key, value);
        }
    }

    fn describe(&self, error: &Self::Error) -> String {
        match error {
            SourceError::Removed(number) => format!("source {number} was removed"),
            SourceError::Source(_) => "the load of a source failed".to_owned(),
        }
    }
}
