//! Whether writing is allowed: not after a failure, not after a close, not in a forked child.
//!
//! # Invariants
//! - The first failure of a write or sync is kept, and every later write is refused with it.
//! - Whoever sees that there was a failure finds it.
//! - What begins after a close has ended is refused.

use crate::error::{Error, Result};
use crate::shim::atomic::{AtomicBool, Ordering};
use crate::shim::{Mutex, lock, planted};

/// What every write passes.
#[derive(Debug)]
pub(crate) struct Gate {
    failure: Mutex<Option<Error>>,
    failed: AtomicBool,
    closed: AtomicBool,
    /// Nothing is appended any more: a write failed, or the database is being closed.
    halted: AtomicBool,
    owner: u32,
}

impl Gate {
    /// An open gate, for this process.
    pub(crate) fn new() -> Self {
        Self {
            failure: Mutex::default(),
            failed: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            halted: AtomicBool::new(false),
            owner: std::process::id(),
        }
    }

    /// Refuses after a failure, a close, or a fork.
    pub(crate) fn check_writable(&self) -> Result<()> {
        if self.failed.load(Ordering::Acquire) {
            let first = lock(&self.failure).clone().unwrap_or(Error::Closed);
            return Err(Error::Poisoned { first: Box::new(first) });
        }
        if self.is_closed() {
            return Err(Error::Closed);
        }
        self.check_process()
    }

    /// Refuses in a process that is not the one that opened the database.
    pub(crate) fn check_process(&self) -> Result<()> {
        if std::process::id() == self.owner {
            Ok(())
        } else {
            Err(Error::Forked { owner: self.owner })
        }
    }

    /// As [`Gate::check_writable`], and refuses while the database is being closed.
    pub(crate) fn check_appendable(&self) -> Result<()> {
        // Looked at first: a failure halts after it was noted, so it is told below as what it is.
        let halted = self.halted.load(Ordering::Acquire);
        self.check_writable()?;
        if halted && !planted("halt_unseen") { Err(Error::Closed) } else { Ok(()) }
    }

    /// Whether nothing is appended any more. Relaxed: for the path of every append.
    #[inline]
    pub(crate) fn is_halted(&self) -> bool {
        self.halted.load(Ordering::Relaxed)
    }

    /// From now on nothing is appended.
    pub(crate) fn halt(&self) {
        self.halted.store(true, Ordering::Release);
    }

    /// From now on nothing is written.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }

    /// Whether nothing is written any more.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Keeps the first failure of a write or sync, for every later call. Whether `error` is one.
    pub(crate) fn fail(&self, error: &Error) -> bool {
        if matches!(error, Error::Poisoned { .. } | Error::Closed | Error::Forked { .. }) {
            return false;
        }
        if planted("failed_before_failure") {
            self.failed.store(true, Ordering::Release);
        }
        lock(&self.failure).get_or_insert_with(|| error.clone());
        self.failed.store(true, Ordering::Release);
        self.halt();
        true
    }
}

#[cfg(test)]
#[cfg(loom)]
mod models {
    use super::*;
    use crate::shim::{Arc, explore};

    /// Two writes fail while a third looks: all are refused, with one and the same failure. (The
    /// lock orders what the flag does not, so a weaker order of the flag would go unnoticed here.)
    #[test]
    fn the_first_failure_is_kept() {
        explore(3, || {
            let gate = Arc::new(Gate::new());
            let first = |gate: &Gate| match gate.check_writable() {
                Err(Error::Poisoned { first }) => first.to_string(),
                other => panic!("{other:?} after a failure"),
            };
            let others: Vec<_> = ["a", "b"]
                .into_iter()
                .map(|what| {
                    let gate = Arc::clone(&gate);
                    loom::thread::spawn(move || {
                        assert!(gate.fail(&Error::invalid(what)));
                        assert!(gate.is_halted());
                        first(&gate)
                    })
                })
                .collect();
            let seen = gate.check_writable().err().map(|_| first(&gate));
            let told: Vec<_> = others.into_iter().map(|other| other.join().unwrap()).collect();
            assert_eq!(told[0], told[1]);
            assert!(seen.is_none_or(|seen| seen == told[0]), "a failure, and then another");
            assert!(told[0] == "a" || told[0] == "b" || told[0].contains(": "), "{told:?}");
        });
    }
}
