//! The last segment's first catalog is damaged: earlier segments tell of its streams.

use std::sync::Arc;

use presence::device::MemoryDevice;
use presence::{Database, Level, schema_of};
use presence_fsck::{Code, check_device};

use crate::support::small;

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
