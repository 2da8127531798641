//! Frames that lie.

use std::path::Path;

use presence_format::catalog::Catalog;
use presence_format::{DType, Schema, frame};

use super::build::{Log, lanes, plain, put, section, stream};
use super::{Case, case, run};

/// A segment with twenty records in a block, and then this frame.
fn one(at: &Path, payload: &[u8], records: u32) {
    let mut log = Log::new(1).opened();
    log.block(1, 0, 20).frame(payload, records).put(at);
}

/// The same, and a mark that says it was durable.
fn durable(at: &Path, payload: &[u8], records: u32) {
    let mut log = Log::new(1).opened();
    log.block(1, 0, 20).frame(payload, records).frame(&[], 0).put(at);
}

/// The head of a section, with as many bytes behind it.
fn head(stream: u32, from: u64, records: u32, bytes: usize) -> Vec<u8> {
    let mut out = Vec::new();
    frame::encode_head(stream, from, records, &mut out);
    out.resize(out.len() + bytes, 0);
    out
}

/// A section of records whose timestamps are these.
fn times(from: u64, times: &[i64]) -> Vec<u8> {
    let mut out = Vec::new();
    frame::encode_head(1, from, times.len() as u32, &mut out);
    out.extend(times.iter().flat_map(|ts| ts.to_le_bytes()));
    out.extend_from_slice(&lanes(from, times.len() as u64)[1]);
    out
}

const FRAMES: &[Case] = &[
    case(
        "frame: sound",
        |at| durable(at, &section(1, 20, 5), 5),
        ["0/0/0 unsealed", "a=25", "a=25; appends"],
    ),
    case(
        "frame: says more records",
        |at| durable(at, &section(1, 20, 5), 6),
        ["4/4/4 stream-contradiction unsealed", "damage 1, a=20", "damage 1, a=20; appends"],
    ),
    case(
        "frame: says none",
        |at| durable(at, &section(1, 20, 5), 0),
        ["4/4/4 stream-contradiction unsealed", "damage 1, a=20", "damage 1, a=20; appends"],
    ),
    case(
        "frame: says the most there can be",
        |at| durable(at, &section(1, 20, 5), 4 << 20),
        ["4/4/4 stream-contradiction unsealed", "damage 1, a=20", "damage 1, a=20; appends"],
    ),
    case(
        "frame: records over the cap",
        |at| durable(at, &section(1, 20, 5), u32::MAX),
        ["4/4/4 entry-damaged unsealed", "damage 1, a=20", "damage 1, a=20; appends"],
    ),
    case(
        "frame: a section of 2^17 + 1 records",
        |at| {
            durable(at, &head(1, 20, (1 << 17) + 1, 16 * ((1 << 17) + 1)), (1 << 17) + 1);
        },
        ["4/4/4 entry-damaged unsealed", "damage 1, a=20", "damage 1, a=20; appends"],
    ),
    case(
        "frame: a section of 2^17 records",
        |at| durable(at, &section(1, 20, 1 << 17), 1 << 17),
        ["0/0/0 unsealed", "a=131092", "a=131092; appends"],
    ),
    case(
        "frame: a section of no records",
        |at| durable(at, &head(1, 20, 0, 0), 0),
        ["4/4/4 entry-damaged unsealed", "damage 1, a=20", "damage 1, a=20; appends"],
    ),
    case(
        "frame: ends inside a section",
        |at| durable(at, &section(1, 20, 5)[..40], 5),
        ["4/4/4 entry-damaged unsealed", "damage 1, a=20", "damage 1, a=20; appends"],
    ),
    case(
        "frame: bytes behind its sections",
        |at| {
            durable(at, &[section(1, 20, 5), vec![0xff; 3]].concat(), 5);
        },
        ["4/4/4 entry-damaged unsealed", "damage 1, a=20", "damage 1, a=20; appends"],
    ),
    case(
        "frame: of an unknown stream",
        |at| durable(at, &section(2, 0, 5), 5),
        ["4/4/4 entry-damaged unsealed", "damage 1, a=20", "damage 1, a=20; appends"],
    ),
    case(
        "frame: of stream 0",
        |at| durable(at, &section(0, 0, 5), 5),
        ["4/4/4 entry-damaged unsealed", "damage 1, a=20", "damage 1, a=20; appends"],
    ),
    case(
        "frame: of a stream over the cap",
        |at| durable(at, &section(1 << 30, 0, 5), 5),
        ["4/4/4 entry-damaged unsealed", "damage 1, a=20", "damage 1, a=20; appends"],
    ),
    case(
        "frame: two sections of a stream",
        |at| {
            durable(at, &[section(1, 20, 5), section(1, 25, 5)].concat(), 10);
        },
        ["4/4/4 entry-damaged unsealed", "damage 1, a=20", "damage 1, a=20; appends"],
    ),
    case(
        "frame: the same section twice",
        |at| {
            durable(at, &[section(1, 20, 5), section(1, 20, 5)].concat(), 10);
        },
        ["4/4/4 entry-damaged unsealed", "damage 1, a=20", "damage 1, a=20; appends"],
    ),
    case(
        "frame: records that a block has",
        |at| durable(at, &section(1, 10, 15), 15),
        ["4/4/4 entry-damaged unsealed", "damage 1, a=20", "damage 1, a=20; appends"],
    ),
    case(
        "frame: all its records in a block",
        |at| durable(at, &section(1, 0, 20), 20),
        ["4/4/4 entry-damaged unsealed", "damage 1, a=20", "damage 1, a=20; appends"],
    ),
    case(
        "frame: a hole before it",
        |at| durable(at, &section(1, 30, 5), 5),
        ["4/4/4 records-missing unsealed", "lost 1, a=0+Gap", "lost 1, a=0+Gap; appends"],
    ),
    case(
        "frame: sequence at 2^64 - 1",
        |at| {
            durable(at, &head(1, u64::MAX, 1, 16), 1);
        },
        ["4/4/4 entry-damaged unsealed", "damage 1, a=20", "damage 1, a=20; appends"],
    ),
    case(
        "frame: sequence at 2^64 - 2",
        |at| durable(at, &head(1, u64::MAX - 1, 1, 16), 1),
        ["4/4/4 entry-damaged unsealed", "damage 1, a=20", "damage 1, a=20; appends"],
    ),
    case(
        "frame: sequence at 2^63",
        |at| one(at, &section(1, 1 << 63, 1), 1),
        ["4/4/4 entry-damaged torn-tail unsealed", "torn 1, a=20", "torn 1, a=20; appends"],
    ),
    case(
        "frame: timestamps that fall",
        |at| durable(at, &times(20, &[200, 100, 300]), 3),
        ["4/4/4 entry-damaged unsealed", "damage 1, a=20", "damage 1, a=20; appends"],
    ),
    case(
        "frame: equal timestamps in strict order",
        |at| {
            durable(at, &times(20, &[200, 200, 300]), 3);
        },
        ["4/4/4 entry-damaged unsealed", "damage 1, a=20", "damage 1, a=20; appends"],
    ),
    case(
        "frame: timestamps before the block's",
        |at| durable(at, &times(20, &[10, 20]), 2),
        ["4/4/4 entry-damaged unsealed", "damage 1, a=20", "damage 1, a=20; appends"],
    ),
    case(
        "frame: timestamps at both ends",
        |at| {
            let mut log = Log::new(1);
            let schema = Schema::single(DType::F64, &[]).unwrap();
            log.tell(&Catalog { retained_from: 0, streams: vec![stream(1, "f", schema)] });
            log.frame(&times(0, &[i64::MIN, 0, i64::MAX]), 3).put(at);
        },
        ["0/0/0 unsealed", "f=3", "f=3; appends"],
    ),
    case(
        "frame: repeats the one before",
        |at| {
            let mut log = Log::new(1).opened();
            log.frame(&section(1, 0, 10), 10).frame(&section(1, 5, 10), 10).frame(&[], 0).put(at);
        },
        ["4/4/4 entry-damaged unsealed", "damage 1, a=10", "damage 1, a=10; appends"],
    ),
    case(
        "frame: begins again at 0",
        |at| {
            let mut log = Log::new(1).opened();
            log.frame(&section(1, 0, 10), 10).frame(&section(1, 0, 10), 10).frame(&[], 0).put(at);
        },
        ["4/4/4 entry-damaged unsealed", "damage 1, a=10", "damage 1, a=10; appends"],
    ),
    case(
        "frame: one record that all repeat",
        |at| {
            let mut log = Log::new(1).opened();
            for _ in 0..20_000 {
                log.frame(&section(1, 0, 1), 1);
            }
            log.put(at);
        },
        [
            "4/4/4 entry-damaged unsealed",
            "damage 10001, torn 1, a=1",
            "damage 10001, torn 1, a=1; appends",
        ],
    ),
    case(
        "frame: 20000 holes",
        |at| {
            let mut log = Log::new(1).opened();
            for index in 0..20_000 {
                log.frame(&section(1, 2 * index, 1), 1);
            }
            log.put(at);
        },
        ["4/4/4 records-missing unsealed", "lost 19999, a=0+Gap", "lost 19999, a=0+Gap; appends"],
    ),
    case(
        "frame: 300 streams",
        |at| {
            let mut log = Log::new(1);
            let all = (1..=300).map(|id| stream(id, &format!("s{id:03}"), plain()));
            log.tell(&Catalog { retained_from: 0, streams: all.collect() });
            let sections: Vec<u8> = (1..=300).flat_map(|id| section(id, 0, 3)).collect();
            log.frame(&sections, 900).put(at);
        },
        ["0/0/0 unsealed", "300 streams, s001=3", "300 streams, s001=3; appends"],
    ),
    case(
        "frame: a varint without end",
        |at| durable(at, &[0xff; 40], 1),
        ["4/4/4 entry-damaged unsealed", "damage 1, a=20", "damage 1, a=20; appends"],
    ),
    case(
        "frame: an overlong varint",
        |at| durable(at, &[0x81, 0x00, 0, 1], 1),
        ["4/4/4 entry-damaged unsealed", "damage 1, a=20", "damage 1, a=20; appends"],
    ),
    case(
        "frame: of another stream's width",
        |at| {
            let mut log = Log::new(1);
            let wide = Schema::single(DType::F64, &[1000]).unwrap();
            log.tell(&Catalog { retained_from: 0, streams: vec![stream(1, "a", wide)] });
            log.frame(&section(1, 0, 5), 5).frame(&[], 0).put(at);
        },
        ["4/4/4 entry-damaged unsealed", "damage 1, a=0", "damage 1, a=0; appends"],
    ),
    case(
        "frame in a compacted segment",
        |at| {
            let mut log = Log::with(|header| {
                header.segment = 2.into();
                header.generation = 1.into();
                header.set = 2.into();
            });
            log.block(1, 40, 5);
            put(at, 2, &log.sealed());
        },
        ["0/0/0", "a=45", "a=45; appends"],
    ),
];

#[test]
fn frames() {
    run(FRAMES);
}
