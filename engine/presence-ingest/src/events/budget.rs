//! How the memory of an import is divided.
//!
//! # Invariants
//! - Window, its sorting, and all batches on their way together stay within the memory given, down
//!   to a floor of about 2 MiB.

/// Bytes of an event in columns.
const EVENT_BYTES: usize = 13;
/// Batches that exist at a time: being decoded, made, waiting, written.
const BATCHES: usize = 8;
/// Bytes of an event that is sorted: where it is, where it goes, its key, and half of one to merge.
const SORTED_BYTES: usize = 2 * EVENT_BYTES + 16 + 8;

const CHUNK_EVENTS_MIN: usize = 1 << 12;
const CHUNK_EVENTS_MAX: usize = 1 << 16;
const WINDOW_EVENTS_MAX: usize = 1 << 20;

/// Sizes that follow from the memory given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Budget {
    /// Events of a batch.
    pub(super) chunk_events: usize,
    /// Events that are held back to be sorted.
    pub(super) window_events: usize,
}

impl Budget {
    /// The sizes for `memory_bytes`; `window_events` where the caller chose it.
    pub(super) fn of(memory_bytes: usize, window_events: Option<usize>) -> Self {
        let chunk_events = memory_bytes / 4 / (BATCHES * EVENT_BYTES);
        // A window is overrun by one batch before it is emptied.
        let window = memory_bytes / 2 / SORTED_BYTES;
        Self {
            chunk_events: chunk_events.clamp(CHUNK_EVENTS_MIN, CHUNK_EVENTS_MAX),
            window_events: window_events.unwrap_or(window.min(WINDOW_EVENTS_MAX)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a recording reads at once.
    const READ_BYTES: usize = 256 << 10;

    #[test]
    fn sizes_stay_within_the_memory() {
        for mib in [0_usize, 1, 4, 16, 64, 256, 1024] {
            let budget = Budget::of(mib << 20, None);
            let batches = budget.chunk_events * BATCHES * EVENT_BYTES;
            let window = (budget.window_events + budget.chunk_events) * SORTED_BYTES;
            let used = batches + window + READ_BYTES;
            assert!(used <= (mib << 20).max(2 << 20), "{mib} MiB: {budget:?} take {used}");
        }
        assert_eq!(Budget::of(1 << 30, Some(7)).window_events, 7);
    }
}
