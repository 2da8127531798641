//! Policies by one number: the lowest rank goes first, and of equals the one that came first.
//!
//! # Invariants
//! - Each entry is in the heap once, with a rank that was right once and can only have risen since;
//!   it is looked at again before it goes. A hit costs nothing here.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::{EntryId, EvictionPolicy, Resident, Residents};

/// Entries by a rank, the lowest on top.
#[derive(Debug, Default)]
struct Ranked {
    heap: BinaryHeap<Reverse<(u64, EntryId)>>,
    live: usize,
}

impl Ranked {
    fn insert(&mut self, id: EntryId, rank: u64) {
        self.heap.push(Reverse((rank, id)));
        self.live += 1;
    }

    /// The entry itself is dropped when it comes up.
    fn remove(&mut self) {
        self.live = self.live.saturating_sub(1);
        if self.live == 0 {
            self.heap.clear();
        }
    }

    fn victim(
        &mut self,
        residents: &dyn Residents,
        rank: impl Fn(&Resident) -> u64,
    ) -> Option<EntryId> {
        if self.heap.len() > 2 * self.live + 64 {
            self.heap.retain(|Reverse((_, id))| residents.get(*id).is_some());
        }
        let mut passed = Vec::new();
        let mut found = None;
        while let Some(Reverse((then, id))) = self.heap.pop() {
            let Some(resident) = residents.get(id) else { continue };
            let now = rank(&resident);
            if now > then {
                self.heap.push(Reverse((now, id)));
                continue;
            }
            passed.push(Reverse((now, id)));
            if residents.may_go(id) {
                found = Some(id);
                break;
            }
        }
        self.heap.extend(passed);
        found
    }
}

macro_rules! ranked_policy {
    ($(#[$doc:meta])* $name:ident, $rank:expr) => {
        $(#[$doc])*
        #[derive(Debug, Default)]
        pub struct $name(Ranked);

        impl $name {
            /// A policy for one cache.
            #[must_use]
            pub fn new() -> Self {
                Self::default()
            }

            fn rank(entry: &Resident) -> u64 {
                let rank: fn(&Resident) -> u64 = $rank;
                rank(entry)
            }
        }

        impl EvictionPolicy for $name {
            fn inserted(&mut self, entry: &Resident) {
                self.0.insert(entry.id, Self::rank(entry));
            }

            fn removed(&mut self, _: &Resident, _: bool) {
                self.0.remove();
            }

            fn victim(&mut self, residents: &dyn Residents) -> Option<EntryId> {
                self.0.victim(residents, Self::rank)
            }
        }
    };
}

ranked_policy! {
    /// The least recently used goes first. Predicted values count as used, so that what was fetched
    /// ahead is there when its reader comes.
    Lru, |entry| entry.last_used
}

ranked_policy! {
    /// The one that came in first goes first, used or not.
    Oldest, |_| 0
}

ranked_policy! {
    /// The one of most bytes goes first.
    Largest, |entry| u64::MAX - entry.bytes
}

ranked_policy! {
    /// The one of fewest bytes goes first.
    Smallest, |entry| entry.bytes
}
