//! One state that a power cut left behind: what it holds when it is opened, and whether that is
//! what had been promised.
//!
//! States of one run are often alike, byte for byte: that a sector was not written yet and that it
//! was lost leaves the same. What a state holds depends on its bytes alone, so it is opened once;
//! whether that keeps the promises, which grow from call to call, is looked at for every state.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};

use presence::device::{CrashState, SimDevice};
use presence::{Database, Error};

use crate::crash::Wrap;
use crate::script::{Promise, Trace, stream_name};
use crate::support::{Found, check_stream, small};

/// What a state holds.
#[derive(Debug, PartialEq, Eq)]
struct Held {
    /// The records of each stream.
    found: Vec<Found>,
    /// Which streams are finished.
    finished: Vec<bool>,
}

/// The states of one run that were opened.
pub(crate) struct Opened {
    wrap: Wrap,
    /// What states held, by the fingerprint of their files; `None` where there was no database.
    held: Mutex<HashMap<u64, Option<Arc<Held>>>>,
}

impl Opened {
    pub(crate) fn new(wrap: Wrap) -> Self {
        Self { wrap, held: Mutex::default() }
    }

    /// How many states of other bytes there were.
    pub(crate) fn count(&self) -> u64 {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).len() as u64
    }

    /// Opens and reads a state, where none like it was, and compares it with what was promised.
    /// Returns what each stream holds; `None` where there is no database yet, and need not be.
    pub(crate) fn check(
        &self,
        state: &CrashState,
        trace: &Trace,
        everything: bool,
    ) -> Result<Option<Vec<Found>>, String> {
        let promise = trace.promised(state.calls);
        let Some(held) = self.hold(&state.device)? else {
            return match promise.made {
                true => Err("there is no database".to_owned()),
                false => Ok(None),
            };
        };
        keeps(&held, &promise, everything)?;
        for (index, held) in held.found.iter().enumerate() {
            let first_max = trace.first_max(state.calls, index);
            if held.first > first_max {
                let name = stream_name(index);
                return Err(format!("{name} begins at {}, not by {first_max}", held.first));
            }
        }
        Ok(Some(held.found.clone()))
    }

    /// What `device` holds.
    fn hold(&self, device: &SimDevice) -> Result<Option<Arc<Held>>, String> {
        let key = fingerprint(device);
        let known = self.held.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        if let Some(held) = known {
            return Ok(held);
        }
        let held = open(device, self.wrap, key)?.map(Arc::new);
        let mut all = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(key, held.clone());
        Ok(held)
    }
}

/// Sixty-four bits of the names and bytes of all files: of a million different states, two have
/// the same by chance once in 37 million runs.
fn fingerprint(device: &SimDevice) -> u64 {
    let mut hasher = DefaultHasher::new();
    device.files().hash(&mut hasher);
    hasher.finish()
}

/// Opens and reads a state. Half of them are opened read-only before, a quarter is judged, and a
/// sixteenth once more after its recovery. Which ones, follows from the bytes: `key`.
fn open(device: &SimDevice, wrap: Wrap, key: u64) -> Result<Option<Held>, String> {
    let deep = key.is_multiple_of(16);
    if key.is_multiple_of(4) {
        judge(device)?;
    }
    let read_only = match key.is_multiple_of(2) {
        true => Some(read_only(device, wrap, deep)?),
        false => None,
    };
    let held = match Database::open_on(wrap(device), small()) {
        Ok(db) => Some(read(&db, deep)?),
        Err(Error::NotADatabase { .. }) => None,
        Err(error) => return Err(format!("opening: {error}")),
    };
    if let Some(read_only) = read_only
        && read_only != held
    {
        return Err(format!("read-only found {read_only:?}, recovery {held:?}"));
    }
    if key.is_multiple_of(16) {
        judge(device)?;
    }
    Ok(held)
}

fn read_only(device: &SimDevice, wrap: Wrap, deep: bool) -> Result<Option<Held>, String> {
    match Database::open_read_only_on(wrap(device), small()) {
        Ok(db) => read(&db, deep).map(Some),
        Err(Error::NotADatabase { .. }) => Ok(None),
        Err(error) => Err(format!("opening read-only: {error}")),
    }
}

fn read(db: &Database, deep: bool) -> Result<Held, String> {
    let report = db.report();
    if !report.damage.is_empty() || !report.lost.is_empty() || !report.ignored.is_empty() {
        return Err(format!("a crash was taken for rot: {report:?}"));
    }
    let finished = db.streams().iter().map(presence::Stream::is_finished).collect();
    Ok(Held { found: read_all(db, deep)?, finished })
}

/// Reads all streams. `deep` asks record by record, too.
pub(crate) fn read_all(db: &Database, deep: bool) -> Result<Vec<Found>, String> {
    let streams = db.streams();
    for (index, stream) in streams.iter().enumerate() {
        if stream.name() != stream_name(index) {
            return Err(format!("stream {index} is {:?}", stream.name()));
        }
    }
    streams.iter().map(|stream| check_stream(stream, deep)).collect()
}

/// Whether all that was promised is there.
fn keeps(held: &Held, promise: &Promise, everything: bool) -> Result<(), String> {
    for (index, disk) in promise.disk.iter().enumerate() {
        let level = if everything { promise.os[index] } else { *disk };
        let name = stream_name(index);
        let Some(found) = held.found.get(index) else {
            // A stream without a durable record is known from the next sync on.
            if level == 0 {
                continue;
            }
            return Err(format!("{name} is gone, {level} records were promised"));
        };
        if found.end < level {
            return Err(format!("{name} ends at {}, {level} records were promised", found.end));
        }
        if promise.finished[index] && !held.finished[index] {
            return Err(format!("{name} is no longer finished"));
        }
    }
    Ok(())
}

/// What a crash leaves is sound, says the judge that shares no code with the engine's recovery.
pub(crate) fn judge(device: &SimDevice) -> Result<(), String> {
    let deep = presence_fsck::Options::at(presence_fsck::Level::Deep);
    match presence_fsck::check_device(device, &deep, &mut |_| true) {
        Ok(report) if report.is_sound() => Ok(()),
        Ok(report) => Err(format!("a crash was judged to be damage: {report:#?}")),
        Err(presence_fsck::Error::NotADatabase { .. }) => Ok(()),
        Err(error) => Err(format!("judging: {error}")),
    }
}
