//! W4: the value in force at random moments, against `partition_point` on a `Vec` of the same
//! timestamps and a look into a `Vec` of the values.
//!
//! # Invariants
//! - Both sides answer the same questions, and the sums of their answers must be equal.

use std::path::Path;

use presence::{Compression, Database, Level, Options, Stream, TypedStream};

use crate::Result;
use crate::data::{Random, Walk};
use crate::measure::{Pair, cpu_each, paired};
use crate::report::{Report, Target};
use crate::setup::{Setup, filled, reopened};

/// The timestamps and values, and moments among them.
struct Questions {
    times: Vec<i64>,
    values: Vec<f64>,
    moments: Vec<i64>,
}

impl Questions {
    fn new(setup: &Setup) -> Self {
        let (times, values) = Walk::columns(setup.records());
        let mut questions = Self { times, values, moments: Vec::new() };
        questions.ask(setup.of(1_000_000, 2_000));
        questions
    }

    fn ask(&mut self, moments: usize) {
        let (Some(&first), Some(&last)) = (self.times.first(), self.times.last()) else { return };
        let mut random = Random::new(4);
        let span = first.abs_diff(last);
        self.moments = (0..moments).map(|_| first + random.below(span) as i64).collect();
    }

    fn bare(&self, moments: &[i64]) -> f64 {
        let mut sum = 0.0;
        for &t in moments {
            let count = self.times.partition_point(|&x| x <= t);
            sum += self.values.get(count.wrapping_sub(1)).copied().unwrap_or(0.0);
        }
        sum
    }

    /// Takes turns at a tenth of the moments each.
    fn measure(&self, setup: &Setup, stream: &Stream) -> Result<Pair> {
        let stream = stream.typed::<f64>()?;
        // Once over everything: both sides are warm.
        if ours(&stream, &self.moments)? != self.bare(&self.moments) {
            return Err("`at` and `partition_point` disagree".into());
        }
        let turns = setup.turns(30);
        let part = (self.moments.len() / 10).max(1);
        let moments = |turn: usize| self.moments.chunks(part).nth(turn % 10).unwrap_or_default();
        paired(
            turns,
            |turn| {
                cpu_each(part, || {
                    std::hint::black_box(ours(&stream, moments(turn))?);
                    Ok(())
                })
            },
            |turn| {
                cpu_each(part, || {
                    std::hint::black_box(self.bare(moments(turn)));
                    Ok(())
                })
            },
        )
    }
}

fn ours(stream: &TypedStream<f64>, moments: &[i64]) -> Result<f64> {
    let mut sum = 0.0;
    for &t in moments {
        if let Some((_, value)) = stream.at(t)? {
            sum += value;
        }
    }
    Ok(sum)
}

/// Options with a cache that holds all of W1 decoded.
pub fn with_cache() -> Options {
    let mut options = Options::default();
    options.cache_bytes = 512 << 20;
    options
}

fn warm(setup: &Setup, report: &mut Report, questions: &Questions) -> Result<()> {
    let ways = [(Compression::None, 0.46), (Compression::Packed, 0.6), (Compression::Lz4, 0.6)];
    for (compression, most) in ways {
        let directory = setup.empty()?;
        let path = directory.path();
        let (db, stream) = filled(path, with_cache(), compression, setup.records())?;
        let name = compression.name();
        let mut add = |what: &str, stream: &Stream, target| -> Result<()> {
            let pair = questions.measure(setup, stream)?;
            report.ratio("at", format!("{name}, {what}"), "ns", pair, target);
            Ok(())
        };
        let unsealed = if compression == Compression::None { most } else { 0.6 };
        add("still written to", &stream, Target::AtMost(unsealed))?;
        let (db, stream) = reopened(path, db, stream, with_cache())?;
        add("reopened", &stream, Target::AtMost(most))?;
        db.compact(|_, _| true)?;
        add("compacted", &stream, Target::AtMost(most))?;
        if compression == Compression::None {
            allocations(setup, report, &stream, questions)?;
        }
    }
    Ok(())
}

fn allocations(
    setup: &Setup,
    report: &mut Report,
    stream: &Stream,
    questions: &Questions,
) -> Result<()> {
    let stream = stream.typed::<f64>()?;
    let before = (setup.allocations)();
    ours(&stream, &questions.moments)?;
    let each = ((setup.allocations)() - before) as f64 / questions.moments.len() as f64;
    // The log's thread may tick meanwhile, and that is not the reader's.
    report.value("at", "allocations a call", "", each, Target::AtMost(0.001));
    Ok(())
}

/// `at` after 2,000 flushes of one record each.
fn after_flushes(setup: &Setup, report: &mut Report, questions: &mut Questions) -> Result<()> {
    let directory = setup.empty()?;
    let (db, stream) = filled(directory.path(), with_cache(), Compression::None, setup.records())?;
    append_flushed(&stream, questions, setup.of(2000, 10))?;
    questions.ask(questions.moments.len());
    let pair = questions.measure(setup, &stream)?;
    report.ratio("at", "none, after 2,000 flushes, open", "ns", pair, Target::AtMost(0.46));
    let (_db, stream) = sealed_again(directory.path(), db, stream)?;
    let pair = questions.measure(setup, &stream)?;
    report.ratio("at", "none, after 2,000 flushes, reopened", "ns", pair, Target::AtMost(0.46));
    Ok(())
}

fn append_flushed(stream: &Stream, questions: &mut Questions, count: usize) -> Result<()> {
    let mut writer = stream.writer::<f64>()?;
    let mut ts = questions.times.last().copied().unwrap_or(0);
    for index in 0..count {
        ts += 1000;
        writer.append(ts, index as f64)?;
        writer.flush(Level::Disk)?;
        questions.times.push(ts);
        questions.values.push(index as f64);
    }
    Ok(())
}

fn sealed_again(path: &Path, db: Database, stream: Stream) -> Result<(Database, Stream)> {
    reopened(path, db, stream, with_cache())
}

/// Runs the workload.
///
/// # Errors
/// Those of engine and disk.
pub fn run(setup: &Setup, report: &mut Report) -> Result<()> {
    let mut questions = Questions::new(setup);
    warm(setup, report, &questions)?;
    after_flushes(setup, report, &mut questions)
}
