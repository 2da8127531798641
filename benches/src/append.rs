//! W1: records of (i64, f64) appended one by one, against a bare loop that fills the same two
//! arrays, checksums them and writes them in pieces of 64 KiB.
//!
//! # Invariants
//! - Both sides make their data while they go, write to the same disk, and sync once at the end.

use std::fs::File;
use std::io::{IoSlice, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use presence::{Compression, Level, Options};

use crate::Result;
use crate::data::Walk;
use crate::measure::{cpu_each, median, paired, peak, quantile, reset_peak, resident, write_calls};
use crate::report::{Report, Target};
use crate::setup::{Setup, bytes, create};

const PIECE_RECORDS: usize = 4096;

/// The bare loop.
fn bare(path: &Path, records: usize) -> Result<()> {
    let mut file = File::create(path)?;
    let mut times = vec![0_i64; PIECE_RECORDS];
    let mut values = vec![0.0_f64; PIECE_RECORDS];
    let mut walk = Walk::new();
    let mut left = records;
    let mut checksums = 0_u32;
    while left > 0 {
        let now = left.min(PIECE_RECORDS);
        for (ts, value) in times.iter_mut().zip(&mut values).take(now) {
            (*ts, *value) = walk.record();
        }
        left -= now;
        let mut hasher = crc32fast::Hasher::new();
        let parts = [bytemuck::cast_slice(&times), bytemuck::cast_slice(&values)];
        parts.iter().for_each(|part| hasher.update(part));
        checksums ^= hasher.finalize();
        let written = file.write_vectored(&parts.map(IoSlice::new))?;
        if written != PIECE_RECORDS * 16 {
            return Err("a short write".into());
        }
    }
    std::hint::black_box(checksums);
    file.sync_data()?;
    Ok(())
}

/// Appends W1 and syncs; returns CPU nanoseconds a record.
fn ours(directory: &Path, compression: Compression, records: usize) -> Result<f64> {
    let (db, stream) = create(directory, Options::default(), compression)?;
    let mut writer = stream.writer::<f64>()?;
    let mut walk = Walk::new();
    let cpu = cpu_each(records, || {
        for _ in 0..records {
            let (ts, value) = walk.record();
            writer.append(ts, value)?;
        }
        writer.flush(Level::Disk)?;
        Ok(())
    })?;
    drop(writer);
    drop(stream);
    db.close()?;
    Ok(cpu)
}

/// CPU and bytes of both ways to store.
fn throughput(setup: &Setup, report: &mut Report) -> Result<()> {
    let records = setup.records();
    let ways = [
        (Compression::None, 2.0, Target::AtMost(16.3)),
        (Compression::Packed, 3.0, Target::AtMost(9.2)),
        (Compression::Lz4, f64::NAN, Target::Told),
    ];
    for (compression, most, size) in ways {
        let mut per_record = 0.0;
        let pair = paired(
            setup.turns(7),
            |_| {
                let directory = setup.empty()?;
                let cpu = ours(directory.path(), compression, records)?;
                per_record = bytes(directory.path())? as f64 / records as f64;
                Ok(cpu)
            },
            |_| {
                let directory = setup.empty()?;
                cpu_each(records, || bare(&directory.path().join("bare"), records))
            },
        )?;
        let name = compression.name();
        let target = if most.is_nan() { Target::Told } else { Target::AtMost(most) };
        report.ratio("append", format!("CPU a record, {name}"), "ns", pair, target);
        report.value("append", format!("size of a record, {name}"), "bytes", per_record, size);
    }
    Ok(())
}

/// Memory, allocations and `write` calls of a whole run.
fn resources(setup: &Setup, report: &mut Report) -> Result<()> {
    let records = setup.records();
    let directory = setup.empty()?;
    let before = resident();
    reset_peak();
    let allocations = (setup.allocations)();
    let calls = write_calls();
    ours(directory.path(), Compression::None, records)?;
    let each = |count: u64| count as f64 / records as f64;
    if let (Some(before), Some(peak)) = (before, peak()) {
        let grown = peak.saturating_sub(before) as f64 / f64::from(1 << 20);
        report.value("append", "peak memory", "MiB", grown, Target::AtMost(64.0));
    }
    let allocations = ((setup.allocations)() - allocations) as u64;
    report.value("append", "allocations a record", "", each(allocations), Target::AtMost(0.05));
    if let (Some(before), Some(after)) = (calls, write_calls()) {
        report.value(
            "append",
            "write calls a record",
            "",
            each(after - before),
            Target::AtMost(0.01),
        );
    }
    within_a_block(setup, report)
}

/// Allocations of appends that stay inside one block.
fn within_a_block(setup: &Setup, report: &mut Report) -> Result<()> {
    let directory = setup.empty()?;
    let mut options = Options::default();
    options.background = false;
    let (_db, stream) = create(directory.path(), options, Compression::None)?;
    let mut writer = stream.writer::<f64>()?;
    let mut walk = Walk::new();
    let mut append = |records: usize| -> Result<()> {
        for _ in 0..records {
            let (ts, value) = walk.record();
            writer.append(ts, value)?;
        }
        Ok(())
    };
    append(5000)?;
    let before = (setup.allocations)();
    append(2000)?;
    let made = (setup.allocations)() - before;
    report.value("append", "allocations of 2,000 in a block", "", made as f64, Target::AtMost(0.0));
    Ok(())
}

/// How long single appends take while blocks are written and synced in the background.
fn latency(setup: &Setup, report: &mut Report) -> Result<()> {
    let records = setup.of(2_000_000, 5_000);
    let mut quantiles: [Vec<f64>; 3] = Default::default();
    for _ in 0..setup.turns(5) {
        let directory = setup.empty()?;
        let mut options = Options::default();
        // Often enough that several fall into the measured time.
        options.flush_interval = Duration::from_millis(20);
        options.sync_interval = Duration::from_millis(50);
        let (db, stream) = create(directory.path(), options, Compression::None)?;
        let mut writer = stream.writer::<f64>()?;
        let mut walk = Walk::new();
        let mut took = vec![0.0_f64; records];
        for took in &mut took {
            let (ts, value) = walk.record();
            let began = Instant::now();
            writer.append(ts, value)?;
            *took = began.elapsed().as_nanos() as f64;
        }
        drop((writer, stream, db));
        took.sort_unstable_by(f64::total_cmp);
        for (quantiles, share) in quantiles.iter_mut().zip([0.5, 0.999, 1.0]) {
            quantiles.push(quantile(&took, share));
        }
    }
    let names = ["one append, median", "one append, p99.9", "one append, longest"];
    let targets = [Target::Told, Target::AtMost(2000.0), Target::Told];
    for ((mut values, name), target) in quantiles.into_iter().zip(names).zip(targets) {
        report.value("append", name, "ns", median(&mut values), target);
    }
    Ok(())
}

/// Runs the workload.
///
/// # Errors
/// Those of engine and disk.
pub fn run(setup: &Setup, report: &mut Report) -> Result<()> {
    throughput(setup, report)?;
    resources(setup, report)?;
    latency(setup, report)
}
