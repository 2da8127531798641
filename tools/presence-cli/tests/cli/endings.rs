//! Exit codes, errors, retention and compaction.

use presence::{Database, Level, Options, schema_of};

use crate::support::Place;

/// Three segments: `s` holds 30,000 records, 10,000 in each, at 0, 1, 2, … seconds.
fn place() -> Place {
    let place = Place::new();
    for part in 0..3_i64 {
        let db = Database::open_or_create(place.path("db"), Options::default()).unwrap();
        let stream = db.stream("s").or_else(|_| db.create_stream("s", schema_of::<f64>().unwrap()));
        let mut writer = stream.unwrap().writer::<f64>().unwrap();
        for record in part * 10_000..(part + 1) * 10_000 {
            writer.append(record * 1_000_000, record as f64).unwrap();
        }
        drop(writer);
        db.close().unwrap();
    }
    place
}

#[test]
fn usage_is_two_and_names_are_given() {
    let place = place();
    for (words, kind) in [
        ("at db nix 5", "no_such_stream"),
        ("at db s yesterday", "usage"),
        ("at db", "usage"),
        ("frobnicate", "usage"),
        ("retain db", "usage"),
        ("retain db --older-than 30", "usage"),
        ("window db s 1 2 --before 3 --span 3", "usage"),
    ] {
        assert_eq!(place.run(&format!("{words} --json")).code(2).kind(), kind, "{words}");
        place.run(words).code(2);
    }
    assert!(place.run("at db nix 5").err.contains("\"s\""));
    assert!(place.run("--version").code(0).out.starts_with("presence 0."));
    assert!(place.run("window --help").code(0).out.contains("--carry-in"));
}

#[test]
fn errors_are_one_line_without_control_characters() {
    let place = Place::new();
    let ran = place.run_words(&["info", "a\nb\x1b[31m"]).code(3);
    assert_eq!(ran.err.lines().count(), 1);
    assert!(ran.err.starts_with("presence: ") && !ran.err.contains('\x1b'), "{:?}", ran.err);
}

#[test]
fn what_is_no_database_is_three() {
    let place = Place::new();
    place.file("file", "x");
    std::fs::create_dir(place.path("empty")).unwrap();
    for (path, kind) in [("none", "io"), ("empty", "not_a_database")] {
        assert_eq!(place.run(&format!("info {path} --json")).code(3).kind(), kind, "{path}");
    }
    place.run("info file").code(3);
    assert!(!place.path("none").exists());
    assert!(place.run("info none").err.contains("presence import"));
}

#[test]
fn a_second_writer_is_told_who_writes() {
    let place = place();
    let db = Database::open(place.path("db"), Options::default()).unwrap();
    let ran = place.run("compact db --json").code(3);
    assert_eq!(ran.kind(), "locked");
    assert!(ran.err.contains(&std::process::id().to_string()), "{}", ran.err);
    place.run("at db s 5s").code(0);
    drop(db);
}

#[test]
fn damage_is_four_and_the_rest_stays_readable() {
    let place = place();
    let segment = &place.segments("db")[1];
    // One value, wherever it stands: in its block, and in a flush frame if there was one.
    let mut bytes = std::fs::read(segment).unwrap();
    let value = 15_000_f64.to_le_bytes();
    let at: Vec<usize> = (0..bytes.len() - 8).filter(|&at| bytes[at..at + 8] == value).collect();
    assert!(!at.is_empty());
    at.iter().for_each(|&at| bytes[at] ^= 1);
    std::fs::write(segment, bytes).unwrap();
    let ran = place.run("window db s 10000s 20000s --format csv -o out.csv --json").code(4);
    assert!(matches!(ran.kind().as_str(), "corrupt" | "gap"), "{}", ran.err);
    assert!(!place.path("out.csv").exists());
    place.run("at db s 5s").code(0);
    place.run("at db s 25000s").code(0);
    place.run("compact db").code(4);
    place.run("at db s 25000s").code(0);
}

#[test]
fn damage_that_opening_finds_is_shown() {
    let place = place();
    let segment = &place.segments("db")[1];
    std::fs::write(segment, vec![0_u8; 4096]).unwrap();
    let ran = place.run("info db --json").code(4);
    let report = &ran.json()["report"];
    assert_eq!(report["clean"], false);
    assert!(place.run("info db").code(4).out.contains("DAMAGED"));
}

#[test]
fn a_killed_writer_is_no_damage() {
    let place = Place::new();
    let db = Database::create(place.path("db"), Options::default()).unwrap();
    let stream = db.create_stream("s", schema_of::<f64>().unwrap()).unwrap();
    let mut writer = stream.writer::<f64>().unwrap();
    for record in 0..1000 {
        writer.append(record, 0.5).unwrap();
    }
    db.flush(Level::Os).unwrap();
    // Beside the writer, and as a crash would leave it.
    let info = place.run("info db --json").code(0).json();
    assert_eq!(info["streams"][0]["records"], 1000);
    assert_eq!(info["report"]["damage"].as_array().unwrap().len(), 0);
}

#[test]
fn compaction_and_retention_tell_what_they_did() {
    let place = place();
    assert!(place.run("retain db --max-bytes 1GB").code(0).out.contains("nothing to give up"));
    // The clock of these records does not count from 1970: an age would give up all of them.
    let ran = place.run("retain db --older-than 1d --json").code(2);
    assert!(ran.err.contains("--before"), "{}", ran.err);
    let gone = place.run("retain db --before 15000s --json").code(0).json();
    assert_eq!(gone["records"], 10_000);
    assert_eq!(gone["files"].as_array().unwrap().len(), 1);
    let info = place.run("info db --json").json();
    assert_eq!(info["streams"][0]["records"], 20_000);
    assert_eq!(info["streams"][0]["first_ts"], 10_000_000_000_i64);
    let done = place.run("compact db --json").code(0).json();
    assert_eq!(done["records"], 20_000);
    let info = place.run("info db --json").json();
    assert_eq!(info["streams"][0]["records"], 20_000);
    assert_eq!(place.run("at db s 12345.5s --json").json()["value"]["value"], 12_345.0);
}
