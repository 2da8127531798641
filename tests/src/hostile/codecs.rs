//! Encoded lanes that lie: bombs, wrong modes, wrong lengths.

use std::path::Path;

use presence_format::block::BlockLayout;
use presence_format::catalog::Catalog;
use presence_format::{Column, Compression, DType, Schema, codec};

use super::build::{Log, Shape, lanes, put, stream};
use super::{Case, case, run};

/// A sealed block of 20 records whose value lane is stored as `bytes`.
fn lane(at: &Path, compression: Compression, dtype: DType, bytes: &[u8]) {
    let schema = Schema::new(vec![Column::scalar("encoded", dtype)]).unwrap();
    wide(at, compression, &schema, 20, bytes);
}

/// A sealed block of a stream of this schema whose value lane is stored as `bytes`.
fn wide(at: &Path, compression: Compression, schema: &Schema, records: u64, bytes: &[u8]) {
    let mut times = Vec::new();
    let raw = &lanes(0, records)[0];
    codec::encode(compression, DType::I64, 1, raw, &mut times);
    let mut payload = Vec::new();
    payload.extend_from_slice(&(times.len() as u32).to_le_bytes());
    payload.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    payload.extend_from_slice(&times);
    payload.extend_from_slice(bytes);
    let mut log = Log::new(1);
    log.tell(&Catalog { retained_from: 0, streams: vec![stream(1, "c", schema.clone())] });
    let bounds = (0, records as i64 * 10 - 10);
    let shape = Shape { schema, stream: 1, from: 0, records, bounds };
    log.made_block(&shape, compression, &payload, |_| {});
    put(at, 1, &log.sealed());
}

fn lz4(at: &Path, bytes: &[u8]) {
    lane(at, Compression::Lz4, DType::I64, bytes);
}

fn packed(at: &Path, bytes: &[u8]) {
    lane(at, Compression::Packed, DType::I64, bytes);
}

fn packed_f32(at: &Path, bytes: &[u8]) {
    lane(at, Compression::Packed, DType::F32, bytes);
}

/// An LZ4 block of one byte, repeated `4 + 15 + 255 * runs` times and more.
fn bomb(runs: usize) -> Vec<u8> {
    let mut bytes = vec![1, 0x1f, 0, 1, 0];
    bytes.extend(vec![255; runs]);
    bytes.push(0);
    bytes.extend([0x50, 0, 0, 0, 0, 0]);
    bytes
}

/// A mini-block of twenty i64: head, width, base, and what follows.
fn mini(head: u8, width: u8, rest: &[u8]) -> Vec<u8> {
    [&[head, width][..], &[0; 8], rest].concat()
}

const CODECS: &[Case] = &[
    case(
        "lz4: no bytes",
        |at| lz4(at, &[]),
        ["0/0/4 block-content", "c=0+Corrupt", "c=0+Corrupt; appends"],
    ),
    case(
        "lz4: mode alone",
        |at| lz4(at, &[1]),
        ["0/0/4 block-content", "c=0+Corrupt", "c=0+Corrupt; appends"],
    ),
    case(
        "lz4: mode 4",
        |at| lz4(at, &[4, 0, 0]),
        ["0/0/4 block-content", "c=0+Corrupt", "c=0+Corrupt; appends"],
    ),
    case(
        "lz4: mode 255",
        |at| lz4(at, &[255; 200]),
        ["0/0/4 block-content", "c=0+Corrupt", "c=0+Corrupt; appends"],
    ),
    case(
        "lz4: raw, too short",
        |at| lz4(at, &[0; 160]),
        ["0/0/4 block-content", "c=0+Corrupt", "c=0+Corrupt; appends"],
    ),
    case(
        "lz4: raw, too long",
        |at| lz4(at, &[0; 162]),
        ["0/0/4 block-content", "c=0+Corrupt", "c=0+Corrupt; appends"],
    ),
    case(
        "lz4: an offset of 0",
        |at| lz4(at, &[1, 0x1f, 7, 0, 0, 200, 0]),
        ["0/0/4 block-content", "c=0+Corrupt", "c=0+Corrupt; appends"],
    ),
    case(
        "lz4: an offset before the beginning",
        |at| lz4(at, &[1, 0x1f, 7, 0xff, 0xff, 200, 0]),
        ["0/0/4 block-content", "c=0+Corrupt", "c=0+Corrupt; appends"],
    ),
    case(
        "lz4: literals beyond the end",
        |at| lz4(at, &[1, 0xf0, 255, 255, 255, 0]),
        ["0/0/4 block-content", "c=0+Corrupt", "c=0+Corrupt; appends"],
    ),
    case(
        "lz4: a length without end",
        |at| lz4(at, &[[1, 0xff].as_slice(), &[255; 5000]].concat()),
        ["0/0/4 block-content", "c=0+Corrupt", "c=0+Corrupt; appends"],
    ),
    case(
        "lz4: a bomb",
        |at| lz4(at, &bomb(60_000)),
        ["0/0/4 block-content", "c=0+Corrupt", "c=0+Corrupt; appends"],
    ),
    case(
        "lz4: a bomb of byte planes",
        |at| {
            let mut bytes = bomb(60_000);
            bytes[0] = 2;
            lz4(at, &bytes);
        },
        ["0/0/4 block-content", "c=0+Corrupt", "c=0+Corrupt; appends"],
    ),
    case(
        "lz4: a bomb of deltas",
        |at| {
            let mut bytes = bomb(60_000);
            bytes[0] = 3;
            lz4(at, &bytes);
        },
        ["0/0/4 block-content", "c=0+Corrupt", "c=0+Corrupt; appends"],
    ),
    case(
        "lz4: 33 MB of zeros in 130 kB",
        |at| {
            let schema = Schema::single(DType::U8, &[33_000_000]).unwrap();
            let mut bytes = Vec::new();
            codec::encode(
                Compression::Lz4,
                DType::U8,
                33_000_000,
                &vec![0; 33_000_000],
                &mut bytes,
            );
            wide(at, Compression::Lz4, &schema, 1, &bytes);
        },
        ["0/0/0", "c=1", "c=1; appends"],
    )
    .with_memory(160 << 10),
    case(
        "packed: no bytes",
        |at| packed(at, &[]),
        ["0/0/4 block-content", "c=0+Corrupt", "c=0+Corrupt; appends"],
    ),
    case(
        "packed: head alone",
        |at| packed(at, &[1]),
        ["0/0/4 block-content", "c=0+Corrupt", "c=0+Corrupt; appends"],
    ),
    case(
        "packed: words, too few",
        |at| packed(at, &[0; 160]),
        ["0/0/4 block-content", "c=0+Corrupt", "c=0+Corrupt; appends"],
    ),
    case(
        "packed: words and bits",
        |at| packed(at, &[[4].as_slice(), &[0; 160]].concat()),
        ["0/0/4 block-content", "c=0+Corrupt", "c=0+Corrupt; appends"],
    ),
    case(
        "packed: width 65",
        |at| packed(at, &mini(1, 65, &[0; 200])),
        ["0/0/4 block-content", "c=0+Corrupt", "c=0+Corrupt; appends"],
    ),
    case(
        "packed: width 255",
        |at| packed(at, &mini(1, 255, &[0; 700])),
        ["0/0/4 block-content", "c=0+Corrupt", "c=0+Corrupt; appends"],
    ),
    case(
        "packed: width 64",
        |at| packed(at, &mini(1, 64, &[0xff; 160])),
        ["0/0/0", "c=20", "c=20; appends"],
    ),
    case("packed: width 0", |at| packed(at, &mini(1, 0, &[])), ["0/0/0", "c=20", "c=20; appends"]),
    case(
        "packed: bits that are missing",
        |at| packed(at, &mini(1, 8, &[1; 19])),
        ["0/0/4 block-content", "c=0+Corrupt", "c=0+Corrupt; appends"],
    ),
    case(
        "packed: bytes behind the last",
        |at| packed(at, &mini(1, 8, &[1; 21])),
        ["0/0/4 block-content", "c=0+Corrupt", "c=0+Corrupt; appends"],
    ),
    case(
        "packed: deltas without a start",
        |at| packed(at, &mini(2, 0, &[0; 7])),
        ["0/0/4 block-content", "c=0+Corrupt", "c=0+Corrupt; appends"],
    ),
    case(
        "packed: deltas that overflow",
        |at| {
            packed(at, &[mini(2, 64, &[0xff; 8]), vec![0x7f; 160]].concat());
        },
        ["0/0/0", "c=20", "c=20; appends"],
    ),
    case(
        "packed: deltas of deltas that overflow",
        |at| {
            packed(at, &[mini(3, 64, &[0x7f; 16]), vec![0x7f; 160]].concat());
        },
        ["0/0/0", "c=20", "c=20; appends"],
    ),
    case(
        "packed: patched, no list",
        |at| packed(at, &mini(1 | 4, 0, &[])),
        ["0/0/4 block-content", "c=0+Corrupt", "c=0+Corrupt; appends"],
    ),
    case(
        "packed: 65535 patches",
        |at| packed(at, &mini(1 | 4, 0, &[0xff, 0xff])),
        ["0/0/4 block-content", "c=0+Corrupt", "c=0+Corrupt; appends"],
    ),
    case(
        "packed: a patch beyond the words",
        |at| {
            packed(at, &mini(1 | 4, 0, &[1, 0, 20, 0, 9, 9, 9, 9, 9, 9, 9, 9]));
        },
        ["0/0/4 block-content", "c=0+Corrupt", "c=0+Corrupt; appends"],
    ),
    case(
        "packed: a patch at 65535",
        |at| {
            packed(at, &mini(1 | 4, 0, &[1, 0, 255, 255, 9, 9, 9, 9, 9, 9, 9, 9]));
        },
        ["0/0/4 block-content", "c=0+Corrupt", "c=0+Corrupt; appends"],
    ),
    case(
        "packed: a patch",
        |at| {
            packed(at, &mini(1 | 4, 0, &[1, 0, 19, 0, 9, 9, 9, 9, 9, 9, 9, 9]));
        },
        ["0/0/0", "c=20", "c=20; appends"],
    ),
    case(
        "packed: exceptions among integers",
        |at| packed(at, &mini(1 | 8, 0, &[0, 0])),
        ["0/0/4 block-content", "c=0+Corrupt", "c=0+Corrupt; appends"],
    ),
    case(
        "packed: decimals among integers",
        |at| packed(at, &mini(1 | 0x20, 0, &[])),
        ["0/0/4 block-content", "c=0+Corrupt", "c=0+Corrupt; appends"],
    ),
    case(
        "packed: 15 decimals",
        |at| packed_f32(at, &[&[1 | 0xf0, 0][..], &[9; 4]].concat()),
        ["0/0/0", "c=20", "c=20; appends"],
    ),
    case(
        "packed: an exception beyond the words",
        |at| {
            packed_f32(at, &[&[1 | 8, 0][..], &[0; 4], &[1, 0, 99, 0, 1, 1, 1, 1]].concat());
        },
        ["0/0/4 block-content", "c=0+Corrupt", "c=0+Corrupt; appends"],
    ),
    case(
        "packed: a NaN as an exception",
        |at| {
            packed_f32(
                at,
                &[&[1 | 8, 0][..], &[0; 4], &[1, 0, 3, 0, 0xff, 0xff, 0xff, 0xff]].concat(),
            );
        },
        ["0/0/0", "c=20", "c=20; appends"],
    ),
    case(
        "packed: 33 MB in 5 bytes a thousand",
        |at| {
            let schema = Schema::single(DType::U8, &[33_000_000]).unwrap();
            let runs = 33_000_000_usize.div_ceil(1024);
            wide(at, Compression::Packed, &schema, 1, &[1, 0, 7].repeat(runs));
        },
        ["0/0/0", "c=1", "c=1; appends"],
    )
    .with_memory(160 << 10),
    case(
        "packed: as many records as there may be",
        |at| {
            let schema = Schema::single(DType::U8, &[]).unwrap();
            wide(at, Compression::Packed, &schema, 1 << 17, &[1, 0, 7].repeat(128));
        },
        ["0/0/0", "c=131072", "c=131072; appends"],
    ),
    case(
        "packed: the layout of 64 lanes",
        |at| {
            let schema = Schema::single(DType::U8, &[64]).unwrap();
            let decoded = BlockLayout::new(&schema).decoded_bytes(20);
            wide(at, Compression::Packed, &schema, 20, &[1, 0, 7].repeat(decoded.min(64)));
        },
        ["0/0/0", "c=20", "c=20; appends"],
    ),
];

#[test]
fn codecs() {
    run(CODECS);
}
