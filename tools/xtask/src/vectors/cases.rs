//! Vectors of schemas and values: sealed segments with one block, stored as it is.

use presence_format::catalog::{Catalog, StreamEntry};
use presence_format::schema::{Column, Order, Schema, TimeUnit};
use presence_format::segment::{DatabaseId, SegmentHeader};
use presence_format::{Compression, DType, FormatError};

use super::rows::{Num, Row};
use super::writer::VectorWriter;
use super::{Answer, Vector};
use crate::Result;

/// 2025-06-15 15:06:40 UTC in microseconds, the beginning of most vectors.
pub(super) const START_US: i64 = 1_750_000_000_000_000;
/// A compression that a block uses or not: see `stored_otherwise` of the codec cases.
const NONE: Compression = Compression::None;

/// The database of all vectors.
pub(super) const DATABASE: DatabaseId = DatabaseId([
    0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff,
]);

/// Every vector of this file.
pub(super) fn all() -> Result<Vec<Vector>> {
    Ok(vec![
        empty_sealed()?,
        scalar_f64()?,
        vector_f32x7()?,
        multi_column()?,
        all_dtypes()?,
        non_decreasing()?,
        time_unit_ns()?,
        timestamp_extremes()?,
        unicode_names()?,
        large_block()?,
    ])
}

pub(super) fn text(error: FormatError) -> String {
    error.to_string()
}

/// The header of the first log segment of the database.
pub(super) fn first_header() -> SegmentHeader {
    SegmentHeader::first(DATABASE, 1, START_US)
}

pub(super) fn scalar(name: &str, dtype: DType) -> Result<Schema> {
    Schema::new(vec![Column::scalar(name, dtype)]).map_err(text)
}

/// A stream of which nothing was appended yet.
pub(super) fn new_stream(id: u32, name: &str, schema: &Schema) -> StreamEntry {
    let (name, schema) = (name.to_owned(), schema.clone());
    StreamEntry { id, name, finished: false, sequence: 0, last_ts: None, touched: None, schema }
}

/// The same stream after `sequence` records, the last at `last_ts`.
pub(super) fn later(stream: &StreamEntry, sequence: u64, last_ts: i64) -> StreamEntry {
    StreamEntry { sequence, last_ts: Some(last_ts), ..stream.clone() }
}

pub(super) fn catalog(streams: &[&StreamEntry]) -> Catalog {
    let streams = streams.iter().map(|&stream| stream.clone()).collect();
    Catalog { retained_from: 0, streams }
}

/// Rows of one `f64` each, `period` apart.
pub(super) fn doubles(first_ts: i64, period: i64, values: &[f64]) -> Vec<Row> {
    let at = |index: usize| first_ts + period * index as i64;
    let rows = values.iter().enumerate();
    rows.map(|(index, &value)| Row::new(at(index), [Num::Double(value)])).collect()
}

/// A sealed segment of one stream: its blocks one behind the other, `compression` of each.
pub(super) fn sealed(
    name: &'static str,
    about: &'static str,
    stream: &StreamEntry,
    blocks: &[(Compression, &[Row])],
) -> Result<Vector> {
    let mut writer = VectorWriter::new(first_header(), &catalog(&[stream]))?;
    let mut rows = Vec::new();
    for &(compression, block) in blocks {
        writer.block(stream.id, compression, rows.len() as u64, block)?;
        rows.extend_from_slice(block);
    }
    let last_ts = rows.last().map_or(0, |row| row.ts);
    writer.seal(catalog(&[&later(stream, rows.len() as u64, last_ts)]), 0, None)?;
    let answers = vec![Answer { stream: stream.id, schema: stream.schema.clone(), rows }];
    let encoder_chooses = blocks.iter().any(|(compression, _)| *compression != NONE);
    Ok(Vector { name, about, bytes: writer.into_bytes(), answers, encoder_chooses })
}

fn empty_sealed() -> Result<Vector> {
    let mut writer = VectorWriter::new(first_header(), &Catalog::default())?;
    writer.seal(Catalog::default(), 0, None)?;
    Ok(Vector {
        name: "empty-sealed",
        about: "A sealed segment of a database without streams",
        bytes: writer.into_bytes(),
        answers: Vec::new(),
        encoder_chooses: false,
    })
}

fn scalar_f64() -> Result<Vector> {
    let stream = new_stream(1, "motor/current", &scalar("value", DType::F64)?);
    let values = [0.0, -0.0, 1.5, 0.1, f64::MAX, f64::MIN_POSITIVE, -1e-320, f64::INFINITY];
    let mut rows = doubles(START_US, 10_000, &values);
    let nan = Num::Double(f64::from_bits(0x7ff8_0000_0000_0001));
    rows.push(Row::new(START_US + 90_000, [nan]));
    let about = "One f64 a record, with signed zeros, a subnormal, an infinity and a NaN";
    sealed("scalar-f64", about, &stream, &[(NONE, &rows)])
}

fn vector_f32x7() -> Result<Vector> {
    let schema = Schema::new(vec![Column::new("joints", DType::F32, &[7])]).map_err(text)?;
    let stream = new_stream(1, "arm/joints", &schema);
    let row = |index: i64| {
        let joint = |joint: i64| Num::Single(0.25 * index as f32 - 0.1 * joint as f32);
        Row::new(START_US + 2_000 * index, (0..7).map(joint).collect::<Vec<_>>())
    };
    let rows: Vec<Row> = (0..20).map(row).collect();
    sealed("vector-f32x7", "A vector of seven f32 a record", &stream, &[(NONE, &rows)])
}

fn multi_column() -> Result<Vector> {
    let schema = Schema::new(vec![
        Column::scalar("detected", DType::Bool),
        Column::new("image", DType::U8, &[2, 3, 3]),
        Column::scalar("score", DType::F32),
        Column::new("pose", DType::F64, &[2, 2]),
    ]);
    let stream = new_stream(3, "camera/left", &schema.map_err(text)?);
    let row = |index: u64| {
        let mut elements = vec![Num::Bool((index % 2) as u8)];
        elements.extend((0..18).map(|pixel| Num::Uint((index * 18 + pixel * 7) % 256)));
        elements.push(Num::Single(0.5 + index as f32 / 100.0));
        elements.extend((0..4).map(|at| Num::Double(at as f64 - index as f64 / 8.0)));
        Row::new(START_US + 33_333 * index as i64, elements)
    };
    let rows: Vec<Row> = (0..5).map(row).collect();
    let about = "A bool, an image of 2 x 3 pixels, a score and a 2 x 2 matrix a record";
    sealed("multi-column", about, &stream, &[(NONE, &rows)])
}

fn all_dtypes() -> Result<Vector> {
    let columns = DType::ALL.iter().map(|dtype| Column::scalar(dtype.name(), *dtype));
    let stream = new_stream(1, "every dtype", &Schema::new(columns.collect()).map_err(text)?);
    let row = |ts, bool, [low, high]: [i64; 2], single, double| {
        let int = |bits: u32| Num::Int(low.max(i64::MIN >> (64 - bits)));
        let uint = |bits: u32| Num::Uint((high as u64) & (u64::MAX >> (64 - bits)));
        let mut elements = vec![Num::Bool(bool)];
        elements.extend([8, 16, 32, 64].map(int));
        elements.extend([8, 16, 32, 64].map(uint));
        elements.extend([Num::Single(single), Num::Double(double)]);
        Row::new(ts, elements)
    };
    let rows = [
        row(1, 0, [0, 0], 0.0, 0.0),
        row(2, 1, [-1, 1], -0.0, -0.0),
        row(3, 255, [i64::MIN, -1], f32::MAX, f64::MAX),
        row(4, 2, [127, 0x0123_4567_89ab_cdef], f32::from_bits(0x7fa0_0001), 5e-324),
        row(5, 1, [-77, 200], f32::NEG_INFINITY, f64::from_bits(0xfff0_0000_0000_00ff)),
    ];
    let about = "A column of every dtype, at its ends; a bool byte over 1 is true as well";
    sealed("all-dtypes", about, &stream, &[(NONE, &rows)])
}

fn non_decreasing() -> Result<Vector> {
    let schema = Schema::new(vec![
        Column::scalar("x", DType::U16),
        Column::scalar("y", DType::U16),
        Column::scalar("polarity", DType::Bool),
    ]);
    let schema = schema.map_err(text)?.with_order(Order::NonDecreasing);
    let stream = new_stream(1, "event camera", &schema);
    let row = |index: u64| {
        let place = [Num::Uint(index * 37 % 640), Num::Uint(index * 11 % 480)];
        let polarity = Num::Bool((index / 3 % 2) as u8);
        // Four events at a time, and the equal times go over the border of the two blocks.
        Row::new(1_000 + (index / 4) as i64, [place[0], place[1], polarity])
    };
    let rows: Vec<Row> = (0..26).map(row).collect();
    let (first, second) = rows.split_at(14);
    let about = "Equal times in a non_decreasing stream, also over the border of two blocks";
    sealed("non-decreasing", about, &stream, &[(NONE, first), (NONE, second)])
}

fn time_unit_ns() -> Result<Vector> {
    let schema = scalar("value", DType::I32)?.with_time_unit(TimeUnit::Ns);
    let stream = new_stream(1, "imu/temperature", &schema);
    let row = |index: i64| Row::new(START_US * 1_000 + 999 * index, [Num::Int(2_150 - index)]);
    let rows: Vec<Row> = (0..6).map(row).collect();
    sealed("time-unit-ns", "Timestamps in nanoseconds", &stream, &[(NONE, &rows)])
}

fn timestamp_extremes() -> Result<Vector> {
    let stream = new_stream(1, "ends of time", &scalar("value", DType::I64)?);
    let times = [i64::MIN, i64::MIN + 1, -1, 0, 1, i64::MAX - 1, i64::MAX];
    let rows: Vec<Row> = times.into_iter().map(|ts| Row::new(ts, [Num::Int(ts)])).collect();
    let (first, second) = rows.split_at(4);
    let about = "Timestamps at both ends of i64";
    sealed("timestamp-extremes", about, &stream, &[(NONE, first), (NONE, second)])
}

fn unicode_names() -> Result<Vector> {
    let long = "é".repeat(127) + "!";
    let schema = Schema::new(vec![
        Column::scalar(long.as_str(), DType::U8),
        Column::scalar("名前/ with space, \"quotes\" and ../dots", DType::U8),
        Column::scalar("🤖", DType::U8),
    ]);
    let stream = new_stream(1, &("🎥".repeat(63) + "nev"), &schema.map_err(text)?);
    let stream_name_bytes = stream.name.len();
    if stream_name_bytes > 255 || long.len() != 255 {
        return Err(format!("names of {stream_name_bytes} and {} bytes", long.len()));
    }
    let row = Row::new(START_US, [Num::Uint(1), Num::Uint(2), Num::Uint(3)]);
    let about = "Names in several scripts, up to 255 bytes, with all that paths could not hold";
    sealed("unicode-names", about, &stream, &[(NONE, &[row])])
}

fn large_block() -> Result<Vector> {
    let stream = new_stream(1, "current at 10 kHz", &scalar("value", DType::F64)?);
    let values: Vec<f64> =
        (0..4_200).map(|index| f64::from(index * 7_919 % 4_096) / 64.0).collect();
    let rows = doubles(START_US, 100, &values);
    let about = "A block over 64 KiB, with a table of two checksums behind its payload";
    sealed("large-block", about, &stream, &[(NONE, &rows)])
}
