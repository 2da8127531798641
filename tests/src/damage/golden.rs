//! Databases as they should be read, and what is read of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use presence::device::{Device, MemoryDevice, SimDevice};
use presence::{Database, Error, Level, Stream, WindowOptions};

use crate::script::{Player, Step};
use crate::support::small;

pub(crate) type Files = BTreeMap<String, Vec<u8>>;
/// Every stream by name, with its records.
pub(crate) type Content = BTreeMap<String, Rows>;

/// The records of a stream: for each its timestamp, then its columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rows {
    width: usize,
    bytes: Vec<u8>,
}

impl Rows {
    pub(crate) fn len(&self) -> usize {
        self.bytes.len() / self.width
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.bytes.chunks_exact(self.width)
    }

    /// The timestamp of record `index`.
    pub(crate) fn ts(&self, index: usize) -> Option<i64> {
        let row = self.bytes.get(index * self.width..)?;
        row.first_chunk().map(|ts| i64::from_le_bytes(*ts))
    }

    /// Whether these are some of `all`, in their order.
    pub(crate) fn are_among(&self, all: &Self) -> bool {
        let mut rest = all.iter();
        self.iter().all(|row| rest.any(|other| other == row))
    }

    /// Whether these lie together in `all`.
    pub(crate) fn lie_together(&self, all: &Self) -> bool {
        let len = self.bytes.len();
        let mut starts = (0..=all.bytes.len().saturating_sub(len)).step_by(all.width);
        starts.any(|start| all.bytes[start..].starts_with(&self.bytes))
    }
}

/// Reads what a stream gives, up to the first error; or all of it, passing over what is missing.
pub(crate) fn read(stream: &Stream, skip_gaps: bool) -> (Rows, Option<Error>) {
    let widths: Vec<usize> = stream.columns().iter().map(|shape| shape.value_bytes()).collect();
    let mut rows = Rows { width: 8 + widths.iter().sum::<usize>(), bytes: Vec::new() };
    let options = if skip_gaps { WindowOptions::skip_gaps() } else { WindowOptions::default() };
    let window = match stream.window_with(.., options) {
        Ok(window) => window,
        Err(error) => return (rows, Some(error)),
    };
    for slice in window.slices() {
        let slice = match slice {
            Ok(slice) => slice,
            Err(error) => return (rows, Some(error)),
        };
        let columns: Vec<&[u8]> = (0..widths.len()).map(|c| slice.column_bytes(c)).collect();
        for (index, ts) in slice.timestamps().iter().enumerate() {
            rows.bytes.extend(ts.to_le_bytes());
            for (column, width) in columns.iter().zip(&widths) {
                rows.bytes.extend_from_slice(&column[index * width..(index + 1) * width]);
            }
        }
    }
    (rows, None)
}

pub(crate) fn device(files: &Files) -> (MemoryDevice, Arc<dyn Device>) {
    let files = files.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice()));
    let memory = MemoryDevice::with_files(files);
    (memory.clone(), Arc::new(memory))
}

/// One damage: to which file, what was done, and the files afterwards.
#[derive(Clone)]
pub(crate) struct Case {
    pub(crate) file: String,
    pub(crate) done: String,
    pub(crate) files: Files,
}

/// A database as it should be read.
pub(crate) struct Golden {
    pub(crate) name: String,
    pub(crate) files: Files,
    pub(crate) content: Content,
    /// Files that another one has as they are here, and that are damaged there.
    shared: BTreeSet<String>,
}

impl Golden {
    pub(crate) fn new(name: &str, files: Files) -> Self {
        let db = Database::open_read_only_on(device(&files).1, small()).unwrap();
        assert!(db.report().is_clean(), "{name}: {:?}", db.report());
        let rows = |stream: Stream| {
            let (rows, error) = read(&stream, false);
            assert!(error.is_none(), "{name}: {error:?}");
            (stream.name().to_owned(), rows)
        };
        let content = db.streams().into_iter().map(rows).collect();
        Self { name: name.to_owned(), files, content, shared: BTreeSet::new() }
    }

    /// The files that no other one has.
    pub(crate) fn fresh_files(&self) -> impl Iterator<Item = (&String, &Vec<u8>)> {
        self.files.iter().filter(|(name, _)| !self.shared.contains(*name))
    }

    /// The files with one of them replaced.
    pub(crate) fn damaged(&self, file: &str, done: String, bytes: Vec<u8>) -> Case {
        let mut files = self.files.clone();
        files.insert(file.to_owned(), bytes);
        Case { file: file.to_owned(), done, files }
    }
}

pub(crate) const STREAMS: [Step; 3] = [Step::Create, Step::Create, Step::Create];

/// Fills several segments, the last of them open.
pub(crate) fn several() -> Vec<Step> {
    use Step::{Batch, Flush};
    let disk = Flush(Level::Disk);
    [&STREAMS[..], &[Batch(0, 150), disk, Batch(1, 90), disk, Batch(2, 200), disk]].concat()
}

/// Files after these steps; `close` seals the last segment.
pub(crate) fn files_after(steps: &[Step], close: bool) -> Files {
    files_on(&SimDevice::new(), steps, close)
}

/// Files after these steps in another database: its id differs, and nothing else.
pub(crate) fn other_files_after(steps: &[Step], close: bool) -> Files {
    let sim = SimDevice::new();
    sim.random().unwrap();
    files_on(&sim, steps, close)
}

fn files_on(sim: &SimDevice, steps: &[Step], close: bool) -> Files {
    let mut player = Player::create(sim, Arc::new(sim.clone())).unwrap();
    steps.iter().for_each(|step| player.step(*step).unwrap());
    let db = player.database();
    let trace = player.end();
    if close {
        db.unwrap().close().unwrap();
    }
    trace.sim.files()
}

pub(crate) fn goldens() -> Vec<Golden> {
    use Step::{Append, Batch, Compact, Drop, Flush};
    let disk = Flush(Level::Disk);
    let some = [Batch(0, 12), disk, Append(1, 9), Batch(2, 40), disk, Append(0, 3)];
    let open = [Batch(0, 20), Append(1, 5), disk, Append(2, 6), disk, Append(0, 1), disk];
    let with = |steps: &[Step]| [&STREAMS[..], steps].concat();
    let mut compacted = several();
    compacted.extend([Compact, Append(0, 5), disk]);
    let mut dropped = with(&some);
    dropped.extend([Drop, Append(1, 6), Drop, Append(2, 3)]);
    let mut goldens = vec![
        Golden::new("one sealed segment", files_after(&with(&some), true)),
        Golden::new("an open segment", files_after(&with(&open), false)),
        Golden::new("several segments, the last open", files_after(&several(), false)),
        Golden::new("several sealed segments", files_after(&several(), true)),
        Golden::new("compacted segments", files_after(&compacted, false)),
        Golden::new("sealed by recovery", files_after(&dropped, true)),
    ];
    let mut seen = Files::new();
    for golden in &mut goldens {
        let known = |(name, bytes): &(&String, &Vec<u8>)| seen.get(*name) == Some(*bytes);
        golden.shared = golden.files.iter().filter(known).map(|(name, _)| name.clone()).collect();
        seen.extend(golden.files.clone());
    }
    goldens
}
