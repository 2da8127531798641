//! Repairs cut off at every call, by power loss or by errors: nothing that was there is gone, and
//! the next repair comes to the same end.

use std::sync::Arc;

use presence::device::{
    CrashPolicy, Device, Fault, FaultDevice, FaultPlan, SimDevice, Survivors, Target,
};
use presence::{Database, Level};
use presence_fsck::repair;

use crate::damaged::{Case, in_names};
use crate::support::{
    Content, Files, Golden, device, figure, files, keeps_all, plan, read, record, repair, scaled,
    small,
};

/// Damage of each kind that a repair corrects.
fn cases() -> Vec<Case> {
    let all = Golden::all();
    let mut cases = Vec::new();
    for golden in &all {
        let names: Vec<&String> = golden.files.keys().collect();
        let mut push = |done: &str, damage: &dyn Fn(&mut Files)| {
            let mut files = golden.files.clone();
            damage(&mut files);
            cases.push(Case { done: format!("{}: {done}", golden.name), files });
        };
        let middle = names[names.len() / 2];
        let last = names[names.len() - 1];
        push("an entry", &|files| {
            let bytes = files.get_mut(middle).unwrap();
            let half = bytes.len() / 2;
            bytes[half] ^= 1;
        });
        push("the last segment", &|files| files.get_mut(last).unwrap()[150] ^= 1);
        push("a footer", &|files| {
            let bytes = files.get_mut(middle).unwrap();
            let end = bytes.len();
            bytes[end - 64..].fill(0);
        });
        if names.len() > 2 {
            push("a header", &|files| files.get_mut(middle).unwrap()[..128].fill(0));
            push("two segments", &|files| {
                for name in [middle, names[1]] {
                    let bytes = files.get_mut(name).unwrap();
                    let half = bytes.len() / 2;
                    bytes[half..half + 100].fill(1);
                }
            });
        }
    }
    cases.extend(in_names(&all[0], &all[1]).into_iter().rev().take(1));
    cases
}

fn sim(files: &Files) -> SimDevice {
    SimDevice::with_files(files.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())))
}

fn held(device: &SimDevice) -> Files {
    let mut files = device.files();
    files.remove("LOCK");
    files
}

/// Repairs what is left, and compares with what an undisturbed repair came to.
fn finish(device: &dyn Device, expected: &(Content, u8)) -> Result<(), String> {
    let planned = plan(device);
    let repaired = repair::execute(device, &planned, &mut |_| true)
        .map_err(|error| format!("{error}\n{planned}"))?;
    let tell = |what: &str| Err(format!("{what}\n{planned}\n{:#?}", repaired.report));
    if repaired.report.exit_code != expected.1 {
        return tell("another end");
    }
    if !plan(device).is_empty() {
        return tell("a repair without end");
    }
    Ok(())
}

fn undisturbed(case: &Case) -> (Content, u8) {
    let memory = device(&case.files);
    let (plan, repaired) = repair(&memory);
    assert!(!plan.is_empty(), "{}", case.done);
    assert_eq!(repaired.exit_code() & 1, 1, "{}", case.done);
    (read(&files(&memory)), repaired.report.exit_code)
}

#[test]
fn power_cut_at_every_call() {
    let mut interrupted = 0;
    for case in cases() {
        let expected = undisturbed(&case);
        let sim = sim(&case.files);
        repair(&sim);
        for point in sim.crash_points() {
            let seed = point.calls() as u64;
            for state in point.states(&CrashPolicy::quick(seed)) {
                if !seed.is_multiple_of(7) && state.index as u64 > scaled(24) {
                    continue;
                }
                interrupted += 1;
                let tell = |what: String| format!("{}: {state}: {what}", case.done);
                keeps_all(&case.files, &held(&state.device)).map_err(tell).unwrap();
                finish(&state.device, &expected).map_err(tell).unwrap();
                let after = held(&state.device);
                keeps_all(&case.files, &after).map_err(tell).unwrap();
                assert_eq!(read(&after), expected.0, "{}: {state}", case.done);
            }
        }
    }
    assert!(interrupted > 500, "{interrupted}");
    figure("repairs interrupted by a power cut", interrupted);
}

/// After a crash inside a repair a second one is cut, too.
#[test]
fn the_second_repair_is_cut_too() {
    let mut interrupted = 0;
    for case in cases() {
        let expected = undisturbed(&case);
        let sim = sim(&case.files);
        repair(&sim);
        for point in sim.crash_points() {
            let first = point.state(Survivors::ALL).device;
            let planned = plan(&first);
            repair::execute(&first, &planned, &mut |_| true).unwrap();
            let calls = first.calls();
            for cut in (0..calls).step_by(3) {
                let again = point.state(Survivors::ALL).device;
                again.crash_after(cut);
                repair::execute(&again, &plan(&again), &mut |_| true).unwrap_err();
                let state = again.crash_point(cut).unwrap();
                let state = state.state(Survivors::NONE).device;
                interrupted += 1;
                let tell = |what: String| format!("{}: {point:?}, {cut}: {what}", case.done);
                finish(&state, &expected).map_err(tell).unwrap();
                assert_eq!(read(&held(&state)), expected.0, "{}: {point:?}, {cut}", case.done);
            }
        }
    }
    figure("repairs interrupted twice", interrupted);
}

#[test]
fn an_error_of_every_call() {
    let mut interrupted = 0;
    for case in cases() {
        let expected = undisturbed(&case);
        for (fault, sticky) in [
            (Fault::Io, false),
            (Fault::NoSpace, true),
            (Fault::ShortWrite, true),
            (Fault::AfterEffect, false),
            (Fault::AfterEffect, true),
        ] {
            let mut at = 1;
            loop {
                let memory = device(&case.files);
                let faulty = FaultDevice::new(Arc::new(memory.clone()));
                let planned = plan(&faulty);
                faulty.arm(FaultPlan { target: Target::Mutating, at, fault, sticky });
                let result = repair::execute(&faulty, &planned, &mut |_| true);
                let fired = faulty.fired() > 0;
                faulty.disarm();
                assert_eq!(result.is_err(), fired, "{}: call {at}: {result:?}", case.done);
                let tell = |what: String| format!("{}: {fault:?} at {at}: {what}", case.done);
                keeps_all(&case.files, &files(&memory)).map_err(tell).unwrap();
                if !fired {
                    break;
                }
                interrupted += 1;
                finish(&memory, &expected).map_err(tell).unwrap();
                let after = files(&memory);
                keeps_all(&case.files, &after).map_err(tell).unwrap();
                assert_eq!(read(&after), expected.0, "{}: {fault:?} at {at}", case.done);
                at += 1;
            }
        }
    }
    figure("repairs interrupted by an error", interrupted);
}

#[test]
fn an_error_of_every_read() {
    let mut tried = 0;
    for case in cases().into_iter().step_by(4) {
        let expected = undisturbed(&case);
        let mut at = 1;
        loop {
            let memory = device(&case.files);
            let faulty = FaultDevice::new(Arc::new(memory.clone()));
            let fault = Fault::Io;
            faulty.arm(FaultPlan { target: Target::Reading, at, fault, sticky: false });
            let options = presence_fsck::Options::default();
            let result = repair::plan(&faulty, &options, &mut |_| true)
                .and_then(|plan| repair::execute(&faulty, &plan, &mut |_| true));
            let fired = faulty.fired() > 0;
            faulty.disarm();
            let tell = |what: String| format!("{}: read {at}: {what}\n{result:?}", case.done);
            keeps_all(&case.files, &files(&memory)).map_err(tell).unwrap();
            if !fired {
                break;
            }
            tried += 1;
            finish(&memory, &expected).map_err(tell).unwrap();
            assert_eq!(read(&files(&memory)), expected.0, "{}: read {at}", case.done);
            at += 1;
        }
    }
    figure("repairs with an unreadable call", tried);
}

/// A writer that comes after an interrupted repair removes temporary files and appends. What was
/// set aside comes back all the same, unless the writer went on in its place.
#[test]
fn a_writer_in_between() {
    let (mut interrupted, mut gone_on) = (0, 0);
    for case in cases() {
        let expected = undisturbed(&case);
        let sim = sim(&case.files);
        repair(&sim);
        let points = sim.crash_points();
        let states = points.flat_map(|point| {
            // Every order in which few names reach the medium; else all that was done.
            let names = if point.pending() <= 4 { 1 << point.pending() } else { 0 };
            let some = (0..names).map(Survivors::Mask).chain([Survivors::ALL]);
            some.map(|survivors| point.state(survivors)).collect::<Vec<_>>()
        });
        for point in states {
            let state = point.device.clone();
            let shared: Arc<dyn Device> = Arc::new(state.clone());
            let Ok(db) = Database::open_on(shared, small()) else { continue };
            let Ok(stream) = db.stream("stream-2") else { continue };
            let mut writer = stream.column_writer().unwrap();
            for sequence in 2_000..2_020 {
                let (ts, value) = record("stream-2", sequence);
                writer.append(ts, &[&value.to_le_bytes()]).unwrap();
            }
            drop(writer);
            db.flush(Level::Disk).unwrap();
            let written = (2_000..2_020).map(|sequence| (sequence, record("stream-2", sequence)));
            let written = written.collect();
            db.close().unwrap();
            interrupted += 1;
            let before = held(&state);
            let (plan, _) = repair(&state);
            let after = held(&state);
            let tell = |what: String| format!("{}: {point}: {what}\n{plan}", case.done);
            keeps_all(&before, &after).map_err(tell).unwrap();
            // The writer goes on with files, but removes none that was damaged.
            for (name, bytes) in &case.files {
                // Zeros at the end are space set aside, which the writer may use.
                let used = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
                let kept = after.values().any(|other| other.starts_with(&bytes[..used]));
                assert!(kept, "{}", tell(format!("what {name} held is gone")));
            }
            if !plan.left.is_empty() {
                gone_on += 1;
                continue;
            }
            let mut found = read(&after);
            let appended = found.get_mut("stream-2").unwrap().split_off(&2_000);
            assert_eq!(appended, written, "{}", tell(String::new()));
            for (name, rows) in &expected.0 {
                let missing = rows.keys().filter(|key| !found[name].contains_key(key)).count();
                assert_eq!(missing, 0, "{}", tell(format!("{name}: {missing} records")));
            }
        }
    }
    assert!(interrupted > 100 && gone_on < interrupted / 4, "{gone_on} of {interrupted}");
    figure("repairs with a writer in between", interrupted);
}
