//! Readers beside a writer, in threads and in processes: every answer is a prefix as of one moment,
//! and never goes back, while segments roll, are given up and compacted.

use std::io::Read;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use presence::{Database, Level, Options, Retention, Stream};

use crate::support::{check_numbers, figure, number_at, number_schema, number_ts, rerun, scaled};

const STREAMS: usize = 3;
/// Between two looks: four readers without rest keep all cores from the tests beside this one.
const READER_PAUSE: Duration = Duration::from_millis(4);
/// Set for a child that reads: the directory, and whether it follows by itself.
const CHILD_DIRECTORY: &str = "PRESENCE_TEST_READ_DIRECTORY";
const CHILD_FOLLOWS: &str = "PRESENCE_TEST_READ_FOLLOWS";

fn options() -> Options {
    let mut options = Options::default();
    options.block_bytes = 2048;
    options.compacted_block_bytes = 16 << 10;
    options.segment_bytes = 64 << 10;
    options.write_buffer_bytes = 64 << 10;
    options.flush_interval = Duration::from_millis(3);
    options.sync_interval = Duration::from_millis(10);
    options
}

fn name(stream: usize) -> String {
    format!("numbers {stream}")
}

/// Asks one stream in every way: five answers. Returns the end of what it holds.
fn look(stream: &Stream, number: usize) -> u64 {
    let len = stream.len();
    let [durable, logged, appended] =
        [Level::Disk, Level::Os, Level::Memory].map(|level| stream.records_at(level));
    assert!(durable <= logged && logged <= appended, "{durable} {logged} {appended}");
    let found = check_numbers(stream, number).unwrap();
    let end = found.map_or(0, |found| found.end);
    assert!(len <= end, "{len} records, the last is {end}");
    if let Some(last) = stream.last().unwrap() {
        let sequence = (last.ts() / 10) as u64;
        assert!(sequence + 1 >= end, "the last record went back from {end} to {sequence}");
        let (at, value) = stream.typed::<i64>().unwrap().at(last.ts() + 5).unwrap().unwrap();
        assert_eq!((at - 3) % 10, 0);
        assert_eq!(value, number_at(number, (at / 10) as u64));
        assert!(at >= last.ts(), "at went back from {} to {at}", last.ts());
    }
    if let Some(found) = found {
        // A window is of one moment, whatever happens while it is read.
        let middle = number_ts(found.first + (found.end - found.first) / 2);
        let window = stream.window(middle..).unwrap();
        std::thread::yield_now();
        let times = window.timestamps().unwrap();
        assert_eq!(times.len(), window.len());
        assert!(times.is_sorted());
    }
    end
}

/// Looks at all streams until told to stop. Returns the number of answers checked.
fn read_until(stop: &AtomicBool, db: &Database, refresh: bool) -> u64 {
    let mut seen = [0; STREAMS];
    let mut answers = 0;
    while !stop.load(Ordering::Relaxed) {
        if refresh {
            db.refresh().unwrap();
        }
        for (number, seen) in seen.iter_mut().enumerate() {
            let Ok(stream) = db.stream(&name(number)) else { continue };
            let end = look(&stream, number);
            assert!(end >= *seen, "stream {number} went back from {seen} to {end}");
            *seen = end;
            answers += 5;
        }
        std::thread::sleep(READER_PAUSE);
    }
    answers
}

/// Opens what another handle or process writes, and reads it until told to stop.
fn read_apart(stop: &AtomicBool, path: &Path, follow: bool) -> u64 {
    let mut options = options();
    options.follow = follow;
    options.map = follow;
    let db = Database::open_read_only(path, options).unwrap();
    read_until(stop, &db, !follow)
}

/// Not a test by itself: a reader in a process of its own, until its input ends.
#[test]
fn child_that_reads() {
    let Some(directory) = std::env::var_os(CHILD_DIRECTORY) else { return };
    let follow = std::env::var_os(CHILD_FOLLOWS).is_some();
    let stop = AtomicBool::new(false);
    let answers = std::thread::scope(|scope| {
        scope.spawn(|| {
            let _end = std::io::stdin().read_to_end(&mut Vec::new());
            stop.store(true, Ordering::Relaxed);
        });
        let answers = std::panic::catch_unwind(|| read_apart(&stop, directory.as_ref(), follow));
        // The thread that waits for the end of the input would keep this one.
        answers.unwrap_or_else(|_| std::process::exit(101))
    });
    println!("\nANSWERS {answers}");
}

fn start_reader(path: &Path, follow: bool) -> Child {
    let mut command = rerun("concurrent::child_that_reads");
    command.env(CHILD_DIRECTORY, path).stdin(Stdio::piped()).stdout(Stdio::piped());
    if follow {
        command.env(CHILD_FOLLOWS, "1");
    }
    command.spawn().unwrap()
}

/// Ends a reader's input, and returns the answers that it checked.
fn end_reader(mut child: Child) -> u64 {
    drop(child.stdin.take());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "a reading process ended with {}", output.status);
    let text = String::from_utf8_lossy(&output.stdout);
    let answers = text.lines().find_map(|line| line.strip_prefix("ANSWERS "));
    answers.unwrap().parse().unwrap()
}

/// Appends, and flushes now and then, for a time. Returns where the streams end.
fn write_for(
    db: &Database,
    streams: &[Stream],
    time: Duration,
    stop: &AtomicBool,
) -> [u64; STREAMS] {
    let mut ends = [0; STREAMS];
    let mut writers: Vec<_> =
        streams.iter().map(|stream| stream.writer::<i64>().unwrap()).collect();
    let mut watermarks = [(0, 0); 2];
    let started = Instant::now();
    while started.elapsed() < time && !stop.load(Ordering::Relaxed) {
        for (number, writer) in writers.iter_mut().enumerate() {
            for _ in 0..20 {
                let sequence = ends[number];
                writer.append(number_ts(sequence), number_at(number, sequence)).unwrap();
                ends[number] += 1;
            }
        }
        if ends[0] % 400 == 0 {
            let to_disk = ends[0] % 4000 == 0;
            let flushed = db.flush(if to_disk { Level::Disk } else { Level::Os }).unwrap();
            let (watermark, before) =
                ((flushed.segment, flushed.offset), &mut watermarks[usize::from(to_disk)]);
            assert!(watermark >= *before, "the watermark went back from {before:?} to {flushed:?}");
            *before = watermark;
        }
        std::thread::sleep(Duration::from_micros(200));
    }
    stop.store(true, Ordering::Relaxed);
    ends
}

/// Two readers in this process, two in others.
#[test]
fn readers_see_prefixes_while_everything_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let db = Database::create(directory.path(), options()).unwrap();
    let streams: Vec<Stream> = (0..STREAMS)
        .map(|number| db.create_stream(&name(number), number_schema(number)).unwrap())
        .collect();
    db.flush(Level::Disk).unwrap();
    let (stop, answers) = (AtomicBool::new(false), AtomicU64::new(0));
    let time = Duration::from_secs(scaled(60));
    let ends = std::thread::scope(|scope| {
        let children = [true, false].map(|follow| start_reader(directory.path(), follow));
        scope.spawn(|| {
            let _stop_all = StopOnPanic(&stop);
            answers.fetch_add(read_until(&stop, &db, false), Ordering::Relaxed);
        });
        scope.spawn(|| {
            let _stop_all = StopOnPanic(&stop);
            answers.fetch_add(read_apart(&stop, directory.path(), true), Ordering::Relaxed);
        });
        scope.spawn(|| {
            let _stop_all = StopOnPanic(&stop);
            while !stop.load(Ordering::Relaxed) {
                db.retain(Retention::bytes_max(600 << 10)).unwrap();
                std::thread::sleep(Duration::from_millis(15));
                db.compact(|_, _| true).unwrap();
                std::thread::sleep(Duration::from_millis(25));
            }
        });
        let _stop_all = StopOnPanic(&stop);
        let ends = write_for(&db, &streams, time, &stop);
        for child in children {
            answers.fetch_add(end_reader(child), Ordering::Relaxed);
        }
        ends
    });
    drop(streams);
    db.close().unwrap();
    let db = Database::open(directory.path(), options()).unwrap();
    assert!(db.report().is_clean(), "{:?}", db.report());
    for (number, end) in ends.into_iter().enumerate() {
        let found = check_numbers(&db.stream(&name(number)).unwrap(), number).unwrap();
        assert_eq!(found.map(|found| found.end), Some(end));
    }
    let answers = answers.load(Ordering::Relaxed);
    figure("answers of readers beside a writer", answers);
    println!("{ends:?} records, {answers} answers");
}

/// Ends the other threads when one fails, so that the test ends too.
struct StopOnPanic<'a>(&'a AtomicBool);

impl Drop for StopOnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.store(true, Ordering::Relaxed);
        }
    }
}

/// A close while a compaction runs: the compaction stops, the close waits for it, and everything
/// is as it was.
#[test]
fn a_close_ends_a_running_compaction() {
    let directory = tempfile::tempdir().unwrap();
    let db = Database::create(directory.path(), options()).unwrap();
    let stream = db.create_stream("numbers 0", number_schema(0)).unwrap();
    let mut writer = stream.writer::<i64>().unwrap();
    for sequence in 0..20_000 {
        writer.append(number_ts(sequence), number_at(0, sequence)).unwrap();
    }
    db.flush(Level::Disk).unwrap();
    let (started, has_started) = std::sync::mpsc::channel();
    let compacted = std::thread::scope(|scope| {
        let compacting = db.clone();
        let compaction = scope.spawn(move || {
            let mut sequence = 20_000;
            compacting.compact(|_, _| {
                let _ = started.send(());
                // Until the close is on its way.
                while writer.append(number_ts(sequence), number_at(0, sequence)).is_ok() {
                    sequence += 1;
                    std::thread::yield_now();
                }
                true
            })
        });
        has_started.recv().unwrap();
        db.close().unwrap();
        let left = std::fs::read_dir(directory.path()).unwrap();
        let left = left.filter(|entry| {
            entry
                .as_ref()
                .is_ok_and(|entry| entry.file_name().to_string_lossy().starts_with(".tmp"))
        });
        assert_eq!(left.count(), 0, "the close did not wait");
        compaction.join().unwrap()
    });
    assert!(matches!(compacted, Err(presence::Error::Closed)), "{compacted:?}");
    drop(stream);
    let db = Database::open(directory.path(), options()).unwrap();
    assert!(db.report().is_clean(), "{:?}", db.report());
    let found = check_numbers(&db.stream("numbers 0").unwrap(), 0).unwrap();
    assert!(found.is_some_and(|found| found.first == 0 && found.end >= 20_000));
}
