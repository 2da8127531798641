//! What catalogs say of streams: where the last one is damaged, and where streams are made while
//! others seal.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use presence::device::MemoryDevice;
use presence::{Database, Level, schema_of};
use presence_fsck::{Code, Severity, check_device};

use crate::support::{figure, scaled, small};

#[test]
fn sequences_are_not_given_out_twice() {
    let memory = MemoryDevice::new();
    let db = Database::create_on(Arc::new(memory.clone()), small()).unwrap();
    let mut writer = db.create_stream("a", schema_of::<f64>().unwrap()).unwrap().writer().unwrap();
    for ts in 0..600_i64 {
        writer.append(ts, ts as f64).unwrap();
        if ts % 50 == 49 {
            db.flush(Level::Disk).unwrap();
        }
    }
    // As a killed process leaves it.
    let killed = memory.fork();
    let last = killed.files().into_keys().filter(|name| name.starts_with("seg-")).max().unwrap();
    assert_ne!(last, "seg-00000001.presence");
    assert!(killed.patch(&last, 150, &[0xa5]));
    let db = Database::open_on(Arc::new(killed.clone()), small()).unwrap();
    assert!(!db.report().damage.is_empty());
    let stream = db.stream("a").unwrap();
    assert_eq!(stream.len(), 600, "{:?}", db.report());
    let mut writer = stream.writer::<f64>().unwrap();
    (600..700_i64).for_each(|ts| writer.append(ts, ts as f64).unwrap());
    drop((writer, stream));
    db.close().unwrap();
    let report = check_device(&killed, &Default::default(), &mut |_| true).unwrap();
    assert_eq!(report.totals.records, 700, "{report:#?}");
    assert_eq!(report.of(Code::StreamContradiction).count(), 0, "{report:#?}");
    assert!(report.lost.is_empty(), "{report:#?}");
}

/// Whether a segment is sealed before the entry of a new stream or behind it, some segment names
/// the stream.
#[test]
fn streams_made_while_others_seal_are_named() {
    for round in 0..scaled(20) {
        let memory = MemoryDevice::new();
        let db = Database::create_on(Arc::new(memory.clone()), small()).unwrap();
        let filled = db.create_stream("filled", schema_of::<f64>().unwrap()).unwrap();
        let mut writer = filled.writer::<f64>().unwrap();
        let made = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for number in 0..100 {
                    db.create_stream(&number.to_string(), schema_of::<u8>().unwrap()).unwrap();
                }
                made.store(true, Ordering::Release);
            });
            // Some segments are sealed with every stream that is made.
            let mut ts = 0;
            while !made.load(Ordering::Acquire) {
                for _ in 0..500 {
                    writer.append(ts, ts as f64).unwrap();
                    ts += 1;
                }
                writer.flush(Level::Os).unwrap();
            }
        });
        let killed = memory.fork();
        drop((writer, filled));
        let report = check_device(&killed, &Default::default(), &mut |_| true).unwrap();
        assert!(
            report.findings.iter().all(|found| found.severity == Severity::Note),
            "{report:#?}"
        );
        let db = Database::open_on(Arc::new(killed), small()).unwrap();
        assert_eq!(db.streams().len(), 101, "round {round}");
    }
    figure("databases of streams made beside seals", scaled(20));
}
