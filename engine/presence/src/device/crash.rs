//! Which states a power cut may leave behind: the enumeration over the log of a simulated device.
//!
//! The fault model is stated at the top of the simulated device. Here each effect that is not yet
//! durable is one [`Item`], and a state is the durable content plus the items that survived.
//!
//! # Invariants
//! - A state is a function of the log, the number of calls and [`Survivors`] alone: a failure is
//!   replayed by [`CrashPoint::state`] or [`CrashPoint::nth_state`].
//! - Items are applied in the order of their calls; that an older one wins over a newer one is
//!   the state in which the newer did not survive.
//! - Making a state copies the pages that surviving items touch and nothing else.

use std::fmt;

use super::content::Content;
use super::disk::{Disk, Effect};
use super::memory::{FileId, Image};
use super::sim::{Ambience, Op, SimDevice, mix};
use crate::shim::Arc;

const SECTOR_BYTES: u64 = 512;

/// How many states of a crash point to look at.
#[derive(Debug, Clone)]
pub struct CrashPolicy {
    /// Up to this many pending items all subsets are made; at most 20.
    pub exhaustive_max: usize,
    /// Beyond that: at most so many each of prefixes, only-one and all-but-one, evenly spread.
    pub spread_max: usize,
    /// Beyond that: so many random subsets.
    pub random: usize,
    /// The last write is cut at each of its bytes, or at so many of them where it is longer.
    pub tears_max: usize,
    /// Where the random subsets come from.
    pub seed: u64,
}

impl Default for CrashPolicy {
    fn default() -> Self {
        Self { exhaustive_max: 12, spread_max: 512, random: 512, tears_max: 4096, seed: 1 }
    }
}

impl CrashPolicy {
    /// A sample for inner loops, such as the crash of a recovery of a crash.
    pub fn quick(seed: u64) -> Self {
        Self { exhaustive_max: 4, spread_max: 8, random: 8, tears_max: 8, seed }
    }
}

/// Which pending items reached the medium.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Survivors {
    /// Item `i` if bit `i` is set.
    Mask(u64),
    /// The first so many.
    Prefix(usize),
    /// One alone.
    Only(usize),
    /// All except one.
    AllBut(usize),
    /// All of the kinds that are set.
    Kinds {
        /// Sectors written.
        data: bool,
        /// Lengths.
        sizes: bool,
        /// Creates, renames, unlinks.
        names: bool,
    },
    /// A random subset by this seed: sparse, even or dense.
    Random(u64),
    /// The last call, a write, was cut after so many bytes.
    Torn {
        /// Whether all items before it survived, or none.
        others: bool,
        /// How many of its bytes survived.
        bytes: usize,
        /// Whether the length it gave the file survived although the rest did not.
        length: bool,
    },
}

impl Survivors {
    /// Nothing reached the medium that was not synced.
    pub const NONE: Self = Self::Kinds { data: false, sizes: false, names: false };
    /// Everything did: what is left when the process alone is killed.
    pub const ALL: Self = Self::Kinds { data: true, sizes: true, names: true };
}

/// One state after a power cut.
#[derive(Debug, Clone)]
pub struct CrashState {
    /// The power was cut after so many mutating calls.
    pub calls: usize,
    /// The state's place in the order of [`CrashPoint::states`].
    pub index: usize,
    /// What reached the medium.
    pub survivors: Survivors,
    /// The medium after the cut: everything in it is durable.
    pub device: SimDevice,
}

impl fmt::Display for CrashState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { calls, index, survivors, .. } = self;
        write!(f, "crash after call {calls}, state {index}: {survivors:?}")
    }
}

/// An effect that is not durable yet, and the call it belongs to (counted from 1).
#[derive(Clone)]
struct Item {
    call: usize,
    effect: Effect,
}

/// What the medium may hold if the power fails at one moment of a run.
#[derive(Clone)]
pub struct CrashPoint {
    calls: usize,
    durable: Disk,
    pending: Vec<Item>,
    /// The last call, where it was a write: file, offset, data, and whether it grew the file.
    last_write: Option<(FileId, u64, Arc<[u8]>, bool)>,
    ambience: Ambience,
}

impl CrashPoint {
    /// How many mutating calls had succeeded.
    pub fn calls(&self) -> usize {
        self.calls
    }

    /// How many effects were not durable: sectors, lengths and names.
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    /// The states after a cut here. None is left out up to `exhaustive_max` pending items; some
    /// may be alike.
    pub fn states<'a>(
        &'a self,
        policy: &CrashPolicy,
    ) -> impl ExactSizeIterator<Item = CrashState> + 'a {
        let survivors = self.plan(policy).into_iter().enumerate();
        survivors.map(|(index, survivors)| CrashState { index, ..self.state(survivors) })
    }

    /// One of [`CrashPoint::states`], to replay a failure.
    pub fn nth_state(&self, policy: &CrashPolicy, index: usize) -> Option<CrashState> {
        let survivors = self.plan(policy).get(index).copied()?;
        Some(CrashState { index, ..self.state(survivors) })
    }

    /// The state in which just these items reached the medium; its `index` is 0.
    pub fn state(&self, survivors: Survivors) -> CrashState {
        let mut disk = self.durable.clone();
        for (index, item) in self.pending.iter().enumerate() {
            if self.survives(survivors, index, item) {
                disk.apply(&item.effect);
            }
        }
        if let (Survivors::Torn { bytes, length, .. }, Some((file, offset, data, _))) =
            (survivors, &self.last_write)
        {
            let (file, offset, data) = (*file, *offset, Arc::clone(data));
            let len = offset + data.len() as u64;
            disk.apply(&Effect::Data { file, offset, data, from: 0, to: bytes });
            if length {
                disk.apply(&Effect::Size { file, len });
            }
        }
        let device = SimDevice::from_image(disk.into_image(), self.ambience);
        CrashState { calls: self.calls, index: 0, survivors, device }
    }

    fn survives(&self, survivors: Survivors, index: usize, item: &Item) -> bool {
        match survivors {
            Survivors::Mask(mask) => index < 64 && mask >> index & 1 == 1,
            Survivors::Prefix(count) => index < count,
            Survivors::Only(only) => index == only,
            Survivors::AllBut(lost) => index != lost,
            Survivors::Kinds { data, sizes, names } => match item.effect {
                Effect::Data { .. } => data,
                Effect::Size { .. } => sizes,
                Effect::Create { .. } | Effect::Rename { .. } | Effect::Unlink { .. } => names,
            },
            Survivors::Random(seed) => {
                let bits = mix(seed ^ mix(index as u64));
                match seed % 4 {
                    0 => bits.is_multiple_of(8),
                    1 => !bits.is_multiple_of(8),
                    _ => bits.is_multiple_of(2),
                }
            }
            Survivors::Torn { others, .. } => others && item.call != self.calls,
        }
    }

    /// The states to make, in their order.
    fn plan(&self, policy: &CrashPolicy) -> Vec<Survivors> {
        let count = self.pending.len();
        let mut plan = Vec::new();
        if count <= policy.exhaustive_max.min(20) {
            plan.extend((0..1 << count).map(Survivors::Mask));
        } else {
            let flags = [false, true];
            for (data, sizes) in flags.into_iter().flat_map(|a| flags.map(|b| (a, b))) {
                plan.extend(flags.map(|names| Survivors::Kinds { data, sizes, names }));
            }
            plan.extend(spread(1, count, policy.spread_max).map(Survivors::Prefix));
            plan.extend(spread(0, count, policy.spread_max).map(Survivors::Only));
            plan.extend(spread(0, count, policy.spread_max).map(Survivors::AllBut));
            let seed = mix(policy.seed ^ mix(self.calls as u64));
            let seeds = (0..policy.random as u64).map(|index| mix(seed ^ index));
            plan.extend(seeds.map(Survivors::Random));
        }
        if let Some((_, _, data, grows)) = &self.last_write {
            let earlier = self.pending.iter().any(|item| item.call != self.calls);
            for bytes in spread(1, data.len(), policy.tears_max) {
                for others in [false, true].into_iter().filter(|others| !others || earlier) {
                    plan.push(Survivors::Torn { others, bytes, length: false });
                    if *grows {
                        plan.push(Survivors::Torn { others, bytes, length: true });
                    }
                }
            }
        }
        plan
    }

    /// Takes one more call of the log into account.
    fn apply(&mut self, op: &Op) {
        self.calls += 1;
        self.last_write = None;
        match op {
            Op::Create { name, file } => {
                self.durable.files.push((*file, Content::default()));
                self.push(Effect::Create { name: Arc::clone(name), file: *file });
            }
            Op::Rename { to, file } => {
                self.push(Effect::Rename { to: Arc::clone(to), file: *file });
            }
            Op::Unlink { name, file } => {
                self.push(Effect::Unlink { name: Arc::clone(name), file: *file });
            }
            Op::Write { file, offset, data, grows } => self.write(*file, *offset, data, *grows),
            Op::Reserve { file, len, grows: true } => {
                self.push(Effect::Size { file: *file, len: *len });
            }
            Op::Reserve { grows: false, .. } | Op::Nothing => {}
            Op::Sync { file } => self.settle(|effect| effect.content_of() == Some(*file)),
            Op::SyncDirectory => {
                self.settle(|effect| effect.content_of().is_none());
                // A file that has no name now never gets one again: forget it.
                let names = &self.durable.names;
                self.durable.files.retain(|(id, _)| names.values().any(|named| named == id));
                let files = &self.durable.files;
                self.pending.retain(|item| match item.effect.content_of() {
                    Some(file) => files.iter().any(|(id, _)| *id == file),
                    None => true,
                });
            }
        }
    }

    fn write(&mut self, file: FileId, offset: u64, data: &Arc<[u8]>, grows: bool) {
        let mut from = 0;
        while from < data.len() {
            let left = SECTOR_BYTES - (offset + from as u64) % SECTOR_BYTES;
            let to = data.len().min(from + left as usize);
            self.push(Effect::Data { file, offset, data: Arc::clone(data), from, to });
            from = to;
        }
        if grows {
            self.push(Effect::Size { file, len: offset + data.len() as u64 });
        }
        self.last_write = Some((file, offset, Arc::clone(data), grows));
    }

    fn push(&mut self, effect: Effect) {
        let orphan = |file| self.durable.files.iter().all(|(id, _)| *id != file);
        if !effect.content_of().is_some_and(orphan) {
            self.pending.push(Item { call: self.calls, effect });
        }
    }

    /// Makes durable what `which` says.
    fn settle(&mut self, which: impl Fn(&Effect) -> bool) {
        for item in self.pending.extract_if(.., |item| which(&item.effect)) {
            self.durable.apply(&item.effect);
        }
    }
}

impl fmt::Debug for CrashPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CrashPoint(after call {}, {} pending)", self.calls, self.pending.len())
    }
}

/// At most `max` numbers of `from..to`, evenly spread, the first and the last among them.
fn spread(from: usize, to: usize, max: usize) -> impl Iterator<Item = usize> {
    let count = to.saturating_sub(from);
    let taken = count.min(max);
    let last = taken.saturating_sub(1).max(1);
    (0..taken).map(move |index| match taken < count {
        true => from + (index as u128 * (count as u128 - 1) / last as u128) as usize,
        false => from + index,
    })
}

/// The crash points of a run, from before its first call to after its last.
pub struct CrashPoints {
    ops: std::vec::IntoIter<Op>,
    next: Option<CrashPoint>,
}

impl CrashPoints {
    pub(super) fn new(start: Image, ops: Vec<Op>, ambience: Ambience) -> Self {
        let first = CrashPoint {
            calls: 0,
            durable: Disk::new(start),
            pending: Vec::new(),
            last_write: None,
            ambience,
        };
        Self { ops: ops.into_iter(), next: Some(first) }
    }
}

impl fmt::Debug for CrashPoints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CrashPoints({} to go)", self.ops.len())
    }
}

impl Iterator for CrashPoints {
    type Item = CrashPoint;

    fn next(&mut self) -> Option<CrashPoint> {
        let point = self.next.take()?;
        self.next = self.ops.next().map(|op| {
            let mut next = point.clone();
            next.apply(&op);
            next
        });
        Some(point)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::device::Device;

    type Files = BTreeMap<String, Vec<u8>>;

    fn states(device: &SimDevice, policy: &CrashPolicy) -> BTreeSet<Files> {
        let point = device.crash_point(device.calls()).unwrap();
        point.states(policy).map(|state| state.device.files()).collect()
    }

    fn all_states(device: &SimDevice) -> BTreeSet<Files> {
        states(device, &CrashPolicy::default())
    }

    fn files<const N: usize>(files: [(&str, &[u8]); N]) -> Files {
        files.into_iter().map(|(name, bytes)| (name.to_owned(), bytes.to_vec())).collect()
    }

    fn sectors(bytes: &[u8]) -> Vec<u8> {
        bytes.iter().flat_map(|byte| [*byte; SECTOR_BYTES as usize]).collect()
    }

    #[test]
    fn a_name_and_its_content_survive_apart() {
        let device = SimDevice::new();
        let file = device.create("a").unwrap();
        file.write_at(&[b"xy"], 0).unwrap();
        let name = files([("a", b"")]);
        let expected = [
            files([]),
            name.clone(),
            files([("a", b"x")]),
            files([("a", b"x\0")]),
            files([("a", b"\0\0")]),
            files([("a", b"xy")]),
        ];
        assert_eq!(all_states(&device), expected.into());

        file.sync().unwrap();
        assert_eq!(all_states(&device), [files([]), files([("a", b"xy")])].into());
        device.sync_directory().unwrap();
        assert_eq!(all_states(&device), [files([("a", b"xy")])].into());
        // The other way round: the name is durable first, the content is not.
        let file = device.create("b").unwrap();
        device.sync_directory().unwrap();
        file.write_at(&[b"1"], 0).unwrap();
        let b = |bytes| files([("a", b"xy"), ("b", bytes)]);
        assert_eq!(all_states(&device), [b(b""), b(b"\0"), b(b"1")].into());
    }

    #[test]
    fn a_rename_shows_one_of_its_names() {
        let device = SimDevice::with_files([("tmp", b"1".as_slice())]);
        device.rename("tmp", "a").unwrap();
        let (old, new) = (files([("tmp", b"1")]), files([("a", b"1")]));
        assert_eq!(all_states(&device), [old.clone(), new.clone()].into());
        device.rename("a", "b").unwrap();
        let newest = files([("b", b"1")]);
        assert_eq!(all_states(&device), [old, new, newest.clone()].into());
        device.sync_directory().unwrap();
        assert_eq!(all_states(&device), [newest].into());
    }

    #[test]
    fn directory_operations_survive_in_any_order() {
        let device = SimDevice::with_files([("old", b"1".as_slice())]);
        let file = device.create("new").unwrap();
        file.write_at(&[b"2"], 0).unwrap();
        file.sync().unwrap();
        device.unlink("old").unwrap();
        let (old, new) = (("old", b"1".as_slice()), ("new", b"2".as_slice()));
        let expected = [files([old]), files([old, new]), files([]), files([new])];
        assert_eq!(all_states(&device), expected.into());
        // A name given again is another file.
        let device = SimDevice::with_files([("a", b"1".as_slice())]);
        device.unlink("a").unwrap();
        device.create("a").unwrap();
        let expected = [files([("a", b"1")]), files([]), files([("a", b"")])];
        assert_eq!(all_states(&device), expected.into());
    }

    #[test]
    fn sectors_of_a_write_survive_apart() {
        let device = SimDevice::with_files([("a", sectors(b"000").as_slice())]);
        let file = device.open_writable("a").unwrap();
        // From the middle of the first sector to the middle of the last.
        file.write_at(&[&sectors(b"12")], 256).unwrap();
        let point = device.crash_point(1).unwrap();
        assert_eq!(point.pending(), 3);
        let policy = CrashPolicy { tears_max: 0, ..CrashPolicy::default() };
        assert_eq!(states(&device, &policy).len(), 8);
        let only = point.state(Survivors::Only(1)).device.files();
        let bytes = &only["a"];
        assert_eq!((bytes[511], bytes[512], bytes[767], bytes[768]), (b'0', b'1', b'1', b'2'));
        assert_eq!((bytes[1023], bytes[1024]), (b'2', b'0'));
    }

    #[test]
    fn the_last_write_is_torn_at_each_byte_with_and_without_the_rest() {
        let device = SimDevice::with_files([("a", b"....".as_slice())]);
        let file = device.open_writable("a").unwrap();
        file.write_at(&[b"1"], 0).unwrap();
        file.write_at(&[b"234"], 1).unwrap();
        let mut expected = BTreeSet::new();
        for first in [".", "1"] {
            for rest in ["...", "2..", "23.", "234"] {
                expected.insert(files([("a", format!("{first}{rest}").as_bytes())]));
            }
        }
        assert_eq!(all_states(&device), expected);
    }

    #[test]
    fn reserved_length_is_lost_or_reads_as_zeros() {
        let device = SimDevice::with_files([("a", b"1".as_slice())]);
        let file = device.open_writable("a").unwrap();
        file.reserve(3).unwrap();
        file.reserve(2).unwrap();
        assert_eq!(device.crash_point(2).unwrap().pending(), 1);
        assert_eq!(all_states(&device), [files([("a", b"1")]), files([("a", b"1\0\0")])].into());
        file.write_at(&[b"2"], 1).unwrap();
        let a = |bytes| files([("a", bytes)]);
        let expected = [a(b"1"), a(b"12"), a(b"1\0\0"), a(b"12\0")];
        assert_eq!(all_states(&device), expected.into());
        file.sync().unwrap();
        assert_eq!(all_states(&device), [a(b"12\0")].into());
    }

    #[test]
    fn what_was_synced_survives_in_every_state_of_every_later_point() {
        let device = SimDevice::new();
        let file = device.create("a").unwrap();
        device.sync_directory().unwrap();
        file.write_at(&[&sectors(b"1")], 0).unwrap();
        file.sync().unwrap();
        let acknowledged = device.calls();
        file.write_at(&[&sectors(b"234")], 512).unwrap();
        device.create("b").unwrap().write_at(&[b"x"], 0).unwrap();
        device.rename("b", "c").unwrap();
        let mut calls = BTreeSet::new();
        let count = device.for_each_crash_state(&CrashPolicy::default(), |state| {
            calls.insert(state.calls);
            let files = state.device.files();
            if state.calls >= acknowledged {
                assert!(files["a"].starts_with(&sectors(b"1")), "{state}");
            }
        });
        assert_eq!(calls, (0..=device.calls()).collect());
        assert!(count > 1000, "{count}");
    }

    #[test]
    fn a_planted_fault_loses_what_was_acknowledged() {
        let lost = |plant: fn(&SimDevice)| {
            let device = SimDevice::new();
            plant(&device);
            let file = device.create("a").unwrap();
            file.write_at(&[b"1"], 0).unwrap();
            file.sync().unwrap();
            device.sync_directory().unwrap();
            assert_eq!(device.calls(), 4);
            all_states(&device).iter().any(|state| *state != files([("a", b"1")]))
        };
        assert!(!lost(|_| {}));
        assert!(lost(|device| device.drop_file_sync(true)));
        assert!(lost(|device| device.drop_directory_sync(true)));
    }

    #[test]
    fn a_state_can_be_run_on_and_crashed_again() {
        let device = SimDevice::with_files([("a", b"1".as_slice())]);
        device.open_writable("a").unwrap().write_at(&[b"2"], 1).unwrap();
        for state in device.crash_point(1).unwrap().states(&CrashPolicy::default()) {
            let before = state.device.files();
            assert_eq!(state.device.calls(), 0);
            state.device.create("recovered").unwrap();
            let nested = all_states(&state.device);
            let mut after = before.clone();
            after.insert("recovered".into(), vec![]);
            assert_eq!(nested, [before, after].into());
        }
        // The run that was cut goes on undisturbed.
        assert_eq!(device.files(), files([("a", b"12")]));
    }

    #[test]
    fn beyond_the_limit_states_are_sampled_and_replayed() {
        let device = SimDevice::with_files([("a", b"".as_slice())]);
        let file = device.open_writable("a").unwrap();
        file.write_at(&[&sectors(&[7; 100])], 0).unwrap();
        let policy =
            CrashPolicy { spread_max: 10, random: 20, tears_max: 30, ..Default::default() };
        let point = device.crash_point(1).unwrap();
        assert_eq!(point.pending(), 101);
        let all: Vec<_> = point.states(&policy).collect();
        assert_eq!(all.len(), 8 + 3 * 10 + 20 + 2 * 30);
        for state in &all {
            let again = point.nth_state(&policy, state.index).unwrap();
            assert_eq!(again.device.files(), state.device.files(), "{state}");
        }
        let other = CrashPolicy { seed: 2, ..policy.clone() };
        assert_ne!(states(&device, &policy), states(&device, &other));
        assert!(point.nth_state(&policy, all.len()).is_none());
        let all = states(&device, &policy);
        assert!(all.contains(&files([("a", b"")])));
        assert!(all.contains(&files([("a", &sectors(&[7; 100]))])));
        assert!(all.contains(&files([("a", &sectors(&[0; 100]))])));
    }

    #[test]
    fn removed_files_are_forgotten_once_that_is_durable() {
        let device = SimDevice::with_files([("a", b"1".as_slice())]);
        let file = device.open_writable("a").unwrap();
        file.write_at(&[b"2"], 0).unwrap();
        device.unlink("a").unwrap();
        assert_eq!(device.crash_point(2).unwrap().pending(), 2);
        device.sync_directory().unwrap();
        file.write_at(&[b"3"], 0).unwrap();
        let point = device.crash_point(4).unwrap();
        assert_eq!((point.pending(), point.durable.files.len()), (0, 0));
        assert_eq!(all_states(&device), [files([])].into());
    }

    #[test]
    fn spread_reaches_both_ends() {
        assert_eq!(spread(0, 3, 5).collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!(spread(1, 102, 3).collect::<Vec<_>>(), [1, 51, 101]);
        assert_eq!(spread(5, 5, 3).count(), 0);
        assert_eq!(spread(1, 0, 3).count(), 0);
        assert_eq!(spread(0, 10, 1).collect::<Vec<_>>(), [0]);
        assert_eq!(spread(0, 10, 0).count(), 0);
    }
}
