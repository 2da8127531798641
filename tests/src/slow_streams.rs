//! Many slow streams with default options: flushed ten times a second and synced every second, they
//! cost little more than their records, and compacted next to nothing more.

use std::sync::Arc;

use presence::device::{Device, MemoryDevice};
use presence::{Compression, Database, Level, Options, schema_of};

use crate::support::scale;

const STREAMS: usize = 30;
const HERTZ: u64 = 10;

#[test]
fn a_day_of_thirty_slow_streams() {
    // A quarter of a day unless scaled up: the ratios do not depend on it.
    let seconds = ((86_400 / 4) as f64 * scale()).min(86_400.0) as u64;
    let memory = MemoryDevice::new();
    let device: Arc<dyn Device> = Arc::new(memory.clone());
    let mut options = Options::default();
    options.background = false;
    let db = Database::create_on(Arc::clone(&device), options.clone()).unwrap();
    let name = |stream: usize| format!("joint {stream}");
    let mut writers = Vec::new();
    for stream in 0..STREAMS {
        let schema = schema_of::<[f32; 7]>().unwrap().with_compression(Compression::None);
        let stream = db.create_stream(&name(stream), schema).unwrap();
        writers.push(stream.writer::<[f32; 7]>().unwrap());
    }
    let value = |stream: usize, tick: u64| [(tick as f32).mul_add(0.01, stream as f32); 7];
    let ts = |tick: u64| (tick * 1_000_000 / HERTZ) as i64;
    for tick in 0..seconds * HERTZ {
        for (stream, writer) in writers.iter_mut().enumerate() {
            writer.append(ts(tick), value(stream, tick)).unwrap();
        }
        let level = if tick % HERTZ == HERTZ - 1 { Level::Disk } else { Level::Os };
        db.flush(level).unwrap();
    }
    let records = seconds * HERTZ;
    let raw = records * STREAMS as u64 * (8 + 28);
    let bytes = |memory: &MemoryDevice| -> u64 {
        memory.files().values().map(|bytes| bytes.len() as u64).sum()
    };
    let before = bytes(&memory);
    let blocks = db.stream(&name(7)).unwrap().stats().blocks;
    drop(writers);
    db.clone().close().unwrap();
    drop(db);
    let db = Database::open_on(Arc::clone(&device), options.clone()).unwrap();
    let check = |db: &Database| {
        for stream in [0, 7, STREAMS - 1] {
            let typed = db.stream(&name(stream)).unwrap().typed::<[f32; 7]>().unwrap();
            let all = typed.to_vec(..).unwrap();
            assert_eq!(all.len() as u64, records);
            let right =
                (0..).zip(&all).all(|(tick, record)| *record == (ts(tick), value(stream, tick)));
            assert!(right, "wrong records in stream {stream}");
        }
    };
    check(&db);
    let compacted = db.compact(|_, _| true).unwrap();
    check(&db);
    let after = bytes(&memory);
    let compacted_blocks = db.stream(&name(7)).unwrap().stats().blocks;
    println!(
        "{seconds} s of {STREAMS} streams: raw {raw}, on disk {before} ({:.2}), compacted {after} \
         ({:.3}); blocks of one stream {blocks}, then {compacted_blocks}; {compacted:?}",
        before as f64 / raw as f64,
        after as f64 / raw as f64
    );
    // A segment that is being written has space set aside, which a short run must not pay for.
    assert!(before <= 3 * raw + (2 << 20), "{before} bytes for {raw}");
    assert!(after as f64 <= 1.05 * raw as f64, "{after} bytes for {raw}");
    let per_day = blocks as u64 * 86_400 / seconds;
    assert!(per_day <= 1_000, "{per_day} index entries a stream and day");
}
