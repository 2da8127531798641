//! What is in the cache, what is being loaded, and how much of it there may be.
//!
//! # Invariants
//! - The bytes and entries held never exceed the limits, whatever their sizes: a value for which
//!   there can be no room is handed to its readers and not kept.
//! - What is pinned, or in use by a reader, is never evicted.
//! - One load for each key at a time. Taking a value out, or putting one in, dismisses the load
//!   under way: it answers those who wait for it, and is not kept.
//! - Locks are taken in the order core, bank, and given back before code of others runs: provider,
//!   events, the drop of values. A policy runs under the core lock and is caught when it panics.

mod room;

use std::hash::BuildHasher;

use crate::bank::{Bank, Item, Tables};
use crate::entry::{EntryId, Live, Resident};
use crate::flight::Flight;
use crate::key::Key;
use crate::policy::EvictionPolicy;
use crate::provider::LoadError;
use crate::shim::atomic::{AtomicU64, Ordering};
use crate::shim::{Arc, Hasher, Mutex, MutexGuard, lock, planted};
use crate::trail::Trails;

pub(crate) use room::Claimant;
use room::{Core, Record};

/// How much may be held.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) bytes: u64,
    pub(crate) entries: usize,
}

pub(crate) struct Store<K, V, E> {
    banks: Box<[Bank<K, V, E>]>,
    hasher: Hasher,
    /// Values that came in so far: the time by which recency is told.
    clock: AtomicU64,
    pub(crate) trails: Trails,
    core: Mutex<Core>,
    limits: Limits,
}

/// A value that was found.
pub(crate) struct Hit<V> {
    pub(crate) value: V,
    pub(crate) id: EntryId,
    /// It was fetched ahead, and this is its first use.
    pub(crate) first: bool,
}

/// What a reader meets where the value is not there at first sight.
pub(crate) enum Met<V, E> {
    /// It has come in since.
    Hit(Hit<V>),
    /// A prefetch has failed.
    Failed(LoadError<E>),
    /// It is being loaded; whether that was a prefetch nobody had asked for yet.
    Join(Arc<Flight<V, E>>, bool),
    /// The caller has to load it.
    Lead(Arc<Flight<V, E>>),
}

/// A value that left the cache.
pub(crate) struct Removed<K, V> {
    pub(crate) key: K,
    /// For the receiver, outside all locks.
    pub(crate) value: V,
    pub(crate) evicted: bool,
    /// It was fetched ahead and never asked for.
    pub(crate) unused: bool,
}

/// How it ended with a value that came in.
pub(crate) struct Landed<K, V> {
    pub(crate) id: Option<EntryId>,
    pub(crate) removed: Vec<Removed<K, V>>,
}

/// Sizes, for statistics.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Sizes {
    pub(crate) bytes: u64,
    pub(crate) entries: usize,
    pub(crate) loading: usize,
    pub(crate) unused: usize,
    pub(crate) policy_panics: u64,
}

impl<K: Key, V: Clone, E> Store<K, V, E> {
    pub(crate) fn new(limits: Limits, parts: usize, policy: Box<dyn EvictionPolicy>) -> Self {
        Self {
            banks: (0..parts.next_power_of_two()).map(|_| Bank::default()).collect(),
            hasher: Hasher::default(),
            clock: AtomicU64::new(0),
            trails: Trails::new(parts),
            core: Mutex::new(Core::new(policy)),
            limits,
        }
    }

    #[inline]
    pub(crate) fn hash(&self, key: &K) -> u64 {
        self.hasher.hash_one(key)
    }

    /// The bank of a hash. Bits that the bank's own table does not look at first choose it.
    #[inline]
    fn bank(&self, hash: u64) -> &Bank<K, V, E> {
        let index = (hash >> 32) as usize & self.banks.len().wrapping_sub(1);
        // There is a bank for every masked index.
        self.banks.get(index).unwrap_or_else(|| self.first_bank())
    }

    #[cold]
    fn first_bank(&self) -> &Bank<K, V, E> {
        #[expect(clippy::indexing_slicing, reason = "next_power_of_two() is at least one bank")]
        &self.banks[0]
    }

    #[inline]
    fn now(&self) -> u64 {
        self.clock.load(Ordering::Relaxed)
    }

    /// The value, if it is here.
    #[inline]
    pub(crate) fn get(&self, hash: u64, key: &K) -> Option<Hit<V>> {
        self.hit(&self.bank(hash).read(), hash, key)
    }

    #[inline]
    fn hit(&self, tables: &Tables<K, V, E>, hash: u64, key: &K) -> Option<Hit<V>> {
        let item = tables.item(hash, key)?;
        let first = item.live.touch(self.now());
        Some(Hit { value: item.value.clone(), id: item.id, first })
    }

    /// The value, if it is here, without a trace.
    pub(crate) fn peek(&self, hash: u64, key: &K) -> Option<V> {
        self.bank(hash).read().item(hash, key).map(|item| item.value.clone())
    }

    /// The value, to stay until it is unpinned.
    pub(crate) fn pin(&self, hash: u64, key: &K) -> Option<(V, EntryId)> {
        let tables = self.bank(hash).read();
        let item = tables.item(hash, key)?;
        item.live.pin();
        Some((item.value.clone(), item.id))
    }

    pub(crate) fn unpin(&self, hash: u64, id: EntryId) {
        if let Some(item) = self.bank(hash).read().by_id(hash, id) {
            item.live.unpin();
        }
    }

    /// What a reader of `key` is to do. `claim`: it loads at once what nobody does.
    pub(crate) fn meet(&self, hash: u64, key: &K, claim: bool) -> Met<V, E> {
        let bank = self.bank(hash);
        if planted("met_without_lock") {
            let alone = bank.read().flight(hash, key).is_none();
            if alone {
                return self.launch(&mut bank.write(), hash, key, Flight::claimed(false));
            }
        }
        let mut tables = bank.write();
        if let Some(hit) = self.hit(&tables, hash, key) {
            return Met::Hit(hit);
        }
        if let Some(flight) = tables.flight(hash, key) {
            let late = flight.demand() && flight.prefetch;
            return Met::Join(Arc::clone(flight), late);
        }
        if let Some(error) = tables.take_failure(key) {
            return Met::Failed(error);
        }
        let flight = if claim { Flight::claimed(false) } else { Flight::unclaimed() };
        self.launch(&mut tables, hash, key, flight)
    }

    fn launch(
        &self,
        tables: &mut Tables<K, V, E>,
        hash: u64,
        key: &K,
        flight: Flight<V, E>,
    ) -> Met<V, E> {
        let flight = Arc::new(flight);
        tables.launch(hash, key.clone(), Arc::clone(&flight));
        Met::Lead(flight)
    }

    /// A flight for a prefetch, unless the key is here, on its way, or has failed.
    pub(crate) fn prefetch(&self, hash: u64, key: &K) -> Option<Arc<Flight<V, E>>> {
        let mut tables = self.bank(hash).write();
        if Self::is_known(&tables, hash, key) {
            return None;
        }
        match self.launch(&mut tables, hash, key, Flight::claimed(true)) {
            Met::Lead(flight) => Some(flight),
            _ => None,
        }
    }

    fn is_known(tables: &Tables<K, V, E>, hash: u64, key: &K) -> bool {
        tables.item(hash, key).is_some()
            || tables.flight(hash, key).is_some()
            || tables.has_failure(key)
    }

    /// A load has brought `value`: it is kept where there is room. The flight is over for newcomers
    /// afterwards, and has to be landed for those who wait.
    pub(crate) fn land(
        &self,
        (hash, key): (u64, &K),
        flight: &Arc<Flight<V, E>>,
        (value, bytes): (V, u64),
        claimant: Claimant,
    ) -> Landed<K, V> {
        let mut landed = Landed { id: None, removed: Vec::new() };
        let mut core = lock(&self.core);
        let bank = self.bank(hash);
        if !bank.read().is_flying(hash, flight) && !planted("kept_though_dismissed") {
            return landed;
        }
        let demanded = matches!(claimant, Claimant::Reader(_)) || flight.is_demanded();
        let unused_before = flight.prefetch && !demanded;
        let claimant = match claimant {
            Claimant::Prefetch(_) | Claimant::Stale if demanded => Claimant::Reader(usize::MAX),
            claimant => claimant,
        };
        let room = self.make_room(&mut core, bytes, claimant, &mut landed.removed);
        if planted("room_given_back") {
            drop(core);
            core = lock(&self.core);
        }
        let mut tables = bank.write();
        let flying = tables.dismiss_this(hash, flight);
        if room && (flying || planted("kept_though_dismissed")) {
            let unused = match planted("demand_overlooked") {
                true => unused_before,
                false => flight.prefetch && !flight.is_demanded(),
            };
            let key = key.clone();
            landed.id =
                Some(self.put(&mut core, tables, Arrival { key, value, hash, bytes, unused }));
        }
        if let (Some(id), Claimant::Reader(reader)) = (landed.id, claimant)
            && reader != usize::MAX
        {
            self.trails.set_current(reader, id);
        }
        landed
    }

    /// A load has failed. The error of a prefetch that nobody waits for is kept.
    pub(crate) fn fail(
        &self,
        hash: u64,
        key: &K,
        flight: &Arc<Flight<V, E>>,
        error: &LoadError<E>,
    ) -> bool {
        let mut tables = self.bank(hash).write();
        let flying = tables.dismiss_this(hash, flight);
        let keep = flying && !flight.is_demanded();
        if keep {
            tables.keep_failure(key.clone(), error.clone());
        }
        keep
    }

    /// Puts a value in for its key, whatever is there. Whether there was room.
    pub(crate) fn insert(&self, key: K, value: V, bytes: u64) -> Landed<K, V> {
        let hash = self.hash(&key);
        let mut landed = Landed { id: None, removed: Vec::new() };
        let mut core = lock(&self.core);
        self.take_out(&mut core, hash, &key, &mut landed.removed);
        let claimant = Claimant::Reader(usize::MAX);
        if self.make_room(&mut core, bytes, claimant, &mut landed.removed) {
            let mut tables = self.bank(hash).write();
            // A reader may have begun a load meanwhile: what is put in now is newer.
            tables.dismiss(hash, &key);
            let arrival = Arrival { key, value, hash, bytes, unused: false };
            landed.id = Some(self.put(&mut core, tables, arrival));
        }
        landed
    }

    /// Takes out the value of `key`, its failure, and dismisses its load.
    pub(crate) fn invalidate(&self, key: &K) -> Vec<Removed<K, V>> {
        let mut removed = Vec::new();
        self.take_out(&mut lock(&self.core), self.hash(key), key, &mut removed);
        removed
    }

    fn take_out(&self, core: &mut Core, hash: u64, key: &K, removed: &mut Vec<Removed<K, V>>) {
        let mut tables = self.bank(hash).write();
        tables.dismiss(hash, key);
        drop(tables.take_failure(key));
        if let Some(id) = tables.item(hash, key).map(|item| item.id)
            && let Some(item) = tables.remove_if(hash, id, |_| true)
        {
            drop(tables);
            removed.push(core.forget(item, false));
        }
    }

    /// All keys that are here, on their way, or have failed.
    pub(crate) fn keys(&self) -> Vec<K> {
        self.banks.iter().flat_map(|bank| bank.read().keys()).collect()
    }

    fn put(
        &self,
        core: &mut MutexGuard<'_, Core>,
        mut tables: crate::shim::RwLockWriteGuard<'_, Tables<K, V, E>>,
        arrival: Arrival<K, V>,
    ) -> EntryId {
        let Arrival { key, value, hash, bytes, unused } = arrival;
        let now = self.clock.fetch_add(1, Ordering::Relaxed) + 1;
        let id = EntryId(now);
        let live = Live::new(now, unused);
        tables.insert(Item { key, value, hash, id, bytes, live });
        drop(tables);
        core.bytes = core.bytes.saturating_add(bytes);
        core.records.insert(id, Record { hash, bytes, likelihood: 0.0 });
        let (uses, likelihood) = (0, 0.0);
        let resident = Resident { id, hash, bytes, last_used: now, uses, unused, likelihood };
        core.guarded(|policy| policy.inserted(&resident));
        id
    }

    /// Takes note of what is likely, and tells which of it has to be fetched.
    pub(crate) fn predict(&self, likely: &[(K, f64)]) -> Vec<(K, f64)> {
        let mut missing = Vec::new();
        let mut core = lock(&self.core);
        let now = self.now();
        let mut before = std::mem::take(&mut core.predicted);
        for (key, likelihood) in likely {
            let hash = self.hash(key);
            let tables = self.bank(hash).read();
            let Some(item) = tables.item(hash, key) else {
                if !Self::is_known(&tables, hash, key) {
                    missing.push((key.clone(), *likelihood));
                }
                continue;
            };
            item.live.refresh(now);
            let id = item.id;
            drop(tables);
            before.retain(|&other| other != id);
            core.set_likelihood(id, *likelihood);
            core.predicted.push(id);
        }
        for id in before {
            core.set_likelihood(id, 0.0);
        }
        missing
    }

    /// Bytes and entries held.
    pub(crate) fn held(&self) -> (u64, usize) {
        let core = lock(&self.core);
        (core.bytes, core.records.len())
    }

    pub(crate) fn sizes(&self) -> Sizes {
        let core = lock(&self.core);
        let (bytes, entries) = (core.bytes, core.records.len());
        let policy_panics = core.policy_panics;
        drop(core);
        let (mut loading, mut unused) = (0, 0);
        for bank in &self.banks {
            let tables = bank.read();
            loading += tables.flights();
            unused += tables.items().filter(|item| item.live.unused()).count();
        }
        Sizes { bytes, entries, loading, unused, policy_panics }
    }
}

/// A value on its way in.
struct Arrival<K, V> {
    key: K,
    value: V,
    hash: u64,
    bytes: u64,
    unused: bool,
}

#[cfg(test)]
#[cfg(loom)]
mod models;
