//! The threads behind a writer: one writes, one syncs; and the one behind a following reader.
//!
//! # Invariants
//! - `append` never waits for a sync: the thread that syncs holds no lock while it does.
//! - Threads end when the last handle is dropped or the database is closed, and are joined.

use std::time::Instant;

use crate::shim::atomic::Ordering;
use crate::shim::{Arc, PoisonError, lock, thread};
use crate::store::core::Core;
use crate::write::log::Log;

/// Starts the threads of a writer.
pub(crate) fn start(core: &Arc<Core>) -> std::io::Result<Vec<thread::JoinHandle<()>>> {
    let spawn = |name: &str, run: fn(&Core, &Log)| {
        let core = Arc::clone(core);
        thread::Builder::new().name(name.to_owned()).spawn(move || {
            if let Some(log) = &core.log {
                run(&core, log);
            }
        })
    };
    Ok(vec![spawn("presence-log", write_loop)?, spawn("presence-sync", sync_loop)?])
}

/// Tells the threads to end.
pub(crate) fn stop(log: &Log) {
    lock(&log.signal).stop = true;
    log.wake_all();
}

/// Writes frozen blocks as they come, and flushes at every interval.
fn write_loop(core: &Core, log: &Log) {
    let interval = core.options.flush_interval;
    let mut next_flush = Instant::now() + interval;
    loop {
        let mut signal = lock(&log.signal);
        while !signal.stop && !signal.frozen {
            let left = next_flush.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let waited = log.work.wait_timeout(signal, left);
            signal = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        if signal.stop {
            return;
        }
        let frozen = std::mem::take(&mut signal.frozen);
        drop(signal);
        let flush = Instant::now() >= next_flush;
        let mut done = if frozen { log.write_blocks(core) } else { Ok(()) };
        if flush {
            next_flush = Instant::now() + interval;
            done = done.and_then(|()| log.tick(core));
        }
        // The failure is kept in the core; every later call of the writer tells it.
        if done.is_err() {
            return;
        }
    }
}

/// Syncs what was written, at every interval.
fn sync_loop(core: &Core, log: &Log) {
    let interval = core.options.sync_interval;
    loop {
        let deadline = Instant::now() + interval;
        let mut signal = lock(&log.signal);
        loop {
            if signal.stop {
                return;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let waited = log.stopping.wait_timeout(signal, left);
            signal = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        drop(signal);
        let synced = if log.is_unsynced() { log.sync_all(core, false).map(|_| ()) } else { Ok(()) };
        if synced.is_err() {
            return;
        }
    }
}

/// Starts the thread that follows a writer in another process.
pub(crate) fn follow(core: &Arc<Core>) -> std::io::Result<Vec<thread::JoinHandle<()>>> {
    let weak = Arc::downgrade(core);
    let interval = core.options.flush_interval;
    let run = move || {
        while let Some(core) = weak.upgrade() {
            if core.closed.load(Ordering::Acquire) {
                return;
            }
            // What cannot be read now is tried again, and told to whoever calls `refresh`.
            let _refreshed = crate::store::database::refresh(&core);
            drop(core);
            thread::sleep(interval);
        }
    };
    // Not joined: it holds nothing but a weak reference, and ends by itself.
    thread::Builder::new().name("presence-follow".to_owned()).spawn(run).map(|_| Vec::new())
}
