//! Vectors of the log: frames, marks, catalogs, torn tails, what recovery and compaction leave.

use presence_format::catalog::{Catalog, StreamEntry};
use presence_format::schema::Schema;
use presence_format::segment::SegmentHeader;
use presence_format::{Compression, DType};

use super::cases::{DATABASE, START_US, catalog, doubles, first_header, later, new_stream, scalar};
use super::rows::{Num, Row};
use super::writer::VectorWriter;
use super::{Answer, Vector};
use crate::Result;

const NONE: Compression = Compression::None;
/// Two streams, as all vectors here have them: `a` of f64 and `b` of u16.
struct Pair {
    a: StreamEntry,
    b: StreamEntry,
    a_rows: Vec<Row>,
    b_rows: Vec<Row>,
}

/// Every vector of this file.
pub(super) fn all() -> Result<Vec<Vector>> {
    let pair = Pair::new()?;
    Ok(vec![
        frames_only(&pair)?,
        block_and_frames(&pair)?,
        mark_frame(&pair)?,
        catalog_updates(&pair)?,
        retained_from(&pair)?,
        second_segment(&pair)?,
        compacted(&pair)?,
        torn_tail(&pair)?,
        torn_zeros(&pair)?,
        resumed(&pair)?,
        resumed_sealed(&pair)?,
        reserved_zeros(&pair)?,
        rot(&pair)?,
        newer_minor(&pair)?,
    ])
}

impl Pair {
    fn new() -> Result<Self> {
        let values: Vec<f64> = (0..12).map(|index| f64::from(index) / 4.0 - 1.0).collect();
        let b_row = |index: u64| Row::new(START_US + 7 + 40_000 * index as i64, [Num::Uint(index)]);
        Ok(Self {
            a: new_stream(1, "a", &scalar("value", DType::F64)?),
            b: new_stream(2, "b", &scalar("count", DType::U16)?),
            a_rows: doubles(START_US, 10_000, &values),
            b_rows: (0..4).map(b_row).collect(),
        })
    }

    fn catalog(&self) -> Catalog {
        catalog(&[&self.a, &self.b])
    }

    /// The streams after so many records of each.
    fn after(&self, a: usize, b: usize) -> Catalog {
        let told = |stream: &StreamEntry, rows: &[Row], count: usize| {
            let last = count.checked_sub(1).and_then(|last| rows.get(last));
            last.map_or_else(|| stream.clone(), |row| later(stream, count as u64, row.ts))
        };
        catalog(&[&told(&self.a, &self.a_rows, a), &told(&self.b, &self.b_rows, b)])
    }

    fn a(&self, records: std::ops::Range<usize>) -> &[Row] {
        self.a_rows.get(records).unwrap_or_default()
    }

    fn b(&self, records: std::ops::Range<usize>) -> &[Row] {
        self.b_rows.get(records).unwrap_or_default()
    }

    fn vector(
        &self,
        name: &'static str,
        about: &'static str,
        writer: VectorWriter,
        [a, b]: [&[Row]; 2],
    ) -> Vector {
        let answer = |stream: &StreamEntry, rows: &[Row]| {
            let schema: Schema = stream.schema.clone();
            Answer { stream: stream.id, schema, rows: rows.to_vec() }
        };
        let answers = vec![answer(&self.a, a), answer(&self.b, b)];
        Vector { name, about, bytes: writer.into_bytes(), answers, encoder_chooses: false }
    }
}

fn frames_only(pair: &Pair) -> Result<Vector> {
    let mut writer = VectorWriter::new(first_header(), &pair.catalog())?;
    writer.frame(&[(1, 0, pair.a(0..4)), (2, 0, pair.b(0..1))])?;
    writer.sync();
    writer.frame(&[(1, 4, pair.a(4..5))])?;
    writer.frame(&[(2, 1, pair.b(1..2)), (1, 5, pair.a(5..8))])?;
    let about = "An active segment that holds frames only";
    Ok(pair.vector("frames-only", about, writer, [pair.a(0..8), pair.b(0..2)]))
}

fn block_and_frames(pair: &Pair) -> Result<Vector> {
    let mut writer = VectorWriter::new(first_header(), &pair.catalog())?;
    writer.frame(&[(1, 0, pair.a(0..4)), (2, 0, pair.b(0..1))])?;
    writer.frame(&[(1, 4, pair.a(4..7))])?;
    writer.block(1, NONE, 0, pair.a(0..6))?;
    writer.sync();
    writer.frame(&[(1, 7, pair.a(7..9)), (2, 1, pair.b(1..3))])?;
    let about = "A block that repeats one frame and part of the next; record 6 is in a frame only";
    Ok(pair.vector("block-and-frames", about, writer, [pair.a(0..9), pair.b(0..3)]))
}

fn mark_frame(pair: &Pair) -> Result<Vector> {
    let mut writer = VectorWriter::new(first_header(), &pair.catalog())?;
    writer.frame(&[(1, 0, pair.a(0..3))])?;
    writer.sync();
    writer.frame(&[])?;
    let about = "A frame without sections: it says that all before it was durable";
    Ok(pair.vector("mark-frame", about, writer, [pair.a(0..3), &[]]))
}

fn catalog_updates(pair: &Pair) -> Result<Vector> {
    let mut writer = VectorWriter::new(first_header(), &catalog(&[&pair.a]))?;
    writer.frame(&[(1, 0, pair.a(0..2))])?;
    writer.catalog(&catalog(&[&pair.b]))?;
    writer.frame(&[(2, 0, pair.b(0..2)), (1, 2, pair.a(2..3))])?;
    writer.block(1, NONE, 0, pair.a(0..3))?;
    let mut finished = pair.after(3, 2);
    finished.streams.truncate(1);
    finished.streams.iter_mut().for_each(|stream| stream.finished = true);
    writer.catalog(&finished)?;
    let about = "Catalogs in the middle: stream 2 is made, then stream 1 is finished";
    Ok(pair.vector("catalog-updates", about, writer, [pair.a(0..3), pair.b(0..2)]))
}

fn retained_from(pair: &Pair) -> Result<Vector> {
    let mut header = SegmentHeader::first(DATABASE, 9, START_US);
    header.previous_segment = 8.into();
    header.previous_end = 4_096.into();
    header.previous_crc = 0x89ab_cdef.into();
    let mut writer = VectorWriter::new(header, &pair.after(6, 1))?;
    writer.block(1, NONE, 6, pair.a(6..9))?;
    let mut given_up = Catalog { retained_from: 9, streams: Vec::new() };
    writer.catalog(&given_up)?;
    writer.block(2, NONE, 1, pair.b(1..3))?;
    given_up.streams = pair.after(9, 3).streams;
    writer.seal(given_up, 0, None)?;
    let about = "Segment 9, from which the database is kept; its streams began before it";
    Ok(pair.vector("retained-from", about, writer, [pair.a(6..9), pair.b(1..3)]))
}

fn second_segment(pair: &Pair) -> Result<Vector> {
    let mut first = VectorWriter::new(first_header(), &pair.catalog())?;
    first.block(1, NONE, 0, pair.a(0..5))?;
    let (previous_end, previous_crc) = first.end();
    let mut header = SegmentHeader::first(DATABASE, 2, START_US + 50_000);
    header.previous_segment = 1.into();
    header.previous_end = previous_end.into();
    header.previous_crc = previous_crc.into();
    let mut writer = VectorWriter::new(header, &pair.after(5, 0))?;
    writer.frame(&[(1, 5, pair.a(5..7))])?;
    let about = "An active segment that chains to the one before";
    Ok(pair.vector("second-segment", about, writer, [pair.a(5..7), &[]]))
}

fn compacted(pair: &Pair) -> Result<Vector> {
    let mut header = SegmentHeader::first(DATABASE, 12, START_US);
    header.generation = 2.into();
    header.log_first = 3.into();
    header.log_last = 10.into();
    header.part = 1.into();
    header.parts = 3.into();
    header.set = (header.segment.get() - u32::from(header.part.get())).into();
    header.previous_segment = 2.into();
    header.previous_end = 8_192.into();
    header.previous_crc = 0x0123_4567.into();
    let mut writer = VectorWriter::new(header, &pair.after(12, 4))?;
    writer.block(1, NONE, 0, pair.a(0..12))?;
    writer.block(2, NONE, 0, pair.b(0..4))?;
    writer.seal(pair.after(12, 4), 0, Some((65_536, 0xfeed_beef)))?;
    let about = "The second of three outputs that replace the log segments 3 to 10";
    Ok(pair.vector("compacted", about, writer, [pair.a(0..12), pair.b(0..4)]))
}

fn torn_tail(pair: &Pair) -> Result<Vector> {
    let mut writer = VectorWriter::new(first_header(), &pair.catalog())?;
    writer.frame(&[(1, 0, pair.a(0..4))])?;
    writer.torn_frame(&[(1, 4, pair.a(4..9)), (2, 0, pair.b(0..1))], 100)?;
    let about = "The last entry is cut in its payload, and the file ends there";
    Ok(pair.vector("torn-tail", about, writer, [pair.a(0..4), &[]]))
}

fn torn_zeros(pair: &Pair) -> Result<Vector> {
    let mut writer = VectorWriter::new(first_header(), &pair.catalog())?;
    writer.frame(&[(1, 0, pair.a(0..4))])?;
    writer.torn_frame(&[(1, 4, pair.a(4..9))], 40)?;
    writer.reserve(2_048);
    let about = "The last entry is cut in its header, in space that was reserved as zeros";
    Ok(pair.vector("torn-zeros", about, writer, [pair.a(0..4), &[]]))
}

/// A torn entry, and what recovery and the next run wrote behind it.
fn resumed_writer(pair: &Pair) -> Result<VectorWriter> {
    let mut writer = VectorWriter::new(first_header(), &pair.catalog())?;
    writer.frame(&[(1, 0, pair.a(0..4))])?;
    writer.torn_frame(&[(1, 4, pair.a(4..9)), (2, 0, pair.b(0..1))], 100)?;
    writer.resume();
    writer.frame(&[])?;
    writer.sync();
    writer.frame(&[(1, 4, pair.a(6..8))])?;
    Ok(writer)
}

fn resumed(pair: &Pair) -> Result<Vector> {
    let writer = resumed_writer(pair)?;
    let rows = [pair.a(0..4), pair.a(6..8)].concat();
    let about = "Entries go on behind a torn one, whose lost records were replaced by others";
    Ok(pair.vector("resumed", about, writer, [&rows, &[]]))
}

fn resumed_sealed(pair: &Pair) -> Result<Vector> {
    let mut writer = resumed_writer(pair)?;
    let rows = [pair.a(0..4), pair.a(6..8)].concat();
    writer.block(1, NONE, 0, &rows)?;
    let last_ts = rows.last().map_or(0, |row| row.ts);
    writer.seal(catalog(&[&later(&pair.a, 6, last_ts), &pair.b]), 2_001, None)?;
    let about = "The same, sealed; the footer of the 2,001 bytes begins at no multiple of 64";
    Ok(pair.vector("resumed-sealed", about, writer, [&rows, &[]]))
}

fn reserved_zeros(pair: &Pair) -> Result<Vector> {
    let mut writer = VectorWriter::new(first_header(), &pair.catalog())?;
    writer.block(1, NONE, 0, pair.a(0..5))?;
    writer.seal(pair.after(5, 0), 4_096, None)?;
    let about = "Index and footer stand at the end of 4 KiB reserved, zeros before them";
    Ok(pair.vector("reserved-zeros", about, writer, [pair.a(0..5), &[]]))
}

fn rot(pair: &Pair) -> Result<Vector> {
    let mut writer = VectorWriter::new(first_header(), &pair.catalog())?;
    let (rotten, _) = writer.end();
    writer.frame(&[(1, 0, pair.a(0..4))])?;
    writer.sync();
    writer.frame(&[(1, 4, pair.a(4..6)), (2, 0, pair.b(0..2))])?;
    let about = "One bit of a frame changed after it was durable: damage, and not a torn tail";
    let mut vector = pair.vector("rot", about, writer, [pair.a(4..6), pair.b(0..2)]);
    if let Some(byte) = vector.bytes.get_mut(rotten as usize + 80) {
        *byte ^= 0x10;
    }
    Ok(vector)
}

fn newer_minor(pair: &Pair) -> Result<Vector> {
    let mut header = first_header();
    header.version_minor = 7.into();
    header.features_optional = 0x8000_0001.into();
    header.reserved[0] = 1;
    let mut writer = VectorWriter::new(header, &pair.catalog())?;
    writer.block(2, NONE, 0, pair.b(0..4))?;
    writer.seal(pair.after(0, 4), 0, None)?;
    let about = "A later minor version with optional features and a reserved byte: to be read";
    Ok(pair.vector("newer-minor", about, writer, [&[], pair.b(0..4)]))
}
