//! A database of 2 GB read from end to end with nothing of it in memory, against reading its files
//! in pieces of a megabyte, as `dd` does.
//!
//! # Invariants
//! - Before each turn the system is asked to forget the files; both read every byte of the blocks.

use std::fs::{self, File};
use std::hint::black_box;
use std::io::Read;
use std::path::Path;
use std::time::Instant;

use presence::{Compression, Database, Options};
use rustix::fs::{Advice, fadvise};

use crate::Result;
use crate::measure::paired;
use crate::report::{Report, Target};
use crate::setup::{STREAM, Setup, bytes, filled};

/// What one read asks for.
const PIECE_BYTES: usize = 1 << 20;

/// Has the system forget the files of a database.
fn forget(directory: &Path) -> Result<()> {
    for entry in fs::read_dir(directory.join("db"))? {
        let file = File::open(entry?.path())?;
        file.sync_all()?;
        fadvise(&file, 0, None, Advice::DontNeed)?;
    }
    Ok(())
}

/// Reads all files. Megabytes a second.
fn plain(directory: &Path, all_bytes: u64) -> Result<f64> {
    forget(directory)?;
    let mut piece = vec![0; PIECE_BYTES];
    let began = Instant::now();
    for entry in fs::read_dir(directory.join("db"))? {
        let mut file = File::open(entry?.path())?;
        while file.read(&mut piece)? > 0 {
            black_box(&piece);
        }
    }
    Ok(all_bytes as f64 / 1e6 / began.elapsed().as_secs_f64())
}

/// Reads all records, opening included. Megabytes of files a second.
fn scan(directory: &Path, options: &Options, all_bytes: u64, records: usize) -> Result<f64> {
    forget(directory)?;
    let began = Instant::now();
    let db = Database::open_read_only(directory.join("db"), options.clone())?;
    let window = db.stream(STREAM)?.window(..)?;
    let (mut count, mut sum) = (0, 0.0);
    for slice in window.slices() {
        let slice = slice?;
        count += slice.len();
        sum += slice.column::<f64>(0)?.iter().sum::<f64>();
    }
    black_box(sum);
    if count != records {
        return Err(format!("{count} of {records} records were read").into());
    }
    Ok(all_bytes as f64 / 1e6 / began.elapsed().as_secs_f64())
}

/// Runs the workload.
///
/// # Errors
/// Those of engine and disk.
pub fn run(setup: &Setup, report: &mut Report) -> Result<()> {
    let records = setup.of(125_000_000, 20_000);
    for (compression, name) in [(Compression::None, "`none`"), (Compression::Packed, "`packed`")] {
        let directory = setup.empty()?;
        let mut options = Options::default();
        options.follow = false;
        let (db, stream) = filled(directory.path(), options.clone(), compression, records)?;
        drop(stream);
        db.close()?;
        let all_bytes = bytes(directory.path())?;
        let pair = paired(
            setup.turns(3),
            |_| scan(directory.path(), &options, all_bytes, records),
            |_| plain(directory.path(), all_bytes),
        )?;
        let target = match compression {
            Compression::None => Target::AtLeast(0.9),
            _ => Target::Told,
        };
        report.ratio("scan", format!("cold, all records, {name}"), "MB/s of files", pair, target);
    }
    Ok(())
}
