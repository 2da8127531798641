//! Retention: whole old segments are given up.
//!
//! # Invariants
//! - What is to go is written to the log and synced before the first file is removed, so after a
//!   crash nobody takes the missing files for a loss.
//! - Readers keep what their snapshots hold: files are unlinked, never shortened.
//! - The active segment is never given up.
//! - A tick of a track is given up in all planes or in none.

use presence_format::TimeUnit;

use super::core::{Core, LiveSegment};
use super::database::Database;
use super::stats::{observed_ticks, records_in_segments};
use crate::error::{Error, Result};
use crate::segment::SegmentFile;
use crate::shim::{Arc, lock};

/// What to keep.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Retention {
    /// Give up segments whose newest record, of every stream, lies before this many microseconds
    /// since 1970. Timestamps in nanoseconds are compared in microseconds.
    pub before_us: Option<i64>,
    /// Give up the oldest segments until the rest is at most so many bytes.
    pub bytes_max: Option<u64>,
}

impl Retention {
    /// Keep what is not older than `before_us`.
    pub fn before_us(before_us: i64) -> Self {
        Self { before_us: Some(before_us), ..Self::default() }
    }

    /// Keep at most `bytes`.
    pub fn bytes_max(bytes: u64) -> Self {
        Self { bytes_max: Some(bytes), ..Self::default() }
    }
}

/// What retention gave up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Retained {
    /// Files removed.
    pub files: Vec<String>,
    /// Their bytes.
    pub bytes: u64,
    /// Records of streams in them.
    pub records: u64,
    /// Observed ticks of presence tracks that went with them.
    pub ticks: u64,
}

impl Database {
    /// Gives up the oldest segments by age and by size; what either rule names goes. Of presence
    /// tracks whole regions of 4,194,304 ticks go, in all classes at once: one of which more is
    /// left is written anew, so that the rest may be larger by it.
    ///
    /// # Errors
    /// [`Error::ReadOnly`], and failures of write, sync or removal.
    pub fn retain(&self, retention: Retention) -> Result<Retained> {
        let core = self.core();
        let log = core.log()?;
        let _one_at_a_time = lock(&core.maintenance);
        let segments = core.segments.load_full();
        let total: u64 = segments.iter().map(bytes_of).sum();
        let mut left = total + log.active().map_or(0, |(file, _)| file.file.len().unwrap_or(0));
        let mut gone: Vec<LiveSegment> = Vec::new();
        for group in segments.chunk_by(|a, b| log_last(a) == log_last(b)) {
            let old = retention.before_us.is_some_and(|before| {
                group.iter().all(|segment| ends_before(core, segment, before))
            });
            let large = retention.bytes_max.is_some_and(|max| left > max);
            if !old && !large {
                break;
            }
            left = left.saturating_sub(group.iter().map(bytes_of).sum());
            gone.extend_from_slice(group);
        }
        let Some(last) = gone.last() else { return Ok(Retained::default()) };
        let is_gone =
            |file: &Arc<SegmentFile>| gone.iter().any(|segment| Arc::ptr_eq(&segment.file, file));
        let in_segments = records_in_segments(core);
        let records = |segment: &LiveSegment| in_segments.get(&segment.file.number());
        let observed = observed_ticks(core)?;
        let mut retained = Retained {
            files: gone.iter().map(|segment| segment.file.name.clone()).collect(),
            bytes: gone.iter().map(bytes_of).sum(),
            records: gone.iter().filter_map(records).sum(),
            ticks: 0,
        };
        log.give_up_below(core, log_last(last) + 1, &is_gone, || forget(core, &is_gone))?;
        remove(core, &gone)?;
        retained.ticks = observed.saturating_sub(observed_ticks(core)?);
        Ok(retained)
    }
}

fn log_last(segment: &LiveSegment) -> u32 {
    segment.file.header.log_last.get()
}

fn bytes_of(segment: &LiveSegment) -> u64 {
    segment.file.file.len().unwrap_or(0)
}

/// Whether every record of `segment` lies before `before_us`.
fn ends_before(core: &Core, segment: &LiveSegment, before_us: i64) -> bool {
    let table = core.streams.load();
    table.by_id.values().all(|stream| {
        let view = stream.view.load();
        let in_segment = view.runs().iter().filter(|run| Arc::ptr_eq(&run.segment, &segment.file));
        let last = match stream.schema.plane() {
            // Blocks of a plane come in any order; the last word of each ends 64 ticks on.
            Some(plane) => {
                let last =
                    in_segment.flat_map(|run| run.entries()).map(|entry| entry.last_ts.get());
                last.max().map(|tick| plane.start_us(tick.saturating_add(64)).saturating_sub(1))
            }
            None => {
                let per_us = match stream.schema.time_unit() {
                    TimeUnit::Us => 1,
                    TimeUnit::Ns => 1000,
                };
                in_segment.map(|run| run.last_ts()).max().map(|last| last.div_euclid(per_us))
            }
        };
        last.is_none_or(|last_us| last_us < before_us)
    })
}

/// Takes segments out of the views.
fn forget(core: &Core, is_gone: &dyn Fn(&Arc<SegmentFile>) -> bool) {
    for stream in core.streams.load().by_id.values() {
        stream.view.update(|view| {
            let runs = view.runs().iter().filter(|run| !is_gone(&run.segment)).cloned().collect();
            view.with_runs(runs)
        });
    }
    core.segments.update(|segments| {
        segments.iter().filter(|segment| !is_gone(&segment.file)).cloned().collect()
    });
}

/// Removes the files of segments that nothing refers to any more.
pub(crate) fn remove(core: &Core, gone: &[LiveSegment]) -> Result<()> {
    for segment in gone {
        let name = &segment.file.name;
        core.device.unlink(name).map_err(Error::io("remove", name))?;
    }
    core.device.sync_directory().map_err(Error::io("sync", &core.path))
}
