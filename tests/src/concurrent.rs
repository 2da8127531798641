//! Readers beside a writer: every answer is a prefix as of one moment, and never goes back, while
//! segments roll, are given up and compacted.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use presence::{Database, Level, Options, Retention, Stream};

use crate::support::{check_numbers, figure, number_at, number_schema, number_ts, scaled};

const STREAMS: usize = 3;

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

/// Asks one stream in every way. Returns the end of what it holds.
fn look(stream: &Stream, number: usize) -> u64 {
    let len = stream.len();
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

fn read_until(stop: &AtomicBool, looks: &AtomicU64, db: &Database, refresh: bool) {
    let mut seen = [0; STREAMS];
    while !stop.load(Ordering::Relaxed) {
        if refresh {
            db.refresh().unwrap();
        }
        for (number, seen) in seen.iter_mut().enumerate() {
            let Ok(stream) = db.stream(&name(number)) else { continue };
            let end = look(&stream, number);
            assert!(end >= *seen, "stream {number} went back from {seen} to {end}");
            *seen = end;
        }
        looks.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn readers_see_prefixes_while_everything_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let db = Database::create(directory.path(), options()).unwrap();
    let streams: Vec<Stream> = (0..STREAMS)
        .map(|number| db.create_stream(&name(number), number_schema(number)).unwrap())
        .collect();
    db.flush(Level::Disk).unwrap();
    let (stop, looks) = (AtomicBool::new(false), AtomicU64::new(0));
    let mut ends = [0_u64; STREAMS];
    std::thread::scope(|scope| {
        for reader in 0..4 {
            let (db, stop, looks) = (db.clone(), &stop, &looks);
            let path = directory.path();
            scope.spawn(move || {
                let _stop_all = StopOnPanic(stop);
                // Two share the writer's handle, one follows by itself, one when asked.
                let mut options = options();
                options.follow = reader == 2;
                options.map = reader == 2;
                match reader {
                    0 | 1 => read_until(stop, looks, &db, false),
                    _ => {
                        let db = Database::open_read_only(path, options).unwrap();
                        read_until(stop, looks, &db, reader == 3);
                    }
                }
            });
        }
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
        let started = Instant::now();
        let mut writers: Vec<_> =
            streams.iter().map(|stream| stream.writer::<i64>().unwrap()).collect();
        while started.elapsed() < Duration::from_secs(scaled(5)) && !stop.load(Ordering::Relaxed) {
            for (number, writer) in writers.iter_mut().enumerate() {
                for _ in 0..20 {
                    let sequence = ends[number];
                    writer.append(number_ts(sequence), number_at(number, sequence)).unwrap();
                    ends[number] += 1;
                }
            }
            if ends[0] % 400 == 0 {
                let level = if ends[0] % 4000 == 0 { Level::Disk } else { Level::Os };
                db.flush(level).unwrap();
            }
            std::thread::sleep(Duration::from_micros(200));
        }
        stop.store(true, Ordering::Relaxed);
    });
    drop(streams);
    db.close().unwrap();
    let db = Database::open(directory.path(), options()).unwrap();
    assert!(db.report().is_clean(), "{:?}", db.report());
    for (number, end) in ends.into_iter().enumerate() {
        let found = check_numbers(&db.stream(&name(number)).unwrap(), number).unwrap();
        assert_eq!(found.map(|found| found.end), Some(end));
    }
    println!("{ends:?} records, looked at {looks:?} times");
    figure("snapshots checked beside a writer", looks.into_inner());
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
