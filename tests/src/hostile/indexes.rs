//! Indexes that lie. The blocks are right: the judge says so, and a reader gives no wrong answer.

use std::path::Path;

use presence_format::entry::EntryKind;
use presence_format::index::{Index, IndexEntry, StreamBlocks};
use presence_format::varint;

use super::build::{Log, catalog, plain, put, stream};
use super::{Case, case, run};

/// A sealed segment with a changed index.
fn index(at: &Path, change: impl FnOnce(&mut Index)) {
    put(at, 1, &Log::standard().whole().sealed_as(change, |_| {}));
}

/// The same with one changed entry.
fn entry(at: &Path, change: impl FnOnce(&mut IndexEntry)) {
    index(at, |index| change(&mut index.streams[0].entries[1]));
}

/// A sealed segment with this payload as its index.
fn payload(at: &Path, bytes: &[u8]) {
    put(at, 1, &Log::standard().whole().sealed_with(bytes, |_| {}));
}

const INDEXES: &[Case] = &[
    case(
        "index: no bytes",
        |at| payload(at, &[]),
        ["4/4/4 entry-damaged index-damaged", "torn 1, a=45", "torn 1, a=45; appends"],
    ),
    case(
        "index: a catalog of 2^64 - 1 bytes",
        |at| {
            payload(at, &[[0xff; 9].as_slice(), &[1]].concat());
        },
        ["4/4/4 entry-damaged index-damaged", "torn 1, a=45", "torn 1, a=45; appends"],
    ),
    case(
        "index: of 2^63 streams",
        |at| {
            let mut bytes = vec![2, 0, 0];
            varint::encode(1 << 63, &mut bytes);
            payload(at, &bytes);
        },
        ["4/4/4 entry-damaged index-damaged", "torn 1, a=45", "torn 1, a=45; appends"],
    ),
    case(
        "index: 65536 streams without blocks",
        |at| {
            let mut index = Log::standard().whole().index();
            index.streams =
                (1..=65_536).map(|stream| StreamBlocks { stream, entries: vec![] }).collect();
            payload(at, &index.encode());
        },
        ["4/4/4 index-disagrees", "lost 1, a=0+Gap", "lost 1, a=0+Gap; appends"],
    ),
    case(
        "index: 2^60 blocks",
        |at| {
            let mut bytes = vec![2, 0, 0, 1, 1];
            varint::encode(1 << 60, &mut bytes);
            payload(at, &bytes);
        },
        ["4/4/4 entry-damaged index-damaged", "torn 1, a=45", "torn 1, a=45; appends"],
    ),
    case(
        "index: bytes behind it",
        |at| {
            payload(at, &[Log::standard().whole().index().encode(), vec![0]].concat());
        },
        ["4/4/4 entry-damaged index-damaged", "torn 1, a=45", "torn 1, a=45; appends"],
    ),
    case(
        "index: a catalog without the stream",
        |at| index(at, |i| i.catalog.streams.clear()),
        ["4/4/4 index-disagrees", "torn 1, a=45", "torn 1, a=45; appends"],
    ),
    case(
        "index: a catalog of another stream",
        |at| {
            index(at, |i| i.catalog.streams[0].id = 2);
        },
        [
            "4/4/4 index-disagrees records-missing stream-contradiction",
            "torn 1, a=45",
            "torn 1, a=45; appends",
        ],
    ),
    case(
        "index: a catalog of another name",
        |at| {
            index(at, |i| i.catalog.streams[0].name = "b".to_owned());
        },
        ["0/4/4 stream-contradiction", "b=45", "b=45; appends"],
    ),
    case(
        "index: a catalog of more records",
        |at| {
            index(at, |i| i.catalog.streams[0].sequence = 1 << 40);
        },
        ["4/4/4 records-missing", "lost 1, a=0+Gap", "lost 1, a=0+Gap; appends"],
    ),
    case(
        "index: a catalog of fewer records",
        |at| {
            index(at, |i| i.catalog.streams[0].sequence = 1);
        },
        ["0/4/4 index-disagrees", "a=45", "a=45; appends"],
    ),
    case(
        "index: a catalog of a stream more",
        |at| {
            index(at, |i| i.catalog.streams.push(stream(2, "ghost", plain())));
        },
        ["0/4/4 index-disagrees", "a=45, ghost=0", "a=45, ghost=0; appends"],
    ),
    case(
        "index: no blocks",
        |at| index(at, |i| i.streams.clear()),
        ["4/4/4 index-disagrees", "lost 1, a=0+Gap", "lost 1, a=0+Gap; appends"],
    ),
    case(
        "index: a block less",
        |at| index(at, |i| i.streams[0].entries.truncate(2)),
        ["4/4/4 index-disagrees", "lost 1, a=0+Gap", "lost 1, a=0+Gap; appends"],
    ),
    case(
        "index: a block twice",
        |at| {
            index(at, |i| {
                let first = i.streams[0].entries[0];
                i.streams[0].entries.insert(0, first);
            });
        },
        ["4/4/4 entry-damaged index-damaged", "torn 1, a=45", "torn 1, a=45; appends"],
    ),
    case(
        "index: blocks out of order",
        |at| index(at, |i| i.streams[0].entries.swap(0, 1)),
        ["4/4/4 entry-damaged index-damaged", "torn 1, a=45", "torn 1, a=45; appends"],
    ),
    case(
        "index: a stream twice",
        |at| {
            index(at, |i| {
                let again = i.streams[0].clone();
                i.streams.push(again);
            });
        },
        ["4/4/4 entry-damaged index-damaged", "torn 1, a=45", "torn 1, a=45; appends"],
    ),
    case(
        "index: blocks of a stream that is none",
        |at| index(at, |i| i.streams[0].stream = 9),
        ["4/4/4 index-disagrees", "torn 1, a=45", "torn 1, a=45; appends"],
    ),
    case(
        "index: another first timestamp",
        |at| entry(at, |e| e.first_ts = 201.into()),
        ["0/4/4 index-disagrees", "a=20+Corrupt", "a=20+Corrupt; appends"],
    ),
    case(
        "index: another last timestamp",
        |at| entry(at, |e| e.last_ts = 389.into()),
        ["0/4/4 index-disagrees", "a=20+Corrupt", "a=20+Corrupt; appends"],
    ),
    case(
        "index: first timestamp after the last",
        |at| entry(at, |e| e.first_ts = 999.into()),
        ["4/4/4 entry-damaged index-damaged", "torn 1, a=45", "torn 1, a=45; appends"],
    ),
    case(
        "index: another sequence",
        |at| entry(at, |e| e.first_sequence = 21.into()),
        ["4/4/4 entry-damaged index-damaged", "torn 1, a=45", "torn 1, a=45; appends"],
    ),
    case(
        "index: sequence at 2^64 - 1",
        |at| entry(at, |e| e.first_sequence = u64::MAX.into()),
        ["4/4/4 entry-damaged index-damaged", "torn 1, a=45", "torn 1, a=45; appends"],
    ),
    case(
        "index: more records",
        |at| entry(at, |e| e.records = 21.into()),
        ["4/4/4 entry-damaged index-damaged", "torn 1, a=45", "torn 1, a=45; appends"],
    ),
    case(
        "index: fewer records",
        |at| entry(at, |e| e.records = 5.into()),
        ["4/4/4 index-disagrees", "lost 1, a=0+Gap", "lost 1, a=0+Gap; appends"],
    ),
    case(
        "index: no records",
        |at| entry(at, |e| e.records = 0.into()),
        ["4/4/4 entry-damaged index-damaged", "torn 1, a=45", "torn 1, a=45; appends"],
    ),
    case(
        "index: records over the cap",
        |at| entry(at, |e| e.records = u32::MAX.into()),
        ["4/4/4 entry-damaged index-damaged", "torn 1, a=45", "torn 1, a=45; appends"],
    ),
    case(
        "index: another payload",
        |at| entry(at, |e| e.payload_bytes = 64.into()),
        ["0/4/4 index-disagrees", "a=20+Corrupt", "a=20+Corrupt; appends"],
    ),
    case(
        "index: a payload of 32 MiB",
        |at| entry(at, |e| e.payload_bytes = (32 << 20).into()),
        ["4/4/4 entry-damaged index-damaged", "torn 1, a=45", "torn 1, a=45; appends"],
    ),
    case(
        "index: another checksum",
        |at| entry(at, |e| e.header_crc = 9.into()),
        ["0/4/4 index-disagrees", "a=20+Corrupt", "a=20+Corrupt; appends"],
    ),
    case(
        "index: a rank",
        |at| entry(at, |e| e.rank = 7.into()),
        ["0/4/4 index-disagrees", "a=20+Corrupt", "a=20+Corrupt; appends"],
    ),
    case(
        "index: a block beyond the index",
        |at| entry(at, |e| e.offset = (1 << 20).into()),
        ["4/4/4 entry-damaged index-damaged", "torn 1, a=45", "torn 1, a=45; appends"],
    ),
    case(
        "index: a block at the greatest offset",
        |at| entry(at, |e| e.offset = u32::MAX.into()),
        ["4/4/4 entry-damaged index-damaged", "torn 1, a=45", "torn 1, a=45; appends"],
    ),
    case(
        "index: a block in the header",
        |at| entry(at, |e| e.offset = 0.into()),
        ["4/4/4 entry-damaged index-damaged", "torn 1, a=45", "torn 1, a=45; appends"],
    ),
    case(
        "index: a block unaligned",
        |at| {
            entry(at, |e| e.offset = (e.offset.get() + 1).into());
        },
        ["4/4/4 entry-damaged index-damaged", "torn 1, a=45", "torn 1, a=45; appends"],
    ),
    case(
        "index: the block before",
        |at| {
            index(at, |i| i.streams[0].entries[1].offset = i.streams[0].entries[0].offset);
        },
        ["0/4/4 index-disagrees", "a=20+Corrupt", "a=20+Corrupt; appends"],
    ),
    case(
        "index: the catalog as a block",
        |at| entry(at, |e| e.offset = 128.into()),
        ["0/4/4 index-disagrees", "a=20+Corrupt", "a=20+Corrupt; appends"],
    ),
    case(
        "index: 100000 blocks that are one",
        |at| {
            let mut index = Log::standard().whole().index();
            let one = index.streams[0].entries[0];
            index.streams[0].entries = (0..100_000)
                .map(|number: u64| IndexEntry {
                    first_sequence: (number * 20).into(),
                    first_ts: (number as i64 * 200).into(),
                    last_ts: (number as i64 * 200 + 190).into(),
                    ..one
                })
                .collect();
            payload(at, &index.encode());
        },
        ["0/4/4 index-disagrees", "a=0+Corrupt", "a=0+Corrupt; appends"],
    ),
    case(
        "index: 250000 blocks that are one",
        |at| {
            let mut index = Log::standard().whole().index();
            let one = index.streams[0].entries[0];
            index.streams[0].entries = (0..250_000)
                .map(|number: u64| IndexEntry {
                    first_sequence: (number * 20).into(),
                    first_ts: (number as i64 * 200).into(),
                    last_ts: (number as i64 * 200 + 190).into(),
                    ..one
                })
                .collect();
            payload(at, &index.encode());
        },
        ["0/4/4 index-disagrees", "a=0+Corrupt", "a=0+Corrupt; appends"],
    )
    .with_memory(128 << 10),
    case(
        "index: an index that another follows",
        |at| {
            let mut log = Log::standard().whole();
            let index = log.index().encode();
            log.entry(EntryKind::Index, &index, |_| {}).entry(EntryKind::Index, &index, |_| {});
            put(at, 1, &log.sealed());
        },
        ["0/0/0", "a=45", "a=45; appends"],
    ),
    case(
        "index: wrong checksum",
        |at| {
            let mut bytes = Log::standard().whole().sealed();
            let last = bytes.len() - 64 - 32;
            bytes[last] ^= 0xff;
            bytes[last - 40] ^= 0xff;
            put(at, 1, &bytes);
        },
        ["4/4/4 index-damaged", "torn 1, a=45", "torn 1, a=45; appends"],
    ),
    case(
        "index: that of an older version of the segment",
        |at| {
            let mut log = Log::new(1).opened();
            log.block(1, 0, 20);
            let old = log.index();
            log.block(1, 20, 20).catalog = catalog();
            put(at, 1, &log.sealed_with(&old.encode(), |_| {}));
        },
        ["0/4/4 index-disagrees", "a=20", "a=20; appends"],
    ),
];

#[test]
fn indexes() {
    run(INDEXES);
}
