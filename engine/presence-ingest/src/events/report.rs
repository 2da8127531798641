//! What became of a recording.
//!
//! # Invariants
//! - Events decoded are those handed out and those that came too late.

use presence_events::Report;

/// The outcome of an import of events.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventReport {
    /// Events handed out.
    pub events: u64,
    /// What the decoder counted, and the faults that it skipped.
    pub decoded: Report,
    /// Events that were out of order and put where they belong.
    pub sorted: u64,
    /// Events left out because they came too late to be put where they belong.
    pub late: u64,
    /// Triggers, samples, exposures and coloured events left out for the same reason.
    pub late_beside: u64,
    /// Frames of another size or format than the first, which were left out.
    pub frames_unlike: u64,
}
