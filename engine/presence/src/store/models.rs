//! Models of the whole engine on a device in memory: what the models beside single structures
//! cannot show.
//!
//! # Invariants
//! - One call of the device is one step: what devices do inside is not modelled.
//! - Time stands still: the threads of a writer work when they are told to.

use std::time::Duration;

use presence_format::{DType, Schema};

use crate::device::MemoryDevice;
use crate::error::Error;
use crate::options::{Level, Options};
use crate::read::stream::Stream;
use crate::shim::atomic::{AtomicBool, AtomicU64, Ordering};
use crate::shim::{Arc, explore};
use crate::store::database::Database;
use crate::store::retention::Retention;
use crate::write::stream_writer::StreamWriter;

/// Two records fill a block.
const VALUE_BYTES: usize = 50;

fn options(background: bool) -> Options {
    Options {
        block_bytes: 256,
        compacted_block_bytes: 1024,
        segment_bytes: 4096,
        write_buffer_bytes: 0,
        flush_interval: Duration::from_secs(3600),
        sync_interval: Duration::from_secs(3600),
        background,
        ..Options::default()
    }
}

fn create(device: &MemoryDevice, background: bool) -> (Database, Stream) {
    let db = Database::create_on(Arc::new(device.clone()), options(background)).unwrap();
    let stream = db.create_stream("a", Schema::single(DType::U8, &[VALUE_BYTES as u32]).unwrap());
    (db, stream.unwrap())
}

type Writer = StreamWriter<[u8; VALUE_BYTES]>;

fn append(writer: &mut Writer, sequence: u64) -> Result<(), Error> {
    writer.append(sequence as i64, [sequence as u8; VALUE_BYTES])
}

/// Reads all of a stream: records that follow each other. Returns the sequences that it holds.
fn read(stream: &Stream) -> std::ops::Range<u64> {
    let mut range: Option<std::ops::Range<u64>> = None;
    for slice in stream.window(..).unwrap().slices() {
        let slice = slice.unwrap();
        for (&ts, value) in slice.timestamps().iter().zip(slice.column_bytes(0).chunks(VALUE_BYTES))
        {
            let sequence = ts as u64;
            let expected = range.as_ref().map_or(sequence, |range| range.end);
            assert_eq!(sequence, expected, "a record is missing, or there twice");
            assert_eq!(value, [sequence as u8; VALUE_BYTES]);
            range = Some(range.map_or(sequence, |range| range.start)..sequence + 1);
        }
    }
    range.unwrap_or(0..0)
}

/// A database is closed while another thread appends: what was accepted before is in, nothing is
/// accepted afterwards, and nobody waits for ever.
#[test]
fn closing_ends_every_thread() {
    explore(1, || {
        let device = MemoryDevice::new();
        let (db, stream) = create(&device, true);
        let accepted = Arc::new(AtomicU64::new(0));
        let closed = Arc::new(AtomicBool::new(false));
        let appender = loom::thread::spawn({
            let (accepted, closed) = (Arc::clone(&accepted), Arc::clone(&closed));
            let mut writer: Writer = stream.writer().unwrap();
            move || {
                for sequence in 0..5 {
                    let late = closed.load(Ordering::Acquire);
                    match append(&mut writer, sequence) {
                        Ok(()) => assert!(!late, "accepted after the close"),
                        Err(Error::Closed) => return sequence,
                        Err(error) => panic!("{error}"),
                    }
                    accepted.store(sequence + 1, Ordering::Release);
                }
                5
            }
        });
        let before = accepted.load(Ordering::Acquire);
        db.close().unwrap();
        closed.store(true, Ordering::Release);
        let all = appender.join().unwrap();
        drop(stream);
        let reopened = Database::open_on(Arc::new(device), options(false)).unwrap();
        assert!(reopened.report().is_clean());
        let found = read(&reopened.stream("a").unwrap());
        assert!(before <= found.end && found.end <= all, "{before}, {found:?}, {all}");
    });
}

/// A database with records 0, 1, 2, 3 in sealed segments, and the writer for more.
fn filled() -> (Database, Stream, Writer) {
    let (db, stream) = create(&MemoryDevice::new(), false);
    let mut writer: Writer = stream.writer().unwrap();
    for sequence in 0..4 {
        append(&mut writer, sequence).unwrap();
        db.flush(Level::Os).unwrap();
        if sequence % 2 == 1 {
            let core = db.core();
            core.log().unwrap().seal(core).unwrap();
        }
    }
    (db, stream, writer)
}

/// One thread appends, blocks being written on the way, one does `work`, one reads: every answer
/// is without a hole, and none goes back.
fn read_beside(preemptions: usize, work: fn(&Database)) {
    explore(preemptions, move || {
        let (db, stream, mut writer) = filled();
        let appender = loom::thread::spawn(move || {
            append(&mut writer, 4).unwrap();
            append(&mut writer, 5).unwrap();
            append(&mut writer, 6).unwrap();
        });
        let worker = loom::thread::spawn({
            let db = db.clone();
            move || work(&db)
        });
        let mut seen = 4;
        for _ in 0..2 {
            let found = read(&stream);
            assert!(found.end >= seen && found.start <= 4, "{found:?} after {seen}");
            seen = found.end;
        }
        appender.join().unwrap();
        worker.join().unwrap();
        assert_eq!(read(&stream).end, 7);
    });
}

#[test]
fn snapshots_beside_retention() {
    read_beside(3, |db| {
        assert_eq!(db.retain(Retention::before_us(3)).unwrap().records, 2);
    });
}

#[test]
fn snapshots_beside_compaction() {
    read_beside(3, |db| {
        assert!(db.compact(|_, _| true).unwrap().records >= 4);
    });
}
