//! A device that fails when told: any device, with one call or all calls from one on refused.
//!
//! A test runs its workload with the first call failing, then the second, and so on until a run
//! sees no fault, and checks after each that nothing acknowledged was lost.
//!
//! # Invariants
//! - Calls are counted in the order in which they came, over the verbs that the plan aims at.
//! - A refused call has no effect on the device below, but for the faults that say otherwise.
//! - Without a plan every call goes through unchanged.

use std::io;

use rustix::io::Errno;

use super::{Device, DeviceFile, Entry, LockError, LockGuard, Mapping};
use crate::shim::{Arc, Condvar, Mutex, PoisonError, lock};

/// A call of [`Device`] or [`DeviceFile`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verb {
    /// [`Device::create`]
    Create,
    /// [`Device::rename`]
    Rename,
    /// [`Device::unlink`]
    Unlink,
    /// [`Device::sync_directory`]
    SyncDirectory,
    /// [`DeviceFile::write_at`]
    Write,
    /// [`DeviceFile::reserve`]
    Reserve,
    /// [`DeviceFile::sync`]
    Sync,
    /// [`Device::lock`]
    Lock,
    /// [`Device::random`]
    Random,
    /// [`Device::list`]
    List,
    /// [`Device::open`]
    Open,
    /// [`Device::open_writable`]
    OpenWritable,
    /// [`DeviceFile::len`]
    Len,
    /// [`DeviceFile::read_at`]
    Read,
    /// [`DeviceFile::map`]
    Map,
}

impl Verb {
    /// Whether the call changes what the medium holds.
    pub fn mutates(self) -> bool {
        match self {
            Self::Create | Self::Rename | Self::Unlink | Self::SyncDirectory => true,
            Self::Write | Self::Reserve | Self::Sync => true,
            Self::Lock | Self::Random | Self::List | Self::Open | Self::OpenWritable => false,
            Self::Len | Self::Read | Self::Map => false,
        }
    }
}

/// Which calls a plan counts and fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// All that change the medium.
    Mutating,
    /// All others.
    Reading,
    /// All.
    Any,
    /// Those of one verb.
    Only(Verb),
}

impl Target {
    fn includes(self, verb: Verb) -> bool {
        match self {
            Self::Mutating => verb.mutates(),
            Self::Reading => !verb.mutates(),
            Self::Any => true,
            Self::Only(only) => only == verb,
        }
    }
}

/// How a call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// `EIO`, no effect.
    Io,
    /// `ENOSPC`, no effect.
    NoSpace,
    /// `EDQUOT`, no effect.
    Quota,
    /// `EFBIG`, no effect.
    TooLarge,
    /// A write puts half of its bytes in place, then `ENOSPC`; any other call as `Io`.
    ShortWrite,
    /// The call is carried out and reported as `EIO`: the caller cannot know.
    AfterEffect,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Io, Self::NoSpace, Self::Quota, Self::TooLarge, Self::ShortWrite, Self::AfterEffect];

    fn error(self) -> io::Error {
        match self {
            Self::Io | Self::AfterEffect => Errno::IO.into(),
            Self::NoSpace | Self::ShortWrite => Errno::NOSPC.into(),
            Self::Quota => Errno::DQUOT.into(),
            Self::TooLarge => Errno::FBIG.into(),
        }
    }
}

/// What fails, when and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FaultPlan {
    /// The calls that count.
    pub target: Target,
    /// The first one of them to fail, counted from 1.
    pub at: u64,
    /// How it fails.
    pub fault: Fault,
    /// Whether all of them fail from there on, or one alone.
    pub sticky: bool,
}

/// Wraps a device; clones share the plan and the counts.
#[derive(Debug, Clone)]
pub struct FaultDevice {
    inner: Arc<dyn Device>,
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    plan: Mutex<Counted>,
    gate: Mutex<Gate>,
    gate_moved: Condvar,
    hook: Mutex<Option<Hook>>,
}

/// Called before writes.
#[derive(Clone)]
struct Hook(Arc<dyn Fn() + Send + Sync>);

impl std::fmt::Debug for Hook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hook")
    }
}

#[derive(Debug, Default)]
struct Counted {
    plan: Option<FaultPlan>,
    calls: u64,
    fired: u64,
}

/// `closed` counts the gates alive, `waiting` the calls they hold.
#[derive(Debug, Default)]
struct Gate {
    closed: usize,
    waiting: usize,
}

impl FaultDevice {
    /// Wraps `inner`, failing nothing yet.
    pub fn new(inner: Arc<dyn Device>) -> Self {
        Self { inner, state: Arc::default() }
    }

    /// Puts a plan in place of the one before and counts from zero.
    pub fn arm(&self, plan: FaultPlan) {
        *lock(&self.state.plan) = Counted { plan: Some(plan), calls: 0, fired: 0 };
    }

    /// Lets every call through again. The counts stay.
    pub fn disarm(&self) {
        lock(&self.state.plan).plan = None;
    }

    /// How many calls that the plan aims at came since it was put in place.
    pub fn calls(&self) -> u64 {
        lock(&self.state.plan).calls
    }

    /// How many of them failed. Zero after a run says that the run has fewer calls than `at`.
    pub fn fired(&self) -> u64 {
        lock(&self.state.plan).fired
    }

    /// Calls `hook` before every write from now on: what another thread could do meanwhile.
    pub fn before_writes(&self, hook: impl Fn() + Send + Sync + 'static) {
        *lock(&self.state.hook) = Some(Hook(Arc::new(hook)));
    }

    /// Makes every `sync` of a file wait until the gate is dropped.
    pub fn close_sync_gate(&self) -> SyncGate {
        lock(&self.state.gate).closed += 1;
        SyncGate { state: Arc::clone(&self.state) }
    }

    fn file(&self, file: io::Result<Arc<dyn DeviceFile>>) -> io::Result<Arc<dyn DeviceFile>> {
        Ok(Arc::new(FaultFile { inner: file?, state: Arc::clone(&self.state) }))
    }
}

impl State {
    /// The fault of this call, if it is to have one.
    fn count(&self, verb: Verb) -> Option<Fault> {
        let mut counted = lock(&self.plan);
        let plan = counted.plan.filter(|plan| plan.target.includes(verb))?;
        counted.calls += 1;
        let hit = counted.calls == plan.at || (plan.sticky && counted.calls > plan.at);
        counted.fired += u64::from(hit);
        hit.then_some(plan.fault)
    }

    fn run<T>(&self, verb: Verb, call: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        match self.count(verb) {
            None => call(),
            Some(Fault::AfterEffect) => call().and(Err(Fault::AfterEffect.error())),
            Some(Fault::ShortWrite) => Err(Fault::Io.error()),
            Some(fault) => Err(fault.error()),
        }
    }

    fn pass_gate(&self) {
        let mut gate = lock(&self.gate);
        gate.waiting += 1;
        self.gate_moved.notify_all();
        while gate.closed > 0 {
            gate = self.gate_moved.wait(gate).unwrap_or_else(PoisonError::into_inner);
        }
        gate.waiting -= 1;
    }
}

/// Holds back every `sync` until dropped.
#[derive(Debug)]
#[must_use = "the gate opens when dropped"]
pub struct SyncGate {
    state: Arc<State>,
}

impl SyncGate {
    /// How many calls wait now.
    pub fn waiting(&self) -> usize {
        lock(&self.state.gate).waiting
    }

    /// Returns once at least `count` calls wait.
    pub fn wait_for(&self, count: usize) {
        let mut gate = lock(&self.state.gate);
        while gate.waiting < count {
            gate = self.state.gate_moved.wait(gate).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Drop for SyncGate {
    fn drop(&mut self) {
        lock(&self.state.gate).closed -= 1;
        self.state.gate_moved.notify_all();
    }
}

impl Device for FaultDevice {
    fn describe(&self) -> String {
        self.inner.describe()
    }

    fn list(&self) -> io::Result<Vec<Entry>> {
        self.state.run(Verb::List, || self.inner.list())
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn DeviceFile>> {
        self.file(self.state.run(Verb::Open, || self.inner.open(name)))
    }

    fn open_writable(&self, name: &str) -> io::Result<Arc<dyn DeviceFile>> {
        self.file(self.state.run(Verb::OpenWritable, || self.inner.open_writable(name)))
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn DeviceFile>> {
        self.file(self.state.run(Verb::Create, || self.inner.create(name)))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.state.run(Verb::Rename, || self.inner.rename(from, to))
    }

    fn unlink(&self, name: &str) -> io::Result<()> {
        self.state.run(Verb::Unlink, || self.inner.unlink(name))
    }

    fn sync_directory(&self) -> io::Result<()> {
        self.state.run(Verb::SyncDirectory, || self.inner.sync_directory())
    }

    fn lock(&self, owner: &str) -> Result<Box<dyn LockGuard>, LockError> {
        self.state.run(Verb::Lock, || Ok(()))?;
        self.inner.lock(owner)
    }

    fn now_unix_us(&self) -> i64 {
        self.inner.now_unix_us()
    }

    fn random(&self) -> io::Result<[u8; 16]> {
        self.state.run(Verb::Random, || self.inner.random())
    }
}

#[derive(Debug)]
struct FaultFile {
    inner: Arc<dyn DeviceFile>,
    state: Arc<State>,
}

impl FaultFile {
    /// Writes half of the bytes.
    fn write_half(&self, parts: &[&[u8]], offset: u64) -> io::Result<()> {
        let bytes = parts.concat();
        let (half, _) = bytes.split_at(bytes.len() / 2);
        self.inner.write_at(&[half], offset)
    }
}

impl DeviceFile for FaultFile {
    fn len(&self) -> io::Result<u64> {
        self.state.run(Verb::Len, || self.inner.len())
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.state.run(Verb::Read, || self.inner.read_at(buf, offset))
    }

    fn write_at(&self, parts: &[&[u8]], offset: u64) -> io::Result<()> {
        let hook = lock(&self.state.hook).clone();
        if let Some(Hook(hook)) = hook {
            hook();
        }
        match self.state.count(Verb::Write) {
            None => self.inner.write_at(parts, offset),
            Some(fault) => {
                match fault {
                    Fault::ShortWrite => self.write_half(parts, offset)?,
                    Fault::AfterEffect => self.inner.write_at(parts, offset)?,
                    Fault::Io | Fault::NoSpace | Fault::Quota | Fault::TooLarge => {}
                }
                Err(fault.error())
            }
        }
    }

    fn reserve(&self, len: u64) -> io::Result<()> {
        self.state.run(Verb::Reserve, || self.inner.reserve(len))
    }

    fn sync(&self) -> io::Result<()> {
        self.state.pass_gate();
        self.state.run(Verb::Sync, || self.inner.sync())
    }

    fn map(&self, len: usize) -> io::Result<Mapping> {
        self.state.run(Verb::Map, || self.inner.map(len))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::{MemoryDevice, SimDevice, Survivors, conformance};
    use std::thread;

    fn fresh() -> (MemoryDevice, FaultDevice) {
        let memory = MemoryDevice::new();
        (memory.clone(), FaultDevice::new(Arc::new(memory)))
    }

    fn plan(target: Target, at: u64, fault: Fault, sticky: bool) -> FaultPlan {
        FaultPlan { target, at, fault, sticky }
    }

    #[test]
    fn keeps_the_contract_without_a_plan() {
        conformance::run(fresh);
    }

    fn workload(device: &dyn Device) -> io::Result<()> {
        let file = device.create("tmp")?;
        file.reserve(100)?;
        file.write_at(&[b"12", b"34"], 0)?;
        file.sync()?;
        device.rename("tmp", "a")?;
        device.sync_directory()?;
        device.unlink("a")
    }

    #[test]
    fn every_call_fails_in_turn() {
        for fault in Fault::ALL {
            let mut at = 1;
            loop {
                let (_, device) = fresh();
                device.arm(plan(Target::Mutating, at, fault, false));
                let result = workload(&device);
                assert_eq!(result.is_err(), device.fired() == 1);
                if device.fired() == 0 {
                    break;
                }
                assert_eq!(device.calls(), at);
                at += 1;
            }
            assert_eq!(at, 8);
        }
    }

    #[test]
    fn once_or_for_ever() {
        for sticky in [false, true] {
            let (_, device) = fresh();
            device.arm(plan(Target::Only(Verb::Create), 2, Fault::Quota, sticky));
            device.create("1").unwrap();
            let error = device.create("2").unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::QuotaExceeded);
            device.open("1").unwrap().sync().unwrap();
            assert_eq!(device.create("3").is_err(), sticky);
            device.disarm();
            device.create("4").unwrap();
            assert_eq!((device.calls(), device.fired()), (3, 1 + u64::from(sticky)));
        }
    }

    #[test]
    fn a_fault_has_the_effect_it_states() {
        let left = |fault| {
            let (memory, device) = fresh();
            let file = device.create("a").unwrap();
            device.arm(plan(Target::Only(Verb::Write), 1, fault, false));
            let error = file.write_at(&[b"123", b"45678"], 1).unwrap_err();
            (memory.files()["a"].clone(), error.kind())
        };
        assert_eq!(left(Fault::NoSpace), (vec![], io::ErrorKind::StorageFull));
        assert_eq!(left(Fault::ShortWrite), (b"\x001234".into(), io::ErrorKind::StorageFull));
        let (bytes, _) = left(Fault::AfterEffect);
        assert_eq!(bytes, b"\x0012345678");
    }

    #[test]
    fn reads_fail_by_choice() {
        let (memory, device) = fresh();
        memory.replace("a", b"1");
        device.arm(plan(Target::Reading, 2, Fault::Io, true));
        let file = device.open("a").unwrap();
        file.len().unwrap_err();
        file.read_at(&mut [0], 0).unwrap_err();
        file.map(1).unwrap_err();
        device.list().unwrap_err();
        device.random().unwrap_err();
        assert!(matches!(device.lock("me").unwrap_err(), LockError::Io(_)));
        assert_eq!((device.calls(), device.fired()), (7, 6));
    }

    #[test]
    fn a_failed_sync_makes_nothing_durable() {
        let sim = SimDevice::new();
        let device = FaultDevice::new(Arc::new(sim.clone()));
        let file = device.create("a").unwrap();
        device.sync_directory().unwrap();
        file.write_at(&[b"x"], 0).unwrap();
        device.arm(plan(Target::Only(Verb::Sync), 1, Fault::Io, false));
        file.sync().unwrap_err();
        let lost = sim.crash_point(sim.calls()).unwrap().state(Survivors::NONE);
        assert_eq!(lost.device.files()["a"], b"");
        device.arm(plan(Target::Only(Verb::Sync), 1, Fault::AfterEffect, false));
        file.sync().unwrap_err();
        let kept = sim.crash_point(sim.calls()).unwrap().state(Survivors::NONE);
        assert_eq!(kept.device.files()["a"], b"x");
    }

    #[test]
    fn the_gate_holds_back_syncs_alone() {
        let (memory, device) = fresh();
        let file = device.create("a").unwrap();
        let gate = device.close_sync_gate();
        let syncing = Arc::clone(&file);
        let sync = thread::spawn(move || syncing.sync());
        gate.wait_for(1);
        file.write_at(&[b"meanwhile"], 0).unwrap();
        assert_eq!(memory.counters().file("a").syncs, 0);
        assert_eq!(gate.waiting(), 1);
        drop(gate);
        sync.join().unwrap().unwrap();
        assert_eq!(memory.counters().file("a").syncs, 1);
        file.sync().unwrap();
    }
}
