//! What all handles of one open database share.
//!
//! # Invariants
//! - Streams are found without a lock: the table is replaced whole.
//! - The first failure of a write or sync is kept, and every later write is refused with it.
//! - A handle made before a fork refuses to write in the child.

use std::collections::{BTreeMap, HashMap};

use presence_format::segment::DatabaseId;

use super::report::RecoveryReport;
use super::stream_state::StreamState;
use crate::device::Device;
use crate::error::{Error, Result};
use crate::options::Options;
use crate::read::cache::PageCache;
use crate::segment::SegmentFile;
use crate::shim::atomic::{AtomicBool, Ordering};
use crate::shim::{Arc, Mutex, OnceLock, Swap};
use crate::write::log::Log;

/// The streams, by id and by name.
#[derive(Debug, Default)]
pub(crate) struct StreamTable {
    pub(crate) by_id: BTreeMap<u32, Arc<StreamState>>,
    by_name: HashMap<String, Arc<StreamState>>,
    /// About as many bytes as all streams take in a catalog.
    pub(crate) catalog_bytes: usize,
}

impl StreamTable {
    /// A table of these streams.
    pub(crate) fn new(streams: impl IntoIterator<Item = Arc<StreamState>>) -> Self {
        let by_id: BTreeMap<_, _> = streams.into_iter().map(|stream| (stream.id, stream)).collect();
        let by_name =
            by_id.values().map(|stream| (stream.name.clone(), Arc::clone(stream))).collect();
        let catalog_bytes = by_id.values().map(|stream| stream.catalog_bytes).sum();
        Self { by_id, by_name, catalog_bytes }
    }

    /// The same with one more.
    pub(crate) fn with(&self, stream: Arc<StreamState>) -> Self {
        Self::new(self.by_id.values().cloned().chain([stream]))
    }

    /// The stream called `name`.
    pub(crate) fn named(&self, name: &str) -> Option<&Arc<StreamState>> {
        self.by_name.get(name)
    }
}

/// A segment in use.
#[derive(Debug, Clone)]
pub(crate) struct LiveSegment {
    pub(crate) file: Arc<SegmentFile>,
    pub(crate) sealed: bool,
    /// Records in its blocks.
    pub(crate) records: u64,
}

/// An open database.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) device: Arc<dyn Device>,
    pub(crate) path: String,
    pub(crate) options: Options,
    pub(crate) database: DatabaseId,
    pub(crate) streams: Swap<StreamTable>,
    /// Sealed segments in the order of the log.
    pub(crate) segments: Swap<Vec<LiveSegment>>,
    pub(crate) cache: PageCache,
    pub(crate) report: RecoveryReport,
    /// The writing half; none in a read-only database.
    pub(crate) log: Option<Log>,
    /// One compaction, retention or refresh at a time.
    pub(crate) maintenance: Mutex<Option<super::load::Loader>>,
    pub(crate) closed: AtomicBool,
    failure: OnceLock<Error>,
    failed: AtomicBool,
    /// Nothing is appended any more: a write failed, or the database is being closed.
    halted: AtomicBool,
    owner: u32,
}

impl Core {
    #[expect(clippy::too_many_arguments, reason = "called once, by the opening code")]
    pub(crate) fn new(
        device: Arc<dyn Device>,
        options: Options,
        database: DatabaseId,
        streams: StreamTable,
        segments: Vec<LiveSegment>,
        report: RecoveryReport,
        log: Option<Log>,
        loader: Option<super::load::Loader>,
    ) -> Self {
        Self {
            path: device.describe(),
            device,
            cache: PageCache::new(options.cache_bytes),
            options,
            database,
            streams: Swap::new(streams),
            segments: Swap::new(segments),
            report,
            log,
            maintenance: Mutex::new(loader),
            closed: AtomicBool::new(false),
            failure: OnceLock::new(),
            failed: AtomicBool::new(false),
            halted: AtomicBool::new(false),
            owner: std::process::id(),
        }
    }

    /// The writing half, where writing is still allowed.
    pub(crate) fn log(&self) -> Result<&Log> {
        self.check_writable()?;
        self.log.as_ref().ok_or(Error::ReadOnly)
    }

    /// Refuses after a failure, a close, or a fork.
    pub(crate) fn check_writable(&self) -> Result<()> {
        if self.failed.load(Ordering::Acquire) {
            let first = self.failure.get().cloned().unwrap_or(Error::Closed);
            return Err(Error::Poisoned { first: Box::new(first) });
        }
        if self.closed.load(Ordering::Acquire) {
            return Err(Error::Closed);
        }
        self.check_process()
    }

    /// Refuses in a process that is not the one that opened the database.
    pub(crate) fn check_process(&self) -> Result<()> {
        if std::process::id() == self.owner {
            Ok(())
        } else {
            Err(Error::Forked { owner: self.owner })
        }
    }

    /// As [`Core::check_writable`], and refuses while the database is being closed.
    pub(crate) fn check_appendable(&self) -> Result<()> {
        // Looked at first: a failure halts after it was noted, so it is told below as what it is.
        let halted = self.halted.load(Ordering::Acquire);
        self.check_writable()?;
        if halted { Err(Error::Closed) } else { Ok(()) }
    }

    /// Whether nothing is appended any more. Relaxed: for the path of every append.
    #[inline]
    pub(crate) fn is_halted(&self) -> bool {
        self.halted.load(Ordering::Relaxed)
    }

    /// From now on nothing is appended.
    pub(crate) fn halt(&self) {
        self.halted.store(true, Ordering::Release);
    }

    /// Keeps the first failure of a write or sync, for every later call, and hands it on.
    pub(crate) fn poison(&self, error: Error) -> Error {
        if !matches!(error, Error::Poisoned { .. } | Error::Closed | Error::Forked { .. }) {
            self.failure.get_or_init(|| error.clone());
            self.failed.store(true, Ordering::Release);
            self.halt();
            if let Some(log) = &self.log {
                log.wake_all();
            }
        }
        error
    }

    /// The stream called `name`.
    pub(crate) fn stream(&self, name: &str) -> Result<Arc<StreamState>> {
        let table = self.streams.load();
        table.named(name).cloned().ok_or_else(|| Error::NoSuchStream { name: name.to_owned() })
    }
}
