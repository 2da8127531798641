//! A device with one fault planted in it, over a simulated one.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use presence::device::{Device, DeviceFile, Entry, LockError, LockGuard, Mapping, SimDevice};
use presence_format::caps::CHECKSUM_PIECE_BYTES;
use presence_format::checksum::PayloadHasher;
use presence_format::entry::{ENTRY_ALIGN, EntryBuilder, EntryKind, Place};
use presence_format::segment::SegmentHeader;

/// What the device does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Plant {
    /// `sync` returns at once; the medium is forced only when the next call comes.
    AckBeforeSync,
    /// `sync_directory` returns at once; the medium is forced only when the next call comes.
    AckBeforeDirectorySync,
    /// A directory is synced only after files were removed that the new names replace.
    UnlinkBeforeDirectorySync,
    /// The sync between data and footer is left out, so either may reach the medium first.
    FooterBeforeData,
    /// A sector of zeros inside an entry passes the checksum.
    NoZeroCheck,
    /// The name is given before the content was forced to the medium.
    RenameBeforeSync,
    /// A file is synced the first time only.
    SyncOnce,
    /// The file opened before is synced instead.
    SyncOfAnother,
    /// A sync forces everything but the last write.
    LastWriteMissesSync,
    /// Every fifth write is lost.
    LostWrite,
    /// Every fifth write lands 64 bytes too far.
    MisdirectedWrite,
    /// The last bytes of every fifth write are missing, and nobody is told.
    ShortWrite,
}

#[derive(Debug)]
struct PlantedDevice {
    sim: SimDevice,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    plant: Plant,
    /// Syncs that were acknowledged and not made.
    owed: Mutex<Vec<Owed>>,
    writes: AtomicU64,
    last_opened: Mutex<Option<Arc<dyn DeviceFile>>>,
}

#[derive(Debug)]
enum Owed {
    File(Arc<dyn DeviceFile>),
    Directory,
    Write(Arc<dyn DeviceFile>, Vec<u8>, u64),
}

/// Plants a fault over `sim`.
pub(crate) fn planted(sim: &SimDevice, plant: Plant) -> Arc<dyn Device> {
    let shared = Shared {
        plant,
        owed: Mutex::default(),
        writes: AtomicU64::new(0),
        last_opened: Mutex::default(),
    };
    Arc::new(PlantedDevice { sim: sim.clone(), shared: Arc::new(shared) })
}

impl Shared {
    fn owe(&self, owed: Owed) {
        self.owed.lock().unwrap().push(owed);
    }

    /// Whether this is one of the writes that go wrong.
    fn is_fifth(&self) -> bool {
        self.writes.fetch_add(1, Ordering::Relaxed) % 5 == 4
    }
}

impl PlantedDevice {
    /// Performs what was acknowledged before.
    fn pay(&self) -> io::Result<()> {
        pay(&self.shared, Some(&self.sim))
    }

    fn file(&self, file: Arc<dyn DeviceFile>, new: bool) -> Arc<dyn DeviceFile> {
        let before = self.shared.last_opened.lock().unwrap().replace(Arc::clone(&file));
        Arc::new(PlantedFile {
            before,
            inner: file,
            sim: self.sim.clone(),
            shared: Arc::clone(&self.shared),
            after_block: AtomicBool::new(false),
            unpublished: AtomicBool::new(new),
            synced: AtomicBool::new(false),
        })
    }
}

/// Performs what was acknowledged before; of the directory only where `sim` is given.
fn pay(shared: &Shared, sim: Option<&SimDevice>) -> io::Result<()> {
    let owed = std::mem::take(&mut *shared.owed.lock().unwrap());
    owed.into_iter().try_for_each(|owed| match (owed, sim) {
        (Owed::File(file), _) => file.sync(),
        (Owed::Write(file, bytes, offset), _) => file.write_at(&[&bytes], offset),
        (Owed::Directory, Some(sim)) => sim.sync_directory(),
        (Owed::Directory, None) => {
            shared.owe(Owed::Directory);
            Ok(())
        }
    })
}

impl Device for PlantedDevice {
    fn describe(&self) -> String {
        self.sim.describe()
    }

    fn list(&self) -> io::Result<Vec<Entry>> {
        self.sim.list()
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn DeviceFile>> {
        Ok(self.file(self.sim.open(name)?, false))
    }

    fn open_writable(&self, name: &str) -> io::Result<Arc<dyn DeviceFile>> {
        Ok(self.file(self.sim.open_writable(name)?, false))
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn DeviceFile>> {
        self.pay()?;
        Ok(self.file(self.sim.create(name)?, true))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.pay()?;
        self.sim.rename(from, to)
    }

    fn unlink(&self, name: &str) -> io::Result<()> {
        if self.shared.plant != Plant::UnlinkBeforeDirectorySync {
            self.pay()?;
        }
        self.sim.unlink(name)
    }

    fn sync_directory(&self) -> io::Result<()> {
        self.pay()?;
        match self.shared.plant {
            Plant::AckBeforeDirectorySync | Plant::UnlinkBeforeDirectorySync => {
                self.shared.owe(Owed::Directory);
                Ok(())
            }
            _ => self.sim.sync_directory(),
        }
    }

    fn lock(&self, owner: &str) -> Result<Box<dyn LockGuard>, LockError> {
        self.sim.lock(owner)
    }

    fn now_unix_us(&self) -> i64 {
        self.sim.now_unix_us()
    }

    fn random(&self) -> io::Result<[u8; 16]> {
        self.sim.random()
    }
}

#[derive(Debug)]
struct PlantedFile {
    inner: Arc<dyn DeviceFile>,
    /// The file that was opened before this one.
    before: Option<Arc<dyn DeviceFile>>,
    sim: SimDevice,
    shared: Arc<Shared>,
    /// The last entry written was a block: what comes next is the sync of a seal.
    after_block: AtomicBool,
    /// The file was made here and not synced yet.
    unpublished: AtomicBool,
    /// The file was synced before.
    synced: AtomicBool,
}

impl PlantedFile {
    fn pay(&self) -> io::Result<()> {
        let is_late = self.shared.plant == Plant::UnlinkBeforeDirectorySync;
        pay(&self.shared, (!is_late).then_some(&self.sim))
    }
}

impl DeviceFile for PlantedFile {
    fn len(&self) -> io::Result<u64> {
        self.pay()?;
        self.inner.len()
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        if self.shared.plant == Plant::LastWriteMissesSync {
            self.pay()?;
        }
        let read = self.inner.read_at(buf, offset)?;
        if self.shared.plant == Plant::NoZeroCheck && offset.is_multiple_of(ENTRY_ALIGN.into()) {
            let mut header = [0; SegmentHeader::BYTES];
            self.inner.read_at(&mut header, 0)?;
            if let Ok(header) = SegmentHeader::decode(&header) {
                accept_zeros(&mut buf[..read], offset as u32, header.place());
            }
        }
        Ok(read)
    }

    fn write_at(&self, parts: &[&[u8]], offset: u64) -> io::Result<()> {
        self.pay()?;
        let kind = parts.first().and_then(|part| part.get(20)).copied();
        let is_entry = parts.first().is_some_and(|part| part.starts_with(b"PRSe"));
        let is_block = is_entry && kind == Some(EntryKind::Block as u8);
        self.after_block.store(is_block, Ordering::Relaxed);
        let bytes = || parts.concat();
        match self.shared.plant {
            Plant::LastWriteMissesSync => {
                self.shared.owe(Owed::Write(Arc::clone(&self.inner), bytes(), offset));
                Ok(())
            }
            Plant::LostWrite if self.shared.is_fifth() => Ok(()),
            Plant::MisdirectedWrite if self.shared.is_fifth() => {
                self.inner.write_at(parts, offset + u64::from(ENTRY_ALIGN))
            }
            Plant::ShortWrite if self.shared.is_fifth() => {
                let bytes = bytes();
                self.inner.write_at(&[&bytes[..bytes.len() - bytes.len().min(16)]], offset)
            }
            _ => self.inner.write_at(parts, offset),
        }
    }

    fn reserve(&self, len: u64) -> io::Result<()> {
        self.pay()?;
        self.inner.reserve(len)
    }

    fn sync(&self) -> io::Result<()> {
        let is_again = self.synced.swap(true, Ordering::Relaxed);
        match self.shared.plant {
            Plant::AckBeforeSync => {
                self.shared.owe(Owed::File(Arc::clone(&self.inner)));
                Ok(())
            }
            Plant::FooterBeforeData if self.after_block.load(Ordering::Relaxed) => Ok(()),
            Plant::RenameBeforeSync if self.unpublished.swap(false, Ordering::Relaxed) => Ok(()),
            Plant::SyncOnce if is_again => Ok(()),
            Plant::SyncOfAnother => self.before.as_ref().map_or(Ok(()), |before| before.sync()),
            _ => self.inner.sync(),
        }
    }

    fn map(&self, len: usize) -> io::Result<Mapping> {
        self.pay()?;
        self.inner.map(len)
    }
}

/// Gives entries whose payload holds a sector of zeros the checksum of what they hold now.
fn accept_zeros(bytes: &mut [u8], base: u32, place: Place) {
    for at in (0..bytes.len()).step_by(ENTRY_ALIGN as usize) {
        let offset = base + at as u32;
        let Ok(entry) = presence_format::entry::Entry::parse(&bytes[at..], place, offset) else {
            continue;
        };
        let start = (entry.payload_offset() - base) as usize;
        let end = start + entry.header.payload_bytes.get() as usize;
        if entry.header.payload_bytes.get() > CHECKSUM_PIECE_BYTES || end > bytes.len() {
            continue;
        }
        let first_sector = start.next_multiple_of(512).min(end);
        let zeros = |sector: &[u8]| sector.iter().all(|byte| *byte == 0);
        if first_sector == end || !bytes[first_sector..end].chunks(512).any(zeros) {
            continue;
        }
        let mut hasher = PayloadHasher::new();
        hasher.update(&bytes[start..end]);
        let mut builder = EntryBuilder { header: entry.header, block: entry.block };
        builder.header.payload_crc = hasher.finish().0.into();
        let (header, len, _) = builder.finish(entry.kind);
        bytes[at..at + len].copy_from_slice(&header[..len]);
    }
}
