//! A simulated device: a directory in memory that records every mutating call, so that a test can
//! cut the power after any of them and look at every state the medium may be left in.
//!
//! # Fault model
//! - Un-synced writes, lengths (of a longer write, of `reserve`) and directory operations (create,
//!   rename, unlink) survive a power cut as any subset, in any order.
//! - A write is torn at the 512-byte sectors of the file, and the last write before the cut also
//!   at each of its bytes.
//! - A length that survived without its bytes reads as zeros. Bytes that survived carry the
//!   length up to their end.
//! - After `sync` of a file its content and length are durable; its name is not.
//! - After `sync_directory` names are durable; content is not. A file whose name is not durable
//!   vanishes, with synced content too; a rename that is not durable shows the old name; a file
//!   whose name alone is durable holds any subset of its content, down to length zero.
//! - One directory operation is atomic: a rename shows one of its two names, never both or none.
//! - Not modelled: sync that lies (but see the planted faults), bytes changed outside the range
//!   written to, rot. Those are the work of other tests.
//!
//! # Invariants
//! - The calls counted are the mutating ones that succeeded: create, rename, unlink,
//!   `sync_directory`, `write_at`, `reserve`, `sync`. One call is one entry of the log.
//! - A run is reproducible: the clock stands still unless told and random bytes come from a seed.
//! - A state handed out by a crash is a fresh `SimDevice` in which everything is durable, so that
//!   recovery can run on it, and be crashed in turn.

use std::io;

use super::content::Content;
use super::counters::Counters;
use super::crash::{CrashPoint, CrashPoints, CrashPolicy, CrashState};
use super::memory::{FileId, Image, MemoryDevice, MemoryFile};
use super::{Device, DeviceFile, Entry, LockError, LockGuard, Mapping, check_name};
use crate::shim::atomic::{AtomicBool, AtomicU64, Ordering};
use crate::shim::{Arc, Mutex, MutexGuard, lock};

/// The clock of a new device: 2023-11-14T22:13:20Z.
const NOW_START_US: i64 = 1_700_000_000_000_000;

/// A simulated directory, shared by its clones.
#[derive(Clone)]
pub struct SimDevice {
    shared: Arc<Shared>,
}

struct Shared {
    /// What the running process sees.
    memory: MemoryDevice,
    log: Mutex<Log>,
    crashed: AtomicBool,
    /// An `i64`, bit by bit.
    now_us: AtomicU64,
    random: AtomicU64,
}

/// What happened since `start`, which is durable.
struct Log {
    start: Image,
    ops: Vec<Op>,
    calls_max: usize,
    drop_file_sync: bool,
    drop_directory_sync: bool,
}

/// One mutating call that succeeded.
#[derive(Clone)]
pub(super) enum Op {
    Create {
        name: Arc<str>,
        file: FileId,
    },
    Rename {
        to: Arc<str>,
        file: FileId,
    },
    Unlink {
        name: Arc<str>,
        file: FileId,
    },
    SyncDirectory,
    Write {
        file: FileId,
        offset: u64,
        data: Arc<[u8]>,
        grows: bool,
    },
    Reserve {
        file: FileId,
        len: u64,
        grows: bool,
    },
    Sync {
        file: FileId,
    },
    /// A sync that a planted fault acknowledged and did not perform.
    Nothing,
}

/// What a state that survives a crash takes over from the run before it.
#[derive(Clone, Copy)]
pub(super) struct Ambience {
    now_us: i64,
    random: u64,
}

impl SimDevice {
    /// An empty directory.
    pub fn new() -> Self {
        Self::default()
    }

    /// A directory that holds `files`, all durable, given as name and bytes.
    pub fn with_files<'a>(files: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Self {
        let image = MemoryDevice::with_files(files).image();
        Self::from_image(image, Ambience { now_us: NOW_START_US, random: 1 })
    }

    pub(super) fn from_image(start: Image, ambience: Ambience) -> Self {
        let memory = MemoryDevice::from_image(&start);
        let log = Log {
            start,
            ops: Vec::new(),
            calls_max: usize::MAX,
            drop_file_sync: false,
            drop_directory_sync: false,
        };
        let shared = Shared {
            memory,
            log: Mutex::new(log),
            crashed: AtomicBool::new(false),
            now_us: AtomicU64::new(ambience.now_us.cast_unsigned()),
            random: AtomicU64::new(ambience.random),
        };
        Self { shared: Arc::new(shared) }
    }

    /// How many mutating calls succeeded. Note it with every acknowledgement: what was
    /// acknowledged at `calls()` must be found in every state of the crash points from there on.
    pub fn calls(&self) -> usize {
        self.log().ops.len()
    }

    /// Cuts the power after `calls` mutating calls, counted from the device's beginning: the next
    /// one fails, and from then on every call does.
    pub fn crash_after(&self, calls: usize) {
        self.log().calls_max = calls;
    }

    /// Whether the power was cut.
    pub fn crashed(&self) -> bool {
        self.shared.crashed.load(Ordering::Acquire)
    }

    /// What the medium may hold if the power fails after the first `calls` mutating calls; `None`
    /// where there were fewer.
    pub fn crash_point(&self, calls: usize) -> Option<CrashPoint> {
        self.crash_points().nth(calls)
    }

    /// The crash points after 0, 1, .. up to [`SimDevice::calls`] mutating calls.
    pub fn crash_points(&self) -> CrashPoints {
        let log = self.log();
        CrashPoints::new(log.start.clone(), log.ops.clone(), self.ambience())
    }

    /// Runs `check` over the states of every crash point and returns how many there were.
    pub fn for_each_crash_state(
        &self,
        policy: &CrashPolicy,
        mut check: impl FnMut(CrashState),
    ) -> u64 {
        let mut count = 0;
        for point in self.crash_points() {
            for state in point.states(policy) {
                check(state);
                count += 1;
            }
        }
        count
    }

    /// What was asked of this device so far.
    pub fn counters(&self) -> &Counters {
        self.shared.memory.counters()
    }

    /// All files by name as the running process sees them, read without being counted.
    pub fn files(&self) -> std::collections::BTreeMap<String, Vec<u8>> {
        self.shared.memory.files()
    }

    /// Sets the clock.
    pub fn set_now_unix_us(&self, now_us: i64) {
        self.shared.now_us.store(now_us.cast_unsigned(), Ordering::Relaxed);
    }

    /// Plants a fault: from now on `sync` of a file is acknowledged and not performed. A harness
    /// that does not notice it finds nothing.
    pub fn drop_file_sync(&self, planted: bool) {
        self.log().drop_file_sync = planted;
    }

    /// Plants a fault: from now on `sync_directory` is acknowledged and not performed.
    pub fn drop_directory_sync(&self, planted: bool) {
        self.log().drop_directory_sync = planted;
    }

    fn ambience(&self) -> Ambience {
        Ambience {
            now_us: self.shared.now_us.load(Ordering::Relaxed).cast_signed(),
            random: self.shared.random.load(Ordering::Relaxed),
        }
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        lock(&self.shared.log)
    }

    fn alive(&self) -> io::Result<()> {
        match self.crashed() {
            true => Err(power_cut()),
            false => Ok(()),
        }
    }

    /// Runs a mutating call under the log's lock, so that the log's order is the order of effects.
    fn mutate<T>(&self, call: impl FnOnce(&Log) -> io::Result<(T, Op)>) -> io::Result<T> {
        let mut log = self.log();
        if self.crashed() || log.ops.len() >= log.calls_max {
            self.shared.crashed.store(true, Ordering::Release);
            return Err(power_cut());
        }
        let (value, op) = call(&log)?;
        log.ops.push(op);
        Ok(value)
    }

    fn file(&self, inner: MemoryFile) -> Arc<dyn DeviceFile> {
        Arc::new(SimFile { inner, device: self.clone() })
    }

    fn file_id(&self, name: &str) -> io::Result<FileId> {
        check_name(name)?;
        self.shared.memory.file_id(name).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl Default for SimDevice {
    fn default() -> Self {
        Self::with_files([])
    }
}

impl std::fmt::Debug for SimDevice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SimDevice({} calls)", self.calls())
    }
}

fn power_cut() -> io::Error {
    io::Error::other("the power was cut (simulated)")
}

impl Device for SimDevice {
    fn describe(&self) -> String {
        "simulation".into()
    }

    fn list(&self) -> io::Result<Vec<Entry>> {
        self.alive()?;
        self.shared.memory.list()
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn DeviceFile>> {
        self.alive()?;
        Ok(self.file(self.shared.memory.open_file(name, false)?))
    }

    fn open_writable(&self, name: &str) -> io::Result<Arc<dyn DeviceFile>> {
        self.alive()?;
        Ok(self.file(self.shared.memory.open_file(name, true)?))
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn DeviceFile>> {
        self.mutate(|_| {
            let file = self.shared.memory.create_file(name)?;
            let op = Op::Create { name: name.into(), file: file.id() };
            Ok((self.file(file), op))
        })
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.mutate(|_| {
            let file = self.file_id(from)?;
            self.shared.memory.rename(from, to)?;
            Ok(((), Op::Rename { to: to.into(), file }))
        })
    }

    fn unlink(&self, name: &str) -> io::Result<()> {
        self.mutate(|_| {
            let file = self.file_id(name)?;
            self.shared.memory.unlink(name)?;
            Ok(((), Op::Unlink { name: name.into(), file }))
        })
    }

    fn sync_directory(&self) -> io::Result<()> {
        self.mutate(|log| match log.drop_directory_sync {
            true => Ok(((), Op::Nothing)),
            false => Ok(((), Op::SyncDirectory)),
        })
    }

    fn lock(&self, owner: &str) -> Result<Box<dyn LockGuard>, LockError> {
        self.alive()?;
        self.shared.memory.lock(owner)
    }

    fn now_unix_us(&self) -> i64 {
        self.shared.now_us.load(Ordering::Relaxed).cast_signed()
    }

    fn random(&self) -> io::Result<[u8; 16]> {
        self.alive()?;
        let count = self.shared.random.fetch_add(1, Ordering::Relaxed);
        let halves = [mix(2 * count), mix(2 * count + 1)].map(u64::to_le_bytes);
        let mut bytes = [0; 16];
        bytes.iter_mut().zip(halves.into_iter().flatten()).for_each(|(to, from)| *to = from);
        Ok(bytes)
    }
}

/// Sixty-four well mixed bits out of a counter (the finaliser of splitmix64).
pub(super) fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[derive(Debug)]
struct SimFile {
    inner: MemoryFile,
    device: SimDevice,
}

impl DeviceFile for SimFile {
    fn len(&self) -> io::Result<u64> {
        self.device.alive()?;
        self.inner.len()
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.device.alive()?;
        self.inner.read_at(buf, offset)
    }

    fn write_at(&self, parts: &[&[u8]], offset: u64) -> io::Result<()> {
        self.device.mutate(|_| {
            let len = self.inner.len()?;
            self.inner.write_at(parts, offset)?;
            let data: Arc<[u8]> = parts.concat().into();
            let grows = self.inner.len()? > len;
            Ok(((), Op::Write { file: self.inner.id(), offset, data, grows }))
        })
    }

    fn reserve(&self, len: u64) -> io::Result<()> {
        Content::check_end(0, len)?;
        self.device.mutate(|_| {
            let grows = self.inner.len()? < len;
            self.inner.reserve(len)?;
            Ok(((), Op::Reserve { file: self.inner.id(), len, grows }))
        })
    }

    fn sync(&self) -> io::Result<()> {
        self.device.mutate(|log| {
            self.inner.sync()?;
            match log.drop_file_sync {
                true => Ok(((), Op::Nothing)),
                false => Ok(((), Op::Sync { file: self.inner.id() })),
            }
        })
    }

    fn map(&self, len: usize) -> io::Result<Mapping> {
        self.device.alive()?;
        self.inner.map(len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::conformance;

    #[test]
    fn keeps_the_contract() {
        conformance::run(|| ((), SimDevice::new()));
    }

    #[test]
    fn after_the_cut_every_call_fails() {
        let device = SimDevice::new();
        device.crash_after(2);
        let file = device.create("a").unwrap();
        file.write_at(&[b"x"], 0).unwrap();
        assert!(file.len().is_ok() && !device.crashed());
        file.sync().unwrap_err();
        assert!(device.crashed());
        assert_eq!(device.calls(), 2);
        file.len().unwrap_err();
        device.list().unwrap_err();
        device.open("a").unwrap_err();
        device.lock("me").unwrap_err();
    }

    #[test]
    fn a_refused_call_is_not_counted() {
        let device = SimDevice::with_files([("a", b"".as_slice()), ("b", b"")]);
        device.create("a").unwrap_err();
        device.rename("a", "b").unwrap_err();
        device.unlink("c").unwrap_err();
        device.open("a").unwrap().write_at(&[b"x"], 0).unwrap_err();
        assert_eq!(device.calls(), 0);
    }

    #[test]
    fn a_run_is_reproducible_and_never_repeats_random_bytes_after_a_crash() {
        let (one, two) = (SimDevice::new(), SimDevice::new());
        assert_eq!(one.random().unwrap(), two.random().unwrap());
        assert_ne!(one.random().unwrap(), [0; 16]);
        one.set_now_unix_us(5);
        let state = one.crash_point(0).unwrap().states(&CrashPolicy::default()).next().unwrap();
        two.random().unwrap();
        assert_eq!(state.device.random().unwrap(), two.random().unwrap());
        assert_eq!(state.device.now_unix_us(), 5);
    }
}
