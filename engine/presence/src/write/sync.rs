//! Group commit: one `fdatasync` for all who wait.
//!
//! # Invariants
//! - Whoever finds no sync running becomes the leader; the others wait for a sync that began after
//!   their bytes were written.
//! - `durable` advances only after a sync returned without error.

use crate::error::Result;
use crate::shim::{Condvar, Mutex, PoisonError, lock};

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
            state: Mutex::new(State { durable: position, running: false }),
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

    /// Returns once everything up to `target` is durable. `capture` tells the file to sync and the
    /// position that its sync will make durable; `failed` tells whether to give up.
    pub(crate) fn wait<F>(
        &self,
        target: Position,
        capture: impl Fn() -> Result<(F, Position)>,
        sync: impl Fn(&F, Position) -> Result<()>,
        failed: impl Fn() -> Result<()>,
    ) -> Result<()> {
        let mut state = lock(&self.state);
        loop {
            if state.durable >= target {
                return Ok(());
            }
            failed()?;
            if state.running {
                state = self.ended.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            state.running = true;
            drop(state);
            let synced =
                capture().and_then(|(file, position)| sync(&file, position).map(|()| position));
            state = lock(&self.state);
            state.running = false;
            self.ended.notify_all();
            state.durable = state.durable.max(synced?);
        }
    }
}

#[cfg(test)]
#[cfg(loom)]
mod models {
    use super::*;
    use crate::shim::Arc;
    use crate::shim::atomic::{AtomicU64, Ordering};

    /// Three writers wait for the medium: each returns only after a sync that began when its bytes
    /// were written, and nobody waits for ever.
    #[test]
    fn nobody_returns_before_a_sync_of_its_bytes() {
        let mut model = loom::model::Builder::new();
        model.preemption_bound = Some(3);
        model.check(|| {
            let group = Arc::new(GroupSync::default());
            let written = Arc::new(AtomicU64::new(0));
            let durable = Arc::new(AtomicU64::new(0));
            let commit = move |group: &GroupSync, written: &AtomicU64, durable: &AtomicU64| {
                let mine = written.fetch_add(1, Ordering::AcqRel) + 1;
                let target = Position { segment: 1, offset: mine as u32 };
                let capture = || {
                    let offset = written.load(Ordering::Acquire) as u32;
                    Ok(((), Position { segment: 1, offset }))
                };
                let sync = |(): &(), position: Position| {
                    durable.fetch_max(u64::from(position.offset), Ordering::AcqRel);
                    Ok(())
                };
                group.wait(target, capture, sync, || Ok(())).unwrap();
                assert!(durable.load(Ordering::Acquire) >= mine);
            };
            let others: Vec<_> = (0..2)
                .map(|_| {
                    let (group, written, durable) =
                        (Arc::clone(&group), Arc::clone(&written), Arc::clone(&durable));
                    loom::thread::spawn(move || commit(&group, &written, &durable))
                })
                .collect();
            commit(&group, &written, &durable);
            for other in others {
                other.join().unwrap();
            }
        });
    }
}
