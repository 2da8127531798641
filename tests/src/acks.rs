//! A writer in a process of its own, on real files: it appends, seals, compacts and gives up old
//! records, and tells through a pipe what it was promised, until it is stopped or fails.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Stdio};
use std::time::{Duration, Instant};

use presence::{Database, Error, Level, Options, Retention};

use crate::faults::is_typed;
use crate::support::{Random, check_numbers, number_at, number_schema, number_ts, rerun};

/// Set for the child.
const CHILD_DIRECTORY: &str = "PRESENCE_TEST_ACKS_DIRECTORY";
const CHILD_SEED: &str = "PRESENCE_TEST_ACKS_SEED";
const CHILD_LEVEL: &str = "PRESENCE_TEST_ACKS_LEVEL";
const STREAMS: usize = 3;
/// Far beyond what any machine needs: a writer that takes so long hangs.
const PATIENCE: Duration = Duration::from_secs(120);

/// Small segments, so that many are sealed, and threads as users have them.
pub(crate) fn options() -> Options {
    let mut options = crate::support::small();
    options.background = true;
    options.flush_interval = Duration::from_millis(3);
    options.sync_interval = Duration::from_millis(7);
    options.write_buffer_bytes = 16 << 10;
    options.segment_bytes = 16 << 10;
    options
}

fn tell(line: &str) {
    std::io::stdout().lock().write_all(format!("\n{line}\n").as_bytes()).unwrap();
}

/// Not a test by itself: writes until something fails, which must be told as what it is.
#[test]
fn child_that_writes() {
    let Ok(directory) = std::env::var(CHILD_DIRECTORY) else { return };
    let seed: u64 = std::env::var(CHILD_SEED).unwrap().parse().unwrap();
    let level = match std::env::var(CHILD_LEVEL).unwrap().as_str() {
        "Os" => Level::Os,
        _ => Level::Disk,
    };
    let Err(error) = write(&directory, seed, level);
    assert!(is_typed(&error), "{error}");
    tell(&format!("FAILED {error}"));
}

fn write(directory: &str, seed: u64, level: Level) -> Result<std::convert::Infallible, Error> {
    let mut random = Random(seed);
    let db = Database::open_or_create(directory, options())?;
    let mut writers = Vec::new();
    for number in 0..STREAMS {
        let name = format!("numbers {number}");
        let stream = match db.stream(&name) {
            Ok(stream) => stream,
            Err(_) => db.create_stream(&name, number_schema(number))?,
        };
        let next = stream.records_at(Level::Memory);
        writers.push((stream.writer::<i64>()?, next, stream));
    }
    loop {
        for (number, (writer, next, _)) in writers.iter_mut().enumerate() {
            for _ in 0..random.below(60) {
                writer.append(number_ts(*next), number_at(number, *next))?;
                *next += 1;
            }
        }
        db.flush(level)?;
        let held: Vec<String> =
            writers.iter().map(|(_, _, stream)| stream.records_at(level).to_string()).collect();
        tell(&format!("ACK {}", held.join(" ")));
        match random.below(12) {
            0 => _ = db.compact(|_, _| true)?,
            1 => _ = db.retain(Retention::bytes_max(200 << 10))?,
            _ => {}
        }
    }
}

/// What a writer told before it ended.
#[derive(Debug, Default, Clone)]
pub(crate) struct Told {
    /// Records of each stream, by the last acknowledgement.
    pub(crate) counts: Vec<u64>,
    /// How often it acknowledged.
    pub(crate) acks: u64,
    /// What it failed with.
    pub(crate) failure: Option<String>,
}

/// A writer that runs.
pub(crate) struct Writer {
    child: Child,
    lines: std::sync::mpsc::Receiver<String>,
    told: std::cell::RefCell<Told>,
    words: PathBuf,
    _directory: tempfile::TempDir,
}

impl Writer {
    pub(crate) fn start(path: &Path, seed: u64, level: Level) -> Self {
        Self::start_as(rerun("acks::child_that_writes"), path, seed, level)
    }

    /// As [`Writer::start`], by a command that runs the child.
    pub(crate) fn start_as(
        mut command: std::process::Command,
        path: &Path,
        seed: u64,
        level: Level,
    ) -> Self {
        let directory = crate::support::quick_dir();
        let words = directory.path().join("err");
        let mut child = command
            .env(CHILD_DIRECTORY, path)
            .env(CHILD_SEED, seed.to_string())
            .env(CHILD_LEVEL, format!("{level:?}"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(&words).unwrap())
            .spawn()
            .unwrap();
        let output = child.stdout.take().unwrap();
        let (sender, lines) = std::sync::mpsc::channel();
        std::thread::spawn(move || forward(output, &sender));
        Self { child, lines, told: Default::default(), words, _directory: directory }
    }

    fn hear(&self, line: &str) {
        let mut told = self.told.borrow_mut();
        match line.split_once(' ') {
            Some(("ACK", counts)) => {
                told.counts = counts.split(' ').filter_map(|count| count.parse().ok()).collect();
                told.acks += 1;
            }
            Some(("FAILED", what)) => told.failure = Some(what.to_owned()),
            _ => {}
        }
    }

    /// Returns once it has acknowledged so often, or has ended.
    pub(crate) fn wait_for(&self, acks: u64) -> Result<(), String> {
        let begun = Instant::now();
        while self.told.borrow().acks < acks {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => self.hear(&line),
                Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => return Ok(()),
                Err(_) => return Err(format!("no word of the writer for {:?}", begun.elapsed())),
            }
        }
        Ok(())
    }

    /// What it told by now.
    pub(crate) fn heard(&self) -> Told {
        self.lines.try_iter().for_each(|line| self.hear(&line));
        self.told.borrow().clone()
    }

    /// Waits for it to end by a failure, which must be told, and without a panic.
    pub(crate) fn end(mut self) -> Result<Told, String> {
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            if Instant::now() > deadline {
                return Err("the writer goes on though every call fails".to_owned());
            }
            std::thread::sleep(Duration::from_millis(1));
        };
        while let Ok(line) = self.lines.recv() {
            self.hear(&line);
        }
        let told = self.told.take();
        let words = std::fs::read_to_string(&self.words).unwrap_or_default();
        if !status.success() || words.contains("panicked") || told.failure.is_none() {
            return Err(format!("the writer ended with {status}: {told:?}\n{words}"));
        }
        Ok(told)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

fn forward(output: ChildStdout, to: &std::sync::mpsc::Sender<String>) {
    for line in BufReader::new(output).lines().map_while(Result::ok) {
        if to.send(line).is_err() {
            return;
        }
    }
}

/// Opens what a writer left, and checks that everything acknowledged is there, that nothing is
/// taken for rot, that a reader sees the same, and that a second opening has nothing to say.
pub(crate) fn check_left(path: &Path, told: &Told) -> Result<(), String> {
    if told.counts.is_empty() && !path.exists() {
        return Ok(());
    }
    let mut quiet = options();
    quiet.background = false;
    let read_only = match Database::open_read_only(path, quiet.clone()) {
        Ok(db) => Some(ends(&db, told)?),
        Err(Error::NotADatabase { .. }) if told.counts.is_empty() => None,
        Err(error) => return Err(format!("reading: {error}")),
    };
    let open = || Database::open_or_create(path, quiet.clone());
    let db = open().map_err(|error| format!("opening: {error}"))?;
    let report = db.report();
    if !report.damage.is_empty() || !report.lost.is_empty() {
        return Err(format!("taken for rot: {report:?}"));
    }
    let found = ends(&db, told)?;
    if read_only.is_some_and(|seen| seen != found) {
        return Err("a reader and the recovery differ".to_owned());
    }
    drop(db);
    let db = open().map_err(|error| format!("opening again: {error}"))?;
    if !db.report().is_clean() || ends(&db, told)? != found {
        return Err(format!("a second opening: {:?}", db.report()));
    }
    Ok(())
}

/// Where each stream ends; an error where that is before what was acknowledged.
fn ends(db: &Database, told: &Told) -> Result<Vec<u64>, String> {
    let mut ends = Vec::new();
    for (number, promised) in told.counts.iter().enumerate() {
        let stream = db.stream(&format!("numbers {number}")).map_err(|error| error.to_string())?;
        let found = check_numbers(&stream, number)?;
        let end = found.map_or(stream.records_at(Level::Memory), |found| found.end);
        if end < *promised {
            return Err(format!("stream {number} ends at {end}, {promised} were acknowledged"));
        }
        ends.push(end);
    }
    Ok(ends)
}
