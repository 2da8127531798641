//! Memory of the engine while 2 GB are appended to a `packed` stream, and while they are read.
//!
//! # Invariants
//! - Peaks are those of the whole process, less what it held before.

use presence::{Compression, Options};

use crate::Result;
use crate::data::START;
use crate::measure::{peak, reset_peak, resident};
use crate::report::{Report, Target};
use crate::setup::{Setup, filled, reopened};

const RECORD_BYTES: usize = 16;
/// What the import of a large file may take.
const MIB_MAX: f64 = 256.0;

/// Runs the workload.
///
/// # Errors
/// Those of engine and disk.
pub fn run(setup: &Setup, report: &mut Report) -> Result<()> {
    let records = setup.of(2 << 30, 1 << 20) / RECORD_BYTES;
    let directory = setup.empty()?;
    let path = directory.path();
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    let (Some(before), options) = (resident(), Options::default()) else { return Ok(()) };
    reset_peak();
    let (db, stream) = filled(path, options.clone(), Compression::Packed, records)?;
    let written = peak().unwrap_or(0).saturating_sub(before);
    report.value("memory", "2 GB appended, packed", "MiB", mib(written), Target::AtMost(MIB_MAX));
    let (_db, stream) = reopened(path, db, stream, options)?;
    reset_peak();
    let mut seen = 0;
    for slice in stream.window(START..)?.slices() {
        seen += slice?.len();
    }
    if seen != records {
        return Err("not all records came back".into());
    }
    let read = peak().unwrap_or(0).saturating_sub(before);
    report.value("memory", "and read, maps counted", "MiB", mib(read), Target::Told);
    Ok(())
}
