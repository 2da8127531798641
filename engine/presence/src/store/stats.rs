//! What a database holds and costs, in numbers.
//!
//! # Invariants
//! - Counted from indexes in memory: nothing is read.

use super::database::Database;
use super::stream_state::StreamState;
use crate::shim::Arc;

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
    /// Records in its blocks.
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
        let sealed = live.iter().map(|segment| (&segment.file, segment.sealed, segment.records));
        let active = core.log.as_ref().and_then(|log| log.active());
        let active = active.iter().map(|(file, _)| (file, false, 0));
        sealed
            .chain(active)
            .map(|(file, sealed, records)| SegmentStats {
                file: file.name.clone(),
                number: file.number(),
                log_segments: (file.header.log_first.get(), file.header.log_last.get()),
                generation: file.header.generation.get(),
                bytes: file.file.len().unwrap_or(0),
                records,
                sealed,
                created_unix_us: file.header.created_unix_us.get(),
            })
            .collect()
    }
}
