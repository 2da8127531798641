//! A track in a database against a plain set of ticks.

use std::collections::{BTreeMap, BTreeSet};

use presence_format::PlaneKind;
use proptest::prelude::*;

use crate::device::MemoryDevice;
use crate::shim::Arc;
use crate::{Database, Error, Expression, Grid, Level, Options, PresenceTrack, Retention, class};

const CLASSES: u16 = 3;

#[derive(Debug, Clone, Default, PartialEq)]
struct Naive {
    observed: BTreeSet<i64>,
    classes: BTreeMap<u16, BTreeSet<i64>>,
}

#[derive(Debug, Clone)]
enum Op {
    Update(i64, Vec<(u16, bool)>),
    SetRange(u16, i64, i64),
    UnsetRange(u16, i64, i64),
    Forget(i64),
    Flush,
    Seal,
    Compact,
    Reopen,
    Crash,
}

fn ticks() -> impl Strategy<Value = i64> {
    prop_oneof![
        4 => -300_i64..300,
        2 => (0_i64..6).prop_map(|n| n * 65_536 - 3),
        2 => (-2_i64..3).prop_map(|n| n * 4_194_304 - 1),
        1 => -(1_i64 << 40)..1 << 40,
    ]
}

fn op() -> impl Strategy<Value = Op> {
    let classes = 0..CLASSES;
    let seen = prop::collection::vec((classes.clone(), any::<bool>()), 0..4);
    prop_oneof![
        12 => (ticks(), seen).prop_map(|(tick, seen)| Op::Update(tick, seen)),
        3 => (classes.clone(), ticks(), 0_i64..200_000).prop_map(|(c, t, n)| Op::SetRange(c, t, n)),
        3 => (classes, ticks(), 0_i64..200_000).prop_map(|(c, t, n)| Op::UnsetRange(c, t, n)),
        1 => ticks().prop_map(Op::Forget),
        3 => Just(Op::Flush),
        2 => Just(Op::Seal),
        1 => Just(Op::Compact),
        2 => Just(Op::Reopen),
        2 => Just(Op::Crash),
    ]
}

impl Naive {
    fn apply(&mut self, op: &Op) {
        match op {
            Op::Update(tick, seen) => {
                self.observed.insert(*tick);
                for (class, _) in seen.iter().filter(|(_, kept)| *kept) {
                    self.classes.entry(*class).or_default().insert(*tick);
                }
            }
            Op::SetRange(class, from, len) => {
                self.classes.entry(*class).or_default().extend(*from..from + len);
                self.observed.extend(*from..from + len);
            }
            Op::UnsetRange(class, from, len) => {
                let range = *from..from + len;
                self.classes.entry(*class).or_default().retain(|tick| !range.contains(tick));
            }
            Op::Forget(before) => {
                self.observed.retain(|tick| tick >= before);
                self.classes.values_mut().for_each(|set| set.retain(|tick| tick >= before));
            }
            _ => {}
        }
    }
}

/// A microsecond is a tick here.
fn grid() -> Grid {
    Grid::new("1000000".parse().unwrap(), 0)
}

fn apply(track: &PresenceTrack, op: &Op) -> Result<(), Error> {
    match op {
        Op::Update(tick, seen) => {
            let seen: Vec<(u16, f32)> =
                seen.iter().map(|&(class, kept)| (class, if kept { 0.5 } else { 0.49 })).collect();
            track.update_batch(*tick, &seen, 0.5)
        }
        Op::SetRange(class, from, len) => track.set_range(*class, *from..from + len),
        Op::UnsetRange(class, from, len) => track.unset_range(*class, *from..from + len),
        Op::Forget(before) => track.forget_before(*before),
        _ => Ok(()),
    }
}

fn check(track: &PresenceTrack, naive: &Naive, asked: &[i64]) {
    for id in 0..CLASSES {
        let expression: Expression = class(id);
        let empty = BTreeSet::new();
        let set = naive.classes.get(&id).unwrap_or(&empty);
        let mut all = Vec::new();
        track.timestamps(&expression, ..).unwrap().read_all(&mut all).unwrap();
        assert!(all.iter().eq(set.iter()), "class {id}: {} of {}", all.len(), set.len());
        let ratio = track.ratio(&expression, ..).unwrap();
        assert_eq!(
            (ratio.present, ratio.observed),
            (set.len() as u64, naive.observed.len() as u64)
        );
        for pair in asked.windows(2) {
            let (from, to) = (pair[0].min(pair[1]), pair[0].max(pair[1]));
            let ratio = track.ratio(&expression, from..to).unwrap();
            assert_eq!(ratio.present, set.range(from..to).count() as u64, "{id} in {from}..{to}");
            assert_eq!(ratio.observed, naive.observed.range(from..to).count() as u64);
            assert_eq!(
                track.first(&expression, from..to).unwrap(),
                set.range(from..to).next().copied()
            );
            let last = set.range(from..to).next_back().copied();
            assert_eq!(track.last(&expression, from..to).unwrap(), last, "{id} in {from}..{to}");
        }
    }
}

fn options() -> Options {
    Options {
        background: false,
        segment_bytes: 1 << 16,
        write_buffer_bytes: 1 << 16,
        cache_bytes: 1 << 16,
        ..Options::default()
    }
}

/// Ticks all over a century, set between two flushes: more words than a frame holds.
#[test]
fn more_words_than_a_frame_holds_become_blocks() {
    let ticks: i64 = if cfg!(miri) { 50 } else { 150_000 };
    let disk = MemoryDevice::new();
    let options = Options { background: false, ..Options::default() };
    let db = Database::create_on(Arc::new(disk.clone()), options.clone()).unwrap();
    let track = db.create_track("cam", grid()).unwrap();
    let tick = |number: i64| number * 4001;
    for number in 0..ticks {
        track.update_batch(tick(number), &[(number as u16 % 2, 0.9)], 0.5).unwrap();
    }
    db.flush(Level::Os).unwrap();
    let copy = Arc::new(disk.fork());
    let opened = Database::open_read_only_on(copy, options.clone()).unwrap();
    assert!(opened.report().damage.is_empty(), "{:?}", opened.report());
    let crashed = Database::open_on(Arc::new(disk.fork()), options).unwrap();
    for db in [&db, &opened, &crashed] {
        let track = db.track("cam").unwrap();
        let both = class(0) | class(1);
        let times = track.timestamps(&both, ..).unwrap().map(Result::unwrap);
        assert!(times.eq((0..ticks).map(tick)));
        assert_eq!(track.count(&class(1), ..).unwrap(), ticks as u64 / 2);
    }
}

/// A reader that looks again keeps what it read before, and does not read it twice.
#[test]
fn a_reader_reads_only_what_is_new() {
    let disk = MemoryDevice::new();
    let db = Database::create_on(Arc::new(disk.clone()), options()).unwrap();
    let track = db.create_track("cam", grid()).unwrap();
    let (early, late) = (0, 9 * 65_536);
    track.set(0, early).unwrap();
    db.flush(Level::Os).unwrap();
    let reader = Database::open_read_only_on(Arc::new(disk), options()).unwrap();
    let plane = || {
        let kind = PlaneKind::Class { id: 0, name: String::new() };
        reader.core().tracks.load().get("cam").and_then(|track| track.plane(&kind)).unwrap()
    };
    let before = plane();
    for tick in [late, late + 1] {
        track.set(0, tick).unwrap();
        db.flush(Level::Os).unwrap();
        reader.refresh().unwrap();
    }
    assert!(plane().shares_container(&before, 0), "read again");
    let times = reader.track("cam").unwrap().timestamps(&class(0), ..).unwrap();
    assert!(times.map(Result::unwrap).eq([early, late, late + 1]));
    let between = plane();
    db.core().log().unwrap().seal(db.core()).unwrap();
    reader.refresh().unwrap();
    assert!(!plane().shares_container(&between, 0), "its region is a block now");
    assert_eq!(reader.track("cam").unwrap().count(&class(0), ..).unwrap(), 3);
}

/// Whether a reader that stayed open finds what was flushed, once it looks again.
fn finds(reader: &Database, flushed: &Naive) -> bool {
    reader.refresh().unwrap();
    let Ok(track) = reader.track("cam") else { return *flushed == Naive::default() };
    let observed = track.ratio(&class(0), ..).unwrap().observed;
    observed == flushed.observed.len() as u64
        && (0..CLASSES).all(|id| {
            let times = track.timestamps(&class(id), ..).unwrap();
            let set = flushed.classes.get(&id).cloned().unwrap_or_default();
            times.map(Result::unwrap).eq(set)
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 1 } else { 48 }))]

    #[test]
    fn is_a_set_of_ticks_through_flush_crash_and_compaction(
        ops in prop::collection::vec(op(), 1..if cfg!(miri) { 6 } else { 60 }),
        asked in prop::collection::vec(ticks(), 6),
    ) {
        let mut disk = MemoryDevice::new();
        let mut db = Database::create_on(Arc::new(disk.clone()), options()).unwrap();
        let mut track = db.create_track("cam", grid()).unwrap();
        let memory = PresenceTrack::in_memory(grid());
        let (mut naive, mut flushed) = (Naive::default(), Naive::default());
        let mut aside = memory.clone();
        let reader = |disk: &MemoryDevice| {
            Database::open_read_only_on(Arc::new(disk.clone()), options()).unwrap()
        };
        let mut beside = reader(&disk);
        for op in &ops {
            naive.apply(op);
            apply(&track, op).unwrap();
            apply(&aside, op).unwrap();
            match op {
                Op::Flush => {
                    db.flush(Level::Os).unwrap();
                    flushed = naive.clone();
                }
                Op::Seal => {
                    let core = db.core();
                    db.flush(Level::Os).unwrap();
                    core.log().unwrap().seal(core).unwrap();
                    flushed = naive.clone();
                }
                Op::Compact => {
                    db.flush(Level::Os).unwrap();
                    db.compact(|_, _| true).unwrap();
                    flushed = naive.clone();
                }
                Op::Reopen => {
                    drop(track);
                    db.close().unwrap();
                    db = Database::open_on(Arc::new(disk.clone()), options()).unwrap();
                    track = db.track("cam").unwrap();
                    flushed = naive.clone();
                }
                Op::Crash => {
                    // What the kernel had stays; the process's memory does not.
                    let crashed = disk.fork();
                    let copy = Arc::new(crashed.fork());
                    let opened = Database::open_read_only_on(copy, options()).unwrap();
                    prop_assert!(opened.report().damage.is_empty(), "{:?}", opened.report());
                    let read = opened.track("cam").unwrap();
                    let opened = Database::open_on(Arc::new(crashed.clone()), options()).unwrap();
                    let again = opened.track("cam").unwrap();
                    // Blocks are written when memory runs short: more than was flushed may be in.
                    let grown = |track: &PresenceTrack| {
                        let observed = track.ratio(&class(0), ..).unwrap().observed;
                        observed == flushed.observed.len() as u64 && (0..CLASSES).all(|id| {
                            let mut all = Vec::new();
                            let mut times = track.timestamps(&class(id), ..).unwrap();
                            times.read_all(&mut all).unwrap();
                            let set = flushed.classes.get(&id).cloned().unwrap_or_default();
                            all.iter().eq(set.iter())
                        })
                    };
                    if grown(&again) {
                        check(&read, &flushed, &asked);
                        check(&again, &flushed, &asked);
                        naive = flushed.clone();
                        drop(track);
                        drop(db);
                        db = opened;
                        track = again;
                        disk = crashed;
                        beside = reader(&disk);
                        aside = PresenceTrack::in_memory(grid());
                        aside.merge(&track).unwrap();
                    }
                }
                _ => {}
            }
            if matches!(op, Op::Flush | Op::Seal | Op::Compact | Op::Reopen) {
                prop_assert!(finds(&beside, &flushed), "the reader misses something after {op:?}");
            }
        }
        check(&track, &naive, &asked);
        check(&aside, &naive, &asked);
        db.retain(Retention::before_us(i64::MIN)).unwrap();
        check(&track, &naive, &asked);
    }
}
