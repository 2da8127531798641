//! Room for what comes in: who is evicted for it.
//!
//! # Invariants
//! - All of this happens under the core lock; banks are locked one at a time, and given back.
//! - Nothing goes unless all goes that has to.
//! - Who is pinned is looked at again under the write lock of the bank from which it would go.

use std::panic::{AssertUnwindSafe, catch_unwind};

use hashbrown::HashMap;

use super::{Removed, Store};
use crate::bank::Item;
use crate::entry::{EntryId, Resident, USES_MAX};
use crate::key::Key;
use crate::policy::{EvictionPolicy, Residents};
use crate::shim::{Hasher, planted};

/// A reader that has not moved while so many values came in has nothing in use any more.
const IN_USE_INSERTIONS: u64 = 1024;

/// For whom room is made.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Claimant {
    /// A reader: everything may go that is not pinned or in use.
    Reader(usize),
    /// A prefetch: what is as likely stays.
    Prefetch(f64),
    /// A prefetch that is not wanted any more: nothing goes.
    Stale,
}

/// What is held, and by which policy it goes.
pub(super) struct Core {
    pub(super) records: HashMap<EntryId, Record, Hasher>,
    pub(super) policy: Box<dyn EvictionPolicy>,
    pub(super) bytes: u64,
    /// Entries with a likelihood.
    pub(super) predicted: Vec<EntryId>,
    pub(super) policy_panics: u64,
}

/// An entry, as far as the room it takes goes.
pub(super) struct Record {
    pub(super) hash: u64,
    pub(super) bytes: u64,
    pub(super) likelihood: f64,
}

impl<K: Key, V: Clone, E> Store<K, V, E> {
    /// Evicts until `bytes` and one entry more have room. Evicts nothing where that cannot be.
    pub(super) fn make_room(
        &self,
        core: &mut Core,
        bytes: u64,
        claimant: Claimant,
        removed: &mut Vec<Removed<K, V>>,
    ) -> bool {
        loop {
            let Some(chosen) = self.choose(core, bytes, claimant) else { return false };
            let mut all = true;
            for (id, hash) in chosen {
                // Whoever pins looks the item up under this lock: it is pinned, or not there.
                let mut tables = self.bank(hash).write();
                let unpinned =
                    |item: &Item<K, V>| planted("pins_looked_at_before") || !item.live.is_pinned();
                match tables.remove_if(hash, id, unpinned) {
                    Some(item) => {
                        drop(tables);
                        removed.push(core.forget(item, true));
                    }
                    None => all = false,
                }
            }
            if all {
                return true;
            }
        }
    }

    /// Those who have to go so that `bytes` and one entry more have room.
    fn choose(
        &self,
        core: &mut Core,
        bytes: u64,
        claimant: Claimant,
    ) -> Option<Vec<(EntryId, u64)>> {
        let mut chosen: Vec<(EntryId, u64)> = Vec::new();
        let bytes_max = self.limits.bytes.checked_sub(bytes)?;
        let entries_max = self.limits.entries.checked_sub(1)?;
        let (mut held, mut entries) = (core.bytes, core.records.len());
        while held > bytes_max || entries > entries_max {
            if claimant == Claimant::Stale {
                return None;
            }
            let Core { records, policy, policy_panics, .. } = core;
            let view = View { store: self, records, chosen: &chosen, claimant };
            let found = catch_unwind(AssertUnwindSafe(|| policy.victim(&view)));
            let id = match found {
                Ok(None) => return None,
                Ok(Some(id)) if view.may_go(id) => id,
                // A policy that panics or talks nonsense: the oldest goes.
                wrong => {
                    *policy_panics += u64::from(wrong.is_err());
                    records.keys().copied().filter(|&id| view.may_go(id)).min()?
                }
            };
            let record = records.get(&id)?;
            held = held.saturating_sub(record.bytes);
            entries -= 1;
            chosen.push((id, record.hash));
        }
        Some(chosen)
    }
}

impl Core {
    pub(super) fn new(policy: Box<dyn EvictionPolicy>) -> Self {
        let (bytes, predicted, policy_panics) = (0, Vec::new(), 0);
        let records = HashMap::with_hasher(Hasher::default());
        Self { records, policy, bytes, predicted, policy_panics }
    }

    /// Calls the policy. What it does in a panic is its own affair.
    pub(super) fn guarded(&mut self, call: impl FnOnce(&mut dyn EvictionPolicy)) {
        let policy = self.policy.as_mut();
        if catch_unwind(AssertUnwindSafe(|| call(policy))).is_err() {
            self.policy_panics += 1;
        }
    }

    /// `item` has left its bank.
    pub(super) fn forget<K, V>(&mut self, item: Item<K, V>, evicted: bool) -> Removed<K, V> {
        let likelihood = self.records.remove(&item.id).map_or(0.0, |record| record.likelihood);
        self.bytes = self.bytes.saturating_sub(item.bytes);
        let resident = resident(&item, likelihood);
        self.guarded(|policy| policy.removed(&resident, evicted));
        Removed { unused: item.live.unused(), key: item.key, value: item.value, evicted }
    }

    pub(super) fn set_likelihood(&mut self, id: EntryId, likelihood: f64) {
        if let Some(record) = self.records.get_mut(&id)
            && record.likelihood != likelihood
        {
            record.likelihood = likelihood;
            self.guarded(|policy| policy.predicted(id, likelihood));
        }
    }
}

fn resident<K, V>(item: &Item<K, V>, likelihood: f64) -> Resident {
    let Item { id, hash, bytes, live, .. } = item;
    let (last_used, uses, unused) = (live.last_used(), live.uses(), live.unused());
    Resident { id: *id, hash: *hash, bytes: *bytes, last_used, uses, unused, likelihood }
}

/// The residents, while a policy chooses.
struct View<'a, K, V, E> {
    store: &'a Store<K, V, E>,
    records: &'a HashMap<EntryId, Record, Hasher>,
    chosen: &'a [(EntryId, u64)],
    claimant: Claimant,
}

impl<K: Key, V: Clone, E> View<'_, K, V, E> {
    fn with<R>(&self, id: EntryId, look: impl FnOnce(&Item<K, V>, &Record) -> R) -> Option<R> {
        let record = self.records.get(&id)?;
        let tables = self.store.bank(record.hash).read();
        tables.by_id(record.hash, id).map(|item| look(item, record))
    }
}

impl<K: Key, V: Clone, E> Residents for View<'_, K, V, E> {
    fn get(&self, id: EntryId) -> Option<Resident> {
        self.with(id, |item, record| resident(item, record.likelihood))
    }

    fn may_go(&self, id: EntryId) -> bool {
        if self.chosen.iter().any(|(chosen, _)| *chosen == id) {
            return false;
        }
        let now = self.store.now();
        let allowed = self.with(id, |item, record| {
            let idle = now.saturating_sub(item.live.last_used()) > IN_USE_INSERTIONS;
            let less_likely = match self.claimant {
                Claimant::Reader(_) => true,
                Claimant::Prefetch(likelihood) => record.likelihood < likelihood,
                Claimant::Stale => false,
            };
            less_likely && !item.live.is_pinned() && (idle || !self.store.trails.is_current(id))
        });
        allowed.unwrap_or(false)
    }

    fn set_uses(&self, id: EntryId, uses: u8) {
        let _gone = self.with(id, |item, _| item.live.set_uses(uses.min(USES_MAX)));
    }
}
