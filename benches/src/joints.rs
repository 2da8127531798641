//! W2: 30 streams of 7 x `f32`, one record of each in turn, against a bare loop with 30 pairs of
//! arrays, each checksummed and written when it holds 64 KiB.
//!
//! # Invariants
//! - Both sides make their data while they go, write to the same disk, and sync once at the end.

use std::fs::File;
use std::io::{IoSlice, Write};
use std::path::Path;

use presence::{Compression, Database, Level, Options, schema_of};

use crate::Result;
use crate::data::Arms;
use crate::measure::{cpu_each, paired, peak, reset_peak, resident};
use crate::report::{Report, Target};
use crate::setup::{Setup, bytes};

const STREAMS: usize = 30;
const PIECE_RECORDS: usize = (64 << 10) / 36;

struct Buffers {
    times: Box<[i64]>,
    values: Box<[[f32; 7]]>,
    used: usize,
}

impl Buffers {
    fn new() -> Self {
        Self {
            times: vec![0; PIECE_RECORDS].into(),
            values: vec![[0.0; 7]; PIECE_RECORDS].into(),
            used: 0,
        }
    }

    #[inline]
    fn put(&mut self, ts: i64, value: [f32; 7]) -> bool {
        if let (Some(time), Some(slot)) =
            (self.times.get_mut(self.used), self.values.get_mut(self.used))
        {
            (*time, *slot) = (ts, value);
            self.used += 1;
        }
        self.used == PIECE_RECORDS
    }

    fn write(&mut self, file: &mut File) -> Result<u32> {
        let times = self.times.get(..self.used).unwrap_or_default();
        let values = self.values.get(..self.used).unwrap_or_default();
        let parts: [&[u8]; 2] = [bytemuck::cast_slice(times), bytemuck::cast_slice(values)];
        let mut hasher = crc32fast::Hasher::new();
        parts.iter().for_each(|part| hasher.update(part));
        if file.write_vectored(&parts.map(IoSlice::new))? != self.used * 36 {
            return Err("a short write".into());
        }
        self.used = 0;
        Ok(hasher.finalize())
    }
}

/// The bare loop.
fn bare(path: &Path, records: usize) -> Result<()> {
    let mut file = File::create(path)?;
    let mut all: Vec<Buffers> = (0..STREAMS).map(|_| Buffers::new()).collect();
    let mut arms = Arms::new();
    let mut checksums = 0;
    for _ in 0..records / STREAMS {
        for buffers in &mut all {
            let (ts, value) = arms.record();
            if buffers.put(ts, value) {
                checksums ^= buffers.write(&mut file)?;
            }
        }
    }
    for buffers in &mut all {
        checksums ^= buffers.write(&mut file)?;
    }
    std::hint::black_box(checksums);
    file.sync_data()?;
    Ok(())
}

fn ours(directory: &Path, compression: Compression, records: usize) -> Result<f64> {
    let db = Database::create(directory.join("db"), Options::default())?;
    let mut writers = Vec::new();
    for arm in 0..STREAMS {
        let schema = schema_of::<[f32; 7]>()?.with_compression(compression);
        let stream = db.create_stream(&format!("arm {arm}/joints"), schema)?;
        writers.push(stream.writer::<[f32; 7]>()?);
    }
    let mut arms = Arms::new();
    let cpu = cpu_each(records, || {
        for _ in 0..records / STREAMS {
            for writer in &mut writers {
                let (ts, value) = arms.record();
                writer.append(ts, value)?;
            }
        }
        db.flush(Level::Disk)?;
        Ok(())
    })?;
    drop(writers);
    db.close()?;
    Ok(cpu)
}

/// Runs the workload.
///
/// # Errors
/// Those of engine and disk.
pub fn run(setup: &Setup, report: &mut Report) -> Result<()> {
    let records = setup.of(3_000_000, 6_000);
    let ways = [(Compression::None, Target::AtMost(2.0)), (Compression::Packed, Target::Told)];
    for (compression, target) in ways {
        let mut per_record = 0.0;
        let mut grown = None;
        let pair = paired(
            setup.turns(7),
            |_| {
                let directory = setup.empty()?;
                let before = resident();
                reset_peak();
                let cpu = ours(directory.path(), compression, records)?;
                grown = before.zip(peak()).map(|(before, peak)| peak.saturating_sub(before));
                per_record = bytes(directory.path())? as f64 / records as f64;
                Ok(cpu)
            },
            |_| {
                let directory = setup.empty()?;
                cpu_each(records, || bare(&directory.path().join("bare"), records))
            },
        )?;
        let name = compression.name();
        report.ratio("joints", format!("CPU a record, 30 streams, {name}"), "ns", pair, target);
        report.value(
            "joints",
            format!("size of a record, {name}"),
            "bytes",
            per_record,
            Target::Told,
        );
        if let Some(grown) = grown {
            let mib = grown as f64 / f64::from(1 << 20);
            report.value("joints", format!("peak memory, {name}"), "MiB", mib, Target::Told);
        }
    }
    Ok(())
}
