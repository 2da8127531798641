//! Presence tracks whose grids, blocks and words are not what they can be.

use std::path::Path;

use presence_format::block::WORDS_ONLY;
use presence_format::catalog::{Catalog, StreamEntry};
use presence_format::frame;
use presence_format::index::Index;
use presence_format::plane::container::set_range;
use presence_format::plane::{Plane, PlaneKind, RegionBuilder};
use presence_format::{Compression, Schema};

use super::build::{Log, Shape, padded, put, stream};
use super::{Case, case, run};

type Grid = ((u32, u32), i64);

const GRID: Grid = ((30, 1), 0);

fn plane(id: u32, kind: PlaneKind, (rate, epoch): Grid) -> StreamEntry {
    let name = match &kind {
        PlaneKind::Observed => "cam:observed".to_owned(),
        PlaneKind::Class { id, .. } => format!("cam:{id}"),
    };
    stream(id, &name, Schema::of_plane(Plane::new("cam", rate, epoch, kind).unwrap()))
}

fn class(id: u16) -> PlaneKind {
    PlaneKind::Class { id, name: String::new() }
}

/// A log with a track of one class on this grid: streams 1 (observed) and 2 (class 0).
fn track(grid: Grid) -> Log {
    let streams = vec![plane(1, PlaneKind::Observed, grid), plane(2, class(0), grid)];
    let mut log = Log::new(1);
    log.tell(&Catalog { retained_from: 0, streams });
    log
}

/// A region with the ticks 0 to 639 of its first container.
fn region(number: i64) -> Vec<u8> {
    let mut words = Box::new([0; 1024]);
    set_range(&mut words, 0, 640);
    let mut builder = RegionBuilder::default();
    builder.push(0, &words);
    let mut payload = Vec::new();
    builder.finish(number, &mut payload);
    payload
}

/// A block of ten words of `stream`, as a region's.
fn block(log: &mut Log, stream: u32, from: u64, first: i64, set: u32, payload: &[u8]) {
    let schema = Schema::of_plane(log.catalog.streams[0].schema.plane().unwrap().clone());
    let schema = log.catalog.streams.get(stream as usize - 1).map_or(schema, |s| s.schema.clone());
    let bounds = (first, first.saturating_add(576));
    let shape = Shape { schema: &schema, stream, from, records: 10, bounds };
    let compression = if set == WORDS_ONLY { Compression::None } else { Compression::Presence };
    log.made_block(&shape, compression, payload, |builder| {
        builder.block.as_mut().unwrap().set_ticks = set.into();
    });
}

/// A sound region of what was observed, and this one of the class.
fn of_class(at: &Path, first: i64, set: u32, payload: &[u8]) {
    let mut log = track(GRID);
    block(&mut log, 1, 0, 0, 640, &region(0));
    block(&mut log, 2, 0, first, set, payload);
    log.put(at);
}

/// A sound track on this grid.
fn on(at: &Path, grid: Grid) {
    let mut log = track(grid);
    block(&mut log, 1, 0, 0, 640, &region(0));
    block(&mut log, 2, 0, 0, 640, &region(0));
    put(at, 1, &log.sealed());
}

/// A sound track whose index says something else.
fn indexed(at: &Path, change: impl FnOnce(&mut Index)) {
    let mut log = track(GRID);
    block(&mut log, 1, 0, 0, 640, &region(0));
    block(&mut log, 2, 0, 0, 640, &region(0));
    put(at, 1, &log.sealed_as(change, |_| {}));
}

/// The region with some bytes changed.
fn changed(at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut payload = region(0);
    payload[at..at + bytes.len()].copy_from_slice(bytes);
    payload
}

/// A block of words of the class at these ticks.
fn words(at: &Path, ticks: &[i64]) {
    let times = ticks.iter().flat_map(|tick| tick.to_le_bytes()).collect();
    let values = ticks.iter().flat_map(|_| u64::MAX.to_le_bytes()).collect();
    let mut log = track(GRID);
    block(&mut log, 1, 0, 0, 640, &region(0));
    let payload = padded(&[times, values]);
    let schema = log.catalog.streams[1].schema.clone();
    let bounds = (ticks[0], ticks[ticks.len() - 1]);
    let shape = Shape { schema: &schema, stream: 2, from: 0, records: ticks.len() as u64, bounds };
    log.made_block(&shape, Compression::None, &payload, |builder| {
        builder.block.as_mut().unwrap().set_ticks = WORDS_ONLY.into();
    });
    log.put(at);
}

/// A frame with words of the class at these ticks, behind `from` of them.
fn framed(at: &Path, from: u64, ticks: &[i64]) {
    let mut log = track(GRID);
    block(&mut log, 1, 0, 0, 640, &region(0));
    let mut payload = Vec::new();
    frame::encode_head(2, from, ticks.len() as u32, &mut payload);
    ticks.iter().for_each(|tick| payload.extend_from_slice(&tick.to_le_bytes()));
    ticks.iter().for_each(|_| payload.extend_from_slice(&u64::MAX.to_le_bytes()));
    log.frame(&payload, ticks.len() as u32).put(at);
}

const PLANES: &[Case] = &[
    case(
        "planes: sound",
        |at| on(at, GRID),
        ["0/0/0", "cam: 640/640, listed 640", "cam: 640/640, listed 640; appends"],
    ),
    case(
        "planes: the highest rate",
        |at| on(at, ((1_000_000, 1), 0)),
        ["0/0/0", "cam: 640/640, listed 640", "cam: 640/640, listed 640; appends"],
    ),
    case(
        "planes: a tick of 136 years",
        |at| on(at, ((1, u32::MAX), 0)),
        ["0/0/0", "cam: 640/640, listed 640", "cam: 640/640, listed 640; appends"],
    ),
    case(
        "planes: the first epoch",
        |at| on(at, ((30, 1), i64::MIN)),
        ["0/0/0", "cam: 640/640, listed 640", "cam: 640/640, listed 640; appends"],
    ),
    case(
        "planes: the last epoch",
        |at| on(at, ((30, 1), i64::MAX)),
        ["0/0/0", "cam: Invalid", "cam: Invalid; appends"],
    ),
    case(
        "planes: two grids",
        |at| {
            let streams =
                vec![plane(1, PlaneKind::Observed, GRID), plane(2, class(0), ((25, 1), 0))];
            let mut log = Log::new(1);
            log.tell(&Catalog { retained_from: 0, streams });
            block(&mut log, 1, 0, 0, 640, &region(0));
            log.put(at);
        },
        ["4/4/4 stream-contradiction unsealed", "cam: Corrupt", "cam: Corrupt; appends"],
    ),
    case(
        "planes: no plane of what was observed",
        |at| {
            let streams = vec![plane(1, class(0), GRID)];
            let mut log = Log::new(1);
            log.tell(&Catalog { retained_from: 0, streams });
            block(&mut log, 1, 0, 0, 640, &region(0));
            log.put(at);
        },
        [
            "4/4/4 stream-contradiction unsealed",
            "cam: 0/0, listed 640",
            "cam: 0/0, listed 640; appends",
        ],
    ),
    case(
        "planes: an empty payload",
        |at| of_class(at, 0, 640, &[]),
        ["0/0/4 block-content unsealed", "cam: Corrupt", "cam: Corrupt; appends"],
    ),
    case(
        "planes: 64 containers in 24 bytes",
        |at| of_class(at, 0, 640, &changed(8, &[0xff; 8])),
        ["0/0/4 block-content unsealed", "cam: Corrupt", "cam: Corrupt; appends"],
    ),
    case(
        "planes: a container far behind the payload",
        |at| of_class(at, 0, 640, &changed(28, &[0xfe; 4])),
        ["0/0/4 block-content unsealed", "cam: Corrupt", "cam: Corrupt; appends"],
    ),
    case(
        "planes: a region that counts 2^32 - 2 ticks",
        |at| of_class(at, 0, u32::MAX - 1, &changed(16, &(u32::MAX - 1).to_le_bytes())),
        ["4/4/4 stream-contradiction unsealed", "cam: Corrupt", "cam: Corrupt; appends"],
    ),
    case(
        "planes: a region of other words than its block",
        |at| of_class(at, 0, 640, &changed(20, &11_u32.to_le_bytes())),
        ["0/0/4 block-content unsealed", "cam: Corrupt", "cam: Corrupt; appends"],
    ),
    case(
        "planes: a region of another number",
        |at| of_class(at, 0, 640, &region(7)),
        ["0/0/4 block-content unsealed", "cam: Corrupt", "cam: Corrupt; appends"],
    ),
    case(
        "planes: the last region",
        |at| of_class(at, i64::MAX - 4_194_303, 640, &region(i64::MAX / 4_194_304)),
        [
            "0/0/4 stream-contradiction unsealed",
            "cam: 0/640, listed 0",
            "cam: 0/640, listed 0; appends",
        ],
    ),
    case(
        "planes: a region beyond all ticks",
        |at| of_class(at, 0, 640, &changed(0, &i64::MAX.to_le_bytes())),
        ["0/0/4 block-content unsealed", "cam: Corrupt", "cam: Corrupt; appends"],
    ),
    case(
        "planes: set ticks in the header that the region has not",
        |at| of_class(at, 0, 639, &region(0)),
        ["0/0/4 block-content unsealed", "cam: Corrupt", "cam: Corrupt; appends"],
    ),
    case(
        "planes: words at the ends of time",
        |at| words(at, &[i64::MIN, 0, i64::MAX - 63]),
        [
            "0/0/4 stream-contradiction unsealed",
            "cam: 64/640, listed 64",
            "cam: 64/640, listed 64; appends",
        ],
    ),
    case(
        "planes: words that fall",
        |at| words(at, &[0, 640, 64, 704]),
        [
            "0/0/4 block-content unsealed",
            "cam: 128/640, listed 256",
            "cam: 128/640, listed 256; appends",
        ],
    ),
    case(
        "planes: words where none begin",
        |at| words(at, &[1, 65, i64::MAX]),
        [
            "4/4/4 stream-contradiction unsealed",
            "cam: 128/640, listed 128",
            "cam: 128/640, listed 128; appends",
        ],
    ),
    case(
        "planes: a frame that falls",
        |at| framed(at, 0, &[640, 0, -64]),
        [
            "0/0/4 stream-contradiction unsealed",
            "cam: 64/640, listed 192",
            "cam: 64/640, listed 192; appends",
        ],
    ),
    case(
        "planes: a frame where no words begin",
        |at| framed(at, 0, &[63, i64::MAX]),
        [
            "4/4/4 entry-damaged torn-tail unsealed",
            "cam: 64/640, listed 64",
            "cam: 64/640, listed 64; appends",
        ],
    ),
    case(
        "planes: a frame in a hole of 2^62",
        |at| framed(at, 1 << 62, &[0]),
        [
            "4/4/4 records-missing unsealed",
            "cam: 64/640, listed 64",
            "cam: 64/640, listed 64; appends",
        ],
    ),
    case(
        "planes: a rank of 2^64 - 1 in the index",
        |at| indexed(at, |index| index.streams[1].entries[0].rank = u64::MAX.into()),
        ["4/4/4 index-disagrees", "cam: Corrupt", "cam: Corrupt; appends"],
    ),
    case(
        "planes: ranks that overflow",
        |at| {
            let mut log = track(GRID);
            block(&mut log, 1, 0, 0, 640, &region(0));
            block(&mut log, 1, 10, 4_194_304, 640, &region(1));
            let change = |index: &mut Index| {
                index.streams[0].entries[0].rank = (u64::MAX - 1).into();
                index.streams[0].entries[1].rank = (u64::MAX - 1).into();
            };
            put(at, 1, &log.sealed_as(change, |_| {}));
        },
        ["4/4/4 index-disagrees", "cam: Corrupt", "cam: Corrupt; appends"],
    ),
    case(
        "planes: another rank in the index",
        |at| indexed(at, |index| index.streams[1].entries[0].rank = 7.into()),
        ["4/4/4 index-disagrees", "cam: Corrupt", "cam: Corrupt; appends"],
    ),
    case(
        "planes: an index that calls a region words",
        |at| {
            indexed(at, |index| {
                index.streams[1].entries[0].rank = u64::from(WORDS_ONLY).into();
            });
        },
        ["0/4/4 index-disagrees", "cam: Corrupt", "cam: Corrupt; appends"],
    ),
];

#[test]
fn planes() {
    run(PLANES);
}
