//! `presence import`, killed: the database opens at once and tells exactly what it holds, which is
//! the first of the records in the order of time.
//!
//! # Invariants
//! - No case depends on how fast the machine is: every moment of the import is as good as another.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use presence::{Database, Options, class};
use presence_inject::{Effect, End, Plan};

use crate::support::{Place, figure, program, recordings, say_skipped, scaled};

/// Not in the order of time: its records are sorted on the way.
const RECORDING: &str = "JonathonLuiten+TrackEval/MOT17-04-SDP_MPNTrack.txt";

/// The recording to import, or one of the same size and shape made in `place`.
fn source(place: &Place) -> PathBuf {
    if let Some(path) = recordings().map(|dir| dir.join(RECORDING)).filter(|path| path.is_file()) {
        return path;
    }
    let rows = (0..60_u64).flat_map(|track| (1..1050_u64).map(move |frame| (track, frame)));
    let row = |(track, frame): (u64, u64)| {
        let x = (frame * 7 + track * 13) % 1900;
        format!("{frame},{track},{x}.25,{}.5,30.0,64.0,1,1,0.75\n", (frame + track) % 1000)
    };
    place.file("generated.txt", &rows.map(row).collect::<String>())
}

/// Every record of the only stream: timestamp and columns; empty where there is none.
fn records(db: &Path) -> Vec<(i64, Vec<u8>)> {
    let db = Database::open_read_only(db, Options::default()).unwrap();
    let Some(stream) = db.streams().into_iter().next() else { return Vec::new() };
    let record = |record: presence::RecordRef| {
        let columns = 0..stream.schema().columns().len();
        (record.ts(), columns.flat_map(|column| record.column_bytes(column).to_vec()).collect())
    };
    stream.iter().unwrap().map(|next| record(next.unwrap())).collect()
}

/// The observed ticks of the track beside the stream, and those at which its first class was there.
fn ticks(db: &Path) -> [Vec<i64>; 2] {
    let db = Database::open_read_only(db, Options::default()).unwrap();
    let Ok(track) = db.track("s") else { return [Vec::new(), Vec::new()] };
    let first = track.classes().first().map_or(0, |class| class.id);
    [class(first) | !class(first), class(first)].map(|expression| {
        let times = track.timestamps(&expression, ..).unwrap();
        times.map(|time| time.unwrap()).collect()
    })
}

/// The import of `source` into the database `db`.
fn import(source: &Path, db: &Path) -> Command {
    let mut command = program();
    command.args(["import", "--stream", "s", "--into"]).arg(db).arg(source);
    command
}

/// Checks what an import that was cut off left in `db`. Returns how many records.
fn check(place: &Place, all: &[(i64, Vec<u8>)], replay: &str) -> usize {
    let ran = place.run("info db --json");
    if ran.code == 3 {
        // Killed before the database was there: it can be made. (No code but these two.)
        let made = ["not_a_database", "io"].contains(&ran.kind().as_str());
        assert!(made, "{}\nreplay: {replay}", ran.err);
        place.file("one.csv", "time_us,x\n1,2\n");
        place.run("import one.csv --into db").code(0);
        return 0;
    }
    assert_eq!(ran.code, 0, "{}{}\nreplay: {replay}", ran.out, ran.err);
    let info = ran.json();
    assert_eq!(info["report"]["damage"].as_array().unwrap().len(), 0, "replay: {replay}");
    let held = records(&place.path("db"));
    let told =
        info["streams"].as_array().unwrap().first().map_or(0, |s| s["records"].as_u64().unwrap());
    assert_eq!(told, held.len() as u64, "info and a full scan differ\nreplay: {replay}");
    assert!(held == all[..held.len()], "not the first {told} records\nreplay: {replay}");
    // Of the track too the first ticks: what was seen was looked at, and recovery keeps it.
    let [observed, seen] = ticks(&place.path("db"));
    assert!(observed.is_sorted() && observed.windows(2).all(|two| two[1] - two[0] <= 33_334));
    let was_looked_at = seen.iter().all(|time| observed.binary_search(time).is_ok());
    assert!(was_looked_at, "{} seen, {} observed\nreplay: {replay}", seen.len(), observed.len());
    // A writer finds the same, and after it nothing is left to be said.
    place.run("compact db").code(0);
    let again = place.run("info db --json").code(0).json();
    assert_eq!(again["report"]["clean"], true, "{}\nreplay: {replay}", again["report"]);
    assert!(records(&place.path("db")) == held, "recovery changed it\nreplay: {replay}");
    assert!(ticks(&place.path("db")) == [observed, seen], "its track\nreplay: {replay}");
    held.len()
}

/// Returns once the database has a segment, or the import has ended.
fn wait_for_segment(child: &mut Child, place: &Place) {
    let is_there = || place.path("db").is_dir() && !place.segments("db").is_empty();
    while !is_there() && child.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_micros(200));
    }
}

fn line(test: &str) -> String {
    format!("cargo test -p presence-cli --test cli -- --exact kills::{test} --nocapture")
}

/// Kills imports of `source` at moments spread over what they do.
fn kill_at_any_moment(place: &Place, source: &Path, more: &[&str], kills: u64, test: &str) {
    let begin = |db: &Path| {
        let mut command = import(source, db);
        command.args(more).stdout(Stdio::null()).stderr(Stdio::null());
        (command.spawn().unwrap(), Instant::now())
    };
    // How long it reads, and how long it writes.
    let (mut child, started) = begin(&place.path("db"));
    wait_for_segment(&mut child, place);
    let reading = started.elapsed();
    assert!(child.wait().unwrap().success());
    let writing = started.elapsed() - reading;
    let all = records(&place.path("db"));
    let mut held = Vec::new();
    for kill in 0..kills {
        let place = Place::new();
        let (mut child, _) = begin(&place.path("db"));
        // The moments are spread over the reading, and, with more of them, over the writing.
        let part = kill as f64 / kills as f64;
        if kill % 4 == 0 {
            std::thread::sleep(reading.mul_f64(part));
        } else {
            wait_for_segment(&mut child, &place);
            std::thread::sleep(writing.mul_f64(part));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        held.push(check(&place, &all, &line(test)));
    }
    figure("imports killed at a random time", kills);
    println!("{kills} imports of {} records killed, which left {held:?}", all.len());
}

#[test]
fn an_import_killed_at_any_moment() {
    let place = Place::new();
    let source = source(&place);
    kill_at_any_moment(&place, &source, &[], scaled(40), "an_import_killed_at_any_moment");
}

#[test]
fn a_recording_of_events_killed_at_any_moment() {
    let place = Place::new();
    let source = place.events("made.raw", presence_events::Format::Evt2, 100_000);
    // No memory for a window: events are written while others are decoded.
    let more = ["--memory-limit", "1MiB"];
    let test = "a_recording_of_events_killed_at_any_moment";
    kill_at_any_moment(&place, &source, &more, scaled(16), test);
}

#[test]
fn an_import_cut_off_at_system_calls() {
    if let Err(why) = presence_inject::available() {
        return say_skipped(&format!("faults at system calls: {why}"));
    }
    let place = Place::new();
    let source = source(&place);
    let run = |place: &Place, plan: Plan| {
        let out = || File::create(place.path("out")).unwrap();
        let command = import(&source, &place.path("db"));
        let beneath = place.path("db");
        std::fs::create_dir(&beneath).unwrap();
        presence_inject::run(&command, &beneath, plan, out(), out()).unwrap()
    };
    let calm = run(&place, Plan { at: 0, effect: Effect::Short, sticky: false });
    assert_eq!(calm.end, End::Code(0));
    let all = records(&place.path("db"));
    let effects =
        [Effect::KillBefore, Effect::KillHalf, Effect::KillAfter, Effect::Full, Effect::Error(5)];
    let cuts = scaled(60).min(calm.calls);
    for cut in 0..cuts {
        let at = 1 + cut * calm.calls / cuts;
        let effect = effects[cut as usize % effects.len()];
        let place = Place::new();
        let ran = run(&place, Plan { at, effect, sticky: false });
        let replay =
            format!("{}  # call {at}, {effect:?}", line("an_import_cut_off_at_system_calls"));
        let words = std::fs::read_to_string(place.path("out")).unwrap();
        assert!(!words.contains("panicked") && ran.end != End::Hung, "{words}\nreplay: {replay}");
        check(&place, &all, &replay);
    }
    figure("imports cut off at a system call", cuts);
    println!("{cuts} of {} system calls of an import of {} records", calm.calls, all.len());
}
