//! Readers that stop in the middle, for long: a process that is stopped by a signal, and a thread
//! that holds a window. Meanwhile what they read is compacted and given up. They go on with sound
//! data or a named error; the disk is as full as without them, once they are gone.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use presence::{Database, Error, Level, Options, Retention, Window};

use crate::support::{figure, number_at, number_schema, number_ts, rerun, scaled, skipped};

/// Set for the child: the directory to read.
const CHILD_DIRECTORY: &str = "PRESENCE_TEST_STALL_DIRECTORY";
/// What retention keeps.
const KEPT_BYTES: u64 = 256 << 10;
const ROUND_RECORDS: u64 = 20_000;

fn options() -> Options {
    let mut options = Options::default();
    options.background = false;
    options.follow = false;
    options.block_bytes = 4096;
    options.segment_bytes = 64 << 10;
    options.compacted_block_bytes = 16 << 10;
    options
}

/// Reads a window to its end. Sound records, or a named error; returns how many.
fn read_out(window: &Window) -> Result<u64, Error> {
    let mut records = 0;
    for slice in window.slices() {
        let slice = slice?;
        for (&ts, &value) in slice.timestamps().iter().zip(slice.column::<i64>(0)?) {
            assert_eq!(value, number_at(0, (ts / 10) as u64), "at {ts}");
        }
        records += slice.len() as u64;
    }
    Ok(records)
}

/// Not a test by itself: the process that is stopped.
#[test]
fn child_that_is_stopped() {
    let Some(directory) = std::env::var_os(CHILD_DIRECTORY) else { return };
    let db = Database::open_read_only(directory, options()).unwrap();
    let window = db.stream("numbers").unwrap().window(..).unwrap();
    // Half of the segments are mapped now, the others are not.
    let slices = window.slices();
    let half: Vec<_> = slices.take(window.len() / 1000).map(Result::unwrap).collect();
    println!("\nHOLDS");
    std::io::stdin().lock().read_line(&mut String::new()).unwrap();
    for slice in &half {
        let values = slice.column::<i64>(0).unwrap();
        let pairs = slice.timestamps().iter().zip(values);
        assert!(pairs.into_iter().all(|(&ts, &value)| value == number_at(0, (ts / 10) as u64)));
    }
    match read_out(&window) {
        Ok(records) => assert_eq!(records, window.len() as u64),
        Err(error) => assert!(matches!(error, Error::Io { .. } | Error::Corrupt { .. }), "{error}"),
    }
    db.refresh().unwrap();
    let now = db.stream("numbers").unwrap().window(..).unwrap();
    assert_eq!(read_out(&now).unwrap(), now.len() as u64);
    println!("\nDONE");
}

fn signal(name: &str, process: u32) -> bool {
    let status = Command::new("kill").args([name, &process.to_string()]).status();
    status.is_ok_and(|status| status.success())
}

fn fill(db: &Database, from: u64) -> u64 {
    let mut writer = db.stream("numbers").unwrap().writer::<i64>().unwrap();
    for sequence in from..from + ROUND_RECORDS {
        writer.append(number_ts(sequence), number_at(0, sequence)).unwrap();
    }
    db.flush(Level::Disk).unwrap();
    from + ROUND_RECORDS
}

/// Bytes of the files that have a name.
fn disk_bytes(directory: &Path) -> u64 {
    let entries = std::fs::read_dir(directory).unwrap();
    entries.map(|entry| entry.unwrap().metadata().unwrap().len()).sum()
}

/// Removed segments that this process still holds: mapped, or open.
fn removed_and_held(directory: &Path) -> usize {
    let gone =
        |words: &str| words.contains(&*directory.to_string_lossy()) && words.ends_with("(deleted)");
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let files = std::fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
    let files = files.filter_map(|entry| std::fs::read_link(entry.path()).ok());
    maps.lines().filter(|line| gone(line)).count()
        + files.filter(|path| gone(&path.to_string_lossy())).count()
}

#[test]
fn stalled_readers_cost_no_disk_and_see_no_signal() {
    let directory = tempfile::tempdir().unwrap();
    let db = Database::create(directory.path(), options()).unwrap();
    db.create_stream("numbers", number_schema(0)).unwrap();
    let mut end = fill(&db, 0);
    let held = db.stream("numbers").unwrap().window(..).unwrap();
    let first = held.slices().next().unwrap().unwrap();
    let mut child = rerun("stalled::child_that_is_stopped")
        .env(CHILD_DIRECTORY, directory.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    assert!(lines.any(|line| line == "HOLDS"));
    let stopped = signal("-STOP", child.id());
    if !stopped {
        skipped("stopping a process by a signal: there is no `kill`");
    }
    let rounds = scaled(20);
    for round in 0..rounds {
        end = fill(&db, end);
        if round % 2 == 1 {
            db.compact(|_, _| true).unwrap();
        }
        db.retain(Retention::bytes_max(KEPT_BYTES)).unwrap();
        // A compacted group goes as a whole, and the newest is never given up.
        let bytes = disk_bytes(directory.path());
        assert!(bytes <= KEPT_BYTES + 16 * ROUND_RECORDS * 4, "round {round}: {bytes} bytes");
    }
    assert_eq!(read_out(&held).unwrap(), held.len() as u64);
    assert_eq!(first.column::<i64>(0).unwrap()[0], number_at(0, 0));
    if cfg!(target_os = "linux") {
        assert!(removed_and_held(directory.path()) > 0, "nothing was stalled");
    }
    drop((first, held));
    assert_eq!(removed_and_held(directory.path()), 0, "removed files are held for ever");
    if stopped {
        assert!(signal("-CONT", child.id()));
    }
    child.stdin.take().unwrap().write_all(b"go on\n").unwrap();
    assert!(lines.any(|line| line == "DONE"), "the stalled process gave up");
    let status = child.wait().unwrap();
    assert!(status.success(), "the stalled process ended with {status}");
    figure("rounds beside stalled readers", rounds);
}
