//! Blocks whose records are not what their headers say.

use std::path::Path;

use presence_format::block::BlockLayout;
use presence_format::catalog::Catalog;
use presence_format::entry::EntryBuilder;
use presence_format::{Compression, DType, Order, Schema};

use super::build::{Log, Shape, lanes, padded, plain, put, stream, value};
use super::{Case, case, run};

/// A block of twenty records with a changed header between two sound ones.
fn header(at: &Path, change: impl FnOnce(&mut EntryBuilder)) {
    let mut log = Log::new(1).opened();
    log.block(1, 0, 20).changed_block(1, 20, 20, change).block(1, 40, 20).put(at);
}

/// Blocks of timestamps, beginning with these records, of a stream of this schema; sealed.
fn of(at: &Path, schema: &Schema, blocks: &[&[i64]]) {
    let mut log = Log::new(1);
    log.tell(&Catalog { retained_from: 0, streams: vec![stream(1, "t", schema.clone())] });
    let mut from = 0;
    for times in blocks {
        let lane: Vec<u8> = times.iter().flat_map(|ts| ts.to_le_bytes()).collect();
        let values = (0..times.len() as u64).flat_map(|one| value(one).to_le_bytes()).collect();
        let bounds = (times[0], times[times.len() - 1]);
        let shape = Shape { schema, stream: 1, from, records: times.len() as u64, bounds };
        log.made_block(&shape, Compression::None, &padded(&[lane, values]), |_| {});
        from += times.len() as u64;
    }
    put(at, 1, &log.sealed());
}

/// A block whose header says other timestamps.
fn bounds(at: &Path, first: i64, last: i64, sealed: bool) {
    let mut log = Log::new(1).opened();
    log.changed_block(1, 0, 20, |builder| {
        let block = builder.block.as_mut().unwrap();
        block.first_ts = first.into();
        block.last_ts = last.into();
    });
    put(at, 1, &if sealed { log.sealed() } else { log.bytes });
}

fn strict() -> Schema {
    Schema::single(DType::F64, &[]).unwrap()
}

fn loose() -> Schema {
    strict().with_order(Order::NonDecreasing)
}

/// A block of 20 plain records with this payload.
fn payload(at: &Path, compression: Compression, payload: &[u8]) {
    let mut log = Log::new(1).opened();
    let shape = Shape { schema: &plain(), stream: 1, from: 0, records: 20, bounds: (0, 190) };
    log.made_block(&shape, compression, payload, |_| {}).block(1, 20, 20).put(at);
}

const BLOCKS: &[Case] = &[
    case(
        "block: decoded bytes too few",
        |at| {
            header(at, |b| b.block.as_mut().unwrap().decoded_bytes = 64.into());
        },
        ["4/4/4 records-missing stream-contradiction unsealed", "a=20+Corrupt", "a=60; appends"],
    ),
    case(
        "block: decoded bytes too many",
        |at| {
            header(at, |b| b.block.as_mut().unwrap().decoded_bytes = (32 << 20).into());
        },
        ["4/4/4 records-missing stream-contradiction unsealed", "a=20+Corrupt", "a=60; appends"],
    ),
    case(
        "block: decoded bytes over the cap",
        |at| {
            header(at, |b| b.block.as_mut().unwrap().decoded_bytes = u32::MAX.into());
        },
        [
            "4/4/4 entry-damaged records-missing unsealed",
            "damage 1, lost 1, a=0+Gap",
            "damage 1, lost 1, a=0+Gap; appends",
        ],
    ),
    case(
        "block: no decoded bytes",
        |at| {
            header(at, |b| b.block.as_mut().unwrap().decoded_bytes = 0.into());
        },
        ["4/4/4 records-missing stream-contradiction unsealed", "a=20+Corrupt", "a=60; appends"],
    ),
    case(
        "block: first timestamp after the last",
        |at| {
            header(at, |b| b.block.as_mut().unwrap().first_ts = i64::MAX.into());
        },
        [
            "4/4/4 entry-damaged records-missing unsealed",
            "damage 1, lost 1, a=0+Gap",
            "damage 1, lost 1, a=0+Gap; appends",
        ],
    ),
    case(
        "block: schema of another stream",
        |at| {
            header(at, |b| b.block.as_mut().unwrap().schema_crc = 5.into());
        },
        [
            "4/4/4 records-missing stream-contradiction unsealed",
            "a=20+Corrupt",
            "a=20+Corrupt; appends",
        ],
    ),
    case(
        "block: compression 0",
        |at| {
            header(at, |b| b.block.as_mut().unwrap().compression = 0);
        },
        [
            "4/4/4 entry-damaged records-missing unsealed",
            "damage 1, lost 1, a=0+Gap",
            "damage 1, lost 1, a=0+Gap; appends",
        ],
    ),
    case(
        "block: compression 6",
        |at| {
            header(at, |b| b.block.as_mut().unwrap().compression = 6);
        },
        [
            "4/4/4 entry-damaged records-missing unsealed",
            "damage 1, lost 1, a=0+Gap",
            "damage 1, lost 1, a=0+Gap; appends",
        ],
    ),
    case(
        "block: compression of planes",
        |at| {
            header(at, |b| b.block.as_mut().unwrap().compression = 4);
        },
        [
            "4/4/4 records-missing stream-contradiction unsealed",
            "a=20+Corrupt",
            "a=20+Corrupt; appends",
        ],
    ),
    case(
        "block: says it is compressed",
        |at| {
            header(at, |b| b.block.as_mut().unwrap().compression = 2);
        },
        ["0/0/4 block-content unsealed", "a=20+Corrupt", "a=20+Corrupt; appends"],
    ),
    case(
        "block: reserved bytes in use",
        |at| {
            header(at, |b| b.block.as_mut().unwrap().reserved = [3; 35]);
        },
        ["0/0/0 unsealed", "a=60", "a=60; appends"],
    ),
    case(
        "block: earlier timestamps than it has",
        |at| bounds(at, i64::MIN, 190, false),
        ["0/0/4 block-content unsealed", "a=0+Corrupt", "a=0+Corrupt; appends"],
    ),
    case(
        "block: later timestamps than it has",
        |at| bounds(at, 0, i64::MAX, false),
        ["0/0/4 block-content unsealed", "a=0+Corrupt", "a=0+Corrupt; appends"],
    ),
    case(
        "block: all time",
        |at| bounds(at, i64::MIN, i64::MAX, true),
        ["0/0/4 block-content", "a=0+Corrupt", "a=0+Corrupt; appends"],
    ),
    case(
        "block: one moment",
        |at| bounds(at, 100, 100, true),
        ["0/0/4 block-content", "a=0+Corrupt", "a=0+Corrupt; appends"],
    ),
    case(
        "block: timestamps that fall",
        |at| of(at, &strict(), &[&[0, 30, 20, 40]]),
        ["0/0/4 block-content", "t=0+Corrupt", "t=0+Corrupt; appends"],
    ),
    case(
        "block: timestamps that fall, unordered",
        |at| of(at, &loose(), &[&[0, 30, 20, 40]]),
        ["0/0/4 block-content", "t=0+Corrupt", "t=0+Corrupt; appends"],
    ),
    case(
        "block: equal timestamps in strict order",
        |at| of(at, &strict(), &[&[0, 20, 20, 40]]),
        ["0/0/4 block-content", "t=0+Corrupt", "t=0+Corrupt; appends"],
    ),
    case(
        "block: equal timestamps",
        |at| of(at, &loose(), &[&[0, 20, 20, 40]]),
        ["0/0/0", "t=4", "t=4; appends"],
    ),
    case(
        "block: one timestamp for all",
        |at| of(at, &loose(), &[&[7; 1000], &[7; 1000]]),
        ["0/0/0", "t=2000", "t=2000; appends"],
    ),
    case(
        "block: an end that comes back",
        |at| of(at, &loose(), &[&[0, 99, -5, 100]]),
        ["0/0/4 block-content", "t=0+Corrupt", "t=0+Corrupt; appends"],
    ),
    case(
        "block: both ends of time",
        |at| of(at, &strict(), &[&[i64::MIN, 0, i64::MAX]]),
        ["0/0/0", "t=3", "t=3; appends"],
    ),
    case(
        "blocks at both ends of time",
        |at| {
            of(at, &strict(), &[&[i64::MIN, i64::MIN + 1], &[i64::MAX - 1, i64::MAX]]);
        },
        ["0/0/0", "t=4", "t=4; appends"],
    ),
    case(
        "blocks that share a moment",
        |at| of(at, &loose(), &[&[1, 2], &[2, 2], &[2, 3]]),
        ["0/0/0", "t=6", "t=6; appends"],
    ),
    case(
        "blocks that share a moment, strict",
        |at| of(at, &strict(), &[&[1, 2], &[2, 3]]),
        [
            "0/4/4 index-disagrees records-missing stream-contradiction",
            "damage 1, torn 1, t=2",
            "damage 1, torn 1, t=2; appends",
        ],
    ),
    case(
        "blocks that overlap in time",
        |at| of(at, &strict(), &[&[10, 50], &[20, 60]]),
        [
            "4/4/4 entry-damaged index-damaged stream-contradiction",
            "damage 1, torn 1, t=2",
            "damage 1, torn 1, t=2; appends",
        ],
    ),
    case(
        "blocks that fall in time",
        |at| of(at, &strict(), &[&[50, 60], &[10, 20]]),
        [
            "4/4/4 entry-damaged index-damaged stream-contradiction",
            "damage 1, torn 1, t=2",
            "damage 1, torn 1, t=2; appends",
        ],
    ),
    case(
        "block: payload too short",
        |at| {
            payload(at, Compression::None, &padded(&lanes(0, 20))[..320]);
        },
        ["0/0/4 block-content unsealed", "a=0+Corrupt", "a=0+Corrupt; appends"],
    ),
    case(
        "block: payload too long",
        |at| {
            payload(at, Compression::None, &[padded(&lanes(0, 20)), vec![0; 64]].concat());
        },
        ["0/0/4 block-content unsealed", "a=0+Corrupt", "a=0+Corrupt; appends"],
    ),
    case(
        "block: lane padding that is not zeros",
        |at| {
            let mut bytes = padded(&lanes(0, 20));
            bytes[160..192].fill(0xaa);
            payload(at, Compression::None, &bytes);
        },
        ["0/0/0 unsealed", "a=40", "a=40; appends"],
    ),
    case(
        "block: compressed, no table",
        |at| payload(at, Compression::Lz4, &[1, 2, 3]),
        ["0/0/4 block-content unsealed", "a=0+Corrupt", "a=0+Corrupt; appends"],
    ),
    case(
        "block: lanes beyond the payload",
        |at| {
            payload(at, Compression::Lz4, &[[0xff; 4], [0xff; 4]].concat());
        },
        ["0/0/4 block-content unsealed", "a=0+Corrupt", "a=0+Corrupt; appends"],
    ),
    case(
        "block: bytes behind the last lane",
        |at| {
            let layout = BlockLayout::new(&plain());
            let lanes = lanes(0, 20);
            let mut bytes = Vec::new();
            layout.encode(Compression::Lz4, &[&lanes[0], &lanes[1]], &mut bytes);
            bytes.push(0);
            payload(at, Compression::Lz4, &bytes);
        },
        ["0/0/4 block-content unsealed", "a=0+Corrupt", "a=0+Corrupt; appends"],
    ),
    case(
        "block: sound lz4",
        |at| {
            let mut bytes = Vec::new();
            let lanes = lanes(0, 20);
            BlockLayout::new(&plain()).encode(
                Compression::Lz4,
                &[&lanes[0], &lanes[1]],
                &mut bytes,
            );
            payload(at, Compression::Lz4, &bytes);
        },
        ["0/0/0 unsealed", "a=40", "a=40; appends"],
    ),
    case(
        "block: sound packed",
        |at| {
            let mut bytes = Vec::new();
            let lanes = lanes(0, 20);
            BlockLayout::new(&plain()).encode(
                Compression::Packed,
                &[&lanes[0], &lanes[1]],
                &mut bytes,
            );
            payload(at, Compression::Packed, &bytes);
        },
        ["0/0/0 unsealed", "a=40", "a=40; appends"],
    ),
    case(
        "blocks in a hole of 2^62 records",
        |at| {
            let mut log = Log::new(1).opened();
            log.block(1, 0, 20)
                .changed_block(1, 20, 20, |b| b.header.first_sequence = (1 << 62).into());
            put(at, 1, &log.sealed());
        },
        ["4/4/4 records-missing", "lost 1, a=0+Gap", "lost 1, a=0+Gap; appends"],
    ),
];

#[test]
fn blocks() {
    run(BLOCKS);
}
