//! Recordings of events in a database: sizes, windows cold and warm, regions, all of it. Tables.
//!
//! ```sh
//! recordings generate 1000000000 1000.raw      # EVT 2.0; import it by the tool
//! recordings windows DB STREAM                 # windows of 1 ms, and a scan
//! recordings regions 50000000                  # a region and a polarity out of so many events
//! recordings sizes FILE...                     # bytes an event, and how fast they are coded
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

use presence::{Database, Level, Stream, TimeUnit, Window, Within};
use presence_bench::data::Random;
use presence_events::filter::{Filter, PolarityFilter, Roi, RoiFilter};
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

/// A spot of 40 x 40 pixels that moves over the sensor, 10 million events a second, and one event
/// of `noise` anywhere.
fn spot(random: &mut Random, noise: u64, from: u64, events: &mut EventBatch) {
    events.clear();
    for index in from..from + BATCH {
        let t = (index / 10) as i64;
        let draw = random.below(1 << 32);
        let (x, y) = if random.below(noise) == 0 {
            (draw % 1280, draw / 1280 % 720)
        } else {
            let (column, row) = (t as u64 / 100 % 1240, t as u64 / 124_000 * 40 % 680);
            (column + draw % 40, row + (draw >> 8) % 40)
        };
        events.push(Event { t, x: x as u16, y: y as u16, polarity: (draw >> 31) as u8 });
    }
}

/// A light that goes on and off, each for a millisecond, all over the sensor.
fn flicker(random: &mut Random, from: u64, events: &mut EventBatch) {
    events.clear();
    for index in from..from + BATCH {
        let (t, draw) = ((index / 10) as i64, random.below(1 << 32));
        let (x, y) = (draw % 1280, draw / 1280 % 720);
        events.push(Event { t, x: x as u16, y: y as u16, polarity: ((t / 1_000) & 1) as u8 });
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

/// Bytes an event of a recording as it is, as EVT 3.0 and stored; coding of its blocks.
fn sizes(files: &[String]) {
    println!(
        "| recording | events | file | EVT 3.0 | `packed` | encoded, decoded, M events/s \
         | `split` | encoded, decoded |"
    );
    println!("|---|---|---|---|---|---|---|---|");
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
        let events = out.events.len() as f64;
        let each = |bytes: usize| bytes as f64 / events;
        let name = Path::new(path).file_name().unwrap().to_string_lossy();
        print!("| {name} | {events} | {:.3} | {:.3} |", each(bytes.len()), each(evt3.len()));
        for compression in [Compression::Packed, Compression::Split] {
            let (stored, seconds) = blocks(&out.events, compression);
            let [encode, decode] = seconds.map(|seconds| events / seconds / 1e6);
            print!(" {:.3} | {encode:.0}, {decode:.0} |", each(stored));
        }
        println!();
    }
}

/// Bytes of the events in blocks, and seconds to encode and to decode all columns.
fn blocks(events: &EventBatch, compression: Compression) -> (usize, [f64; 2]) {
    let (mut bytes, mut encode_s, mut decode_s) = (0, 0.0, 0.0);
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
            let (mut stored, mut back) = (Vec::new(), raw.clone());
            // The first turn finds the memory cold.
            let mut seconds = [0.0; 2];
            for _ in 0..2 {
                stored.clear();
                let began = Instant::now();
                codec::encode(compression, dtype, 1, &raw, &mut stored);
                seconds[0] = began.elapsed().as_secs_f64();
                let began = Instant::now();
                codec::decode(compression, dtype, 1, &stored, &mut back).unwrap();
                seconds[1] = began.elapsed().as_secs_f64();
            }
            bytes += stored.len();
            encode_s += seconds[0];
            decode_s += seconds[1];
            assert_eq!(raw, back);
        }
    }
    (bytes, [encode_s, decode_s])
}

/// A database with a stream of `count` events, a whole number of batches.
fn stored(path: &Path, count: u64, mut scene: impl FnMut(u64, &mut EventBatch)) {
    let db = Database::create(path, presence::Options::default()).unwrap();
    let schema = schema().with_compression(Compression::Split);
    let stream = db.create_stream("s", schema.clone()).unwrap();
    let mut writer = stream.column_writer().unwrap();
    let mut events = EventBatch::new();
    for from in (0..count).step_by(BATCH as usize) {
        scene(from, &mut events);
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
}

/// Events that a filter keeps, and seconds: of the slices that blocks are asked for, or of all.
fn kept(path: &Path, within: Option<&[Within]>, filter: &mut dyn Filter) -> (u64, f64) {
    let mut best = (0, f64::MAX);
    for _ in 0..3 {
        // A fresh cache: nothing is decoded yet.
        let (_db, stream) = open(path, "s");
        let began = Instant::now();
        let (mut events, mut batch) = (0, EventBatch::new());
        let window = stream.window(..).unwrap();
        let slices: Box<dyn Iterator<Item = _>> = match within {
            Some(within) => Box::new(window.slices_within(within).unwrap()),
            None => Box::new(window.slices()),
        };
        for slice in slices {
            let slice = slice.unwrap();
            let (x, y) = (slice.column(0).unwrap(), slice.column(1).unwrap());
            batch.clear();
            batch.extend_columns(slice.timestamps(), x, y, slice.column_bytes(2));
            filter.apply(&mut batch);
            events += black_box(&batch).len() as u64;
        }
        best = (events, best.1.min(began.elapsed().as_secs_f64()));
    }
    best
}

/// A region of a tenth of the sensor's sides, and a polarity, of scenes of `count` events.
fn regions(count: u64) {
    println!("| scene | asked for | events | all read | asked of the blocks | ratio |");
    println!("|---|---|---|---|---|---|");
    let roi = Roi { x_min: 600, x_max: 727, y_min: 320, y_max: 391 };
    let side = |column, min: u16, max: u16| {
        let (min, max) = (i64::from(min), i64::from(max));
        Within { column, min, max }
    };
    let region = [side(0, roi.x_min, roi.x_max), side(1, roi.y_min, roi.y_max)];
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let mut random = Random::new(5);
    let mut row = |name: &str, of: &mut dyn FnMut(&mut Random, u64, &mut EventBatch)| {
        let path = dir.path().join(name.replace(' ', "-"));
        stored(&path, count, |from, events| of(&mut random, from, events));
        for (what, within) in [("a region", &region[..]), ("on", &[side(2, 1, 1)])] {
            let mut filter: Box<dyn Filter> = match what {
                "on" => Box::new(PolarityFilter(1)),
                _ => Box::new(RoiFilter(vec![roi])),
            };
            let (want, all) = kept(&path, None, &mut *filter);
            let (got, asked) = kept(&path, Some(within), &mut *filter);
            assert_eq!(want, got, "{name}, {what}");
            let speed = |seconds: f64| count as f64 / seconds / 1e6;
            let (all, asked, ratio) = (speed(all), speed(asked), all / asked);
            println!("| {name} | {what} | {got} | {all:.0} | {asked:.0} | {ratio:.2} |");
        }
    };
    row("spot", &mut |random, from, events| spot(random, u64::MAX, from, events));
    row("spot with noise", &mut |random, from, events| spot(random, 100, from, events));
    row("edges", &mut |random, from, events| scene(random, from, events));
    row("flicker", &mut |random, from, events| flicker(random, from, events));
}

/// Everything on little data.
fn tiny() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let file = dir.path().join("tiny.raw");
    generate(4 * BATCH, &file);
    sizes(&[file.display().to_string()]);
    let mut random = Random::new(5);
    stored(&dir.path().join("db"), 4 * BATCH, |from, events| scene(&mut random, from, events));
    windows(&dir.path().join("db"), "s", 20);
    regions(4 * BATCH);
}

fn main() {
    let arguments: Vec<String> =
        std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["generate", count, path] => generate(count.parse().unwrap(), Path::new(path)),
        ["windows", db, stream] => windows(Path::new(db), stream, 200),
        ["regions", count] => regions(count.parse::<u64>().unwrap() / BATCH * BATCH),
        ["sizes", ..] => sizes(&arguments[1..]),
        _ => tiny(),
    }
}
