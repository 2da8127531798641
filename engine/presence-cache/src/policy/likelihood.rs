//! The least likely goes first.
//!
//! # Invariants
//! - Values of which nothing was predicted have likelihood 0 and go before all that have one;
//!   among equals another policy chooses.

use std::collections::BTreeMap;

use super::{EntryId, EvictionPolicy, Resident, Residents};

/// Evicts what the latest prediction holds least likely, and among equals what `T` chooses.
#[derive(Debug, Default)]
pub struct LowestLikelihood<T> {
    ties: T,
    scored: BTreeMap<EntryId, f64>,
}

impl<T: EvictionPolicy> LowestLikelihood<T> {
    /// The policy with its tie-breaker.
    #[must_use]
    pub fn new(ties: T) -> Self {
        Self { ties, scored: BTreeMap::new() }
    }
}

impl<T: EvictionPolicy> EvictionPolicy for LowestLikelihood<T> {
    fn inserted(&mut self, entry: &Resident) {
        self.predicted(entry.id, entry.likelihood);
        self.ties.inserted(entry);
    }

    fn removed(&mut self, entry: &Resident, evicted: bool) {
        self.scored.remove(&entry.id);
        self.ties.removed(entry, evicted);
    }

    fn predicted(&mut self, id: EntryId, likelihood: f64) {
        if likelihood > 0.0 {
            self.scored.insert(id, likelihood);
        } else {
            self.scored.remove(&id);
        }
        self.ties.predicted(id, likelihood);
    }

    fn victim(&mut self, residents: &dyn Residents) -> Option<EntryId> {
        let unscored = |id: EntryId| !self.scored.contains_key(&id);
        if let Some(id) = self.ties.victim(&Only { residents, which: &unscored }) {
            return Some(id);
        }
        let mut levels: Vec<f64> = self.scored.values().copied().collect();
        levels.sort_by(f64::total_cmp);
        levels.dedup();
        levels.into_iter().find_map(|level| {
            let equal = |id: EntryId| self.scored.get(&id) == Some(&level);
            self.ties.victim(&Only { residents, which: &equal })
        })
    }
}

/// The residents of which only some may go.
struct Only<'a> {
    residents: &'a dyn Residents,
    which: &'a dyn Fn(EntryId) -> bool,
}

impl Residents for Only<'_> {
    fn get(&self, id: EntryId) -> Option<Resident> {
        self.residents.get(id)
    }

    fn may_go(&self, id: EntryId) -> bool {
        (self.which)(id) && self.residents.may_go(id)
    }

    fn set_uses(&self, id: EntryId, uses: u8) {
        self.residents.set_uses(id, uses);
    }
}
