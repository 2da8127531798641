//! The database as users hold it.
//!
//! # Invariants
//! - One writing handle per directory, by a lock that ends with the process; any number of
//!   readers, which take no lock.
//! - Dropping the last handle hands what is in memory to the kernel, and marks nothing clean:
//!   [`Database::close`] does that, and tells whether it could.

use std::collections::BTreeMap;
use std::path::Path;

use presence_format::catalog::Catalog;
use presence_format::schema::check_name;
use presence_format::segment::{DatabaseId, SegmentHeader};
use presence_format::{Schema, caps};

use super::core::{Core, LiveSegment, StreamTable};
use super::load::{Loaded, Loader};
use super::recovery::{self, Built};
use super::report::RecoveryReport;
use super::stream_state::StreamState;
use crate::device::{Device, LockError, RealDevice, SingleSegment};
use crate::error::{Error, Result};
use crate::options::{Level, Options, Watermark};
use crate::read::cache::PageCache;
use crate::read::stream::Stream;
use crate::read::view::StreamView;
use crate::segment::{SegmentWriter, segment_number};
use crate::shim::{Arc, Mutex, lock, planted, thread};
use crate::track::index::touched_ticks;
use crate::track::registry;
use crate::write::background;
use crate::write::log::{Log, LogStart};
use crate::write::recording::catalog_entry;

/// What every public handle holds: the shared core, and the threads that end with the last one.
#[derive(Debug)]
pub(crate) struct Handle {
    pub(crate) core: Arc<Core>,
    threads: Mutex<Vec<thread::JoinHandle<()>>>,
}

impl Handle {
    fn stop_threads(&self) {
        if let Some(log) = &self.core.log {
            log.handover.stop();
        }
        for thread in std::mem::take(&mut *lock(&self.threads)) {
            // A thread that panicked has nothing to tell that the poison flag does not.
            let _ended = thread.join();
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if self.core.gate.check_process().is_err() {
            // The threads are the parent's: there is nothing to join in this process.
            std::mem::take(&mut *lock(&self.threads)).into_iter().for_each(std::mem::forget);
            return;
        }
        self.stop_threads();
        if let Some(log) = &self.core.log {
            // Best effort: an error here was, or will be, told by `close` or by the next opening.
            let _flushed = log.flush(&self.core, Level::Os);
        }
    }
}

/// A database: one directory of segments, holding streams.
///
/// A handle is cheap to clone; clones share everything. See the crate's documentation for an
/// example.
#[derive(Debug, Clone)]
pub struct Database {
    handle: Arc<Handle>,
}

impl Database {
    /// Makes a database in `path`, a directory that is empty or does not exist yet, and opens it
    /// for writing.
    ///
    /// # Errors
    /// [`Error::AlreadyExists`] where there is one, [`Error::NotADatabase`] where the directory
    /// holds other files, [`Error::Locked`], [`Error::Io`].
    pub fn create(path: impl AsRef<Path>, options: Options) -> Result<Self> {
        let path = path.as_ref();
        let device =
            RealDevice::create(path).map_err(Error::io("create", &path.display().to_string()))?;
        refuse_network(&device, &options)?;
        Self::create_on(Arc::new(device), options)
    }

    /// Opens the database in `path` for writing, recovering it where a crash left it open.
    ///
    /// # Errors
    /// [`Error::NotADatabase`], [`Error::Locked`] while another handle or process writes it,
    /// [`Error::Incompatible`] for a newer format, [`Error::Io`]. Damage is no error here: it is
    /// in the [`report`](Database::report), and in the way of those who ask for what it hides.
    pub fn open(path: impl AsRef<Path>, options: Options) -> Result<Self> {
        let device = open_device(path.as_ref())?;
        refuse_network(&device, &options)?;
        Self::open_on(Arc::new(device), options)
    }

    /// Opens the database in `path`, or makes it where there is none.
    ///
    /// # Errors
    /// As [`Database::open`] and [`Database::create`].
    pub fn open_or_create(path: impl AsRef<Path>, options: Options) -> Result<Self> {
        let path = path.as_ref();
        let device =
            RealDevice::create(path).map_err(Error::io("open", &path.display().to_string()))?;
        refuse_network(&device, &options)?;
        let device: Arc<dyn Device> = Arc::new(device);
        if holds_segments(&*device)? {
            Self::open_on(device, options)
        } else {
            Self::create_on(device, options)
        }
    }

    /// Opens the database in `path` for reading, beside a writer if there is one. Changes nothing,
    /// and takes no lock.
    ///
    /// # Errors
    /// As [`Database::open`], but for the lock.
    ///
    /// `path` may also be a single segment file, copied here from anywhere: what it holds is read
    /// as a database of its own.
    pub fn open_read_only(path: impl AsRef<Path>, options: Options) -> Result<Self> {
        let path = path.as_ref();
        if path.is_file() {
            let words = path.display().to_string();
            let device = SingleSegment::open(path).map_err(|error| match error.kind() {
                std::io::ErrorKind::InvalidData => Error::NotADatabase {
                    path: words,
                    what: format!("it is a file, and no sound segment: {error}"),
                },
                _ => Error::io("open", &words)(error),
            })?;
            let loader = Loader::alone(Arc::new(device), options.map);
            return Self::read_only(loader, Options { follow: false, ..options });
        }
        Self::open_read_only_on(Arc::new(open_device(path)?), options)
    }

    /// [`Database::create`] on any device.
    ///
    /// # Errors
    /// As [`Database::create`].
    pub fn create_on(device: Arc<dyn Device>, options: Options) -> Result<Self> {
        options.check()?;
        let path = device.describe();
        let guard = take_lock(&*device)?;
        if holds_segments(&*device)? {
            return Err(Error::AlreadyExists { path });
        }
        let entries = device.list().map_err(Error::io("list", &path))?;
        let ours = |name: &str| name == "LOCK" || name.starts_with(".tmp-");
        if let Some(other) = entries.iter().find(|entry| !ours(&entry.name)) {
            let what = format!("the directory is not empty, it holds {:?}", other.name);
            return Err(Error::NotADatabase { path, what });
        }
        let database = DatabaseId(device.random().map_err(Error::io("make an id for", &path))?);
        let header = SegmentHeader::first(database, 1, device.now_unix_us());
        let catalog = Catalog::default();
        let active = SegmentWriter::create(&*device, header, &catalog, options.map)?;
        let start = LogStart {
            active: Some(active),
            next_segment: 2,
            lock: Some(guard),
            write_buffer_bytes: options.write_buffer_bytes,
            ..LogStart::default()
        };
        let report = RecoveryReport { segments: 1, ..RecoveryReport::default() };
        let log = Some(Log::new(start));
        let table = StreamTable::default();
        Self::assemble(Core::new(device, options, database, table, Vec::new(), report, log, None))
    }

    /// [`Database::open`] on any device.
    ///
    /// # Errors
    /// As [`Database::open`].
    pub fn open_on(device: Arc<dyn Device>, options: Options) -> Result<Self> {
        options.check()?;
        if !holds_segments(&*device)? {
            return Err(not_a_database(&*device));
        }
        let guard = take_lock(&*device)?;
        let mut loader = Loader::new(Arc::clone(&device), options.map, false);
        let loaded = loader.load()?;
        let (loaded, mut report) = recover(&*device, &mut loader, loaded)?;
        let retained = loaded.retained_from > 1;
        let known = StreamTable::default();
        let Built { streams, segments, previous } =
            recovery::build(&loader, &loaded.order, retained, &known, &mut report);
        let start = LogStart {
            active: None,
            previous,
            next_segment: loaded.next_segment,
            retained_from: loaded.retained_from,
            lock: Some(guard),
            write_buffer_bytes: options.write_buffer_bytes,
            touched: if report.damage.is_empty() { touched(&segments, &streams) } else { None },
        };
        let table = StreamTable::new(streams);
        let log = Some(Log::new(start));
        let database = loaded.database;
        Self::assemble(Core::new(device, options, database, table, segments, report, log, None))
    }

    /// [`Database::open_read_only`] on any device.
    ///
    /// # Errors
    /// As [`Database::open_read_only`].
    pub fn open_read_only_on(device: Arc<dyn Device>, options: Options) -> Result<Self> {
        Self::read_only(Loader::new(device, options.map, true), options)
    }

    fn read_only(mut loader: Loader, options: Options) -> Result<Self> {
        options.check()?;
        let loaded = loader.load()?;
        loader.changed(&loaded);
        let mut report = loaded.report;
        let known = StreamTable::default();
        let retained = loaded.retained_from > 1 || loader.is_alone();
        let built = recovery::build(&loader, &loaded.order, retained, &known, &mut report);
        let table = StreamTable::new(built.streams);
        let (database, segments, device) = (loaded.database, built.segments, loader.device());
        let core =
            Core::new(device, options, database, table, segments, report, None, Some(loader));
        Self::assemble(core)
    }

    fn assemble(core: Core) -> Result<Self> {
        let core = Arc::new(core);
        registry::load(&core);
        let threads = if core.log.is_some() && core.options.background {
            background::start(&core)
        } else if core.log.is_none() && core.options.follow && core.options.background {
            background::follow(&core)
        } else {
            Ok(Vec::new())
        };
        let threads = threads.map_err(Error::io("start threads for", &core.path))?;
        Ok(Self { handle: Arc::new(Handle { core, threads: Mutex::new(threads) }) })
    }

    pub(crate) fn handle(&self) -> &Arc<Handle> {
        &self.handle
    }

    pub(crate) fn core(&self) -> &Arc<Core> {
        &self.handle.core
    }

    /// Where the database is.
    pub fn path(&self) -> &str {
        &self.core().path
    }

    /// The database's id, made with it.
    pub fn id(&self) -> DatabaseId {
        self.core().database
    }

    /// What opening found: torn tails, damage, left-overs.
    pub fn report(&self) -> &RecoveryReport {
        &self.core().report
    }

    /// The cache that its pages are in.
    pub fn cache(&self) -> &PageCache {
        self.core().pages.cache()
    }

    /// The options it was opened with.
    pub fn options(&self) -> &Options {
        &self.core().options
    }

    /// Makes a stream. Its name is free text of 1 to 255 bytes and never part of a path.
    ///
    /// The stream is known from the next flush on to whoever opens the database after a crash, as
    /// a record would be.
    ///
    /// # Errors
    /// [`Error::StreamExists`], [`Error::Invalid`] for a name that cannot be,
    /// [`Error::TooManyStreams`], [`Error::ReadOnly`], and failures of the write.
    pub fn create_stream(&self, name: &str, schema: Schema) -> Result<Stream> {
        check_name("stream", name).map_err(|error| Error::invalid(error.what))?;
        if schema.plane().is_some() {
            return Err(Error::invalid("a plane of a track is made with the track, by `set`"));
        }
        let stream = add_stream(self.core(), name, schema, |_| {})?;
        Ok(Stream::new(&self.handle, &stream))
    }

    /// The stream called `name`.
    ///
    /// # Errors
    /// [`Error::NoSuchStream`].
    pub fn stream(&self, name: &str) -> Result<Stream> {
        let stream = self.core().stream(name)?;
        Ok(Stream::new(&self.handle, &stream))
    }

    /// All streams, in the order they were made.
    pub fn streams(&self) -> Vec<Stream> {
        let table = self.core().streams.load();
        let streams = table.by_id.values().filter(|stream| !stream.layout.is_plane());
        streams.map(|stream| Stream::new(&self.handle, stream)).collect()
    }

    /// Brings everything appended before the call, to all streams, to `level`.
    ///
    /// # Errors
    /// [`Error::ReadOnly`], [`Error::Closed`], and failures of the write or sync: the first one
    /// ends writing, and later calls return [`Error::Poisoned`].
    pub fn flush(&self, level: Level) -> Result<Watermark> {
        let core = self.core();
        core.log()?.flush(core, level)
    }

    /// Sees what a writer in another process has flushed since. With
    /// [`follow`](Options::follow), the default, a thread does this at every
    /// [`flush_interval`](Options::flush_interval). For a writing handle there is nothing to do.
    ///
    /// # Errors
    /// As [`Database::open_read_only`]. What was seen before stays readable.
    pub fn refresh(&self) -> Result<()> {
        refresh(self.core())
    }

    /// Flushes to disk, seals, ends the threads and gives up the lock. Other handles can still
    /// read what they hold; appending fails from now on. Whether a record that another thread
    /// appends at this moment is in, only its reading tells. A compaction that is running stops
    /// with [`Error::Closed`], and is waited for; so its `progress` must not call this.
    ///
    /// # Errors
    /// The failure of the flush or seal. The database opens again in any case, and its report
    /// tells what was kept.
    pub fn close(self) -> Result<()> {
        let core = self.core();
        core.gate.check_process()?;
        self.handle.stop_threads();
        let Some(log) = &core.log else { return Ok(()) };
        if !planted("close_without_halt") {
            core.gate.halt();
        }
        // A block frozen from now on may be written by nobody: who waits for room is told.
        log.wake_all();
        // A compaction or retention ends first: without the lock, the files are another writer's.
        let _maintenance = lock(&core.maintenance);
        let done = if core.gate.is_closed() {
            Ok(())
        } else {
            log.flush(core, Level::Disk).and_then(|_| log.seal(core))
        };
        core.gate.close();
        log.release();
        done
    }
}

/// Makes a stream, known to the log and to whoever looks from now on. Nobody makes another one
/// before `put` returns.
pub(crate) fn add_stream(
    core: &Core,
    name: &str,
    schema: Schema,
    put: impl FnOnce(&Arc<StreamState>),
) -> Result<Arc<StreamState>> {
    let log = core.log()?;
    let _one_at_a_time = lock(&core.maintenance);
    let table = core.streams.load();
    if table.named(name).is_some() {
        return Err(Error::StreamExists { name: name.to_owned() });
    }
    let id = table.by_id.last_key_value().map_or(1, |(id, _)| id + 1);
    if id > caps::STREAMS_MAX {
        return Err(Error::TooManyStreams { limit: caps::STREAMS_MAX });
    }
    let view = StreamView::default();
    let stream = Arc::new(StreamState::new(id, name.to_owned(), schema, view, 0, None));
    let catalog_bytes = table.catalog_bytes + stream.catalog_bytes;
    if catalog_bytes > caps::CATALOG_BYTES_MAX {
        return Err(Error::invalid(format!(
            "with stream {name:?} names and schemas would take {catalog_bytes} bytes; \
             the limit is {}",
            caps::CATALOG_BYTES_MAX
        )));
    }
    let streams = vec![catalog_entry(&stream, 0, None, None)];
    log.add_catalog(core, Catalog { retained_from: 0, streams }, || {
        core.streams.update(|table| table.with(Arc::clone(&stream)));
    })?;
    put(&stream);
    Ok(stream)
}

/// Loads what changed, and publishes it.
pub(crate) fn refresh(core: &Core) -> Result<()> {
    if core.log.is_some() {
        return Ok(());
    }
    let mut maintenance = lock(&core.maintenance);
    let Some(loader) = maintenance.as_mut() else { return Ok(()) };
    let loaded = loader.load()?;
    if !loader.changed(&loaded) {
        return Ok(());
    }
    let mut report = loaded.report;
    let known = core.streams.load_full();
    let retained = loaded.retained_from > 1;
    let built = recovery::build(loader, &loaded.order, retained, &known, &mut report);
    core.segments.store(built.segments);
    if built.streams.len() != known.by_id.len() {
        core.streams.store(StreamTable::new(built.streams));
    }
    registry::load(core);
    Ok(())
}

/// The ticks that the last segment's blocks of each plane tell of, where it is one of the log.
fn touched(
    segments: &[LiveSegment],
    streams: &[Arc<StreamState>],
) -> Option<BTreeMap<u32, (i64, i64)>> {
    let last = segments.last().filter(|last| last.file.header.generation.get() == 0)?;
    let planes = streams.iter().filter(|stream| stream.layout.is_plane());
    let ticks = |stream: &Arc<StreamState>| {
        let view = stream.view.load();
        let runs = view.runs().iter().filter(|run| Arc::ptr_eq(&run.segment, &last.file));
        Some((stream.id, touched_ticks(runs.flat_map(|run| run.entries()))?))
    };
    Some(planes.filter_map(ticks).collect())
}

/// Removes left-overs and seals what a crash left open. Returns what the directory holds then, and
/// what was found before.
fn recover(
    device: &dyn Device,
    loader: &mut Loader,
    mut loaded: Loaded,
) -> Result<(Loaded, RecoveryReport)> {
    let mut report = std::mem::take(&mut loaded.report);
    let last = loaded.order.iter().copied().rev().find(|&number| {
        loader.segment(number).is_some_and(|segment| segment.file().header.generation.get() == 0)
    });
    let highest = last.filter(|&number| Some(number) == highest_log(loader, &loaded));
    if let Some(number) = highest
        && let Some((scanner, file)) = loader.take_open(number)
    {
        let catalog = recovery::sealing_catalog(loader, &loaded.order, &scanner);
        (report.records_from_frames, report.words_from_frames) =
            recovery::seal_open_segment(device, &file.name, &scanner, &file, &catalog)?;
        loaded = loader.load()?;
    }
    for name in &loaded.dead {
        device.unlink(name).map_err(Error::io("remove", name))?;
    }
    if !loaded.dead.is_empty() {
        device.sync_directory().map_err(Error::io("sync", &device.describe()))?;
    }
    report.removed.append(&mut loaded.dead);
    Ok((loaded, report))
}

/// The last segment of the log, by number.
fn highest_log(loader: &Loader, loaded: &Loaded) -> Option<u32> {
    let segments = loaded.order.iter().filter_map(|&number| loader.segment(number));
    segments.map(|segment| segment.file().header.log_last.get()).max()
}

fn open_device(path: &Path) -> Result<RealDevice> {
    let words = path.display().to_string();
    let metadata = path.metadata().map_err(Error::io("open", &words))?;
    if !metadata.is_dir() {
        let what = "it is a file; a database is a directory".to_owned();
        return Err(Error::NotADatabase { path: words, what });
    }
    RealDevice::open(path).map_err(Error::io("open", &words))
}

fn refuse_network(device: &RealDevice, options: &Options) -> Result<()> {
    let path = device.describe();
    let network = device.is_network_fs().map_err(Error::io("look at", &path))?;
    check_network(network, path, options)
}

fn check_network(network: bool, path: String, options: &Options) -> Result<()> {
    if network && !options.allow_network_fs {
        return Err(Error::NetworkFileSystem { path });
    }
    Ok(())
}

fn take_lock(device: &dyn Device) -> Result<Box<dyn crate::device::LockGuard>> {
    let path = device.describe();
    let owner = format!("process {}", std::process::id());
    device.lock(&owner).map_err(|error| match error {
        LockError::Held { holder } => Error::Locked { path, holder },
        LockError::Io(source) => Error::io("lock", &path)(source),
    })
}

fn holds_segments(device: &dyn Device) -> Result<bool> {
    let entries = device.list().map_err(Error::io("list", &device.describe()))?;
    Ok(entries.iter().any(|entry| segment_number(&entry.name).is_some()))
}

fn not_a_database(device: &dyn Device) -> Error {
    Error::NotADatabase {
        path: device.describe(),
        what: "it holds no segment (seg-*.presence)".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_share_is_refused_unless_asked_for() {
        let mut options = Options::default();
        let refused = check_network(true, "/share".to_owned(), &options).unwrap_err();
        assert_eq!(refused.variant(), "NetworkFileSystem");
        let text = refused.to_string();
        assert!(text.contains("/share") && text.contains("`allow_network_fs`"), "{text}");
        assert!(check_network(false, "/disk".to_owned(), &options).is_ok());
        options.allow_network_fs = true;
        assert!(check_network(true, "/share".to_owned(), &options).is_ok());
    }
}
