//! Salvage takes every sound record, wherever it stands.
#![expect(clippy::unwrap_used, reason = "a helper of a test fails it")]

use std::path::{Path, PathBuf};

use presence::{Database, Level, Options, schema_of};
use presence_fsck::salvage::{Error, Salvaged, salvage};

/// A database of two streams in several sealed segments, and one that is not.
fn recorded(place: &Path) -> PathBuf {
    let path = place.join("db");
    let mut options = Options::default();
    options.segment_bytes = 64 << 10;
    options.block_bytes = 4 << 10;
    let db = Database::create(&path, options).unwrap();
    let a = db.create_stream("a", schema_of::<f64>().unwrap()).unwrap();
    let b = db.create_stream("../b", schema_of::<[i32; 3]>().unwrap()).unwrap();
    let (mut a, mut b) = (a.writer::<f64>().unwrap(), b.writer::<[i32; 3]>().unwrap());
    for i in 0..20_000_i64 {
        a.append(i * 10, i as f64).unwrap();
        if i % 7 == 0 {
            b.append(i * 10, [i as i32; 3]).unwrap();
        }
    }
    b.finish().unwrap();
    db.flush(Level::Disk).unwrap();
    drop((a, db));
    path
}

fn files(path: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> =
        path.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "presence"));
    files.sort();
    files
}

fn run(path: &Path, out: &Path) -> Result<Salvaged, Error> {
    salvage(path, out, &mut |_| true)
}

fn values(out: &Path) -> Vec<i64> {
    let db = Database::open_read_only(out, Options::default()).unwrap();
    assert!(db.report().damage.is_empty() && db.report().lost.is_empty());
    let records = db.stream("a").unwrap().iter().unwrap();
    let records: Vec<(i64, f64)> = records
        .map(|record| record.unwrap())
        .map(|record| (record.ts(), record.value::<f64>().unwrap()))
        .collect();
    records.iter().for_each(|(ts, value)| assert_eq!(*ts, *value as i64 * 10));
    records.iter().map(|(_, value)| *value as i64).collect()
}

#[test]
fn a_sound_database_is_copied_whole() {
    let place = tempfile::tempdir().unwrap();
    let path = recorded(place.path());
    let out = place.path().join("out");
    let salvaged = run(&path, &out).unwrap();
    assert!(salvaged.is_complete(), "{salvaged:#?}");
    assert_eq!((salvaged.streams, salvaged.records), (2, 20_000 + 2_858));
    assert!(salvaged.refused.is_empty());
    assert_eq!(values(&out), (0..20_000).collect::<Vec<_>>());
    let db = Database::open_read_only(&out, Options::default()).unwrap();
    assert!(db.stream("../b").unwrap().is_finished());
    assert!(matches!(run(&path, &out), Err(Error::Exists { .. })));
    let left: Vec<_> = place.path().read_dir().unwrap().collect();
    assert_eq!(left.len(), 2);
}

#[test]
fn damage_costs_the_blocks_that_it_hit_and_no_other() {
    let place = tempfile::tempdir().unwrap();
    let path = recorded(place.path());
    let files = files(&path);
    assert!(files.len() >= 4, "{files:?}");
    // The header of one segment, the whole end of another, and bytes in the middle of a third.
    let mut first = std::fs::read(&files[0]).unwrap();
    first[..128].fill(0xee);
    std::fs::write(&files[0], &first).unwrap();
    let second = std::fs::read(&files[1]).unwrap();
    std::fs::write(&files[1], &second[..second.len() - 3_000]).unwrap();
    let mut third = std::fs::read(&files[2]).unwrap();
    let middle = third.len() / 2;
    third[middle] ^= 0x10;
    std::fs::write(&files[2], &third).unwrap();
    let out = place.path().join("out");
    let salvaged = run(&path, &out).unwrap();
    assert!(!salvaged.is_complete());
    let found = values(&out);
    let lost: u64 = salvaged.lost.iter().filter(|lost| lost.stream == "a").map(|l| l.records).sum();
    assert_eq!(found.len() as u64 + lost, 20_000, "{salvaged:#?}");
    assert!(lost > 0 && lost < 1_500, "{salvaged:#?}");
    assert!(out.join("salvage.json").exists());
}

#[test]
fn entries_that_moved_are_found() {
    let place = tempfile::tempdir().unwrap();
    let path = recorded(place.path());
    let files = files(&path);
    let whole = std::fs::read(&files[0]).unwrap();
    // Thirteen bytes were put in: nothing stands where it says any more.
    let moved = [&[1; 13][..], &whole].concat();
    std::fs::write(&files[0], moved).unwrap();
    let out = place.path().join("out");
    let salvaged = run(&path, &out).unwrap();
    assert!(salvaged.is_complete(), "{salvaged:#?}");
    assert_eq!(values(&out).len(), 20_000);
}

#[test]
fn one_segment_and_nothing_at_all() {
    let place = tempfile::tempdir().unwrap();
    let path = recorded(place.path());
    let out = place.path().join("out");
    let salvaged = run(&files(&path)[1], &out).unwrap();
    assert!(salvaged.is_complete() && salvaged.records > 0, "{salvaged:#?}");
    let empty = place.path().join("empty");
    std::fs::create_dir(&empty).unwrap();
    assert!(matches!(run(&empty, &place.path().join("x")), Err(Error::Nothing { .. })));
    let missing = place.path().join("missing");
    assert!(matches!(run(&missing, &place.path().join("x")), Err(Error::Read { .. })));
    let stopped = salvage(&path, place.path().join("x"), &mut |progress| progress.done < 9_000);
    assert!(matches!(stopped, Err(Error::Interrupted)));
    assert!(!place.path().join("x").exists());
    assert_eq!(place.path().read_dir().unwrap().count(), 3);
}
