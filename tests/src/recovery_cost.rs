//! What opening costs: of sealed segments the two ends, of the unclean active one all of it.

use std::sync::Arc;

use presence::device::{Device, MemoryDevice};
use presence::{Database, Level};
use presence_format::segment::{Footer, SegmentHeader};

use crate::support::{check_numbers, figure, number_at, number_schema, number_ts, small};

const SEALED: usize = 1000;

#[test]
fn opening_reads_the_ends_of_sealed_segments_and_the_active_one() {
    let memory = MemoryDevice::new();
    let device: Arc<dyn Device> = Arc::new(memory.clone());
    let mut options = small();
    options.segment_bytes = 64 << 10;
    options.block_bytes = 4096;
    let db = Database::create_on(Arc::clone(&device), options.clone()).unwrap();
    let stream = db.create_stream("numbers", number_schema(0)).unwrap();
    let mut writer = stream.writer::<i64>().unwrap();
    let mut sequence = 0;
    let mut append = |count: u64| {
        for _ in 0..count {
            writer.append(number_ts(sequence), number_at(0, sequence)).unwrap();
            sequence += 1;
        }
    };
    while memory.files().len() <= SEALED {
        append(20_000);
    }
    append(700);
    db.flush(Level::Os).unwrap();
    append(50);
    db.flush(Level::Os).unwrap();
    drop((writer, stream));
    let unclean = memory.fork();
    drop(db);

    let files = unclean.files();
    let (active, active_bytes) = files.last_key_value().unwrap();
    let sealed: u64 = files.values().map(|bytes| bytes.len() as u64).sum();
    let sealed = sealed - active_bytes.len() as u64;
    let ends: u64 = files
        .iter()
        .filter(|(name, _)| *name != active)
        .map(|(_, bytes)| {
            let footer = &bytes[bytes.len() - Footer::BYTES..];
            let index_offset = u32::from_le_bytes(footer[20..24].try_into().unwrap());
            (SegmentHeader::BYTES + bytes.len() - index_offset as usize) as u64
        })
        .sum();
    let reads = unclean.counters().clone();
    let open = Database::open_on(Arc::new(unclean), options).unwrap();
    let total = reads.total();
    let of_active = reads.file(active).bytes_read;
    let of_sealed = total.bytes_read - of_active;
    println!(
        "{} sealed segments of {sealed} bytes: {of_sealed} read, of the active one {of_active} \
         of {}",
        files.len() - 1,
        active_bytes.len()
    );
    assert!(of_sealed <= ends, "{of_sealed} bytes read of sealed segments; their ends are {ends}");
    assert!(of_sealed * 10 < sealed);
    // Header, entries, and once more header, index and footer after it was sealed.
    assert!(of_active <= 2 * active_bytes.len() as u64 + 16_384, "{of_active}");
    assert_eq!(total.bytes_mapped, 0);
    let report = open.report();
    assert_eq!(report.scanned, std::slice::from_ref(active));
    assert!(report.scanned_bytes <= active_bytes.len() as u64);
    assert_eq!(report.segments, files.len());
    let found = check_numbers(&open.stream("numbers").unwrap(), 0).unwrap().unwrap();
    assert_eq!((found.first, found.end), (0, sequence));
    figure("segments at recovery", files.len() as u64);
}
