//! Crash enumeration: every state that a power cut may leave behind is opened and read.
//!
//! What must hold in each: it opens without help, nothing counts as damaged or lost (a crash is
//! never rot), and each stream is an unbroken prefix of what was appended that holds everything
//! that had been promised. Recoveries are crashed in turn.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use presence::device::{CrashPoint, CrashPolicy, CrashState, Device, SimDevice, Survivors};
use presence::{Database, Level};

use crate::crash_state::{Opened, read_all};
use crate::script::{Player, Step, Trace, bare, play, random_script, stream_name};
use crate::support::{Found, Random, check_stream, figure, scaled, seeds, shell_line, small};

/// Puts a device, or a planted fault, over a simulated one.
pub(crate) type Wrap = fn(&SimDevice) -> Arc<dyn Device>;

/// What an enumeration looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) points: u64,
    pub(crate) states: u64,
    /// States of other bytes, nested ones among them.
    pub(crate) different: u64,
    pub(crate) nested_points: u64,
    pub(crate) nested_states: u64,
}

impl Totals {
    fn tell(&self) {
        figure("crash points", self.points);
        figure("crash states", self.states);
        figure("crash states of different bytes", self.different);
        figure("nested crash points", self.nested_points);
        figure("nested crash states", self.nested_states);
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.points += other.points;
        self.states += other.states;
        self.different += other.different;
        self.nested_points += other.nested_points;
        self.nested_states += other.nested_states;
    }
}

/// What to look at: the states of each point, and how many of them to crash again.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) policy: CrashPolicy,
    /// One of so many states is recovered and crashed again; 0 for none.
    pub(crate) nest_every: u64,
    pub(crate) depth_max: usize,
    pub(crate) wrap: Wrap,
}

impl Plan {
    pub(crate) fn new(policy: CrashPolicy) -> Self {
        Self { policy, nest_every: 0, depth_max: 0, wrap: bare }
    }
}

/// Recovers a state, goes on writing, and crashes that in turn.
fn check_nested(
    state: &CrashState,
    found: &[Found],
    trace: &Trace,
    plan: &Plan,
    opened: &Opened,
    depth: usize,
    totals: &mut Totals,
) -> Result<(), String> {
    let device = &state.device;
    let db = Database::open_on((plan.wrap)(device), small());
    let db = db.map_err(|error| format!("opening again: {error}"))?;
    let opened_at = device.calls();
    for (index, held) in found.iter().enumerate() {
        let stream = db.stream(&stream_name(index)).map_err(|error| error.to_string())?;
        if check_stream(&stream, false)? != *held {
            return Err(format!("{}: opened twice, found {held:?} first", stream.name()));
        }
    }
    db.close().map_err(|error| format!("closing: {error}"))?;
    let finished = trace.promised(state.calls).finished;
    let first: Vec<u64> = found.iter().map(|held| held.first).collect();
    let ends: Vec<u64> = found.iter().map(|held| held.end).collect();
    let promise = |calls| crate::script::Promise {
        calls,
        made: true,
        os: ends.clone(),
        disk: ends.clone(),
        finished: finished
            .iter()
            .copied()
            .chain(std::iter::repeat(false))
            .take(ends.len())
            .collect(),
    };
    // Whatever was found lies on the medium: no crash of its recovery may lose any of it.
    let nested = Trace {
        sim: device.clone(),
        promises: vec![promise(0), promise(opened_at)],
        given_up: vec![(0, first.clone())],
    };
    let seed = mixed(state);
    for point in device.crash_points() {
        totals.nested_points += 1;
        for inner in point.states(&CrashPolicy::quick(seed)) {
            totals.nested_states += 1;
            let tell = |what: String| format!("then {inner}: {what}");
            let again = opened.check(&inner, &nested, true).map_err(tell)?;
            if again.as_deref() != Some(found) {
                return Err(tell(format!("found {again:?}; {found:?} the first time")));
            }
            if depth < plan.depth_max && mixed(&inner).wrapping_add(seed).is_multiple_of(64) {
                // The device of `inner` was recovered by the check: make the state anew.
                let fresh = point.state(inner.survivors);
                check_nested(&fresh, found, &nested, plan, opened, depth + 1, totals)
                    .map_err(tell)?;
            }
        }
    }
    Ok(())
}

pub(crate) fn mixed(state: &CrashState) -> u64 {
    crate::support::mix((state.calls as u64) << 32 | state.index as u64)
}

/// Enumerates the crash states of a run, on all cores. The first violation ends it.
pub(crate) fn enumerate(trace: &Trace, plan: &Plan) -> Result<Totals, String> {
    let opened = Opened::new(plan.wrap);
    let totals = each_state(&trace.sim, &plan.policy, &|point, state, everything, totals| {
        let found = opened.check(state, trace, everything)?;
        let nest = plan.nest_every > 0 && mixed(state).is_multiple_of(plan.nest_every);
        let Some(found) = found.filter(|_| nest) else { return Ok(()) };
        let mut fresh = point.state(state.survivors);
        fresh.index = state.index;
        check_nested(&fresh, &found, trace, plan, &opened, 2, totals)
    });
    totals.map(|totals| Totals { different: opened.count(), ..totals })
}

/// What is to hold of one state: its point, the state, whether all that was written survived, and
/// where states that are made of it are counted.
pub(crate) type Check<'a> =
    &'a (dyn Fn(&CrashPoint, &CrashState, bool, &mut Totals) -> Result<(), String> + Sync);

/// Checks every crash state of `sim`, on all cores. The first violation ends it.
pub(crate) fn each_state(
    sim: &SimDevice,
    policy: &CrashPolicy,
    check: Check<'_>,
) -> Result<Totals, String> {
    let points = Mutex::new(sim.crash_points());
    let stop = AtomicBool::new(false);
    let violation = Mutex::new(None);
    let totals = Mutex::new(Totals::default());
    let work = || {
        let mut own = Totals::default();
        loop {
            let point = points.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some(point) = point.filter(|_| !stop.load(Ordering::Relaxed)) else { break };
            own.points += 1;
            let subsets = 1_u64.checked_shl(point.pending() as u32).unwrap_or(0);
            for state in point.states(policy) {
                own.states += 1;
                let everything = match state.survivors {
                    Survivors::Mask(mask) => mask == subsets.wrapping_sub(1),
                    other => other == Survivors::ALL,
                };
                if let Err(what) = check(&point, &state, everything, &mut own) {
                    let what = format!("{state}: {what}");
                    violation.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(what);
                    stop.store(true, Ordering::Relaxed);
                    break;
                }
            }
        }
        totals.lock().unwrap_or_else(PoisonError::into_inner).add(own);
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
    match violation.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(what) => Err(what),
        None => Ok(totals.into_inner().unwrap_or_else(PoisonError::into_inner)),
    }
}

/// Runs a script and enumerates its crashes; a violation is told with what replays it.
fn run(name: &str, again: &str, steps: &[Step], plan: &Plan) -> Totals {
    let trace = play(steps, bare).unwrap();
    match enumerate(&trace, plan) {
        Ok(totals) => totals,
        Err(what) => {
            let policy = &plan.policy;
            panic!("{name}: {what}\npolicy {policy:?}\nsteps {steps:?}\nreplay: {again}")
        }
    }
}

fn small_states(seed: u64) -> CrashPolicy {
    CrashPolicy { exhaustive_max: 6, spread_max: 12, random: 12, tears_max: 24, seed }
}

/// The scripts whose every crash state is looked at.
#[expect(clippy::too_many_lines, reason = "a table of scripts, read from top to bottom")]
pub(crate) fn scripts() -> Vec<(&'static str, Vec<Step>)> {
    use Step::{Append, Batch, Close, Compact, CompactBeside, Create, Drop, Finish, Flush, Retain};
    let (os, disk) = (Flush(Level::Os), Flush(Level::Disk));
    let three = [Create, Create, Create];
    let with = |steps: &[Step]| [&three[..], steps].concat();
    vec![
        (
            "flushes",
            with(&[
                Append(0, 3),
                os,
                Append(1, 2),
                os,
                Append(2, 5),
                disk,
                Append(0, 1),
                os,
                Append(1, 1),
                Append(2, 1),
                disk,
                disk,
                Append(0, 2),
                os,
            ]),
        ),
        ("full blocks", with(&[Batch(0, 40), os, Batch(1, 30), Batch(2, 70), disk, Append(0, 5)])),
        (
            "rolls",
            with(&[
                Batch(0, 120),
                disk,
                Batch(1, 90),
                Append(2, 40),
                os,
                Batch(0, 100),
                disk,
                Append(0, 3),
                Append(1, 3),
                disk,
            ]),
        ),
        ("closing", with(&[Append(0, 9), disk, Append(1, 4), Close, Append(0, 2), os, Close])),
        (
            "going on after a drop",
            with(&[
                Append(0, 9),
                os,
                Drop,
                Append(1, 4),
                Append(0, 1),
                os,
                Drop,
                Append(2, 8),
                disk,
                Append(2, 1),
            ]),
        ),
        (
            "compaction",
            with(&[
                Batch(0, 200),
                Batch(1, 100),
                Append(2, 30),
                disk,
                Compact,
                Append(0, 4),
                disk,
                Append(1, 40),
                Compact,
                Append(0, 1),
                os,
            ]),
        ),
        (
            "compaction beside appends",
            with(&[Batch(0, 300), Batch(1, 40), disk, CompactBeside(0, 60), Append(1, 1), disk]),
        ),
        (
            "retention",
            with(&[
                Batch(0, 400),
                Append(1, 20),
                disk,
                Append(2, 4),
                Retain(9000),
                Append(0, 4),
                disk,
                Batch(0, 200),
                Retain(5000),
                Append(1, 1),
                disk,
            ]),
        ),
        (
            "retention of compacted segments",
            with(&[
                Batch(0, 300),
                disk,
                Compact,
                Batch(1, 150),
                disk,
                Retain(4000),
                Append(0, 1),
                disk,
                Close,
                Append(0, 1),
                os,
            ]),
        ),
        ("finishing", with(&[Append(0, 9), Finish(0), Append(1, 2), Finish(1), Create, disk])),
    ]
}

#[test]
fn every_crash_of_every_script() {
    let mut totals = Totals::default();
    let mut plan = Plan::new(CrashPolicy { tears_max: 600, ..CrashPolicy::default() });
    plan.nest_every = 1500;
    plan.depth_max = 3;
    for (name, steps) in scripts() {
        let started = std::time::Instant::now();
        let again = shell_line("crash::every_crash_of_every_script", 1);
        let counted = run(name, &again, &steps, &plan);
        println!("{name}: {counted:?} in {:?}", started.elapsed());
        totals.add(counted);
    }
    println!("crash enumeration, scripts: {totals:?}");
    totals.tell();
}

#[test]
fn crashes_of_random_scripts() {
    let mut totals = Totals::default();
    for seed in seeds(100) {
        let mut plan = Plan::new(small_states(seed));
        plan.nest_every = 700;
        plan.depth_max = 3;
        let count = 20 + Random(seed).below(60) as usize;
        let steps = random_script(seed, count);
        let again = shell_line("crash::crashes_of_random_scripts", seed);
        totals.add(run(&format!("seed={seed}"), &again, &steps, &plan));
    }
    println!("crash enumeration, random scripts: {totals:?}");
    totals.tell();
}

#[test]
fn the_player_itself_loses_nothing() {
    for seed in 1..=scaled(200) {
        let steps = random_script(seed, 200);
        let sim = SimDevice::new();
        let mut player = Player::create(&sim, bare(&sim)).unwrap();
        for step in &steps {
            player.step(*step).unwrap_or_else(|error| panic!("seed={seed} {step:?}: {error}"));
        }
        let appended = player.appended().to_vec();
        let trace = player.end();
        let db = Database::open_on(bare(&trace.sim), small()).unwrap();
        let found = read_all(&db, true).unwrap_or_else(|what| panic!("seed={seed}: {what}"));
        let ends: Vec<u64> = found.iter().map(|held| held.end).collect();
        assert_eq!(ends, appended, "seed={seed}");
    }
}
