//! Every kind of damage: what was sound is there afterwards, and what is lost is named.

use std::sync::Arc;

use presence::device::MemoryDevice;
use presence::{Database, Level};
use presence_fsck::repair::{self, Step};
use presence_fsck::{Code, Error};

use crate::support::{
    Content, Files, Golden, check, device, figure, files, keeps_all, plan, read, record, repair,
    rows, scaled, small,
};

/// One damage: what was done, and the files afterwards.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    pub(crate) done: String,
    pub(crate) files: Files,
}

fn case(golden: &Golden, file: &str, done: &str, bytes: Vec<u8>) -> Case {
    let mut files = golden.files.clone();
    files.insert(file.to_owned(), bytes);
    Case { done: format!("{}: {file}: {done}", golden.name), files }
}

/// Damage to the bytes of each file, each so many bytes.
pub(crate) fn in_bytes(golden: &Golden, step: usize) -> Vec<Case> {
    let mut cases = Vec::new();
    for (file, bytes) in &golden.files {
        for at in (0..bytes.len()).step_by(step) {
            let at = (at + at / step * 7 % step).min(bytes.len() - 1);
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << (at % 8);
            cases.push(case(golden, file, &format!("bit of byte {at}"), flipped));
        }
        for at in (0..bytes.len()).step_by(512) {
            let mut zeros = bytes.clone();
            let end = (at + 512).min(bytes.len());
            zeros[at..end].fill(0);
            if zeros != *bytes {
                cases.push(case(golden, file, &format!("zeros from byte {at}"), zeros));
            }
            let cut = bytes[..at].to_vec();
            cases.push(case(golden, file, &format!("cut at byte {at}"), cut));
        }
        let mut headless = bytes.clone();
        headless[..128].fill(0);
        cases.push(case(golden, file, "header lost", headless.clone()));
        let len = bytes.len();
        headless[len - 64..].fill(0xaa);
        cases.push(case(golden, file, "both ends lost", headless));
        cases.push(case(golden, file, "all lost", vec![0x55; len]));
        cases.push(case(golden, file, "longer", [bytes.as_slice(), &[1; 100]].concat()));
    }
    cases
}

/// Damage to names, and files from elsewhere.
pub(crate) fn in_names(golden: &Golden, other: &Golden) -> Vec<Case> {
    let mut cases = Vec::new();
    let names: Vec<&String> = golden.files.keys().collect();
    let mut push = |done: String, files: Files| cases.push(Case { done, files });
    for (index, name) in names.iter().enumerate() {
        let mut moved = golden.files.clone();
        let bytes = moved.remove(*name).unwrap();
        moved.insert("seg-00000777.presence".to_owned(), bytes.clone());
        push(format!("{}: {name} under another name", golden.name), moved);
        let mut twice = golden.files.clone();
        twice.insert("seg-00000778.presence".to_owned(), bytes);
        push(format!("{}: {name} twice", golden.name), twice);
        if let Some(next) = names.get(index + 1) {
            let mut swapped = golden.files.clone();
            let (a, b) = (swapped[*name].clone(), swapped[*next].clone());
            swapped.insert((*name).clone(), b);
            swapped.insert((*next).clone(), a);
            push(format!("{}: {name} and {next} swapped", golden.name), swapped);
        }
    }
    let mut foreign = golden.files.clone();
    foreign.insert("seg-00000779.presence".to_owned(), vec![7; 300]);
    let (_, bytes) = other.files.first_key_value().unwrap();
    foreign.insert("seg-0000077a.presence".to_owned(), bytes.clone());
    push(format!("{}: files from elsewhere", golden.name), foreign);
    cases
}

/// What a repair must leave. Returns whether it did anything, and whether all was corrected.
fn judge(golden: &Golden, case: &Case) -> Result<(bool, bool), String> {
    let memory = device(&case.files);
    let before = match presence_fsck::check_device(
        &memory,
        &presence_fsck::Options::at(presence_fsck::Level::Deep),
        &mut |_| true,
    ) {
        Ok(report) => report,
        Err(error) => return Err(format!("no check: {error}")),
    };
    let planned = plan(&memory);
    if files(&memory) != case.files {
        return Err("planning changed something".to_owned());
    }
    let repaired = repair::execute(&memory, &planned, &mut |_| true)
        .map_err(|error| format!("{error}\n{planned}"))?;
    let after = files(&memory);
    keeps_all(&case.files, &after)?;
    let words = |what: String| format!("{what}\n{planned}\n{:#?}", repaired.report);
    let tell = |what: String| Err(words(what));
    if planned.is_empty() && after != case.files {
        return tell("nothing to do, and something was done".to_owned());
    }
    let now = check(&memory);
    let corrected = now.exit_code == 0;
    if before.exit_code == 0 && !planned.is_empty() {
        return tell("a repair of what is sound".to_owned());
    }
    if repaired.report.exit_code != now.exit_code
        || repaired.exit_code() != u8::from(!planned.is_empty()) | now.exit_code
    {
        return tell(format!("exit codes {} and {}", repaired.exit_code(), now.exit_code));
    }
    let again = plan(&memory);
    if !again.is_empty() {
        return tell(format!("a second repair has something to do: {again}"));
    }
    let second = repair::execute(&memory, &again, &mut |_| true).unwrap();
    if second.exit_code() != now.exit_code || files(&memory) != after {
        return tell("a second repair changed something".to_owned());
    }
    if corrected && now.lost.iter().any(|lost| lost.known_since.is_none()) {
        return tell("a loss that nobody knows of".to_owned());
    }
    if now.totals.records < before.totals.records {
        return tell(format!("{} records were there", before.totals.records));
    }
    if corrected && !planned.is_empty() {
        serves(golden, case, &after, &now).map_err(words)?;
    }
    Ok((!planned.is_empty(), corrected))
}

/// The engine reads everything that is not lost, and goes on with the database.
fn serves(
    golden: &Golden,
    case: &Case,
    after: &Files,
    now: &presence_fsck::Report,
) -> Result<(), String> {
    let expected = expected(golden, now);
    let found = read(after);
    if found.values().all(|rows| rows.is_empty()) && now.totals.records == 0 {
        return Ok(());
    }
    for (name, rows) in &expected {
        let found = found.get(name).cloned().unwrap_or_default();
        // What was not promised may have been cut from the end.
        let end = found.keys().next_back().map_or(0, |last| last + 1);
        let rows: Vec<_> =
            rows.range(..if is_promised(golden, case) { u64::MAX } else { end }).collect();
        if rows != found.iter().collect::<Vec<_>>() {
            let (should, is) = (rows.len(), found.len());
            return Err(format!("{name}: {should} records should be there, {is} are"));
        }
    }
    let total: usize = found.values().map(|rows| rows.len()).sum();
    if total as u64 != now.totals.records {
        return Err(format!("the engine finds {total} records, the check {}", now.totals.records));
    }
    let memory = device(after);
    let db = Database::open_on(Arc::new(memory.clone()), small()).unwrap();
    if !db.report().damage.is_empty() {
        return Err(format!("the engine finds damage: {:?}", db.report().damage));
    }
    if db.report().lost.len() != now.lost.len() {
        return Err(format!("the engine misses {:?}", db.report().lost));
    }
    let Ok(stream) = db.stream("stream-1") else { return Ok(()) };
    let at = stream.records_at(Level::Memory);
    let mut writer = stream.column_writer().unwrap();
    for sequence in at.max(1_000)..at.max(1_000) + 50 {
        let (ts, value) = record("stream-1", sequence);
        writer.append(ts, &[&value.to_le_bytes()]).unwrap();
    }
    drop(writer);
    db.flush(Level::Disk).unwrap();
    db.compact(|_, _| true).unwrap();
    let all = rows(&stream).len();
    db.close().unwrap();
    let later = check(&memory);
    if later.exit_code != 0 || all != found["stream-1"].len() + 50 {
        return Err(format!("after more was written: {later:#?}"));
    }
    Ok(())
}

/// Whether all records must be there that no report calls lost. What the last segment held at its
/// end nobody else knows of, and in a database that was not closed it was not promised.
fn is_promised(golden: &Golden, case: &Case) -> bool {
    let (last, bytes) = golden.files.last_key_value().unwrap();
    golden.name != "crashed" && case.files.get(last) == Some(bytes)
}

/// What the database held, less what a report says is lost.
pub(crate) fn expected(golden: &Golden, report: &presence_fsck::Report) -> Content {
    let mut expected = golden.content.clone();
    for lost in &report.lost {
        let rows = expected.get_mut(&lost.stream).unwrap();
        let end = lost.first_sequence + lost.records;
        rows.retain(|sequence, _| !(lost.first_sequence..end).contains(sequence));
    }
    expected
}

fn judge_all(golden: &Golden, cases: &[Case]) -> (u64, u64) {
    let (mut repairs, mut corrected) = (0, 0);
    for case in cases {
        match judge(golden, case) {
            Ok((did, all)) => {
                repairs += u64::from(did);
                corrected += u64::from(did && all);
            }
            Err(what) => panic!("{}: {what}", case.done),
        }
    }
    (repairs, corrected)
}

#[test]
fn any_damaged_bytes() {
    let (mut repairs, mut corrected) = (0, 0);
    for golden in Golden::all() {
        let step = (96 / scaled(1)).max(1) as usize;
        let (some, of_them) = judge_all(&golden, &in_bytes(&golden, step));
        assert!(some > 20, "{}: {some}", golden.name);
        repairs += some;
        corrected += of_them;
    }
    assert!(corrected * 10 > repairs * 8, "{corrected} of {repairs}");
    figure("repairs of damaged bytes", repairs);
}

#[test]
fn wrong_names() {
    let golden = Golden::all();
    let (mut repairs, mut corrected) = (0, 0);
    for (index, one) in golden.iter().enumerate() {
        let cases = in_names(one, &golden[(index + 1) % golden.len()]);
        let (some, of_them) = judge_all(one, &cases);
        repairs += some;
        corrected += of_them;
    }
    assert!(corrected >= 10, "{corrected} of {repairs}");
    figure("repairs of wrong names", repairs);
}

#[test]
fn a_missing_segment_stays_missing() {
    let golden = &Golden::all()[0];
    let mut files = golden.files.clone();
    files.remove("seg-00000003.presence").unwrap();
    let memory = device(&files);
    let (plan, repaired) = repair(&memory);
    assert!(plan.is_empty() && !plan.left.is_empty());
    assert_eq!(repaired.exit_code(), 4);
    assert_eq!(repaired.report.of(Code::SegmentMissing).count(), 1);
}

#[test]
fn a_writer_beside_it_is_refused() {
    let golden = &Golden::all()[0];
    let mut files = golden.files.clone();
    files.get_mut("seg-00000002.presence").unwrap()[200] ^= 1;
    let memory = device(&files);
    let plan = plan(&memory);
    let db = Database::open_on(Arc::new(memory.clone()), small()).unwrap();
    let before = crate::support::files(&memory);
    let error = repair::execute(&memory, &plan, &mut |_| true).unwrap_err();
    assert!(matches!(error, Error::Locked { .. }), "{error}");
    assert_eq!(crate::support::files(&memory), before);
    db.close().unwrap();
    // Nothing was changed by opening and closing a sealed database.
    let (_, repaired) = repair(&memory);
    assert_eq!(repaired.exit_code(), 1, "{:#?}", repaired.report);
}

#[test]
fn a_plan_is_executed_on_what_it_was_made_for() {
    let golden = &Golden::all()[0];
    let mut files = golden.files.clone();
    files.get_mut("seg-00000002.presence").unwrap()[200] ^= 1;
    let memory = device(&files);
    let plan = plan(&memory);
    memory.replace("seg-0000ffff.presence", b"new");
    let error = repair::execute(&memory, &plan, &mut |_| true).unwrap_err();
    assert!(matches!(error, Error::Changed { .. }), "{error}");
    let memory = device(&files);
    let error = repair::execute(&memory, &plan, &mut |_| false).unwrap_err();
    assert!(matches!(error, Error::Interrupted), "{error}");
    assert_eq!(crate::support::files(&memory), files);
    let options = presence_fsck::Options::default();
    let error = repair::plan(&memory, &options, &mut |_| false).unwrap_err();
    assert!(matches!(error, Error::Interrupted), "{error}");
}

#[test]
fn what_is_shown_is_what_is_done() {
    let golden = &Golden::all()[0];
    let mut files = golden.files.clone();
    files.get_mut("seg-00000002.presence").unwrap()[200] ^= 1;
    files.insert("seg-00000100.presence".to_owned(), vec![3; 10]);
    let memory = device(&files);
    let (plan, repaired) = repair(&memory);
    assert_eq!(plan.steps, repaired.steps);
    assert_eq!(plan.exit_code(), 4);
    let text = plan.to_string();
    let json = serde_json::to_value(&plan).unwrap();
    let after = crate::support::files(&memory);
    for step in &plan.steps {
        let (to, replacement) = match step {
            Step::Rewrite { to, replacement, .. } => (to, replacement),
            Step::SetAside { to, .. } => (to, to),
            other => panic!("{other}"),
        };
        assert!(text.contains(to.as_str()) && json["steps"].to_string().contains(to.as_str()));
        assert!(after.contains_key(to) && after.contains_key(replacement));
        assert!(!after.contains_key(step.file()) && !step.reasons().is_empty());
        assert_eq!(after[to], files[step.file()]);
    }
    assert_eq!(plan.steps.len(), 2, "{text}");
    let list = after.get(plan.list.as_ref().unwrap()).unwrap();
    let list: serde_json::Value = serde_json::from_slice(list).unwrap();
    assert_eq!(list["steps"], json["steps"]);
    assert!(repaired.answers()[2].starts_with("yes"));
}

#[test]
fn records_of_frames_outlive_their_block() {
    let golden = &Golden::all()[0];
    let (mut tried, mut saved) = (0, 0);
    for (file, bytes) in &golden.files {
        for at in (128..bytes.len() - 128).step_by(64) {
            if !bytes[at..].starts_with(b"PRSe") || bytes[at + 20] != 2 {
                continue;
            }
            let mut damaged = golden.files.clone();
            damaged.get_mut(file).unwrap()[at + 130] ^= 4;
            let memory = device(&damaged);
            let (plan, repaired) = repair(&memory);
            assert_eq!(repaired.exit_code(), 1, "{plan}");
            tried += 1;
            saved += u64::from(repaired.report.lost.is_empty());
        }
    }
    assert!(saved > 0 && tried > 10, "{saved} of {tried}");
}

#[test]
fn each_vector() {
    let folder =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../format-spec/vectors/v1");
    let mut repairs = 0;
    for entry in folder.read_dir().unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "presence") {
            continue;
        }
        let bytes = std::fs::read(&path).unwrap();
        let number = u32::from_le_bytes(bytes[32..36].try_into().unwrap());
        let name = format!("seg-{number:08x}.presence");
        let mut places = vec![None];
        places.extend((128..bytes.len()).step_by((bytes.len() / 40).max(64)).map(Some));
        for at in places {
            let mut damaged = bytes.clone();
            if let Some(at) = at {
                damaged[at] ^= 0x10;
            }
            let files = Files::from([(name.clone(), damaged)]);
            let memory = device(&files);
            let before = check(&memory);
            let (plan, repaired) = repair(&memory);
            let after = crate::support::files(&memory);
            keeps_all(&files, &after).unwrap();
            let tell = || format!("{} at {at:?}: {plan}\n{:#?}", path.display(), repaired.report);
            // Of a plane only the words that count are kept.
            let is_track = path.file_name().unwrap().to_string_lossy().starts_with("track-");
            let kept = repaired.report.totals.records >= before.totals.records;
            assert!(is_track || kept, "{}", tell());
            assert!(super::support::plan(&memory).is_empty(), "{}", tell());
            let is_left = !plan.left.is_empty() || before.of(Code::SegmentMissing).count() > 0;
            if before.exit_code & 4 == 4 && !is_left {
                repairs += 1;
                assert_eq!(repaired.exit_code(), 1, "{}", tell());
                let db = Database::open_on(Arc::new(memory), small()).unwrap();
                assert!(db.report().damage.is_empty(), "{}: {:?}", tell(), db.report());
            }
        }
    }
    assert!(repairs > 300, "{repairs}");
    figure("repairs of golden vectors", repairs);
}

#[test]
fn an_empty_directory_is_no_database() {
    let memory = MemoryDevice::new();
    let options = presence_fsck::Options::default();
    let error = repair::plan(&memory, &options, &mut |_| true).unwrap_err();
    assert!(matches!(error, Error::NotADatabase { .. }), "{error}");
}
