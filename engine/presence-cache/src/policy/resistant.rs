//! A policy that a scan does not wash out: small FIFO, main FIFO and a memory of what went (the
//! scheme of S3-FIFO, Yang et al. 2023), where what comes back has to be better than what it
//! replaces (the idea of TinyLFU, Einziger et al. 2017): so a loop that does not fit keeps a part.
//!
//! # Invariants
//! - A value comes in on probation; it joins the main queue when it was used again by the time its
//!   turn comes, or when it came back soon after it was evicted and the next in the main queue was
//!   not used since its last turn.
//! - The main queue loses a value only to one of those, while probation is below its share, or
//!   while all of probation was fetched ahead lately and waits for its reader.
//! - Every entry is in exactly one queue; ids of entries that are gone are dropped when met.

use std::collections::{HashMap, HashSet, VecDeque};

use super::{EntryId, EvictionPolicy, Resident, Residents};

/// Probation has this part of all bytes at least.
const PROBATION_SHARE: u64 = 50;

/// What was fetched ahead is waited for while so many values come in.
const AWAITED_INSERTIONS: u64 = 64;

/// Keeps what is used again and again, however much is read once between.
#[derive(Debug, Default)]
pub struct ScanResistant {
    probation: VecDeque<EntryId>,
    main: VecDeque<EntryId>,
    /// Where each entry is, and its bytes.
    homes: HashMap<EntryId, (Home, u64)>,
    probation_bytes: u64,
    main_bytes: u64,
    /// Hashes of keys evicted on probation, the oldest in front.
    ghosts: VecDeque<u64>,
    ghost_set: HashSet<u64>,
    /// Those on probation that were remembered when they came.
    returned: HashSet<EntryId>,
    /// The entry that came last.
    newest: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Home {
    Probation,
    Main,
}

impl ScanResistant {
    /// A policy for one cache.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether probation has its share, so that it is the one to lose values.
    fn is_probation_full(&self) -> bool {
        self.probation_bytes
            > self.probation_bytes.saturating_add(self.main_bytes) / PROBATION_SHARE
    }

    fn bytes_of(&mut self, home: Home) -> &mut u64 {
        match home {
            Home::Probation => &mut self.probation_bytes,
            Home::Main => &mut self.main_bytes,
        }
    }

    fn enter(&mut self, id: EntryId, home: Home, bytes: u64) {
        self.homes.insert(id, (home, bytes));
        let total = self.bytes_of(home);
        *total = total.saturating_add(bytes);
        match home {
            Home::Probation => self.probation.push_back(id),
            Home::Main => self.main.push_back(id),
        }
    }

    fn leave(&mut self, id: EntryId) -> Option<(Home, u64)> {
        self.returned.remove(&id);
        let (home, bytes) = self.homes.remove(&id)?;
        let total = self.bytes_of(home);
        *total = total.saturating_sub(bytes);
        Some((home, bytes))
    }

    fn remember(&mut self, hash: u64) {
        if self.ghost_set.insert(hash) {
            self.ghosts.push_back(hash);
        }
        while self.ghosts.len() > self.homes.len().max(16) {
            if let Some(oldest) = self.ghosts.pop_front() {
                self.ghost_set.remove(&oldest);
            }
        }
    }

    /// Whether an entry was fetched ahead lately and its reader may still be on the way.
    fn is_awaited(&self, resident: &Resident) -> bool {
        resident.unused && self.newest.saturating_sub(resident.id.0) < AWAITED_INSERTIONS
    }

    /// Looks through probation: what was used again is promoted, the first other may go. With
    /// `wait`, not what is awaited: the main queue gives room to what is fetched ahead.
    fn next_on_probation(&mut self, residents: &dyn Residents, wait: bool) -> Option<EntryId> {
        for _ in 0..self.probation.len() {
            let id = self.probation.pop_front()?;
            if self.homes.get(&id).map(|(home, _)| *home) != Some(Home::Probation) {
                continue;
            }
            let Some(resident) = residents.get(id) else { continue };
            if resident.uses > 0 {
                if let Some((_, bytes)) = self.leave(id) {
                    residents.set_uses(id, 0);
                    self.enter(id, Home::Main, bytes);
                }
                continue;
            }
            if self.returned.contains(&id)
                && let Some(loser) = self.challenge(id, residents)
            {
                return Some(loser);
            }
            if !(wait && self.is_awaited(&resident)) && residents.may_go(id) {
                self.probation.push_front(id);
                return Some(id);
            }
            self.probation.push_back(id);
        }
        None
    }

    /// A value that came back takes the place of the next in the main queue, if that one was not
    /// used since its last turn; if it was, that costs it one use.
    fn challenge(&mut self, id: EntryId, residents: &dyn Residents) -> Option<EntryId> {
        while let Some(head) = self.main.pop_front() {
            let at_home = self.homes.get(&head).is_some_and(|(home, _)| *home == Home::Main);
            let Some(resident) = residents.get(head).filter(|_| at_home) else { continue };
            if resident.uses > 0 || !residents.may_go(head) {
                residents.set_uses(head, resident.uses.saturating_sub(1));
                self.main.push_back(head);
                return None;
            }
            self.main.push_front(head);
            let (_, bytes) = self.leave(id)?;
            self.enter(id, Home::Main, bytes);
            return Some(head);
        }
        None
    }

    /// Goes round the main queue: each use buys one more round.
    fn next_in_main(&mut self, residents: &dyn Residents) -> Option<EntryId> {
        let rounds = usize::from(crate::entry::USES_MAX) + 1;
        for _ in 0..self.main.len().saturating_mul(rounds) {
            let id = self.main.pop_front()?;
            if self.homes.get(&id).map(|(home, _)| *home) != Some(Home::Main) {
                continue;
            }
            let Some(resident) = residents.get(id) else { continue };
            if resident.uses == 0 && residents.may_go(id) {
                self.main.push_front(id);
                return Some(id);
            }
            residents.set_uses(id, resident.uses.saturating_sub(1));
            self.main.push_back(id);
        }
        None
    }
}

impl EvictionPolicy for ScanResistant {
    fn inserted(&mut self, entry: &Resident) {
        self.newest = entry.id.0;
        let mut home = Home::Probation;
        if self.ghost_set.contains(&entry.hash) && !entry.unused {
            if self.is_probation_full() {
                home = Home::Main;
            } else {
                self.returned.insert(entry.id);
            }
        }
        self.enter(entry.id, home, entry.bytes);
    }

    fn removed(&mut self, entry: &Resident, evicted: bool) {
        let home = self.leave(entry.id);
        if evicted && !entry.unused && home.is_some_and(|(home, _)| home == Home::Probation) {
            self.remember(entry.hash);
        }
    }

    fn victim(&mut self, residents: &dyn Residents) -> Option<EntryId> {
        let probation_first = self.is_probation_full() || self.main_bytes == 0;
        let on_probation =
            probation_first.then(|| self.next_on_probation(residents, true)).flatten();
        let victim = on_probation.or_else(|| self.next_in_main(residents));
        victim.or_else(|| self.next_on_probation(residents, false))
    }
}
