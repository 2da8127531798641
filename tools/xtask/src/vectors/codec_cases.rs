//! Vectors of the codecs: blocks stored as `lz4`, as `packed` and as `split`.

use presence_format::schema::{Column, Order, Schema};
use presence_format::{Compression, DType};

use super::Vector;
use super::cases::{START_US, new_stream, sealed, text};
use super::rows::{Num, Row};
use crate::Result;

/// Records of a full mini-block, and a rest that is packed as a stream of bits.
const RECORDS: u64 = 1_024 + 77;

/// Every vector of this file.
pub(super) fn all() -> Result<Vec<Vector>> {
    let packed = [packed_ints()?, packed_floats()?, packed_decimals()?, packed_lanes()?];
    Ok([lz4()?].into_iter().chain(packed).chain([split_events()?, split_ints()?]).collect())
}

/// Numbers without pattern, the same ones every time.
fn noise(index: u64) -> u64 {
    let mixed = (index + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed ^ (mixed >> 32)
}

/// Times with a jitter below a tenth of their period.
fn jittered(index: u64) -> i64 {
    START_US + 10_000 * index as i64 + (noise(index) % 1_000) as i64
}

fn schema(columns: &[(&str, DType, &[u32])], compression: Compression) -> Result<Schema> {
    let columns = columns.iter().map(|&(name, dtype, shape)| Column::new(name, dtype, shape));
    Ok(Schema::new(columns.collect()).map_err(text)?.with_compression(compression))
}

fn lz4() -> Result<Vector> {
    let columns: [(&str, DType, &[u32]); 7] = [
        ("steps", DType::I32, &[]),
        ("level", DType::I32, &[]),
        ("noise", DType::U64, &[]),
        ("constant", DType::F64, &[]),
        ("angles", DType::F32, &[3]),
        ("image", DType::U8, &[11, 2, 3]),
        ("flag", DType::Bool, &[]),
    ];
    let stream = new_stream(1, "compressed", &schema(&columns, Compression::Lz4)?);
    let row = |index: u64| {
        let level = 70_000 + (noise(index) % 200) as i64;
        let mut elements = vec![Num::Int(70_000 + 3 * index as i64), Num::Int(level)];
        elements.extend([Num::Uint(noise(index)), Num::Double(0.125)]);
        let angle = |joint: u64| Num::Single(joint as f32 + index as f32 / 64.0);
        elements.extend((0..3).map(angle));
        elements.extend((0..66).map(|pixel| Num::Uint((pixel * 2 + index) % 256)));
        elements.push(Num::Bool(u8::from(index % 50 < 20)));
        Row::new(jittered(index), elements)
    };
    let rows: Vec<Row> = (0..80).map(row).collect();
    let (first, second) = rows.split_at(70);
    let blocks = [(Compression::Lz4, first), (Compression::None, second)];
    let about = "A block of lz4, and one of the same stream stored as it is";
    sealed("lz4", about, &stream, &blocks)
}

fn packed_ints() -> Result<Vector> {
    let columns: [(&str, DType, &[u32]); 6] = [
        ("counter", DType::U64, &[]),
        ("outliers", DType::I32, &[]),
        ("small", DType::U16, &[]),
        ("noise", DType::I64, &[]),
        ("class", DType::U8, &[]),
        ("flag", DType::Bool, &[]),
    ];
    let schema = schema(&columns, Compression::Packed)?.with_order(Order::NonDecreasing);
    let stream = new_stream(1, "integers", &schema);
    let row = |index: u64| {
        let far = index % 499 == 5;
        let outlier = if far { -2_000_000_000 + index as i64 } else { (noise(index) % 50) as i64 };
        let elements = [
            Num::Uint(index * index),
            Num::Int(outlier),
            Num::Uint(40_000 + noise(index) % 100),
            Num::Int(noise(index) as i64),
            Num::Uint(index / 100),
            Num::Bool(u8::from(index.is_multiple_of(9))),
        ];
        Row::new(jittered(index / 2), elements)
    };
    let rows: Vec<Row> = (0..RECORDS).map(row).collect();
    let about = "Integers, packed: every mode, patches, a full mini-block and a short one";
    sealed("packed-ints", about, &stream, &[(Compression::Packed, &rows)])
}

fn packed_floats() -> Result<Vector> {
    let columns: [(&str, DType, &[u32]); 3] =
        [("noise", DType::F64, &[]), ("line", DType::F32, &[]), ("constant", DType::F64, &[])];
    let stream = new_stream(1, "floats", &schema(&columns, Compression::Packed)?);
    let row = |index: u64| {
        let noise = f64::from_bits(noise(index) >> 12 | 0x3ff0_0000_0000_0000);
        let line = f32::from_bits(0x4120_0000 + 8 * index as u32);
        let elements = [Num::Double(noise), Num::Single(line), Num::Double(f64::NAN)];
        Row::new(jittered(index), elements)
    };
    let rows: Vec<Row> = (0..300).map(row).collect();
    let about = "Floats that are no decimals, packed by their bits or stored raw";
    sealed("packed-floats", about, &stream, &[(Compression::Packed, &rows)])
}

fn packed_decimals() -> Result<Vector> {
    let columns: [(&str, DType, &[u32]); 3] =
        [("price", DType::F64, &[]), ("angle", DType::F32, &[]), ("gaps", DType::F64, &[])];
    let stream = new_stream(1, "decimals", &schema(&columns, Compression::Packed)?);
    let row = |index: u64| {
        let far = if index % 401 == 9 { 5e9 } else { 0.0 };
        let cents = 199_900.0 + index as f64 + (noise(index) % 40) as f64 + far;
        let angle = ((noise(index / 7) % 3_600) as f64 - 1_800.0) / 10.0;
        let gaps = match index % 97 {
            3 => f64::from_bits(0x7ff8_0000_0000_0abc),
            4 => -0.0,
            5 => f64::INFINITY,
            _ => (noise(index) % 1_000) as f64 / 1_000.0,
        };
        let elements = [Num::Double(cents / 100.0), Num::Single(angle as f32), Num::Double(gaps)];
        Row::new(jittered(index), elements)
    };
    let rows: Vec<Row> = (0..RECORDS).map(row).collect();
    let about = "Floats that are decimals, packed as integers, with exceptions: NaN, -0, infinity";
    sealed("packed-decimals", about, &stream, &[(Compression::Packed, &rows)])
}

fn packed_lanes() -> Result<Vector> {
    let columns: [(&str, DType, &[u32]); 3] =
        [("pair", DType::I16, &[2]), ("joints", DType::F32, &[3]), ("patch", DType::U8, &[5, 13])];
    let stream = new_stream(1, "lanes", &schema(&columns, Compression::Packed)?);
    let row = |index: u64| {
        let mut elements = vec![Num::Int(index as i64), Num::Int(-5 * index as i64)];
        let joint = |joint: u64| Num::Single((joint * 100 + noise(index) % 10) as f32 / 4.0);
        elements.extend((0..3).map(joint));
        elements.extend((0..65).map(|pixel| Num::Uint((pixel / 5 + index) % 256)));
        Row::new(jittered(index), elements)
    };
    let rows: Vec<Row> = (0..40).map(row).collect();
    let about = "Packed records of 2 and 3 elements, a lane each, and of 65, which share one";
    sealed("packed-lanes", about, &stream, &[(Compression::Packed, &rows)])
}

/// Edges that drift over a sensor, row by row, as cameras tell of them; and some noise.
fn split_events() -> Result<Vector> {
    let columns: [(&str, DType, &[u32]); 3] =
        [("x", DType::U16, &[]), ("y", DType::U16, &[]), ("polarity", DType::Bool, &[])];
    let schema = schema(&columns, Compression::Split)?.with_order(Order::NonDecreasing);
    let stream = new_stream(1, "camera", &schema);
    let row = |index: u64| {
        // Rows of two to five events at a time, ten rows a moment.
        let row = index * 2 / 7;
        let is_noise = noise(index) % 40 == 7;
        let edge = 200 + row % 480 / 3 + noise(index) % 16;
        let x = if is_noise { noise(index + 1) % 640 } else { edge };
        let y = if is_noise { noise(index + 2) % 480 } else { row % 480 };
        let polarity = u8::from((row / 24).is_multiple_of(2));
        let ts = START_US + (row / 10 * 25) as i64;
        Row::new(ts, [Num::Uint(x), Num::Uint(y), Num::Bool(polarity)])
    };
    let rows: Vec<Row> = (0..RECORDS).map(row).collect();
    let about = "Events of a camera, split: rows, noise, a full block and a short one";
    sealed("split-events", about, &stream, &[(Compression::Split, &rows)])
}

fn split_ints() -> Result<Vector> {
    let columns: [(&str, DType, &[u32]); 5] = [
        ("outliers", DType::I32, &[]),
        ("magnitudes", DType::I64, &[]),
        ("noise", DType::U64, &[]),
        ("pair", DType::I16, &[2]),
        ("single", DType::F32, &[]),
    ];
    let stream = new_stream(1, "numbers", &schema(&columns, Compression::Split)?);
    let row = |index: u64| {
        let far = index % 199 == 5;
        let outlier = if far { -2_000_000_000 + index as i64 } else { (noise(index) % 50) as i64 };
        // Most are small, some are large, few are huge.
        let bits = match noise(index + 9) % 20 {
            0 => 24,
            1..=4 => 12,
            _ => 3,
        };
        let mut elements = vec![Num::Int(outlier), Num::Int((noise(index) >> (64 - bits)) as i64)];
        elements.extend([Num::Uint(noise(index)), Num::Int(index as i64)]);
        elements.push(Num::Int(if index % 11 == 3 { -30_000 } else { -5 * index as i64 }));
        elements.push(Num::Single(1.0 + index as f32 / 128.0));
        Row::new(jittered(index), elements)
    };
    let rows: Vec<Row> = (0..150).map(row).collect();
    let about = "Numbers, split: lists of places, far words of far words, lanes, and raw";
    sealed("split-ints", about, &stream, &[(Compression::Split, &rows)])
}
