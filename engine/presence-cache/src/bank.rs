//! One part of the map from keys to values, and to loads under way.
//!
//! # Invariants
//! - A key is in one bank, by its hash; it has at most one value and one flight there.
//! - A value comes in and its flight goes under one write lock: between them nobody can begin
//!   another load.

use std::collections::VecDeque;

use hashbrown::HashTable;

use crate::entry::{EntryId, Live};
use crate::flight::Flight;
use crate::provider::LoadError;
use crate::shim::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard, read, write};

/// Errors of prefetches kept in one bank.
const FAILURES_MAX: usize = 16;

/// A key and its value.
pub(crate) struct Item<K, V> {
    pub(crate) key: K,
    pub(crate) value: V,
    pub(crate) hash: u64,
    pub(crate) id: EntryId,
    pub(crate) bytes: u64,
    pub(crate) live: Live,
}

/// Items, flights and failures whose keys' hashes fall here.
pub(crate) struct Bank<K, V, E> {
    tables: RwLock<Tables<K, V, E>>,
}

/// A load under way: hash, key, and where it lands.
type Flying<K, V, E> = (u64, K, Arc<Flight<V, E>>);

pub(crate) struct Tables<K, V, E> {
    items: HashTable<Item<K, V>>,
    flights: HashTable<Flying<K, V, E>>,
    /// Errors of prefetches that nobody has asked for yet, the oldest in front.
    failures: VecDeque<(K, LoadError<E>)>,
}

impl<K, V, E> Default for Bank<K, V, E> {
    fn default() -> Self {
        let tables = Tables {
            items: HashTable::new(),
            flights: HashTable::new(),
            failures: VecDeque::new(),
        };
        Self { tables: RwLock::new(tables) }
    }
}

impl<K, V, E> Bank<K, V, E> {
    #[inline]
    pub(crate) fn read(&self) -> RwLockReadGuard<'_, Tables<K, V, E>> {
        read(&self.tables)
    }

    pub(crate) fn write(&self) -> RwLockWriteGuard<'_, Tables<K, V, E>> {
        write(&self.tables)
    }
}

impl<K: Eq, V, E> Tables<K, V, E> {
    #[inline]
    pub(crate) fn item(&self, hash: u64, key: &K) -> Option<&Item<K, V>> {
        self.items.find(hash, |item| item.key == *key)
    }

    pub(crate) fn by_id(&self, hash: u64, id: EntryId) -> Option<&Item<K, V>> {
        self.items.find(hash, |item| item.id == id)
    }

    pub(crate) fn flight(&self, hash: u64, key: &K) -> Option<&Arc<Flight<V, E>>> {
        self.flights.find(hash, |(_, flying, _)| flying == key).map(|(_, _, flight)| flight)
    }

    pub(crate) fn insert(&mut self, item: Item<K, V>) {
        self.items.insert_unique(item.hash, item, |item| item.hash);
    }

    pub(crate) fn launch(&mut self, hash: u64, key: K, flight: Arc<Flight<V, E>>) {
        self.flights.insert_unique(hash, (hash, key, flight), |(hash, ..)| *hash);
    }

    /// Takes an item out, if `allow` still holds for it now.
    pub(crate) fn remove_if(
        &mut self,
        hash: u64,
        id: EntryId,
        allow: impl FnOnce(&Item<K, V>) -> bool,
    ) -> Option<Item<K, V>> {
        let found = self.items.find_entry(hash, |item| item.id == id).ok()?;
        allow(found.get()).then(|| found.remove().0)
    }

    /// Takes out the flight of `key`: whatever it brings is for those who wait, not to be kept.
    pub(crate) fn dismiss(&mut self, hash: u64, key: &K) -> bool {
        let found = self.flights.find_entry(hash, |(_, flying, _)| flying == key);
        found.map(|found| found.remove()).is_ok()
    }

    /// Whether `flight` is the one under way for its key.
    pub(crate) fn is_flying(&self, hash: u64, flight: &Arc<Flight<V, E>>) -> bool {
        self.flights.find(hash, |(_, _, flying)| Arc::ptr_eq(flying, flight)).is_some()
    }

    /// Takes out `flight` itself, and tells whether it was there.
    pub(crate) fn dismiss_this(&mut self, hash: u64, flight: &Arc<Flight<V, E>>) -> bool {
        let found = self.flights.find_entry(hash, |(_, _, flying)| Arc::ptr_eq(flying, flight));
        found.map(|found| found.remove()).is_ok()
    }

    pub(crate) fn has_failure(&self, key: &K) -> bool {
        self.failures.iter().any(|(failed, _)| failed == key)
    }

    pub(crate) fn take_failure(&mut self, key: &K) -> Option<LoadError<E>> {
        let index = self.failures.iter().position(|(failed, _)| failed == key)?;
        self.failures.remove(index).map(|(_, error)| error)
    }

    pub(crate) fn keep_failure(&mut self, key: K, error: LoadError<E>) {
        if self.failures.len() >= FAILURES_MAX {
            self.failures.pop_front();
        }
        self.failures.push_back((key, error));
    }

    pub(crate) fn keys(&self) -> Vec<K>
    where
        K: Clone,
    {
        let items = self.items.iter().map(|item| &item.key);
        let flights = self.flights.iter().map(|(_, key, _)| key);
        let failures = self.failures.iter().map(|(key, _)| key);
        items.chain(flights).chain(failures).cloned().collect()
    }

    pub(crate) fn items(&self) -> impl Iterator<Item = &Item<K, V>> {
        self.items.iter()
    }

    pub(crate) fn flights(&self) -> usize {
        self.flights.len()
    }
}
