//! Presence tracks: a year at 30 ticks a second, half set in runs of 300, and 0.1 % set; against a
//! rank index over plain words, and against Roaring.
//!
//! # Invariants
//! - All sides hold the same ticks, and their counts must be equal.

use std::path::Path;

use presence::{Database, Expression, Grid, Level, Options, PresenceTrack, class};
use roaring::RoaringBitmap;

use crate::Result;
use crate::data::Random;
use crate::measure::{cpu_each, paired, wall_each};
use crate::report::{Report, Target};
use crate::setup::Setup;

/// Ticks of a year at 30 a second.
const YEAR: usize = 365 * DAY;
const DAY: usize = 86_400 * 30;
/// Half set, in runs of 300.
const RUNS: u16 = 0;
/// 0.1 % set, each for itself.
const SPARSE: u16 = 1;

/// Words, and the set ticks before each eight of them.
struct Ranked {
    words: Vec<u64>,
    before: Vec<u64>,
}

impl Ranked {
    fn new(ticks: usize, ranges: &[(u32, u32)]) -> Self {
        let mut words = vec![0_u64; ticks.div_ceil(64) + 8];
        for &(from, to) in ranges {
            for tick in from..to {
                if let Some(word) = words.get_mut(tick as usize / 64) {
                    *word |= 1 << (tick % 64);
                }
            }
        }
        let mut sum = 0;
        let before = words.chunks(8).map(|group| {
            let before = sum;
            sum += group.iter().map(|word| u64::from(word.count_ones())).sum::<u64>();
            before
        });
        let before = before.collect();
        Self { words, before }
    }

    #[inline]
    fn rank(&self, tick: usize) -> u64 {
        let word = tick / 64;
        let group = word / 8;
        let whole = self.words.get(group * 8..word).unwrap_or_default();
        let whole: u32 = whole.iter().map(|word| word.count_ones()).sum();
        let part = self.words.get(word).copied().unwrap_or(0) & ((1 << (tick % 64)) - 1);
        self.before.get(group).copied().unwrap_or(0) + u64::from(whole + part.count_ones())
    }
}

fn ranges(class: u16, ticks: usize) -> Vec<(u32, u32)> {
    let mut random = Random::new(u64::from(class) + 1);
    let mut ranges = Vec::new();
    let mut at = 0;
    while at < ticks as u64 {
        let (gap, len) = if class == RUNS {
            (200 + random.below(200), 200 + random.below(200))
        } else {
            (1 + random.below(1999), 1)
        };
        let from = at + gap;
        at = from + len;
        if at < ticks as u64 {
            ranges.push((from as u32, at as u32));
        }
    }
    ranges
}

fn grid() -> Result<Grid> {
    Ok(Grid::new("30".parse()?, 0))
}

fn us_of(tick: usize) -> i64 {
    (tick as i64 * 100_000_000 + 2999) / 3000
}

/// The two classes in a database, compacted.
fn stored(path: &Path, ticks: usize) -> Result<(Database, PresenceTrack)> {
    let db = Database::create(path.join("db"), Options::default())?;
    let track = db.create_track("camera", grid()?)?;
    track.observe_range(0..us_of(ticks))?;
    for class in [RUNS, SPARSE] {
        for (from, to) in ranges(class, ticks) {
            track.set_range(class, us_of(from as usize)..us_of(to as usize))?;
        }
    }
    db.flush(Level::Disk)?;
    db.compact(|_, _| true)?;
    Ok((db, track))
}

fn directory_bytes(path: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(path)? {
        bytes += entry?.metadata()?.len();
    }
    Ok(bytes)
}

/// Runs the workload.
///
/// # Errors
/// Those of engine and disk.
pub fn run(setup: &Setup, report: &mut Report) -> Result<()> {
    let ticks = setup.of(YEAR, 3 * DAY);
    let directory = setup.empty()?;
    let (db, track) = stored(directory.path(), ticks)?;
    for (class, what) in [(RUNS, "half set, runs of 300"), (SPARSE, "0.1 % set")] {
        counts(setup, report, &track, (class, what), ticks)?;
    }
    db.close()?;
    size(setup, report, ticks)?;
    setting(setup, report)?;
    gap(setup, report)
}

/// `count` over a random day, 30 days and everything.
fn counts(
    setup: &Setup,
    report: &mut Report,
    track: &PresenceTrack,
    (id, what): (u16, &str),
    ticks: usize,
) -> Result<()> {
    let ranges = ranges(id, ticks);
    let ranked = Ranked::new(ticks, &ranges);
    let roaring: RoaringBitmap = ranges.iter().flat_map(|&(from, to)| from..to).collect();
    let mut roaring = roaring;
    roaring.optimize();
    let expression: Expression = class(id);
    for (name, len) in [("day", DAY), ("30 days", 30 * DAY), ("all", ticks)] {
        let len = len.min(ticks);
        let asked = setup.of(20_000, 50);
        let mut random = Random::new(7);
        let starts: Vec<usize> =
            (0..asked).map(|_| random.below((ticks - len + 1) as u64) as usize).collect();
        let mut sums = [0_u64; 3];
        let [ours, plain, other] = &mut sums;
        let count = |sum: &mut u64| {
            cpu_each(asked, || {
                *sum = 0;
                for &start in &starts {
                    *sum += track.count(&expression, us_of(start)..us_of(start + len))?;
                }
                Ok(())
            })
        };
        let pair = paired(
            setup.turns(7),
            |_| count(ours),
            |_| {
                cpu_each(asked, || {
                    *plain = 0;
                    for &start in &starts {
                        *plain += ranked.rank(start + len) - ranked.rank(start);
                    }
                    Ok(())
                })
            },
        )?;
        let label = format!("count, {what}, {name}, by plain words");
        report.ratio("tracks", label, "ns", pair, Target::AtMost(1.0));
        report.value(
            "tracks",
            format!("count, {what}, {name}"),
            "ns",
            pair.ours,
            Target::AtMost(1e3),
        );
        let few = setup.of(500, 5);
        let pair = paired(
            setup.turns(5),
            |_| count(ours),
            |_| {
                cpu_each(few, || {
                    *other = 0;
                    for &start in starts.iter().take(few) {
                        *other += roaring.range_cardinality(start as u32..(start + len) as u32);
                    }
                    Ok(())
                })
            },
        )?;
        let label = format!("count, {what}, {name}, by Roaring");
        report.ratio("tracks", label, "ns", pair, Target::AtMost(0.05));
        if sums[0] != sums[1] {
            return Err(format!("{what}, {name}: {} of {}", sums[0], sums[1]).into());
        }
    }
    listing(setup, report, track, &expression, what)
}

/// All timestamps of a class into a buffer.
fn listing(
    setup: &Setup,
    report: &mut Report,
    track: &PresenceTrack,
    expression: &Expression,
    what: &str,
) -> Result<()> {
    let mut buffer = vec![0_i64; 1 << 16];
    let mut best = 0.0_f64;
    for _ in 0..setup.turns(3) {
        let mut all = 0;
        let ns = wall_each(1, || {
            let mut times = track.timestamps(expression, ..)?;
            loop {
                let read = times.read(&mut buffer)?;
                all += read;
                if read == 0 {
                    return Ok(());
                }
            }
        })?;
        best = best.max(all as f64 * 1e3 / ns);
    }
    let least = if what.starts_with("half") { 1000.0 } else { 700.0 };
    report.value("tracks", format!("listing, {what}"), "M/s", best, Target::AtLeast(least));
    Ok(())
}

/// Bytes on disk of one class alone, beside Roaring's.
fn size(setup: &Setup, report: &mut Report, ticks: usize) -> Result<()> {
    for (id, what) in [(RUNS, "half set, runs of 300"), (SPARSE, "0.1 % set")] {
        let directory = setup.empty()?;
        let db = Database::create(directory.path().join("db"), Options::default())?;
        let track = db.create_track("camera", grid()?)?;
        let ranges = ranges(id, ticks);
        for &(from, to) in &ranges {
            track.set_range(id, us_of(from as usize)..us_of(to as usize))?;
        }
        db.flush(Level::Disk)?;
        db.compact(|_, _| true)?;
        db.close()?;
        let ours = directory_bytes(&directory.path().join("db"))? as f64;
        let mut roaring: RoaringBitmap = ranges.iter().flat_map(|&(from, to)| from..to).collect();
        roaring.optimize();
        let theirs = roaring.serialized_size() as f64;
        // The observed ticks of these are the class's own: two planes of the same size.
        let label = format!("bytes, {what}: class and observed, by two Roaring");
        let pair =
            crate::measure::Pair { ours, reference: 2.0 * theirs, ratio: ours / (2.0 * theirs) };
        report.ratio("tracks", label, "B", pair, Target::AtMost(1.1));
        report.value(
            "tracks",
            format!("bytes a tick, {what}"),
            "B",
            ours / 2.0 / ticks as f64,
            Target::AtMost(0.125),
        );
    }
    Ok(())
}

/// Setting ticks one by one, in order and not, and runs.
fn setting(setup: &Setup, report: &mut Report) -> Result<()> {
    let ticks = setup.of(20_000_000, 20_000);
    let directory = setup.empty()?;
    let db = Database::create(directory.path().join("db"), Options::default())?;
    let track = db.create_track("camera", grid()?)?;
    for id in 0..8 {
        track.name_class(id, &format!("class {id}"))?;
    }
    for threads in [1, 2] {
        let each = ticks / threads;
        let ns = wall_each(ticks, || {
            std::thread::scope(|scope| {
                let work: Vec<_> = (0..threads)
                    .map(|thread| {
                        let track = &track;
                        let id = (2 * threads + thread) as u16;
                        scope.spawn(move || -> Result<()> {
                            (0..each).try_for_each(|tick| Ok(track.set(id, us_of(tick))?))
                        })
                    })
                    .collect();
                for thread in work {
                    thread.join().map_err(|_| "a thread ended early")??;
                }
                Ok(())
            })
        })?;
        let label = format!("set in order, {threads} threads");
        report.value("tracks", label, "ns a tick", ns, Target::AtMost(8.0));
    }
    let mut order: Vec<u32> = (0..setup.of(4_000_000, 20_000) as u32).collect();
    let mut random = Random::new(3);
    for at in (1..order.len()).rev() {
        order.swap(at, random.below(at as u64 + 1) as usize);
    }
    let ns = wall_each(order.len(), || {
        order.iter().try_for_each(|&tick| Ok(track.set(6, us_of(tick as usize))?))
    })?;
    report.value("tracks", "set out of order", "ns a tick", ns, Target::AtMost(100.0));
    let runs = setup.of(200_000, 100);
    let ns = wall_each(runs * 300, || {
        (0..runs)
            .try_for_each(|run| Ok(track.set_range(7, us_of(run * 600)..us_of(run * 600 + 300))?))
    })?;
    report.value("tracks", "set in runs of 300", "ns a tick", ns, Target::AtMost(0.1));
    db.close()?;
    Ok(())
}

/// Two detections a year apart.
fn gap(setup: &Setup, report: &mut Report) -> Result<()> {
    let bytes = |second: usize| -> Result<u64> {
        let directory = setup.empty()?;
        let db = Database::create(directory.path().join("db"), Options::default())?;
        let track = db.create_track("camera", grid()?)?;
        track.set(0, 0)?;
        track.set(0, us_of(second))?;
        db.close()?;
        directory_bytes(&directory.path().join("db"))
    };
    let more = bytes(YEAR)?.saturating_sub(bytes(1)?);
    report.value("tracks", "disk for a gap of a year", "B", more as f64, Target::AtMost(1024.0));
    let memory = |second: usize| -> Result<usize> {
        let track = PresenceTrack::in_memory(grid()?);
        track.set(0, 0)?;
        track.set(0, us_of(second))?;
        track.any(&class(0), ..)?;
        Ok(track.memory_bytes())
    };
    let more = memory(YEAR)?.saturating_sub(memory(1)?);
    report.value("tracks", "memory for a gap of a year", "B", more as f64, Target::AtMost(1024.0));
    Ok(())
}
