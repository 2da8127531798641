//! Bytes as a database: judged, and salvaged, by code that shares nothing with the engine's.

use std::sync::Arc;

use presence::device::MemoryDevice;
use presence::{Database, class};
use presence_fsck::salvage::{Error, salvage_device};
use presence_fsck::{Level, Options, Report, check_device};

use crate::{fix, opened};

/// The bytes as the only segment of a database, judged: what is called sound the engine can read.
pub(crate) fn fsck(bytes: &[u8]) {
    let device = device(bytes);
    let Some(quick) = judge(&device, Level::Quick) else { return };
    let report = judge(&device, Level::Default).unwrap();
    let deep = judge(&device, Level::Deep).unwrap();
    assert!(quick.exit_code <= report.exit_code && report.exit_code <= deep.exit_code);
    if !deep.is_sound() {
        return;
    }
    let db = Database::open_read_only_on(Arc::new(device), opened::options()).unwrap();
    assert!(db.report().damage.is_empty() && db.report().lost.is_empty(), "{:?}", db.report());
    let records: usize = db
        .streams()
        .iter()
        .map(|stream| stream.iter().unwrap().inspect(|record| assert!(record.is_ok())).count())
        .sum();
    let tracks = db.tracks();
    for track in &tracks {
        let never = !class(u16::MAX);
        let ratio = track.ratio(&never, ..).unwrap();
        assert!(ratio.present <= ratio.observed);
    }
    // Of a region there may be several versions, and planes are no streams.
    if tracks.is_empty() {
        assert_eq!(records as u64, deep.totals.records, "{deep:#?}");
    }
}

/// The same with every checksum, place and chain made right.
pub(crate) fn fsck_fixed(bytes: &[u8]) {
    let mut bytes = bytes.to_vec();
    fix::segment(&mut bytes);
    fsck(&bytes);
}

/// The bytes as the only segment of a database, salvaged: the copy is sound, and no record that a
/// sound one holds is missing in it.
pub(crate) fn salvage(bytes: &[u8]) {
    let device = device(bytes);
    let salvaged = match salvage_device(&device, Arc::new(MemoryDevice::new()), &mut |_| true) {
        Ok(salvaged) => salvaged,
        Err(error @ Error::Unsound { .. }) => panic!("{error}"),
        Err(_) => return,
    };
    let Some(report) = judge(&device, Level::Deep).filter(Report::is_sound) else { return };
    let db = Database::open_read_only_on(Arc::new(device), opened::options()).unwrap();
    if db.tracks().is_empty() {
        assert!(salvaged.records >= report.totals.records, "{salvaged:#?} {report:#?}");
    }
}

/// The same with every checksum, place and chain made right.
pub(crate) fn salvage_fixed(bytes: &[u8]) {
    let mut bytes = bytes.to_vec();
    fix::segment(&mut bytes);
    salvage(&bytes);
}

fn device(bytes: &[u8]) -> MemoryDevice {
    let name = format!("seg-{:08x}.presence", fix::word(bytes, 32).max(1));
    MemoryDevice::with_files([(name.as_str(), bytes)])
}

fn judge(device: &MemoryDevice, level: Level) -> Option<Report> {
    check_device(device, &Options::at(level), &mut |_| true).ok()
}
