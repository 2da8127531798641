//! What repair and salvage make of content that lies behind right checksums: what is sound is kept,
//! and what is left out is told, with its reason.

use std::collections::BTreeMap;
use std::sync::Arc;

use presence::device::{Device, MemoryDevice, RealDevice};
use presence::{Compression, Order};
use presence_format::Schema;
use presence_format::catalog::Catalog;
use presence_format::entry::EntryKind;
use presence_format::segment::SegmentHeader;
use presence_fsck::repair::{self, Plan, Step};
use presence_fsck::salvage::{Error, Salvaged, salvage_device};
use presence_fsck::{Code, Level, Options, Report, check_device};

use super::build::{DATABASE, Log, OTHER, Shape, catalog, lanes, name, padded, plain, stream};

type Files = BTreeMap<String, Vec<u8>>;

fn device(files: &Files) -> MemoryDevice {
    MemoryDevice::with_files(files.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())))
}

/// One segment that is not sealed.
fn alone(log: &Log) -> Files {
    Files::from([(name(log.header.segment.get()), log.bytes.clone())])
}

fn check(device: &dyn Device) -> Report {
    check_device(device, &Options::at(Level::Deep), &mut |_| true).unwrap()
}

/// Salvages `files`; the copy is sound and holds as many records as are told.
fn salvage(files: &Files) -> (Salvaged, MemoryDevice) {
    let source = device(files);
    let out = MemoryDevice::new();
    let salvaged = salvage_device(&source, Arc::new(out.clone()), &mut |_| true).unwrap();
    assert_eq!(source.files(), *files, "the source was changed");
    let copy = check(&out);
    assert_eq!((copy.exit_code, copy.totals.records), (0, salvaged.records), "{copy:#?}");
    let is_complete = salvaged.lost.is_empty() && salvaged.unread.is_empty();
    assert_eq!((salvaged.exit_code() == 0, salvaged.is_complete()), (is_complete, is_complete));
    (salvaged, out)
}

/// Salvages a segment of sixty records, of which the second twenty lie; none of them is taken.
#[track_caller]
fn refused(what: &str, middle: impl FnOnce(&mut Log)) {
    let mut log = Log::new(1).opened();
    log.block(1, 0, 20);
    let at = log.bytes.len() as u64;
    middle(&mut log);
    log.block(1, 40, 20);
    let (salvaged, _) = salvage(&alone(&log));
    assert_eq!((salvaged.records, salvaged.lost_records()), (40, 20), "{salvaged:#?}");
    let told = salvaged.refused.first().unwrap();
    assert_eq!((told.file.as_str(), told.offset), (name(1).as_str(), at));
    assert!(told.what.contains(what), "{told:?}");
    let lost = &salvaged.lost[0];
    assert_eq!((lost.first_sequence, lost.after_ts, lost.before_ts), (20, Some(190), Some(400)));
}

/// The second twenty records, whatever the payload.
fn shape(schema: &Schema) -> Shape<'_> {
    Shape { schema, stream: 1, from: 20, records: 20, bounds: (200, 390) }
}

#[test]
fn salvage_refuses_content_that_lies() {
    refused("", |log| {
        log.made_block(&shape(&plain()), Compression::Lz4, &[0xff; 64], |_| {});
    });
    refused("another schema", |log| {
        let change = |block: &mut presence_format::entry::EntryBuilder| {
            block.block.as_mut().unwrap().schema_crc = 7.into();
        };
        log.changed_block(1, 20, 20, change);
    });
    refused("timestamp 380 stands after 390", |log| {
        let [times, values] = lanes(20, 20);
        let times = times.chunks(8).rev().flatten().copied().collect();
        log.made_block(&shape(&plain()), Compression::None, &padded(&[times, values]), |_| {});
    });
    refused("timestamp 0 stands after 190", |log| {
        log.made_block(&shape(&plain()), Compression::None, &padded(&lanes(0, 20)), |_| {});
    });
}

#[test]
fn salvage_tells_of_the_first_thousand_refusals_and_counts_the_rest() {
    let mut log = Log::new(1).opened();
    log.block(1, 0, 20);
    for _ in 0..1010 {
        // A stream that no catalog knows of.
        log.block(9, 0, 1);
    }
    let (salvaged, _) = salvage(&alone(&log));
    assert_eq!((salvaged.refused.len(), salvaged.further_refused), (1000, 10));
    assert!(salvaged.refused[0].what.contains("no sound catalog"), "{:?}", salvaged.refused[0]);
    assert_eq!((salvaged.records, salvaged.exit_code()), (20, 0));
}

#[test]
fn salvage_copies_each_record_once() {
    let mut log = Log::new(1).opened();
    // The same again, a part of it, and what goes on from there.
    log.block(1, 0, 20).block(1, 0, 20).block(1, 5, 10).block(1, 15, 25);
    let mut files = alone(&log);
    // The whole file again, not where it says.
    files.insert("copy".to_owned(), [&[1; 7], log.bytes.as_slice()].concat());
    let (salvaged, out) = salvage(&files);
    assert_eq!((salvaged.records, salvaged.lost.len()), (40, 0), "{salvaged:#?}");
    let db = presence::Database::open_read_only_on(Arc::new(out), Default::default()).unwrap();
    let records = db.stream("a").unwrap().iter().unwrap().map(|record| record.unwrap().ts());
    assert!(records.eq((0..40).map(|sequence| sequence * 10)));
}

#[test]
fn salvage_leaves_out_what_is_of_others_and_what_was_replaced() {
    let mut log = Log::new(1).opened();
    log.block(1, 0, 20);
    let (end, number, crc) = (log.bytes.len(), log.number, log.crc);
    log.block(1, 20, 20);
    // A crash cut that block, and a recovery wrote another of its number behind it.
    let cut = std::mem::take(&mut log.bytes);
    log.bytes = cut[..cut.len() - 64].to_vec();
    (log.number, log.crc) = (number, crc);
    log.block(1, 20, 10);
    let mut files = alone(&log);
    let mut other = Log::of(SegmentHeader::first(OTHER, 2, 0)).opened();
    other.block(1, 0, 20);
    files.insert(name(2), other.bytes.clone());
    let (salvaged, _) = salvage(&files);
    assert_eq!((salvaged.records, salvaged.foreign), (30, 1), "{salvaged:#?}");
    assert_eq!(salvaged.unsound, 1, "{salvaged:#?} {end}");

    // Sound, and replaced all the same: the one behind it has its number.
    let mut log = Log::new(1).opened();
    log.block(1, 0, 20);
    let (number, crc) = (log.number, log.crc);
    log.block(1, 20, 20);
    (log.number, log.crc) = (number, crc);
    log.block(1, 20, 10);
    let (salvaged, _) = salvage(&alone(&log));
    assert_eq!((salvaged.records, salvaged.replaced), (30, 1), "{salvaged:#?}");
}

#[test]
fn salvage_names_streams_apart_and_ends_those_that_ended() {
    let mut log = Log::new(1);
    let long = "n".repeat(255);
    let mut streams = vec![stream(1, "a", plain()), stream(2, "a", plain())];
    streams.extend([stream(3, &long, plain()), stream(4, &long, plain())]);
    streams[1].finished = true;
    streams[1].schema = plain().with_order(Order::NonDecreasing);
    log.tell(&Catalog { retained_from: 0, streams });
    log.block(1, 0, 20).block(3, 0, 20).block(4, 0, 20);
    let (salvaged, out) = salvage(&alone(&log));
    assert_eq!((salvaged.streams, salvaged.records), (4, 60));
    let db = presence::Database::open_read_only_on(Arc::new(out), Default::default()).unwrap();
    let mut names: Vec<String> = db.streams().iter().map(|one| one.name().to_owned()).collect();
    names.sort();
    assert_eq!(names[..2], ["a".to_owned(), "a (stream 2)".to_owned()]);
    assert!(names[2].ends_with("(stream 4)") || names[3].ends_with("(stream 4)"), "{names:?}");
    assert!(db.stream("a (stream 2)").unwrap().is_finished());
    assert!(!db.stream("a").unwrap().is_finished());
}

#[test]
fn salvage_keeps_what_retention_gave_up_given_up() {
    let mut first = Log::new(1).opened();
    first.block(1, 0, 20);
    let mut second = Log::of(first.next(2));
    let mut all = catalog();
    (all.retained_from, all.streams[0].sequence) = (2, 20);
    second.tell(&all).block(1, 20, 20);
    let mut files = alone(&second);
    files.insert(name(1), first.sealed());
    let (salvaged, _) = salvage(&files);
    assert_eq!((salvaged.records, salvaged.lost.len()), (20, 0), "{salvaged:#?}");
}

#[test]
fn salvage_ends_where_a_file_claims_too_much() {
    let mut log = Log::new(1).opened();
    log.block(1, 0, 20);
    for _ in 0..8 {
        // Each claims a payload of 16 MiB, and has none.
        log.entry(EntryKind::Frame, &[1; 64], |builder| {
            builder.header.payload_bytes = (16 << 20).into();
            builder.header.records = 1.into();
        });
    }
    let (salvaged, _) = salvage(&alone(&log));
    assert_eq!((salvaged.records, &salvaged.unread), (20, &vec![name(1)]), "{salvaged:#?}");
    assert_eq!(salvaged.exit_code(), 1);
}

#[test]
fn salvage_without_a_catalog_has_nothing() {
    let mut log = Log::new(1);
    log.block(1, 0, 20);
    let out = Arc::new(MemoryDevice::new());
    let error = salvage_device(&device(&alone(&log)), out, &mut |_| true).unwrap_err();
    assert!(matches!(error, Error::Nothing { .. }), "{error}");
}

fn plan(device: &dyn Device) -> Plan {
    repair::plan(device, &Options::at(Level::Deep), &mut |_| true).unwrap()
}

/// Plans, repairs, and plans again: there is nothing left to do.
fn repair(device: &dyn Device) -> (Plan, Report) {
    let plan = plan(device);
    let repaired = repair::execute(device, &plan, &mut |_| true).unwrap();
    let changed = &repaired.answers()[2];
    assert_eq!(changed.starts_with("no"), plan.is_empty(), "{changed}");
    let again = self::plan(device);
    assert!(again.is_empty(), "{again}");
    (plan, repaired.report)
}

/// Log segments of twenty records each.
fn chain(count: u32) -> Vec<Log> {
    let mut logs: Vec<Log> = Vec::new();
    for number in 1..=count {
        let header = match logs.last() {
            Some(before) => before.next(number),
            None => SegmentHeader::first(DATABASE, number, 0),
        };
        let from = u64::from(number - 1) * 20;
        let mut all = catalog();
        all.streams[0].sequence = from;
        all.streams[0].last_ts = from.checked_sub(1).map(|last| last as i64 * 10);
        let mut log = Log::of(header);
        log.tell(&all).block(1, from, 20);
        logs.push(log);
    }
    logs
}

/// All sealed but the last one.
fn chained(mut logs: Vec<Log>) -> Files {
    let last = logs.pop().unwrap();
    let mut files = alone(&last);
    files.extend(logs.into_iter().map(|log| (name(log.header.segment.get()), log.sealed())));
    files
}

/// Flips a bit in the payload of the block that stands behind the first catalog.
fn flip_block(files: &mut Files, number: u32) {
    let bytes = files.get_mut(&name(number)).unwrap();
    let is_block = |at: &usize| bytes[*at..].starts_with(b"PRSe") && bytes[*at + 20] == 2;
    let at = (128..bytes.len()).step_by(64).find(is_block).unwrap();
    bytes[at + 130] ^= 1;
}

#[test]
fn repair_leaves_what_nothing_decides() {
    // Two segments that repeat each other's records.
    let mut files = chained(chain(3));
    let mut again = Log::of(chain(2)[0].next(2));
    again.tell(&catalog()).block(1, 0, 20);
    files.insert(name(2), again.sealed());
    flip_block(&mut files, 1);
    let (plan, report) = repair(&device(&files));
    assert!(plan.left.iter().any(|one| one.code == Code::GivenUp || one.code == Code::ChainBroken));
    assert!(report.exit_code & 4 == 4 && plan.to_string().contains("left as it is"), "{plan}");

    // The last number that there is.
    let mut logs = chain(2);
    let mut last = Log::of(logs[0].next(u32::MAX));
    let mut all = catalog();
    all.streams[0].sequence = 20;
    last.tell(&all).block(1, 20, 20);
    logs[1] = last;
    let mut files = chained(logs);
    flip_block(&mut files, 1);
    let (plan, _) = repair(&device(&files));
    assert!(plan.is_empty() && plan.to_string().contains("no number left"), "{plan}");
}

#[test]
fn repair_sets_inputs_aside_when_it_writes_their_compaction_anew() {
    let logs = chain(3);
    let mut header = logs[0].header;
    header.segment = 8.into();
    header.set = 8.into();
    header.generation = 1.into();
    header.log_first = 1.into();
    header.log_last = 2.into();
    let mut output = Log::of(header);
    output.tell(&logs[1].index().catalog).block(1, 0, 20).block(1, 20, 20);
    let (end, crc) = (logs[1].end(), logs[1].crc);
    let output = output.sealed_as(
        |_| {},
        |footer| {
            footer.log_end = end.into();
            footer.log_crc = crc.into();
        },
    );
    let mut files = chained(logs);
    files.insert(name(8), output);
    flip_block(&mut files, 8);
    let memory = device(&files);
    let (plan, report) = repair(&memory);
    let aside = plan.steps.iter().filter(|step| matches!(step, Step::SetAside { .. })).count();
    assert_eq!((plan.steps.len(), aside, report.exit_code), (3, 2, 0), "{plan}\n{report:#?}");
    assert!(plan.to_string().contains("it may hold what they lost"), "{plan}");
    assert_eq!(report.lost.iter().map(|lost| lost.records).sum::<u64>(), 20);
    assert!(report.answers()[0].contains("known to be lost"), "{:?}", report.answers());
    for bytes in files.values() {
        assert!(memory.files().values().any(|other| other == bytes));
    }
}

#[test]
fn repair_leaves_rubble_where_it_is() {
    let files = Files::from([(name(1), vec![0x55; 700]), (name(2), Vec::new())]);
    let memory = device(&files);
    let (plan, report) = repair(&memory);
    assert!(plan.is_empty() && plan.to_string().contains("nothing in the directory is sound"));
    assert_eq!((plan.exit_code(), report.exit_code), (4, 4), "{plan}");
    assert_eq!(memory.files(), files);
}

#[test]
fn repair_renames_what_is_no_file() {
    let place = tempfile::tempdir().unwrap();
    for (name, bytes) in chained(chain(2)) {
        std::fs::write(place.path().join(name), bytes).unwrap();
    }
    std::fs::create_dir(place.path().join(name(5))).unwrap();
    std::fs::write(place.path().join(name(5)).join("mine"), "kept").unwrap();
    let device = RealDevice::open(place.path()).unwrap();
    let (plan, report) = repair(&device);
    assert_eq!((plan.steps.len(), report.exit_code), (1, 0), "{plan}");
    assert!(plan.to_string().contains("no regular file"), "{plan}");
    let Step::SetAside { to, .. } = &plan.steps[0] else { panic!("{plan}") };
    assert_eq!(std::fs::read(place.path().join(to).join("mine")).unwrap(), b"kept");
}

#[test]
fn a_report_answers() {
    let answers = |files: &Files| check(&device(files)).answers();
    let sound = chained(chain(3));
    assert_eq!(answers(&sound), ["yes: all 60 records are there", "nothing", "no", "nothing"]);
    let mut lossy = sound.clone();
    flip_block(&mut lossy, 2);
    let told = answers(&lossy);
    assert_eq!(told[0], "no: 20 records are missing, all others are safe");
    assert_eq!(told[1], "20 records of stream \"a\" after 190 and before 400");
    assert!(told[3].contains("--repair") && told[3].contains("--salvage"), "{told:?}");
    let mut footless = sound.clone();
    footless.get_mut(&name(1)).unwrap().truncate(900);
    let told = answers(&footless);
    assert_eq!(told[0], "yes: no record is missing, but bytes are damaged", "{told:?}");
    assert!(told[3].contains("--repair -n"), "{told:?}");
    let mut newer = sound.clone();
    let bytes = newer.get_mut(&name(3)).unwrap();
    let mut header = SegmentHeader::decode(bytes).unwrap();
    header.version_major = 2.into();
    bytes[..128].copy_from_slice(&header.encode());
    let told = answers(&newer);
    assert!(told[0].contains("could not be looked at") && told[3] == "see the findings");
    let ended = check_device(&device(&sound), &Options::default(), &mut |_| false).unwrap();
    assert_eq!((ended.exit_code, ended.interrupted), (32, true));
    assert_eq!(ended.answers()[3], "run it again");
    // More ranges than anybody reads.
    let mut log = Log::new(1).opened();
    for block in 0..13 {
        log.block(1, 20 * block + 10, 5);
    }
    let report = check(&device(&alone(&log)));
    assert_eq!((report.lost.len(), report.lost[0].records), (13, 10));
    assert!(report.answers()[1].ends_with("and 3 more ranges"), "{:?}", report.answers());
}

#[test]
fn a_file_that_grows_is_told() {
    let memory = device(&chained(chain(2)));
    let file = memory.open_writable(&name(2)).unwrap();
    let mut grow = |_| {
        file.write_at(&[&[0; 64]], file.len().unwrap()).unwrap();
        true
    };
    let report = check_device(&memory, &Options::default(), &mut grow).unwrap();
    assert_eq!((report.of(Code::Growing).count(), report.exit_code), (1, 0), "{report:#?}");
}

#[test]
fn footers_that_name_other_indexes() {
    for (at, what) in [(128, "no index where the footer says"), (0, "index of other data")] {
        let mut files = chained(chain(2));
        let sealed = chain(1).remove(0).sealed_as(
            |_| {},
            |footer| {
                if at > 0 {
                    footer.index_offset = at.into();
                    footer.data_end = at.into();
                    footer.log_end = at.into();
                } else {
                    footer.data_crc = 7.into();
                }
            },
        );
        files.insert(name(1), sealed);
        let report = check(&device(&files));
        let told = report.findings.iter().any(|finding| finding.what.contains(what));
        assert!(told && report.exit_code == 4, "{report:#?}");
    }
}
