//! What opening a database found.
//!
//! # Invariants
//! - Everything that was cut, passed over or removed is listed: an empty report means that nothing
//!   was.

use crate::error::Affected;
pub use crate::segment::Damage;

/// What [`Database::open`](crate::Database::open) found and did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecoveryReport {
    /// Segments in use.
    pub segments: usize,
    /// Segments that were not sealed, and were read entry by entry.
    pub scanned: Vec<String>,
    /// Bytes of the entries so read.
    pub scanned_bytes: u64,
    /// Records that stood in frames only and were put into blocks, or are held in memory.
    pub records_from_frames: u64,
    /// Words of presence tracks, 64 ticks each, of which the same is true.
    pub words_from_frames: u64,
    /// Torn ends that were cut off: written but never promised. Beside a writer, an entry that is
    /// being written looks the same.
    pub torn: Vec<Torn>,
    /// Bytes that were durable once and are not sound now.
    pub damage: Vec<Damage>,
    /// Records that cannot be read because of damage, by stream.
    pub lost: Vec<Affected>,
    /// Files left over by an interrupted compaction, retention or roll, removed by a writer.
    pub removed: Vec<String>,
    /// Files that are none of ours, left alone.
    pub ignored: Vec<String>,
}

impl RecoveryReport {
    /// Whether nothing was cut, damaged or lost.
    pub fn is_clean(&self) -> bool {
        self.torn.is_empty() && self.damage.is_empty() && self.lost.is_empty()
    }
}

/// A torn end that was cut off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Torn {
    /// The segment's file.
    pub file: String,
    /// Where the sound entries end.
    pub offset: u64,
    /// Bytes that are no sound entry.
    pub bytes: u64,
}
