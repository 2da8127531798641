//! What the tests share: small options, streams whose records are a function of their sequence,
//! and the check of a stream against them.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use presence::{Column, Compression, DType, Options, Order, Schema, Stream};
pub(crate) use presence_tests::mix;

/// Records that a [`Truth`] holds: no test appends more to one stream.
pub(crate) const TRUTH_RECORDS: u64 = 20_000;

/// The smallest blocks and segments, and nothing written but on request.
pub(crate) fn small() -> Options {
    let mut options = Options::default();
    options.background = false;
    options.follow = false;
    options.block_bytes = 256;
    options.compacted_block_bytes = 1024;
    options.segment_bytes = 4096;
    options
}

/// How much more than usual is tested: `PRESENCE_TEST_SCALE`, 1 where it is not set.
pub(crate) fn scale() -> f64 {
    let scale = std::env::var("PRESENCE_TEST_SCALE").ok();
    scale.and_then(|scale| scale.parse().ok()).unwrap_or(1.0)
}

/// `count`, scaled, at least one.
pub(crate) fn scaled(count: u64) -> u64 {
    ((count as f64 * scale()) as u64).max(1)
}

/// Where the random tests begin: `PRESENCE_TEST_SEED`, always the same where it is not set.
pub(crate) fn seed() -> u64 {
    let seed = std::env::var("PRESENCE_TEST_SEED").ok();
    seed.and_then(|seed| seed.parse().ok()).unwrap_or(0)
}

/// The shell line that runs this test again as it runs now; to be called on its own thread.
pub(crate) fn replay_line() -> String {
    // The test runner names the thread of a test after it.
    let thread = std::thread::current();
    let test = thread.name().filter(|name| name.contains("::")).unwrap_or_default();
    format!(
        "PRESENCE_TEST_SEED={} PRESENCE_TEST_SCALE={} cargo test -p presence-tests --test all -- \
         {test}",
        seed(),
        scale()
    )
}

/// Numbers that look random, from a seed.
#[derive(Debug, Clone)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(1);
        mix(self.0)
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }
}

/// A kind of stream: its schema, and every record that it can ever hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// One f64 a record, uncompressed.
    Float,
    /// Three f32 a record, LZ4.
    Vector,
    /// An i32 and a u8, packed, three records with the same timestamp.
    Event,
}

impl Kind {
    pub(crate) const ALL: [Self; 3] = [Self::Float, Self::Vector, Self::Event];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Float => "float",
            Self::Vector => "vector",
            Self::Event => "event",
        }
    }

    /// The kind of a stream by its name.
    pub(crate) fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| name.starts_with(kind.name()))
    }

    pub(crate) fn schema(self) -> Schema {
        let schema = match self {
            Self::Float => Schema::single(DType::F64, &[]),
            Self::Vector => Schema::single(DType::F32, &[3]),
            Self::Event => {
                let columns =
                    vec![Column::scalar("x", DType::I32), Column::scalar("polarity", DType::U8)];
                Schema::new(columns)
            }
        };
        let schema = schema.unwrap();
        match self {
            Self::Float => schema,
            Self::Vector => schema.with_compression(Compression::Lz4),
            Self::Event => {
                schema.with_compression(Compression::Packed).with_order(Order::NonDecreasing)
            }
        }
    }

    pub(crate) fn truth(self) -> &'static Truth {
        static TRUTHS: [OnceLock<Truth>; 3] = [const { OnceLock::new() }; 3];
        TRUTHS[self as usize].get_or_init(|| Truth::new(self))
    }
}

/// The records of a stream, as columns.
#[derive(Debug)]
pub(crate) struct Truth {
    pub(crate) times: Vec<i64>,
    pub(crate) columns: Vec<Vec<u8>>,
    pub(crate) widths: Vec<usize>,
}

impl Truth {
    fn new(kind: Kind) -> Self {
        let widths = match kind {
            Kind::Float => vec![8],
            Kind::Vector => vec![12],
            Kind::Event => vec![4, 1],
        };
        let columns = vec![Vec::new(); widths.len()];
        let mut truth = Self { times: Vec::new(), columns, widths };
        for sequence in 0..TRUTH_RECORDS {
            let number = sequence as f32 + 0.5;
            match kind {
                Kind::Float => {
                    truth.times.push(sequence as i64 * 10 + (mix(sequence) % 7) as i64);
                    truth.columns[0].extend(f64::from(number).sqrt().to_le_bytes());
                }
                Kind::Vector => {
                    truth.times.push(sequence as i64 * 4 - 1000);
                    let values = [number, -number, number * 0.25];
                    truth.columns[0].extend(values.into_iter().flat_map(f32::to_le_bytes));
                }
                Kind::Event => {
                    truth.times.push(sequence as i64 / 3);
                    truth.columns[0].extend((sequence as i32 * 3 + 7).to_le_bytes());
                    truth.columns[1].push(1 + (mix(sequence) % 200) as u8);
                }
            }
        }
        truth
    }

    /// The columns of the records in `range`.
    pub(crate) fn slices(&self, range: std::ops::Range<u64>) -> Vec<&[u8]> {
        let bytes = |width: usize| range.start as usize * width..range.end as usize * width;
        let columns = self.columns.iter().zip(&self.widths);
        columns.map(|(column, width)| &column[bytes(*width)]).collect()
    }
}

/// Which records a stream holds: those from `first` to before `end` of its truth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) first: u64,
    pub(crate) end: u64,
}

/// Reads all of a stream and compares it with its truth. `deep` asks record by record, too.
pub(crate) fn check_stream(stream: &Stream, deep: bool) -> Result<Found, String> {
    let name = stream.name();
    let kind = Kind::of(name).ok_or_else(|| format!("there is no stream {name:?}"))?;
    let truth = kind.truth();
    if *stream.schema() != kind.schema() {
        return Err(format!("{name}: another schema: {:?}", stream.schema()));
    }
    let tell = |what: &str, error: presence::Error| format!("{name}: {what}: {error}");
    let window = stream.window(..).map_err(|error| tell("window", error))?;
    let records = window.len() as u64;
    if records != stream.len() {
        return Err(format!("{name}: a window of {records}, a length of {}", stream.len()));
    }
    let end = stream.records_at(presence::Level::Memory);
    let first = end.checked_sub(records).filter(|_| end <= TRUTH_RECORDS);
    let first = first.ok_or_else(|| format!("{name}: {records} records, the last before {end}"))?;
    let mut at = first;
    for slice in window.slices() {
        let slice = slice.map_err(|error| tell("slice", error))?;
        let range = at..at + slice.len() as u64;
        if range.end > end {
            return Err(format!("{name}: slices hold more than {records} records"));
        }
        if slice.timestamps() != &truth.times[range.start as usize..range.end as usize] {
            return Err(format!("{name}: wrong timestamps in records {range:?}"));
        }
        for (column, bytes) in truth.slices(range.clone()).into_iter().enumerate() {
            if slice.column_bytes(column) != bytes {
                return Err(format!("{name}: wrong column {column} in records {range:?}"));
            }
        }
        at = range.end;
    }
    if at != end {
        return Err(format!("{name}: slices end at record {at}, not {end}"));
    }
    let found = Found { first, end };
    if deep {
        check_records(stream, truth, found)?;
    }
    Ok(found)
}

fn check_records(stream: &Stream, truth: &Truth, found: Found) -> Result<(), String> {
    let name = stream.name();
    let tell = |what: &str, error: presence::Error| format!("{name}: {what}: {error}");
    let mut at = found.first;
    for record in stream.iter().map_err(|error| tell("iter", error))? {
        let record = record.map_err(|error| tell("record", error))?;
        if at >= found.end || record.ts() != truth.times[at as usize] {
            return Err(format!("{name}: wrong record {at} by iteration"));
        }
        for (column, bytes) in truth.slices(at..at + 1).into_iter().enumerate() {
            if record.column_bytes(column) != bytes {
                return Err(format!("{name}: wrong column {column} of record {at} by iteration"));
            }
        }
        at += 1;
    }
    if at != found.end {
        return Err(format!("{name}: iteration ends at {at}, not {}", found.end));
    }
    let last = found.end.checked_sub(1).filter(|last| *last >= found.first);
    let Some(last) = last else { return Ok(()) };
    let t = truth.times[last as usize];
    let answer = stream.at(t).map_err(|error| tell("at", error))?;
    if answer.map(|record| record.ts()) != Some(t) {
        return Err(format!("{name}: at({t}) is not the last record"));
    }
    let sequence = stream.get(last).map_err(|error| tell("get", error))?;
    if sequence.map(|record| record.ts()) != Some(t) {
        return Err(format!("{name}: get({last}) is not the last record"));
    }
    Ok(())
}

/// The seeds to run: `1..=scaled(count)`, or the one that `PRESENCE_TEST_SEED` names.
pub(crate) fn seeds(count: u64) -> std::ops::RangeInclusive<u64> {
    let only: Option<u64> = std::env::var("PRESENCE_TEST_SEED").ok().and_then(|s| s.parse().ok());
    only.map_or(1..=scaled(count), |seed| seed..=seed)
}

/// The shell line that runs the test `name` (module and function) again, with one seed alone.
pub(crate) fn shell_line(name: &str, seed: u64) -> String {
    format!(
        "PRESENCE_TEST_SEED={seed} cargo test -p presence-tests --test all -- --exact {name} \
         --nocapture"
    )
}

/// Tells how to replay a test, when dropped by a panic.
#[derive(Debug)]
pub(crate) struct Replay<T: std::fmt::Debug>(pub(crate) T);

impl<T: std::fmt::Debug> Drop for Replay<T> {
    #[expect(clippy::print_stderr, reason = "tells of a failure that is on its way")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("replay: {:?}", self.0);
        }
    }
}

/// A directory in memory where there is one: for tests that sync often and cut no power.
pub(crate) fn quick_dir() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

/// A command that runs this test binary again, with the test `name` (module and function) alone.
pub(crate) fn rerun(name: &str) -> Command {
    let binary: PathBuf = std::env::current_exe().unwrap();
    let mut command = Command::new(binary);
    command.args([name, "--exact", "--nocapture", "--test-threads=1"]);
    command
}

/// Says that something could not be tested here, and why.
#[expect(clippy::print_stderr, reason = "a skipped test is told")]
pub(crate) fn skipped(what: &str) {
    eprintln!("SKIPPED: {what}");
    figure(&format!("skipped: {what}"), 1);
}

/// The value of record `sequence` of a numbered stream.
pub(crate) fn number_at(stream: usize, sequence: u64) -> i64 {
    mix(sequence ^ (stream as u64) << 40).cast_signed() >> (stream * 8)
}

/// The timestamp of record `sequence` of any numbered stream.
pub(crate) fn number_ts(sequence: u64) -> i64 {
    sequence as i64 * 10 + 3
}

/// The schema of numbered stream `stream`: each with another compression.
pub(crate) fn number_schema(stream: usize) -> Schema {
    let compressions = [Compression::None, Compression::Lz4, Compression::Packed];
    let schema = Schema::single(DType::I64, &[]).unwrap();
    schema.with_compression(compressions[stream % compressions.len()])
}

/// Reads a numbered stream and checks each record. An empty one gives `None`.
pub(crate) fn check_numbers(stream: &Stream, number: usize) -> Result<Option<Found>, String> {
    let name = stream.name();
    let tell = |error: presence::Error| format!("{name}: {error}");
    let mut found: Option<Found> = None;
    for slice in stream.window(..).map_err(tell)?.slices() {
        let slice = slice.map_err(tell)?;
        let values = slice.column::<i64>(0).map_err(tell)?;
        for (&ts, &value) in slice.timestamps().iter().zip(values) {
            let sequence = found.map_or((ts / 10) as u64, |found| found.end);
            if ts != number_ts(sequence) || value != number_at(number, sequence) {
                return Err(format!("{name}: ({ts}, {value}) is not record {sequence}"));
            }
            let first = found.map_or(sequence, |found| found.first);
            found = Some(Found { first, end: sequence + 1 });
        }
    }
    Ok(found)
}

/// Adds `count` to the figure `name` of this run, where `PRESENCE_FIGURES` names a file for them.
pub(crate) fn figure(name: &str, count: u64) {
    use std::io::Write;

    let Some(path) = std::env::var_os("PRESENCE_FIGURES") else { return };
    let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
    // One write: processes that count at the same time must not mix their lines.
    file.and_then(|mut file| file.write_all(format!("{name}\t{count}\n").as_bytes())).unwrap();
}
