//! Every error that there is, provoked, and what its message must tell: the file and the offset,
//! both values, what to do.
//!
//! `Error::VARIANTS` is complete or the engine does not compile; a name in it without a case here
//! fails.

use std::path::Path;
use std::sync::Arc;

use presence::device::{Device, Fault, FaultDevice, FaultPlan, LockError, MemoryDevice, Target};
use presence::device::{RealDevice, Verb};
use presence::{Column, DType, Database, Error, Level, Schema, schema_of};
use presence_format::catalog::{Catalog, StreamEntry};
use presence_format::checksum::{PayloadHasher, header_crc32};
use presence_format::entry::{Entry, EntryBuilder, EntryKind};
use presence_format::segment::SegmentHeader;
use presence_format::{FormatErrorKind, caps};

use crate::support::{rerun, small};

/// Set for the child of a test: the directory to use.
const CHILD_DIRECTORY: &str = "PRESENCE_TEST_ERRORS_DIRECTORY";
/// The first segment of every database made here.
const FIRST: &str = "seg-00000001.presence";

/// An error, and words of which its message must have each.
type Told = (Error, Vec<String>);

fn told(error: Error, words: &[&str]) -> Told {
    (error, words.iter().map(|word| (*word).to_owned()).collect())
}

fn memory() -> (MemoryDevice, Database) {
    let memory = MemoryDevice::new();
    let db = Database::create_on(Arc::new(memory.clone()), small()).unwrap();
    (memory, db)
}

/// A closed database whose stream `a` holds 500 bytes in blocks; every flush makes a block.
fn filled() -> MemoryDevice {
    let (memory, db) = memory();
    let stream = db.create_stream("a", schema_of::<f64>().unwrap()).unwrap();
    let mut writer = stream.writer::<f64>().unwrap();
    for ts in 0..100 {
        writer.append(ts, ts as f64).unwrap();
    }
    drop((writer, stream));
    db.close().unwrap();
    memory
}

/// The one segment of [`filled`], and the offset of its second block.
fn second_block(memory: &MemoryDevice) -> (String, Vec<u8>, usize) {
    let (name, bytes) = memory.files().into_iter().next().unwrap();
    let header = SegmentHeader::decode(&bytes).unwrap();
    let is_block = |at: &usize| {
        Entry::parse(&bytes[*at..], header.place(), *at as u32)
            .is_ok_and(|entry| entry.kind == EntryKind::Block)
    };
    let at = (128..bytes.len()).step_by(64).filter(is_block).nth(1).unwrap();
    (name, bytes, at)
}

fn io() -> Told {
    let (memory, db) = memory();
    drop(db);
    let device = FaultDevice::new(Arc::new(memory));
    let plan =
        FaultPlan { target: Target::Only(Verb::List), at: 1, fault: Fault::Io, sticky: true };
    device.arm(plan);
    let error = Database::open_on(Arc::new(device), small()).unwrap_err();
    told(error, &["cannot list", "Input/output error"])
}

fn corrupt() -> Told {
    let memory = filled();
    let (name, _, at) = second_block(&memory);
    memory.patch(&name, at as u64 + 128 + 5, &[0xff]);
    let db = Database::open_read_only_on(Arc::new(memory), small()).unwrap();
    let mut slices = db.stream("a").unwrap().window(..).unwrap().slices().collect::<Vec<_>>();
    let error = slices.pop().unwrap().unwrap_err();
    let offset = format!("at byte {}", at + 128);
    told(error, &[&name, &offset, "stream \"a\"", "presence-fsck"])
}

fn gap() -> Told {
    let memory = filled();
    let (name, bytes, at) = second_block(&memory);
    // The block's header and what seals the file: the rest is found by scanning.
    let mut bytes = bytes[..bytes.len() - 64].to_vec();
    bytes[at..at + 128].fill(0);
    memory.replace(&name, &bytes);
    let db = Database::open_read_only_on(Arc::new(memory), small()).unwrap();
    let window = db.stream("a").unwrap().window(..);
    let error = match window {
        Err(error) => error,
        Ok(window) => window.slices().find_map(Result::err).unwrap(),
    };
    told(error, &["records of stream \"a\" from", "presence-fsck"])
}

fn incompatible() -> Told {
    let memory = filled();
    let (name, mut bytes, _) = second_block(&memory);
    bytes[8] = 9;
    let crc = header_crc32(&bytes[..128], 12).to_le_bytes();
    bytes[12..16].copy_from_slice(&crc);
    memory.replace(&name, &bytes);
    let error = Database::open_on(Arc::new(memory), small()).unwrap_err();
    told(error, &[&name, "9", "1"])
}

fn on_disk(what: impl FnOnce(&Path) -> Told) -> Told {
    let directory = tempfile::tempdir().unwrap();
    let (error, mut words) = what(directory.path());
    words.push(directory.path().display().to_string());
    (error, words)
}

fn locked() -> Told {
    on_disk(|path| {
        let _db = Database::create(path, small()).unwrap();
        let error = Database::open(path, small()).unwrap_err();
        told(error, &[&format!("process {}", std::process::id()), "one writer"])
    })
}

fn poisoned() -> Told {
    let device = FaultDevice::new(Arc::new(MemoryDevice::new()));
    let db = Database::create_on(Arc::new(device.clone()), small()).unwrap();
    let stream = db.create_stream("a", schema_of::<f64>().unwrap()).unwrap();
    let mut writer = stream.writer::<f64>().unwrap();
    writer.append(1, 1.0).unwrap();
    let plan = FaultPlan { target: Target::Mutating, at: 1, fault: Fault::NoSpace, sticky: false };
    device.arm(plan);
    let first = writer.flush(Level::Disk).unwrap_err();
    assert!(first.to_string().contains(FIRST), "{first}");
    let error = writer.flush(Level::Disk).unwrap_err();
    told(error, &[FIRST, "No space left", "reopen"])
}

fn closed() -> Told {
    let (_, db) = memory();
    let left = db.clone();
    db.close().unwrap();
    told(left.flush(Level::Os).unwrap_err(), &["closed"])
}

/// Not a test by itself: forks, and leaves the child's error in a file.
#[test]
fn child_that_forks() {
    let Ok(directory) = std::env::var(CHILD_DIRECTORY) else { return };
    let db = Database::create(Path::new(&directory).join("db"), small()).unwrap();
    match fork::fork().unwrap() {
        fork::Fork::Child => {
            let error = db.flush(Level::Disk).unwrap_err();
            let text = format!("{}\n{error}", error.variant());
            std::fs::write(Path::new(&directory).join("told"), text).unwrap();
            std::process::exit(0);
        }
        fork::Fork::Parent(child) => {
            let owner = std::process::id().to_string();
            std::fs::write(Path::new(&directory).join("owner"), owner).unwrap();
            fork::waitpid(child).unwrap();
        }
    }
}

/// The error is the child's: only its message comes back.
#[test]
fn a_forked_handle_names_its_owner() {
    let directory = tempfile::tempdir().unwrap();
    let done = rerun("errors::child_that_forks").env(CHILD_DIRECTORY, directory.path()).output();
    assert!(done.unwrap().status.success());
    let read = |name| std::fs::read_to_string(directory.path().join(name)).unwrap();
    let (told, owner) = (read("told"), read("owner"));
    assert!(told.starts_with("Forked\n"), "{told}");
    assert!(told.contains(&format!("process {owner}")) && told.contains("open the"), "{told}");
}

/// A segment as a crash leaves it, whose catalog has the last id there is.
fn too_many_streams() -> Told {
    let (memory, db) = memory();
    let fork = memory.fork();
    drop(db);
    let mut bytes = fork.files()[FIRST][..128].to_vec();
    let header = SegmentHeader::decode(&bytes).unwrap();
    let last = StreamEntry {
        id: caps::STREAMS_MAX,
        name: "last".to_owned(),
        finished: false,
        sequence: 0,
        last_ts: None,
        touched: None,
        schema: schema_of::<f64>().unwrap(),
    };
    let mut payload = Vec::new();
    Catalog { retained_from: 0, streams: vec![last] }.encode(&mut payload);
    let mut hasher = PayloadHasher::new();
    hasher.update(&payload);
    let (payload_crc, _) = hasher.finish();
    let mut builder = EntryBuilder::new(header.place(), 128, 0, header.header_crc.get());
    builder.header.payload_bytes = (payload.len() as u32).into();
    builder.header.payload_crc = payload_crc.into();
    let (header, header_bytes, _) = builder.finish(EntryKind::Catalog);
    bytes.extend(&header[..header_bytes]);
    bytes.extend(&payload);
    bytes.resize(bytes.len().next_multiple_of(64), 0);
    fork.replace(FIRST, &bytes);
    let db = Database::open_on(Arc::new(fork), small()).unwrap();
    assert!(db.stream("last").is_ok(), "{:?}", db.report());
    let error = db.create_stream("one more", schema_of::<f64>().unwrap()).unwrap_err();
    told(error, &["at most 65536 streams"])
}

fn grid() -> presence::Grid {
    presence::Grid::new("30".parse().unwrap(), 0)
}

/// Errors of a wrong call, all on one database.
fn wrong_call(variant: &str) -> Told {
    let (memory, db) = memory();
    let columns = vec![Column::scalar("x", DType::F64), Column::scalar("class", DType::U8)];
    let schema = Schema::new(columns).unwrap();
    let stream = db.create_stream("arm", schema.clone()).unwrap();
    let mut writer = stream.column_writer().unwrap();
    writer.append(50, &[&[0; 8], &[0]]).unwrap();
    match variant {
        "ReadOnly" => {
            writer.flush(Level::Os).unwrap();
            let reader = Database::open_read_only_on(Arc::new(memory), small()).unwrap();
            told(reader.flush(Level::Os).unwrap_err(), &["read-only"])
        }
        "NoSuchStream" => told(db.stream("leg").unwrap_err(), &["\"leg\""]),
        "StreamExists" => told(db.create_stream("arm", schema).unwrap_err(), &["\"arm\""]),
        "NoSuchTrack" => told(db.track("cam").unwrap_err(), &["\"cam\""]),
        "TrackExists" => {
            db.create_track("cam", grid()).unwrap();
            told(db.create_track("cam", grid()).unwrap_err(), &["\"cam\"", "exists"])
        }
        "ClassInUse" => {
            let track = db.create_track("cam", grid()).unwrap();
            track.set(7, 0).unwrap();
            told(track.name_class(7, "cat").unwrap_err(), &["\"cam\"", "class 7", "in use"])
        }
        "StreamFinished" => {
            writer.finish().unwrap();
            told(stream.column_writer().unwrap_err(), &["\"arm\"", "finished"])
        }
        "WriterTaken" => told(stream.column_writer().unwrap_err(), &["\"arm\"", "drop it"]),
        "TimeOrder" => {
            let error = writer.append(49, &[&[0; 8], &[0]]).unwrap_err();
            told(error, &["\"arm\"", "49", "50", "order"])
        }
        "SchemaMismatch" => {
            let error = stream.typed::<f32>().map(drop).unwrap_err();
            told(error, &["\"arm\"", "f64", "f32"])
        }
        "Batch" => {
            let error = writer.append_columns(&[60, 61], &[&[0; 16], &[0; 3]]).unwrap_err();
            told(error, &["\"arm\"", "3", "2"])
        }
        "Invalid" => told(db.create_stream("", schema).unwrap_err(), &["name"]),
        _ => {
            let error = stream.window(std::ops::Range { start: 9, end: 3 }).unwrap_err();
            told(error, &["9", "3"])
        }
    }
}

fn interrupted() -> Told {
    let db = Database::open_read_only_on(Arc::new(filled()), small()).unwrap();
    let out: Arc<dyn Device> = Arc::new(MemoryDevice::new());
    let ended = db.backup_on(&out, |_, _| false);
    told(ended.unwrap_err(), &["the backup", "interrupted"])
}

/// The error that a variant stands for; `None` where another test has to do it.
fn provoke(variant: &str) -> Option<Told> {
    Some(match variant {
        "Io" => io(),
        "Corrupt" => corrupt(),
        "Gap" => gap(),
        "Incompatible" => incompatible(),
        "NotADatabase" => on_disk(|path| {
            let error = Database::open(path, small()).unwrap_err();
            told(error, &["is not a presence database", "no segment"])
        }),
        "AlreadyExists" => on_disk(|path| {
            drop(Database::create(path, small()).unwrap());
            told(Database::create(path, small()).unwrap_err(), &["open it instead"])
        }),
        "Locked" => locked(),
        // A child's error, and a mount that is not to be had: `a_forked_handle_names_its_owner`
        // here, `a_network_share_is_refused_unless_asked_for` in the engine.
        "Forked" | "NetworkFileSystem" => return None,
        "Poisoned" => poisoned(),
        "Closed" => closed(),
        "TooManyStreams" => too_many_streams(),
        "Interrupted" => interrupted(),
        "ReadOnly" | "NoSuchStream" | "StreamExists" | "NoSuchTrack" | "TrackExists"
        | "ClassInUse" | "StreamFinished" | "WriterTaken" | "TimeOrder" | "SchemaMismatch"
        | "Batch" | "Invalid" | "ReversedRange" => wrong_call(variant),
        other => panic!("nothing provokes Error::{other}: add a case"),
    })
}

#[test]
fn every_error_is_provoked_and_tells_what_is_needed() {
    for variant in Error::VARIANTS {
        let Some((error, words)) = provoke(variant) else { continue };
        let text = error.to_string();
        assert_eq!(error.variant(), *variant, "{text}");
        for word in words {
            assert!(text.contains(&word), "{variant}: no {word:?} in {text:?}");
        }
    }
}

#[test]
fn both_refusals_of_the_lock() {
    let directory = tempfile::tempdir().unwrap();
    let device = RealDevice::open(directory.path()).unwrap();
    let _held = device.lock("somebody").unwrap();
    let faulty = FaultDevice::new(Arc::new(MemoryDevice::new()));
    let plan =
        FaultPlan { target: Target::Only(Verb::Lock), at: 1, fault: Fault::Io, sticky: true };
    faulty.arm(plan);
    for error in [device.lock("me").unwrap_err(), faulty.lock("me").unwrap_err()] {
        match error {
            LockError::Held { holder } => assert_eq!(holder, "somebody"),
            LockError::Io(error) => assert!(error.to_string().contains("error"), "{error}"),
        }
    }
}

/// One fault of each kind, in the header of a segment or in a name.
#[test]
fn every_kind_of_a_format_error_is_provoked() {
    use FormatErrorKind::{Corrupt, Foreign, Incompatible, Invalid, Truncated};
    let (_, bytes, at) = second_block(&filled());
    let header = SegmentHeader::decode(&bytes).unwrap();
    for kind in [Truncated, Corrupt, Incompatible, Foreign, Invalid] {
        // A new kind has to be put into the list and given a case.
        let (error, offset, word) = match kind {
            Truncated => (SegmentHeader::decode(&bytes[..100]).map(drop), 0, "segment header"),
            Corrupt => {
                let mut bytes = bytes.clone();
                bytes[40] ^= 1;
                (SegmentHeader::decode(&bytes).map(drop), 12, "checksum")
            }
            Incompatible => {
                let mut bytes = bytes[..128].to_vec();
                bytes[8] = 9;
                let crc = header_crc32(&bytes, 12).to_le_bytes();
                bytes[12..16].copy_from_slice(&crc);
                (SegmentHeader::decode(&bytes).map(drop), 8, "9")
            }
            Foreign => {
                let moved = at as u32 + 64;
                (Entry::parse(&bytes[at..], header.place(), moved).map(drop), 24, "offset")
            }
            Invalid => (presence::check_name("stream", ""), 0, "stream"),
        };
        let error = error.unwrap_err();
        assert_eq!(error.kind, kind, "{error}");
        assert_eq!(error.offset, offset, "{kind:?}: {error}");
        assert!(error.what.contains(word), "{kind:?}: no {word:?} in {error}");
    }
}
