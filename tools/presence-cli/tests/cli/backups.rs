//! `presence backup`: what it says, and what it leaves.

use std::process::Stdio;

use presence::{Database, Level, Options, schema_of};

use crate::support::{Place, program};

/// A database of one stream `s` with `records` records, and who writes it.
fn writer(place: &Place, records: i64) -> Database {
    let mut options = Options::default();
    options.segment_bytes = 64 << 10;
    options.block_bytes = 4096;
    let db = Database::create(place.path("db"), options).unwrap();
    let stream = db.create_stream("s", schema_of::<f64>().unwrap()).unwrap();
    let mut writer = stream.writer::<f64>().unwrap();
    for record in 0..records {
        writer.append(record * 1000, record as f64).unwrap();
    }
    writer.flush(Level::Os).unwrap();
    drop(writer);
    db
}

#[test]
fn a_database_is_backed_up_while_it_is_written() {
    let place = Place::new();
    let _writer = writer(&place, 30_000);
    let ran = place.run("backup db out").code(0);
    assert!(ran.out.starts_with("out: 1 stream with 30,000 records, "), "{}", ran.out);
    assert!(ran.out.contains("every checksum was read back") && ran.err.is_empty());
    let info = place.run("info out --json").code(0).json();
    assert_eq!(info["streams"][0]["records"], 30_000);
    assert_eq!(info["report"]["clean"], true);
    assert_eq!(info["report"]["scanned"].as_array().unwrap().len(), 0);

    let json = place.run("backup db other --copy --json").code(0).json();
    assert_eq!(json["streams"][0]["records"], 30_000);
    assert_eq!(json["copied"], json["segments"]);
    assert_eq!((&json["linked"], &json["cloned"]), (&0.into(), &0.into()));
    assert!(json["bytes_copied"].as_u64().unwrap() > 0);
}

#[test]
fn what_is_there_is_kept_and_damage_is_refused() {
    let place = Place::new();
    writer(&place, 30_000).close().unwrap();
    std::fs::create_dir(place.path("full")).unwrap();
    place.file("full/mine", "x");
    for out in ["full", "full/mine", "db"] {
        assert_eq!(place.run(&format!("backup db {out} --json")).code(3).kind(), "io", "{out}");
    }
    assert_eq!(place.run("backup none out --json").code(3).kind(), "io");
    assert_eq!(place.run("backup db --json").code(2).kind(), "usage");

    let segment = place.segments("db").remove(1);
    let mut bytes = std::fs::read(&segment).unwrap();
    bytes[5000] ^= 1;
    std::fs::write(&segment, bytes).unwrap();
    let ran = place.run("backup db out").code(4);
    assert!(ran.err.contains("seg-00000002.presence"), "{}", ran.err);
    assert!(ran.err.contains("presence-fsck --salvage") && ran.err.lines().count() == 1);
    assert!(!place.path("out").exists());
}

#[test]
fn left_overs_are_told() {
    let place = Place::new();
    writer(&place, 10).close().unwrap();
    let left_over = format!(".out.backup-{:032x}", 1);
    std::fs::create_dir(place.path(&left_over)).unwrap();
    let ran = place.run("backup db out").code(0);
    assert!(ran.err.contains(&left_over), "{}", ran.err);
}

#[cfg(unix)]
#[test]
fn ctrl_c_leaves_no_backup() {
    let place = Place::new();
    writer(&place, 400_000).close().unwrap();
    let words = ["backup", "db", "out", "--copy"];
    let child = program()
        .args(words)
        .current_dir(place.dir.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let pid = child.id().to_string();
    // Whenever it comes: before anybody listens, in the middle, or when all is done.
    let signalled = std::process::Command::new("kill").args(["-INT", &pid]).status().unwrap();
    let ended = child.wait_with_output().unwrap();
    let code = ended.status.code();
    assert!(signalled.success());
    let is_there = place.path("out").exists();
    match code {
        Some(0) => assert!(is_there),
        // Interrupted, or ended by the signal before it was watched for.
        Some(130) | None => assert!(!is_there),
        code => panic!("{code:?}: {}", String::from_utf8_lossy(&ended.stderr)),
    }
    if code.is_some() {
        let left = std::fs::read_dir(place.dir.path()).unwrap();
        let hidden = left
            .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().starts_with('.'));
        assert_eq!(hidden.count(), 0);
    }
}
