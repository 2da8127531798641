//! The search behind unsound bytes for entries that are sound.
//!
//! # Invariants
//! - Headers are kept ascending in offset and in number.
//! - Time is linear in what is left of the file, memory is bounded by [`AHEAD_MAX`].

use presence_format::caps::SEGMENT_BYTES_MAX;
use presence_format::entry::{ENTRY_ALIGN, ENTRY_MAGIC, Entry, Place};
use presence_format::zeros::{is_zeros, used_len};

use super::window::Window;
use crate::error::Result;

/// Sound headers behind the first unsound entry that are kept: 32 MiB of them.
const AHEAD_MAX: usize = 2 << 20;
/// Zeros are passed over in steps of this.
const SKIP: usize = 4096;

/// Sound headers that lie behind unsound bytes, ascending in offset and number.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    headers: Vec<AheadHeader>,
    /// Largest durable offset that one of them names.
    pub(super) durable: u32,
    /// Whether there are more than are kept.
    pub(super) overflow: bool,
    /// End of the last byte that is not zero.
    pub(super) used: u32,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct AheadHeader {
    pub(super) offset: u32,
    pub(super) number: u32,
    pub(super) previous_crc: u32,
    /// End of the last byte before it that is not zero.
    pub(super) used_before: u32,
}

impl Ahead {
    /// Searches everything behind `bad`, up to the end of the file.
    ///
    /// A header counts only while none behind it has a number as low: what has is left over from
    /// before a crash whose recovery wrote those behind it.
    pub(super) fn search(window: &mut Window, place: Place, bad: u32) -> Result<Self> {
        let mut ahead = Self { used: bad, ..Self::default() };
        let mut offset = bad;
        while offset < SEGMENT_BYTES_MAX {
            // Only where a step begins: at the end of the file it cannot be held.
            if offset.is_multiple_of(SKIP as u32) {
                let skipped = window.get(offset, SKIP)?;
                if skipped.len() == SKIP && is_zeros(skipped) {
                    offset = offset.saturating_add(SKIP as u32);
                    continue;
                }
            }
            let bytes = window.get(offset, 128)?;
            let chunk = bytes.get(..bytes.len().min(ENTRY_ALIGN as usize)).unwrap_or_default();
            if chunk.is_empty() {
                break;
            }
            if offset > bad
                && chunk.starts_with(&ENTRY_MAGIC)
                && let Ok(entry) = Entry::parse(bytes, place, offset)
            {
                ahead.take(&entry, offset);
            }
            let used = used_len(chunk);
            if used > 0 {
                ahead.used = offset.saturating_add(used as u32);
            }
            offset = offset.saturating_add(ENTRY_ALIGN);
        }
        Ok(ahead)
    }

    fn take(&mut self, entry: &Entry, offset: u32) {
        let number = entry.header.number.get();
        while self.headers.last().is_some_and(|last| last.number >= number) {
            self.headers.pop();
        }
        self.durable = self.durable.max(entry.header.durable_offset.get());
        if self.headers.len() >= AHEAD_MAX {
            self.overflow = true;
            return;
        }
        self.headers.push(AheadHeader {
            offset,
            number,
            previous_crc: entry.header.previous_crc.get(),
            used_before: self.used,
        });
    }

    /// The first header above `offset` with at least this number.
    pub(super) fn above(&self, offset: u32, number: u32) -> Option<AheadHeader> {
        let is_below = |header: &AheadHeader| header.offset <= offset || header.number < number;
        let at = self.headers.partition_point(is_below);
        self.headers.get(at).copied()
    }
}
