//! Every kind of damage, judged, repaired and salvaged by the real program.
//!
//! What is judged or shown changes nothing; what is shown is what is done; nothing is removed; a
//! second repair has nothing to do; a copy is sound.

use std::collections::BTreeMap;

use serde_json::Value;

use super::corpus::{Case, cases, fsck, quick_dir, read, seen, write};
use super::shapes;
use crate::support::figure;

const QUESTIONS: [&str; 4] =
    ["Is my data safe?", "What is missing?", "Was anything changed?", "What next?"];

/// The last four lines answer what everybody asks.
#[track_caller]
fn has_answers(text: &str) {
    let lines: Vec<&str> = text.lines().rev().take(4).collect();
    let asked = lines.iter().rev().zip(QUESTIONS);
    assert!(asked.clone().count() == 4 && asked.clone().all(|(l, q)| l.starts_with(q)), "{text}");
}

/// Codes met, by call.
type Codes = BTreeMap<(&'static str, i32), u64>;

fn judged(case: &Case, codes: &mut Codes) -> i32 {
    let place = quick_dir();
    let db = place.path().join("db");
    write(&db, &case.files);
    let before = seen(&db);
    let mut by_level = Vec::new();
    for (call, words) in [
        ("judge quick", "--quick db"),
        ("judge", "db"),
        ("judge deep", "--deep db"),
        ("judge strict", "--strict db"),
    ] {
        let told = fsck(place.path(), words);
        has_answers(&told.out);
        assert!(told.err.is_empty(), "{}", told.err);
        let ran = fsck(place.path(), &format!("{words} --json")).code(told.code);
        let json = ran.json();
        shapes::report(&json);
        assert_eq!(json["exit_code"], ran.code, "{words}");
        assert!([0, 4, 8, 12].contains(&ran.code), "{words}: {}", ran.code);
        // Only notes, and nothing lost that is not known: that is what sound means.
        let findings = json["findings"].as_array().unwrap();
        let notes = findings.iter().all(|one| one["severity"] == "note");
        let lost = json["lost"].as_array().unwrap().iter().any(|one| one["known_since"].is_null());
        if call != "judge strict" {
            assert_eq!(notes && !lost, ran.code == 0, "{words}: {json}");
        }
        *codes.entry((call, ran.code)).or_default() += 1;
        by_level.push(ran.code);
    }
    let [quick, usual, deep, strict] = by_level[..] else { panic!("four calls") };
    // What a lower level finds a higher one finds, too.
    assert_eq!((quick & !usual, usual & !deep, usual & !strict), (0, 0, 0), "{by_level:?}");
    assert!(usual != 0 || !case.is_damage, "damage that nobody finds");
    assert_eq!(seen(&db), before, "judging changed something");
    usual
}

/// As the program says it, without where a plan has it.
fn steps(json: &Value) -> Vec<Value> {
    json["steps"].as_array().unwrap().clone()
}

fn repaired(case: &Case, usual: i32, codes: &mut Codes) -> bool {
    let place = quick_dir();
    let db = place.path().join("db");
    write(&db, &case.files);
    let before = seen(&db);
    let run = |words: &str| fsck(place.path(), &format!("--repair {words} db"));
    let shown = run("-n");
    let json = run("-n --json").code(shown.code).json();
    shapes::plan(&json);
    assert!([0, 4, 8, 12].contains(&shown.code) && shown.err.is_empty(), "{}", shown.err);
    assert_eq!(shown.code == 0, usual == 0, "a check says {usual}, the plan {}", shown.code);
    assert_eq!(seen(&db), before, "-n changed something");
    *codes.entry(("repair -n", shown.code)).or_default() += 1;

    // Nobody is there to be asked: nothing is done.
    let unasked = run("");
    let has_steps = !steps(&json).is_empty();
    assert_eq!(unasked.code, if has_steps { 16 } else { shown.code }, "{}", unasked.err);
    assert_eq!(seen(&db), before, "nobody said yes");

    let done = run("-y");
    *codes.entry(("repair -y", done.code)).or_default() += 1;
    assert!(done.out.starts_with(&shown.out), "shown: {}\ndone: {}", shown.out, done.out);
    let after = read(&db);
    for (name, bytes) in &case.files {
        assert!(after.values().any(|other| other == bytes), "what {name} held is gone");
    }
    if !has_steps {
        assert_eq!((done.code, after), (shown.code, case.files.clone()));
        return false;
    }
    has_answers(&done.out);
    assert_eq!(done.code & 1, 1);
    let now = fsck(place.path(), "db").code(done.code & !1);
    let list = after.get(json["list"].as_str().unwrap()).unwrap();
    let list: Value = serde_json::from_slice(list).unwrap();
    assert_eq!(steps(&list), steps(&json), "another plan was carried out");
    for step in steps(&json) {
        let name = |field: &str| step[field].as_str().map(str::to_owned);
        let (file, to) = (name("file").unwrap(), name("to").unwrap());
        assert_eq!(after.get(&to), case.files.get(&file), "{step}");
        assert!(name("replacement").is_none_or(|file| after.contains_key(&file)), "{step}");
    }
    let settled = seen(&db);
    for words in ["-n", "-y", ""] {
        let again = run(words).code(now.code);
        assert!(again.out.starts_with("nothing to repair\n"), "{}", again.out);
    }
    assert_eq!(seen(&db), settled, "a second repair changed something");
    true
}

/// As [`repaired`], for the document that `-y` writes.
fn repaired_json(case: &Case) {
    let place = quick_dir();
    write(&place.path().join("db"), &case.files);
    let shown = fsck(place.path(), "--repair -n --json db").json();
    let done = fsck(place.path(), "--repair -y --json db");
    let json = done.json();
    shapes::repaired(&json);
    assert_eq!((steps(&json), &json["list"]), (steps(&shown), &shown["list"]));
    assert_eq!(json["report"]["exit_code"], done.code & !1);
}

fn salvaged(case: &Case, codes: &mut Codes) {
    let place = quick_dir();
    let db = place.path().join("db");
    write(&db, &case.files);
    let before = seen(&db);
    let there = fsck(place.path(), "--deep --json db").json()["totals"]["records"].clone();
    let told = fsck(place.path(), "--salvage out db");
    let ran = fsck(place.path(), "--salvage again db --json").code(told.code);
    *codes.entry(("salvage", ran.code)).or_default() += 1;
    assert_eq!(seen(&db), before, "salvaging changed its source");
    has_answers(&told.out);
    let json = ran.json();
    shapes::salvaged(&json);
    let is_complete = json["lost"] == Value::from(vec![0; 0])
        && json["unread"] == json["lost"]
        && json["uncounted_frames"] == 0;
    assert_eq!(is_complete, ran.code == 0, "{json}");
    let copy = fsck(place.path(), "--deep --strict --json out").code(0).json();
    assert_eq!(copy["totals"]["records"], json["records"]);
    assert!(there.as_u64() <= json["records"].as_u64(), "{there} were there: {json}");
    let report = std::fs::read(place.path().join("again/salvage.json")).unwrap();
    let report: Value = serde_json::from_slice(&report).unwrap();
    assert_eq!(report, json);
    let refused = fsck(place.path(), "--salvage out db --json").code(16);
    assert_eq!(refused.kind(), "usage");
    assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 3, "something was left");
}

#[test]
fn every_damage_is_judged_repaired_and_salvaged() {
    let cases = cases();
    let mut codes = Codes::new();
    let mut repairs = 0;
    for case in &cases {
        let _told = Told(&case.name);
        let usual = judged(case, &mut codes);
        if repaired(case, usual, &mut codes) {
            repairs += 1;
            repaired_json(case);
        }
        salvaged(case, &mut codes);
    }
    assert!(cases.len() >= 60 && repairs >= 40, "{repairs} of {}", cases.len());
    for wanted in [
        ("judge", 0),
        ("judge", 4),
        ("judge", 8),
        ("judge quick", 0),
        ("judge quick", 4),
        ("judge strict", 4),
        ("repair -n", 0),
        ("repair -n", 4),
        ("repair -y", 0),
        ("repair -y", 1),
        ("repair -y", 4),
        ("salvage", 0),
        ("salvage", 1),
    ] {
        assert!(codes.contains_key(&wanted), "never met: {wanted:?}: {codes:?}");
    }
    figure("damaged databases judged and mended by the tool", cases.len() as u64);
    println!("{} cases, {repairs} repairs: {codes:?}", cases.len());
}

/// Names the case that failed.
struct Told<'a>(&'a str);

impl Drop for Told<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("case: {}", self.0);
        }
    }
}
