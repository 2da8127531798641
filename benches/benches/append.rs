//! A chunk of records appended one by one, by criterion: see `ratios` for the comparison.
//!
//! # Invariants
//! - Times a chunk that fills several blocks; asserts nothing of how long it takes.
#![expect(clippy::unwrap_used, reason = "a benchmark stops at the first failure")]
#![expect(missing_docs, reason = "criterion's macros make undocumented functions")]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use presence::{Compression, Options};
use presence_bench::data::Walk;
use presence_bench::setup::create;

const CHUNK: u64 = 20_000;

fn append(c: &mut Criterion) {
    let mut group = c.benchmark_group("append");
    group.throughput(Throughput::Elements(CHUNK));
    for compression in [Compression::None, Compression::Packed, Compression::Lz4] {
        let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let (_db, stream) = create(directory.path(), Options::default(), compression).unwrap();
        let mut writer = stream.writer::<f64>().unwrap();
        let mut walk = Walk::new();
        group.bench_function(compression.name(), |b| {
            b.iter(|| {
                for _ in 0..CHUNK {
                    let (ts, value) = walk.record();
                    writer.append(ts, value).unwrap();
                }
            });
        });
    }
    group.finish();
}

criterion_group!(benches, append);
criterion_main!(benches);
