//! Windows of 5,000 records and their slices, by criterion: see `ratios` for the comparison.
//!
//! # Invariants
//! - Times one window without touching its values; asserts nothing of how long it takes.
#![expect(clippy::unwrap_used, reason = "a benchmark stops at the first failure")]
#![expect(missing_docs, reason = "criterion's macros make undocumented functions")]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use presence::{Compression, Options};
use presence_bench::data::{Random, START};
use presence_bench::setup::{filled, reopened};

const RECORDS: usize = 1_000_000;
const SPAN_US: i64 = 5_000_000;

fn window(c: &mut Criterion) {
    let mut group = c.benchmark_group("window");
    for compression in [Compression::None, Compression::Packed, Compression::Lz4] {
        let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let (db, stream) =
            filled(directory.path(), Options::default(), compression, RECORDS).unwrap();
        let (_db, stream) = reopened(directory.path(), db, stream, Options::default()).unwrap();
        let span = stream.last().unwrap().unwrap().ts().abs_diff(START) - SPAN_US.unsigned_abs();
        let mut random = Random::new(5);
        group.bench_function(compression.name(), |b| {
            b.iter(|| {
                let start = START + random.below(span) as i64;
                let window = stream.window(start..start + SPAN_US).unwrap();
                for slice in window.slices() {
                    black_box(slice.unwrap().column::<f64>(0).unwrap());
                }
            });
        });
    }
    group.finish();
}

criterion_group!(benches, window);
criterion_main!(benches);
