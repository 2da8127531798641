//! Running the program.
//!
//! # Invariants
//! - No test depends on another's files.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// A directory with a database to be.
pub(crate) struct Place {
    pub(crate) dir: TempDir,
}

/// What a run gave.
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    pub(crate) fn new(output: Output) -> Self {
        Self {
            code: output.status.code().expect("the program was killed"),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Asserts the code; shows everything where it is another one.
    #[track_caller]
    pub(crate) fn code(self, code: i32) -> Self {
        assert_eq!(self.code, code, "out: {}\nerr: {}", self.out, self.err);
        self
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}", self.out))
    }

    /// The error as JSON: its kind.
    #[track_caller]
    pub(crate) fn kind(&self) -> String {
        let error: Value =
            serde_json::from_str(&self.err).unwrap_or_else(|error| panic!("{error}: {}", self.err));
        error["error"]["kind"].as_str().unwrap().to_owned()
    }

    pub(crate) fn lines(&self) -> Vec<Value> {
        self.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

pub(crate) fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_presence"));
    command.stdin(Stdio::null()).env_remove("TERM");
    command
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// Runs words separated by spaces in this directory.
    pub(crate) fn run(&self, words: &str) -> Ran {
        let words: Vec<&str> = words.split_whitespace().collect();
        self.run_words(&words)
    }

    pub(crate) fn run_words(&self, words: &[&str]) -> Ran {
        let output = program().args(words).current_dir(self.dir.path()).output().unwrap();
        Ran::new(output)
    }

    pub(crate) fn run_with_input(&self, words: &str, input: &str) -> Ran {
        let mut child = program()
            .args(words.split_whitespace())
            .current_dir(self.dir.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        Ran::new(child.wait_with_output().unwrap())
    }

    /// A recording of `count` made-up events on a sensor of 640 x 480, in order.
    pub(crate) fn events(
        &self,
        name: &str,
        format: presence_events::Format,
        count: u64,
    ) -> PathBuf {
        let event = |index: u64| {
            // A fixed sequence that wanders over the sensor; times rise by 0 to 7 us.
            let mix = index.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
            presence_events::Event {
                t: 1_000_000 + index as i64 * 3 + (mix % 3) as i64,
                x: (mix / 3 % 640) as u16,
                y: (mix / 1920 % 480) as u16,
                polarity: (mix >> 31) as u8,
            }
        };
        self.recording(name, format, (0..count).map(event))
    }

    /// Writes a recording of these events, of a sensor of 640 x 480.
    pub(crate) fn recording(
        &self,
        name: &str,
        format: presence_events::Format,
        events: impl Iterator<Item = presence_events::Event>,
    ) -> PathBuf {
        let events: presence_events::EventBatch = events.collect();
        let size = presence_events::SensorSize { width: 640, height: 480 };
        let options =
            presence_events::EncodeOptions { sensor_size: Some(size), ..Default::default() };
        let mut encoder = presence_events::encoder(format, &options).unwrap();
        let mut bytes = Vec::new();
        encoder.encode(&events, &mut bytes).unwrap();
        encoder.finish(&mut bytes).unwrap();
        let path = self.path(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    /// The segments of the database `db`.
    pub(crate) fn segments(&self, db: &str) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.path(db)).unwrap();
        let paths = entries.map(|entry| entry.unwrap().path());
        let mut paths: Vec<PathBuf> =
            paths.filter(|path| path.extension().is_some_and(|end| end == "presence")).collect();
        paths.sort();
        paths
    }
}

/// The directory of recordings, or a plain word that the test is skipped.
pub(crate) fn recordings() -> Option<PathBuf> {
    let dir = std::env::var_os("PRESENCE_TEST_DATA").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
        PathBuf::from,
    );
    if dir.join("MANIFEST.json").is_file() {
        return Some(dir);
    }
    say_skipped(&format!("no recordings at {} (set PRESENCE_TEST_DATA)", dir.display()));
    None
}

/// Says that something could not be tested here, and why.
pub(crate) fn say_skipped(what: &str) {
    // Not println!: the harness would keep it from those who should read it.
    let _said = writeln!(std::io::stderr(), "SKIPPED: {what}");
    figure(&format!("skipped: {what}"), 1);
}

/// `count`, scaled by `PRESENCE_TEST_SCALE`, at least one.
pub(crate) fn scaled(count: u64) -> u64 {
    let scale = std::env::var("PRESENCE_TEST_SCALE").ok().and_then(|scale| scale.parse().ok());
    ((count as f64 * scale.unwrap_or(1.0)) as u64).max(1)
}

/// Adds `count` to the figure `name` of this run: one line in the file that `PRESENCE_FIGURES`
/// names, nothing where it is not set.
pub(crate) fn figure(name: &str, count: u64) {
    let Some(path) = std::env::var_os("PRESENCE_FIGURES") else { return };
    let file = std::fs::OpenOptions::new().append(true).create(true).open(path);
    file.unwrap().write_all(format!("{name}\t{count}\n").as_bytes()).unwrap();
}
