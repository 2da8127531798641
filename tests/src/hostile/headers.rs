//! Segment headers and footers that lie.

use std::path::Path;

use presence_format::segment::{Footer, SegmentHeader};

use super::build::{DATABASE, Log, OTHER, put};
use super::{Case, case, run};

/// A standard segment with a changed header.
fn header(at: &Path, change: impl FnOnce(&mut SegmentHeader)) {
    put(at, 1, &Log::with(change).bytes);
}

/// The same beside a sound one, so that there is a database.
fn second(at: &Path, change: impl FnOnce(&mut SegmentHeader)) {
    let first = Log::standard().whole();
    let mut header = first.next(2);
    put(at, 1, &first.sealed());
    change(&mut header);
    put(at, 2, &Log::of(header).opened().bytes);
}

/// A sealed segment with a changed footer.
fn footer(at: &Path, change: impl FnOnce(&mut Footer)) {
    put(at, 1, &Log::standard().whole().sealed_as(|_| {}, change));
}

/// A sound segment cut to `len` bytes.
fn cut(at: &Path, len: usize) {
    put(at, 1, &Log::standard().bytes[..len]);
}

const SEGMENT_HEADERS: &[Case] = &[
    case(
        "sound",
        |at| put(at, 1, &Log::standard().bytes),
        ["0/0/0 unsealed", "a=45", "a=45; appends"],
    ),
    case(
        "sound and sealed",
        |at| put(at, 1, &Log::standard().whole().sealed()),
        ["0/0/0", "a=45", "a=45; appends"],
    ),
    case(
        "newer major version",
        |at| header(at, |h| h.version_major = 2.into()),
        ["8/8/8 incompatible", "Incompatible", "Incompatible"],
    ),
    case(
        "newest major version",
        |at| header(at, |h| h.version_major = u16::MAX.into()),
        ["8/8/8 incompatible", "Incompatible", "Incompatible"],
    ),
    case(
        "major version 0",
        |at| header(at, |h| h.version_major = 0.into()),
        ["4/4/4 segment-header", "NotADatabase", "NotADatabase"],
    ),
    case(
        "newer minor version",
        |at| header(at, |h| h.version_minor = u16::MAX.into()),
        ["0/0/0 unsealed", "a=45", "a=45; appends"],
    ),
    case(
        "a feature needed",
        |at| header(at, |h| h.features_needed = 1.into()),
        ["8/8/8 incompatible", "Incompatible", "Incompatible"],
    ),
    case(
        "all features needed",
        |at| header(at, |h| h.features_needed = u32::MAX.into()),
        ["8/8/8 incompatible", "Incompatible", "Incompatible"],
    ),
    case(
        "all features optional",
        |at| header(at, |h| h.features_optional = u32::MAX.into()),
        ["0/0/0 unsealed", "a=45", "a=45; appends"],
    ),
    case(
        "reserved bytes in use",
        |at| header(at, |h| h.reserved = [0xff; 44]),
        ["0/0/0 unsealed", "a=45", "a=45; appends"],
    ),
    case(
        "wrong magic",
        |at| put(at, 1, Log::standard().poke(0, b"\x7fELF").bytes.as_slice()),
        ["4/4/4 segment-header", "NotADatabase", "NotADatabase"],
    ),
    case(
        "wrong checksum",
        |at| put(at, 1, Log::standard().poke(12, &[0; 4]).bytes.as_slice()),
        ["4/4/4 segment-header", "NotADatabase", "NotADatabase"],
    ),
    case(
        "newer version, wrong checksum",
        |at| {
            put(at, 1, Log::standard().poke(8, &[9, 0]).bytes.as_slice());
        },
        ["8/8/8 incompatible", "Incompatible", "Incompatible"],
    ),
    case(
        "wrong number",
        |at| put(at, 2, &Log::standard().bytes),
        ["4/4/4 wrong-number", "NotADatabase", "NotADatabase"],
    ),
    case(
        "number 0 in the header",
        |at| header(at, |h| h.segment = 0.into()),
        ["4/4/4 segment-header", "NotADatabase", "NotADatabase"],
    ),
    case(
        "log_first after log_last",
        |at| {
            second(at, |h| {
                h.generation = 1.into();
                h.log_first = 2.into();
                h.log_last = 1.into();
            });
        },
        ["4/4/4 segment-header", "damage 1, a=45", "damage 1, a=45; appends"],
    ),
    case(
        "log_first 0",
        |at| header(at, |h| h.log_first = 0.into()),
        ["4/4/4 segment-header", "NotADatabase", "NotADatabase"],
    ),
    case(
        "previous segment is itself",
        |at| second(at, |h| h.previous_segment = 2.into()),
        ["4/4/4 segment-header", "damage 1, a=45", "damage 1, a=45; appends"],
    ),
    case(
        "previous segment is above",
        |at| second(at, |h| h.previous_segment = 9.into()),
        ["4/4/4 segment-header", "damage 1, a=45", "damage 1, a=45; appends"],
    ),
    case(
        "part beyond parts",
        |at| second(at, |h| h.part = 1.into()),
        ["4/4/4 segment-header", "damage 1, a=45", "damage 1, a=45; appends"],
    ),
    case(
        "no parts",
        |at| second(at, |h| h.parts = 0.into()),
        ["4/4/4 segment-header", "damage 1, a=45", "damage 1, a=45; appends"],
    ),
    case(
        "many parts in the log",
        |at| second(at, |h| h.parts = u16::MAX.into()),
        ["4/4/4 segment-header", "damage 1, a=45", "damage 1, a=45; appends"],
    ),
    case(
        "a log segment with a range",
        |at| second(at, |h| h.log_first = 1.into()),
        ["4/4/4 segment-header", "damage 1, a=45", "damage 1, a=45; appends"],
    ),
    case(
        "a compacted segment within its range",
        |at| {
            second(at, |h| {
                h.generation = 1.into();
                h.log_last = 5.into();
            });
        },
        ["4/4/4 segment-header", "damage 1, a=45", "damage 1, a=45; appends"],
    ),
    case(
        "a log segment of another set",
        |at| second(at, |h| h.set = 77.into()),
        ["4/4/4 segment-header", "damage 1, a=45", "damage 1, a=45; appends"],
    ),
    case(
        "all fields at their greatest",
        |at| {
            header(at, |h| {
                h.segment = u32::MAX.into();
                h.generation = u32::MAX.into();
                h.log_first = u32::MAX.into();
                h.log_last = u32::MAX.into();
                h.part = u16::MAX.into();
                h.parts = u16::MAX.into();
                h.previous_segment = u32::MAX.into();
                h.previous_end = u32::MAX.into();
                h.previous_crc = u32::MAX.into();
                h.created_unix_us = i64::MAX.into();
                h.set = u32::MAX.into();
            });
        },
        ["4/4/4 segment-header", "NotADatabase", "NotADatabase"],
    ),
    case(
        "made at the end of time",
        |at| header(at, |h| h.created_unix_us = i64::MAX.into()),
        ["0/0/0 unsealed", "a=45", "a=45; appends"],
    ),
    case(
        "made before all time",
        |at| header(at, |h| h.created_unix_us = i64::MIN.into()),
        ["0/0/0 unsealed", "a=45", "a=45; appends"],
    ),
    case(
        "previous end beyond the file",
        |at| second(at, |h| h.previous_end = u32::MAX.into()),
        ["4/4/4 chain-broken unsealed", "damage 1, a=45", "damage 1, a=45; appends"],
    ),
    case(
        "previous end 0",
        |at| second(at, |h| h.previous_end = 0.into()),
        ["4/4/4 chain-broken unsealed", "damage 1, a=45", "damage 1, a=45; appends"],
    ),
    case(
        "previous end unaligned",
        |at| second(at, |h| h.previous_end = 129.into()),
        ["4/4/4 chain-broken unsealed", "damage 1, a=45", "damage 1, a=45; appends"],
    ),
    case(
        "previous checksum wrong",
        |at| second(at, |h| h.previous_crc = 1.into()),
        ["4/4/4 chain-broken unsealed", "damage 1, a=45", "damage 1, a=45; appends"],
    ),
    case(
        "another database half way",
        |at| second(at, |h| h.database = OTHER.0),
        ["4/4/4 foreign-segment", "damage 1, a=45", "damage 1, a=45; appends"],
    ),
    case(
        "the same short id, another database",
        |at| {
            second(at, |h| {
                h.database = DATABASE.0;
                h.database[15] ^= 1;
            });
        },
        ["4/4/4 foreign-segment", "damage 1, a=45", "damage 1, a=45; appends"],
    ),
    case("cut at 0", |at| cut(at, 0), ["4/4/4 segment-header", "NotADatabase", "NotADatabase"]),
    case("cut at 1", |at| cut(at, 1), ["4/4/4 segment-header", "NotADatabase", "NotADatabase"]),
    case("cut at 63", |at| cut(at, 63), ["4/4/4 segment-header", "NotADatabase", "NotADatabase"]),
    case("cut at 64", |at| cut(at, 64), ["4/4/4 segment-header", "NotADatabase", "NotADatabase"]),
    case("cut at 127", |at| cut(at, 127), ["4/4/4 segment-header", "NotADatabase", "NotADatabase"]),
    case(
        "cut at 128",
        |at| cut(at, 128),
        ["4/4/4 entry-damaged unsealed", "damage 1", "damage 1; appends"],
    ),
    case(
        "cut at 129",
        |at| cut(at, 129),
        ["4/4/4 entry-damaged unsealed", "damage 1, torn 1", "damage 1, torn 1; appends"],
    ),
    case(
        "cut inside the catalog",
        |at| cut(at, 200),
        ["4/4/4 entry-damaged unsealed", "damage 1, torn 1", "damage 1, torn 1; appends"],
    ),
    case(
        "cut inside a block",
        |at| cut(at, 500),
        ["0/0/0 torn-tail unsealed", "torn 1, a=0", "torn 1, a=0; appends"],
    ),
    case(
        "zeros behind the header",
        |at| {
            let mut bytes = Log::new(1).bytes;
            bytes.resize(1 << 16, 0);
            put(at, 1, &bytes);
        },
        ["4/4/4 entry-damaged unsealed", "damage 1", "damage 1; appends"],
    ),
];

const FOOTERS: &[Case] = &[
    case(
        "footer: data end above the index",
        |at| {
            footer(at, |f| f.data_end = (f.index_offset.get() + 64).into());
        },
        ["4/4/4 index-damaged", "torn 1, a=45", "torn 1, a=45; appends"],
    ),
    case(
        "footer: index beyond the file",
        |at| footer(at, |f| f.index_offset = (1 << 29).into()),
        ["4/4/4 index-damaged", "torn 1, a=45", "torn 1, a=45; appends"],
    ),
    case(
        "footer: index at the greatest",
        |at| {
            footer(at, |f| f.index_offset = (u32::MAX - 63).into());
        },
        ["4/4/4 index-damaged", "torn 1, a=45", "torn 1, a=45; appends"],
    ),
    case(
        "footer: index unaligned",
        |at| {
            footer(at, |f| f.index_offset = (f.index_offset.get() + 1).into());
        },
        ["4/4/4 index-damaged", "torn 1, a=45", "torn 1, a=45; appends"],
    ),
    case(
        "footer: index is the footer",
        |at| {
            footer(at, |f| f.index_offset = (f.index_offset.get() + 256).into());
        },
        ["4/4/4 index-damaged", "torn 1, a=45", "torn 1, a=45; appends"],
    ),
    case(
        "footer: index is the segment header",
        |at| {
            footer(at, |f| {
                f.index_offset = 0.into();
                f.data_end = 0.into();
            });
        },
        ["4/4/4 index-damaged", "torn 1, a=45", "torn 1, a=45; appends"],
    ),
    case(
        "footer: index is the catalog",
        |at| {
            footer(at, |f| {
                f.index_offset = 128.into();
                f.data_end = 128.into();
            })
        },
        ["4/4/4 index-damaged", "torn 1, a=45", "torn 1, a=45; appends"],
    ),
    case(
        "footer: data end 0",
        |at| footer(at, |f| f.data_end = 0.into()),
        ["4/4/4 index-damaged", "torn 1, a=45", "torn 1, a=45; appends"],
    ),
    case(
        "footer: data end at the first entry",
        |at| footer(at, |f| f.data_end = 128.into()),
        ["4/4/4 footer-disagrees", "a=45", "a=45; appends"],
    ),
    case(
        "footer: data end unaligned",
        |at| footer(at, |f| f.data_end = 129.into()),
        ["4/4/4 index-damaged", "torn 1, a=45", "torn 1, a=45; appends"],
    ),
    case(
        "footer: another checksum of the data",
        |at| footer(at, |f| f.data_crc = 7.into()),
        ["4/4/4 index-damaged", "torn 1, a=45", "torn 1, a=45; appends"],
    ),
    case(
        "footer: another number of entries",
        |at| footer(at, |f| f.entries = 1.into()),
        ["4/4/4 index-damaged", "torn 1, a=45", "torn 1, a=45; appends"],
    ),
    case(
        "footer: too many records",
        |at| footer(at, |f| f.records = u64::MAX.into()),
        ["0/4/4 footer-disagrees", "a=45", "a=45; appends"],
    ),
    case(
        "footer: no records",
        |at| footer(at, |f| f.records = 0.into()),
        ["0/4/4 footer-disagrees", "a=45", "a=45; appends"],
    ),
    case(
        "footer: torn bytes where there are none",
        |at| {
            footer(at, |f| f.torn_bytes = u32::MAX.into());
        },
        ["0/0/0", "a=45", "a=45; appends"],
    ),
    case(
        "footer: another end of the log",
        |at| footer(at, |f| f.log_end = 128.into()),
        ["4/4/4 footer-disagrees", "a=45", "a=45; appends"],
    ),
    case(
        "footer: another chain of the log",
        |at| footer(at, |f| f.log_crc = 1.into()),
        ["4/4/4 footer-disagrees", "a=45", "a=45; appends"],
    ),
    case(
        "footer of another database",
        |at| footer(at, |f| f.database = 1.into()),
        ["4/4/4 index-damaged", "torn 1, a=45", "torn 1, a=45; appends"],
    ),
    case(
        "footer of another segment",
        |at| footer(at, |f| f.segment = 2.into()),
        ["4/4/4 index-damaged", "torn 1, a=45", "torn 1, a=45; appends"],
    ),
    case(
        "footer: reserved bytes in use",
        |at| footer(at, |f| f.reserved = [9; 8]),
        ["0/0/0", "a=45", "a=45; appends"],
    ),
    case(
        "footer: wrong checksum",
        |at| {
            let mut bytes = Log::standard().whole().sealed();
            let at_crc = bytes.len() - 60;
            bytes[at_crc] ^= 1;
            put(at, 1, &bytes);
        },
        ["4/4/4 index-damaged", "torn 1, a=45", "torn 1, a=45; appends"],
    ),
    case(
        "footer alone behind the header",
        |at| {
            let mut log = Log::new(1);
            let footer = log.footer();
            log.raw(&footer.encode());
            log.put(at);
        },
        ["4/4/4 entry-damaged index-damaged", "damage 1, torn 1", "damage 1, torn 1; appends"],
    ),
    case(
        "footer twice",
        |at| {
            let mut bytes = Log::standard().whole().sealed();
            let footer = bytes[bytes.len() - 64..].to_vec();
            bytes.extend(footer);
            put(at, 1, &bytes);
        },
        ["4/4/4 not-zeros", "a=45", "a=45; appends"],
    ),
    case(
        "entries behind the footer",
        |at| {
            let mut log = Log::standard().whole();
            log.bytes = log.clone().sealed();
            log.number += 1;
            log.block(1, 45, 5);
            log.put(at);
        },
        [
            "4/4/4 entry-damaged torn-seal",
            "damage 1, torn 1, a=45",
            "damage 1, torn 1, a=45; appends",
        ],
    ),
    case(
        "frames that no block repeats, sealed",
        |at| put(at, 1, &Log::standard().sealed()),
        ["0/4/4 records-missing", "a=40", "a=40; appends"],
    ),
];

#[test]
fn segment_headers() {
    run(SEGMENT_HEADERS);
}

#[test]
fn footers() {
    run(FOOTERS);
}
