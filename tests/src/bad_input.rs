//! The table of bad input: each case gets a typed error or a right answer.
//!
//! | case | test |
//! |---|---|
//! | a directory that holds no database | `a_directory_that_is_no_database` |
//! | a file instead of a directory | `a_file_instead_of_a_directory` |
//! | read-only media | `read_only_media`, `a_device_that_refuses_writes` |
//! | a full disk, short writes | `a_full_disk`, and every call in `faults` |
//! | a foreign or future version | `foreign_and_future_versions` |
//! | a truncated, extended, zero-filled, bit-flipped or swapped segment | `damage` |
//! | names with `/` or NUL | `names` |
//! | timestamps at both ends of `i64` | `timestamps_at_both_ends` |
//! | an empty database, a stream without records | `nothing_in_it` |
//! | a window with its ends reversed | `reversed_windows` |
//! | a clock that jumps back | `a_clock_that_jumps_back` |
//! | fork after open | `fork_after_open` |
//! | a second writer | `a_second_writer` |
//! | a link, pipe or folder as segment | `things_that_are_no_files` |
//! | a wrong type or shape | `wrong_types_and_shapes` |
//! | NaN | `every_bit_of_a_nan_is_kept` |

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use presence::device::{Fault, FaultDevice, FaultPlan, MemoryDevice, Target};
use presence::{ColumnData, Database, Error, Level, Order, Schema, WindowOptions, schema_of};
use presence_format::checksum::header_crc32;

use crate::support::{Kind, check_stream, rerun, skipped, small};

/// Set for the child of a test: the directory to use.
const CHILD_DIRECTORY: &str = "PRESENCE_TEST_BAD_INPUT_DIRECTORY";

/// Makes a database with three records of a float stream in `path`.
fn make(path: &Path) {
    let db = Database::create(path, small()).unwrap();
    let kind = Kind::Float;
    let stream = db.create_stream(kind.name(), kind.schema()).unwrap();
    let mut writer = stream.column_writer().unwrap();
    writer.append_columns(&kind.truth().times[..3], &kind.truth().slices(0..3)).unwrap();
    drop((writer, stream));
    db.close().unwrap();
}

fn holds_three(db: &Database) {
    let found = check_stream(&db.stream(Kind::Float.name()).unwrap(), true).unwrap();
    assert_eq!((found.first, found.end), (0, 3));
}

#[test]
fn a_directory_that_is_no_database() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("thesis.txt"), "mine").unwrap();
    for result in [
        Database::open(directory.path(), small()),
        Database::open_read_only(directory.path(), small()),
        Database::create(directory.path(), small()),
        Database::open_or_create(directory.path(), small()),
    ] {
        let error = result.unwrap_err();
        assert!(matches!(error, Error::NotADatabase { .. }), "{error}");
    }
    assert_eq!(std::fs::read(directory.path().join("thesis.txt")).unwrap(), b"mine");
    let missing = directory.path().join("missing");
    let error = Database::open(&missing, small()).unwrap_err();
    assert!(matches!(error, Error::Io { .. }) && error.to_string().contains("missing"), "{error}");
    assert!(!missing.exists());
    // A database is not made over another one.
    let there = directory.path().join("there");
    make(&there);
    let error = Database::create(&there, small()).unwrap_err();
    assert!(matches!(error, Error::AlreadyExists { .. }), "{error}");
    holds_three(&Database::open_or_create(&there, small()).unwrap());
}

#[test]
fn a_file_instead_of_a_directory() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    std::fs::write(&path, "text").unwrap();
    let error = Database::open(&path, small()).unwrap_err();
    assert!(matches!(error, Error::NotADatabase { .. }), "{error}");
    let error = Database::open_read_only(&path, small()).unwrap_err();
    assert!(matches!(error, Error::NotADatabase { .. }), "{error}");
    for result in [Database::create(&path, small()), Database::open_or_create(&path, small())] {
        let error = result.unwrap_err();
        assert!(matches!(error, Error::NotADatabase { .. } | Error::Io { .. }), "{error}");
    }
    assert_eq!(std::fs::read(&path).unwrap(), b"text");
}

/// A mount that ends with the value.
struct Mount(std::path::PathBuf);

impl Mount {
    /// `None` where this process may not mount.
    fn new(arguments: &[&str], at: &Path) -> Option<Self> {
        let done = Command::new("mount").args(arguments).arg(at).output().ok()?;
        done.status.success().then(|| Self(at.to_owned()))
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ended = Command::new("umount").arg("-l").arg(&self.0).output();
    }
}

#[test]
fn read_only_media() {
    let directory = tempfile::tempdir().unwrap();
    let (source, mounted) = (directory.path().join("source"), directory.path().join("mounted"));
    std::fs::create_dir(&mounted).unwrap();
    make(&source);
    let source = source.to_str().unwrap();
    let Some(_mount) = Mount::new(&["--bind", "-o", "ro", source], &mounted) else {
        skipped("read-only media: this process may not mount");
        return;
    };
    if std::fs::write(mounted.join("probe"), "").is_ok() {
        skipped("read-only media: the mount is writable");
        return;
    }
    holds_three(&Database::open_read_only(&mounted, small()).unwrap());
    for result in
        [Database::open(&mounted, small()), Database::create(mounted.join("new"), small())]
    {
        let error = result.unwrap_err();
        assert!(matches!(error, Error::Io { .. }), "{error}");
    }
}

#[test]
fn a_device_that_refuses_writes() {
    let memory = MemoryDevice::new();
    let device = FaultDevice::new(Arc::new(memory.clone()));
    let refuse = FaultPlan { target: Target::Mutating, at: 1, fault: Fault::Io, sticky: true };
    device.arm(refuse);
    let error = Database::create_on(Arc::new(device.clone()), small()).unwrap_err();
    assert!(matches!(error, Error::Io { .. }), "{error}");
    assert!(memory.files().is_empty());
    device.disarm();
    drop(Database::create_on(Arc::new(device.clone()), small()).unwrap());
    device.arm(refuse);
    Database::open_read_only_on(Arc::new(device), small()).unwrap();
}

#[test]
fn a_full_disk() {
    let directory = tempfile::tempdir().unwrap();
    let kind = Kind::Float;
    for kib in [24, 40, 100] {
        let at = directory.path().join(format!("disk{kib}"));
        std::fs::create_dir(&at).unwrap();
        let size = format!("size={kib}k");
        let Some(_mount) = Mount::new(&["-t", "tmpfs", "-o", &size, "tmpfs"], &at) else {
            skipped("a full disk: this process may not mount");
            return;
        };
        let path = at.join("db");
        let db = Database::create(&path, small()).unwrap();
        let stream = db.create_stream(kind.name(), kind.schema()).unwrap();
        let mut writer = stream.column_writer().unwrap();
        let mut promised = 0;
        let error = (0..crate::support::TRUTH_RECORDS).find_map(|sequence| {
            let slices = kind.truth().slices(sequence..sequence + 1);
            let appended = writer.append(kind.truth().times[sequence as usize], &slices);
            let done = appended.and_then(|()| match sequence % 32 {
                0 => writer.flush(Level::Disk).map(|_| promised = sequence + 1),
                _ => Ok(()),
            });
            done.err()
        });
        let error = error.expect("the disk was never full");
        assert!(error.to_string().contains("space"), "{kib}: {error}");
        let refused = db.flush(Level::Os).unwrap_err();
        assert!(matches!(refused, Error::Poisoned { .. }), "{refused}");
        drop((writer, stream, db));
        // Reading needs no room.
        let db = Database::open_read_only(&path, small()).unwrap();
        let found = check_stream(&db.stream(kind.name()).unwrap(), true).unwrap();
        assert!(found.end >= promised, "{kib}: {found:?}, {promised} promised");
        drop(db);
        // With room again, everything promised is there, and writing goes on.
        let remount = Command::new("mount").args(["-o", "remount,size=4m"]).arg(&at).output();
        assert!(remount.unwrap().status.success());
        let db = Database::open(&path, small()).unwrap();
        assert!(db.report().damage.is_empty(), "{:?}", db.report());
        let stream = db.stream(kind.name()).unwrap();
        let found = check_stream(&stream, true).unwrap();
        assert!(found.end >= promised, "{kib}: {found:?}, {promised} promised");
        let mut writer = stream.column_writer().unwrap();
        let next = found.end;
        writer
            .append(kind.truth().times[next as usize], &kind.truth().slices(next..next + 1))
            .unwrap();
        writer.flush(Level::Disk).unwrap();
        assert_eq!(check_stream(&stream, true).unwrap().end, next + 1);
    }
}

#[test]
fn foreign_and_future_versions() {
    let memory = MemoryDevice::new();
    drop(Database::create_on(Arc::new(memory.clone()), small()).unwrap());
    let (name, sound) = memory.files().into_iter().next().unwrap();
    let open = |bytes: &[u8]| {
        let device = MemoryDevice::with_files([(name.as_str(), bytes)]);
        let writing = Database::open_on(Arc::new(device.clone()), small()).unwrap_err();
        let reading = Database::open_read_only_on(Arc::new(device.clone()), small()).unwrap_err();
        assert_eq!(writing.to_string(), reading.to_string());
        assert_eq!(device.files()[&name], bytes, "an unreadable file was changed");
        writing
    };
    let changed = |at: usize, value: u8| {
        let mut bytes = sound.clone();
        bytes[at] = value;
        let crc = header_crc32(&bytes[..128], 12);
        bytes[12..16].copy_from_slice(&crc.to_le_bytes());
        bytes
    };
    let newer = open(&changed(8, 2));
    assert!(matches!(newer, Error::Incompatible { .. }), "{newer}");
    assert!(newer.to_string().contains("newer"), "{newer}");
    let feature = open(&changed(72, 4));
    assert!(matches!(feature, Error::Incompatible { .. }), "{feature}");
    for foreign in [&b""[..], b"PAR1", b"SQLite format 3\0", &[0; 4096], &[0xff; 300]] {
        let error = open(foreign);
        assert!(matches!(error, Error::NotADatabase { .. }), "{error}");
    }
    // A newer minor version is read.
    let device = MemoryDevice::with_files([(name.as_str(), changed(10, 9).as_slice())]);
    Database::open_read_only_on(Arc::new(device), small()).unwrap();
}

#[test]
fn names() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("db");
    let db = Database::create(&path, small()).unwrap();
    let schema = || schema_of::<u8>().unwrap();
    let long = "\u{e9}".repeat(127);
    let good = ["../../etc/passwd", "/", "a/b", ".", "..", "LOCK", "seg-00000001.presence", &long];
    for name in good {
        db.create_stream(name, schema()).unwrap();
        let again = db.create_stream(name, schema()).unwrap_err();
        assert!(matches!(&again, Error::StreamExists { name: n } if n == name), "{again}");
    }
    for name in ["", "nul\0", "line\n", "\x1b[31m", &"x".repeat(256)] {
        let error = db.create_stream(name, schema()).unwrap_err();
        assert!(matches!(error, Error::Invalid { .. }), "{name:?}: {error}");
        let error = db.stream(name).unwrap_err();
        assert!(matches!(error, Error::NoSuchStream { .. }), "{name:?}: {error}");
    }
    db.close().unwrap();
    let db = Database::open(&path, small()).unwrap();
    let names: Vec<String> = db.streams().iter().map(|stream| stream.name().to_owned()).collect();
    assert_eq!(names, good);
    // Nothing was made beside the database.
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
}

#[test]
fn timestamps_at_both_ends() {
    for order in [Order::StrictlyIncreasing, Order::NonDecreasing] {
        let device = Arc::new(MemoryDevice::new());
        let db = Database::create_on(device.clone(), small()).unwrap();
        let schema = schema_of::<i32>().unwrap().with_order(order);
        let stream = db.create_stream("a", schema).unwrap();
        let mut writer = stream.writer::<i32>().unwrap();
        for (ts, value) in [(i64::MIN, 1), (0, 2), (i64::MAX, 3)] {
            writer.append(ts, value).unwrap();
        }
        let again = writer.append(i64::MAX, 4);
        match order {
            Order::NonDecreasing | Order::Any => again.unwrap(),
            Order::StrictlyIncreasing => {
                assert!(matches!(again, Err(Error::TimeOrder { ts: i64::MAX, .. })), "{again:?}");
            }
        }
        let last = if order == Order::NonDecreasing { 4 } else { 3 };
        drop((writer, stream));
        db.close().unwrap();
        let db = Database::open_on(device, small()).unwrap();
        let stream = db.stream("a").unwrap();
        let typed = stream.typed::<i32>().unwrap();
        assert_eq!(typed.at(i64::MIN).unwrap(), Some((i64::MIN, 1)));
        assert_eq!(typed.at(-1).unwrap(), Some((i64::MIN, 1)));
        assert_eq!(typed.at(i64::MAX - 1).unwrap(), Some((0, 2)));
        assert_eq!(typed.at(i64::MAX).unwrap(), Some((i64::MAX, last)));
        assert_eq!(stream.nearest(-5).unwrap().unwrap().ts(), 0);
        assert_eq!(stream.nearest(i64::MIN + 1).unwrap().unwrap().ts(), i64::MIN);
        assert!(stream.next_after(i64::MAX).unwrap().is_none());
        assert_eq!(stream.next_after(i64::MIN).unwrap().unwrap().ts(), 0);
        let count = |window: presence::Window| window.timestamps().unwrap().len() as i32;
        assert_eq!(count(stream.window(..).unwrap()), last);
        assert_eq!(count(stream.window(i64::MIN..=i64::MAX).unwrap()), last);
        assert_eq!(count(stream.window(i64::MIN..i64::MAX).unwrap()), 2);
        assert_eq!(count(stream.window(i64::MIN..i64::MIN).unwrap()), 0);
        let sampled = stream.sample(i64::MIN..=i64::MAX, u64::MAX / 4).unwrap();
        assert_eq!(sampled.found()[0], Some(i64::MIN));
        assert!(matches!(stream.sample(i64::MIN..=i64::MAX, 1), Err(Error::Invalid { .. })));
        assert!(matches!(stream.sample(0..10, 0), Err(Error::Invalid { .. })));
        assert!(matches!(stream.sample(.., 1), Err(Error::Invalid { .. })));
    }
}

#[test]
fn nothing_in_it() {
    let device = Arc::new(MemoryDevice::new());
    let db = Database::create_on(device.clone(), small()).unwrap();
    db.flush(Level::Disk).unwrap();
    db.close().unwrap();
    for round in 0..2 {
        let db = Database::open_on(device.clone(), small()).unwrap();
        assert!(db.report().is_clean());
        assert_eq!(db.streams().len(), round);
        db.compact(|_, _| true).unwrap();
        if round == 0 {
            db.create_stream("empty", schema_of::<f64>().unwrap()).unwrap();
        }
        let stream = db.stream("empty").unwrap();
        assert!(stream.is_empty());
        assert!(stream.first().unwrap().is_none() && stream.last().unwrap().is_none());
        assert!(stream.at(0).unwrap().is_none() && stream.nearest(0).unwrap().is_none());
        assert!(stream.next_after(i64::MIN).unwrap().is_none() && stream.get(0).unwrap().is_none());
        assert_eq!(stream.iter().unwrap().count(), 0);
        let carried = stream.window_with(5..9, WindowOptions::carry_in()).unwrap();
        assert!(carried.is_empty() && carried.one_slice().unwrap().is_none());
        assert_eq!(stream.at_many(&[1, -1]).unwrap().found(), [None, None]);
        assert!(stream.at_many(&[]).unwrap().is_empty());
        assert_eq!(stream.sample(0..3, 1).unwrap().found(), [None, None, None]);
        db.close().unwrap();
    }
    let db = Database::open_read_only_on(device, small()).unwrap();
    assert!(db.stream("empty").unwrap().is_empty());
    assert!(matches!(db.stream("other"), Err(Error::NoSuchStream { .. })));
    assert!(matches!(db.flush(Level::Os), Err(Error::ReadOnly)));
    assert!(matches!(db.compact(|_, _| true), Err(Error::ReadOnly)));
}

#[test]
#[expect(clippy::reversed_empty_ranges, reason = "that is the case")]
fn reversed_windows() {
    let db = Database::create_on(Arc::new(MemoryDevice::new()), small()).unwrap();
    let stream = db.create_stream("a", schema_of::<u8>().unwrap()).unwrap();
    stream.writer::<u8>().unwrap().append(5, 1).unwrap();
    for error in [
        stream.window(10..0).unwrap_err(),
        stream.window(10..=0).unwrap_err(),
        stream.window_with(10..0, WindowOptions::carry_in()).unwrap_err(),
        stream.sample(10..0, 1).unwrap_err(),
    ] {
        assert!(matches!(error, Error::ReversedRange { start: 10, end: 0 }), "{error}");
    }
    assert!(stream.window(5..5).unwrap().is_empty());
    assert_eq!(stream.window(5..=5).unwrap().len(), 1);
}

#[test]
fn a_clock_that_jumps_back() {
    let device = Arc::new(MemoryDevice::new());
    let db = Database::create_on(device.clone(), small()).unwrap();
    let stream = db.create_stream("a", schema_of::<f64>().unwrap()).unwrap();
    let mut writer = stream.writer::<f64>().unwrap();
    let now = 1_700_000_000_000_000;
    writer.append_batch(&[now, now + 1], &[1.0, 2.0]).unwrap();
    let refused = |result: Result<(), Error>, at: i64| match result {
        Err(Error::TimeOrder { last_ts, ts, .. }) => assert_eq!((last_ts, ts), (now + 1, at)),
        other => panic!("{other:?}"),
    };
    refused(writer.append(0, 3.0), 0);
    refused(writer.append(now + 1, 3.0), now + 1);
    refused(writer.append_batch(&[0, now + 5], &[3.0, 4.0]), 0);
    // A batch with a step back inside is refused whole.
    let inside = writer.append_batch(&[now + 7, now + 6], &[3.0, 4.0]).unwrap_err();
    let (last, ts) = (now + 7, now + 6);
    assert!(
        matches!(inside, Error::TimeOrder { last_ts, ts: t, .. } if (last_ts, t) == (last, ts))
    );
    drop((writer, stream));
    db.close().unwrap();
    let db = Database::open_on(device, small()).unwrap();
    let stream = db.stream("a").unwrap();
    let mut writer = stream.writer::<f64>().unwrap();
    refused(writer.append(now, 3.0), now);
    writer.append(now + 2, 3.0).unwrap();
    assert_eq!(stream.len(), 3);
}

/// Not a test by itself: opens, forks, and uses the handle in the child.
#[test]
fn child_that_forks() {
    let Ok(directory) = std::env::var(CHILD_DIRECTORY) else { return };
    let mut options = small();
    options.background = true;
    let db = Database::open(&directory, options).unwrap();
    let kind = Kind::Float;
    let stream = db.stream(kind.name()).unwrap();
    let mut writer = stream.column_writer().unwrap();
    let append = |writer: &mut presence::ColumnWriter, sequence: u64| {
        let slices = kind.truth().slices(sequence..sequence + 1);
        writer.append(kind.truth().times[sequence as usize], &slices)
    };
    append(&mut writer, 3).unwrap();
    match fork::fork().unwrap() {
        fork::Fork::Child => {
            let flushed = matches!(db.flush(Level::Disk), Err(Error::Forked { .. }));
            let made = db.create_stream("x", kind.schema());
            let made = matches!(made, Err(Error::Forked { .. }));
            let written = matches!(writer.flush(Level::Os), Err(Error::Forked { .. }));
            let closed = matches!(db.clone().close(), Err(Error::Forked { .. }));
            let read = check_stream(&stream, false).is_ok();
            drop((writer, stream, db));
            let all = flushed && made && written && closed && read;
            let told = if all { "refused" } else { "not refused" };
            std::fs::write(Path::new(&directory).join("../child.txt"), told).unwrap();
            std::process::exit(0);
        }
        fork::Fork::Parent(child) => {
            fork::waitpid(child).unwrap();
            append(&mut writer, 4).unwrap();
            drop((writer, stream));
            db.close().unwrap();
        }
    }
}

#[test]
fn fork_after_open() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("db");
    make(&path);
    let done = rerun("bad_input::child_that_forks").env(CHILD_DIRECTORY, &path).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stdout));
    let told = std::fs::read_to_string(directory.path().join("child.txt")).unwrap();
    assert_eq!(told, "refused");
    let db = Database::open(&path, small()).unwrap();
    assert!(db.report().is_clean(), "{:?}", db.report());
    let found = check_stream(&db.stream(Kind::Float.name()).unwrap(), true).unwrap();
    assert_eq!((found.first, found.end), (0, 5));
}

/// Not a test by itself: holds the lock until its input ends.
#[test]
fn child_that_writes() {
    let Ok(directory) = std::env::var(CHILD_DIRECTORY) else { return };
    let _db = Database::open(directory, small()).unwrap();
    std::io::stdin().read_line(&mut String::new()).unwrap();
}

#[test]
fn a_second_writer() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("db");
    make(&path);
    let db = Database::open(&path, small()).unwrap();
    let locked = |result: Result<Database, Error>, holder: u32| match result {
        Err(error @ Error::Locked { .. }) => {
            assert!(error.to_string().contains(&format!("process {holder}")), "{error}");
        }
        other => panic!("{other:?}"),
    };
    let me = std::process::id();
    std::thread::scope(|scope| {
        scope.spawn(|| locked(Database::open(&path, small()), me)).join().unwrap();
    });
    locked(Database::create(&path, small()), me);
    locked(Database::open_or_create(&path, small()), me);
    // Readers are free.
    holds_three(&Database::open_read_only(&path, small()).unwrap());
    // One writer a stream.
    let stream = db.stream(Kind::Float.name()).unwrap();
    let writer = stream.column_writer().unwrap();
    assert!(matches!(stream.column_writer(), Err(Error::WriterTaken { .. })));
    drop(writer);
    drop(stream.column_writer().unwrap());
    // A closed database is free again, though a handle of it is left.
    let left = db.clone();
    db.close().unwrap();
    assert!(matches!(left.flush(Level::Os), Err(Error::Closed)));
    let mut child = rerun("bad_input::child_that_writes")
        .env(CHILD_DIRECTORY, &path)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let holder = child.id();
    // Trying to open would take the lock from under the child: what it left in the file tells.
    let left = || std::fs::read_to_string(path.join("LOCK")).unwrap_or_default();
    while !left().contains(&holder.to_string()) {
        assert!(child.try_wait().unwrap().is_none(), "the child ended early");
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    locked(Database::open(&path, small()), holder);
    child.kill().unwrap();
    child.wait().unwrap();
    holds_three(&Database::open(&path, small()).unwrap());
}

#[test]
fn things_that_are_no_files() {
    use std::os::unix::fs::symlink;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("db");
    make(&path);
    let secret = directory.path().join("secret");
    std::fs::write(&secret, "not to be read").unwrap();
    symlink(&secret, path.join("seg-00000007.presence")).unwrap();
    std::fs::create_dir(path.join("seg-00000008.presence")).unwrap();
    let pipe = path.join("seg-00000009.presence");
    let made = Command::new("mkfifo").arg(&pipe).status().is_ok_and(|status| status.success());
    if !made {
        skipped("a pipe as segment: there is no mkfifo");
    }
    symlink("/", path.join(".tmp-00000000000000000000000000000000")).unwrap();
    std::fs::write(path.join("notes.txt"), "mine").unwrap();
    let expected = 2 + usize::from(made);
    let check = |db: &Database| {
        holds_three(db);
        let report = db.report();
        assert_eq!(report.damage.len(), expected, "{report:?}");
        assert!(report.damage.iter().all(|damage| damage.what.contains("regular")), "{report:?}");
        assert!(report.ignored.iter().any(|name| name == "notes.txt"), "{report:?}");
    };
    check(&Database::open_read_only(&path, small()).unwrap());
    let db = Database::open(&path, small()).unwrap();
    check(&db);
    db.create_stream("another", schema_of::<u8>().unwrap()).unwrap();
    db.close().unwrap();
    assert_eq!(std::fs::read(&secret).unwrap(), b"not to be read");
    assert!(path.join("notes.txt").exists());
}

#[test]
fn wrong_types_and_shapes() {
    let db = Database::create_on(Arc::new(MemoryDevice::new()), small()).unwrap();
    let stream = db.create_stream("a", schema_of::<[f32; 7]>().unwrap()).unwrap();
    let mismatch = |error: Error| {
        assert!(matches!(error, Error::SchemaMismatch { .. }), "{error}");
        assert!(error.to_string().contains("f32[7]"), "{error}");
    };
    mismatch(stream.writer::<f32>().unwrap_err());
    mismatch(stream.writer::<[f32; 6]>().unwrap_err());
    mismatch(stream.writer::<[f64; 7]>().unwrap_err());
    mismatch(stream.typed::<[[f32; 7]; 1]>().unwrap_err());
    let mut writer = stream.column_writer().unwrap();
    for columns in [&[][..], &[&[0_u8; 27][..]], &[&[0; 28], &[0; 28]]] {
        let error = writer.append(1, columns).unwrap_err();
        assert!(matches!(error, Error::Batch { .. }), "{error}");
    }
    let mut batch = presence::Batch::new(stream.schema());
    batch.timestamps = vec![1, 2];
    batch.columns[0].extend(&[0.5_f32; 7]);
    let error = writer.append_batch(&batch).unwrap_err();
    assert!(matches!(error, Error::Batch { .. }), "{error}");
    batch.columns.push(ColumnData::new());
    writer.append_batch(&batch).unwrap_err();
    assert!(stream.is_empty());
    writer.append(1, &[&[0; 28]]).unwrap();
    let window = stream.window(..).unwrap();
    assert!(window.column::<f64>(0).is_err() && window.column::<f32>(1).is_err());
    assert!(window.to_vec::<[f32; 6]>().is_err());
    assert_eq!(window.column::<f32>(0).unwrap().len(), 7);
    for columns in [vec![], vec![presence::Column::new("a", presence::DType::U8, &[0])]] {
        Schema::new(columns).unwrap_err();
    }
}

#[test]
fn every_bit_of_a_nan_is_kept() {
    use presence::Compression::{Lz4, None, Packed};
    for compression in [None, Lz4, Packed] {
        let device = Arc::new(MemoryDevice::new());
        let db = Database::create_on(device.clone(), small()).unwrap();
        let schema = schema_of::<f64>().unwrap().with_compression(compression);
        let stream = db.create_stream("a", schema).unwrap();
        let mut writer = stream.writer::<f64>().unwrap();
        let special = [
            0x7ff8_0000_0000_0000_u64,
            0xfff8_dead_beef_0001,
            0x7ff0_0000_0000_0001,
            f64::INFINITY.to_bits(),
            (-0.0_f64).to_bits(),
            1,
            1.5_f64.to_bits(),
        ];
        let bits: Vec<u64> = special.iter().cycle().take(200).copied().collect();
        for (ts, bits) in (0..).zip(&bits) {
            writer.append(ts, f64::from_bits(*bits)).unwrap();
        }
        drop((writer, stream));
        db.close().unwrap();
        let db = Database::open_on(device, small()).unwrap();
        for compacted in [false, true] {
            if compacted {
                db.compact(|_, _| true).unwrap();
            }
            let values = db.stream("a").unwrap().window(..).unwrap().column::<f64>(0).unwrap();
            let found: Vec<u64> = values.into_iter().map(f64::to_bits).collect();
            assert_eq!(found, bits, "{compression:?}");
        }
    }
}
