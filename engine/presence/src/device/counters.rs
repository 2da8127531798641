//! What was asked of a device in memory, by file name: for tests like "open reads footers only".
//!
//! # Invariants
//! - A handle counts under the name by which it was opened, also after a rename.
//! - Counting never fails and never blocks a call.

use std::collections::BTreeMap;

use crate::shim::Arc;
use crate::shim::plain::{AtomicU64, Mutex, Ordering, lock};

/// The counts of one file name, or of all together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Handles opened or created.
    pub opens: u64,
    /// Calls of `read_at`.
    pub reads: u64,
    /// Bytes that `read_at` returned.
    pub bytes_read: u64,
    /// Calls of `write_at`.
    pub writes: u64,
    /// Bytes given to `write_at`.
    pub bytes_written: u64,
    /// Calls of `sync`.
    pub syncs: u64,
    /// Calls of `map`.
    pub maps: u64,
    /// Bytes mapped, touched or not.
    pub bytes_mapped: u64,
}

/// Counts per file name; a clone shows the same counts.
#[derive(Debug, Clone, Default)]
pub struct Counters {
    by_name: Arc<Mutex<BTreeMap<Arc<str>, Arc<Cells>>>>,
}

impl Counters {
    /// The counts of one name; zero where it was never opened.
    pub fn file(&self, name: &str) -> Counts {
        let by_name = lock(&self.by_name);
        by_name.get(name).map(|cells| cells.load()).unwrap_or_default()
    }

    /// The sum over all names.
    pub fn total(&self) -> Counts {
        self.by_file().values().fold(Counts::default(), |sum, counts| Counts {
            opens: sum.opens + counts.opens,
            reads: sum.reads + counts.reads,
            bytes_read: sum.bytes_read + counts.bytes_read,
            writes: sum.writes + counts.writes,
            bytes_written: sum.bytes_written + counts.bytes_written,
            syncs: sum.syncs + counts.syncs,
            maps: sum.maps + counts.maps,
            bytes_mapped: sum.bytes_mapped + counts.bytes_mapped,
        })
    }

    /// Every name ever opened with its counts.
    pub fn by_file(&self) -> BTreeMap<String, Counts> {
        let by_name = lock(&self.by_name);
        by_name.iter().map(|(name, cells)| (name.to_string(), cells.load())).collect()
    }

    /// Sets all counts to zero; open handles go on counting.
    pub fn reset(&self) {
        let by_name = lock(&self.by_name);
        by_name.values().for_each(|cells| cells.reset());
    }

    /// The cells of a name, counting one more opened handle.
    pub(super) fn opened(&self, name: &str) -> Arc<Cells> {
        let mut by_name = lock(&self.by_name);
        let cells = match by_name.get(name) {
            Some(cells) => Arc::clone(cells),
            None => Arc::clone(by_name.entry(name.into()).or_default()),
        };
        Cells::add(&cells.opens, 1);
        cells
    }
}

/// The counts of one name, as handles bump them.
#[derive(Debug, Default)]
pub(super) struct Cells {
    opens: AtomicU64,
    reads: AtomicU64,
    bytes_read: AtomicU64,
    writes: AtomicU64,
    bytes_written: AtomicU64,
    syncs: AtomicU64,
    maps: AtomicU64,
    bytes_mapped: AtomicU64,
}

impl Cells {
    pub(super) fn read(&self, bytes: usize) {
        Self::add(&self.reads, 1);
        Self::add(&self.bytes_read, bytes as u64);
    }

    pub(super) fn write(&self, bytes: usize) {
        Self::add(&self.writes, 1);
        Self::add(&self.bytes_written, bytes as u64);
    }

    pub(super) fn sync(&self) {
        Self::add(&self.syncs, 1);
    }

    pub(super) fn map(&self, bytes: usize) {
        Self::add(&self.maps, 1);
        Self::add(&self.bytes_mapped, bytes as u64);
    }

    // Relaxed: a count orders nothing.
    fn add(cell: &AtomicU64, by: u64) {
        cell.fetch_add(by, Ordering::Relaxed);
    }

    fn load(&self) -> Counts {
        let get = |cell: &AtomicU64| cell.load(Ordering::Relaxed);
        Counts {
            opens: get(&self.opens),
            reads: get(&self.reads),
            bytes_read: get(&self.bytes_read),
            writes: get(&self.writes),
            bytes_written: get(&self.bytes_written),
            syncs: get(&self.syncs),
            maps: get(&self.maps),
            bytes_mapped: get(&self.bytes_mapped),
        }
    }

    fn reset(&self) {
        let cells = [
            &self.opens,
            &self.reads,
            &self.bytes_read,
            &self.writes,
            &self.bytes_written,
            &self.syncs,
            &self.maps,
            &self.bytes_mapped,
        ];
        cells.into_iter().for_each(|cell| cell.store(0, Ordering::Relaxed));
    }
}
