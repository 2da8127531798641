//! Repairs and salvages killed at each of their system calls that change a file: real processes on
//! real files.
//!
//! # Invariants
//! - What was there before is there afterwards, byte for byte, in place or set aside.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use presence::{Database, Options, WindowOptions};
use presence_inject::{Effect, End, Plan, Ran};

use super::corpus::{Case, Files, cases, command, fsck, quick_dir, read, write};
use crate::support::{figure, say_skipped, scaled};

const KILLS: [Effect; 3] = [Effect::KillBefore, Effect::KillHalf, Effect::KillAfter];

/// Timestamps and values of each stream that the engine reads, passing over what is missing.
type Content = BTreeMap<String, Vec<(i64, i64)>>;

fn content(db: &Path) -> Content {
    let db = Database::open_read_only(db, Options::default()).unwrap();
    let rows = |stream: &presence::Stream| {
        let mut rows = Vec::new();
        for slice in stream.window_with(.., WindowOptions::skip_gaps()).unwrap().slices() {
            let slice = slice.unwrap();
            let values = slice.column::<i64>(0).unwrap();
            rows.extend(slice.timestamps().iter().copied().zip(values.iter().copied()));
        }
        rows
    };
    db.streams().iter().map(|stream| (stream.name().to_owned(), rows(stream))).collect()
}

/// Runs `presence-fsck` in `place` with `plan` for its calls there. What it says goes elsewhere.
fn run(place: &Path, words: &str, plan: Plan) -> Ran {
    let mut command = command(words);
    command.current_dir(place);
    let null = || File::options().write(true).open("/dev/null").unwrap();
    presence_inject::run(&command, place, plan, null(), null()).unwrap()
}

const CALM: Plan = Plan { at: 0, effect: Effect::Short, sticky: false };

fn replay(test: &str, case: &Case, plan: Plan) -> String {
    format!(
        "{}: {plan:?}\nreplay: cargo test -p presence-cli --test cli -- --exact \
         fsck::kills::{test} --nocapture",
        case.name
    )
}

/// Damage of each kind that a repair corrects, on the databases that it differs on.
fn damaged() -> Vec<Case> {
    let names = [
        "log: seg-00000004.presence, a bit of its middle",
        "log: seg-00000004.presence, its header lost",
        "log: two segments swapped",
        "log: a foreign segment",
        "crashed: seg-00000004.presence, cut in the middle",
        "compacted: seg-0000000a.presence, its footer lost",
    ];
    let cases = cases();
    let has = |name: &&str| cases.iter().find(|case| case.name == **name);
    let missing: Vec<&&str> = names.iter().filter(|name| has(name).is_none()).collect();
    let all: Vec<&String> = cases.iter().map(|case| &case.name).collect();
    assert!(missing.is_empty(), "{missing:?} of {all:#?}");
    names.iter().filter_map(has).cloned().collect()
}

/// What was there, and that is not what a repair was still writing.
fn keeps_all(before: &Files, after: &Files) -> Result<(), String> {
    let gone = before.iter().find(|(_, bytes)| !after.values().any(|other| other == *bytes));
    gone.map_or(Ok(()), |(name, _)| Err(format!("what {name} held is gone")))
}

/// How an undisturbed repair ends.
struct Expected {
    calls: u64,
    code: i32,
    content: Content,
    judged: i32,
}

fn undisturbed(case: &Case) -> Expected {
    let place = quick_dir();
    let db = place.path().join("db");
    write(&db, &case.files);
    let judged = fsck(place.path(), "db").code;
    let ran = run(place.path(), "--repair -y db", CALM);
    let End::Code(code) = ran.end else { panic!("{}: {ran:?}", case.name) };
    assert_eq!(code & 1, 1, "{}", case.name);
    Expected { calls: ran.calls, code: code & !1, content: content(&db), judged }
}

/// A repair cut off by `plan`, and those after it.
fn cut_off(case: &Case, expected: &Expected, plan: Plan) -> Result<(), String> {
    let place = quick_dir();
    let db = place.path().join("db");
    write(&db, &case.files);
    let ran = run(place.path(), "--repair -y db", plan);
    if ran.end != End::Signal(9) {
        return Err(format!("not killed: {ran:?}"));
    }
    let left = read(&db);
    keeps_all(&case.files, &left)?;
    // Nothing healthy has another name or content.
    let judged = fsck(place.path(), "db").code;
    if judged & !expected.judged != 0 {
        return Err(format!("judged {judged}, and {} before it", expected.judged));
    }
    let between = fsck(place.path(), "--deep db --json").json();
    // A second one comes to the same end, a third has nothing to do.
    let second = fsck(place.path(), "--repair -y db");
    if second.code & !1 != expected.code {
        return Err(format!("the second ended with {}\n{}", second.code, second.out));
    }
    let after = read(&db);
    keeps_all(&case.files, &after)?;
    if content(&db) != expected.content {
        return Err(format!("the second left other records: {between}\n{}", second.out));
    }
    let third = fsck(place.path(), "--repair -y db");
    if third.code != expected.code || read(&db) != after {
        return Err(format!("the third changed something: {}", third.out));
    }
    Ok(())
}

#[test]
fn a_repair_killed_at_every_call() {
    if let Err(why) = presence_inject::available() {
        return say_skipped(&format!("faults at system calls: {why}"));
    }
    let stride = (2 / scaled(1)).max(1);
    let mut kills = 0;
    for (number, case) in (0..).zip(damaged()) {
        let expected = undisturbed(&case);
        for at in 1..=expected.calls {
            for (effect, kind) in KILLS.into_iter().zip(0_u64..) {
                // Each call is the last one in some way, in every case.
                if !(at + kind + number).is_multiple_of(stride) {
                    continue;
                }
                let plan = Plan { at, effect, sticky: false };
                let done = cut_off(&case, &expected, plan);
                let test = "a_repair_killed_at_every_call";
                done.unwrap_or_else(|what| panic!("{what}\n{}", replay(test, &case, plan)));
                kills += 1;
            }
        }
    }
    figure("repairs killed at a system call", kills);
    println!("{kills} repairs killed");
}

/// A salvage cut off by `plan`, and those after it. Returns whether the copy had its name.
fn salvage_cut_off(case: &Case, expected: &(Content, i32), plan: Plan) -> Result<bool, String> {
    let place = quick_dir();
    let (db, out) = (place.path().join("db"), place.path().join("out"));
    write(&db, &case.files);
    let ran = run(place.path(), "--salvage out db", plan);
    if ran.end != End::Signal(9) {
        return Err(format!("not killed: {ran:?}"));
    }
    if read(&db) != case.files {
        return Err("the source was changed".to_owned());
    }
    let names = std::fs::read_dir(place.path()).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let left: Vec<String> = names.filter(|name| name != "db" && name != "out").collect();
    if left.len() > 1 || left.iter().any(|name| !name.starts_with(".salvage-")) {
        return Err(format!("left behind: {left:?}"));
    }
    let is_there = out.exists();
    let again = fsck(place.path(), "--salvage out db");
    if !is_there && left.iter().any(|name| !again.err.contains(name)) {
        return Err(format!("nothing is said of {left:?}: {}", again.err));
    }
    if again.code != if is_there { 16 } else { expected.1 } {
        return Err(format!("copy there: {is_there}; again: {}\n{}", again.code, again.err));
    }
    // Whether it is that of the first or of the second: whole, and with the report in it.
    let judged = fsck(place.path(), "--deep --strict out");
    if judged.code != 0 || content(&out) != expected.0 || !out.join("salvage.json").is_file() {
        return Err(format!("copy there: {is_there}; it is not whole: {}", judged.out));
    }
    Ok(is_there)
}

#[test]
fn a_salvage_killed_at_every_call() {
    if let Err(why) = presence_inject::available() {
        return say_skipped(&format!("faults at system calls: {why}"));
    }
    let stride = (2 / scaled(1)).max(1);
    let (mut kills, mut named) = (0, 0);
    for case in damaged().into_iter().take(2) {
        let place = quick_dir();
        write(&place.path().join("db"), &case.files);
        let calm = run(place.path(), "--salvage out db", CALM);
        let End::Code(code) = calm.end else { panic!("{}: {calm:?}", case.name) };
        let expected = (content(&place.path().join("out")), code);
        assert!(code < 2 && calm.calls > 10, "{}: {calm:?}", case.name);
        for at in 1..=calm.calls {
            for (effect, kind) in KILLS.into_iter().zip(0_u64..) {
                if !(at + kind).is_multiple_of(stride) {
                    continue;
                }
                let plan = Plan { at, effect, sticky: false };
                let done = salvage_cut_off(&case, &expected, plan);
                let test = "a_salvage_killed_at_every_call";
                let is_there =
                    done.unwrap_or_else(|what| panic!("{what}\n{}", replay(test, &case, plan)));
                kills += 1;
                named += u64::from(is_there);
            }
        }
    }
    assert!(named > 0 && named < kills, "{named} of {kills}");
    figure("salvages killed at a system call", kills);
    println!("{kills} salvages killed, {named} of them when the copy had its name");
}
