//! Group commit: one write and one `fdatasync` for all who wait.
//!
//! # Invariants
//! - Whoever finds no round running leads the next one, for all who came before it began; those
//!   who come later wait for the one after. So a round writes what was appended before any of its
//!   members asked.
//! - `durable` advances only after a round ended without error.

use crate::error::Result;
use crate::shim::{Condvar, Mutex, PoisonError, lock, planted};

/// A position of the log: segment and offset, ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Position {
    pub(crate) segment: u32,
    pub(crate) offset: u32,
}

#[derive(Debug, Default)]
struct State {
    durable: Position,
    running: bool,
    /// Rounds that began, the running one included.
    begun: u64,
    /// Rounds that ended without error.
    done: u64,
}

/// Who waits for the medium, and up to where it has come.
#[derive(Debug, Default)]
pub(crate) struct GroupSync {
    state: Mutex<State>,
    ended: Condvar,
}

impl GroupSync {
    /// Everything up to `position` is durable already.
    pub(crate) fn new(position: Position) -> Self {
        Self {
            state: Mutex::new(State { durable: position, ..State::default() }),
            ended: Condvar::new(),
        }
    }

    /// Up to where everything is durable.
    pub(crate) fn durable(&self) -> Position {
        lock(&self.state).durable
    }

    /// The sealing of a segment made everything up to `position` durable.
    pub(crate) fn advance(&self, position: Position) {
        let mut state = lock(&self.state);
        state.durable = state.durable.max(position);
        self.ended.notify_all();
    }

    /// Wakes everyone who waits, to look at the poison flag.
    pub(crate) fn wake_all(&self) {
        let _state = lock(&self.state);
        self.ended.notify_all();
    }

    /// Returns once a round that began after the call has ended: its position is durable. `round`
    /// writes and syncs, and returns up to where; `failed` tells whether to give up.
    pub(crate) fn join(
        &self,
        round: impl FnOnce() -> Result<Position>,
        failed: impl Fn() -> Result<()>,
    ) -> Result<Position> {
        let mut state = lock(&self.state);
        let mine = if planted("join_running_round") { state.begun.max(1) } else { state.begun + 1 };
        loop {
            if state.done >= mine {
                return Ok(state.durable);
            }
            failed()?;
            if !state.running {
                break;
            }
            state = self.ended.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.running = true;
        state.begun += 1;
        let begun = state.begun;
        drop(state);
        let ended = round();
        let mut state = lock(&self.state);
        state.running = false;
        if !planted("round_without_wakeup") {
            self.ended.notify_all();
        }
        let position = ended?;
        state.durable = state.durable.max(position);
        state.done = begun;
        Ok(state.durable)
    }
}

#[cfg(test)]
#[cfg(loom)]
mod models {
    use super::*;
    use crate::error::Error;
    use crate::shim::atomic::{AtomicU64, Ordering};
    use crate::shim::{Arc, explore};
    use crate::store::gate::Gate;

    /// Three writers wait for the medium: each returns only after a round that wrote and synced its
    /// bytes, and nobody waits for ever.
    #[test]
    fn nobody_returns_before_a_sync_of_its_bytes() {
        explore(3, || {
            let group = Arc::new(GroupSync::default());
            let appended = Arc::new(AtomicU64::new(0));
            let durable = Arc::new(AtomicU64::new(0));
            let commit = move |group: &GroupSync, appended: &AtomicU64, durable: &AtomicU64| {
                let mine = appended.fetch_add(1, Ordering::AcqRel) + 1;
                let round = || {
                    let offset = appended.load(Ordering::Acquire);
                    durable.fetch_max(offset, Ordering::AcqRel);
                    Ok(Position { segment: 1, offset: offset as u32 })
                };
                let position = group.join(round, || Ok(())).unwrap();
                assert!(durable.load(Ordering::Acquire) >= mine);
                assert!(u64::from(position.offset) >= mine);
            };
            let others: Vec<_> = (0..2)
                .map(|_| {
                    let (group, appended, durable) =
                        (Arc::clone(&group), Arc::clone(&appended), Arc::clone(&durable));
                    loom::thread::spawn(move || commit(&group, &appended, &durable))
                })
                .collect();
            commit(&group, &appended, &durable);
            for other in others {
                other.join().unwrap();
            }
        });
    }

    /// A round fails: its leader and everyone who waits are told, and nobody returns as durable.
    #[test]
    fn everyone_is_told_of_a_failed_sync() {
        explore(3, || {
            let group = Arc::new(GroupSync::default());
            let gate = Arc::new(Gate::new());
            let commit = |group: &GroupSync, gate: &Gate| {
                let round = || {
                    gate.check_writable()?;
                    let error = Error::invalid("the medium is gone");
                    gate.fail(&error);
                    group.wake_all();
                    Err(error)
                };
                group.join(round, || gate.check_writable()).unwrap_err()
            };
            let others: Vec<_> = (0..2)
                .map(|_| {
                    let (group, gate) = (Arc::clone(&group), Arc::clone(&gate));
                    loom::thread::spawn(move || commit(&group, &gate))
                })
                .collect();
            commit(&group, &gate);
            for other in others {
                other.join().unwrap();
            }
            assert_eq!(group.durable(), Position::default());
        });
    }
}
