//! Writers that are killed: a child process writes to a real directory from several threads and
//! tells through a pipe what was acknowledged; it is killed at a random moment, and what was
//! acknowledged must be there. Readers look on meanwhile.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use presence::{Database, Level, Options, Retention};

use crate::support::{
    Random, check_numbers, figure, number_at, number_schema, number_ts, rerun, scaled, shell_line,
};

/// Set for the child: the directory to write to, and its seed.
const CHILD_DIRECTORY: &str = "PRESENCE_TEST_KILL_DIRECTORY";
const CHILD_SEED: &str = "PRESENCE_TEST_KILL_SEED";
const STREAMS: usize = 4;

fn options() -> Options {
    let mut options = Options::default();
    options.block_bytes = 1024;
    options.compacted_block_bytes = 8192;
    options.segment_bytes = 32 << 10;
    options.write_buffer_bytes = 16 << 10;
    options.flush_interval = Duration::from_millis(5);
    options.sync_interval = Duration::from_millis(20);
    options.follow = false;
    options
}

/// Not a test by itself: the writer that is killed.
#[test]
fn child_that_is_killed() {
    let Ok(directory) = std::env::var(CHILD_DIRECTORY) else { return };
    let seed: u64 = std::env::var(CHILD_SEED).unwrap().parse().unwrap();
    let db = Database::open_or_create(directory, options()).unwrap();
    let report = db.report();
    assert!(report.damage.is_empty() && report.lost.is_empty(), "{report:?}");
    for stream in 0..STREAMS {
        if db.stream(&format!("numbers {stream}")).is_err() {
            db.create_stream(&format!("numbers {stream}"), number_schema(stream)).unwrap();
        }
    }
    std::thread::scope(|scope| {
        for stream in 0..STREAMS {
            let db = db.clone();
            scope.spawn(move || {
                let _end_all = EndOnPanic;
                write(&db, stream, seed);
            });
        }
        let _end_all = EndOnPanic;
        let mut random = Random(seed);
        loop {
            std::thread::sleep(Duration::from_millis(5 + random.below(40)));
            match random.below(3) {
                0 => drop(db.compact(|_, _| true).unwrap()),
                _ => drop(db.retain(Retention::bytes_max(400 << 10)).unwrap()),
            }
        }
    });
}

/// Ends the process when a thread of it fails, for the parent to see.
struct EndOnPanic;

impl Drop for EndOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            std::process::exit(101);
        }
    }
}

/// Appends to one stream for ever, and tells what each flush promised.
fn write(db: &Database, stream: usize, seed: u64) {
    let mut random = Random(seed * 100 + stream as u64);
    let handle = db.stream(&format!("numbers {stream}")).unwrap();
    let mut writer = handle.writer::<i64>().unwrap();
    let mut sequence = handle.records_at(Level::Memory);
    loop {
        for _ in 0..random.below(200) {
            writer.append(number_ts(sequence), number_at(stream, sequence)).unwrap();
            sequence += 1;
        }
        match random.below(8) {
            0 => writer.flush(Level::Disk).map(|_| ()).unwrap(),
            1..4 => writer.flush(Level::Os).map(|_| ()).unwrap(),
            _ => std::thread::sleep(Duration::from_micros(random.below(500))),
        }
        // Whatever is at this level now is acknowledged, by whichever flush.
        let held = handle.records_at(Level::Os);
        let line = format!("\nACK {stream} {held}\n");
        std::io::stdout().lock().write_all(line.as_bytes()).unwrap();
    }
}

/// Looks at a directory that is being written, until told to stop.
fn look_on(path: &Path, stop: &AtomicBool) -> u64 {
    let mut looks = 0;
    let mut reader = None;
    let mut seen = [0; STREAMS];
    while !stop.load(Ordering::Relaxed) {
        let Some(db) = &reader else {
            // The child may not have made it yet.
            reader = Database::open_read_only(path, options()).ok();
            continue;
        };
        db.refresh().unwrap();
        for (stream, seen) in seen.iter_mut().enumerate() {
            let Ok(handle) = db.stream(&format!("numbers {stream}")) else { continue };
            let found = check_numbers(&handle, stream);
            let found = found.unwrap_or_else(|what| panic!("{what}\n{:?}", db.segments()));
            let end = found.map_or(0, |found| found.end);
            assert!(end >= *seen, "stream {stream} went back from {seen} to {end}");
            *seen = end;
        }
        looks += 1;
    }
    looks
}

/// Not a test by itself: a reader in a process of its own, which is killed, too.
#[test]
fn child_that_looks_on() {
    let Ok(directory) = std::env::var(CHILD_DIRECTORY) else { return };
    let _end_all = EndOnPanic;
    look_on(Path::new(&directory), &AtomicBool::new(false));
}

/// A process that reads beside all writers of a directory, until it is killed with the value.
struct Onlooker(std::process::Child);

impl Onlooker {
    fn start(path: &Path) -> Self {
        let mut command = rerun("kills::child_that_looks_on");
        command.env(CHILD_DIRECTORY, path).stdin(Stdio::null()).stdout(Stdio::null());
        Self(command.spawn().unwrap())
    }

    /// Kills it. It must have been there till then.
    fn kill(&mut self) {
        let ended = self.0.try_wait().unwrap();
        assert!(ended.is_none(), "a reader ended by itself: {ended:?}");
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Onlooker {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _reaped = self.0.wait();
    }
}

/// Starts the writer in another process. It goes on until it is killed.
pub(crate) fn start_writer(path: &Path, seed: u64) -> std::process::Child {
    rerun("kills::child_that_is_killed")
        .env(CHILD_DIRECTORY, path)
        .env(CHILD_SEED, seed.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// One life of a writer. Returns what was acknowledged last.
fn live_and_die(path: &Path, seed: u64, life: Duration, looks: &AtomicU64) -> [u64; STREAMS] {
    let mut child = start_writer(path, seed);
    let output = BufReader::new(child.stdout.take().unwrap());
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let acknowledged = scope.spawn(move || {
            let mut acknowledged = [0; STREAMS];
            for line in output.lines().map_while(Result::ok) {
                let mut words = line.split(' ');
                if words.next() != Some("ACK") {
                    continue;
                }
                let numbers: Vec<u64> = words.filter_map(|word| word.parse().ok()).collect();
                if let [stream, count] = numbers[..] {
                    acknowledged[stream as usize] = count;
                }
            }
            acknowledged
        });
        let reader = scope.spawn(|| look_on(path, &stop));
        let born = Instant::now();
        while born.elapsed() < life {
            if let Some(status) = child.try_wait().unwrap() {
                stop.store(true, Ordering::Relaxed);
                panic!("seed={seed}: the writer ended by itself: {status}");
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        stop.store(true, Ordering::Relaxed);
        looks.fetch_add(reader.join().unwrap(), Ordering::Relaxed);
        acknowledged.join().unwrap()
    })
}

#[test]
fn writers_are_killed_and_lose_nothing_acknowledged() {
    let lives = scaled(200);
    let _replay = crate::support::Replay(shell_line(
        "kills::writers_are_killed_and_lose_nothing_acknowledged",
        1,
    ));
    let looks = AtomicU64::new(0);
    let mut promised_in_all = 0;
    let mut directory = tempfile::tempdir().unwrap();
    let mut onlooker = Onlooker::start(directory.path());
    let mut before = [0; STREAMS];
    for seed in 1..=lives {
        if seed % 10 == 0 {
            onlooker.kill();
            if seed % 20 == 0 {
                directory = tempfile::tempdir().unwrap();
            }
            onlooker = Onlooker::start(directory.path());
        }
        if seed % 20 == 0 {
            before = [0; STREAMS];
        }
        let path = directory.path();
        let mut random = Random(seed);
        let life = Duration::from_millis(20 + random.below(130));
        let acknowledged = live_and_die(path, seed, life, &looks);
        let check = |what: &str, db: &Database| {
            let report = db.report();
            assert!(
                report.damage.is_empty() && report.lost.is_empty(),
                "seed={seed}, {what}: {report:?}"
            );
            let mut ends = [0; STREAMS];
            for (stream, end) in ends.iter_mut().enumerate() {
                let promised = acknowledged[stream].max(before[stream]);
                let Ok(handle) = db.stream(&format!("numbers {stream}")) else {
                    assert_eq!(promised, 0, "seed={seed}, {what}: stream {stream} is gone");
                    continue;
                };
                let found = check_numbers(&handle, stream);
                let found = found.unwrap_or_else(|error| panic!("seed={seed}, {what}: {error}"));
                *end = found.map_or(handle.records_at(Level::Memory), |found| found.end);
                assert!(
                    *end >= promised,
                    "seed={seed}, {what}: stream {stream} ends at {end}, {promised} were promised"
                );
            }
            ends
        };
        let read_only = match Database::open_read_only(path, options()) {
            Ok(db) => check("read-only", &db),
            // Killed before the first segment had its name.
            Err(_) if acknowledged == [0; STREAMS] && before == [0; STREAMS] => continue,
            Err(error) => panic!("seed={seed}: {error}"),
        };
        let mut quiet = options();
        quiet.background = false;
        let db = Database::open(path, quiet).unwrap_or_else(|e| panic!("seed={seed}: {e}"));
        let found = check("recovered", &db);
        assert_eq!(found, read_only, "seed={seed}: a reader and the recovery differ");
        promised_in_all += acknowledged.iter().sum::<u64>();
        before = found;
        if seed % 2 == 0 {
            db.close().unwrap();
        }
    }
    onlooker.kill();
    figure("kills at a random time", lives);
    figure("readers killed beside them", 1 + lives / 10);
    figure("looks of readers at killed writers", looks.load(Ordering::Relaxed));
    println!("{lives} kills, {promised_in_all} records acknowledged, looked at {looks:?} times");
}
