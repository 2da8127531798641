//! `at` on a quiet stream, by criterion: see `ratios` for the comparison.
//!
//! # Invariants
//! - Times one call; asserts nothing of how long it takes.
#![expect(clippy::unwrap_used, reason = "a benchmark stops at the first failure")]
#![expect(missing_docs, reason = "criterion's macros make undocumented functions")]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use presence::{Compression, Options};
use presence_bench::data::{Random, START};
use presence_bench::setup::{filled, reopened};

const RECORDS: usize = 1_000_000;

fn at(c: &mut Criterion) {
    let mut group = c.benchmark_group("at");
    for compression in [Compression::None, Compression::Packed, Compression::Lz4] {
        let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let (db, stream) =
            filled(directory.path(), Options::default(), compression, RECORDS).unwrap();
        let (_db, stream) = reopened(directory.path(), db, stream, Options::default()).unwrap();
        let span = stream.last().unwrap().unwrap().ts().abs_diff(START);
        let stream = stream.typed::<f64>().unwrap();
        let mut random = Random::new(4);
        group.bench_function(compression.name(), |b| {
            b.iter(|| {
                let t = START + random.below(span) as i64;
                black_box(stream.at(t).unwrap())
            });
        });
    }
    group.finish();
}

criterion_group!(benches, at);
criterion_main!(benches);
