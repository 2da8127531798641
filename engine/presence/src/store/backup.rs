//! Backup: a consistent, verified copy of a database, also of one that is being written.
//!
//! # Invariants
//! - The source is not changed: no lock is taken, and what is read is held open, so that retention
//!   and compaction may go on.
//! - The copy counts when it is complete, verified and durable, and not before: until then its
//!   directory has another name, and its segments have names that nobody reads.
//! - A damaged database is not copied: a copy that hides what its source has lost is no backup.
//! - Only segments that nobody will ever write to are linked: never the last of the log.

use std::path::Path;

use super::core::StreamTable;
use super::database::Database;
use super::load::{Loaded, LoadedSegment, Loader, read_sealed};
use super::recovery::{self, Built};
use super::report::RecoveryReport;
use super::stats::{StreamStats, TrackStats};
use super::stream_state::StreamState;
use crate::device::{Device, DeviceFile, Shared, Staging};
use crate::error::{Error, Result};
use crate::options::Level;
use crate::segment::{Scanner, SegmentFile};
use crate::shim::{Arc, lock};

/// How to back up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BackupOptions {
    /// Copies every byte. Otherwise sealed segments, which nobody changes any more, share their
    /// bytes with the source where the file system can: cheap, and gone with the medium, or rotten
    /// with it.
    pub copy: bool,
}

/// What a backup holds, and how it came there.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Backup {
    /// Its streams.
    pub streams: Vec<BackupStream>,
    /// Its presence tracks.
    pub tracks: Vec<TrackStats>,
    /// Its segments.
    pub segments: usize,
    /// Segments that share their bytes until one of both is written (clones).
    pub cloned: usize,
    /// Segments that are another name of the source's file (hard links).
    pub linked: usize,
    /// Segments whose bytes were copied.
    pub copied: usize,
    /// Bytes of all its files.
    pub bytes: u64,
    /// Bytes that were copied.
    pub bytes_copied: u64,
    /// Records of all its streams.
    pub records: u64,
    /// Directories beside it that interrupted backups left, or others are at work on. They are no
    /// databases, and may be removed when no backup is running.
    pub left_over: Vec<String>,
}

/// One stream of a backup.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BackupStream {
    /// Its name.
    pub name: String,
    /// Its records.
    pub records: u64,
    /// Timestamp of the first record.
    pub first_ts: Option<i64>,
    /// Timestamp of the last record.
    pub last_ts: Option<i64>,
}

impl Database {
    /// Copies the database to `out`, which does not exist or is an empty directory: all that was
    /// flushed when this is called, and for a writing handle all that was appended. Others may
    /// write, retain and compact meanwhile. The copy has the database's id; it is closed, and
    /// every checksum in it was verified.
    ///
    /// `progress` is told the bytes brought over or verified, and those in all, and ends the backup
    /// by returning `false`: nothing is left then.
    ///
    /// # Errors
    /// [`Error::Corrupt`] and [`Error::Gap`] where the database is damaged, or its copy is:
    /// `presence-fsck --salvage` copies what is sound. [`Error::Interrupted`]. [`Error::Io`], of
    /// the kind `AlreadyExists` where there is something at `out`. Nothing is left at `out`.
    pub fn backup(
        &self,
        out: impl AsRef<Path>,
        options: &BackupOptions,
        progress: impl FnMut(u64, u64) -> bool,
    ) -> Result<Backup> {
        let out = out.as_ref();
        let words = out.display().to_string();
        let staging = Staging::beside(out).map_err(Error::io("back up to", &words))?;
        let real = Arc::clone(staging.device());
        let share = |name: &str, file: &dyn DeviceFile, may_link: bool| {
            if options.copy { Ok(None) } else { real.share(name, file, may_link) }
        };
        let device: Arc<dyn Device> = Arc::clone(&real) as Arc<dyn Device>;
        let mut backup = Job::new(self, &device, &share, progress).run()?;
        backup.left_over = staging.left_over().to_vec();
        staging.publish().map_err(Error::io("back up to", &words))?;
        Ok(backup)
    }

    /// [`Database::backup`] to any device, which holds nothing yet. Every byte is copied. Where it
    /// fails, what it wrote is removed, as far as the device lets it.
    ///
    /// # Errors
    /// As [`Database::backup`].
    pub fn backup_on(
        &self,
        device: &Arc<dyn Device>,
        progress: impl FnMut(u64, u64) -> bool,
    ) -> Result<Backup> {
        let path = device.describe();
        if !device.list().map_err(Error::io("list", &path))?.is_empty() {
            let exists = std::io::ErrorKind::AlreadyExists;
            return Err(Error::io("back up to", &path)(exists.into()));
        }
        let done = Job::new(self, device, &|_, _, _| Ok(None), progress).run();
        if done.is_err() {
            for entry in device.list().unwrap_or_default() {
                // Its failure is no news: the first one is told.
                let _removed = device.unlink(&entry.name);
            }
        }
        done
    }
}

/// Bytes that are copied or compared at a time.
const PIECE_BYTES: usize = 1 << 20;

type Share<'a> = dyn Fn(&str, &dyn DeviceFile, bool) -> std::io::Result<Option<Shared>> + 'a;

/// One backup at work.
struct Job<'a, P> {
    db: &'a Database,
    out: &'a Arc<dyn Device>,
    share: &'a Share<'a>,
    progress: P,
    done: u64,
    all: u64,
    backup: Backup,
    /// Temporary and final names of the segments.
    names: Vec<(String, String)>,
}

impl<'a, P: FnMut(u64, u64) -> bool> Job<'a, P> {
    fn new(db: &'a Database, out: &'a Arc<dyn Device>, share: &'a Share<'a>, progress: P) -> Self {
        let (backup, names) = (Backup::default(), Vec::new());
        Self { db, out, share, progress, done: 0, all: 0, backup, names }
    }

    fn run(mut self) -> Result<Backup> {
        let core = self.db.core();
        if core.log.is_some() {
            self.db.flush(Level::Os)?;
        } else if lock(&core.maintenance).as_ref().is_some_and(Loader::is_alone) {
            return Err(Error::invalid("a single segment is no database: copy the file"));
        }
        let Source { mut loader, loaded, streams } = Source::of(&core.device)?;
        self.measure(&loader, &loaded)?;
        for number in loaded.order.clone() {
            self.bring_over(&mut loader, &loaded, number)?;
        }
        // The oldest comes last: while it is missing, nobody takes the others for a database that
        // ended early.
        for (temporary, name) in self.names.iter().rev() {
            self.out.rename(temporary, name).map_err(Error::io("rename", name))?;
        }
        self.out.sync_directory().map_err(Error::io("sync", &self.out.describe()))?;
        let copied = self.check_whole(&streams)?;
        self.backup.tracks = TrackStats::all(&copied)?;
        let of_streams = copied.iter().filter(|stream| !stream.layout.is_plane());
        self.backup.streams = of_streams.map(in_numbers).collect();
        self.backup.records = self.backup.streams.iter().map(|stream| stream.records).sum();
        Ok(self.backup)
    }

    /// How much there is to do: each byte is brought over and verified.
    fn measure(&mut self, loader: &Loader, loaded: &Loaded) -> Result<()> {
        for segment in loaded.order.iter().filter_map(|&number| loader.segment(number)) {
            let bytes = match &segment {
                LoadedSegment::Sealed(sealed) => len(&sealed.file)?,
                LoadedSegment::Open(scanner, _) => scanner.end.offset.into(),
            };
            self.all = self.all.saturating_add(bytes.saturating_mul(2));
        }
        self.tell(0)
    }

    fn tell(&mut self, more: u64) -> Result<()> {
        self.done = self.done.saturating_add(more).min(self.all);
        if (self.progress)(self.done, self.all) {
            Ok(())
        } else {
            Err(Error::Interrupted { what: "the backup" })
        }
    }

    /// Makes one segment of the copy: sealed, durable and verified, under a temporary name.
    fn bring_over(&mut self, loader: &mut Loader, loaded: &Loaded, number: u32) -> Result<()> {
        let random = self.out.random();
        let random = random.map_err(Error::io("make a name in", &self.out.describe()))?;
        let temporary = format!(".tmp-{:032x}", u128::from_le_bytes(random));
        let (source, checksum) = match loader.take_open(number) {
            Some((mut scanner, source)) => {
                scanner.cut_end();
                let bytes = u64::from(scanner.end.offset);
                let checksum = self.copy(&source, &temporary, bytes)?;
                let catalog = recovery::sealing_catalog(loader, &loaded.order, &scanner);
                let out = &**self.out;
                recovery::seal_open_segment(out, &temporary, &scanner, &source, &catalog)?;
                (source, Some((bytes, checksum)))
            }
            None => {
                let Some(segment) = loader.segment(number) else { return Ok(()) };
                let source = Arc::clone(segment.file());
                let bytes = len(&source)?;
                let is_last = loaded.order.last() == Some(&number);
                let shared = (self.share)(&temporary, &*source.file, !is_last);
                match shared.map_err(Error::io("create", &source.name))? {
                    None => {
                        let checksum = self.copy(&source, &temporary, bytes)?;
                        (source, Some((bytes, checksum)))
                    }
                    Some(shared) => {
                        self.backup.cloned += usize::from(shared == Shared::Clone);
                        self.backup.linked += usize::from(shared == Shared::Link);
                        self.tell(bytes)?;
                        (source, None)
                    }
                }
            }
        };
        self.verify(&source, &temporary, checksum)?;
        self.names.push((temporary, source.name.clone()));
        Ok(())
    }

    /// Copies the first `bytes` of a segment to a new file; returns their checksum. What lies
    /// behind the file's end is zeros.
    fn copy(&mut self, source: &SegmentFile, temporary: &str, bytes: u64) -> Result<u32> {
        let name = &source.name;
        let file = self.out.create(temporary).map_err(Error::io("create", name))?;
        let mut hasher = crc32fast::Hasher::new();
        let mut buffer = vec![0; PIECE_BYTES];
        let mut at = 0;
        while at < bytes {
            let piece = piece(&mut buffer, at, bytes);
            let read = source.file.read_at(piece, at).map_err(Error::io("read", name))?;
            piece.get_mut(read..).unwrap_or_default().fill(0);
            file.write_at(&[piece], at).map_err(Error::io("write", name))?;
            hasher.update(piece);
            let copied = piece.len() as u64;
            at += copied;
            self.backup.bytes_copied += copied;
            self.tell(copied)?;
        }
        file.sync().map_err(Error::io("sync", name))?;
        self.backup.copied += 1;
        Ok(hasher.finalize())
    }

    /// Reads a segment of the copy back: every checksum, the chain, and the index against the
    /// blocks; where its bytes are its own, also that they are those that were read.
    fn verify(
        &mut self,
        source: &SegmentFile,
        temporary: &str,
        copied: Option<(u64, u32)>,
    ) -> Result<()> {
        let name = source.name.clone();
        let file = self.out.open(temporary).map_err(Error::io("open", &name))?;
        let bytes = file.len().map_err(Error::io("measure", &name))?;
        if let Some((bytes, checksum)) = copied {
            self.compare(&*file, &name, bytes, checksum)?;
        }
        let file = Arc::new(SegmentFile::new(name, source.header, file, false));
        check_segment(&file)?;
        self.backup.segments += 1;
        self.backup.bytes += bytes;
        self.tell(if copied.is_some() { 0 } else { bytes })
    }

    fn compare(
        &mut self,
        file: &dyn DeviceFile,
        name: &str,
        bytes: u64,
        checksum: u32,
    ) -> Result<()> {
        let mut hasher = crc32fast::Hasher::new();
        let mut buffer = vec![0; PIECE_BYTES];
        let mut at = 0;
        while at < bytes {
            let piece = piece(&mut buffer, at, bytes);
            let read = file.read_at(piece, at).map_err(Error::io("read", name))?;
            if read < piece.len() {
                return Err(refused(name, at, "the copy is shorter than what was written to it"));
            }
            hasher.update(piece);
            at += piece.len() as u64;
            let compared = piece.len() as u64;
            self.tell(compared)?;
        }
        if hasher.finalize() == checksum {
            Ok(())
        } else {
            Err(refused(name, 0, "the copy reads back other bytes than were written to it"))
        }
    }

    /// Opens the copy as anybody would, and compares what it holds with what was to be copied.
    fn check_whole(&self, streams: &[BackupStream]) -> Result<Vec<Arc<StreamState>>> {
        let mut loader = Loader::new(Arc::clone(self.out), false, false);
        let loaded = loader.load()?;
        let copied = contents(&loader, &loaded)?;
        let is_closed = loaded.report.scanned.is_empty() && loaded.report.is_clean();
        if is_closed && copied.iter().map(in_numbers).eq(streams.iter().cloned()) {
            return Ok(copied);
        }
        Err(refused(&self.out.describe(), 0, "the copy does not hold what its source holds"))
    }
}

/// A database as it is read anew, by a stranger: what counts is what the files hold. All of them
/// are open, so that they may go meanwhile.
struct Source {
    loader: Loader,
    loaded: Loaded,
    streams: Vec<BackupStream>,
}

/// How often a source is read whose files change so fast that what is left looks damaged.
const SOURCE_TRIES_MAX: u32 = 16;

impl Source {
    fn of(device: &Arc<dyn Device>) -> Result<Self> {
        let names = || -> Result<Vec<String>> {
            let entries = device.list().map_err(Error::io("list", &device.describe()))?;
            let mut names: Vec<String> = entries.into_iter().map(|entry| entry.name).collect();
            names.sort_unstable();
            Ok(names)
        };
        let mut tries = SOURCE_TRIES_MAX;
        loop {
            let before = names()?;
            let mut loader = Loader::new(Arc::clone(device), false, true);
            let loaded = loader.load()?;
            tries -= 1;
            match contents(&loader, &loaded) {
                Ok(streams) => {
                    let streams = streams.iter().map(in_numbers).collect();
                    return Ok(Self { loader, loaded, streams });
                }
                Err(_) if tries > 0 && names()? != before => {}
                Err(error) => return Err(error),
            }
        }
    }
}

fn len(file: &SegmentFile) -> Result<u64> {
    file.file.len().map_err(Error::io("measure", &file.name))
}

fn piece(buffer: &mut [u8], at: u64, end: u64) -> &mut [u8] {
    let left = usize::try_from(end.saturating_sub(at)).unwrap_or(usize::MAX);
    let bytes = left.min(buffer.len());
    buffer.get_mut(..bytes).unwrap_or_default()
}

/// Damage, with what to do about it.
fn refused(file: &str, offset: u64, what: &str) -> Error {
    let what = format!(
        "{what}; what is damaged is not backed up, `presence-fsck --salvage` copies what is sound"
    );
    Error::Corrupt { file: file.to_owned(), offset, what, affected: None }
}

/// The streams of what was loaded.
///
/// # Errors
/// Where something of it is damaged or missing.
fn contents(loader: &Loader, loaded: &Loaded) -> Result<Vec<Arc<StreamState>>> {
    if let Some(damage) = loaded.report.damage.first() {
        return Err(refused(&damage.file, damage.offset, &damage.what));
    }
    let mut report = RecoveryReport::default();
    let (retained, known) = (loaded.retained_from > 1, StreamTable::default());
    let Built { streams, .. } =
        recovery::build(loader, &loaded.order, retained, &known, &mut report);
    if let Some(lost) = report.lost.first() {
        return Err(Error::Gap(Box::new(lost.clone())));
    }
    Ok(streams)
}

fn in_numbers(stream: &Arc<StreamState>) -> BackupStream {
    let StreamStats { records, first_ts, last_ts, .. } = StreamStats::of(stream);
    BackupStream { name: stream.name.clone(), records, first_ts, last_ts }
}

/// Checks a sealed segment whole: every entry, and the index against the blocks.
fn check_segment(file: &Arc<SegmentFile>) -> Result<()> {
    let sealed = read_sealed(file)?;
    let footer = &sealed.footer;
    let mut scanner = Scanner::new(Arc::clone(file));
    scanner.recover(footer.data_end.get())?;
    if let Some(damage) = scanner.damage.first() {
        return Err(refused(&file.name, damage.offset, &damage.what));
    }
    let end = scanner.data_end();
    if (end.crc, end.entries) != (footer.data_crc.get(), footer.entries.get()) {
        return Err(refused(&file.name, end.offset.into(), "its entries end before its footer"));
    }
    let blocks = scanner.streams.iter().filter(|(_, stream)| !stream.blocks.is_empty());
    let is_indexed = blocks.clone().count() == sealed.runs.len()
        && blocks.into_iter().all(|(id, stream)| {
            sealed.runs.get(id).is_some_and(|run| run.entries() == stream.blocks)
        });
    if is_indexed {
        Ok(())
    } else {
        let at = footer.index_offset.get().into();
        Err(refused(&file.name, at, "the index tells of other blocks than there are"))
    }
}
