//! One load of one key, and those who wait for it.
//!
//! # Invariants
//! - A flight is loaded by whoever claims it, which succeeds once.
//! - It ends once, with one outcome for all who wait; whoever comes later gets the same.
//! - Where nobody waits nobody is woken: that would be a call into the system for each load.

use crate::entry::EntryId;
use crate::provider::LoadError;
use crate::shim::atomic::{AtomicBool, Ordering};
use crate::shim::thread::{self, ThreadId};
use crate::shim::{Condvar, Mutex, lock, planted, wait};

/// What a load ended with: the value, and its entry where it was kept.
pub(crate) type Outcome<V, E> = Result<(V, Option<EntryId>), LoadError<E>>;

enum State<V, E> {
    Unclaimed,
    Loading(ThreadId),
    Landed(Outcome<V, E>),
}

/// How far it is, and whether anybody waits for the end.
struct Progress<V, E> {
    state: State<V, E>,
    awaited: bool,
}

/// A load that is wanted or under way.
pub(crate) struct Flight<V, E> {
    progress: Mutex<Progress<V, E>>,
    landed: Condvar,
    /// Whether it began as a prefetch.
    pub(crate) prefetch: bool,
    /// Whether a reader waits for it. Set under the write lock of its bank.
    demanded: AtomicBool,
}

/// Who loads a flight.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Claim {
    /// The caller, from now on.
    Mine,
    /// Another thread, or it has landed.
    Theirs,
    /// The calling thread already does, further up in its calls.
    Recursive,
}

impl<V: Clone, E> Flight<V, E> {
    /// A flight that the calling thread loads.
    pub(crate) fn claimed(prefetch: bool) -> Self {
        Self::new(State::Loading(thread::current().id()), prefetch)
    }

    /// A flight that whoever comes first loads.
    pub(crate) fn unclaimed() -> Self {
        Self::new(State::Unclaimed, false)
    }

    fn new(state: State<V, E>, prefetch: bool) -> Self {
        let demanded = AtomicBool::new(!prefetch);
        let progress = Mutex::new(Progress { state, awaited: false });
        Self { progress, landed: Condvar::new(), prefetch, demanded }
    }

    /// A reader waits. Whether it is the first one.
    pub(crate) fn demand(&self) -> bool {
        !self.demanded.swap(true, Ordering::Relaxed)
    }

    /// Whether a reader waits.
    pub(crate) fn is_demanded(&self) -> bool {
        self.demanded.load(Ordering::Relaxed)
    }

    /// Takes on the load, if nobody has.
    pub(crate) fn claim(&self) -> Claim {
        let mut progress = lock(&self.progress);
        let me = thread::current().id();
        match &progress.state {
            State::Unclaimed => {
                progress.state = State::Loading(me);
                Claim::Mine
            }
            State::Loading(by) if *by == me => Claim::Recursive,
            State::Loading(_) | State::Landed(_) => Claim::Theirs,
        }
    }

    /// Waits for the end.
    pub(crate) fn wait(&self) -> Outcome<V, E> {
        let mut progress = lock(&self.progress);
        loop {
            if let State::Landed(outcome) = &progress.state {
                return outcome.clone();
            }
            progress.awaited = true;
            progress = wait(&self.landed, progress);
        }
    }

    /// Ends the flight, unless it has ended.
    pub(crate) fn land(&self, outcome: Outcome<V, E>) {
        if planted("told_before_landed") {
            self.landed.notify_all();
        }
        let awaited_before = planted("awaited_before_landed") && lock(&self.progress).awaited;
        let mut progress = lock(&self.progress);
        if !matches!(progress.state, State::Landed(_)) {
            progress.state = State::Landed(outcome);
        }
        let awaited = match planted("awaited_before_landed") {
            true => awaited_before,
            false => progress.awaited,
        };
        drop(progress);
        if awaited && !planted("told_before_landed") {
            self.landed.notify_all();
        }
    }
}

#[cfg(test)]
#[cfg(loom)]
mod models {
    use super::*;
    use crate::shim::{Arc, explore};

    /// Two readers come to a load that nobody has claimed: one loads, both have the value.
    #[test]
    fn one_claims_and_all_are_told() {
        explore(3, || {
            let flight = Arc::new(Flight::<u32, ()>::unclaimed());
            let come = |flight: &Flight<u32, ()>| {
                let mine = flight.claim() == Claim::Mine;
                if mine {
                    flight.land(Ok((7, None)));
                }
                assert_eq!(flight.wait().unwrap().0, 7);
                mine
            };
            let other = loom::thread::spawn({
                let flight = Arc::clone(&flight);
                move || come(&flight)
            });
            let mine = come(&flight);
            assert!(mine != other.join().unwrap());
        });
    }
}
