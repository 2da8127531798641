//! Crash enumeration of presence tracks: every state that a power cut may leave of a script of
//! updates is opened and compared with what was set.
//!
//! What must hold in each: it opens without help and without damage, every tick of a class is
//! observed, and each tick is what it was at one flush or at the next: what was promised is there,
//! and nothing is invented. The judge finds nothing, and a crash of the recovery changes nothing.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use presence::device::{CrashPolicy, CrashState, FaultDevice, SimDevice};
use presence::{
    Database, Error, Expression, Grid, IntervalOptions, Level, Options, PresenceTrack, Retention,
    class,
};

use crate::crash::{Totals, each_state, mixed};
use crate::crash_state::judge;
use crate::script::bare;
use crate::support::{Random, figure, seeds, shell_line, small};

const CLASSES: u16 = 3;
/// Ticks of a region.
const REGION: i64 = 4_194_304;

/// Runs of ticks that neither meet nor overlap: the first tick of each, and the one behind it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Ticks(BTreeMap<i64, i64>);

impl Ticks {
    fn clear(&mut self, from: i64, to: i64) {
        let touched: Vec<(i64, i64)> = self.0.range(..to).map(|(&a, &b)| (a, b)).collect();
        for (a, b) in touched.into_iter().rev().take_while(|(_, b)| *b > from) {
            self.0.remove(&a);
            if a < from {
                self.0.insert(a, from);
            }
            if b > to {
                self.0.insert(to, b);
            }
        }
    }

    fn set(&mut self, from: i64, to: i64) {
        if from >= to {
            return;
        }
        let meeting = |(a, b): &(i64, i64)| *b >= from && *a <= to;
        let met: Vec<(i64, i64)> = self.0.iter().map(|(&a, &b)| (a, b)).filter(meeting).collect();
        let (from, to) =
            met.iter().fold((from, to), |(from, to), (a, b)| (from.min(*a), to.max(*b)));
        self.0.retain(|a, b| !meeting(&(*a, *b)));
        self.0.insert(from, to);
    }

    fn without(&self, other: &Self) -> Self {
        let mut left = self.clone();
        other.0.iter().for_each(|(&from, &to)| left.clear(from, to));
        left
    }

    fn within(&self, from: i64, to: i64) -> Self {
        let mut left = self.clone();
        left.clear(i64::MIN, from);
        left.clear(to, i64::MAX);
        left
    }
}

/// What a track holds: the ticks of each class, and those that were observed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Held {
    classes: [Ticks; CLASSES as usize],
    observed: Ticks,
}

impl Held {
    fn planes(&self) -> impl Iterator<Item = &Ticks> {
        self.classes.iter().chain([&self.observed])
    }

    fn planes_mut(&mut self) -> impl Iterator<Item = &mut Ticks> {
        self.classes.iter_mut().chain([&mut self.observed])
    }

    /// Whether each tick is as in `self` or as in `next`.
    fn is_between(&self, next: &Self, found: &Self) -> bool {
        self.planes().zip(next.planes()).zip(found.planes()).all(|((a, b), found)| {
            let none = Ticks::default();
            let in_neither = found.without(a).without(b) == none;
            let missing = a.without(found);
            in_neither && missing.without(&a.without(b)) == none
        })
    }

    /// The same without the ticks of all planes that no tick of a region is left of in `kept`.
    /// `None` where part of a region is left.
    fn given_up(&self, kept: &Self) -> Option<Self> {
        let mut left = self.clone();
        let all = self.observed.0.iter().map(|(&a, &b)| (a, b));
        for region in all.flat_map(|(a, b)| a.div_euclid(REGION)..=(b - 1).div_euclid(REGION)) {
            let (from, to) = (region * REGION, (region + 1) * REGION);
            if kept.planes().all(|ticks| ticks.within(from, to) == Ticks::default()) {
                left.planes_mut().for_each(|ticks| ticks.clear(from, to));
            }
        }
        (left == *kept).then_some(left)
    }
}

/// One thing that is done to a track. Ranges end before their second number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// A batch at a tick: these classes, and another below the threshold.
    Update(i64, &'static [u16]),
    Set(u16, i64),
    SetRange(u16, i64, i64),
    Observe(i64, i64),
    Unset(u16, i64, i64),
    Forget(i64),
    /// Merges a track in memory with this range of a class.
    Merge(u16, i64, i64),
    Flush(Level),
    /// Closes the database and opens it again: its segment is sealed.
    Close,
    /// Drops the database and opens it again: a recovery seals its segment.
    Drop,
    Compact,
    /// Keeps at most so many bytes.
    Retain(u64),
}

/// What the log holds from some call on.
#[derive(Debug, Clone)]
struct Logged {
    calls: usize,
    held: Held,
    /// Whether it was promised to survive a power cut.
    durable: bool,
}

/// What a script did.
struct Trace {
    sim: SimDevice,
    /// Ascending; the first one is an empty track.
    logged: Vec<Logged>,
    /// Calls until the track and its classes were there.
    made: usize,
}

impl Trace {
    /// The states between which a crash after `calls` calls falls: from the last that was promised
    /// to the last that was begun. One step may log several, one after the other.
    fn span(&self, calls: usize, everything: bool) -> &[Logged] {
        let promised = |logged: &&Logged| logged.calls <= calls && (logged.durable || everything);
        let from = self.logged.iter().rposition(|logged| promised(&logged)).unwrap_or(0);
        let next = self.logged.iter().find(|logged| logged.calls > calls);
        let end = next.map_or(usize::MAX, |next| next.calls);
        &self.logged[from..self.logged.partition_point(|logged| logged.calls <= end)]
    }
}

/// A microsecond is a tick.
fn grid() -> Grid {
    Grid::new("1000000".parse().unwrap(), 0)
}

fn options() -> Options {
    let mut options = small();
    // A region is a block: a few of them make a segment.
    options.segment_bytes = 8192;
    options
}

/// Reads a track whole.
fn read(track: &PresenceTrack) -> Result<Held, Error> {
    let ticks = |expression: &Expression| -> Result<Ticks, Error> {
        let intervals = track.intervals(expression, .., IntervalOptions::new())?;
        let ticks: BTreeMap<i64, i64> =
            intervals.iter().map(|seen| (seen.enter_us, seen.leave_us)).collect();
        let count: i64 = ticks.iter().map(|(from, to)| to - from).sum();
        let counted = track.count(expression, ..)?;
        assert_eq!(counted, count as u64, "counted, and listed, of {expression:?}");
        Ok(Ticks(ticks))
    };
    let mut held = Held::default();
    for id in track.classes().iter().map(|class| class.id) {
        held.classes[usize::from(id)] = ticks(&class(id))?;
    }
    held.observed = ticks(&(class(0) | !class(0)))?;
    Ok(held)
}

fn open(sim: &SimDevice) -> Result<(Database, PresenceTrack), Error> {
    let db = Database::open_on(bare(sim), options())?;
    let track = db.track("cam")?;
    Ok((db, track))
}

struct Player {
    trace: Trace,
    db: Option<Database>,
    track: PresenceTrack,
    held: Held,
}

impl Player {
    fn new() -> Result<Self, Error> {
        let sim = SimDevice::new();
        let db = Database::create_on(bare(&sim), options())?;
        let track = db.create_track("cam", grid())?;
        (0..CLASSES).try_for_each(|id| track.name_class(id, &format!("class {id}")))?;
        db.flush(Level::Disk)?;
        let logged = vec![Logged { calls: sim.calls(), held: Held::default(), durable: true }];
        let trace = Trace { made: sim.calls(), sim, logged };
        Ok(Self { trace, db: Some(db), track, held: Held::default() })
    }

    fn note(&mut self, durable: bool) {
        let (calls, held) = (self.trace.sim.calls(), self.held.clone());
        self.trace.logged.push(Logged { calls, held, durable });
    }

    fn open(&mut self) -> Result<(), Error> {
        let (db, track) = open(&self.trace.sim)?;
        assert!(db.report().is_clean(), "not clean without a crash: {:?}", db.report());
        (self.db, self.track) = (Some(db), track);
        let opened = read(&self.track)?;
        assert!(opened == self.held, "opened again: {opened:?}, not {:?}", self.held);
        self.note(true);
        Ok(())
    }

    fn change(&mut self, step: Step) -> Result<(), Error> {
        let (track, held) = (&self.track, &mut self.held);
        match step {
            Step::Update(tick, classes) => {
                let seen = classes.iter().map(|&class| (class, 0.5));
                let seen: Vec<(u16, f32)> = seen.chain([(0, 0.4)]).collect();
                track.update_batch(tick, &seen, 0.5)?;
                held.observed.set(tick, tick + 1);
                for &class in classes {
                    held.classes[usize::from(class)].set(tick, tick + 1);
                }
            }
            Step::Set(class, tick) => {
                track.set(class, tick)?;
                held.observed.set(tick, tick + 1);
                held.classes[usize::from(class)].set(tick, tick + 1);
            }
            Step::SetRange(class, from, to) => {
                track.set_range(class, from..to)?;
                held.observed.set(from, to);
                held.classes[usize::from(class)].set(from, to);
            }
            Step::Observe(from, to) => {
                track.observe_range(from..to)?;
                held.observed.set(from, to);
            }
            Step::Unset(class, from, to) => {
                track.unset_range(class, from..to)?;
                held.classes[usize::from(class)].clear(from, to);
            }
            Step::Merge(class, from, to) => {
                let other = PresenceTrack::in_memory(grid());
                other.name_class(class, &format!("class {class}"))?;
                other.set_range(class, from..to)?;
                other.observe_range(from - 10..to)?;
                track.merge(&other)?;
                held.observed.set(from - 10, to);
                held.classes[usize::from(class)].set(from, to);
            }
            other => panic!("{other:?} changes nothing"),
        }
        Ok(())
    }

    fn step(&mut self, step: Step) -> Result<(), Error> {
        match step {
            Step::Forget(before) => {
                self.track.forget_before(before)?;
                // The segment may have been sealed to make room.
                self.note(false);
                // The log tells of the classes first: forgotten ticks are absent in between.
                self.held.classes.iter_mut().for_each(|ticks| ticks.clear(i64::MIN, before));
                self.note(false);
                self.held.observed.clear(i64::MIN, before);
            }
            Step::Flush(level) => {
                self.db.as_ref().unwrap().flush(level)?;
                self.note(level == Level::Disk);
            }
            Step::Close => {
                self.track = PresenceTrack::in_memory(grid());
                self.db.take().unwrap().close()?;
                self.open()?;
            }
            Step::Drop => {
                self.track = PresenceTrack::in_memory(grid());
                self.db = None;
                self.open()?;
            }
            Step::Compact => {
                self.db.as_ref().unwrap().compact(|_, _| true)?;
                self.note(true);
            }
            Step::Retain(bytes) => {
                let db = self.db.as_ref().unwrap();
                // What is flushed before stays out of the way of what retention itself does.
                db.flush(Level::Disk)?;
                self.note(true);
                self.db.as_ref().unwrap().retain(Retention::bytes_max(bytes))?;
                let kept = read(&self.track)?;
                let given_up = self.held.given_up(&kept);
                self.held = given_up.unwrap_or_else(|| panic!("{kept:?} of {:?}", self.held));
                self.note(true);
            }
            other => self.change(other)?,
        }
        let shown = read(&self.track)?;
        assert!(shown == self.held, "after {step:?}: {shown:?}, not {:?}", self.held);
        Ok(())
    }
}

fn play(steps: &[Step]) -> Trace {
    let mut player = Player::new().unwrap();
    for step in steps {
        player.step(*step).unwrap_or_else(|error| panic!("{step:?}: {error}\nsteps {steps:?}"));
    }
    // The last handle hands what is in memory to the kernel.
    player.track = PresenceTrack::in_memory(grid());
    player.db = None;
    player.note(false);
    player.trace
}

/// Opens one state, and tells what it holds; nothing where the track was not yet made for good.
fn check(state: &CrashState, trace: &Trace, everything: bool) -> Result<Option<Held>, String> {
    if state.index.is_multiple_of(8) {
        judge(&state.device)?;
    }
    let told = |error: Error| error.to_string();
    let read_only = if state.index.is_multiple_of(8) {
        let db = Database::open_read_only_on(bare(&state.device), options());
        let track = db.and_then(|db| db.track("cam"));
        match track.and_then(|track| read(&track)) {
            Ok(held) => Some(held),
            Err(_) if state.calls < trace.made => None,
            Err(error) => return Err(format!("read-only: {error}")),
        }
    } else {
        None
    };
    let opened = match open(&state.device) {
        Err(Error::NotADatabase { .. } | Error::NoSuchTrack { .. }) if state.calls < trace.made => {
            return Ok(None);
        }
        opened => opened.map_err(told)?,
    };
    let (db, track) = opened;
    let report = db.report();
    if !report.damage.is_empty() || !report.lost.is_empty() || !report.ignored.is_empty() {
        return Err(format!("a crash was taken for rot: {report:?}"));
    }
    let found = read(&track).map_err(told)?;
    if read_only.is_some_and(|read_only| read_only != found) {
        return Err(format!("read-only it is another than after recovery: {found:?}"));
    }
    for (id, ticks) in found.classes.iter().enumerate() {
        let unobserved = ticks.without(&found.observed);
        if unobserved != Ticks::default() {
            return Err(format!("class {id} is set and not observed: {unobserved:?}"));
        }
    }
    let span = trace.span(state.calls, everything);
    let is_one = |pair: &[Logged]| pair[0].held.is_between(&pair[1].held, &found);
    if !(span.windows(2).any(is_one) || span[0].held == found) {
        let held: Vec<&Held> = span.iter().map(|logged| &logged.held).collect();
        return Err(format!("found {found:?}, and the log held one after the other {held:#?}"));
    }
    if state.index.is_multiple_of(16) {
        judge(&state.device)?;
    }
    Ok(Some(found))
}

/// Recovers a state, and crashes that: it is found as it was, each time.
fn check_nested(state: &CrashState, found: &Held, totals: &mut Totals) -> Result<(), String> {
    let (db, track) = open(&state.device).map_err(|error| error.to_string())?;
    track.set_range(0, 70..90).and_then(|()| db.close()).map_err(|error| error.to_string())?;
    let mut more = found.clone();
    more.classes[0].set(70, 90);
    more.observed.set(70, 90);
    for point in state.device.crash_points() {
        totals.nested_points += 1;
        for inner in point.states(&CrashPolicy::quick(mixed(state))) {
            totals.nested_states += 1;
            let tell = |what: String| format!("then {inner}: {what}");
            let (db, track) = open(&inner.device).map_err(|error| tell(error.to_string()))?;
            let again = read(&track).map_err(|error| tell(error.to_string()))?;
            if !db.report().damage.is_empty() || !found.is_between(&more, &again) {
                return Err(tell(format!("found {again:?}; {found:?} the first time")));
            }
        }
    }
    Ok(())
}

fn run(name: &str, again: &str, steps: &[Step], policy: &CrashPolicy) -> Totals {
    let trace = play(steps);
    let totals = each_state(&trace.sim, policy, &|point, state, everything, totals| {
        let found = check(state, &trace, everything)?;
        match found.filter(|_| mixed(state).is_multiple_of(700)) {
            Some(found) => check_nested(&point.state(state.survivors), &found, totals),
            None => Ok(()),
        }
    });
    totals.unwrap_or_else(|what| {
        panic!("{name}: {what}\npolicy {policy:?}\nsteps {steps:?}\nreplay: {again}")
    })
}

fn tell(totals: Totals) {
    println!("crash enumeration of tracks: {totals:?}");
    figure("crash points of tracks", totals.points);
    figure("crash states of tracks", totals.states);
    figure("nested crash points of tracks", totals.nested_points);
    figure("nested crash states of tracks", totals.nested_states);
}

/// The scripts whose every crash state is looked at.
#[expect(clippy::too_many_lines, reason = "a table of scripts, read from top to bottom")]
fn scripts() -> Vec<(&'static str, Vec<Step>)> {
    use Step::{
        Close, Compact, Drop, Flush, Forget, Merge, Observe, Retain, Set, SetRange, Unset, Update,
    };
    let (os, disk) = (Flush(Level::Os), Flush(Level::Disk));
    vec![
        (
            "updates",
            vec![
                Update(5, &[0]),
                Update(6, &[0, 1]),
                os,
                Update(7, &[]),
                disk,
                Update(6, &[2]),
                Update(64, &[0]),
                os,
                Update(-1, &[1]),
                Update(REGION, &[0, 2]),
                disk,
            ],
        ),
        (
            "old ticks",
            vec![
                Observe(0, 1000),
                disk,
                Set(0, 500),
                os,
                Set(1, 10),
                Set(0, 9),
                disk,
                Unset(0, 0, 505),
                os,
                Set(0, 9),
                disk,
            ],
        ),
        (
            "ranges",
            vec![
                SetRange(0, 100, 30_000),
                os,
                SetRange(1, 29_000, 200_000),
                disk,
                Unset(0, 150, 20_000),
                os,
                SetRange(0, REGION - 70_000, REGION + 70_000),
                Unset(1, 0, 150_000),
                disk,
                Unset(0, 0, 2 * REGION),
                os,
            ],
        ),
        (
            "seals",
            vec![
                Update(5, &[0]),
                Close,
                Update(5, &[1]),
                Update(9, &[0]),
                os,
                Drop,
                Update(70, &[0]),
                os,
                Drop,
                Unset(0, 0, 8),
                disk,
                Close,
                Set(2, 8),
                Close,
            ],
        ),
        (
            "rolls",
            [0, 1, 2, 3]
                .into_iter()
                .flat_map(|n| [SetRange(0, n * 70_000, n * 70_000 + 30_000), Set(1, n * 640), disk])
                .chain((0..12).flat_map(|n| [Update(n * 3, &[0, 1]), Update(n * 900, &[2]), os]))
                .collect(),
        ),
        (
            "compaction",
            vec![
                SetRange(0, 0, 100),
                Close,
                Set(1, 50),
                Close,
                Unset(0, 10, 20),
                disk,
                Compact,
                Set(2, 15),
                os,
                Drop,
                Set(1, 15),
                disk,
                Compact,
                Set(0, 12),
                disk,
            ],
        ),
        (
            "retention",
            vec![
                Observe(0, 300),
                SetRange(0, 0, 40),
                SetRange(1, REGION, REGION + 50),
                Close,
                // What was observed stays as it was, in the first segment.
                Set(1, 30),
                Close,
                SetRange(2, 5 * REGION, 5 * REGION + 60),
                Close,
                Retain(3000),
                Set(0, 5 * REGION + 3),
                disk,
                Retain(1),
                Set(0, 7),
                Close,
                Retain(1),
                Update(9 * REGION, &[1]),
                disk,
            ],
        ),
        (
            "forgetting",
            vec![
                SetRange(0, 0, 30_000),
                SetRange(1, 100, 130),
                disk,
                Forget(110),
                os,
                Set(1, 50),
                Forget(20_000),
                Set(0, 30),
                disk,
                Close,
                Forget(29_990),
                disk,
                Compact,
                Set(2, 29_995),
                os,
            ],
        ),
        (
            "merge",
            vec![
                SetRange(0, 0, 100),
                disk,
                Merge(0, 50, 300),
                os,
                Merge(1, REGION - 5, REGION + 5),
                disk,
                Merge(2, 0, 40_000),
                os,
                Drop,
                Merge(2, 39_000, 41_000),
                Close,
            ],
        ),
    ]
}

#[test]
fn every_crash_of_every_script_of_tracks() {
    let policy =
        CrashPolicy { exhaustive_max: 5, spread_max: 10, random: 10, tears_max: 24, seed: 1 };
    let mut totals = Totals::default();
    let again = shell_line("track_crash::every_crash_of_every_script_of_tracks", 1);
    for (name, steps) in scripts() {
        let started = std::time::Instant::now();
        let counted = run(name, &again, &steps, &policy);
        println!("{name}: {counted:?} in {:?}", started.elapsed());
        totals.add(counted);
    }
    tell(totals);
}

fn random_script(seed: u64, count: usize) -> Vec<Step> {
    const SEEN: [&[u16]; 5] = [&[], &[0], &[1], &[0, 1], &[0, 1, 2]];
    let mut random = Random(seed << 16);
    let mut steps = Vec::new();
    while steps.len() < count {
        let class = random.below(u64::from(CLASSES)) as u16;
        let at = [0, 60, 65_500, REGION - 40, 3 * REGION][random.below(5) as usize];
        let at = at + random.below(200).cast_signed();
        let end = at + [1, 30, 9_000, 90_000][random.below(4) as usize];
        steps.push(match random.below(30) {
            0..6 => Step::Update(at, SEEN[random.below(5) as usize]),
            6 | 7 => Step::Set(class, at),
            8 | 9 => Step::SetRange(class, at, end),
            10 => Step::Observe(at, end),
            11 | 12 => Step::Unset(class, at, end),
            13 => Step::Forget(at),
            14 => Step::Merge(class, at, end),
            15..19 => Step::Flush(Level::Os),
            19..24 => Step::Flush(Level::Disk),
            24 | 25 => Step::Close,
            26 => Step::Drop,
            27 => Step::Compact,
            _ => Step::Retain(4096 * random.below(4)),
        });
    }
    steps
}

#[test]
fn crashes_of_random_scripts_of_tracks() {
    let mut totals = Totals::default();
    for seed in seeds(12) {
        let policy =
            CrashPolicy { exhaustive_max: 4, spread_max: 6, random: 6, tears_max: 6, seed };
        let steps = random_script(seed, 10 + Random(seed).below(40) as usize);
        let again = shell_line("track_crash::crashes_of_random_scripts_of_tracks", seed);
        totals.add(run(&format!("seed={seed}"), &again, &steps, &policy));
    }
    tell(totals);
}

/// Ticks are set, and asked for, at every write that forgetting and retention make: no class is
/// ever set where nothing was observed, then or after a crash.
#[test]
fn a_tick_set_while_its_neighbours_are_forgotten_is_observed_or_forgotten() {
    type Act = fn(&Database, &PresenceTrack) -> Result<(), Error>;
    let acts: [(&str, Act); 3] = [
        ("forget", |_, track| track.forget_before(25_000)),
        ("forget little", |_, track| track.forget_before(40)),
        ("retain", |db, _| db.retain(Retention::bytes_max(1)).map(|_| ())),
    ];
    for (name, act) in acts {
        let sim = SimDevice::new();
        let device = FaultDevice::new(bare(&sim));
        let db = Database::create_on(Arc::new(device.clone()), options()).unwrap();
        let track = db.create_track("cam", grid()).unwrap();
        track.observe_range(0..30_000).unwrap();
        track.set_range(0, 10..20).unwrap();
        track.set_range(0, REGION..REGION + 10).unwrap();
        track.set(1, 25_001).unwrap();
        // The log is at work when ticks are set below: no class may be made then.
        track.set(2, 25_001).unwrap();
        db.flush(Level::Disk).unwrap();
        db.compact(|_, _| true).unwrap();
        track.update_batch(5 * REGION, &[(1, 0.9)], 0.5).unwrap();
        db.flush(Level::Disk).unwrap();
        let calls = Mutex::new(0);
        let other = track.clone();
        device.before_writes(move || {
            let mut calls = calls.lock().unwrap();
            *calls += 1;
            // Observed before, in what is forgotten just now, and behind it.
            for tick in [12, 30, 24_000, 29_000, REGION + 3] {
                other.set(2 - (*calls % 2) as u16, tick + *calls).unwrap();
            }
        });
        act(&db, &track).unwrap();
        for _ in 0..2 {
            let held = read(&track).unwrap();
            for (id, ticks) in held.classes.iter().enumerate() {
                let left = ticks.without(&held.observed);
                assert_eq!(left, Ticks::default(), "{name}: class {id} is set and not observed");
            }
            db.flush(Level::Disk).unwrap();
        }
        let policy =
            CrashPolicy { exhaustive_max: 4, spread_max: 6, random: 6, tears_max: 6, seed: 1 };
        let totals = each_state(&sim, &policy, &|_, state, _, _| {
            judge(&state.device)?;
            let Ok((_, track)) = open(&state.device) else { return Ok(()) };
            let held = read(&track).map_err(|error| error.to_string())?;
            let is_observed = |ticks: &Ticks| ticks.without(&held.observed) == Ticks::default();
            if held.classes.iter().all(is_observed) {
                return Ok(());
            }
            Err(format!("{name}: a class is set and not observed: {held:?}"))
        });
        tell(totals.unwrap_or_else(|what| panic!("{what}")));
        drop((track, db));
    }
}
