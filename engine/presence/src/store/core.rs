//! What all handles of one open database share.
//!
//! # Invariants
//! - Streams are found without a lock: the table is replaced whole.
//! - A failure of a write or sync closes the [`Gate`], and wakes everyone who waits.

use std::collections::{BTreeMap, HashMap};

use presence_format::segment::DatabaseId;

use super::gate::Gate;
use super::report::RecoveryReport;
use super::stream_state::StreamState;
use crate::device::Device;
use crate::error::{Error, Result};
use crate::options::Options;
use crate::read::cache::Pages;
use crate::segment::SegmentFile;
use crate::shim::atomic::{AtomicU64, Ordering};
use crate::shim::{Arc, Mutex, Swap};
use crate::track::state::TrackState;
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
    pub(crate) pages: Arc<Pages>,
    /// Presence tracks, by name.
    pub(crate) tracks: Swap<BTreeMap<String, Arc<TrackState>>>,
    /// How often views were replaced by a compaction or retention.
    generation: AtomicU64,
    pub(crate) report: RecoveryReport,
    /// The writing half; none in a read-only database.
    pub(crate) log: Option<Log>,
    /// One compaction, retention or refresh at a time.
    pub(crate) maintenance: Mutex<Option<super::load::Loader>>,
    pub(crate) gate: Gate,
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
            pages: Arc::new(Pages::new(&options.page_cache())),
            options,
            database,
            tracks: Swap::new(BTreeMap::new()),
            generation: AtomicU64::new(0),
            streams: Swap::new(streams),
            segments: Swap::new(segments),
            report,
            log,
            maintenance: Mutex::new(loader),
            gate: Gate::new(),
        }
    }

    /// How often views were replaced: tracks compare it with what they saw.
    #[inline]
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Views were replaced: tracks look at them again.
    pub(crate) fn views_changed(&self) {
        self.generation.fetch_add(1, Ordering::AcqRel);
    }

    /// The writing half, where writing is still allowed.
    pub(crate) fn log(&self) -> Result<&Log> {
        self.check_writable()?;
        self.log.as_ref().ok_or(Error::ReadOnly)
    }

    /// See [`Gate::check_writable`].
    pub(crate) fn check_writable(&self) -> Result<()> {
        self.gate.check_writable()
    }

    /// Whether ticks can be set. Makes no system call: whether this is the process that opened the
    /// database is looked at when stripes are emptied.
    #[inline]
    pub(crate) fn check_trackable(&self) -> Result<()> {
        match &self.log {
            None => Err(Error::ReadOnly),
            Some(_) if self.gate.is_halted() => self.gate.check_appendable(),
            Some(_) => Ok(()),
        }
    }

    /// Keeps the first failure of a write or sync, for every later call, and hands it on.
    pub(crate) fn poison(&self, error: Error) -> Error {
        if self.gate.fail(&error)
            && let Some(log) = &self.log
        {
            log.wake_all();
        }
        error
    }

    /// The stream called `name`.
    pub(crate) fn stream(&self, name: &str) -> Result<Arc<StreamState>> {
        let table = self.streams.load();
        let stream = table.named(name).filter(|stream| !stream.layout.is_plane());
        stream.cloned().ok_or_else(|| Error::NoSuchStream { name: name.to_owned() })
    }
}
