//! How far an import is.
//!
//! # Invariants
//! - `bytes_done` starts at zero in each phase and never goes back within one.

/// What an import is doing. Phases come in this order; some are left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Phase {
    /// Copying a pipe to a temporary file; `bytes_total` is unknown.
    Spool,
    /// First reading: the schema, and whether the records are in order.
    Scan,
    /// Strict CSV only: every line is checked against the schema.
    Check,
    /// Reading records that are not in order, and sorting them.
    Sort,
    /// Handing out sorted records, merged from runs where they did not fit in memory;
    /// `bytes_total` is that of all records.
    Merge,
    /// Reading records that are in order, and handing them out.
    Read,
    /// All records were handed out.
    Done,
}

impl Phase {
    /// A word for people: `scan`, `sort`, `read`, …
    pub const fn name(self) -> &'static str {
        match self {
            Self::Spool => "spool",
            Self::Scan => "scan",
            Self::Check => "check",
            Self::Sort => "sort",
            Self::Merge => "merge",
            Self::Read => "read",
            Self::Done => "done",
        }
    }
}

/// How far an import is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// What it is doing.
    pub phase: Phase,
    /// Bytes done in this phase.
    pub bytes_done: u64,
    /// Bytes of this phase in all, where known.
    pub bytes_total: Option<u64>,
    /// Records handed out in batches so far.
    pub records: u64,
}

/// Tells the caller's function about progress every few MiB.
pub(crate) struct Watch {
    pub(crate) now: Progress,
    told_bytes: u64,
    tell: Box<dyn FnMut(Progress) + Send>,
}

/// Bytes between two calls of the caller's function.
const TELL_BYTES: u64 = 4 << 20;

impl Watch {
    pub(crate) fn new(tell: Box<dyn FnMut(Progress) + Send>) -> Self {
        let now = Progress { phase: Phase::Spool, bytes_done: 0, bytes_total: None, records: 0 };
        Self { now, told_bytes: 0, tell }
    }

    /// Begins a phase.
    pub(crate) fn enter(&mut self, phase: Phase, bytes_total: Option<u64>) {
        self.now = Progress { phase, bytes_done: 0, bytes_total, records: self.now.records };
        self.told_bytes = 0;
        (self.tell)(self.now);
    }

    /// `bytes_done` of the phase are done.
    #[inline]
    pub(crate) fn done(&mut self, bytes_done: u64) {
        self.now.bytes_done = bytes_done;
        if bytes_done.saturating_sub(self.told_bytes) >= TELL_BYTES {
            self.told_bytes = bytes_done;
            (self.tell)(self.now);
        }
    }
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch").field("now", &self.now).finish_non_exhaustive()
    }
}
