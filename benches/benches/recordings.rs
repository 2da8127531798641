//! Recordings of events in a database: sizes, windows cold and warm, all of it. Tables.
//!
//! ```sh
//! recordings generate 1000000000 1000.raw      # EVT 2.0; import it by the tool
//! recordings windows DB STREAM                 # windows of 1 ms, and a scan
//! recordings sizes FILE...                     # bytes an event, and how fast they decode
//! ```
//!
//! each behind `cargo bench -p presence-bench --bench recordings --`; without arguments, and with
//! `--test`, everything is run once on little data.
//!
//! # Invariants
//! - Asserts nothing of how long it takes; a scan gives all records, a window the same sum again.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a benchmark writes tables and stops at the first failure"
)]

use std::hint::black_box;
use std::io::Write;
use std::path::Path;
use std::time::Instant;

use presence::{Database, Level, Stream, TimeUnit, Window};
use presence_bench::data::Random;
use presence_events::{
    AutoDecoder, Decoder, EncodeOptions, Encoder, Event, EventBatch, Format, Options, Output,
    SensorSize, encoder,
};
use presence_format::{Batch, Column, Compression, DType, Order, Schema, codec};

const SIZE: SensorSize = SensorSize { width: 1280, height: 720 };
const BATCH: u64 = 1 << 16;
/// Events of a block of 128 KiB.
const BLOCK: usize = 9_000;

/// Edges that drift over the sensor and one event of sixteen anywhere, 10 million a second.
fn scene(random: &mut Random, from: u64, events: &mut EventBatch) {
    events.clear();
    for index in from..from + BATCH {
        let t = (index / 10) as i64;
        let noise = random.below(1 << 32);
        let (edge, near) = (noise % 12, noise >> 8 & 7);
        let (x, y) = if noise >> 28 == 0 {
            (noise % 1280, noise / 1280 % 720)
        } else {
            ((t as u64 / 50 + edge * 107 + near) % 1280, (noise >> 11) % 720)
        };
        events.push(Event { t, x: x as u16, y: y as u16, polarity: (edge & 1) as u8 });
    }
}

fn writer(format: Format) -> Box<dyn Encoder> {
    let options = EncodeOptions { sensor_size: Some(SIZE), ..EncodeOptions::default() };
    encoder(format, &options).unwrap()
}

/// Writes a recording of `count` events, a whole number of batches.
fn generate(count: u64, path: &Path) {
    let mut file = std::fs::File::create(path).unwrap();
    let (mut random, mut events) = (Random::new(5), EventBatch::new());
    let (mut encoder, mut bytes) = (writer(Format::Evt2), Vec::new());
    for from in (0..count).step_by(BATCH as usize) {
        scene(&mut random, from, &mut events);
        encoder.encode(&events, &mut bytes).unwrap();
        file.write_all(&bytes).unwrap();
        bytes.clear();
    }
    encoder.finish(&mut bytes).unwrap();
    file.write_all(&bytes).unwrap();
}

/// What a reader of a window does: looks at every value of every column.
fn sum(window: &Window) -> (u64, u64) {
    let (mut events, mut sum) = (0, 0_u64);
    for slice in window.slices() {
        let slice = slice.unwrap();
        events += slice.len() as u64;
        let times = slice.timestamps().iter().fold(0, |sum: u64, t| sum.wrapping_add(*t as u64));
        let add = |values: &[u16]| values.iter().map(|value| u64::from(*value)).sum::<u64>();
        let on: u64 = slice.column_bytes(2).iter().map(|on| u64::from(*on)).sum();
        let pixels = add(slice.column(0).unwrap()) + add(slice.column(1).unwrap());
        sum = sum.wrapping_add(times).wrapping_add(pixels + on);
    }
    (events, black_box(sum))
}

fn open(db: &Path, stream: &str) -> (Database, Stream) {
    let db = Database::open_read_only(db, presence::Options::default()).unwrap();
    let stream = db.stream(stream).unwrap();
    (db, stream)
}

/// Takes the files of a database out of the kernel's cache, as far as nobody has them mapped.
fn drop_cached(db: &Path) {
    for entry in std::fs::read_dir(db).unwrap() {
        let file = std::fs::File::open(entry.unwrap().path()).unwrap();
        file.sync_all().unwrap();
        rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).unwrap();
    }
}

fn told(what: &str, mut times: Vec<f64>) {
    times.sort_by(f64::total_cmp);
    let at = |part: f64| times[((times.len() - 1) as f64 * part) as usize];
    println!("| {what} | {:.3} | {:.3} | {:.3} |", at(0.5), at(0.95), at(1.0));
}

/// Windows of 1 ms at random places: cold, warm, decoded already; then all of it.
fn windows(path: &Path, name: &str, turns: usize) {
    let span = |stream: &Stream| {
        let stats = stream.stats();
        (stats.first_ts.unwrap(), stats.last_ts.unwrap(), stats.records)
    };
    let mut random = Random::new(7);
    let mut window = |stream: &Stream| {
        let (first, last, _) = span(stream);
        let from = first + random.below((last - first - 1_000).max(1) as u64) as i64;
        let began = Instant::now();
        let summed = sum(&stream.window(from..from + 1_000).unwrap());
        let ms = began.elapsed().as_secs_f64() * 1e3;
        (ms, from, summed)
    };
    println!("| window of 1 ms | median, ms | 95 %, ms | longest, ms |\n|---|---|---|---|");
    let (mut opening, mut cold) = (Vec::new(), Vec::new());
    for _ in 0..turns.div_ceil(20) {
        drop_cached(path);
        let began = Instant::now();
        let (_db, stream) = open(path, name);
        opening.push(began.elapsed().as_secs_f64() * 1e3);
        cold.push(window(&stream).0);
    }
    told("opening, not in the page cache", opening);
    told("the first window, not in the page cache", cold);
    let (_db, stream) = open(path, name);
    let (_, last, records) = span(&stream);
    let mut seconds = Vec::new();
    for _ in 0..3 {
        let began = Instant::now();
        assert_eq!(sum(&stream.window(..=last).unwrap()).0, records);
        seconds.push(began.elapsed().as_secs_f64());
    }
    let (mut warm, mut again) = (Vec::new(), Vec::new());
    for _ in 0..turns {
        let (ms, from, summed) = window(&stream);
        warm.push(ms);
        let began = Instant::now();
        assert_eq!(sum(&stream.window(from..from + 1_000).unwrap()), summed);
        again.push(began.elapsed().as_secs_f64() * 1e3);
    }
    told("in the page cache", warm);
    told("the same again, decoded", again);
    println!("\n| all {records} events | s | M events/s |\n|---|---|---|");
    for (what, seconds) in ["not in the page cache", "in it", "again"].iter().zip(seconds) {
        println!("| {what} | {seconds:.3} | {:.0} |", records as f64 / seconds / 1e6);
    }
}

/// The columns of a stream of events.
fn schema() -> Schema {
    let sides = ["x", "y"].map(|name| Column::scalar(name, DType::U16));
    let columns = sides.into_iter().chain([Column::scalar("polarity", DType::Bool)]);
    let schema = Schema::new(columns.collect()).unwrap();
    schema.with_time_unit(TimeUnit::Us).with_order(Order::NonDecreasing)
}

/// Bytes an event of a recording as it is, as EVT 3.0 and stored; decoding of its blocks.
fn sizes(files: &[String]) {
    println!("| recording | events | file | EVT 3.0 | stored | decoded, M events/s |");
    println!("|---|---|---|---|---|---|");
    for path in files {
        let bytes = std::fs::read(path).unwrap();
        let mut out = Output::default();
        AutoDecoder::new(Options::default()).decode_all(&bytes, &mut out).unwrap();
        let mut evt3 = Vec::new();
        let mut encoder = writer(Format::Evt3);
        let written = encoder.encode(&out.events, &mut evt3);
        if written.and_then(|()| encoder.finish(&mut evt3)).is_err() {
            println!("| {path} | EVT 3.0 cannot hold it | | | | |");
            continue;
        }
        let (stored, seconds) = blocks(&out.events);
        let events = out.events.len() as f64;
        let each = |bytes: usize| bytes as f64 / events;
        let name = Path::new(path).file_name().unwrap().to_string_lossy();
        let (file, evt3, stored) = (each(bytes.len()), each(evt3.len()), each(stored));
        let speed = events / seconds / 1e6;
        println!("| {name} | {events} | {file:.3} | {evt3:.3} | {stored:.3} | {speed:.0} |");
    }
}

/// Bytes of the events in packed blocks, and seconds to decode all columns.
fn blocks(events: &EventBatch) -> (usize, f64) {
    let (mut stored, mut seconds) = (0, 0.0);
    for from in (0..events.len()).step_by(BLOCK) {
        let range = from..(from + BLOCK).min(events.len());
        let t = events.t()[range.clone()].iter().flat_map(|t| t.to_le_bytes()).collect();
        let pixels =
            |side: &[u16]| side[range.clone()].iter().flat_map(|v| v.to_le_bytes()).collect();
        let columns: [(DType, Vec<u8>); 4] = [
            (DType::I64, t),
            (DType::U16, pixels(events.x())),
            (DType::U16, pixels(events.y())),
            (DType::Bool, events.polarity()[range.clone()].to_vec()),
        ];
        for (dtype, raw) in columns {
            let (mut packed, mut back) = (Vec::new(), raw.clone());
            codec::encode(Compression::Packed, dtype, 1, &raw, &mut packed);
            stored += packed.len();
            // The first turn finds the memory cold.
            codec::decode(Compression::Packed, dtype, 1, &packed, &mut back).unwrap();
            let began = Instant::now();
            codec::decode(Compression::Packed, dtype, 1, &packed, &mut back).unwrap();
            seconds += began.elapsed().as_secs_f64();
            assert_eq!(raw, back);
        }
    }
    (stored, seconds)
}

/// Everything on little data.
fn tiny() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let file = dir.path().join("tiny.raw");
    generate(4 * BATCH, &file);
    sizes(&[file.display().to_string()]);
    let db = Database::create(dir.path().join("db"), presence::Options::default()).unwrap();
    let schema = schema().with_compression(Compression::Packed);
    let stream = db.create_stream("tiny", schema.clone()).unwrap();
    let mut writer = stream.column_writer().unwrap();
    let (mut random, mut events) = (Random::new(5), EventBatch::new());
    for from in (0..4 * BATCH).step_by(BATCH as usize) {
        scene(&mut random, from, &mut events);
        let mut batch = Batch::new(&schema);
        batch.timestamps.extend_from_slice(events.t());
        if let [x, y, polarity] = batch.columns.as_mut_slice() {
            x.extend(events.x());
            y.extend(events.y());
            polarity.push_bytes(events.polarity());
        }
        writer.append_batch(&batch).unwrap();
    }
    writer.flush(Level::Disk).unwrap();
    drop(writer);
    db.close().unwrap();
    windows(&dir.path().join("db"), "tiny", 20);
}

fn main() {
    let arguments: Vec<String> =
        std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["generate", count, path] => generate(count.parse().unwrap(), Path::new(path)),
        ["windows", db, stream] => windows(Path::new(db), stream, 200),
        ["sizes", ..] => sizes(&arguments[1..]),
        _ => tiny(),
    }
}
