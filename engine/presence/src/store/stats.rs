//! What a database holds and costs, in numbers.
//!
//! # Invariants
//! - Counted from indexes in memory: of streams nothing is read, of tracks what stands in front of
//!   regions.

use std::collections::BTreeMap;

use presence_format::PlaneKind;

use super::core::Core;
use super::database::Database;
use super::stream_state::StreamState;
use crate::error::Result;
use crate::shim::Arc;
use crate::track::plane::Plane;

/// One stream in numbers.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StreamStats {
    /// Records that can be read.
    pub records: u64,
    /// Bytes of those records as appended: timestamps and values.
    pub raw_bytes: u64,
    /// Bytes of their blocks on disk, headers included.
    pub stored_bytes: u64,
    /// Blocks on disk: entries of the sparse index.
    pub blocks: usize,
    /// Records in memory, or in frames only.
    pub records_in_memory: u64,
    /// Timestamp of the first record.
    pub first_ts: Option<i64>,
    /// Timestamp of the last record.
    pub last_ts: Option<i64>,
}

impl StreamStats {
    pub(crate) fn of(stream: &Arc<StreamState>) -> Self {
        let view = stream.view.load();
        let header = u64::from(presence_format::entry::EntryKind::Block.header_bytes());
        let mut stats = Self::default();
        for entry in view.runs().iter().flat_map(|run| run.entries()) {
            stats.records += u64::from(entry.records.get());
            let payload = entry.payload_bytes.get();
            let table = presence_format::checksum::table_bytes(payload);
            stats.stored_bytes += header + u64::from(payload) + u64::from(table);
            stats.blocks += 1;
        }
        let word = |word: Option<&[u8; 8]>| word.map(|word| i64::from_le_bytes(*word));
        stats.first_ts = view.runs().first().map(|run| run.first_ts());
        stats.last_ts = view.runs().last().map(|run| run.last_ts());
        for block in view.frozen.iter().chain(&view.open) {
            let times = block.lane(0).as_chunks::<8>().0;
            stats.records_in_memory += times.len() as u64;
            stats.first_ts = stats.first_ts.or(word(times.first()));
            stats.last_ts = word(times.last()).or(stats.last_ts);
        }
        stats.records += stats.records_in_memory;
        stats.raw_bytes = stats.records * stream.layout.record_bytes() as u64;
        stats
    }
}

/// One segment in numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentStats {
    /// The file's name.
    pub file: String,
    /// The segment's number.
    pub number: u32,
    /// The log segments it stands for, first and last.
    pub log_segments: (u32, u32),
    /// How often its records were compacted.
    pub generation: u32,
    /// Bytes of the file.
    pub bytes: u64,
    /// Records of streams in its blocks. Words of presence tracks are none.
    pub records: u64,
    /// Whether it is immutable.
    pub sealed: bool,
    /// When it was made, microseconds since 1970 by the writer's clock.
    pub created_unix_us: i64,
}

impl Database {
    /// The segments in the order of the log, the active one last.
    pub fn segments(&self) -> Vec<SegmentStats> {
        let core = self.core();
        let live = core.segments.load();
        let records = records_in_segments(core);
        let sealed = live.iter().map(|segment| (&segment.file, segment.sealed));
        let active = core.log.as_ref().and_then(|log| log.active());
        let active = active.iter().map(|(file, _)| (file, false));
        sealed
            .chain(active)
            .map(|(file, sealed)| SegmentStats {
                file: file.name.clone(),
                number: file.number(),
                log_segments: (file.header.log_first.get(), file.header.log_last.get()),
                generation: file.header.generation.get(),
                bytes: file.file.len().unwrap_or(0),
                records: records.get(&file.number()).copied().unwrap_or(0),
                sealed,
                created_unix_us: file.header.created_unix_us.get(),
            })
            .collect()
    }
}

/// One presence track in numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TrackStats {
    /// Its name.
    pub name: String,
    /// How many classes were named or set.
    pub classes: usize,
    /// Ticks that were observed.
    pub observed: u64,
}

impl TrackStats {
    /// The tracks whose planes are among `streams`, by name.
    pub(super) fn all(streams: &[Arc<StreamState>]) -> Result<Vec<Self>> {
        let mut tracks: BTreeMap<&str, Self> = BTreeMap::new();
        let pages = Arc::default();
        for stream in streams {
            let Some(plane) = stream.schema.plane() else { continue };
            let track = tracks.entry(plane.track()).or_default();
            plane.track().clone_into(&mut track.name);
            match plane.kind() {
                PlaneKind::Observed => {
                    track.observed = Plane::open(stream, &pages, None)?.count()?
                }
                PlaneKind::Class { .. } => track.classes += 1,
            }
        }
        Ok(tracks.into_values().collect())
    }
}

/// Records of streams in the blocks of each segment, by its number.
pub(super) fn records_in_segments(core: &Core) -> BTreeMap<u32, u64> {
    let mut records: BTreeMap<u32, u64> = BTreeMap::new();
    let streams = core.streams.load();
    for stream in streams.by_id.values().filter(|stream| !stream.layout.is_plane()) {
        for run in stream.view.load().runs() {
            let blocks = run.entries().iter().map(|entry| u64::from(entry.records.get()));
            *records.entry(run.segment.number()).or_default() += blocks.sum::<u64>();
        }
    }
    records
}

/// Ticks that were observed, of all presence tracks.
pub(super) fn observed_ticks(core: &Core) -> Result<u64> {
    let tracks = core.tracks.load_full();
    let observed = tracks.values().map(|track| track.now(core.generation())?.observed.count());
    observed.sum()
}
