//! Databases, and every kind of damage to them.
//!
//! # Invariants
//! - The same bytes each time but for ids and times of creation: nothing depends on the machine.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

use presence::{Compression, DType, Database, Level, Options, Schema};
use presence_format::segment::SegmentHeader;
use tempfile::TempDir;

use crate::support::Ran;

/// What a directory holds, but for its lock.
pub(crate) type Files = BTreeMap<String, Vec<u8>>;

/// The smallest blocks and segments, and nothing written but on request.
fn small() -> Options {
    let mut options = Options::default();
    options.background = false;
    options.follow = false;
    options.block_bytes = 256;
    options.compacted_block_bytes = 1024;
    options.segment_bytes = 4096;
    options
}

/// A directory in memory where there is one.
pub(crate) fn quick_dir() -> TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

/// Runs `presence-fsck` with words separated by spaces, in `place`.
pub(crate) fn fsck(place: &Path, words: &str) -> Ran {
    let output = command(words).current_dir(place).stdin(Stdio::null()).output();
    Ran::new(output.unwrap())
}

pub(crate) fn command(words: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_presence-fsck"));
    command.args(words.split_whitespace()).env_remove("TERM");
    command
}

/// The regular files of a directory, but for the lock.
pub(crate) fn read(folder: &Path) -> Files {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    entries
        .filter(|entry| entry.file_type().unwrap().is_file() && entry.file_name() != "LOCK")
        .map(|entry| {
            let bytes = std::fs::read(entry.path()).unwrap();
            (entry.file_name().into_string().unwrap(), bytes)
        })
        .collect()
}

/// Everything that a change of a directory would change: names, sizes, times, bytes.
pub(crate) fn seen(folder: &Path) -> Vec<(String, std::fs::FileType, Vec<u8>, String)> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let mut seen: Vec<_> = entries
        .map(|entry| {
            let metadata = entry.metadata().unwrap();
            let name = entry.file_name().into_string().unwrap();
            let bytes = std::fs::read(entry.path()).unwrap_or_default();
            (name, metadata.file_type(), bytes, format!("{:?}", metadata.modified().unwrap()))
        })
        .collect();
    seen.sort_by(|a, b| a.0.cmp(&b.0));
    seen
}

pub(crate) fn write(folder: &Path, files: &Files) {
    std::fs::create_dir(folder).unwrap();
    for (name, bytes) in files {
        std::fs::write(folder.join(name), bytes).unwrap();
    }
}

/// A database before it is damaged.
#[derive(Debug, Clone)]
pub(crate) struct Golden {
    pub(crate) name: &'static str,
    pub(crate) files: Files,
}

impl Golden {
    /// Three streams, flushed now and then: `records` of each. Compacted after `compact` of them,
    /// and closed or not.
    fn new(name: &'static str, records: i64, compact: Option<i64>, close: bool) -> Self {
        let place = quick_dir();
        let path = place.path().join("db");
        let db = Database::create(&path, small()).unwrap();
        let compressions = [Compression::None, Compression::Lz4, Compression::Packed];
        let mut writers = Vec::new();
        for (number, compression) in compressions.into_iter().enumerate() {
            let schema = Schema::single(DType::I64, &[]).unwrap().with_compression(compression);
            let stream = db.create_stream(&format!("stream-{number}"), schema).unwrap();
            writers.push(stream.column_writer().unwrap());
        }
        let mut at = 0;
        while at < records {
            let next = (at + 5).min(records);
            for writer in &mut writers {
                let value = |ts: i64| (ts * 77_777 % 100_003).to_le_bytes();
                (at..next).for_each(|ts| writer.append(ts, &[&value(ts)]).unwrap());
            }
            db.flush(Level::Disk).unwrap();
            if compact.is_some_and(|compact| at < compact && compact <= next) {
                db.compact(|_, _| true).unwrap();
            }
            at = next;
        }
        drop(writers);
        // Copied beneath its writer is as killed.
        let crashed = read(&path);
        db.close().unwrap();
        Self { name, files: if close { read(&path) } else { crashed } }
    }

    pub(crate) fn all() -> Vec<Self> {
        vec![
            Self::new("log", 100, None, true),
            Self::new("crashed", 93, None, false),
            Self::new("compacted", 160, Some(120), true),
            Self::new("one segment", 12, None, true),
        ]
    }

    /// A name in the middle of the segments, one behind it that was sealed where there is one, and
    /// the last.
    pub(crate) fn names(&self) -> [String; 3] {
        let names: Vec<&String> = self.files.keys().collect();
        let (middle, last) = (names.len() / 2, names.len() - 1);
        [middle, (middle + 1).min(last), last].map(|at| names[at].clone())
    }
}

/// A damaged database.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) files: Files,
    /// Whether a check that reads all must call it damage.
    pub(crate) is_damage: bool,
}

type Damage = (&'static str, fn(&mut Vec<u8>));

/// Damage to the bytes of one file.
const IN_BYTES: [Damage; 13] = [
    ("a bit of its middle", |bytes| {
        let half = bytes.len() / 2;
        bytes[half] ^= 1;
    }),
    ("a bit of its first entry", |bytes| bytes[150] ^= 1),
    ("a bit of its header", |bytes| bytes[40] ^= 4),
    ("a bit of its footer", |bytes| {
        let end = bytes.len();
        bytes[end - 20] ^= 1;
    }),
    ("its header lost", |bytes| bytes[..128].fill(0)),
    ("its footer lost", |bytes| {
        let end = bytes.len();
        bytes[end - 64..].fill(0);
    }),
    ("both ends lost", |bytes| {
        let end = bytes.len();
        bytes[..128].fill(0xee);
        bytes[end - 64..].fill(0xaa);
    }),
    ("a sector lost", |bytes| {
        let end = bytes.len().min(768);
        bytes[256..end].fill(0);
    }),
    ("all lost", |bytes| bytes.fill(0x55)),
    ("cut in the middle", |bytes| bytes.truncate(bytes.len() / 2)),
    ("empty", Vec::clear),
    ("longer", |bytes| bytes.extend([1; 100])),
    ("of a later version", |bytes| {
        let mut header = SegmentHeader::decode(bytes).unwrap();
        header.version_major = (header.version_major.get() + 1).into();
        bytes[..128].copy_from_slice(&header.encode());
    }),
];

/// Damage of each kind to each database.
pub(crate) fn cases() -> Vec<Case> {
    let all = Golden::all();
    let mut cases = Vec::new();
    for (index, golden) in all.iter().enumerate() {
        let [middle, next, last] = golden.names();
        let others = &all[(index + 1) % all.len()].files;
        let mut push = |done: String, is_damage: bool, files: Files| {
            cases.push(Case { name: format!("{}: {done}", golden.name), files, is_damage });
        };
        let goes_on = middle != last;
        for (what, damage) in IN_BYTES {
            let mut files = golden.files.clone();
            damage(files.get_mut(&middle).unwrap());
            push(format!("{middle}, {what}"), goes_on, files);
            if goes_on {
                let mut files = golden.files.clone();
                damage(files.get_mut(&last).unwrap());
                push(format!("{last}, the last, {what}"), false, files);
            }
        }
        for (what, changed) in moved(golden, &middle, &next, others) {
            push(what.to_owned(), goes_on, changed);
        }
        for (name, bytes) in [(".tmp-0123456789abcdef0123456789abcdef", 300), ("notes.txt", 9)] {
            let mut files = golden.files.clone();
            files.insert(name.to_owned(), vec![7; bytes]);
            push(format!("beside it {name}"), false, files);
        }
    }
    cases
}

/// Damage to names, and files from elsewhere.
fn moved(golden: &Golden, one: &str, next: &str, others: &Files) -> Vec<(&'static str, Files)> {
    let changed = |change: &dyn Fn(&mut Files)| {
        let mut files = golden.files.clone();
        change(&mut files);
        files
    };
    let insert = |files: &mut Files, name: &str, bytes: &[u8]| {
        files.insert(name.to_owned(), bytes.to_vec());
    };
    let (bytes, after) = (&golden.files[one], &golden.files[next]);
    let foreign = others.values().next().unwrap();
    vec![
        ("a segment missing", changed(&|files| drop(files.remove(one)))),
        (
            "a segment under another name",
            changed(&|files| {
                files.remove(one);
                insert(files, "seg-00000777.presence", bytes);
            }),
        ),
        ("a segment twice", changed(&|files| insert(files, "seg-00000778.presence", bytes))),
        (
            "two segments swapped",
            changed(&|files| {
                insert(files, one, after);
                insert(files, next, bytes);
            }),
        ),
        ("a foreign segment", changed(&|files| insert(files, "seg-0000077a.presence", foreign))),
        ("a foreign segment in its place", changed(&|files| insert(files, one, foreign))),
        ("no segment by its name", changed(&|files| insert(files, "seg-00000779.presence", b"no"))),
    ]
}
