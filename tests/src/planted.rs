//! Faults planted below the engine, each of which the crash enumeration must find: a harness that
//! finds nothing proves nothing.
//!
//! All are planted in the device, so the engine that is tested is the one that is shipped.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use presence::device::{
    CrashPolicy, Device, DeviceFile, Entry, LockError, LockGuard, Mapping, SimDevice,
};
use presence_format::caps::CHECKSUM_PIECE_BYTES;
use presence_format::checksum::PayloadHasher;
use presence_format::entry::{ENTRY_ALIGN, EntryBuilder, EntryKind, Place};
use presence_format::segment::SegmentHeader;

use crate::crash::{Plan, Wrap, enumerate};
use crate::script::{bare, play};

/// What the device does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Plant {
    /// `sync` returns at once; the medium is forced only when the next call comes.
    AckBeforeSync,
    /// The sync between data and footer is left out, so either may reach the medium first.
    FooterBeforeData,
    /// A sector of zeros inside an entry passes the checksum.
    NoZeroCheck,
    /// The name is given before the content was forced to the medium.
    RenameBeforeSync,
}

#[derive(Debug)]
struct PlantedDevice {
    sim: SimDevice,
    plant: Plant,
    owed: Arc<Mutex<Vec<Arc<dyn DeviceFile>>>>,
}

fn planted(sim: &SimDevice, plant: Plant) -> Arc<dyn Device> {
    Arc::new(PlantedDevice { sim: sim.clone(), plant, owed: Arc::default() })
}

/// Performs the syncs that were acknowledged before.
fn pay(owed: &Mutex<Vec<Arc<dyn DeviceFile>>>) -> io::Result<()> {
    let owed = std::mem::take(&mut *owed.lock().unwrap());
    owed.iter().try_for_each(|file| file.sync())
}

impl PlantedDevice {
    fn file(&self, file: Arc<dyn DeviceFile>, new: bool) -> Arc<dyn DeviceFile> {
        Arc::new(PlantedFile {
            inner: file,
            plant: self.plant,
            owed: Arc::clone(&self.owed),
            after_block: AtomicBool::new(false),
            unpublished: AtomicBool::new(new),
        })
    }
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
        pay(&self.owed)?;
        Ok(self.file(self.sim.create(name)?, true))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        pay(&self.owed)?;
        self.sim.rename(from, to)
    }

    fn unlink(&self, name: &str) -> io::Result<()> {
        pay(&self.owed)?;
        self.sim.unlink(name)
    }

    fn sync_directory(&self) -> io::Result<()> {
        pay(&self.owed)?;
        self.sim.sync_directory()
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
    plant: Plant,
    owed: Arc<Mutex<Vec<Arc<dyn DeviceFile>>>>,
    /// The last entry written was a block: what comes next is the sync of a seal.
    after_block: AtomicBool,
    /// The file was made here and not synced yet.
    unpublished: AtomicBool,
}

impl DeviceFile for PlantedFile {
    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let read = self.inner.read_at(buf, offset)?;
        if self.plant == Plant::NoZeroCheck && offset.is_multiple_of(u64::from(ENTRY_ALIGN)) {
            let mut header = [0; SegmentHeader::BYTES];
            self.inner.read_at(&mut header, 0)?;
            if let Ok(header) = SegmentHeader::decode(&header) {
                accept_zeros(&mut buf[..read], offset as u32, header.place());
            }
        }
        Ok(read)
    }

    fn write_at(&self, parts: &[&[u8]], offset: u64) -> io::Result<()> {
        pay(&self.owed)?;
        let kind = parts.first().and_then(|part| part.get(20)).copied();
        let is_entry = parts.first().is_some_and(|part| part.starts_with(b"PRSe"));
        let is_block = is_entry && kind == Some(EntryKind::Block as u8);
        self.after_block.store(is_block, Ordering::Relaxed);
        self.inner.write_at(parts, offset)
    }

    fn reserve(&self, len: u64) -> io::Result<()> {
        pay(&self.owed)?;
        self.inner.reserve(len)
    }

    fn sync(&self) -> io::Result<()> {
        match self.plant {
            Plant::AckBeforeSync => {
                self.owed.lock().unwrap().push(Arc::clone(&self.inner));
                Ok(())
            }
            Plant::FooterBeforeData if self.after_block.load(Ordering::Relaxed) => Ok(()),
            Plant::RenameBeforeSync if self.unpublished.swap(false, Ordering::Relaxed) => Ok(()),
            _ => self.inner.sync(),
        }
    }

    fn map(&self, len: usize) -> io::Result<Mapping> {
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

/// What the enumeration says of the scripts run over `wrap`; `None` where it finds nothing.
fn violation(wrap: Wrap) -> Option<String> {
    let mut plan = Plan::new(CrashPolicy { exhaustive_max: 10, ..CrashPolicy::quick(1) });
    plan.wrap = wrap;
    crate::crash::scripts().iter().find_map(|(name, steps)| {
        // Going on after a plant may fail by itself: a find, too.
        match play(steps, wrap) {
            Ok(trace) => enumerate(&trace, &plan).err(),
            Err(error) => Some(error.to_string()),
        }
        .map(|what| format!("{name}: {what}"))
    })
}

fn must_find(what: &str, wrap: Wrap) {
    let found = violation(wrap);
    let found = found.unwrap_or_else(|| panic!("the planted fault was not found: {what}"));
    println!("planted: {what}; found: {found}");
}

#[test]
fn without_a_planted_fault_nothing_is_found() {
    assert_eq!(violation(bare), None);
}

#[test]
fn dropped_file_syncs_are_found() {
    must_find("syncs of files are dropped", |sim| {
        sim.drop_file_sync(true);
        bare(sim)
    });
}

#[test]
fn dropped_directory_syncs_are_found() {
    must_find("syncs of the directory are dropped", |sim| {
        sim.drop_directory_sync(true);
        bare(sim)
    });
}

#[test]
fn an_ack_before_the_sync_is_found() {
    must_find("ack before sync", |sim| planted(sim, Plant::AckBeforeSync));
}

#[test]
fn a_footer_before_its_data_is_found() {
    must_find("footer before data", |sim| planted(sim, Plant::FooterBeforeData));
}

#[test]
fn zeros_taken_for_data_are_found() {
    must_find("no zero check", |sim| planted(sim, Plant::NoZeroCheck));
}

#[test]
fn a_name_before_its_content_is_found() {
    must_find("rename before sync", |sim| planted(sim, Plant::RenameBeforeSync));
}
