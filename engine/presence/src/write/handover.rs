//! The hand-over of frozen blocks from writers to the log's thread, and what both wait for.
//!
//! # Invariants
//! - What a thread waits for changes under the lock, or before the lock is taken to tell of it: no
//!   wakeup is lost.
//! - Writers wait while more bytes are handed over and not written than the options allow. The
//!   log's thread is woken long before, so nobody waits for a flush that comes by the clock.

use std::time::Instant;

use crate::error::Result;
use crate::shim::atomic::{AtomicUsize, Ordering};
use crate::shim::{Condvar, Mutex, MutexGuard, PoisonError, lock, planted};

/// Bytes of frozen blocks worth waking a thread for.
const WAKE_BYTES: usize = 256 << 10;

/// What the threads tell each other.
#[derive(Debug)]
pub(crate) struct Handover {
    /// Bytes of frozen blocks not yet written.
    frozen_bytes: AtomicUsize,
    /// So many of them wake the log's thread; fewer wait for the regular flush.
    wake_bytes: usize,
    /// More of them make writers wait.
    limit_bytes: usize,
    signal: Mutex<Signal>,
    work: Condvar,
    room: Condvar,
    stopping: Condvar,
}

#[derive(Debug, Default)]
struct Signal {
    frozen: bool,
    stop: bool,
}

/// Why a thread goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wake {
    /// To end.
    Stop,
    /// Blocks were frozen.
    Frozen,
    /// The deadline has come.
    Time,
}

impl Handover {
    /// Nothing is frozen; up to `limit_bytes` may be.
    pub(crate) fn new(limit_bytes: usize) -> Self {
        Self {
            frozen_bytes: AtomicUsize::new(0),
            wake_bytes: WAKE_BYTES.min(limit_bytes / 4),
            limit_bytes,
            signal: Mutex::default(),
            work: Condvar::new(),
            room: Condvar::new(),
            stopping: Condvar::new(),
        }
    }

    /// Counts the `bytes` of a block while `freeze` puts it into the view, unless it tells that all
    /// of it is on disk already; then tells the log's thread.
    pub(crate) fn freeze(&self, bytes: usize, freeze: impl FnOnce() -> bool) {
        self.frozen_bytes.fetch_add(bytes, Ordering::AcqRel);
        if !freeze() {
            self.thawed(bytes);
            return;
        }
        if self.frozen_bytes() >= self.wake_bytes {
            let mut signal = lock(&self.signal);
            if !std::mem::replace(&mut signal.frozen, true) {
                self.work.notify_one();
            }
        }
    }

    /// So many bytes of frozen blocks were written: tells the writers that wait for room.
    pub(crate) fn thawed(&self, bytes: usize) {
        self.frozen_bytes.fetch_sub(bytes, Ordering::AcqRel);
        if planted("unlocked_notify") {
            return self.room.notify_all();
        }
        let _signal = lock(&self.signal);
        self.room.notify_all();
    }

    /// Bytes of frozen blocks not yet written.
    fn frozen_bytes(&self) -> usize {
        self.frozen_bytes.load(Ordering::Acquire)
    }

    /// Waits while more bytes than allowed are on their way to the kernel. `check` tells whether to
    /// give up.
    pub(crate) fn wait_for_room(&self, check: impl Fn() -> Result<()>) -> Result<()> {
        if self.frozen_bytes() <= self.limit_bytes {
            return Ok(());
        }
        let mut signal = lock(&self.signal);
        while self.frozen_bytes() > self.limit_bytes {
            check()?;
            signal = self.room.wait(signal).unwrap_or_else(PoisonError::into_inner);
        }
        Ok(())
    }

    /// Waits for frozen blocks, or for the deadline: what the log's thread does between its work.
    pub(crate) fn wait_for_work(&self, deadline: Instant) -> Wake {
        let mut signal = lock(&self.signal);
        loop {
            if signal.stop {
                return Wake::Stop;
            }
            if std::mem::take(&mut signal.frozen) {
                return Wake::Frozen;
            }
            match wait_until(&self.work, signal, deadline) {
                Some(woken) => signal = woken,
                None => return Wake::Time,
            }
        }
    }

    /// Waits for the deadline, or until the thread is to end.
    pub(crate) fn wait_for_time(&self, deadline: Instant) -> Wake {
        let mut signal = lock(&self.signal);
        loop {
            if signal.stop {
                return Wake::Stop;
            }
            match wait_until(&self.stopping, signal, deadline) {
                Some(woken) => signal = woken,
                None => return Wake::Time,
            }
        }
    }

    /// Tells the threads to end.
    pub(crate) fn stop(&self) {
        lock(&self.signal).stop = true;
        self.wake_all();
    }

    /// Wakes everyone who waits, to look again.
    pub(crate) fn wake_all(&self) {
        let _signal = lock(&self.signal);
        self.work.notify_all();
        self.room.notify_all();
        self.stopping.notify_all();
    }
}

/// Waits for a wakeup; `None` where the deadline has come.
fn wait_until<'a>(
    condvar: &Condvar,
    signal: MutexGuard<'a, Signal>,
    deadline: Instant,
) -> Option<MutexGuard<'a, Signal>> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return None;
    }
    let waited = condvar.wait_timeout(signal, left);
    Some(waited.unwrap_or_else(PoisonError::into_inner).0)
}

#[cfg(test)]
#[cfg(loom)]
mod models {
    use super::*;
    use crate::error::Error;
    use crate::shim::{Arc, explore};
    use crate::store::gate::Gate;

    const BLOCK: usize = 8;

    fn far() -> Instant {
        Instant::now() + std::time::Duration::from_secs(3600)
    }

    /// Two writers freeze blocks with room for one; the log's thread writes what it finds. Nobody
    /// waits for ever, and the room asked for was there.
    #[test]
    fn writers_and_the_log_wake_each_other() {
        explore(3, || {
            let handover = Arc::new(Handover::new(BLOCK));
            let blocks = Arc::new(Mutex::new(0_usize));
            let log = loom::thread::spawn({
                let (handover, blocks) = (Arc::clone(&handover), Arc::clone(&blocks));
                move || {
                    let mut written = 0;
                    while handover.wait_for_work(far()) != Wake::Stop {
                        let found = std::mem::take(&mut *lock(&blocks));
                        handover.thawed(found * BLOCK);
                        written += found;
                    }
                    written
                }
            });
            let write = |handover: &Handover, blocks: &Mutex<usize>| {
                handover.freeze(BLOCK, || {
                    *lock(blocks) += 1;
                    true
                });
                handover.wait_for_room(|| Ok(())).unwrap();
            };
            let other = loom::thread::spawn({
                let (handover, blocks) = (Arc::clone(&handover), Arc::clone(&blocks));
                move || write(&handover, &blocks)
            });
            write(&handover, &blocks);
            other.join().unwrap();
            assert!(handover.frozen_bytes() <= BLOCK);
            handover.stop();
            let left = log.join().unwrap() + std::mem::take(&mut *lock(&blocks));
            assert_eq!(left, 2, "a block written twice, or never");
        });
    }

    /// A writer waits for room that never comes: the failure that ended the log's thread, or the
    /// close, wakes it.
    #[test]
    fn who_waits_for_room_is_told_of_a_failure() {
        explore(3, || {
            let handover = Arc::new(Handover::new(BLOCK));
            let gate = Arc::new(Gate::new());
            let writer = loom::thread::spawn({
                let (handover, gate) = (Arc::clone(&handover), Arc::clone(&gate));
                move || {
                    handover.freeze(2 * BLOCK, || true);
                    handover.wait_for_room(|| gate.check_appendable()).unwrap_err()
                }
            });
            let closing = loom::thread::spawn({
                let (handover, gate) = (Arc::clone(&handover), Arc::clone(&gate));
                move || {
                    gate.halt();
                    handover.wake_all();
                }
            });
            gate.fail(&Error::invalid("the medium is gone"));
            handover.wake_all();
            closing.join().unwrap();
            assert!(matches!(writer.join().unwrap(), Error::Poisoned { .. } | Error::Closed));
        });
    }
}
