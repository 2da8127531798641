//! Files whose size is the attack.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use presence_format::entry::EntryKind;

use super::build::{Log, name};
use super::{Case, case, run};

/// `bytes`, and a hole behind them up to `len`, and `end` before that.
fn sparse(at: &Path, bytes: &[u8], len: u64, end: &[u8]) {
    use std::os::unix::fs::FileExt;

    let path = at.join(name(1));
    let mut file = File::create(&path).unwrap();
    file.write_all(bytes).unwrap();
    file.set_len(len).unwrap();
    file.write_all_at(end, len - end.len() as u64).unwrap();
}

/// A sealed segment, its seal behind a hole.
fn sealed_behind(at: &Path, len: u64, index_offset: u32) {
    let log = Log::standard().whole();
    let mut footer = log.footer();
    footer.index_offset = index_offset.into();
    sparse(at, &log.bytes, len, &footer.encode());
}

const SIZES: &[Case] = &[
    case(
        "size: zeros only, 64 MiB",
        |at| sparse(at, &[], 64 << 20, &[]),
        ["4/4/4 segment-header", "NotADatabase", "NotADatabase"],
    ),
    case(
        "size: 1 GiB, a hole behind sound entries",
        |at| {
            sparse(at, &Log::standard().bytes, 1 << 30, &[]);
        },
        ["0/0/0 unsealed", "a=45", "a=45; appends"],
    ),
    case(
        "size: 1 GiB and a word at its end",
        |at| {
            sparse(at, &Log::standard().bytes, 1 << 30, b"the end");
        },
        ["0/0/0 torn-tail unsealed", "torn 1, a=45", "Corrupt"],
    ),
    case(
        "size: over 1 GiB",
        |at| sparse(at, &Log::standard().bytes, (1 << 30) + 64, &[]),
        ["4/4/4 entry-damaged unsealed", "a=45", "a=45; appends"],
    ),
    case(
        "size: 4 GiB and a word",
        |at| {
            sparse(at, &Log::standard().bytes, (4 << 30) + 4096, b"the end");
        },
        ["4/4/4 entry-damaged unsealed", "a=45", "Invalid"],
    ),
    case(
        "size: 1 TiB",
        |at| sparse(at, &Log::standard().bytes, 1 << 40, &[]),
        ["4/4/4 entry-damaged unsealed", "a=45", "Invalid"],
    ),
    case(
        "size: 1 TiB of nothing",
        |at| sparse(at, &[], 1 << 40, &[]),
        ["4/4/4 segment-header", "NotADatabase", "NotADatabase"],
    ),
    case(
        "size: 1 GiB, a footer that names the whole as index",
        |at| {
            sealed_behind(at, 1 << 30, 128);
        },
        ["4/4/4 index-damaged", "torn 1, a=45", "Corrupt"],
    ),
    case(
        "size: 1 GiB, an index in the hole",
        |at| sealed_behind(at, 1 << 30, 1 << 29),
        ["0/0/0 torn-seal", "torn 1, a=45", "Corrupt"],
    ),
    case(
        "size: 64 MiB of entry magics",
        |at| {
            let mut log = Log::new(1).opened();
            log.raw(&b"PRSe".repeat(16 << 20)).put(at);
        },
        ["0/0/0 torn-tail unsealed", "torn 1, a=0", "torn 1, a=0; appends"],
    ),
    case(
        "size: 64 MiB of sound marks that do not chain",
        |at| {
            let mut log = Log::new(1).opened();
            for index in 0..1_u32 << 20 {
                log.entry(EntryKind::Frame, &[], |builder| {
                    builder.header.number = (index + 2).into();
                    builder.header.previous_crc = index.into();
                });
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
        "size: 64 MiB of sound marks",
        |at| {
            let mut log = Log::new(1).opened();
            for _ in 0..1_u32 << 20 {
                log.entry(EntryKind::Frame, &[], |_| {});
            }
            log.put(at);
        },
        ["0/0/0 unsealed", "a=0", "a=0; appends"],
    ),
    case(
        "size: 64 MiB of noise",
        |at| {
            let mut random = crate::support::Random(20);
            let mut log = Log::standard();
            let noise: Vec<u8> = (0..8 << 20).flat_map(|_| random.next().to_le_bytes()).collect();
            log.raw(&noise).put(at);
        },
        ["0/0/0 torn-tail unsealed", "torn 1, a=45", "torn 1, a=45; appends"],
    ),
    case(
        "size: frames of 48 MiB that no block repeats",
        |at| {
            let mut log = Log::new(1).opened();
            for index in 0..48 {
                log.frame(&super::build::section(1, index << 16, 1 << 16), 1 << 16);
            }
            log.put(at);
        },
        ["0/0/0 unsealed", "a=3145728", "a=3145728; appends"],
    )
    .with_memory(160 << 10),
];

#[test]
fn sizes() {
    run(SIZES);
}
