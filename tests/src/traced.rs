//! Real system calls that fail, end short, or are a process's last: a child plays a script on real
//! files and tells what was acknowledged; every call of it that changes files is met in turn.
//!
//! Whatever happened, the directory opens, holds everything acknowledged, each stream as an
//! unbroken prefix, and opens again without a word. A child that is not killed tells a typed error.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use presence::device::{RealDevice, SimDevice};
use presence::{Database, Error, Level};
use presence_inject::{Effect, End, Plan, Ran};

use crate::crash::scripts;
use crate::faults::is_typed;
use crate::script::{Player, Step, stream_name};
use crate::support::{check_stream, figure, quick_dir, rerun, scaled, skipped, small};

/// Set for the child: the directory to write to, and the number of its script.
const CHILD_DIRECTORY: &str = "PRESENCE_TEST_TRACED_DIRECTORY";
const CHILD_SCRIPT: &str = "PRESENCE_TEST_TRACED_SCRIPT";
/// Set to run one case alone: script, call, effect, `once` or `sticky`.
const ONE_RUN: &str = "PRESENCE_TEST_TRACED_RUN";

const EIO: i32 = 5;
const EINTR: i32 = 4;
const EFBIG: i32 = 27;
const ENOSPC: i32 = 28;
const EDQUOT: i32 = 122;

/// Everything that can happen to a call of a process that lives on, and for how long.
const FAULTS: [(Effect, bool); 12] = [
    (Effect::Error(EIO), false),
    (Effect::Error(EIO), true),
    (Effect::Error(ENOSPC), false),
    (Effect::Error(ENOSPC), true),
    (Effect::Error(EDQUOT), false),
    (Effect::Error(EDQUOT), true),
    (Effect::Error(EFBIG), false),
    (Effect::Error(EFBIG), true),
    // Not for ever: a call that signals interrupt is made again.
    (Effect::Error(EINTR), false),
    (Effect::Short, false),
    (Effect::Short, true),
    (Effect::Full, true),
];

const KILLS: [Effect; 3] = [Effect::KillBefore, Effect::KillHalf, Effect::KillAfter];

/// Tells the parent a line, whatever the harness has begun to print.
fn tell(line: &str) {
    std::io::stdout().lock().write_all(format!("\n{line}\n").as_bytes()).unwrap();
}

/// Not a test by itself: plays a script on real files.
#[test]
fn child_that_plays() {
    let Ok(directory) = std::env::var(CHILD_DIRECTORY) else { return };
    let script: usize = std::env::var(CHILD_SCRIPT).unwrap().parse().unwrap();
    let (_, steps) = scripts().swap_remove(script);
    let device = match RealDevice::create(directory) {
        Ok(device) => device,
        Err(error) => return tell(&format!("FAILED making the directory: {error}")),
    };
    let mut player = match Player::create(&SimDevice::new(), Arc::new(device)) {
        Ok(player) => player,
        Err(error) => {
            assert!(is_typed(&error), "{error}");
            return tell(&format!("FAILED creating: {error}"));
        }
    };
    player.lossy = true;
    tell("ACK");
    for step in steps {
        let Err(error) = player.step(step) else {
            let held: Vec<String> = player.promised().os.iter().map(u64::to_string).collect();
            tell(&format!("ACK {}", held.join(" ")));
            continue;
        };
        assert!(is_typed(&error), "{step:?}: {error}");
        tell(&format!("FAILED {step:?}: {error}"));
        if !goes_on(&player) {
            return;
        }
    }
    tell("DONE");
}

/// What a handle that saw a failure still does: it reads. Returns whether it writes, too.
fn goes_on(player: &Player) -> bool {
    let Some(db) = player.database() else { return false };
    for stream in db.streams() {
        check_stream(&stream, true).unwrap();
    }
    match db.flush(Level::Os) {
        // A failed compaction or removal of files leaves the log as it was.
        Ok(_) => true,
        Err(error) => {
            assert!(is_typed(&error), "{error}");
            let after = db.flush(Level::Os).unwrap_err();
            assert!(matches!(after, Error::Poisoned { .. }), "{after}");
            false
        }
    }
}

/// What a child told.
#[derive(Debug, Default)]
struct Told {
    /// Records of each stream, by the last acknowledgement; none before the database was made.
    acknowledged: Option<Vec<u64>>,
    failures: Vec<String>,
    done: bool,
}

impl Told {
    fn new(text: &str) -> Self {
        let mut told = Self::default();
        for line in text.lines() {
            match line.split_once(' ').unwrap_or((line, "")) {
                ("ACK", counts) => {
                    let counts = counts.split(' ').filter_map(|count| count.parse().ok());
                    told.acknowledged = Some(counts.collect());
                }
                ("FAILED", what) => told.failures.push(what.to_owned()),
                ("DONE", _) => told.done = true,
                _ => {}
            }
        }
        told
    }
}

/// Runs script number `script` with `plan`, and checks what is left. Returns what was met.
fn run(script: usize, plan: Plan) -> Ran {
    let directory = quick_dir();
    let path = directory.path().join("db");
    let words = quick_dir();
    let (out, err) = (words.path().join("out"), words.path().join("err"));
    let mut command = rerun("traced::child_that_plays");
    command.env(CHILD_DIRECTORY, &path).env(CHILD_SCRIPT, script.to_string());
    let (stdout, stderr) = (File::create(&out).unwrap(), File::create(&err).unwrap());
    let ran = presence_inject::run(&command, directory.path(), plan, stdout, stderr);
    let ran = ran.unwrap_or_else(|error| panic!("{error}\n{}", replay(script, plan)));
    let text = std::fs::read_to_string(out).unwrap();
    let words = std::fs::read_to_string(err).unwrap();
    let told = Told::new(&text);
    let checked = check_words(plan, &ran, &told, &words);
    let checked = checked.and_then(|()| check_left(&path, script, &told));
    checked.unwrap_or_else(|what| {
        panic!("{what}\n{ran:?}\n{told:?}\n{text}\n{words}\nreplay: {}", replay(script, plan))
    });
    ran
}

/// How a child ended, and what it said of it.
fn check_words(plan: Plan, ran: &Ran, told: &Told, words: &str) -> Result<(), String> {
    if words.contains("panicked") {
        return Err("the child panicked".to_owned());
    }
    let killed = KILLS.contains(&plan.effect) && ran.fired > 0;
    if killed {
        return match ran.end {
            End::Signal(9) => Ok(()),
            end => Err(format!("killed, but {end:?}")),
        };
    }
    if ran.end != End::Code(0) {
        return Err(format!("the child ended with {:?}", ran.end));
    }
    // Short counts and interrupted calls are completed, where a call may be made again.
    let again = ["pwritev", "fallocate", "openat", "openat2", "pwrite64"];
    let completed = match plan.effect {
        Effect::Short => true,
        Effect::Error(EINTR) => ran.first.is_none_or(|call| again.contains(&call)),
        _ => ran.fired == 0,
    };
    match (completed, told.failures.is_empty() && told.done) {
        (true, false) => Err("the call was to be completed".to_owned()),
        _ => Ok(()),
    }
}

/// What is in the directory.
fn check_left(path: &Path, script: usize, told: &Told) -> Result<(), String> {
    let read_only = Database::open_read_only(path, small());
    let Some(acknowledged) = &told.acknowledged else {
        // The database need not be there, and can be made.
        let made = Database::open_or_create(path, small());
        return made.map(|_| ()).map_err(|error| format!("making it again: {error}"));
    };
    let read_only = read_only.map_err(|error| format!("reading: {error}"))?;
    let seen = check_database(&read_only, script, acknowledged)?;
    let db = Database::open(path, small()).map_err(|error| format!("opening: {error}"))?;
    let report = db.report();
    if !report.damage.is_empty() || !report.lost.is_empty() {
        return Err(format!("taken for rot: {report:?}"));
    }
    if check_database(&db, script, acknowledged)? != seen {
        return Err("a reader and the recovery differ".to_owned());
    }
    drop(db);
    let db = Database::open(path, small()).map_err(|error| format!("opening again: {error}"))?;
    if !db.report().is_clean() {
        return Err(format!("a second opening: {:?}", db.report()));
    }
    if check_database(&db, script, acknowledged)? != seen {
        return Err("the second opening found something else".to_owned());
    }
    db.close().map_err(|error| format!("closing: {error}"))
}

/// Checks every record, and that what was acknowledged is there. Returns where the streams end.
fn check_database(db: &Database, script: usize, acknowledged: &[u64]) -> Result<Vec<u64>, String> {
    let retains = scripts()[script].1.iter().any(|step| matches!(step, Step::Retain(_)));
    let mut ends = Vec::new();
    for (index, count) in acknowledged.iter().enumerate() {
        let stream = db.stream(&stream_name(index)).map_err(|error| error.to_string())?;
        let found = check_stream(&stream, true)?;
        if found.end < *count || (found.first > 0 && !retains) {
            return Err(format!("{}: {found:?}, {count} were acknowledged", stream.name()));
        }
        ends.push(found.end);
    }
    Ok(ends)
}

/// The shell line that runs one case again.
fn replay(script: usize, plan: Plan) -> String {
    let (at, effect) = (plan.at, word(plan.effect));
    let often = if plan.sticky { "sticky" } else { "once" };
    format!(
        "{ONE_RUN}='{script} {at} {effect} {often}' cargo test -p presence-tests --test all -- \
         --exact traced::one_run --nocapture"
    )
}

fn word(effect: Effect) -> String {
    match effect {
        Effect::Error(error) => error.to_string(),
        other => format!("{other:?}"),
    }
}

fn effect(word: &str) -> Effect {
    let others = [Effect::Short, Effect::Full, KILLS[0], KILLS[1], KILLS[2]];
    let named = others.into_iter().find(|effect| format!("{effect:?}") == word);
    named.unwrap_or_else(|| Effect::Error(word.parse().unwrap()))
}

/// Runs the one case that is named in the environment.
#[test]
fn one_run() {
    let Ok(case) = std::env::var(ONE_RUN) else { return };
    let words: Vec<&str> = case.split(' ').collect();
    let sticky = words[3] == "sticky";
    let plan = Plan { at: words[1].parse().unwrap(), effect: effect(words[2]), sticky };
    println!("{:?}", run(words[0].parse().unwrap(), plan));
}

/// Whether processes can be traced; says so where they cannot.
fn can_trace() -> bool {
    let available = presence_inject::available();
    available.map_err(|why| skipped(&format!("faults at system calls: {why}"))).is_ok()
}

/// Meets call `from`, `from + stride`, .. until a run sees no fault. Returns how many were met.
fn every_call(script: usize, effect: Effect, sticky: bool, from: u64, stride: usize) -> u64 {
    let mut met = 0;
    for at in (from..).step_by(stride) {
        let ran = run(script, Plan { at, effect, sticky });
        if ran.fired == 0 {
            break;
        }
        met += 1;
    }
    met
}

/// So many calls are left out, for a test to be shorter or longer.
fn stride(usual: u64) -> usize {
    (usual / scaled(1)).max(1) as usize
}

fn script(name: &str) -> usize {
    scripts().iter().position(|(script, _)| *script == name).unwrap()
}

#[test]
fn every_system_call_fails_in_turn() {
    if !can_trace() {
        return;
    }
    let mut met = 0;
    for (effect, sticky) in FAULTS {
        met += every_call(script("flushes"), effect, sticky, 1, 1);
    }
    for name in ["compaction", "retention", "finishing", "going on after a drop"] {
        let often = [(Effect::Error(EIO), false), (Effect::Full, true), (Effect::Short, true)];
        for (from, (effect, sticky)) in (1..).zip(often) {
            met += every_call(script(name), effect, sticky, from, stride(3));
        }
    }
    figure("faults injected (real system calls)", met);
    println!("{met} real system calls failed");
}

#[test]
fn every_system_call_is_the_last_in_turn() {
    if !can_trace() {
        return;
    }
    let mut met = 0;
    for script in 0..scripts().len() {
        for (from, effect) in (1..).zip(KILLS) {
            met += every_call(script, effect, false, from, stride(4));
        }
    }
    figure("kills at a system call", met);
    println!("{met} kills at a system call");
}
