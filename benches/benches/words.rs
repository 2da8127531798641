//! The loops over words below presence tracks, by criterion, each beside a bare pass over the same
//! memory.
//!
//! # Invariants
//! - The files measured are the engine's own; they know nothing but words and are compiled in here.
//! - Times loops; asserts nothing of how long they take.
#![expect(clippy::unwrap_used, reason = "a benchmark stops at the first failure")]
#![expect(missing_docs, reason = "criterion's macros make undocumented functions")]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use presence_bench::data::Random;

#[path = "../../engine/presence/src/track/kernels.rs"]
#[expect(dead_code, unused_imports, reason = "not all loops are measured, and its tests run there")]
mod kernels;
#[path = "../../engine/presence/src/track/step.rs"]
#[expect(dead_code, unused_imports, reason = "not all of it is measured, and its tests run there")]
mod step;

use kernels::{WORDS, Words};
use step::{Line, Step};

/// Containers of a lane: 64 MiB of words, more than caches hold.
const CONTAINERS: usize = 8_192;
/// Timestamps that are listed at once.
const ROOM: usize = 65_536;

type Lane = Vec<Box<Words>>;

/// A lane of 256 containers, over and over: making them all would take longer than measuring.
fn repeated(word: &mut impl FnMut() -> u64) -> Lane {
    let some: Lane = (0..256).map(|_| Box::new(std::array::from_fn(|_| word()))).collect();
    some.iter().cycle().take(CONTAINERS).cloned().collect()
}

/// A lane in runs of about `length` ticks, as long as the gaps between them.
fn runs(length: u64, random: &mut Random) -> Lane {
    let (mut left, mut set) = (0, false);
    let mut tick = || {
        if left == 0 {
            left = length / 2 + random.below(length);
            set = !set;
        }
        left -= 1;
        u64::from(set)
    };
    let mut word = || (0..64).fold(0, |word, bit| word | tick() << bit);
    repeated(&mut word)
}

/// A lane with one tick in a thousand.
fn sparse(random: &mut Random) -> Lane {
    let mut word = || (0..64).fold(0, |word, bit| word | u64::from(random.below(1000) == 0) << bit);
    repeated(&mut word)
}

fn lines(lane: &Lane) -> Vec<Line> {
    let step = Step::new(3, 100_000);
    (0..lane.len() as i64).map(|number| step.line(0, number * 65_536).unwrap()).collect()
}

fn bandwidth(c: &mut Criterion) {
    let mut random = Random::new(1);
    let (one, other) = (runs(300, &mut random), runs(1000, &mut random));
    let mut group = c.benchmark_group("words");
    group.sample_size(20);
    group.throughput(Throughput::Bytes((CONTAINERS * WORDS * 8) as u64));
    group.bench_function("bare sum", |b| {
        let sum = |words: &Words| words.iter().fold(0_u64, |sum, &word| sum.wrapping_add(word));
        b.iter(|| one.iter().map(|words| sum(words)).fold(0_u64, u64::wrapping_add));
    });
    group.bench_function("bare copy into one container", |b| {
        let mut buffer = Box::new([0; WORDS]);
        b.iter(|| {
            for words in &one {
                buffer.copy_from_slice(&words[..]);
                black_box(&mut buffer);
            }
        });
    });
    group.bench_function("count", |b| {
        b.iter(|| one.iter().map(|words| kernels::count(&words[..])).sum::<u64>());
    });
    group.throughput(Throughput::Bytes((2 * CONTAINERS * WORDS * 8) as u64));
    group.bench_function("bare sum of two", |b| {
        let sum = |a: &Words, b: &Words| {
            a.iter().zip(b).fold(0_u64, |sum, (&a, &b)| sum.wrapping_add(a ^ b))
        };
        b.iter(|| one.iter().zip(&other).map(|(a, b)| sum(a, b)).fold(0_u64, u64::wrapping_add));
    });
    group.bench_function("count of both", |b| {
        b.iter(|| one.iter().zip(&other).map(|(a, b)| kernels::count_and(a, b)).sum::<u64>());
    });
    // As an expression is counted: lanes are copied out of their blocks.
    let mut buffers = [Box::new([0; WORDS]), Box::new([0; WORDS])];
    group.bench_function("one and not the other, counted", |b| {
        b.iter(|| {
            let [words, second] = &mut buffers;
            let mut count = 0;
            for (a, b) in one.iter().zip(&other) {
                words.copy_from_slice(&a[..]);
                second.copy_from_slice(&b[..]);
                count += kernels::count_and_not(words, second);
            }
            count
        });
    });
    // The same where the second lane lies in memory as words.
    group.bench_function("one and not the other, counted, one copied", |b| {
        b.iter(|| {
            let [words, _] = &mut buffers;
            let mut count = 0;
            for (a, b) in one.iter().zip(&other) {
                words.copy_from_slice(&a[..]);
                count += kernels::count_and_not(words, b);
            }
            count
        });
    });
    group.finish();
}

/// Lists `lane` into a buffer that is used again and again.
fn list(lane: &Lane, lines: &[Line], out: &mut [i64]) -> usize {
    let (mut total, mut written) = (0, 0);
    for (words, line) in lane.iter().zip(lines) {
        let mut word = 0;
        while word < WORDS {
            let room = out.get_mut(written..).unwrap_or_default();
            let (end, count) = kernels::list(words, word, line, room);
            (word, written, total) = (end, written + count, total + count);
            if word < WORDS {
                black_box(&mut *out);
                written = 0;
            }
        }
    }
    total
}

fn listing(c: &mut Criterion) {
    let mut random = Random::new(2);
    let mut group = c.benchmark_group("list");
    group.sample_size(20);
    let mut out = vec![0; ROOM];
    for (name, lane) in [
        ("half full, runs of 300", runs(300, &mut random)),
        ("half full, runs of 2", runs(2, &mut random)),
        ("one in a thousand, as words", sparse(&mut random)),
    ] {
        let lines = lines(&lane);
        let count = list(&lane, &lines, &mut out);
        group.throughput(Throughput::Elements(count as u64));
        group.bench_function(name, |b| b.iter(|| list(&lane, &lines, &mut out)));
    }
    let offsets: Vec<u16> = (0..65).map(|at| at * 1000 + random.below(1000) as u16).collect();
    let lines = lines(&sparse(&mut random));
    group.throughput(Throughput::Elements((65 * lines.len()) as u64));
    group.bench_function("one in a thousand, as offsets", |b| {
        b.iter(|| {
            for line in &lines {
                kernels::list_offsets(&offsets, line, &mut out);
                black_box(&mut out);
            }
        });
    });
    group.finish();
}

fn grid(c: &mut Criterion) {
    let step = Step::new(3, 100_000);
    let mut random = Random::new(3);
    let times: Vec<i64> = (0..4096).map(|_| random.below(1 << 50) as i64).collect();
    let mut group = c.benchmark_group("grid");
    group.throughput(Throughput::Elements(times.len() as u64));
    group.bench_function("bare division", |b| {
        b.iter(|| {
            times.iter().map(|&t| (t * black_box(3)).div_euclid(black_box(100_000))).sum::<i64>()
        });
    });
    group.bench_function("tick", |b| {
        let step = black_box(step);
        b.iter(|| times.iter().filter_map(|&t| step.tick(t)).sum::<i64>());
    });
    group.bench_function("start", |b| {
        let step = black_box(step);
        b.iter(|| times.iter().filter_map(|&t| step.start(t >> 16)).fold(0_i64, i64::wrapping_add));
    });
    group.finish();
}

criterion_group!(benches, bandwidth, listing, grid);
criterion_main!(benches);
