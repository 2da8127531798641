//! What workloads run on: how much data, where, and databases made of it.
//!
//! # Invariants
//! - Directories lie below the one given, which should be on a disk, and are gone after the run.

use std::fs;
use std::path::{Path, PathBuf};

use presence::{Compression, Database, Level, Options, Stream, schema_of};
use tempfile::TempDir;

use crate::Result;
use crate::data::Walk;

/// The name of the one stream.
pub const STREAM: &str = "walk";

/// How much is measured, and where files go.
#[derive(Debug, Clone)]
pub struct Setup {
    /// Everything once, on little data: whether it works, not how fast.
    pub tiny: bool,
    /// Where files go.
    pub directory: PathBuf,
    /// Allocations of the process so far; always zero where nobody counts.
    pub allocations: fn() -> usize,
}

impl Setup {
    /// `full`, or `tiny` where everything is run once on little data.
    pub fn of(&self, full: usize, tiny: usize) -> usize {
        if self.tiny { tiny } else { full }
    }

    /// Turns of a measurement.
    pub fn turns(&self, full: usize) -> usize {
        self.of(full, 1)
    }

    /// Records of W1.
    pub fn records(&self) -> usize {
        self.of(10_000_000, 20_000)
    }

    /// An empty directory that goes with the result.
    ///
    /// # Errors
    /// Where it cannot be made.
    pub fn empty(&self) -> Result<TempDir> {
        fs::create_dir_all(&self.directory)?;
        Ok(tempfile::Builder::new().prefix("presence-bench-").tempdir_in(&self.directory)?)
    }
}

/// A new database in `directory` with the W1 stream, empty.
///
/// # Errors
/// Those of the engine.
pub fn create(
    directory: &Path,
    options: Options,
    compression: Compression,
) -> Result<(Database, Stream)> {
    let db = Database::create(directory.join("db"), options)?;
    let schema = schema_of::<f64>()?.with_compression(compression);
    let stream = db.create_stream(STREAM, schema)?;
    Ok((db, stream))
}

/// A database with `records` records of W1, still open, on disk.
///
/// # Errors
/// Those of the engine.
pub fn filled(
    directory: &Path,
    options: Options,
    compression: Compression,
    records: usize,
) -> Result<(Database, Stream)> {
    let (db, stream) = create(directory, options, compression)?;
    let mut walk = Walk::new();
    let mut writer = stream.writer::<f64>()?;
    for _ in 0..records {
        let (ts, value) = walk.record();
        writer.append(ts, value)?;
    }
    writer.flush(Level::Disk)?;
    drop(writer);
    Ok((db, stream))
}

/// Closes a database and opens it again.
///
/// # Errors
/// Those of the engine.
pub fn reopened(
    directory: &Path,
    db: Database,
    stream: Stream,
    options: Options,
) -> Result<(Database, Stream)> {
    drop(stream);
    db.close()?;
    let db = Database::open(directory.join("db"), options)?;
    let stream = db.stream(STREAM)?;
    Ok((db, stream))
}

/// Bytes of all files of a database.
///
/// # Errors
/// Where the directory cannot be read.
pub fn bytes(directory: &Path) -> Result<u64> {
    let mut sum = 0;
    for entry in fs::read_dir(directory.join("db"))? {
        sum += entry?.metadata()?.len();
    }
    Ok(sum)
}
