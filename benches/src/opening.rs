//! Opening 1,000 sealed segments and one that a crash left open, against the bytes of their
//! headers, indexes and footers and of that one segment.
//!
//! # Invariants
//! - The crash is a copy of the files while a writer holds the database.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Instant;

use presence::{Compression, Database, Level, Options};

use crate::Result;
use crate::data::Walk;
use crate::measure::{Pair, bytes_read};
use crate::report::{Report, Target};
use crate::setup::{Setup, create};

/// Bytes of a segment's header, and of a footer with the offset of the index in it.
const HEADER_BYTES: u64 = 128;
const FOOTER_BYTES: usize = 64;
const FOOTER_INDEX_OFFSET: usize = 20;

fn options() -> Options {
    let mut options = Options::default();
    options.segment_bytes = 64 << 10;
    options.block_bytes = 16 << 10;
    options.background = false;
    options
}

/// Fills segments until there are more than `sealed`, and copies the files as they are.
fn crashed(setup: &Setup, from: &Path, to: &Path, sealed: usize) -> Result<()> {
    let (db, stream) = create(from, options(), Compression::None)?;
    let mut writer = stream.writer::<f64>()?;
    let mut walk = Walk::new();
    while db.segments().len() <= sealed {
        for _ in 0..setup.of(1000, 500) {
            let (ts, value) = walk.record();
            writer.append(ts, value)?;
        }
    }
    writer.flush(Level::Os)?;
    fs::create_dir(to.join("db"))?;
    for entry in fs::read_dir(from.join("db"))? {
        let entry = entry?;
        if entry.file_name() != "LOCK" {
            fs::copy(entry.path(), to.join("db").join(entry.file_name()))?;
        }
    }
    Ok(())
}

/// What opening cannot do without: of sealed segments the header, index and footer, of the last
/// one everything.
fn needed(directory: &Path) -> Result<u64> {
    let mut paths = fs::read_dir(directory.join("db"))?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<Vec<_>>>()?;
    paths.sort();
    let Some((open, sealed)) = paths.split_last() else { return Err("no segments".into()) };
    let mut bytes = open.metadata()?.len();
    for path in sealed {
        let file = File::open(path)?;
        let len = file.metadata()?.len();
        let mut footer = [0; FOOTER_BYTES];
        file.read_exact_at(&mut footer, len - FOOTER_BYTES as u64)?;
        let field = footer.get(FOOTER_INDEX_OFFSET..).and_then(|field| field.first_chunk::<4>());
        let index = u32::from_le_bytes(*field.ok_or("no footer")?);
        bytes += HEADER_BYTES + len - u64::from(index);
    }
    Ok(bytes)
}

/// Runs the workload.
///
/// # Errors
/// Those of engine and disk.
pub fn run(setup: &Setup, report: &mut Report) -> Result<()> {
    let (writing, directory) = (setup.empty()?, setup.empty()?);
    crashed(setup, writing.path(), directory.path(), setup.of(1000, 5))?;
    let needed = needed(directory.path())? as f64;
    let before = bytes_read();
    let began = Instant::now();
    let db = Database::open(directory.path().join("db"), options())?;
    let took = began.elapsed().as_nanos() as f64 / 1e6;
    let read = before.zip(bytes_read()).map(|(before, after)| after - before);
    report.value("open", "1,000 sealed segments and one open", "ms", took, Target::Told);
    if let Some(read) = read {
        let ours = read as f64;
        let pair = Pair { ours, reference: needed, ratio: ours / needed };
        report.ratio("open", "bytes read", "bytes", pair, Target::AtMost(1.5));
    }
    let began = Instant::now();
    db.close()?;
    let db = Database::open(directory.path().join("db"), options())?;
    let took_again = began.elapsed().as_nanos() as f64 / 1e6;
    report.value("open", "closed and opened again", "ms", took_again, Target::Told);
    drop(db);
    Ok(())
}
