//! What an import left out, and what it assumed.
//!
//! # Invariants
//! - At most [`SKIPPED_KEPT_MAX`] skipped lines are kept; `skipped_total` counts them all.

/// Most skipped lines that are kept with their reason.
pub(crate) const SKIPPED_KEPT_MAX: usize = 1000;

/// A line that was not imported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// The physical line, from 1, on which the record begins.
    pub line: u64,
    /// Why, for people.
    pub reason: String,
}

/// The outcome of an import so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Records handed out in batches.
    pub records: u64,
    /// The first 1000 lines that were skipped, in the order of the file.
    pub skipped: Vec<Skipped>,
    /// All lines that were skipped.
    pub skipped_total: u64,
    /// What was assumed or left out, for people: the same as in the description.
    pub notes: Vec<String>,
}

impl Report {
    /// Counts a skipped line; `reason` is only made where it is kept.
    pub(crate) fn skip(&mut self, line: u64, reason: impl FnOnce() -> String) {
        self.skipped_total += 1;
        if self.skipped.len() < SKIPPED_KEPT_MAX {
            self.skipped.push(Skipped { line, reason: reason() });
        }
    }
}
