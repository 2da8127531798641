//! Backups: of closed, open and written databases, beside retention and compaction, killed,
//! interrupted, failing, and of damaged sources.
//!
//! What must hold: a backup that was reported opens without recovery and holds all that was
//! flushed before; one that was not reported is not there.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use presence::device::{
    CrashPolicy, Device, Fault, FaultDevice, FaultPlan, MemoryDevice, SimDevice, Target,
};
use presence::{Backup, BackupOptions, Database, Error, Level, Options, Retention};

use crate::support::{
    check_numbers, figure, number_at, number_schema, number_ts, rerun, scale, scaled, skipped,
    small,
};

const STREAMS: usize = 3;

fn name(stream: usize) -> String {
    format!("numbers {stream}")
}

/// Appends to each stream up to record `end`.
fn append(db: &Database, end: u64) {
    for number in 0..STREAMS {
        let stream = db.stream(&name(number));
        let stream = stream.or_else(|_| db.create_stream(&name(number), number_schema(number)));
        let stream = stream.unwrap();
        let mut writer = stream.writer::<i64>().unwrap();
        for sequence in stream.records_at(Level::Memory)..end {
            writer.append(number_ts(sequence), number_at(number, sequence)).unwrap();
        }
    }
}

fn backup(db: &Database, out: &Path) -> Result<Backup, Error> {
    db.backup(out, &BackupOptions::default(), |_, _| true)
}

fn copying() -> BackupOptions {
    let mut options = BackupOptions::default();
    options.copy = true;
    options
}

/// The ends of the streams of a backup, which opens as a closed database.
fn ends(db: &Database) -> [u64; STREAMS] {
    let report = db.report();
    assert!(report.is_clean() && report.scanned.is_empty(), "{report:?}");
    std::array::from_fn(|number| match db.stream(&name(number)) {
        Ok(stream) => {
            let found = check_numbers(&stream, number).unwrap();
            // Retention may have given up all of it: what it held is known all the same.
            found.map_or(stream.records_at(Level::Memory), |found| found.end)
        }
        Err(_) => 0,
    })
}

fn open_backup(out: &Path) -> [u64; STREAMS] {
    ends(&Database::open_read_only(out, small()).unwrap())
}

fn names(path: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(path).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn is_already_exists(error: &Error) -> bool {
    matches!(error, Error::Io { source, .. }
        if source.kind() == std::io::ErrorKind::AlreadyExists)
}

#[test]
fn a_backup_holds_everything_and_opens_closed() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let db = Database::create(path("db"), small()).unwrap();
    append(&db, 500);
    // Nothing was flushed: the writing handle does that.
    let done = backup(&db, &path("one")).unwrap();
    assert_eq!(open_backup(&path("one")), [500; STREAMS]);
    assert_eq!(done.records, 1500);
    assert_eq!(done.streams.len(), STREAMS);
    assert_eq!(done.streams[0].name, name(0));
    assert_eq!(done.streams[0].last_ts, Some(number_ts(499)));
    assert_eq!(done.segments, done.cloned + done.linked + done.copied);
    assert!(done.segments > 3 && done.copied >= 1, "{done:?}");
    assert!(done.left_over.is_empty());
    let bytes: u64 = names(&path("one"))
        .iter()
        .map(|name| path("one").join(name).metadata().unwrap().len())
        .sum();
    assert_eq!(done.bytes, bytes);

    // The source goes on, and so does the copy; neither sees the other.
    append(&db, 700);
    let copy = Database::open(path("one"), small()).unwrap();
    assert_eq!(copy.id(), db.id());
    append(&copy, 600);
    copy.close().unwrap();
    db.close().unwrap();
    assert_eq!(open_backup(&path("one")), [600; STREAMS]);
    assert_eq!(open_backup(&path("db")), [700; STREAMS]);

    // A closed database; every byte a copy of its own.
    let db = Database::open_read_only(path("db"), small()).unwrap();
    std::fs::create_dir(path("two")).unwrap();
    let mut told = Vec::new();
    let done = db.backup(path("two"), &copying(), |done, all| {
        told.push((done, all));
        true
    });
    let done = done.unwrap();
    assert_eq!((done.copied, done.linked, done.cloned), (done.segments, 0, 0));
    assert_eq!(done.bytes_copied, done.bytes);
    assert!(told.is_sorted() && told.first().unwrap().0 == 0);
    let &(last, all) = told.last().unwrap();
    assert_eq!((last, all), (done.bytes * 2, done.bytes * 2));
    for name in names(&path("two")) {
        let read = |folder: &str| std::fs::read(path(folder).join(&name)).unwrap();
        assert_eq!(read("two"), read("db"), "{name}");
        let links = path("two").join(&name).metadata().unwrap().nlink();
        assert_eq!(links, 1, "{name}");
    }
}

#[test]
fn where_nothing_can_be_written_nothing_is() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let db = Database::create(path("db"), small()).unwrap();
    append(&db, 50);
    std::fs::write(path("file"), "mine").unwrap();
    std::fs::create_dir(path("full")).unwrap();
    std::fs::write(path("full").join("mine"), "").unwrap();
    for out in ["file", "full", "db"] {
        assert!(is_already_exists(&backup(&db, &path(out)).unwrap_err()), "{out}");
    }
    let no_folder = backup(&db, &path("no/where")).unwrap_err();
    assert!(matches!(no_folder, Error::Io { .. }), "{no_folder}");
    // A single segment is no database.
    db.close().unwrap();
    let segment = path("db").join("seg-00000001.presence");
    let alone = Database::open_read_only(segment, small()).unwrap();
    assert!(matches!(backup(&alone, &path("out")).unwrap_err(), Error::Invalid { .. }));
    assert_eq!(names(directory.path()), ["db", "file", "full"]);
}

#[test]
fn an_interrupted_backup_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let db = Database::create(path("db"), small()).unwrap();
    append(&db, 120);
    let mut calls = 0;
    loop {
        let mut left = calls;
        let done = db.backup(path("out"), &copying(), |_, _| {
            left -= 1;
            left >= 0
        });
        match done {
            Err(Error::Interrupted { what }) => assert_eq!(what, "the backup"),
            Err(error) => panic!("{error}"),
            Ok(_) => break,
        }
        assert_eq!(names(directory.path()), ["db"]);
        calls += 1;
    }
    assert!(calls > 10);
    assert_eq!(open_backup(&path("out")), [120; STREAMS]);
    figure("backups interrupted", calls as u64);
}

fn busy() -> Options {
    let mut options = Options::default();
    options.block_bytes = 1024;
    options.compacted_block_bytes = 8192;
    options.segment_bytes = 32 << 10;
    options.write_buffer_bytes = 32 << 10;
    options.flush_interval = Duration::from_millis(3);
    options.sync_interval = Duration::from_millis(20);
    options.follow = false;
    options
}

/// Ends the others when one of them fails.
struct StopOnDrop<'a>(&'a AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn backups_beside_writing_retention_and_compaction() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: String| directory.path().join(name);
    let db = Database::create(path("db".to_owned()), busy()).unwrap();
    append(&db, 10);
    db.flush(Level::Os).unwrap();
    let stop = AtomicBool::new(false);
    let rounds = scaled(12);
    std::thread::scope(|scope| {
        let (db, stop) = (&db, &stop);
        for number in 0..STREAMS {
            scope.spawn(move || {
                let _end_all = StopOnDrop(stop);
                let stream = db.stream(&name(number)).unwrap();
                let mut writer = stream.writer::<i64>().unwrap();
                let mut sequence = stream.records_at(Level::Memory);
                while !stop.load(Ordering::Relaxed) {
                    for _ in 0..200 {
                        let record = (number_ts(sequence), number_at(number, sequence));
                        writer.append(record.0, record.1).unwrap();
                        sequence += 1;
                    }
                    writer.flush(Level::Os).map(|_| ()).unwrap();
                }
            });
        }
        scope.spawn(move || {
            let _end_all = StopOnDrop(stop);
            while !stop.load(Ordering::Relaxed) {
                db.compact(|_, _| true).unwrap();
                drop(db.retain(Retention::bytes_max(1 << 20)).unwrap());
                std::thread::yield_now();
            }
        });
        let _end_all = StopOnDrop(stop);
        let reader = Database::open_read_only(path("db".to_owned()), busy()).unwrap();
        for round in 0..rounds {
            let promised: Vec<u64> = (0..STREAMS)
                .map(|number| db.stream(&name(number)).unwrap().records_at(Level::Os))
                .collect();
            // The writing handle, and one that only looks on.
            let source = if round % 2 == 0 { db } else { &reader };
            let out = path(format!("out-{round}"));
            let done = source.backup(&out, &BackupOptions::default(), |_, _| true);
            let done = done.unwrap_or_else(|error| panic!("round {round}: {error}"));
            let found = open_backup(&out);
            for (found, promised) in found.iter().zip(&promised) {
                assert!(found >= promised, "round {round}: {found}, promised {promised}");
            }
            assert_eq!(done.streams.len(), STREAMS);
            std::fs::remove_dir_all(out).unwrap();
        }
    });
    figure("backups beside writing, retention and compaction", rounds);
}

#[test]
fn backups_beside_a_writer_in_another_process() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("db");
    let mut child = crate::kills::start_writer(&path, 77);
    // What it tells is read, or it would stop at a full pipe.
    let output = child.stdout.take().unwrap();
    let reading = std::thread::spawn(move || {
        let mut output = output;
        std::io::copy(&mut output, &mut std::io::sink()).unwrap()
    });
    let db = loop {
        if let Ok(db) = Database::open_read_only(&path, busy()) {
            break db;
        }
        assert!(child.try_wait().unwrap().is_none(), "the writer ended by itself");
        std::thread::sleep(Duration::from_millis(1));
    };
    let rounds = scaled(10);
    let mut before = [0; STREAMS];
    for round in 0..=rounds {
        if round == rounds {
            // A last one of what a killed writer left.
            child.kill().unwrap();
            child.wait().unwrap();
        }
        let out = directory.path().join(format!("out-{round}"));
        let done = backup(&db, &out).unwrap_or_else(|error| panic!("round {round}: {error}"));
        let found = open_backup(&out);
        for (found, before) in found.iter().zip(&before) {
            assert!(found >= before, "round {round}: {found:?} after {before:?}");
        }
        before = found;
        assert!(done.left_over.is_empty());
    }
    reading.join().unwrap();
    // It was no obstacle to the source, whose files have other names now.
    let db = Database::open(&path, busy()).unwrap();
    assert!(db.report().damage.is_empty() && db.report().lost.is_empty(), "{:?}", db.report());
    figure("backups beside a writer in another process", rounds + 1);
}

const CHILD_DIRECTORY: &str = "PRESENCE_TEST_BACKUP_DIRECTORY";

/// Not a test by itself: backs up for ever, until it is killed.
#[test]
fn child_that_is_killed_while_it_backs_up() {
    let Ok(directory) = std::env::var(CHILD_DIRECTORY) else { return };
    let directory = PathBuf::from(directory);
    let db = Database::open_read_only(directory.join("db"), small()).unwrap();
    for number in 0.. {
        let out = directory.join(format!("out-{}-{number}", std::process::id()));
        let options = if number % 2 == 0 { copying() } else { BackupOptions::default() };
        db.backup(out, &options, |_, _| true).unwrap();
    }
}

#[test]
fn killed_backups_are_whole_or_not_there() {
    let directory = tempfile::tempdir().unwrap();
    let source = directory.path().join("db");
    let db = Database::create(&source, small()).unwrap();
    append(&db, 300);
    db.flush(Level::Disk).unwrap();
    let (kills, mut whole, mut left_over) = (scaled(20), 0, 0);
    for seed in 0..kills {
        let mut child = rerun("backup::child_that_is_killed_while_it_backs_up")
            .env(CHILD_DIRECTORY, directory.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        // Killed some time after it has begun with one.
        while names(directory.path()).len() < 2 {
            assert!(child.try_wait().unwrap().is_none(), "the child ended by itself");
            std::thread::yield_now();
        }
        std::thread::sleep(Duration::from_micros(seed * 1931 % 30_000));
        child.kill().unwrap();
        child.wait().unwrap();
        for found in names(directory.path()) {
            let path = directory.path().join(&found);
            if found == "db" {
                continue;
            }
            if found.starts_with('.') {
                left_over += 1;
            } else {
                assert_eq!(open_backup(&path), [300; STREAMS], "{found}");
                whole += 1;
            }
            std::fs::remove_dir_all(path).unwrap();
        }
    }
    // What is left over is told by the next one, and in nobody's way.
    let left = format!(".out.backup-{:032x}", 7);
    std::fs::create_dir(directory.path().join(&left)).unwrap();
    let done = backup(&db, &directory.path().join("out")).unwrap();
    assert_eq!(done.left_over, [left]);
    figure("backups killed", kills);
    figure("backups whole when killed", whole);
    figure("backups left over when killed", left_over);
}

#[test]
fn a_read_only_source_is_backed_up() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let db = Database::create(path("db"), small()).unwrap();
    append(&db, 200);
    db.flush(Level::Os).unwrap();
    drop(db);
    let mode = |path: &Path, mode: u32| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    for name in names(&path("db")) {
        mode(&path("db").join(name), 0o400);
    }
    mode(&path("db"), 0o500);
    let before = names(&path("db"));
    let db = Database::open_read_only(path("db"), small()).unwrap();
    backup(&db, &path("out")).unwrap();
    assert_eq!(open_backup(&path("out")), [200; STREAMS]);
    assert_eq!(names(&path("db")), before);
    mode(&path("db"), 0o700);
}

#[test]
fn another_file_system_is_copied_to() {
    let directory = tempfile::tempdir().unwrap();
    let there = tempfile::tempdir_in("/dev/shm").ok();
    let device = |path: &Path| path.metadata().unwrap().dev();
    let there = there.filter(|there| device(there.path()) != device(directory.path()));
    let Some(there) = there else {
        skipped("backup to another file system: /dev/shm is none");
        figure("skipped: backup to another file system", 1);
        return;
    };
    let db = Database::create(directory.path().join("db"), small()).unwrap();
    append(&db, 400);
    let done = backup(&db, &there.path().join("out")).unwrap();
    assert_eq!((done.copied, done.bytes_copied > 0), (done.segments, true), "{done:?}");
    assert_eq!(open_backup(&there.path().join("out")), [400; STREAMS]);
}

fn memory(files: &BTreeMap<String, Vec<u8>>) -> (MemoryDevice, Arc<dyn Device>) {
    let files = files.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice()));
    let memory = MemoryDevice::with_files(files);
    (memory.clone(), Arc::new(memory))
}

/// A small database: `closed`, or with an active segment.
fn files(closed: bool) -> BTreeMap<String, Vec<u8>> {
    let device = MemoryDevice::new();
    let db = Database::create_on(Arc::new(device.clone()), small()).unwrap();
    append(&db, 90);
    db.flush(Level::Disk).unwrap();
    append(&db, 100);
    db.flush(Level::Disk).unwrap();
    if closed {
        db.close().unwrap();
    }
    device.files()
}

#[test]
fn a_damaged_source_is_refused_or_its_backup_is_whole() {
    let mut damages = 0;
    let mut refusals = 0;
    for closed in [true, false] {
        let files = files(closed);
        let bits: u64 = files.values().map(|bytes| bytes.len() as u64 * 8).sum();
        let step = ((bits as f64 / 4000.0 / scale()) as u64).max(1) | 1;
        let mut at = 0;
        for (file, bytes) in &files {
            let end = at + bytes.len() as u64 * 8;
            let first = at.next_multiple_of(step);
            for bit in (first..end).step_by(step as usize).map(|bit| (bit - at) as usize) {
                let mut damaged = files.clone();
                damaged.get_mut(file).unwrap()[bit / 8] ^= 1 << (bit % 8);
                damages += 1;
                let tell = || format!("closed={closed}: bit {bit} of {file}");
                let source = Database::open_read_only_on(memory(&damaged).1, small());
                let Ok(source) = source else { continue };
                let (out, device) = memory(&BTreeMap::new());
                match source.backup_on(&device, |_, _| true) {
                    Ok(_) => {
                        let copy = Database::open_read_only_on(device, small()).unwrap();
                        let found = ends(&copy);
                        // A torn end of what is still written was promised to nobody who reads.
                        let is_whole = found == [100; STREAMS] || !closed;
                        assert!(is_whole, "{}: {found:?}", tell());
                    }
                    Err(error) => {
                        let is_told =
                            error.is_damage() || matches!(error, Error::Incompatible { .. });
                        assert!(is_told, "{}: {error}", tell());
                        assert!(out.files().is_empty(), "{}", tell());
                        refusals += 1;
                    }
                }
            }
            at = end;
        }
    }
    assert!(refusals > damages / 4);
    figure("damaged sources backed up", damages);
    figure("damaged sources refused by backup", refusals);
}

#[test]
fn damage_names_the_place_and_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let db = Database::create(path("db"), small()).unwrap();
    append(&db, 300);
    db.close().unwrap();
    // In a block's payload: no index tells of it.
    let segment = path("db").join("seg-00000002.presence");
    let mut bytes = std::fs::read(&segment).unwrap();
    let payload = bytes.windows(5).position(|bytes| bytes == b"PRSe\x02").map(|at| at + 140);
    let at = payload.unwrap_or(1024);
    bytes[at] ^= 4;
    std::fs::write(&segment, &bytes).unwrap();
    let db = Database::open_read_only(path("db"), small()).unwrap();
    for options in [BackupOptions::default(), copying()] {
        let error = db.backup(path("out"), &options, |_, _| true).unwrap_err();
        let Error::Corrupt { file, offset, what, .. } = &error else { panic!("{error}") };
        assert_eq!(file, "seg-00000002.presence");
        assert!(*offset <= at as u64 && at as u64 - *offset < 2048, "{offset}, not {at}");
        assert!(what.contains("presence-fsck --salvage"), "{what}");
        assert_eq!(names(directory.path()), ["db"]);
    }
    // A segment that is missing is a gap.
    std::fs::write(&segment, []).unwrap();
    std::fs::remove_file(&segment).unwrap();
    let db = Database::open_read_only(path("db"), small()).unwrap();
    assert!(backup(&db, &path("out")).unwrap_err().is_damage());
}

#[test]
fn every_call_fails_in_turn() {
    let files = files(false);
    let mut runs = 0;
    for (on_target, sticky) in [(true, false), (true, true), (false, false), (false, true)] {
        for fault in Fault::ALL {
            let mut at = 1;
            loop {
                let tell = || format!("on_target={on_target} sticky={sticky} {fault:?} call {at}");
                let plan = FaultPlan { target: Target::Any, at, fault, sticky };
                let (out, target) = memory(&BTreeMap::new());
                let source = FaultDevice::new(memory(&files).1);
                let target = FaultDevice::new(target);
                let db = Database::open_read_only_on(Arc::new(source.clone()), small()).unwrap();
                let failing = if on_target { &target } else { &source };
                failing.arm(plan);
                let device: Arc<dyn Device> = Arc::new(target.clone());
                let done = db.backup_on(&device, |_, _| true);
                let fired = failing.fired() > 0;
                failing.disarm();
                match done {
                    Ok(_) => {
                        let copy = Database::open_read_only_on(memory(&out.files()).1, small());
                        assert_eq!(ends(&copy.unwrap()), [100; STREAMS], "{}", tell());
                    }
                    Err(Error::Io { .. }) => {
                        assert!(fired, "{}", tell());
                        assert!(sticky || out.files().is_empty(), "{}", tell());
                    }
                    Err(error) => panic!("{}: {error}", tell()),
                }
                // The source is as it was.
                assert_eq!(db.streams().len(), STREAMS);
                runs += 1;
                if !fired {
                    break;
                }
                at += 1;
            }
        }
    }
    figure("backups with a failing call", runs);
}

#[test]
fn what_was_reported_survives_a_power_cut() {
    let source = Database::open_read_only_on(memory(&files(false)).1, small()).unwrap();
    let sim = SimDevice::new();
    let device: Arc<dyn Device> = Arc::new(sim.clone());
    source.backup_on(&device, |_, _| true).unwrap();
    let mut states = 0;
    let point = sim.crash_point(sim.calls()).unwrap();
    for state in point.states(&CrashPolicy::quick(1)) {
        let copy = Database::open_read_only_on(Arc::new(state.device), small()).unwrap();
        assert_eq!(ends(&copy), [100; STREAMS]);
        states += 1;
    }
    // Nothing was on its way any more.
    assert_eq!((states, point.pending()), (1, 0));
}
