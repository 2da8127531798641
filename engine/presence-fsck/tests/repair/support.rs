//! Databases to be damaged, and what they hold.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;

use presence::device::{Device, MemoryDevice};
use presence::{
    ColumnWriter, Compression, DType, Database, Level, Options, Schema, Stream, WindowOptions,
};
use presence_fsck::repair::{self, Plan, Repaired};
use presence_fsck::{Report, check_device};

pub(crate) type Files = BTreeMap<String, Vec<u8>>;
/// Streams by name: their records by sequence, as timestamp and value.
pub(crate) type Content = BTreeMap<String, BTreeMap<u64, (i64, i64)>>;

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

pub(crate) fn device(files: &Files) -> MemoryDevice {
    MemoryDevice::with_files(files.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())))
}

/// The files, without the lock, which says nothing.
pub(crate) fn files(device: &MemoryDevice) -> Files {
    let mut files = device.files();
    files.remove("LOCK");
    files
}

fn value(stream: u64, sequence: u64) -> i64 {
    ((sequence * 0x9e37_79b9 + stream * 77) % 1_000_003) as i64
}

/// The record `sequence` of the stream `name`.
pub(crate) fn record(name: &str, sequence: u64) -> (i64, i64) {
    let stream = u64::from(name.as_bytes()[name.len() - 1] - b'0');
    (sequence as i64 * 10 + 3, value(stream, sequence))
}

fn append(writer: &mut ColumnWriter, name: &str, range: std::ops::Range<u64>) {
    for sequence in range {
        let (ts, value) = record(name, sequence);
        writer.append(ts, &[&value.to_le_bytes()]).unwrap();
    }
}

/// A database in which to look for damage.
#[derive(Debug, Clone)]
pub(crate) struct Golden {
    pub(crate) name: &'static str,
    pub(crate) files: Files,
    pub(crate) content: Content,
}

impl Golden {
    /// Three streams, flushed now and then: `records` of each. Compacted after `compact` of them,
    /// and closed or not.
    fn new(name: &'static str, records: u64, compact: Option<u64>, close: bool) -> Self {
        let memory = MemoryDevice::new();
        let db = Database::create_on(Arc::new(memory.clone()), small()).unwrap();
        let compressions = [Compression::None, Compression::Lz4, Compression::Packed];
        let names: Vec<String> = (0..3).map(|stream| format!("stream-{stream}")).collect();
        let mut writers = Vec::new();
        for (name, compression) in names.iter().zip(compressions) {
            let schema = Schema::single(DType::I64, &[]).unwrap().with_compression(compression);
            writers.push(db.create_stream(name, schema).unwrap().column_writer().unwrap());
        }
        let mut at = 0;
        while at < records {
            let next = (at + 5).min(records);
            for (name, writer) in names.iter().zip(&mut writers) {
                append(writer, name, at..next);
            }
            db.flush(Level::Disk).unwrap();
            if compact.is_some_and(|compact| at < compact && compact <= next) {
                db.compact(|_, _| true).unwrap();
            }
            at = next;
        }
        drop(writers);
        if close {
            db.close().unwrap();
        }
        let files = files(&memory);
        let content = names.into_iter().map(|name| {
            let records = (0..records).map(|sequence| (sequence, record(&name, sequence)));
            (name.clone(), records.collect())
        });
        let golden = Self { name, files, content: content.collect() };
        assert_eq!(read(&golden.files), golden.content);
        golden
    }

    pub(crate) fn all() -> Vec<Self> {
        vec![
            Self::new("log", 160, None, true),
            Self::new("crashed", 133, None, false),
            Self::new("compacted", 240, Some(200), true),
            Self::new("one segment", 12, None, true),
        ]
    }
}

/// What the engine reads of a directory, passing over what is missing.
pub(crate) fn read(files: &Files) -> Content {
    let db = Database::open_read_only_on(Arc::new(device(files)), small()).unwrap();
    db.streams().iter().map(|stream| (stream.name().to_owned(), rows(stream))).collect()
}

/// The records of a stream, by the sequences that their timestamps tell.
pub(crate) fn rows(stream: &Stream) -> BTreeMap<u64, (i64, i64)> {
    let mut rows = BTreeMap::new();
    let window = stream.window_with(.., WindowOptions::skip_gaps()).unwrap();
    for slice in window.slices() {
        let slice = slice.unwrap();
        let values = slice.column::<i64>(0).unwrap();
        for (&ts, &value) in slice.timestamps().iter().zip(values) {
            assert!(rows.insert((ts / 10) as u64, (ts, value)).is_none(), "twice: {ts}");
        }
    }
    rows
}

pub(crate) fn options(level: presence_fsck::Level) -> presence_fsck::Options {
    presence_fsck::Options::at(level)
}

pub(crate) fn check(device: &dyn Device) -> Report {
    check_device(device, &options(presence_fsck::Level::Deep), &mut |_| true).unwrap()
}

pub(crate) fn plan(device: &dyn Device) -> Plan {
    repair::plan(device, &options(presence_fsck::Level::Deep), &mut |_| true).unwrap()
}

pub(crate) fn repair(device: &dyn Device) -> (Plan, Repaired) {
    let plan = plan(device);
    let repaired = repair::execute(device, &plan, &mut |_| true).unwrap();
    (plan, repaired)
}

/// Whether all that `before` held, byte for byte, is there under some name.
pub(crate) fn keeps_all(before: &Files, after: &Files) -> Result<(), String> {
    for (name, bytes) in before {
        if !name.starts_with(".tmp-") && !after.values().any(|other| other == bytes) {
            return Err(format!("what {name} held is gone: {:?}", after.keys()));
        }
    }
    Ok(())
}

/// How much more than usual is tested.
pub(crate) fn scaled(count: u64) -> u64 {
    let scale = std::env::var("PRESENCE_TEST_SCALE").ok();
    let scale: f64 = scale.and_then(|scale| scale.parse().ok()).unwrap_or(1.0);
    ((count as f64 * scale) as u64).max(1)
}

/// Counts for the report of a test run.
pub(crate) fn figure(name: &str, count: u64) {
    let Some(path) = std::env::var_os("PRESENCE_FIGURES") else { return };
    let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
    file.unwrap().write_all(format!("{name}\t{count}\n").as_bytes()).unwrap();
}
