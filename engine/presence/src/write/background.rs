//! The threads behind a writer: one writes, one syncs; and the one behind a following reader.
//!
//! # Invariants
//! - `append` never waits for a sync: the thread that syncs holds no lock while it does.
//! - Threads end when the last handle is dropped or the database is closed, and are joined.

use std::time::Instant;

use crate::shim::{Arc, thread};
use crate::store::core::Core;
use crate::write::handover::Wake;
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

/// Writes frozen blocks as they come, and flushes at every interval.
fn write_loop(core: &Core, log: &Log) {
    let interval = core.options.flush_interval;
    let mut next_flush = Instant::now() + interval;
    loop {
        let mut done = match log.handover.wait_for_work(next_flush) {
            Wake::Stop => return,
            Wake::Frozen => log.write_blocks(core),
            Wake::Time => Ok(()),
        };
        if Instant::now() >= next_flush {
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
    while log.handover.wait_for_time(Instant::now() + interval) != Wake::Stop {
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
            if core.gate.is_closed() {
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
