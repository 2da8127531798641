//! What a user may set, with the reason of each default.
//!
//! # Invariants
//! - Every size is bounded by the caps of the format once [`Options::check`] passed.

use std::time::Duration;

use presence_format::caps::{PAYLOAD_BYTES_MAX, SEGMENT_BYTES_MAX};

use crate::error::{Error, Result};
use crate::read::cache::PageCache;

/// How far a record has come on its way to the medium.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// In this process: lost if it is killed.
    Memory,
    /// Written to the kernel: survives a killed process.
    Os,
    /// Forced to the medium: survives power loss.
    Disk,
}

/// A position of the log up to which a level of durability holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Watermark {
    /// The level that holds.
    pub level: Level,
    /// The segment.
    pub segment: u32,
    /// Everything before this offset of the segment, and all earlier segments.
    pub offset: u32,
}

/// Options of a database. All of them may differ from one opening to the next.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Options {
    /// Decoded bytes of a block as first written. 128 KiB: half of it, and windows cross twice as
    /// many blocks (0.88 instead of 0.91 of bare columns); appending to 30 streams costs the same.
    pub block_bytes: u32,
    /// Decoded bytes of a compacted block. 1 MiB: nine of ten windows of 5,000 small records lie
    /// in one.
    pub compacted_block_bytes: u32,
    /// A segment is sealed when it has grown to this. 64 MiB: that much is scanned, at most, after
    /// a crash.
    pub segment_bytes: u32,
    /// Records are handed to the kernel at least this often. 100 ms: what a killed process may
    /// lose, and what readers in other processes lag behind.
    pub flush_interval: Duration,
    /// The log is forced to the medium at least this often. 1 s: what a power cut may lose.
    pub sync_interval: Duration,
    /// Full blocks that may wait to be written before `append` waits for them. 16 MiB:
    /// enough for the pause of a roll, little enough to stay in a last-level cache.
    pub write_buffer_bytes: usize,
    /// Decoded and copied pages kept for readers. 64 MiB. Mapped pages do not count, nor what
    /// windows hold while they live: up to 4 MiB.
    pub cache_bytes: usize,
    /// A cache to share with other databases, and its budget with it, in the place of one of
    /// `cache_bytes`.
    pub cache: Option<PageCache>,
    /// Whether sealed segments are mapped. Off, all bytes are read into owned pages, and a file
    /// shortened by somebody else is an error instead of a signal.
    pub map: bool,
    /// Whether to write to a network file system. Off: locks and syncs cannot be relied on there.
    pub allow_network_fs: bool,
    /// Whether a read-only database follows its writer on a thread of its own, every
    /// `flush_interval`. Off, [`Database::refresh`](crate::Database::refresh) does it.
    pub follow: bool,
    /// Whether threads flush and sync in the background. Off, nothing is written but by
    /// [`flush`](crate::Database::flush) and full blocks: for simulations.
    pub background: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            block_bytes: 128 << 10,
            compacted_block_bytes: 1 << 20,
            segment_bytes: 64 << 20,
            flush_interval: Duration::from_millis(100),
            sync_interval: Duration::from_secs(1),
            write_buffer_bytes: 16 << 20,
            cache_bytes: 64 << 20,
            cache: None,
            map: true,
            allow_network_fs: false,
            follow: true,
            background: true,
        }
    }
}

impl Options {
    /// The cache of a database with these options: the shared one, or one of its own.
    pub(crate) fn page_cache(&self) -> PageCache {
        let own = || match self.background {
            true => PageCache::new(self.cache_bytes),
            false => PageCache::with_workers(self.cache_bytes, 0),
        };
        self.cache.clone().unwrap_or_else(own)
    }

    pub(crate) fn check(&self) -> Result<()> {
        let within = |name: &str, value: u32, min: u32, max: u32| {
            if (min..=max).contains(&value) {
                Ok(())
            } else {
                Err(Error::invalid(format!("{name} is {value}; it must be {min} to {max}")))
            }
        };
        within("block_bytes", self.block_bytes, 256, PAYLOAD_BYTES_MAX)?;
        within("compacted_block_bytes", self.compacted_block_bytes, 256, PAYLOAD_BYTES_MAX)?;
        within("segment_bytes", self.segment_bytes, 4096, SEGMENT_BYTES_MAX / 2)?;
        if self.flush_interval.is_zero() || self.sync_interval.is_zero() {
            return Err(Error::invalid("flush_interval and sync_interval must not be zero"));
        }
        Ok(())
    }
}
