//! Event cameras: decoders, writers, filters and representations, events a second, beside a bare
//! loop that fills the same columns.
//!
//! `PRESENCE_EVENTS_FILE=rec.raw cargo bench -p presence-bench --bench events -- file` decodes a
//! file of one's own.
//!
//! # Invariants
//! - Everything runs over the same generated scene, in memory, on one thread; asserts nothing of
//!   how long it takes.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a benchmark stops at the first failure"
)]
#![expect(missing_docs, reason = "criterion's macros make undocumented functions")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use presence_bench::data::Random;
use presence_events::filter::{
    BackgroundActivity, Filter, HotPixelFilter, HotPixelRule, PixelCounts, PolarityFilter,
    Preprocess, PreprocessOptions, Refractory, RefractoryReset, Roi, RoiFilter, TimeFilter,
};
use presence_events::represent::{
    EventFrame, MixedDensity, Span, StackedHistogram, TimeSurface, VoxelGrid,
};
use presence_events::{
    AutoDecoder, ChunkCompression, Decoder, EncodeOptions, Event, EventBatch, Format, Options,
    Output, Recording, SensorSize, encoder,
};

const SIZE: SensorSize = SensorSize { width: 640, height: 480 };
const EVENTS: usize = 1 << 20;
const WRITTEN: [Format; 5] =
    [Format::Evt2, Format::Evt3, Format::Dat, Format::Aedat4, Format::Text];

/// Edges that move to the right, a row of neighbours at a time, and one event of noise in five, at
/// 10 million events a second.
fn scene() -> EventBatch {
    let mut random = Random::new(9);
    let mut events = EventBatch::with_capacity(EVENTS);
    let mut t = 1_000;
    while events.len() < EVENTS {
        t += 1;
        let polarity = random.below(2) as u8;
        let edge = (t / 40 + random.below(4) as i64 * 150) % 620;
        let y = random.below(480) as u16;
        for x in 0..8 {
            events.push(Event { t, x: edge as u16 + x, y, polarity });
        }
        for _ in 0..2 {
            let (x, y) = (random.below(640) as u16, random.below(480) as u16);
            events.push(Event { t, x, y, polarity });
        }
    }
    events.truncate(EVENTS);
    events
}

fn written(format: Format, events: &EventBatch) -> Vec<u8> {
    let options = EncodeOptions { sensor_size: Some(SIZE), ..EncodeOptions::default() };
    let mut encoder = encoder(format, &options).unwrap();
    let mut bytes = Vec::new();
    encoder.encode(events, &mut bytes).unwrap();
    encoder.finish(&mut bytes).unwrap();
    bytes
}

/// Decodes all, batch by batch, into the same columns.
fn decode(bytes: &[u8], out: &mut Output) -> u64 {
    let mut decoder = AutoDecoder::new(Options::default());
    let mut rest = bytes;
    while !rest.is_empty() {
        let taken = decoder.feed(rest, out).unwrap();
        rest = &rest[taken..];
        black_box(out.events.t());
        out.clear();
    }
    decoder.finish(out).unwrap();
    out.clear();
    decoder.report().events
}

/// What decoding cannot do without: 13 bytes an event into columns that stay in the cache.
fn bare(events: usize, columns: &mut (Vec<i64>, Vec<u16>, Vec<u16>, Vec<u8>)) {
    let (t, x, y, p) = columns;
    for start in (0..events).step_by(t.len()) {
        t.iter_mut().enumerate().for_each(|(i, t)| *t = (start + i) as i64);
        x.iter_mut().enumerate().for_each(|(i, x)| *x = i as u16);
        y.iter_mut().enumerate().for_each(|(i, y)| *y = (i >> 4) as u16);
        p.iter_mut().enumerate().for_each(|(i, p)| *p = (i & 1) as u8);
        black_box(&mut *t);
    }
}

fn decoding(c: &mut Criterion) {
    let scene = scene();
    let mut out = Output::default();
    let mut group = c.benchmark_group("decode");
    group.throughput(Throughput::Elements(EVENTS as u64));
    let batch = Output::EVENTS_MAX;
    let mut columns = (vec![0; batch], vec![0; batch], vec![0; batch], vec![0; batch]);
    group.bench_function("bare", |b| b.iter(|| bare(EVENTS, &mut columns)));
    for format in WRITTEN {
        let bytes = written(format, &scene);
        group.bench_function(format.name(), |b| b.iter(|| decode(&bytes, &mut out)));
    }
    if let Some(path) = std::env::var_os("PRESENCE_EVENTS_FILE") {
        let bytes = std::fs::read(path).unwrap();
        group.throughput(Throughput::Elements(decode(&bytes, &mut out)));
        group.bench_function("file", |b| b.iter(|| decode(&bytes, &mut out)));
    }
    group.finish();
}

/// The rows of Prophesee's HDF5, as they lie in chunks: x, y, polarity, time.
fn rows(events: &EventBatch) -> Vec<Vec<u8>> {
    let row = |event: Event| {
        let mut row = [0; ROW_BYTES];
        row[..2].copy_from_slice(&event.x.to_le_bytes());
        row[2..4].copy_from_slice(&event.y.to_le_bytes());
        row[4..6].copy_from_slice(&u16::from(event.polarity).to_le_bytes());
        row[8..].copy_from_slice(&event.t.to_le_bytes());
        row
    };
    let rows: Vec<[u8; ROW_BYTES]> = events.iter().map(row).collect();
    rows.chunks(CHUNK_ROWS).map(<[_]>::concat).collect()
}

const ROW_BYTES: usize = 16;
/// Rows of a chunk, as our writer makes them.
const CHUNK_ROWS: usize = 16_384;

/// HDF5 beside what cannot be done without: chunks copied into memory, and inflated.
fn hdf5(c: &mut Criterion) {
    let scene = scene();
    let chunks = rows(&scene);
    let mut group = c.benchmark_group("hdf5");
    group.throughput(Throughput::Elements(EVENTS as u64));
    let mut page = Vec::new();
    group.bench_function("bare copy", |b| {
        b.iter(|| {
            for chunk in &chunks {
                page.clear();
                page.extend_from_slice(chunk);
                black_box(&page);
            }
        });
    });
    let shuffled = |chunk: &Vec<u8>| -> Vec<u8> {
        (0..ROW_BYTES).flat_map(|at| chunk.iter().skip(at).step_by(ROW_BYTES)).copied().collect()
    };
    let deflated: Vec<Vec<u8>> = chunks
        .iter()
        .map(|chunk| miniz_oxide::deflate::compress_to_vec_zlib(&shuffled(chunk), 4))
        .collect();
    group.bench_function("bare inflate", |b| {
        b.iter(|| {
            for chunk in &deflated {
                black_box(miniz_oxide::inflate::decompress_to_vec_zlib(chunk).unwrap());
            }
        });
    });
    let mut out = Output::default();
    let compressions = [ChunkCompression::None, ChunkCompression::Deflate, ChunkCompression::Ecf];
    for (name, hdf5_compression) in ["plain", "deflated", "ECF"].into_iter().zip(compressions) {
        let options =
            EncodeOptions { sensor_size: Some(SIZE), hdf5_compression, ..EncodeOptions::default() };
        let mut encoder = encoder(Format::Hdf5, &options).unwrap();
        let mut bytes = Vec::new();
        encoder.encode(&scene, &mut bytes).unwrap();
        encoder.finish(&mut bytes).unwrap();
        group.bench_function(name, |b| {
            b.iter_batched(
                || Box::new(bytes.clone()),
                |source| {
                    let mut recording = Recording::open(source, &Options::default()).unwrap();
                    while recording.read(&mut out).unwrap() {
                        black_box(out.events.t());
                        out.clear();
                    }
                    out.clear();
                    assert_eq!(recording.report().events, EVENTS as u64);
                    recording
                },
                BatchSize::LargeInput,
            );
        });
    }
    group.finish();
}

fn encoding(c: &mut Criterion) {
    let scene = scene();
    let mut group = c.benchmark_group("encode");
    group.throughput(Throughput::Elements(EVENTS as u64));
    for format in WRITTEN {
        group.bench_function(format.name(), |b| b.iter(|| written(format, &scene)));
    }
    group.finish();
}

/// The time a filter takes for batches that were just written, as a decoder hands them out.
fn filtered(filter: &mut dyn Filter, batches: &[EventBatch]) -> Duration {
    let mut batch = EventBatch::new();
    let one = |from: &EventBatch| {
        batch.clear();
        batch.extend_from(from, 0..from.len());
        let start = Instant::now();
        filter.apply(&mut batch);
        black_box(batch.t());
        start.elapsed()
    };
    batches.iter().map(one).sum()
}

fn filtering(c: &mut Criterion) {
    let scene = scene();
    let batches: Vec<EventBatch> = (0..EVENTS)
        .step_by(Output::EVENTS_MAX)
        .map(|start| {
            let mut batch = EventBatch::new();
            batch.extend_from(&scene, start..start + Output::EVENTS_MAX);
            batch
        })
        .collect();
    let mut counts = PixelCounts::new(SIZE);
    counts.add(&scene);
    let middle = Roi { x_min: 160, x_max: 479, y_min: 120, y_max: 359 };
    let (first, last) = (Some(scene.t()[EVENTS / 4]), Some(scene.t()[EVENTS / 2]));
    let mut preprocess = PreprocessOptions::new(SIZE);
    (preprocess.first, preprocess.roi) = (first, Some(middle));
    type Make = Box<dyn Fn() -> Box<dyn Filter>>;
    let hot = HotPixelFilter::new(&counts, HotPixelRule::default());
    let filters: Vec<(&str, Make)> = vec![
        ("time", Box::new(move || Box::new(TimeFilter { first, last }))),
        ("roi", Box::new(move || Box::new(RoiFilter(vec![middle])))),
        ("polarity", Box::new(|| Box::new(PolarityFilter(1)))),
        ("hot pixels", Box::new(move || Box::new(hot.clone()))),
        ("refractory", Box::new(|| Box::new(Refractory::new(SIZE, 1_000, RefractoryReset::ByAny)))),
        ("background", Box::new(|| Box::new(BackgroundActivity::new(SIZE, 1_000)))),
    ];
    let mut group = c.benchmark_group("filter");
    group.throughput(Throughput::Elements(EVENTS as u64));
    for (name, make) in filters {
        group.bench_function(name, |b| {
            b.iter_custom(|rounds| {
                (0..rounds).map(|_| filtered(&mut *make(), &batches)).sum::<Duration>()
            });
        });
    }
    group.bench_function("preprocess", |b| {
        b.iter_custom(|rounds| {
            let round = || {
                let mut chain = Preprocess::new(preprocess.clone());
                let start = Instant::now();
                batches.iter().for_each(|batch| chain.count(batch));
                start.elapsed() + filtered(&mut chain, &batches)
            };
            (0..rounds).map(|_| round()).sum::<Duration>()
        });
    });
    group.bench_function("counts for hot pixels", |b| {
        b.iter(|| PixelCounts::new(SIZE).add(&scene));
    });
    group.finish();
}

fn representing(c: &mut Criterion) {
    let scene = scene();
    let span = Span { first: scene.t()[0], last: scene.t()[EVENTS - 1] };
    let mut group = c.benchmark_group("represent");
    group.throughput(Throughput::Elements(EVENTS as u64));
    let mut frame = EventFrame::new(SIZE, span, 10);
    group.bench_function("event frame", |b| b.iter(|| frame.add(&scene)));
    let mut histogram = StackedHistogram::new(SIZE, span.first, 10_000, 10);
    group.bench_function("stacked histogram", |b| b.iter(|| histogram.add(&scene)));
    let mut voxels = VoxelGrid::new(SIZE, span, 5);
    group.bench_function("voxel grid", |b| b.iter(|| voxels.add(&scene)));
    let mut surface = TimeSurface::new(SIZE);
    group.bench_function("time surface", |b| b.iter(|| surface.add(&scene)));
    let mut density = MixedDensity::new(SIZE, span, 8);
    group.bench_function("mixed density", |b| b.iter(|| density.add(&scene)));
    group.finish();
}

criterion_group!(benches, decoding, hdf5, encoding, filtering, representing);
criterion_main!(benches);
