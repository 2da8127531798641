//! Catalogs that lie, and names that bite.

use std::path::Path;

use presence_format::catalog::{Catalog, StreamEntry};
use presence_format::entry::EntryKind;
use presence_format::{Column, Compression, DType, Schema, varint};

use super::build::{Log, catalog, plain, put, stream};
use super::{Case, case, run};

/// A segment whose first catalog has this payload, then twenty records of stream 1.
fn first(at: &Path, payload: &[u8]) {
    let mut log = Log::new(1);
    log.entry(EntryKind::Catalog, payload, |_| {}).block(1, 0, 20).put(at);
}

/// The same with streams.
fn streams(at: &Path, streams: Vec<StreamEntry>) {
    let mut payload = Vec::new();
    Catalog { retained_from: 0, streams }.encode(&mut payload);
    first(at, &payload);
}

/// A stream `a` and another one with this name.
fn named(at: &Path, name: &str) {
    streams(at, vec![stream(1, "a", plain()), stream(2, name, plain())]);
}

/// A stream `a`, and later a catalog that says something else.
fn later(at: &Path, streams: Vec<StreamEntry>) {
    let mut log = Log::new(1).opened();
    log.block(1, 0, 20);
    log.tell(&Catalog { retained_from: 0, streams }).block(1, 20, 20).put(at);
}

/// The payload of a catalog of one stream, with this text behind the head of its schema.
fn schema(columns: u64, text: &[u8]) -> Vec<u8> {
    let mut payload = vec![0, 1, 1, 1, b'a', 0, 0, 1, 1, 1];
    varint::encode(columns, &mut payload);
    payload.extend_from_slice(text);
    payload
}

/// One column: name, type and sides as they stand in a schema.
fn column(at: &Path, text: &[u8]) {
    first(at, &schema(1, text));
}

fn many(count: u32, name: impl Fn(u32) -> String) -> Vec<StreamEntry> {
    (1..=count).map(|id| stream(id, &name(id), plain())).collect()
}

/// A schema with as many columns as there may be.
fn wide() -> Schema {
    let columns = (0..1024).map(|index| Column::scalar(format!("c{index}"), DType::U8));
    Schema::new(columns.collect()).unwrap()
}

const CATALOGS: &[Case] = &[
    case(
        "a catalog of no bytes",
        |at| first(at, &[]),
        [
            "4/4/4 entry-damaged stream-contradiction unsealed",
            "damage 1, torn 1",
            "damage 1, torn 1; appends",
        ],
    ),
    case(
        "65537 streams claimed",
        |at| first(at, &[0, 0x81, 0x80, 0x04]),
        [
            "4/4/4 entry-damaged stream-contradiction unsealed",
            "damage 1, torn 1",
            "damage 1, torn 1; appends",
        ],
    ),
    case(
        "2^64 - 1 streams claimed",
        |at| {
            first(at, &[[0].as_slice(), &[0xff; 9], &[1]].concat());
        },
        [
            "4/4/4 entry-damaged stream-contradiction unsealed",
            "damage 1, torn 1",
            "damage 1, torn 1; appends",
        ],
    ),
    case(
        "65536 streams claimed, none there",
        |at| first(at, &[0, 0x80, 0x80, 0x04]),
        [
            "4/4/4 entry-damaged stream-contradiction unsealed",
            "damage 1, torn 1",
            "damage 1, torn 1; appends",
        ],
    ),
    case(
        "65536 streams",
        |at| {
            streams(at, many(65_536, |id| if id == 1 { "a".to_owned() } else { format!("s{id}") }));
        },
        [
            "0/0/0 unsealed",
            "65536 streams, a=20, s2=0",
            "65536 streams, a=20, s2=0; TooManyStreams",
        ],
    )
    .with_memory(144 << 10),
    case(
        "a catalog over its cap",
        |at| {
            streams(at, many(40_000, |id| format!("{id:0>250}")));
        },
        [
            "4/4/4 entry-damaged stream-contradiction unsealed",
            "damage 1, torn 1",
            "damage 1, torn 1; appends",
        ],
    ),
    case(
        "200 streams with 1024 columns",
        |at| {
            let all = (1..=200).map(|id| stream(id, &format!("s{id}"), wide()));
            streams(at, all.collect());
        },
        [
            "4/4/4 stream-contradiction unsealed",
            "200 streams, s1=0+Corrupt, s2=0",
            "200 streams, s1=0+Corrupt, s2=0; appends",
        ],
    )
    .with_memory(96 << 10),
    case(
        "stream id 0",
        |at| streams(at, vec![stream(0, "a", plain())]),
        [
            "4/4/4 entry-damaged stream-contradiction unsealed",
            "damage 1, torn 1",
            "damage 1, torn 1; appends",
        ],
    ),
    case(
        "stream id over the cap",
        |at| streams(at, vec![stream(65_537, "a", plain())]),
        [
            "4/4/4 entry-damaged stream-contradiction unsealed",
            "damage 1, torn 1",
            "damage 1, torn 1; appends",
        ],
    ),
    case(
        "a stream id twice",
        |at| {
            streams(at, vec![stream(1, "a", plain()), stream(1, "b", plain())]);
        },
        [
            "4/4/4 entry-damaged stream-contradiction unsealed",
            "damage 1, torn 1",
            "damage 1, torn 1; appends",
        ],
    ),
    case(
        "stream ids that fall",
        |at| {
            streams(at, vec![stream(2, "b", plain()), stream(1, "a", plain())]);
        },
        [
            "4/4/4 entry-damaged stream-contradiction unsealed",
            "damage 1, torn 1",
            "damage 1, torn 1; appends",
        ],
    ),
    case(
        "a name twice",
        |at| named(at, "a"),
        [
            "4/4/4 stream-contradiction unsealed",
            "damage 1, a=20, a=0",
            "damage 1, a=20, a=0; appends",
        ],
    ),
    case(
        "a name twice, told later",
        |at| later(at, vec![stream(2, "a", plain())]),
        [
            "4/4/4 stream-contradiction unsealed",
            "damage 1, a=40, a=0",
            "damage 1, a=40, a=0; appends",
        ],
    ),
    case(
        "a stream renamed",
        |at| later(at, vec![stream(1, "b", plain())]),
        ["4/4/4 stream-contradiction unsealed", "damage 1, a=40", "damage 1, a=40; appends"],
    ),
    case(
        "a stream with another schema",
        |at| {
            later(at, vec![stream(1, "a", Schema::single(DType::U8, &[3]).unwrap())]);
        },
        ["4/4/4 stream-contradiction unsealed", "damage 1, a=40", "damage 1, a=40; appends"],
    ),
    case(
        "a stream with another compression",
        |at| {
            later(at, vec![stream(1, "a", plain().with_compression(Compression::Lz4))]);
        },
        ["4/4/4 stream-contradiction unsealed", "damage 1, a=40", "damage 1, a=40; appends"],
    ),
    case(
        "a stream whose sequence falls",
        |at| later(at, catalog().streams),
        ["0/0/0 unsealed", "a=40", "a=40; appends"],
    ),
    case(
        "a stream that counts 2^64 - 1 records",
        |at| {
            later(at, vec![StreamEntry { sequence: u64::MAX, ..stream(1, "a", plain()) }]);
        },
        ["4/4/4 records-missing unsealed", "lost 1, a=0+Gap", "lost 1, a=0+Gap; appends"],
    ),
    case(
        "a stream that begins at 2^64 - 1",
        |at| {
            streams(at, vec![StreamEntry { sequence: u64::MAX, ..stream(1, "a", plain()) }]);
        },
        ["4/4/4 records-missing unsealed", "lost 1, a=0+Gap", "lost 1, a=0+Gap; appends"],
    ),
    case(
        "a last timestamp at the end of time",
        |at| {
            let last_ts = Some(i64::MAX);
            later(at, vec![StreamEntry { sequence: 20, last_ts, ..stream(1, "a", plain()) }]);
        },
        ["0/0/0 unsealed", "a=40", "a=40; appends"],
    ),
    case(
        "a finished stream that goes on",
        |at| {
            later(
                at,
                vec![StreamEntry { finished: true, sequence: 20, ..stream(1, "a", plain()) }],
            );
        },
        ["0/0/0 unsealed", "a=40", "a=40; appends"],
    ),
    case(
        "retained from the end",
        |at| {
            let mut log = Log::new(1);
            log.tell(&Catalog { retained_from: u32::MAX, ..catalog() }).block(1, 0, 20).put(at);
        },
        ["4/4/4 stream-contradiction unsealed", "damage 1, a=20", "damage 1, a=20; appends"],
    ),
    case(
        "retained from over 32 bits",
        |at| {
            first(at, &[0x80, 0x80, 0x80, 0x80, 0x10, 0]);
        },
        [
            "4/4/4 entry-damaged stream-contradiction unsealed",
            "damage 1, torn 1",
            "damage 1, torn 1; appends",
        ],
    ),
    case(
        "an overlong varint",
        |at| first(at, &[0x80, 0x00, 0]),
        [
            "4/4/4 entry-damaged stream-contradiction unsealed",
            "damage 1, torn 1",
            "damage 1, torn 1; appends",
        ],
    ),
    case(
        "a varint without end",
        |at| first(at, &[0xff; 64]),
        [
            "4/4/4 entry-damaged stream-contradiction unsealed",
            "damage 1, torn 1",
            "damage 1, torn 1; appends",
        ],
    ),
    case(
        "bytes behind a catalog",
        |at| first(at, &[0, 0, 0]),
        [
            "4/4/4 entry-damaged stream-contradiction unsealed",
            "damage 1, torn 1",
            "damage 1, torn 1; appends",
        ],
    ),
    case(
        "unknown flags of a stream",
        |at| first(at, &[0, 1, 1, 1, b'a', 0xfc, 0]),
        [
            "4/4/4 entry-damaged stream-contradiction unsealed",
            "damage 1, torn 1",
            "damage 1, torn 1; appends",
        ],
    ),
    case(
        "a name of no bytes",
        |at| first(at, &[0, 1, 1, 0, 0, 0]),
        [
            "4/4/4 entry-damaged stream-contradiction unsealed",
            "damage 1, torn 1",
            "damage 1, torn 1; appends",
        ],
    ),
    case(
        "a name of 4 KiB",
        |at| {
            first(at, &[&[0, 1, 1, 0x80, 0x20][..], &[b'n'; 4096], &[0, 0]].concat());
        },
        [
            "4/4/4 entry-damaged stream-contradiction unsealed",
            "damage 1, torn 1",
            "damage 1, torn 1; appends",
        ],
    ),
    case(
        "a name of 2^64 - 1 bytes",
        |at| {
            first(at, &[&[0, 1, 1][..], &[0xff; 9], &[1, b'a']].concat());
        },
        [
            "4/4/4 entry-damaged stream-contradiction unsealed",
            "damage 1, torn 1",
            "damage 1, torn 1; appends",
        ],
    ),
    case(
        "a name of 255 bytes",
        |at| named(at, &"n".repeat(255)),
        ["0/0/0 unsealed", "a=20, nnnnnnnnnnnn=0", "a=20, nnnnnnnnnnnn=0; appends"],
    ),
    case(
        "a name that is no UTF-8",
        |at| first(at, &[0, 1, 1, 2, 0xc3, 0x28, 0, 0]),
        [
            "4/4/4 entry-damaged stream-contradiction unsealed",
            "damage 1, torn 1",
            "damage 1, torn 1; appends",
        ],
    ),
    case(
        "a name that goes up",
        |at| named(at, "../../../../tmp/evil"),
        ["0/0/0 unsealed", "a=20, ../../../../=0", "a=20, ../../../../=0; appends"],
    ),
    case(
        "an absolute name",
        |at| named(at, "/etc/passwd"),
        ["0/0/0 unsealed", "a=20, /etc/passwd=0", "a=20, /etc/passwd=0; appends"],
    ),
    case(
        "a name with NUL",
        |at| named(at, "a\0b"),
        [
            "4/4/4 entry-damaged stream-contradiction unsealed",
            "damage 1, torn 1",
            "damage 1, torn 1; appends",
        ],
    ),
    case(
        "a name with escapes of a terminal",
        |at| named(at, "\x1b]0;owned\x07\x1b[2J"),
        [
            "4/4/4 entry-damaged stream-contradiction unsealed",
            "damage 1, torn 1",
            "damage 1, torn 1; appends",
        ],
    ),
    case(
        "a name with line ends",
        |at| named(at, "a\r\nb=9"),
        [
            "4/4/4 entry-damaged stream-contradiction unsealed",
            "damage 1, torn 1",
            "damage 1, torn 1; appends",
        ],
    ),
    case(
        "a name with C1 controls",
        |at| named(at, "a\u{9b}31m"),
        [
            "4/4/4 entry-damaged stream-contradiction unsealed",
            "damage 1, torn 1",
            "damage 1, torn 1; appends",
        ],
    ),
    case(
        "a name that runs backwards",
        |at| named(at, "\u{202e}gpj.exe\u{2066}"),
        [
            "0/0/0 unsealed",
            "a=20, \\u{202e}gpj.exe\\u{2066}=0",
            "a=20, \\u{202e}gpj.exe\\u{2066}=0; appends",
        ],
    ),
    case(
        "a name of a segment",
        |at| named(at, "seg-00000001.presence"),
        ["0/0/0 unsealed", "a=20, seg-00000001=0", "a=20, seg-00000001=0; appends"],
    ),
    case(
        "a name that looks the same",
        |at| named(at, "\u{430}"),
        ["0/0/0 unsealed", "a=20, \\u{430}=0", "a=20, \\u{430}=0; appends"],
    ),
    case(
        "a name of dots",
        |at| named(at, ".."),
        ["0/0/0 unsealed", "a=20, ..=0", "a=20, ..=0; appends"],
    ),
];

const SCHEMAS: &[Case] = &[
    case(
        "schema: no columns",
        |at| first(at, &schema(0, &[])),
        [
            "4/4/4 entry-damaged stream-contradiction unsealed",
            "damage 1, torn 1",
            "damage 1, torn 1; appends",
        ],
    ),
    case(
        "schema: 1025 columns",
        |at| first(at, &schema(1025, &[])),
        [
            "4/4/4 entry-damaged stream-contradiction unsealed",
            "damage 1, torn 1",
            "damage 1, torn 1; appends",
        ],
    ),
    case(
        "schema: 2^63 columns",
        |at| first(at, &schema(1 << 63, &[])),
        [
            "4/4/4 entry-damaged stream-contradiction unsealed",
            "damage 1, torn 1",
            "damage 1, torn 1; appends",
        ],
    ),
    case(
        "schema: 1024 columns",
        |at| {
            streams(at, vec![stream(1, "a", plain()), stream(2, "wide", wide())]);
        },
        ["0/0/0 unsealed", "a=20, wide=0", "a=20, wide=0; appends"],
    ),
    case(
        "schema: two columns of one name",
        |at| {
            first(at, &schema(2, &[1, b'x', 9, 0, 1, b'x', 9, 0]));
        },
        [
            "4/4/4 entry-damaged stream-contradiction unsealed",
            "damage 1, torn 1",
            "damage 1, torn 1; appends",
        ],
    ),
    case(
        "schema: a column without a name",
        |at| column(at, &[0, 9, 0]),
        [
            "4/4/4 entry-damaged stream-contradiction unsealed",
            "damage 1, torn 1",
            "damage 1, torn 1; appends",
        ],
    ),
    case(
        "schema: a column with an escape",
        |at| column(at, &[2, 0x1b, b'c', 9, 0]),
        [
            "4/4/4 entry-damaged stream-contradiction unsealed",
            "damage 1, torn 1",
            "damage 1, torn 1; appends",
        ],
    ),
    case(
        "schema: element type 0",
        |at| column(at, &[1, b'x', 0, 0]),
        [
            "4/4/4 entry-damaged stream-contradiction unsealed",
            "damage 1, torn 1",
            "damage 1, torn 1; appends",
        ],
    ),
    case(
        "schema: element type 12",
        |at| column(at, &[1, b'x', 12, 0]),
        [
            "4/4/4 entry-damaged stream-contradiction unsealed",
            "damage 1, torn 1",
            "damage 1, torn 1; appends",
        ],
    ),
    case(
        "schema: five sides",
        |at| column(at, &[1, b'x', 6, 5, 1, 1, 1, 1, 1]),
        [
            "4/4/4 entry-damaged stream-contradiction unsealed",
            "damage 1, torn 1",
            "damage 1, torn 1; appends",
        ],
    ),
    case(
        "schema: 255 sides",
        |at| column(at, &[1, b'x', 6, 255]),
        [
            "4/4/4 entry-damaged stream-contradiction unsealed",
            "damage 1, torn 1",
            "damage 1, torn 1; appends",
        ],
    ),
    case(
        "schema: a side of zero",
        |at| column(at, &[1, b'x', 6, 1, 0]),
        [
            "4/4/4 entry-damaged stream-contradiction unsealed",
            "damage 1, torn 1",
            "damage 1, torn 1; appends",
        ],
    ),
    case(
        "schema: a side over 32 bits",
        |at| {
            column(at, &[1, b'x', 6, 1, 0x80, 0x80, 0x80, 0x80, 0x10]);
        },
        [
            "4/4/4 entry-damaged stream-contradiction unsealed",
            "damage 1, torn 1",
            "damage 1, torn 1; appends",
        ],
    ),
    case(
        "schema: sides whose product overflows",
        |at| {
            let side = [0xff, 0xff, 0xff, 0xff, 0x0f];
            column(at, &[&[1, b'x', 11, 4][..], &side, &side, &side, &side].concat());
        },
        [
            "4/4/4 entry-damaged stream-contradiction unsealed",
            "damage 1, torn 1",
            "damage 1, torn 1; appends",
        ],
    ),
    case(
        "schema: sides whose product wraps to zero",
        |at| {
            let side = [0x80, 0x80, 0x80, 0x80, 0x08];
            column(at, &[&[1, b'x', 11, 4][..], &side, &side, &side, &side].concat());
        },
        [
            "4/4/4 entry-damaged stream-contradiction unsealed",
            "damage 1, torn 1",
            "damage 1, torn 1; appends",
        ],
    ),
    case(
        "schema: a record over the cap",
        |at| {
            column(at, &[1, b'x', 6, 1, 0x80, 0x80, 0x80, 0x10]);
        },
        [
            "4/4/4 entry-damaged stream-contradiction unsealed",
            "damage 1, torn 1",
            "damage 1, torn 1; appends",
        ],
    ),
    case(
        "schema: time unit 0",
        |at| first(at, &[0, 1, 1, 1, b'a', 0, 0, 0, 1, 1, 1, 1, b'x', 5, 0]),
        [
            "4/4/4 entry-damaged stream-contradiction unsealed",
            "damage 1, torn 1",
            "damage 1, torn 1; appends",
        ],
    ),
    case(
        "schema: order 3",
        |at| first(at, &[0, 1, 1, 1, b'a', 0, 0, 1, 3, 1, 1, 1, b'x', 5, 0]),
        [
            "4/4/4 entry-damaged stream-contradiction unsealed",
            "damage 1, torn 1",
            "damage 1, torn 1; appends",
        ],
    ),
    case(
        "schema: compression 9",
        |at| first(at, &[0, 1, 1, 1, b'a', 0, 0, 1, 1, 9, 1, 1, b'x', 5, 0]),
        [
            "4/4/4 entry-damaged stream-contradiction unsealed",
            "damage 1, torn 1",
            "damage 1, torn 1; appends",
        ],
    ),
    case(
        "schema: ends early",
        |at| first(at, &[0, 1, 1, 1, b'a', 0, 0, 1]),
        [
            "4/4/4 entry-damaged stream-contradiction unsealed",
            "damage 1, torn 1",
            "damage 1, torn 1; appends",
        ],
    ),
    case(
        "schema: the largest record",
        |at| {
            let large = Schema::single(DType::U8, &[33_550_000]).unwrap();
            streams(at, vec![stream(1, "a", plain()), stream(2, "large", large)]);
        },
        ["0/0/0 unsealed", "a=20, large=0", "a=20, large=0; appends"],
    ),
    case(
        "schemas in 100 segments that differ",
        |at| {
            let mut previous = Log::new(1).opened();
            for segment in 2..=100 {
                let header = previous.next(segment);
                put(at, segment - 1, &previous.sealed());
                previous = Log::of(header);
                let schema = Schema::single(DType::U8, &[segment]).unwrap();
                previous.tell(&Catalog { retained_from: 0, streams: vec![stream(1, "a", schema)] });
            }
            previous.put(at);
        },
        ["4/4/4 stream-contradiction unsealed", "damage 99, a=0", "damage 99, a=0; appends"],
    ),
];

#[test]
fn catalogs() {
    run(CATALOGS);
}

#[test]
fn schemas() {
    run(SCHEMAS);
}
