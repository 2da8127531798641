//! Entry headers that lie.

use std::path::Path;

use presence_format::entry::{EntryBuilder, EntryKind};

use super::build::{Log, OTHER, catalog, put, section};
use super::{Case, case, run};

/// A standard segment, then a block of records 40 to 60 whose header was changed, then a sound one
/// that says all before it was durable.
fn block(at: &Path, change: impl FnOnce(&mut EntryBuilder)) {
    let mut log = Log::new(1).opened();
    log.block(1, 0, 20).changed_block(1, 20, 20, change).block(1, 40, 20);
    log.put(at);
}

/// The same, the lie being the last entry: a crash may have left it.
fn last(at: &Path, change: impl FnOnce(&mut EntryBuilder)) {
    let mut log = Log::new(1).opened();
    log.block(1, 0, 20).changed_block(1, 20, 20, change);
    log.put(at);
}

/// Headers without a payload behind each other.
fn marks(count: u32, change: impl Fn(u32, &mut EntryBuilder)) -> Log {
    let mut log = Log::new(1).opened();
    for index in 0..count {
        log.entry(EntryKind::Frame, &[], |builder| change(index, builder));
    }
    log
}

/// An entry of a kind that does not exist, its checksum right.
fn kind(at: &Path, code: u8) {
    let mut log = Log::new(1).opened();
    let entry = log.block(1, 0, 20).bytes.len();
    log.frame(&[], 0).forge(entry, 64, 20, &[code]);
    log.crc = u32::from_le_bytes(log.bytes[entry + 4..entry + 8].try_into().unwrap());
    log.block(1, 20, 20).put(at);
}

const HEADERS: &[Case] = &[
    case(
        "payload over the cap",
        |at| block(at, |b| b.header.payload_bytes = (33 << 20).into()),
        [
            "4/4/4 entry-damaged records-missing unsealed",
            "damage 1, lost 1, a=0+Gap",
            "damage 1, lost 1, a=0+Gap; appends",
        ],
    ),
    case(
        "payload at the greatest",
        |at| {
            block(at, |b| b.header.payload_bytes = u32::MAX.into());
        },
        [
            "4/4/4 entry-damaged records-missing unsealed",
            "damage 1, lost 1, a=0+Gap",
            "damage 1, lost 1, a=0+Gap; appends",
        ],
    ),
    case(
        "payload of 32 MiB in a small file",
        |at| {
            block(at, |b| b.header.payload_bytes = (32 << 20).into());
        },
        [
            "0/4/4 entry-damaged records-missing unsealed",
            "damage 1, lost 1, a=0+Gap",
            "damage 1, lost 1, a=0+Gap; appends",
        ],
    ),
    case(
        "payload of 32 MiB at the end",
        |at| {
            last(at, |b| b.header.payload_bytes = (32 << 20).into());
        },
        ["0/0/0 torn-tail unsealed", "torn 1, a=20", "torn 1, a=20; appends"],
    ),
    case(
        "payload of no bytes",
        |at| block(at, |b| b.header.payload_bytes = 0.into()),
        [
            "0/4/4 entry-damaged records-missing unsealed",
            "damage 1, lost 1, a=0+Gap",
            "damage 1, lost 1, a=0+Gap; appends",
        ],
    ),
    case(
        "payload into the next entry",
        |at| {
            block(at, |b| b.header.payload_bytes = 4096.into());
        },
        [
            "0/4/4 entry-damaged records-missing unsealed",
            "damage 1, lost 1, a=0+Gap",
            "damage 1, lost 1, a=0+Gap; appends",
        ],
    ),
    case(
        "wrong checksum of the payload",
        |at| block(at, |b| b.header.payload_crc = 1.into()),
        [
            "0/4/4 entry-damaged records-missing unsealed",
            "damage 1, lost 1, a=0+Gap",
            "damage 1, lost 1, a=0+Gap; appends",
        ],
    ),
    case(
        "wrong checksum of the last payload",
        |at| {
            last(at, |b| b.header.payload_crc = 1.into());
        },
        ["0/0/0 torn-tail unsealed", "torn 1, a=20", "torn 1, a=20; appends"],
    ),
    case(
        "records over the cap",
        |at| block(at, |b| b.header.records = ((1 << 17) + 1).into()),
        [
            "4/4/4 entry-damaged records-missing unsealed",
            "damage 1, lost 1, a=0+Gap",
            "damage 1, lost 1, a=0+Gap; appends",
        ],
    ),
    case(
        "records at the greatest",
        |at| block(at, |b| b.header.records = u32::MAX.into()),
        [
            "4/4/4 entry-damaged records-missing unsealed",
            "damage 1, lost 1, a=0+Gap",
            "damage 1, lost 1, a=0+Gap; appends",
        ],
    ),
    case(
        "no records in a block",
        |at| block(at, |b| b.header.records = 0.into()),
        [
            "4/4/4 entry-damaged records-missing unsealed",
            "damage 1, lost 1, a=0+Gap",
            "damage 1, lost 1, a=0+Gap; appends",
        ],
    ),
    case(
        "one record more than there are",
        |at| block(at, |b| b.header.records = 21.into()),
        [
            "4/4/4 block-content stream-contradiction unsealed",
            "torn 1, a=0+Corrupt",
            "torn 1, a=0+Corrupt; appends",
        ],
    ),
    case(
        "offset elsewhere",
        |at| block(at, |b| b.header.offset = 4096.into()),
        [
            "4/4/4 entry-damaged records-missing unsealed",
            "damage 1, lost 1, a=0+Gap",
            "damage 1, lost 1, a=0+Gap; appends",
        ],
    ),
    case(
        "offset in the segment header",
        |at| block(at, |b| b.header.offset = 64.into()),
        [
            "4/4/4 entry-damaged records-missing unsealed",
            "damage 1, lost 1, a=0+Gap",
            "damage 1, lost 1, a=0+Gap; appends",
        ],
    ),
    case(
        "offset beyond the end",
        |at| block(at, |b| b.header.offset = u32::MAX.into()),
        [
            "4/4/4 entry-damaged records-missing unsealed",
            "damage 1, lost 1, a=0+Gap",
            "damage 1, lost 1, a=0+Gap; appends",
        ],
    ),
    case(
        "offset unaligned",
        |at| {
            block(at, |b| b.header.offset = (b.header.offset.get() + 1).into());
        },
        [
            "4/4/4 entry-damaged records-missing unsealed",
            "damage 1, lost 1, a=0+Gap",
            "damage 1, lost 1, a=0+Gap; appends",
        ],
    ),
    case(
        "number of the entry before",
        |at| block(at, |b| b.header.number = 1.into()),
        [
            "4/4/4 entry-damaged records-missing unsealed",
            "damage 1, lost 1, a=0+Gap",
            "damage 1, lost 1, a=0+Gap; appends",
        ],
    ),
    case(
        "number far above",
        |at| block(at, |b| b.header.number = u32::MAX.into()),
        [
            "4/4/4 entry-damaged records-missing unsealed",
            "damage 1, lost 1, a=0+Gap",
            "damage 1, lost 1, a=0+Gap; appends",
        ],
    ),
    case(
        "chained to itself",
        |at| block(at, |b| b.header.previous_crc = 0xdead_beef.into()),
        [
            "4/4/4 entry-damaged records-missing unsealed",
            "damage 1, lost 1, a=0+Gap",
            "damage 1, lost 1, a=0+Gap; appends",
        ],
    ),
    case(
        "chained to the segment header",
        |at| {
            let first = Log::new(1).crc;
            block(at, |b| b.header.previous_crc = first.into());
        },
        [
            "4/4/4 entry-damaged records-missing unsealed",
            "damage 1, lost 1, a=0+Gap",
            "damage 1, lost 1, a=0+Gap; appends",
        ],
    ),
    case(
        "of another segment",
        |at| block(at, |b| b.header.segment = 2.into()),
        [
            "4/4/4 entry-damaged records-missing unsealed",
            "damage 1, lost 1, a=0+Gap",
            "damage 1, lost 1, a=0+Gap; appends",
        ],
    ),
    case(
        "of another database",
        |at| block(at, |b| b.header.database = OTHER.short().into()),
        [
            "4/4/4 entry-damaged records-missing unsealed",
            "damage 1, lost 1, a=0+Gap",
            "damage 1, lost 1, a=0+Gap; appends",
        ],
    ),
    case(
        "stream 0 of a block",
        |at| block(at, |b| b.header.stream = 0.into()),
        [
            "4/4/4 entry-damaged records-missing unsealed",
            "damage 1, lost 1, a=0+Gap",
            "damage 1, lost 1, a=0+Gap; appends",
        ],
    ),
    case(
        "stream over the cap",
        |at| block(at, |b| b.header.stream = 65_537.into()),
        [
            "4/4/4 entry-damaged records-missing unsealed",
            "damage 1, lost 1, a=0+Gap",
            "damage 1, lost 1, a=0+Gap; appends",
        ],
    ),
    case(
        "stream at the greatest",
        |at| block(at, |b| b.header.stream = u32::MAX.into()),
        [
            "4/4/4 entry-damaged records-missing unsealed",
            "damage 1, lost 1, a=0+Gap",
            "damage 1, lost 1, a=0+Gap; appends",
        ],
    ),
    case(
        "stream that no catalog has",
        |at| block(at, |b| b.header.stream = 2.into()),
        [
            "4/4/4 records-missing stream-contradiction unsealed",
            "damage 1, lost 1, a=0+Gap",
            "damage 1, lost 1, a=0+Gap; appends",
        ],
    ),
    case(
        "sequence at 2^64 - 1",
        |at| block(at, |b| b.header.first_sequence = u64::MAX.into()),
        [
            "4/4/4 entry-damaged records-missing unsealed",
            "damage 1, lost 1, a=0+Gap",
            "damage 1, lost 1, a=0+Gap; appends",
        ],
    ),
    case(
        "sequence at 2^63",
        |at| block(at, |b| b.header.first_sequence = (1 << 63).into()),
        [
            "4/4/4 records-missing stream-contradiction unsealed",
            "torn 1, lost 1, a=0+Gap",
            "torn 1, lost 1, a=0+Gap; appends",
        ],
    ),
    case(
        "sequence that repeats",
        |at| block(at, |b| b.header.first_sequence = 19.into()),
        [
            "4/4/4 records-missing stream-contradiction unsealed",
            "damage 1, lost 1, a=0+Gap",
            "damage 1, lost 1, a=0+Gap; appends",
        ],
    ),
    case(
        "sequence from the beginning",
        |at| block(at, |b| b.header.first_sequence = 0.into()),
        [
            "4/4/4 records-missing stream-contradiction unsealed",
            "damage 1, lost 1, a=0+Gap",
            "damage 1, lost 1, a=0+Gap; appends",
        ],
    ),
    case(
        "durable offset beyond itself",
        |at| {
            block(at, |b| b.header.durable_offset = (b.header.offset.get() + 64).into());
        },
        [
            "4/4/4 entry-damaged records-missing unsealed",
            "damage 1, lost 1, a=0+Gap",
            "damage 1, lost 1, a=0+Gap; appends",
        ],
    ),
    case(
        "durable offset at the greatest",
        |at| {
            block(at, |b| b.header.durable_offset = u32::MAX.into());
        },
        [
            "4/4/4 entry-damaged records-missing unsealed",
            "damage 1, lost 1, a=0+Gap",
            "damage 1, lost 1, a=0+Gap; appends",
        ],
    ),
    case(
        "durable offset that falls",
        |at| block(at, |b| b.header.durable_offset = 0.into()),
        ["0/0/0 unsealed", "a=60", "a=60; appends"],
    ),
    case(
        "durable offset unaligned",
        |at| block(at, |b| b.header.durable_offset = 129.into()),
        ["0/0/0 unsealed", "a=60", "a=60; appends"],
    ),
    case(
        "reserved bytes of an entry in use",
        |at| block(at, |b| b.header.reserved = [255; 3]),
        ["0/0/0 unsealed", "a=60", "a=60; appends"],
    ),
    case(
        "kind 0",
        |at| kind(at, 0),
        ["4/4/4 entry-damaged unsealed", "damage 1, a=40", "damage 1, a=40; appends"],
    ),
    case(
        "kind 5",
        |at| kind(at, 5),
        ["4/4/4 entry-damaged unsealed", "damage 1, a=40", "damage 1, a=40; appends"],
    ),
    case(
        "kind 255",
        |at| kind(at, 255),
        ["4/4/4 entry-damaged unsealed", "damage 1, a=40", "damage 1, a=40; appends"],
    ),
    case(
        "stream of a frame",
        |at| {
            let mut log = Log::new(1).opened();
            log.entry(EntryKind::Frame, &section(1, 0, 5), |b| b.header.stream = 1.into());
            log.block(1, 5, 5).put(at);
        },
        [
            "4/4/4 entry-damaged records-missing unsealed",
            "damage 1, lost 1, a=0+Gap",
            "damage 1, lost 1, a=0+Gap; appends",
        ],
    ),
    case(
        "no catalog in front",
        |at| {
            let mut log = Log::new(1);
            log.block(1, 0, 20).tell(&catalog()).block(1, 20, 20).put(at);
        },
        [
            "4/4/4 records-missing stream-contradiction unsealed",
            "damage 1, lost 1, a=0+Gap",
            "damage 1, lost 1, a=0+Gap; appends",
        ],
    ),
    case(
        "no catalog at all",
        |at| Log::new(1).block(1, 0, 20).block(1, 20, 20).put(at),
        ["4/4/4 stream-contradiction unsealed", "damage 1, torn 1", "damage 1, torn 1; appends"],
    ),
    case(
        "an index in the middle",
        |at| {
            let mut log = Log::new(1).opened();
            let index = log.block(1, 0, 20).index().encode();
            log.entry(EntryKind::Index, &index, |_| {}).block(1, 20, 20).put(at);
        },
        ["0/0/0 unsealed", "a=40", "a=40; appends"],
    ),
    case(
        "padding that is not zeros",
        |at| {
            let mut log = Log::new(1).opened();
            let padding = log.end() as usize - 1;
            log.poke(padding, &[1]).block(1, 0, 20).put(at);
        },
        ["4/4/4 not-zeros unsealed", "a=20", "a=20; appends"],
    ),
    case(
        "an unaligned entry",
        |at| {
            let mut log = Log::new(1).opened();
            log.bytes.extend([0; 32]);
            log.block(1, 0, 20).put(at);
        },
        ["0/0/0 torn-tail unsealed", "torn 1, a=0", "torn 1, a=0; appends"],
    ),
    case(
        "an entry twice",
        |at| {
            let mut log = Log::new(1).opened();
            let from = log.bytes.len();
            let copy = log.block(1, 0, 20).bytes[from..].to_vec();
            log.raw(&copy).block(1, 20, 20).put(at);
        },
        ["0/0/0 torn-inside unsealed", "torn 1, a=40", "torn 1, a=40; appends"],
    ),
    case(
        "two entries swapped",
        |at| {
            let mut log = Log::new(1).opened();
            let from = log.bytes.len();
            let middle = log.block(1, 0, 20).bytes.len();
            log.block(1, 20, 20).block(1, 40, 20);
            let (one, two) =
                (log.bytes[from..middle].to_vec(), log.bytes[middle..2 * middle - from].to_vec());
            log.poke(from, &two).poke(middle, &one).put(at);
        },
        [
            "4/4/4 entry-damaged records-missing unsealed",
            "damage 1, lost 1, a=0+Gap",
            "damage 1, lost 1, a=0+Gap; appends",
        ],
    ),
    case(
        "a hole between entries",
        |at| {
            let mut log = Log::new(1).opened();
            log.block(1, 0, 20).raw(&[0; 640]).block(1, 20, 20).put(at);
        },
        ["0/0/0 unsealed", "a=40", "a=40; appends"],
    ),
    case(
        "words between entries",
        |at| {
            let mut log = Log::new(1).opened();
            log.block(1, 0, 20).raw(&[b'x'; 640]).block(1, 20, 20).put(at);
        },
        ["0/0/0 torn-inside unsealed", "torn 1, a=40", "torn 1, a=40; appends"],
    ),
    case(
        "an entry beyond the largest segment",
        |at| {
            last(at, |b| b.header.offset = ((1 << 30) - 64).into());
        },
        ["0/0/0 torn-tail unsealed", "torn 1, a=20", "torn 1, a=20; appends"],
    ),
];

const MANY: &[Case] = &[
    case(
        "16384 headers that each claim 32 MiB",
        |at| {
            let mut log = Log::new(1).opened();
            for _ in 0..16_384 {
                log.entry(EntryKind::Frame, &[], |b| b.header.payload_bytes = (32 << 20).into());
            }
            log.put(at);
        },
        [
            "4/4/4 entry-damaged given-up unsealed",
            "damage 5, torn 1, a=0",
            "damage 9, torn 1, a=0; appends",
        ],
    ),
    case(
        "16384 headers that claim 32 MiB, with tables",
        |at| {
            let mut log = marks(16_384, |_, b| {
                b.header.payload_bytes = (32 << 20).into();
                b.header.payload_crc = 1.into();
            });
            log.block(1, 0, 20).put(at);
        },
        [
            "4/4/4 entry-damaged given-up unsealed",
            "damage 5, torn 1, a=0",
            "damage 9, torn 1, a=0; appends",
        ],
    ),
    case(
        "100000 marks that do not chain",
        |at| {
            let log = marks(100_000, |index, b| {
                b.header.previous_crc = index.into();
                b.header.number = (2 * index + 5).into();
            });
            log.put(at);
        },
        [
            "4/4/4 entry-damaged unsealed",
            "damage 10001, torn 1, a=0",
            "damage 10001, torn 1, a=0; appends",
        ],
    ),
    case(
        "100000 marks with one number",
        |at| marks(100_000, |_, b| b.header.number = 7.into()).put(at),
        ["4/4/4 entry-damaged unsealed", "damage 1, a=0", "damage 1, a=0; appends"],
    ),
    case(
        "100000 marks whose numbers fall",
        |at| {
            marks(100_000, |index, b| b.header.number = (200_000 - index).into()).put(at);
        },
        ["4/4/4 entry-damaged unsealed", "damage 1, a=0", "damage 1, a=0; appends"],
    ),
    case(
        "100000 sound marks",
        |at| marks(100_000, |_, _| {}).put(at),
        ["0/0/0 unsealed", "a=0", "a=0; appends"],
    ),
    case(
        "100000 marks, every other unsound",
        |at| {
            let mut log = marks(100_000, |_, _| {});
            for index in (1..100_000).step_by(2) {
                let mark = log.bytes.len() - 64 * 100_000 + 64 * index;
                log.poke(mark + 8, &[1]);
            }
            log.put(at);
        },
        [
            "4/4/4 entry-damaged unsealed",
            "damage 10001, torn 1, a=0",
            "damage 10001, torn 1, a=0; appends",
        ],
    ),
    case(
        "entry magics only",
        |at| {
            let mut log = Log::new(1).opened();
            log.raw(&b"PRSe".repeat(1 << 18)).put(at);
        },
        ["0/0/0 torn-tail unsealed", "torn 1, a=0", "torn 1, a=0; appends"],
    ),
    case(
        "entry magics before the end",
        |at| {
            let mut log = Log::new(1).opened();
            log.raw(&b"PRSe".repeat(1 << 18)).block(1, 0, 20).put(at);
        },
        ["0/0/0 torn-inside unsealed", "torn 1, a=20", "torn 1, a=20; appends"],
    ),
    case(
        "a chain that closes",
        |at| {
            // The second half repeats number and chain of the first.
            let mut log = marks(64, |_, _| {});
            let (number, crc) = (log.number, log.crc);
            log.number = 1;
            for _ in 0..64 {
                log.entry(EntryKind::Frame, &[], |_| {});
            }
            (log.number, log.crc) = (number, crc);
            log.block(1, 0, 20);
            put(at, 1, &log.bytes);
        },
        ["0/0/0 torn-inside unsealed", "torn 1, a=20", "torn 1, a=20; appends"],
    ),
];

#[test]
fn entry_headers() {
    run(HEADERS);
}

#[test]
fn many_entries() {
    run(MANY);
}
