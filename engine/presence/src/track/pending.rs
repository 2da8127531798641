//! Ticks that were set and not yet put into their planes, in stripes: threads that set at once
//! rarely meet.
//!
//! A stripe keeps the words being filled, one for each of a few classes, and a list of those done
//! with. Setting a tick takes the lock of the thread's own stripe, and no other; the stripes are
//! emptied by whoever asks, flushes, or finds a list full.
//!
//! # Invariants
//! - What was set before a call is in the planes when [`Pending::drain`] returns: who sets holds
//!   the stripe's lock, and its bit in `filled` is set before that is given up.
//! - What is set at one time under one lock is drained at once: a batch shows whole.

use crate::shim::atomic::{AtomicU64, Ordering};
use crate::shim::{Mutex, lock, planted};

/// Which plane of a track: a class, or what was observed.
pub(crate) type PlaneKey = u32;

/// The plane of what was observed.
pub(crate) const OBSERVED: PlaneKey = 1 << 16;

/// Ticks of one word of a plane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Update {
    pub(crate) plane: PlaneKey,
    /// The first tick of the word.
    pub(crate) tick: i64,
    pub(crate) bits: u64,
}

/// A run of ticks of a plane, within one container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Run {
    pub(crate) plane: PlaneKey,
    /// The first tick.
    pub(crate) from: i64,
    /// Behind the last tick.
    pub(crate) to: i64,
}

/// What was set: words and runs, each sorted by plane and tick.
#[derive(Debug, Default)]
pub(crate) struct Drained {
    /// Of one word there may be several.
    pub(crate) words: Vec<Update>,
    /// They may overlap.
    pub(crate) runs: Vec<Run>,
}

#[cfg(not(loom))]
const STRIPES: usize = 16;
#[cfg(loom)]
const STRIPES: usize = 2;

/// Words being filled in a stripe, by the lowest bits of their plane; and one for the observed.
const OPEN: usize = 8;

/// Updates in a list before they are put into planes.
const LIST_MAX: usize = 4096;

/// The stripes of a track.
#[derive(Debug)]
pub(crate) struct Pending {
    stripes: Vec<Stripe>,
    /// Bit `i`: stripe `i` has updates.
    filled: AtomicU64,
}

/// Two cache lines: neighbours are fetched in pairs.
#[derive(Debug)]
#[repr(align(128))]
struct Stripe(Mutex<Updates>);

/// The updates of a stripe, held by who adds to them.
#[derive(Debug)]
pub(crate) struct Updates {
    open: [Update; OPEN + 1],
    list: Vec<Update>,
    /// Of classes, and of what was observed: who sets in order of time has them sorted.
    runs: [Vec<Run>; 2],
}

impl Default for Updates {
    fn default() -> Self {
        let none = Update { plane: 0, tick: 0, bits: 0 };
        Self { open: [none; OPEN + 1], list: Vec::new(), runs: [Vec::new(), Vec::new()] }
    }
}

impl Updates {
    /// Sets `tick` of `plane`.
    #[inline]
    pub(crate) fn set(&mut self, plane: PlaneKey, tick: i64) {
        let at = if plane == OBSERVED { OPEN } else { plane as usize % OPEN };
        let (start, bit) = (tick & !63, 1 << (tick & 63));
        let Some(open) = self.open.get_mut(at) else { return };
        if open.plane == plane && open.tick == start {
            open.bits |= bit;
            return;
        }
        if open.bits != 0 {
            self.list.push(*open);
        }
        *open = Update { plane, tick: start, bits: bit };
    }

    /// Sets the ticks of `run`.
    #[inline]
    pub(crate) fn set_run(&mut self, run: Run) {
        let [of_classes, observed] = &mut self.runs;
        if run.plane == OBSERVED { observed } else { of_classes }.push(run);
    }

    fn is_full(&self) -> bool {
        self.list.len() + self.runs.iter().map(Vec::len).sum::<usize>() >= LIST_MAX
    }

    fn take(&mut self, out: &mut Drained) {
        out.words.append(&mut self.list);
        self.runs.iter_mut().for_each(|runs| out.runs.append(runs));
        for open in &mut self.open {
            if open.bits != 0 {
                out.words.push(*open);
                open.bits = 0;
            }
        }
    }
}

#[cfg(not(loom))]
fn own_stripe() -> usize {
    use crate::shim::atomic::AtomicUsize;
    use std::cell::Cell;

    static NEXT: AtomicUsize = AtomicUsize::new(0);
    std::thread_local! {
        static OWN: Cell<usize> = const { Cell::new(usize::MAX) };
    }
    OWN.with(|own| {
        if own.get() == usize::MAX {
            own.set(NEXT.fetch_add(1, Ordering::Relaxed) % STRIPES);
        }
        own.get()
    })
}

#[cfg(loom)]
fn own_stripe() -> usize {
    0
}

impl Pending {
    /// Nothing is pending.
    pub(crate) fn new() -> Self {
        let stripes = (0..STRIPES).map(|_| Stripe(Mutex::default())).collect();
        Self { stripes, filled: AtomicU64::new(0) }
    }

    /// Lets `add` set ticks, all of which show at once. Returns whether it is time to drain.
    #[inline]
    pub(crate) fn add(&self, add: impl FnOnce(&mut Updates)) -> bool {
        self.add_to(own_stripe(), add)
    }

    #[inline]
    fn add_to(&self, at: usize, add: impl FnOnce(&mut Updates)) -> bool {
        let Some(stripe) = self.stripes.get(at) else { return false };
        let is_filled = || self.filled.load(Ordering::Relaxed) & 1 << at != 0;
        let looked_before = planted("looked_before_lock").then(is_filled);
        let mut updates = lock(&stripe.0);
        add(&mut updates);
        if !looked_before.unwrap_or_else(is_filled) {
            self.filled.fetch_or(1 << at, Ordering::Release);
        }
        updates.is_full()
    }

    /// Whether there is anything to drain.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.filled.load(Ordering::Acquire) == 0
    }

    /// Takes everything that was set. The caller holds the lock of the planes, and
    /// puts it there before giving that up.
    pub(crate) fn drain(&self) -> Drained {
        let mut drained = Drained::default();
        let filled = self.filled.load(Ordering::Acquire);
        let of_filled = self.stripes.iter().enumerate().filter(|(at, _)| filled & 1 << at != 0);
        // All are held before the first is emptied: who set a tick because of another's finds both.
        let held: Vec<_> = of_filled.map(|(at, stripe)| (at, lock(&stripe.0))).collect();
        for (at, mut stripe) in held {
            self.filled.fetch_and(!(1 << at), Ordering::AcqRel);
            stripe.take(&mut drained);
        }
        // What was set in order of time is sorted in long pieces, which the stable sort finds.
        drained.words.sort_unstable();
        drained.runs.sort();
        drained
    }
}

#[cfg(test)]
#[cfg(loom)]
mod models {
    use super::*;
    use crate::shim::{Arc, explore};

    /// Two threads set ticks, in stripes of their own or in one, while the log drains: what was set
    /// before a drain began is in it, and nothing is lost or drained twice.
    #[test]
    fn nothing_set_is_lost() {
        for stripes in [[0, 1], [0, 0]] {
            explore(3, move || {
                let pending = Arc::new(Pending::new());
                let planes = Arc::new(Mutex::new(Vec::<Update>::new()));
                let set = |pending: &Pending, stripe: usize, plane: PlaneKey| {
                    pending.add_to(stripe, |updates| updates.set(plane, 0));
                };
                let other = loom::thread::spawn({
                    let pending = Arc::clone(&pending);
                    move || {
                        set(&pending, stripes[1], 1);
                        set(&pending, stripes[1], 9);
                    }
                });
                let log = loom::thread::spawn({
                    let (pending, planes) = (Arc::clone(&pending), Arc::clone(&planes));
                    move || {
                        let mut planes = lock(&planes);
                        if !pending.is_empty() {
                            planes.extend(pending.drain().words);
                        }
                    }
                });
                set(&pending, stripes[0], 2);
                // Whoever asks now finds what this thread set.
                {
                    let mut planes = lock(&planes);
                    if !pending.is_empty() {
                        planes.extend(pending.drain().words);
                    }
                    assert!(planes.iter().any(|update| update.plane == 2), "set, and not found");
                }
                other.join().unwrap();
                log.join().unwrap();
                let mut planes = lock(&planes);
                planes.extend(pending.drain().words);
                let mut found: Vec<PlaneKey> = planes.iter().map(|update| update.plane).collect();
                found.sort_unstable();
                assert_eq!(found, [1, 2, 9], "ticks lost, or drained twice");
            });
        }
    }
}
