//! Presence tracks under the judge: sound ones are sound, however they came about, and what is
//! damaged in them is named.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a helper of a test fails it")]

use std::sync::Arc;

use presence::device::MemoryDevice;
use presence::{
    Compression, Database, DatabaseId, Expression, Grid, Level as Reach, Options as EngineOptions,
    PresenceTrack, Retention, Schema, class,
};
use presence_format::PlaneKind;
use presence_format::block::{BlockHeader, BlockLayout, WORDS_ONLY};
use presence_format::catalog::{Catalog, StreamEntry};
use presence_format::checksum::PayloadHasher;
use presence_format::entry::{EntryBuilder, EntryKind};
use presence_format::plane::container::set_range;
use presence_format::plane::{Plane, RegionBuilder};
use presence_format::segment::SegmentHeader;
use presence_fsck::salvage::{Salvaged, salvage_device};
use presence_fsck::{Level, Options, Report, check_device, repair};

/// A microsecond is a tick here.
fn grid() -> Grid {
    Grid::new("1000000".parse().unwrap(), 0)
}

fn engine() -> EngineOptions {
    let mut options = EngineOptions::default();
    options.background = false;
    options.segment_bytes = 1 << 16;
    options.write_buffer_bytes = 1 << 16;
    options.cache_bytes = 1 << 16;
    options
}

fn judged(disk: &MemoryDevice, level: Level) -> Report {
    check_device(disk, &Options::at(level), &mut |_| true).unwrap()
}

fn sound(disk: &MemoryDevice, what: &str) {
    for level in [Level::Quick, Level::Default, Level::Deep] {
        let report = judged(disk, level);
        assert!(report.is_sound() && report.lost.is_empty(), "{what}: {report:#?}");
    }
}

fn open(disk: &MemoryDevice) -> Database {
    Database::open_on(Arc::new(disk.clone()), engine()).unwrap()
}

/// A generator that needs no crate.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u64) -> i64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % below).cast_signed()
    }
}

fn change(db: &Database, dice: &mut Dice) {
    let track = db.track("cam").unwrap();
    let at = [0, 4_194_000, 65_000, 1 << 40][dice.roll(4) as usize] + dice.roll(3_000);
    let class = dice.roll(3) as u16;
    match dice.roll(9) {
        0..=2 => track.update_batch(at, &[(class, 0.9), (2, 0.1)], 0.5).unwrap(),
        3 => track.set_range(class, at..at + dice.roll(90_000)).unwrap(),
        4 => track.observe_range(at - 9_000..at + dice.roll(300_000)).unwrap(),
        5 => track.unset_range(class, at..at + dice.roll(200_000)).unwrap(),
        6 => track.forget_before(at).unwrap(),
        7 => (0..400).for_each(|step| track.set(class, at + step * 151).unwrap()),
        _ => {
            let other = db.track("other").unwrap();
            other.set_range(7, at - 50..at + 50).unwrap();
        }
    }
}

#[test]
fn every_sound_track_is_judged_sound() {
    for seed in 1..=12_u64 {
        let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut disk = MemoryDevice::new();
        let mut db = Database::create_on(Arc::new(disk.clone()), engine()).unwrap();
        db.create_track("cam", grid()).unwrap();
        db.create_track("other", Grid::new("30000/1001".parse().unwrap(), -77)).unwrap();
        for step in 0..60 {
            change(&db, &mut dice);
            let what = format!("seed {seed}, step {step}");
            match dice.roll(12) {
                0..=3 => drop(db.flush(Reach::Os).unwrap()),
                4 => {
                    db.close().unwrap();
                    db = open(&disk);
                }
                5 => {
                    db.flush(Reach::Disk).unwrap();
                    db.compact(|_, _| true).unwrap();
                }
                6 => {
                    // What the kernel had stays; the process's memory does not.
                    disk = disk.fork();
                    sound(&disk, &what);
                    drop(db);
                    db = open(&disk);
                }
                7 if seed % 4 == 0 => {
                    db.retain(Retention::bytes_max(200_000)).unwrap();
                }
                _ => {}
            }
            sound(&disk, &what);
        }
    }
}

/// Cut anywhere, the log leaves a state whose classes are observed: what a process had flushed and
/// a machine had not written when it stopped.
#[test]
fn every_front_of_the_log_is_judged_sound() {
    let mut options = engine();
    options.segment_bytes = 1 << 28;
    for seed in 1..=4_u64 {
        let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let disk = MemoryDevice::new();
        let db = Database::create_on(Arc::new(disk.clone()), options.clone()).unwrap();
        db.create_track("cam", grid()).unwrap();
        db.create_track("other", grid()).unwrap();
        for _ in 0..40 {
            change(&db, &mut dice);
            if dice.roll(3) == 0 {
                db.flush(Reach::Os).unwrap();
            }
        }
        let files = disk.fork().files();
        let (name, bytes) = files.iter().find(|(name, _)| name.starts_with("seg-")).unwrap();
        let entries: Vec<usize> = (128..bytes.len())
            .step_by(64)
            .filter(|&at| at > 128 && bytes[at..].starts_with(b"PRSe"))
            .collect();
        for at in entries {
            let cut = MemoryDevice::with_files([(name.as_str(), &bytes[..at])]);
            sound(&cut, &format!("seed {seed}, cut at {at}"));
            if dice.roll(5) == 0 {
                drop(open(&cut));
                sound(&cut, &format!("seed {seed}, recovered from a cut at {at}"));
            }
        }
    }
}

/// A block of a plane, as it is to be stored.
#[derive(Clone)]
struct Block {
    stream: u32,
    first_sequence: u64,
    records: u32,
    ts: (i64, i64),
    compression: Compression,
    set_ticks: u32,
    payload: Vec<u8>,
}

/// A block of region `number` with the ticks `from..to` of its first container.
fn region(stream: u32, first_sequence: u64, number: i64, (from, to): (u32, u32)) -> Block {
    let mut words = Box::new([0; 1024]);
    set_range(&mut words, from, to);
    let mut builder = RegionBuilder::default();
    builder.push(0, &words);
    let mut payload = Vec::new();
    builder.finish(number, &mut payload);
    let first = number * 4_194_304;
    let ts = (first + i64::from(from / 64 * 64), first + i64::from((to - 1) / 64 * 64));
    let (records, set_ticks) = (builder.words(), builder.count());
    let compression = Compression::Presence;
    Block { stream, first_sequence, records, ts, compression, set_ticks, payload }
}

/// A block of words.
fn words(stream: u32, first_sequence: u64, words: &[(i64, u64)]) -> Block {
    let times: Vec<u8> = words.iter().flat_map(|(tick, _)| tick.to_le_bytes()).collect();
    let values: Vec<u8> = words.iter().flat_map(|(_, word)| word.to_le_bytes()).collect();
    let mut payload = times;
    payload.resize(payload.len().next_multiple_of(64), 0);
    payload.extend(values);
    payload.resize(payload.len().next_multiple_of(64), 0);
    let ts = (words[0].0, words[words.len() - 1].0);
    let records = words.len() as u32;
    let (compression, set_ticks) = (Compression::None, WORDS_ONLY);
    Block { stream, first_sequence, records, ts, compression, set_ticks, payload }
}

fn plane(id: u32, kind: PlaneKind, rate: (u32, u32)) -> StreamEntry {
    let name = match &kind {
        PlaneKind::Observed => "cam:observed".to_owned(),
        PlaneKind::Class { id, .. } => format!("cam:{id}"),
    };
    let schema = Schema::of_plane(Plane::new("cam", rate, 0, kind).unwrap());
    StreamEntry { id, name, schema, finished: false, sequence: 0, last_ts: None, touched: None }
}

fn planes() -> Vec<StreamEntry> {
    let person = PlaneKind::Class { id: 3, name: "person".to_owned() };
    vec![plane(1, PlaneKind::Observed, (30, 1)), plane(2, person, (30, 1))]
}

/// A database of one unsealed segment with these blocks.
fn forged(streams: Vec<StreamEntry>, blocks: &[Block]) -> MemoryDevice {
    let mut bytes = SegmentHeader::first(DatabaseId([7; 16]), 1, 0).encode().to_vec();
    let header = SegmentHeader::decode(&bytes).unwrap();
    let (mut number, mut chain) = (0, header.header_crc.get());
    let schemas: Vec<Schema> = streams.iter().map(|stream| stream.schema.clone()).collect();
    let put = |mut builder: EntryBuilder, kind, payload: &[u8], bytes: &mut Vec<u8>| {
        let mut hasher = PayloadHasher::new();
        hasher.update(payload);
        let (crc, table) = hasher.finish();
        builder.header.payload_bytes = (payload.len() as u32).into();
        builder.header.payload_crc = crc.into();
        let (header, len, crc) = builder.finish(kind);
        bytes.extend([&header[..len], payload, &table].concat());
        bytes.resize(bytes.len().next_multiple_of(64), 0);
        crc
    };
    let mut catalog = Vec::new();
    Catalog { retained_from: 0, streams }.encode(&mut catalog);
    let builder = EntryBuilder::new(header.place(), bytes.len() as u32, number, chain);
    chain = put(builder, EntryKind::Catalog, &catalog, &mut bytes);
    for block in blocks {
        number += 1;
        let mut builder = EntryBuilder::new(header.place(), bytes.len() as u32, number, chain);
        let layout = BlockLayout::new(&schemas[block.stream as usize - 1]);
        builder.header.stream = block.stream.into();
        builder.header.records = block.records.into();
        builder.header.first_sequence = block.first_sequence.into();
        builder.block = Some(BlockHeader {
            first_ts: block.ts.0.into(),
            last_ts: block.ts.1.into(),
            decoded_bytes: (layout.decoded_bytes(block.records as usize) as u32).into(),
            schema_crc: layout.schema_crc().into(),
            compression: block.compression as u8,
            set_ticks: block.set_ticks.into(),
            reserved: [0; 35],
        });
        chain = put(builder, EntryKind::Block, &block.payload, &mut bytes);
    }
    MemoryDevice::with_files([("seg-00000001.presence", bytes.as_slice())])
}

#[test]
fn what_a_plane_cannot_be_is_named() {
    let observed = region(1, 0, 0, (0, 500));
    let person = region(2, 0, 0, (10, 40));
    let whole = forged(planes(), &[observed.clone(), person.clone()]);
    sound(&whole, "as it should be");
    let damaged: Vec<(&str, Vec<StreamEntry>, Vec<Block>)> = vec![
        (
            "bytes end inside a region",
            planes(),
            vec![observed.clone(), Block { payload: vec![1; 9], ..person.clone() }],
        ),
        (
            "30 set ticks, and its header says 31",
            planes(),
            vec![observed.clone(), Block { set_ticks: 31, ..person.clone() }],
        ),
        ("500 set ticks in 1 words", planes(), vec![Block { records: 1, ..observed.clone() }]),
        (
            "1 words, and its header says 2",
            planes(),
            vec![observed.clone(), Block { records: 2, ..person.clone() }],
        ),
        (
            "tick 7, which begins no word",
            planes(),
            vec![observed.clone(), Block { ts: (7, 7), ..person.clone() }],
        ),
        (
            "region 0, and its header is of 1",
            planes(),
            vec![observed.clone(), Block { ts: (4_194_304, 4_194_304), ..person.clone() }],
        ),
        (
            "of more than one region",
            planes(),
            vec![Block { ts: (0, 4_194_304), ..observed.clone() }],
        ),
        (
            "ticks Some((0, 448)), and its header says (0, 384)",
            planes(),
            vec![Block { ts: (0, 384), ..observed.clone() }],
        ),
        (
            "the word at tick 64 stands after that at 128",
            planes(),
            vec![words(1, 0, &[(0, 1), (128, 1), (64, 1), (192, 1)])],
        ),
        (
            "a word at tick 65, where none begins",
            planes(),
            vec![words(1, 0, &[(0, 1), (65, 1), (192, 1)])],
        ),
        (
            "compression None with 30 set ticks",
            planes(),
            vec![observed.clone(), Block { compression: Compression::None, ..person.clone() }],
        ),
        ("it repeats numbers 0 to 8", planes(), vec![observed.clone(), observed.clone()]),
        (
            "8 records of stream \"cam:observed\"",
            planes(),
            vec![Block { first_sequence: 8, ..observed.clone() }],
        ),
        (
            "class 3 of track \"cam\" has 60/1 ticks a second",
            vec![
                plane(1, PlaneKind::Observed, (30, 1)),
                plane(2, PlaneKind::Class { id: 3, name: String::new() }, (60, 1)),
            ],
            vec![],
        ),
        (
            "track \"cam\" has no plane of what was observed",
            vec![plane(1, PlaneKind::Class { id: 3, name: String::new() }, (60, 1))],
            vec![],
        ),
        (
            "5 ticks of class 3 (\"person\") of track \"cam\" are set and not observed, the first \
             of them 500, at 16666667 us",
            planes(),
            vec![observed.clone(), region(2, 0, 0, (490, 505))],
        ),
        (
            "64 ticks of class 3 (\"person\") of track \"cam\" are set and not observed, the first \
             of them -4194304",
            planes(),
            vec![observed, person, words(2, 1, &[(-4_194_304, u64::MAX)])],
        ),
    ];
    for (what, streams, blocks) in damaged {
        let report = judged(&forged(streams, &blocks), Level::Deep);
        let found = report.findings.iter().any(|finding| finding.what.contains(what));
        assert!(found && report.exit_code == 4, "{what}: {report:#?}");
    }
}

fn times(track: &PresenceTrack, expression: &Expression) -> Vec<i64> {
    let mut times = Vec::new();
    track.timestamps(expression, ..).unwrap().read_all(&mut times).unwrap();
    times
}

/// A track in several segments, the last of them not sealed.
fn recorded() -> MemoryDevice {
    let disk = MemoryDevice::new();
    let mut options = engine();
    options.segment_bytes = 1 << 14;
    let db = Database::create_on(Arc::new(disk.clone()), options).unwrap();
    let track = db.create_track("cam", Grid::new("30".parse().unwrap(), 5)).unwrap();
    track.name_class(3, "person").unwrap();
    for hour in 0..40_i64 {
        let from = hour * 3_600_000_000;
        track.observe_range(from..from + 3_000_000_000).unwrap();
        (0..900).for_each(|n| track.set(3, from + n * 3_100_000 + n * n * 97).unwrap());
        track.set_range(9, from + 1_000_000..from + 600_000_000).unwrap();
        db.flush(Reach::Disk).unwrap();
    }
    disk.fork()
}

fn salvaged(disk: &MemoryDevice) -> (Salvaged, PresenceTrack, Database) {
    let out = MemoryDevice::new();
    let salvaged = salvage_device(disk, Arc::new(out.clone()), &mut |_| true).unwrap();
    let db = Database::open_on(Arc::new(out), engine()).unwrap();
    (salvaged, db.track("cam").unwrap(), db)
}

#[test]
fn tracks_are_salvaged_and_repaired() {
    let disk = recorded();
    sound(&disk, "recorded");
    let db = open(&disk.fork());
    let track = db.track("cam").unwrap();
    let (person, nine): (Expression, Expression) = ("person".parse().unwrap(), class(9));
    let whole = (times(&track, &person), times(&track, &nine));
    let (told, copy, _db) = salvaged(&disk);
    assert!(told.is_complete() && told.refused.is_empty(), "{told:#?}");
    assert_eq!((times(&copy, &person), times(&copy, &nine)), whole);
    assert_eq!(copy.ratio(&person, ..).unwrap(), track.ratio(&person, ..).unwrap());
    let files = disk.files();
    let mut dice = Dice(0x5eed);
    for round in 0..24 {
        let segments = files.iter().filter(|(name, _)| name.starts_with("seg-"));
        let (name, bytes) =
            segments.clone().nth(dice.roll(segments.count() as u64) as usize).unwrap();
        let damaged = disk.fork();
        let at = 128 + dice.roll(bytes.len() as u64 - 200) as usize;
        damaged.patch(name, at as u64, &[!bytes[at]]);
        let (told, copy, _db) = salvaged(&damaged);
        let spared = |t: &i64| {
            !told.lost.iter().any(|lost| {
                lost.after_ts.is_none_or(|after| *t > after)
                    && lost.before_ts.is_none_or(|before| *t < before)
            })
        };
        let kept = |times: &[i64]| times.iter().copied().filter(spared).collect::<Vec<i64>>();
        // What rotten frames held has no name, and then nobody says that all is there.
        let is_named = told.uncounted_frames == 0 || !told.lost.is_empty();
        assert!(is_named || !told.is_complete(), "round {round}: {told:#?}");
        if is_named {
            assert_eq!(kept(&times(&copy, &person)), kept(&whole.0), "round {round}: {told:#?}");
            assert_eq!(kept(&times(&copy, &nine)), kept(&whole.1), "round {round}: {told:#?}");
        }
        let report = judged(&damaged, Level::Deep);
        let plan = repair::plan(&damaged, &Options::default(), &mut |_| true).unwrap();
        repair::execute(&damaged, &plan, &mut |_| true).unwrap();
        let after = judged(&damaged, Level::Deep);
        let fine = after.is_sound() || after.findings.iter().any(|f| f.what.contains("observed"));
        assert!(fine, "round {round}: {report:#?} {plan:#?} {after:#?}");
        let db = open(&damaged);
        let mended = db.track("cam").unwrap().skip_gaps();
        if is_named {
            assert_eq!(kept(&times(&mended, &nine)), kept(&whole.1), "round {round}: {told:#?}");
        }
    }
}
