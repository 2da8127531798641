//! W5: windows of 5,000 records and full scans, summing the values, against bare mapped columns
//! with interpolation search; compressed, against the codec alone.
//!
//! # Invariants
//! - Both sides answer the same questions, and the sums of their answers must be equal.

use std::fs;
use std::ops::Range;
use std::path::Path;

use presence::device::{Device, Mapping, RealDevice};
use presence::{Compression, DType, Options, Stream};
use presence_format::codec;

use crate::Result;
use crate::data::{Random, Walk};
use crate::measure::{Pair, cpu_each, paired};
use crate::report::{Report, Target};
use crate::setup::{Setup, filled, reopened};

/// Records of a window.
pub const WINDOW: usize = 5000;
/// Records of a block of 128 KiB, the engine's own.
const BLOCK: usize = 8190;

/// Timestamps and values in two mapped files.
struct Columns {
    times: Mapping,
    values: Mapping,
}

impl Columns {
    fn new(directory: &Path, times: &[i64], values: &[f64]) -> Result<Self> {
        let directory = directory.join("columns");
        fs::create_dir(&directory)?;
        fs::write(directory.join("times"), bytemuck::cast_slice(times))?;
        fs::write(directory.join("values"), bytemuck::cast_slice(values))?;
        let device = RealDevice::open(&directory)?;
        let map = |name| device.open(name)?.map(times.len() * 8);
        Ok(Self { times: map("times")?, values: map("values")? })
    }

    fn times(&self) -> &[i64] {
        bytemuck::cast_slice(&self.times)
    }

    fn values(&self) -> &[f64] {
        bytemuck::cast_slice(&self.values)
    }
}

/// Number of elements below `t`: a straight line between the ends, and steps from there.
fn count_less(times: &[i64], t: i64) -> usize {
    let (Some(&first), Some(&last)) = (times.first(), times.last()) else { return 0 };
    if t <= first || t > last {
        return if t <= first { 0 } else { times.len() };
    }
    let along = (t - first) as f64 / (last - first) as f64;
    let guess = ((along * (times.len() - 1) as f64) as usize).min(times.len() - 1);
    let below = |index: usize| times.get(index).is_some_and(|&x| x < t);
    let (mut low, mut high, mut step) = (guess, guess, 8);
    if below(guess) {
        while high < times.len() && below(high) {
            low = high;
            high += step;
            step *= 2;
        }
        high = high.min(times.len());
    } else {
        while low > 0 && !below(low) {
            high = low;
            low = low.saturating_sub(step);
            step *= 2;
        }
    }
    low + times.get(low..high).unwrap_or_default().partition_point(|&x| x < t)
}

/// The data, and ranges of time with 5,000 records each.
struct Questions {
    times: Vec<i64>,
    values: Vec<f64>,
    windows: Vec<Range<i64>>,
}

impl Questions {
    fn new(setup: &Setup) -> Self {
        let (times, values) = Walk::columns(setup.records());
        let mut random = Random::new(5);
        let starts = times.len() - WINDOW - 1;
        let window = |_| {
            let start = random.below(starts as u64) as usize;
            let ts = |index: usize| times.get(index).copied().unwrap_or(0);
            ts(start)..ts(start + WINDOW)
        };
        let windows = (0..setup.of(10_000, 20)).map(window).collect();
        Self { times, values, windows }
    }

    /// A part of the windows, another each turn.
    fn part(&self, turn: usize) -> &[Range<i64>] {
        let part = (self.windows.len() / 10).max(1);
        self.windows.chunks(part).nth(turn % 10).unwrap_or_default()
    }
}

fn ours(stream: &Stream, windows: &[Range<i64>]) -> Result<f64> {
    let mut sum = 0.0;
    for range in windows {
        for slice in stream.window(range.clone())?.slices() {
            let slice = slice?;
            sum = slice.column::<f64>(0)?.iter().fold(sum, |sum, value| sum + value);
        }
    }
    Ok(sum)
}

fn bare(columns: &Columns, windows: &[Range<i64>]) -> f64 {
    let mut sum = 0.0;
    let times = columns.times();
    for range in windows {
        let records = count_less(times, range.start)..count_less(times, range.end);
        let values = columns.values().get(records).unwrap_or_default();
        sum = values.iter().fold(sum, |sum, value| sum + value);
    }
    sum
}

fn scan(stream: &Stream) -> Result<f64> {
    let mut sum = 0.0;
    for slice in stream.window(..)?.slices() {
        sum = slice?.column::<f64>(0)?.iter().fold(sum, |sum, value| sum + value);
    }
    Ok(sum)
}

/// Million records a second from nanoseconds a record.
fn rates(pair: Pair) -> Pair {
    Pair { ours: 1e3 / pair.ours, reference: 1e3 / pair.reference, ratio: 1.0 / pair.ratio }
}

fn agree(ours: f64, reference: f64) -> Result<()> {
    if ours == reference { Ok(()) } else { Err("windows and their reference disagree".into()) }
}

/// CPU nanoseconds for each of `records`, of something that makes a sum.
fn timed(records: usize, sum: impl FnOnce() -> Result<f64>) -> Result<f64> {
    cpu_each(records, || {
        std::hint::black_box(sum()?);
        Ok(())
    })
}

fn uncompressed(setup: &Setup, report: &mut Report, questions: &Questions) -> Result<()> {
    let directory = setup.empty()?;
    let path = directory.path();
    let columns = Columns::new(path, &questions.times, &questions.values)?;
    let (db, stream) = filled(path, Options::default(), Compression::None, setup.records())?;
    let mut against_columns = |what: &str, stream: &Stream| -> Result<()> {
        agree(ours(stream, &questions.windows)?, bare(&columns, &questions.windows))?;
        agree(scan(stream)?, questions.values.iter().fold(0.0, |sum, value| sum + value))?;
        let records = WINDOW * questions.part(0).len();
        let pair = paired(
            setup.turns(30),
            |turn| timed(records, || ours(stream, questions.part(turn))),
            |turn| timed(records, || Ok(bare(&columns, questions.part(turn)))),
        )?;
        let name = format!("windows of 5,000, none, {what}");
        report.ratio("window", name, "M rec/s", rates(pair), Target::AtLeast(0.9));
        let all = setup.records();
        let values = columns.values();
        let pair = paired(
            setup.turns(15),
            |_| timed(all, || scan(stream)),
            |_| timed(all, || Ok(values.iter().fold(0.0, |sum, value| sum + value))),
        )?;
        let name = format!("full scan, none, {what}");
        report.ratio("window", name, "M rec/s", rates(pair), Target::AtLeast(0.9));
        Ok(())
    };
    against_columns("still written to", &stream)?;
    let (db, stream) = reopened(path, db, stream, Options::default())?;
    against_columns("reopened", &stream)?;
    db.compact(|_, _| true)?;
    against_columns("compacted", &stream)?;
    overhead(setup, report, &stream, questions)
}

/// Making a window and its slices, without touching a value.
fn overhead(
    setup: &Setup,
    report: &mut Report,
    stream: &Stream,
    questions: &Questions,
) -> Result<()> {
    let count = |windows: &[Range<i64>]| -> Result<usize> {
        let mut records = 0;
        for range in windows {
            for slice in stream.window(range.clone())?.slices() {
                records += slice?.column::<f64>(0)?.len();
            }
        }
        Ok(records)
    };
    count(&questions.windows)?;
    let before = (setup.allocations)();
    let records = count(&questions.windows)?;
    let made = (setup.allocations)() - before;
    if records != questions.windows.len() * WINDOW {
        return Err("windows of a wrong length".into());
    }
    let mut turns = Vec::new();
    for turn in 0..setup.turns(30) {
        let windows = questions.part(turn);
        turns.push(cpu_each(windows.len(), || {
            std::hint::black_box(count(windows)?);
            Ok(())
        })?);
    }
    let overhead = crate::measure::median(&mut turns);
    report.value("window", "making a window of 5,000", "ns", overhead, Target::AtMost(1000.0));
    let each = made as f64 / questions.windows.len() as f64;
    report.value("window", "allocations a window", "", each, Target::AtMost(0.01));
    Ok(())
}

/// Both columns encoded block by block, in memory.
struct Encoded {
    compression: Compression,
    blocks: Vec<EncodedBlock>,
}

struct EncodedBlock {
    first_ts: i64,
    records: usize,
    times: Vec<u8>,
    values: Vec<u8>,
}

impl Encoded {
    fn new(compression: Compression, questions: &Questions) -> Self {
        let columns = questions.times.chunks(BLOCK).zip(questions.values.chunks(BLOCK));
        let block = |(times, values): (&[i64], &[f64])| {
            let mut block = EncodedBlock {
                first_ts: times.first().copied().unwrap_or(0),
                records: times.len(),
                times: Vec::new(),
                values: Vec::new(),
            };
            let raw = bytemuck::cast_slice(times);
            codec::encode(compression, DType::I64, 1, raw, &mut block.times);
            let raw = bytemuck::cast_slice(values);
            codec::encode(compression, DType::F64, 1, raw, &mut block.values);
            block
        };
        Self { compression, blocks: columns.map(block).collect() }
    }

    /// Decodes every block that `range` touches and sums what lies in it.
    fn sum(&self, range: Range<i64>, mut sum: f64) -> Result<f64> {
        let (mut times, mut values) = ([0_i64; BLOCK], [0.0_f64; BLOCK]);
        let from = self.blocks.partition_point(|block| block.first_ts <= range.start);
        let blocks = self.blocks.get(from.saturating_sub(1)..).unwrap_or_default();
        for block in blocks.iter().take_while(|block| block.first_ts < range.end) {
            let times = times.get_mut(..block.records).unwrap_or_default();
            let values = values.get_mut(..block.records).unwrap_or_default();
            let raw = bytemuck::cast_slice_mut(times);
            codec::decode(self.compression, DType::I64, 1, &block.times, raw)?;
            let raw = bytemuck::cast_slice_mut(values);
            codec::decode(self.compression, DType::F64, 1, &block.values, raw)?;
            let records = count_less(times, range.start)..count_less(times, range.end);
            let inside = values.get(records).unwrap_or_default();
            sum = inside.iter().fold(sum, |sum, value| sum + value);
        }
        Ok(sum)
    }

    fn sums(&self, windows: &[Range<i64>]) -> Result<f64> {
        windows.iter().try_fold(0.0, |sum, range| self.sum(range.clone(), sum))
    }
}

fn compressed(setup: &Setup, report: &mut Report, questions: &Questions) -> Result<()> {
    for compression in [Compression::Packed, Compression::Lz4] {
        let encoded = Encoded::new(compression, questions);
        let directory = setup.empty()?;
        let mut options = Options::default();
        // Hardly a page is found again: every window is decoded anew, as the reference does.
        options.cache_bytes = 256 << 10;
        let (db, stream) = filled(directory.path(), options.clone(), compression, setup.records())?;
        let (_db, stream) = reopened(directory.path(), db, stream, options)?;
        agree(ours(&stream, questions.part(0))?, encoded.sums(questions.part(0))?)?;
        let records = WINDOW * questions.part(0).len();
        let pair = paired(
            setup.turns(10),
            |turn| timed(records, || ours(&stream, questions.part(turn))),
            |turn| timed(records, || encoded.sums(questions.part(turn))),
        )?;
        let name = format!("windows of 5,000, {}, not cached", compression.name());
        report.ratio("window", name, "M rec/s", rates(pair), Target::AtLeast(0.7));
        let all = setup.records();
        let pair = paired(
            setup.turns(7),
            |_| timed(all, || scan(&stream)),
            |_| timed(all, || encoded.sum(i64::MIN..i64::MAX, 0.0)),
        )?;
        let name = format!("full scan, {}, not cached", compression.name());
        report.ratio("window", name, "M rec/s", rates(pair), Target::AtLeast(0.7));
    }
    Ok(())
}

/// Runs the workload.
///
/// # Errors
/// Those of engine and disk.
pub fn run(setup: &Setup, report: &mut Report) -> Result<()> {
    let questions = Questions::new(setup);
    uncompressed(setup, report, &questions)?;
    compressed(setup, report, &questions)
}
