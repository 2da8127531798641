//! Presence tracks: filled by an import, and asked.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::{Place, figure, recordings, say_skipped};

/// Frames 1, 2 and 4 at the default of 30 a second; frame 3 is named by nobody.
const MOT: &str = "4,1,1,2,3,4,1,1,1\n1,1,1,2,3,4,1,1,1\n2,1,1,2,3,4,0,1,1\n\
     1,2,1,2,3,4,0.5,3,1\n4,2,1,2,3,4,0.49999999,3,1\n";

/// What a plain reading of the same file computes.
fn by_python(kind: &str, file: &Path, threshold: &str, rate: &str, range: [i64; 2]) -> Value {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/tracks.py");
    let mut python = Command::new("python3");
    python.arg(script).arg(kind).arg(file).args([threshold, rate]);
    let output = python.args(range.map(|t| t.to_string())).output().unwrap();
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{err}\n{python:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn has_python() -> bool {
    let has = Command::new("python3").arg("--version").output().is_ok();
    if !has {
        say_skipped("no python3 to compute what tracks should answer");
    }
    has
}

/// Asks the three questions of one class.
fn asked(place: &Place, track: &str, class: &str, range: &[&str]) -> Value {
    let quoted = format!("{class:?}");
    let ask = |command: &str| {
        let words = [&[command, "db", track, &quoted, "--json"], range].concat();
        let ran = place.run_words(&words);
        assert!(ran.code < 2, "{words:?}: {}", ran.err);
        ran.json()
    };
    json!({"ratio": ask("ratio"), "times": ask("times"), "intervals": ask("intervals")})
}

#[test]
fn every_recording_answers_as_plain_python_computes() {
    let Some(dir) = recordings() else { return };
    if !has_python() {
        return;
    }
    let manifest = std::fs::read(dir.join("MANIFEST.json")).unwrap();
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    let place = Place::new();
    let (mut files, mut classes) = (0, 0);
    for entry in manifest.as_array().unwrap() {
        let (path, format) = (entry["path"].as_str().unwrap(), entry["format"].as_str().unwrap());
        // The default rates, one that is no whole number, and thresholds beside the default.
        let (kind, rate, threshold) = match format.split([' ', '1']).next() {
            Some("MOT") if path.contains("SDP") => ("mot", "30000/1001", "0.5"),
            Some("MOT") if path.contains("Bahnhof") => ("mot", "14/1", "0.9"),
            Some("MOT") => ("mot", "30/1", "0.5"),
            Some("KITTI") => ("kitti", "10/1", "0.5"),
            _ => continue,
        };
        let full = dir.join(path);
        let import = ["import", full.to_str().unwrap(), "--into", "db", "--stream", path];
        let more = ["--frame-rate", rate, "--threshold", threshold];
        place.run_words(&[&import[..], &more].concat()).code(0);
        let range = [2_033_333, 15_400_001];
        let want = by_python(kind, &full, threshold, rate, range);
        let texts = range.map(|t| t.to_string());
        for (class, told) in want["classes"].as_object().unwrap() {
            assert_eq!(asked(&place, path, class, &[]), told["all"], "{path} {class}");
            let range = [texts[0].as_str(), &texts[1]];
            assert_eq!(asked(&place, path, class, &range), told["range"], "{path} {class}");
            classes += 1;
        }
        files += 1;
        let info = place.run("info db --json").code(0).json();
        let tracks = info["tracks"].as_array().unwrap();
        let track = tracks.iter().find(|track| track["name"] == path).unwrap();
        assert_eq!(track["observed"], want["observed"], "{path}");
        assert_eq!(track["rate"], rate, "{path}");
    }
    assert_eq!(files, 13, "MOT and KITTI files of the manifest");
    figure("classes of recordings whose presence equals a plain computation", classes);
}

#[test]
fn frames_are_ticks_and_sure_detections_are_present() {
    let place = Place::new();
    place.file("gt.txt", MOT);
    let answer = place.run("import gt.txt --into db --json").code(0).json();
    let track = json!({"name": "gt", "rate": "30/1", "threshold": 0.5, "records_kept": 3});
    assert_eq!(answer["streams"][0]["track"], track);
    // Frame 2 is at 33,333.3 us: its stream says 33,333 and its tick begins at 33,334.
    for (class, times) in [("1", "[0,100000]\n"), ("3", "[0]\n"), ("!1", "[33334]\n")] {
        assert_eq!(place.run(&format!("times db gt {class} --json")).code(0).out, times);
    }
    assert_eq!(place.run("times db gt Pedestrian --limit 1").code(0).out, "0\n");
    let ratio = place.run("ratio db gt Pedestrian --json").code(0).json();
    assert_eq!(ratio, json!({"ratio": 2.0 / 3.0, "present": 2, "observed": 3, "range_ticks": 4}));
    let over = place.run("ratio db gt Car --over range --json").code(0).json();
    assert_eq!(over["ratio"], 0.25);
    // The frames of a range are those that the stream has in it.
    let ratio = place.run("ratio db gt 1 33333 100000 --json").code(0).json();
    assert_eq!(ratio, json!({"ratio": 0.0, "present": 0, "observed": 1, "range_ticks": 2}));
    let info = place.run("info db --json").code(0).json();
    let track = &info["tracks"][0];
    assert_eq!((&track["first_ts"], &track["last_ts"]), (&json!(0), &json!(100_000)));
    assert_eq!(track["classes"][0], json!({"id": 1, "name": "Pedestrian"}));
    assert_eq!(info["streams"].as_array().unwrap().len(), 1);
    let text = place.run("info db").code(0).out;
    assert!(text.contains("30/1") && text.contains("1 Pedestrian"), "{text}");
}

#[test]
fn a_track_is_counted_in_ticks_and_classes() {
    let place = Place::new();
    place.file("gt.txt", MOT);
    place.run("import gt.txt --into db").code(0);
    let info = place.run("info db").code(0).out;
    assert!(info.starts_with("db: 1 stream, 1 track, 1 segment, "), "{info}");
    assert!(info.contains(" 5  sealed"), "the records of the stream alone: {info}");
    assert_eq!(place.run("info db --json").json()["segments"][0]["records"], 5);
    let text = place.run("backup db text").code(0).out;
    let held = "text: 1 stream with 5 records, 1 track with 3 observed ticks, ";
    assert!(text.starts_with(held), "{text}");
    let told = place.run("backup db told --json").code(0).json();
    assert_eq!((&told["records"], &told["ticks"]), (&json!(5), &json!(3)));
    assert_eq!(told["tracks"], json!([{"name": "gt", "classes": 13, "observed": 3}]));
    assert_eq!(told["streams"].as_array().unwrap().len(), 1);
    let compacted = place.run("compact db").code(0).out;
    assert!(compacted.contains("with 5 records and 3 observed ticks"), "{compacted}");
    let compacted = place.run("compact text --json").code(0).json();
    assert_eq!((&compacted["records"], &compacted["ticks"]), (&json!(5), &json!(3)));
    assert!(place.run("retain db --older-than 1d").code(2).err.contains("stream \"gt\""));
    let gone = place.run("retain db --before 1000s").code(0).out;
    assert!(gone.contains("with 5 records and 3 observed ticks"), "{gone}");
    let gone = place.run("retain text --before 1000s --json").code(0).json();
    assert_eq!((&gone["records"], &gone["ticks"]), (&json!(5), &json!(3)));
}

#[test]
fn a_second_import_does_to_the_track_what_it_does_to_the_stream() {
    let place = Place::new();
    place.file("gt.txt", MOT);
    place.file("gt2.txt", "9,1,1,2,3,4,1,1,1\n10,1,1,2,3,4,1,77,1\n");
    let kitti = |frame: u32, class: &str| {
        format!("{frame} 1 {class} 0 0 -1.7 29 16 45 29 2.0 1.8 4.4 -4.5 1.8 13.4 -2.1\n")
    };
    place.file("a.txt", &[kitti(0, "Bus"), kitti(1, "Person")].concat());
    place.file("b.txt", &[kitti(2, "Scooter"), kitti(3, "Bus")].concat());
    place.run("import gt.txt --into db").code(0);
    let observed = || place.run("ratio db gt 1 --json").json()["observed"].clone();
    place.run("import gt.txt --into db").code(2);
    let other = place.run("import gt2.txt --into db --stream gt --frame-rate 25").code(2);
    assert!(other.err.contains("--no-track"), "{}", other.err);
    assert_eq!(
        (observed(), place.run("at db gt 1d --json").json()["ts"].clone()),
        (json!(3), json!(100_000))
    );
    place.run("import gt2.txt --into db --stream gt").code(0);
    assert_eq!(observed(), 5);
    assert_eq!(place.run("times db gt 77 --json").code(0).out, "[300000]\n");
    // Names are the same in all files; numbers that files make up are not.
    place.run("import a.txt --into db --stream k").code(0);
    place.run("import b.txt --into db --stream k").code(0);
    for (class, times) in
        [("Bus", "[0,300000]\n"), ("Scooter", "[200000]\n"), ("Person_sitting", "[100000]\n")]
    {
        assert_eq!(place.run(&format!("times db k {class} --json")).code(0).out, times);
    }
    place.run("import gt.txt --into other --no-track").code(0);
    assert_eq!(place.run("info other --json").json()["tracks"], json!([]));
    place.run("import gt.txt --into none --threshold 1.5").code(2);
    place.run("import gt.txt --into none --threshold nan").code(2);
    let fast = place.run("import gt.txt --into none --frame-rate 1000001").code(2);
    assert!(fast.err.contains("at most 1000000"), "{}", fast.err);
}

#[test]
fn intervals_and_pieces_of_time() {
    let place = Place::new();
    // An hour at a frame a minute: there for ten minutes, away for two, there for five, and once.
    let there = (0..10).chain(12..17).chain([40]);
    let there: Vec<i32> = there.collect();
    let line = |frame: i32| {
        let sure = i32::from(there.contains(&frame));
        format!("{},1,1,2,3,4,{sure},1,1\n", frame + 1)
    };
    place.file("gt.txt", &(0..60).map(line).collect::<String>());
    place.run("import gt.txt --into db --frame-rate 1/60").code(0);
    let spans = |more: &str| -> Vec<(i64, i64)> {
        let list = place.run(&format!("intervals db gt Pedestrian --json {more}")).code(0).json();
        let minute = |time: &Value| time.as_i64().unwrap() / 60_000_000;
        let spans = list.as_array().unwrap().iter();
        spans.map(|one| (minute(&one["enter"]), minute(&one["leave"]))).collect()
    };
    assert_eq!(spans(""), [(0, 10), (12, 17), (40, 41)]);
    assert_eq!(spans("--close-gaps 2min"), [(0, 17), (40, 41)]);
    assert_eq!(spans("--drop-shorter 300000001"), [(0, 10)]);
    assert_eq!(spans("--close-gaps 120000000 --drop-shorter 2m"), [(0, 17)]);
    let text = place.run("intervals db gt 1").code(0).out;
    assert!(text.contains("3 intervals, 960 s together"), "{text}");
    let pieces = place.run("ratio db gt 1 --every 30min --json").code(0).json();
    let counts = |piece: &Value| (piece["from"].clone(), piece["present"].clone());
    let counts: Vec<_> = pieces.as_array().unwrap().iter().map(counts).collect();
    assert_eq!(counts, [(json!(0), json!(15)), (json!(1_800_000_000_i64), json!(1))]);
    // A day there begins at half past.
    let day = "ratio db gt 1 --every 1d --zone -00:30 --json";
    let day: Vec<Value> = place.run(day).code(0).json().as_array().unwrap().clone();
    assert_eq!((day.len(), &day[0]["to"]), (2, &json!(1_800_000_000_i64)));
    place.run("ratio db gt 1 --every 2h --zone UTC").code(2);
    place.run("ratio db gt 1 --every 1h --zone Nowhere/None").code(2);
    place.run("ratio db gt 1 --every 0s").code(2);
    let text = place.run("ratio db gt 1 --every 30min").code(0).out;
    assert!(text.contains("0.5000  ██████████ "), "{text}");
}

#[test]
fn a_timeline_tells_absence_from_a_gap() {
    let place = Place::new();
    let line = |frame: i32| format!("{frame},1,1,2,3,4,{},1,1\n", i32::from(frame <= 4));
    let frames = (1..=8).chain(13..=16);
    place.file("gt.txt", &frames.map(line).collect::<String>());
    place.run("import gt.txt --into db --frame-rate 1").code(0);
    let drawn = place.run("timeline db gt --width 55").code(0).out;
    let lane = drawn.lines().next().unwrap();
    let want = format!("{}{}{}{}", "█".repeat(8), "·".repeat(8), "░".repeat(8), "·".repeat(8));
    assert!(lane.starts_with("Pedestrian") && lane.contains(&want), "{drawn}");
    assert!(lane.ends_with(" 33.3 %"), "{drawn}");
    assert!(drawn.contains("not seen there: Person on vehicle"), "{drawn}");
    let zoomed = place.run("timeline db gt 3s 7s --lane !1 --width 24 --json").code(0).json();
    assert_eq!(zoomed["lanes"][0]["columns"], json!([0.0, 1.0, 1.0, 1.0]));
    assert_eq!((&zoomed["from"], &zoomed["to"]), (&json!(3_000_000), &json!(7_000_000)));
    let gap = place.run("timeline db gt 9s 12s").code(1);
    assert!(gap.err.contains("no data"), "{}", gap.err);
}

#[test]
fn questions_that_cannot_be_asked() {
    let place = Place::new();
    place.file("gt.txt", MOT);
    place.file("a.csv", "t_us,x\n1,1\n");
    place.run("import gt.txt a.csv --into db").code(0);
    for (words, code, word) in [
        (["ratio", "db", "gt", "Car & & 3"], 2, "column 7 of the expression"),
        (["times", "db", "gt", "Car)"], 2, "at the mark: Car▶)"),
        (["intervals", "db", "gt", "(Car"], 2, "at the mark: ▶(Car"),
        (["ratio", "db", "gt", "Bus"], 2, "the track has \"Pedestrian\""),
        (["ratio", "db", "a", "1"], 2, "it holds \"gt\""),
        (["times", "db", "gt", "99"], 1, "no data"),
        (["intervals", "db", "gt", "99"], 1, "no data"),
    ] {
        let ran = place.run_words(&words).code(code);
        assert!(ran.err.contains(word) && ran.err.lines().count() == 1, "{words:?}: {}", ran.err);
    }
    let ran = place.run("ratio db gt 1 1h 2h --json").code(1);
    assert_eq!((&ran.json()["ratio"], &ran.json()["observed"]), (&Value::Null, &json!(0)));
    assert_eq!(place.run("ratio db gt 1 2s 1s --json").code(2).kind(), "reversed_range");
    place.run("ratio db gt 1 2s").code(2);
}
