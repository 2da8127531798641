//! W3: single records, each flushed to the medium, against a bare loop of `pwrite` and `fdatasync`
//! into space set aside by `fallocate`; and eight threads against bare group commit.
//!
//! # Invariants
//! - Both sides write to the same disk, and take turns commit by commit batch.
//! - A bare commit writes as many bytes as a record has: 16.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use presence::{Compression, Database, Level, Options, StreamWriter, schema_of};

use crate::Result;
use crate::measure::{Pair, median, paired, wall_each};
use crate::report::{Report, Target};
use crate::setup::{Setup, create};

const RECORD_BYTES: usize = 16;
const THREADS: usize = 8;

/// Makes a file with `bytes` set aside, durably.
fn reserved(path: &Path, bytes: u64) -> Result<File> {
    let file = File::create(path)?;
    rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, bytes)?;
    file.sync_all()?;
    Ok(file)
}

fn one_thread(setup: &Setup, report: &mut Report) -> Result<()> {
    let directory = setup.empty()?;
    let (_db, stream) = create(directory.path(), Options::default(), Compression::None)?;
    let mut writer = stream.writer::<f64>()?;
    let bare = reserved(&directory.path().join("bare"), 1 << 20)?;
    let commits = setup.of(2000, 20);
    let (mut ts, mut offset) = (0, 0);
    // One commit a turn: drifts of the disk hit both sides alike.
    let mut pair = Pair::default();
    let (mut ours_ns, mut bare_ns) = (Vec::new(), Vec::new());
    for _ in 0..commits {
        let began = Instant::now();
        ts += 1000;
        writer.append(ts, 1.0)?;
        writer.flush(Level::Disk)?;
        ours_ns.push(began.elapsed().as_nanos() as f64);
        let began = Instant::now();
        bare.write_all_at(&[1; RECORD_BYTES], offset)?;
        bare.sync_data()?;
        bare_ns.push(began.elapsed().as_nanos() as f64);
        offset += RECORD_BYTES as u64;
    }
    pair.ours = median(&mut ours_ns) / 1000.0;
    pair.reference = median(&mut bare_ns) / 1000.0;
    pair.ratio = pair.ours / pair.reference;
    report.ratio("durable", "one commit, one thread, median", "us", pair, Target::AtMost(1.1));
    Ok(())
}

/// Bare group commit: who finds no sync running writes and syncs for all who wait.
struct Group {
    file: File,
    state: Mutex<GroupState>,
    ended: Condvar,
}

#[derive(Default)]
struct GroupState {
    pending: Vec<u8>,
    /// Commits taken in, and commits durable.
    taken: u64,
    durable: u64,
    offset: u64,
    running: bool,
}

impl Group {
    fn commit(&self, record: &[u8]) -> Result<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.pending.extend_from_slice(record);
        state.taken += 1;
        let mine = state.taken;
        while state.durable < mine {
            if state.running {
                state = self.ended.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            state.running = true;
            let bytes = std::mem::take(&mut state.pending);
            let (offset, group) = (state.offset, state.taken);
            state.offset += bytes.len() as u64;
            drop(state);
            self.file.write_all_at(&bytes, offset)?;
            self.file.sync_data()?;
            state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.running = false;
            state.durable = group;
            self.ended.notify_all();
        }
        Ok(())
    }
}

/// Runs `work` on eight threads at once.
fn on_threads<T: Send>(items: &mut [T], work: impl Fn(&mut T) -> Result<()> + Sync) -> Result<()> {
    thread::scope(|scope| {
        let threads: Vec<_> = items.iter_mut().map(|item| scope.spawn(|| work(item))).collect();
        threads.into_iter().try_for_each(|thread| {
            thread.join().map_err(|_| crate::Error::from("a thread panicked"))?
        })
    })
}

fn eight_threads(setup: &Setup, report: &mut Report) -> Result<()> {
    let directory = setup.empty()?;
    let db = Database::create(directory.path().join("db"), Options::default())?;
    let mut writers: Vec<(StreamWriter<f64>, i64)> = Vec::new();
    for index in 0..THREADS {
        let stream = db.create_stream(&format!("stream {index}"), schema_of::<f64>()?)?;
        writers.push((stream.writer()?, 0));
    }
    let group = Group {
        file: reserved(&directory.path().join("bare"), 16 << 20)?,
        state: Mutex::default(),
        ended: Condvar::new(),
    };
    let commits = setup.of(500, 5);
    let ours = |_| {
        wall_each(commits * THREADS, || {
            on_threads(&mut writers, |(writer, ts)| {
                for _ in 0..commits {
                    *ts += 1000;
                    writer.append(*ts, 1.0)?;
                    writer.flush(Level::Disk)?;
                }
                Ok(())
            })
        })
    };
    let bare = |_| {
        wall_each(commits * THREADS, || {
            on_threads(&mut [(); THREADS], |()| {
                (0..commits).try_for_each(|_| group.commit(&[1; RECORD_BYTES]))
            })
        })
    };
    let pair = paired(setup.turns(9), ours, bare)?;
    let pair =
        Pair { ours: 1e9 / pair.ours, reference: 1e9 / pair.reference, ratio: 1.0 / pair.ratio };
    report.ratio("durable", "commits, eight threads", "1/s", pair, Target::AtLeast(0.9));
    Ok(())
}

/// Runs the workload.
///
/// # Errors
/// Those of engine and disk.
pub fn run(setup: &Setup, report: &mut Report) -> Result<()> {
    one_thread(setup, report)?;
    eight_threads(setup, report)
}
