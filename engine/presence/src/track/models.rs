//! Models of tracks in a database on a device in memory.
//!
//! # Invariants
//! - As those of the engine: one call of the device is one step, and time stands still.

use std::time::Duration;

use crate::device::MemoryDevice;
use crate::options::{Level, Options};
use crate::shim::{Arc, explore};
use crate::{Database, Grid, PresenceTrack, class};

fn options() -> Options {
    Options {
        flush_interval: Duration::from_secs(3600),
        sync_interval: Duration::from_secs(3600),
        background: false,
        follow: false,
        ..Options::default()
    }
}

fn ticks(track: &PresenceTrack, id: u16) -> Vec<i64> {
    let mut all = Vec::new();
    track.timestamps(&class(id), ..).unwrap().read_all(&mut all).unwrap();
    all
}

/// A thread sets ticks while another writes regions as blocks, and memory gives up what these
/// hold: whoever asks finds what was set before, and so does who opens the database anew.
#[test]
fn ticks_set_while_regions_are_written_stay() {
    explore(2, || {
        let device = MemoryDevice::new();
        let db = Database::create_on(Arc::new(device.clone()), options()).unwrap();
        let grid = Grid::new("1000000".parse().unwrap(), 0);
        let track = db.create_track("t", grid).unwrap();
        track.name_class(0, "a").unwrap();
        track.set(0, 1).unwrap();
        assert_eq!(ticks(&track, 0), [1]);
        let sealing = loom::thread::spawn({
            let db = db.clone();
            move || {
                let core = db.core();
                core.log().unwrap().seal(core).unwrap();
            }
        });
        track.set(0, 2).unwrap();
        assert_eq!(ticks(&track, 0), [1, 2]);
        sealing.join().unwrap();
        assert_eq!(ticks(&track, 0), [1, 2]);
        db.flush(Level::Os).unwrap();
        drop((track, db));
        let db = Database::open_on(Arc::new(device.fork()), options()).unwrap();
        assert_eq!(ticks(&db.track("t").unwrap(), 0), [1, 2], "lost when opened anew");
    });
}
