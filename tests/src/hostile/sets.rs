//! Segments that contradict each other: compactions, chains, files that were swapped.

use std::path::Path;

use presence_format::catalog::Catalog;
use presence_format::segment::SegmentHeader;

use super::build::{DATABASE, Log, OTHER, catalog, put};
use super::{Case, case, run};

/// A database of three log segments with twenty records each, the last one unsealed.
fn three() -> [Log; 3] {
    let first = filled(SegmentHeader::first(DATABASE, 1, 0), 0);
    let second = filled(first.next(2), 20);
    let third = filled(second.next(3), 40);
    [first, second, third]
}

/// A segment with records `from` to `from + 20`.
fn filled(header: SegmentHeader, from: u64) -> Log {
    let mut log = Log::of(header);
    let mut all = catalog();
    all.streams[0].sequence = from;
    all.streams[0].last_ts = from.checked_sub(1).map(|last| last as i64 * 10);
    log.tell(&all).block(1, from, 20);
    log
}

fn put_all(at: &Path, logs: [Log; 3]) {
    let [first, second, third] = logs;
    put(at, 1, &first.sealed());
    put(at, 2, &second.sealed());
    third.put(at);
}

/// The database, and one output of a compaction of its segments 1 and 2 with a changed header.
fn output(at: &Path, inputs: bool, change: impl FnOnce(&mut SegmentHeader)) {
    let [first, second, third] = three();
    let mut header = first.header;
    header.segment = 8.into();
    header.set = 8.into();
    header.generation = 1.into();
    header.log_first = 1.into();
    header.log_last = 2.into();
    change(&mut header);
    let mut log = Log::of(header);
    let (end, crc) = (second.end(), second.crc);
    log.tell(&second.index().catalog).block(1, 0, 20).block(1, 20, 20);
    let bytes = log.sealed_as(
        |_| {},
        |footer| {
            footer.log_end = end.into();
            footer.log_crc = crc.into();
        },
    );
    if inputs {
        put(at, 1, &first.sealed());
        put(at, 2, &second.sealed());
    }
    third.put(at);
    put(at, header.segment.get(), &bytes);
}

/// The database without one of its segments.
fn without(at: &Path, number: u32) {
    put_all(at, three());
    std::fs::remove_file(at.join(super::build::name(number))).unwrap();
}

const SETS: &[Case] = &[
    case("set: sound", |at| put_all(at, three()), ["0/0/0 unsealed", "a=60", "a=60; appends"]),
    case(
        "set: the first is missing",
        |at| without(at, 1),
        [
            "4/4/4 records-missing segment-missing unsealed",
            "damage 1, lost 1, a=0+Gap",
            "damage 1, lost 1, a=0+Gap; appends",
        ],
    ),
    case(
        "set: the middle is missing",
        |at| without(at, 2),
        [
            "4/4/4 records-missing segment-missing unsealed",
            "damage 1, lost 1, a=0+Gap",
            "damage 1, lost 1, a=0+Gap; appends",
        ],
    ),
    case("set: the last is missing", |at| without(at, 3), ["0/0/0", "a=40", "a=40; appends"]),
    case(
        "set: two files swapped",
        |at| {
            let [first, second, third] = three();
            put(at, 2, &first.sealed());
            put(at, 1, &second.sealed());
            third.put(at);
        },
        [
            "4/4/4 records-missing segment-missing unsealed wrong-number",
            "damage 3, lost 1, a=0+Gap",
            "damage 3, lost 1, a=0+Gap; appends",
        ],
    ),
    case(
        "set: an older version restored",
        |at| {
            let [first, _, third] = three();
            let mut old = Log::of(first.next(2));
            old.tell(&catalog()).block(1, 20, 10);
            put(at, 1, &first.sealed());
            put(at, 2, &old.sealed());
            third.put(at);
        },
        [
            "4/4/4 chain-broken records-missing unsealed",
            "damage 1, lost 1, a=0+Gap",
            "damage 1, lost 1, a=0+Gap; appends",
        ],
    ),
    case(
        "set: an older, unsealed version restored",
        |at| {
            let [first, second, third] = three();
            put(at, 1, &first.sealed());
            put(at, 2, &second.bytes[..512]);
            third.put(at);
        },
        [
            "4/4/4 entry-damaged index-damaged records-missing unsealed",
            "damage 3, lost 1, a=0+Gap",
            "damage 3, lost 1, a=0+Gap; appends",
        ],
    ),
    case(
        "set: the middle never sealed",
        |at| {
            let [first, second, third] = three();
            put(at, 1, &first.sealed());
            second.put(at);
            third.put(at);
        },
        ["4/4/4 index-damaged unsealed", "damage 1, a=60", "damage 1, a=60; appends"],
    ),
    case(
        "set: another database in the middle",
        |at| {
            let [first, second, third] = three();
            let mut header = second.header;
            header.database = OTHER.0;
            put(at, 1, &first.sealed());
            put(at, 2, &filled(header, 20).sealed());
            third.put(at);
        },
        [
            "4/4/4 foreign-segment records-missing segment-missing unsealed",
            "damage 2, lost 1, a=0+Gap",
            "damage 2, lost 1, a=0+Gap; appends",
        ],
    ),
    case(
        "set: two databases half and half",
        |at| {
            put_all(at, three());
            for number in 4..=6 {
                put(at, number, &filled(SegmentHeader::first(OTHER, number, 0), 0).sealed());
            }
        },
        ["4/4/4 foreign-segment unsealed", "damage 3, a=60", "damage 3, a=60; appends"],
    ),
    case(
        "set: each of another database",
        |at| {
            for number in 1..=50 {
                let mut id = OTHER;
                id.0[3] = number as u8;
                put(at, number, &filled(SegmentHeader::first(id, number, 0), 0).bytes);
            }
        },
        ["4/4/4 foreign-segment unsealed", "damage 49, a=20", "damage 49, a=20; appends"],
    ),
    case(
        "set: stale blocks of another database",
        |at| {
            let [first, mut second, third] = three();
            let mut foreign =
                Log::of(SegmentHeader { database: OTHER.0, ..second.header }).opened();
            foreign.block(1, 20, 20).block(1, 40, 20);
            second.bytes.extend_from_slice(&foreign.bytes[second.bytes.len().min(512)..]);
            put(at, 1, &first.sealed());
            put(at, 2, &second.bytes);
            third.put(at);
        },
        ["4/4/4 index-damaged torn-tail unsealed", "damage 1, a=60", "damage 1, a=60; appends"],
    ),
    case(
        "set: all empty",
        |at| (1..=9).for_each(|number| put(at, number, &[])),
        ["4/4/4 segment-header", "NotADatabase", "NotADatabase"],
    ),
    case(
        "set: all zeros",
        |at| (1..=9).for_each(|number| put(at, number, &[0; 4096])),
        ["4/4/4 segment-header", "NotADatabase", "NotADatabase"],
    ),
    case(
        "set: one empty",
        |at| {
            put_all(at, three());
            put(at, 2, &[]);
        },
        [
            "4/4/4 records-missing segment-header segment-missing unsealed",
            "damage 2, lost 1, a=0+Gap",
            "damage 2, lost 1, a=0+Gap; appends",
        ],
    ),
    case(
        "set: the last one empty",
        |at| {
            put_all(at, three());
            put(at, 3, &[]);
        },
        ["4/4/4 segment-header", "damage 1, a=40", "damage 1, a=40; appends"],
    ),
    case(
        "set: number 2^32 - 1",
        |at| {
            filled(SegmentHeader::first(DATABASE, u32::MAX, 0), 0).put(at);
        },
        ["0/0/0 unsealed", "a=20", "a=20; Invalid"],
    ),
    case(
        "set: number 2^32 - 1 behind others",
        |at| {
            let [first, second, _] = three();
            filled(second.next(u32::MAX), 40).put(at);
            put(at, 1, &first.sealed());
            put(at, 2, &second.sealed());
        },
        ["0/0/0 unsealed", "a=60", "a=60; Invalid"],
    ),
    case(
        "set: begins in the middle of records",
        |at| {
            filled(SegmentHeader::first(DATABASE, 1, 0), 1000).put(at);
        },
        ["4/4/4 records-missing unsealed", "lost 1, a=0+Gap", "lost 1, a=0+Gap; appends"],
    ),
    case(
        "set: both repeat the records",
        |at| {
            let first = filled(SegmentHeader::first(DATABASE, 1, 0), 0);
            let second = filled(first.next(2), 0);
            put(at, 1, &first.sealed());
            second.put(at);
        },
        ["0/4/4 stream-contradiction unsealed", "a=20", "a=20; appends"],
    ),
    case(
        "set: records fall",
        |at| {
            let first = filled(SegmentHeader::first(DATABASE, 1, 0), 40);
            let second = filled(first.next(2), 0);
            put(at, 1, &first.sealed());
            second.put(at);
        },
        [
            "4/4/4 records-missing stream-contradiction unsealed",
            "lost 1, a=0+Gap",
            "lost 1, a=0+Gap; appends",
        ],
    ),
    case(
        "set: two follow the same",
        |at| {
            let [first, second, _] = three();
            let again = filled(first.next(3), 20);
            put(at, 1, &first.sealed());
            put(at, 2, &second.sealed());
            again.put(at);
        },
        [
            "4/4/4 segment-missing stream-contradiction unsealed",
            "damage 1, a=40",
            "damage 1, a=40; appends",
        ],
    ),
    case(
        "set: a segment gives all others up",
        |at| {
            let [first, second, third] = three();
            let mut last = Log::of(third.header);
            last.tell(&Catalog { retained_from: 3, ..catalog() }).block(1, 40, 20).put(at);
            put(at, 1, &first.sealed());
            put(at, 2, &second.sealed());
        },
        ["4/4/4 records-missing superseded unsealed", "a=20", "removed 2, a=20; appends"],
    ),
    case(
        "set: a segment gives itself up",
        |at| {
            let [first, second, third] = three();
            let mut last = Log::of(third.header);
            last.tell(&Catalog { retained_from: 4, ..catalog() }).block(1, 40, 20).put(at);
            put(at, 1, &first.sealed());
            put(at, 2, &second.sealed());
        },
        ["4/4/4 stream-contradiction unsealed", "damage 1, a=60", "damage 1, a=60; appends"],
    ),
    case(
        "compaction: sound, with its inputs",
        |at| output(at, true, |_| {}),
        ["0/0/0 superseded unsealed", "a=60", "removed 2, a=60; appends"],
    ),
    case(
        "compaction: sound, alone",
        |at| output(at, false, |_| {}),
        ["0/0/0 unsealed", "a=60", "a=60; appends"],
    ),
    case(
        "compaction: of itself",
        |at| {
            output(at, true, |h| {
                h.log_first = 8.into();
                h.log_last = 8.into();
            });
        },
        ["4/4/4 segment-header unsealed", "damage 1, a=60", "damage 1, a=60; appends"],
    ),
    case(
        "compaction: generation 2^32 - 1",
        |at| {
            output(at, true, |h| h.generation = u32::MAX.into());
        },
        ["0/0/0 superseded unsealed", "a=60", "removed 2, a=60; appends"],
    ),
    case(
        "compaction: overlaps the last",
        |at| {
            output(at, true, |h| {
                h.log_first = 2.into();
                h.log_last = 3.into();
                h.previous_segment = 1.into();
            });
        },
        [
            "4/4/4 chain-broken stream-contradiction superseded",
            "damage 1, a=40",
            "damage 1, removed 2, a=40; appends",
        ],
    ),
    case(
        "compaction: of segments that were never there",
        |at| {
            output(at, true, |h| {
                h.segment = 200.into();
                h.set = 200.into();
                h.log_first = 100.into();
                h.log_last = 150.into();
                h.previous_segment = 99.into();
            });
        },
        [
            "4/4/4 index-damaged index-disagrees segment-missing stream-contradiction",
            "damage 1, a=60",
            "damage 1, a=60; appends",
        ],
    ),
    case(
        "compaction: of everything there could be",
        |at| {
            output(at, true, |h| {
                h.segment = u32::MAX.into();
                h.set = u32::MAX.into();
                h.log_last = (u32::MAX - 1).into();
            });
        },
        ["0/0/0 superseded", "a=40", "removed 3, a=40; Invalid"],
    ),
    case(
        "compaction: one of 65535 parts",
        |at| output(at, true, |h| h.parts = u16::MAX.into()),
        ["0/0/0 superseded unsealed", "a=60", "removed 1, a=60; appends"],
    ),
    case(
        "compaction: one of 65535 parts, alone",
        |at| {
            output(at, false, |h| h.parts = u16::MAX.into());
        },
        ["4/4/4 set-incomplete unsealed", "a=60", "a=60; appends"],
    ),
    case(
        "compaction: the last of two parts, alone",
        |at| {
            output(at, false, |h| {
                h.part = 1.into();
                h.parts = 2.into();
            });
        },
        ["4/4/4 set-incomplete unsealed", "damage 1, a=60", "damage 1, a=60; appends"],
    ),
    case(
        "compaction: a set of another number",
        |at| output(at, true, |h| h.set = 7.into()),
        ["0/0/0 superseded unsealed", "a=60", "removed 2, a=60; appends"],
    ),
    case(
        "compaction: a set within the range",
        |at| output(at, true, |h| h.set = 1.into()),
        ["4/4/4 segment-header unsealed", "damage 1, a=60", "damage 1, a=60; appends"],
    ),
    case(
        "compaction: twice",
        |at| {
            output(at, true, |_| {});
            output(at, true, |h| {
                h.segment = 9.into();
                h.set = 9.into();
            });
        },
        [
            "4/4/4 index-disagrees segment-missing stream-contradiction superseded unsealed",
            "damage 1, a=60",
            "damage 1, removed 2, a=60; appends",
        ],
    ),
    case(
        "compaction: twice the same part",
        |at| {
            output(at, false, |h| h.parts = 2.into());
            output(at, false, |h| {
                h.segment = 9.into();
                h.parts = 2.into();
            });
        },
        [
            "4/4/4 index-disagrees set-incomplete stream-contradiction unsealed",
            "damage 1, a=60",
            "damage 1, a=60; appends",
        ],
    ),
    case(
        "compaction: ranges that cross",
        |at| {
            output(at, true, |_| {});
            output(at, true, |h| {
                h.segment = 9.into();
                h.set = 9.into();
                h.log_first = 2.into();
                h.log_last = 3.into();
                h.previous_segment = 1.into();
            });
        },
        [
            "4/4/4 index-disagrees segment-missing stream-contradiction superseded",
            "damage 1, a=40",
            "damage 1, removed 3, a=40; appends",
        ],
    ),
    case(
        "compaction: not sealed",
        |at| {
            let [_, _, third] = three();
            let mut header = SegmentHeader::first(DATABASE, 8, 0);
            header.generation = 1.into();
            header.log_first = 1.into();
            header.log_last = 2.into();
            Log::of(header).opened().block(1, 0, 20).block(1, 20, 20).put(at);
            third.put(at);
        },
        ["4/4/4 not-sealed unsealed", "damage 2, a=60", "damage 2, a=60; appends"],
    ),
    case(
        "compaction: 2000 sets in one directory",
        |at| {
            put_all(at, three());
            for number in 10..2010_u32 {
                let mut header = SegmentHeader::first(DATABASE, number, 0);
                header.generation = number.into();
                header.log_first = (number % 7 + 1).into();
                header.log_last = (number % 7 + 2).into();
                header.parts = 2.into();
                put(at, number, &header.encode());
            }
        },
        [
            "4/4/4 entry-damaged index-damaged not-sealed set-incomplete superseded",
            "damage 4287, a=60",
            "damage 4287, removed 571, a=60; appends",
        ],
    ),
];

#[test]
fn sets() {
    run(SETS);
}
