//! A directory in memory: for tests, and for data that need not outlive the process.
//!
//! Clones share the directory, so dropping a database and opening it again on a clone sees the
//! same bytes. Nothing is lost in a power cut here; for that see the simulated device.
//!
//! # Invariants
//! - Every verb keeps the contract of [`Device`] as the real device does; one test suite runs
//!   over both.
//! - A file has one name or none; open handles keep it readable without a name.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::io;

use super::content::Content;
use super::counters::{Cells, Counters};
use super::{
    Device, DeviceFile, Entry, LOCK_NAME, LockError, LockGuard, Mapping, check_name, unix_us,
};
use crate::shim::Arc;
use crate::shim::plain::{AtomicU64, Mutex, MutexGuard, Ordering, lock};

/// A number for a file's bytes that a rename does not change.
pub(super) type FileId = u64;

/// The files of a directory by name, as plain values.
pub(super) type Image = BTreeMap<Arc<str>, (FileId, Content)>;

/// A directory in memory, shared by its clones.
#[derive(Clone, Default)]
pub struct MemoryDevice {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    names: Mutex<BTreeMap<Arc<str>, Arc<Inode>>>,
    next_id: AtomicU64,
    counters: Counters,
    lock: Arc<Mutex<LockState>>,
}

struct Inode {
    id: FileId,
    content: Mutex<Content>,
}

impl Inode {
    fn content(&self) -> MutexGuard<'_, Content> {
        lock(&self.content)
    }
}

/// `owner` is the text of the lock file; `None` where the lock was never taken.
#[derive(Default)]
struct LockState {
    owner: Option<String>,
    held: bool,
}

impl MemoryDevice {
    /// An empty directory.
    pub fn new() -> Self {
        Self::default()
    }

    /// A directory that holds `files`, given as name and bytes. Names are taken as they are.
    pub fn with_files<'a>(files: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Self {
        let image = files
            .into_iter()
            .zip(0..)
            .map(|((name, bytes), id)| (Arc::from(name), (id, Content::from_bytes(bytes))));
        Self::from_image(&image.collect())
    }

    /// What was asked of this device so far.
    pub fn counters(&self) -> &Counters {
        &self.shared.counters
    }

    /// All files by name, read without being counted.
    pub fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let image = self.image();
        image
            .into_iter()
            .map(|(name, (_, content))| (name.to_string(), content.to_vec(u64::MAX)))
            .collect()
    }

    /// A directory of its own with the same files, unlocked and with counts of zero. Cheap: the
    /// bytes are shared until one side writes.
    pub fn fork(&self) -> Self {
        Self::from_image(&self.image())
    }

    /// Puts a file in place, replacing one of that name, as no verb of [`Device`] can: for tests
    /// with damaged and hostile files. Handles opened before keep the old bytes.
    pub fn replace(&self, name: &str, bytes: &[u8]) {
        let inode = self.inode(Content::from_bytes(bytes));
        self.names().insert(name.into(), inode);
    }

    /// Overwrites bytes of a file in place, below the feet of open handles: rot, for tests.
    /// Returns whether there is such a file.
    pub fn patch(&self, name: &str, offset: u64, bytes: &[u8]) -> bool {
        self.damage(name, |content| content.write(offset, bytes))
    }

    /// Cuts a file to `len` bytes below the feet of open handles: damage, for tests. Returns
    /// whether there is such a file.
    pub fn cut(&self, name: &str, len: u64) -> bool {
        self.damage(name, |content| content.cut(len))
    }

    fn damage(&self, name: &str, how: impl FnOnce(&mut Content)) -> bool {
        let inode = self.names().get(name).map(Arc::clone);
        let found = inode.is_some();
        if let Some(inode) = inode {
            how(&mut inode.content());
        }
        found
    }

    pub(super) fn from_image(image: &Image) -> Self {
        let mut next_id = 0;
        let mut names = BTreeMap::new();
        for (name, (id, content)) in image {
            next_id = next_id.max(id + 1);
            let inode = Inode { id: *id, content: Mutex::new(content.clone()) };
            names.insert(Arc::clone(name), Arc::new(inode));
        }
        let shared = Shared {
            names: Mutex::new(names),
            next_id: AtomicU64::new(next_id),
            ..Shared::default()
        };
        Self { shared: Arc::new(shared) }
    }

    pub(super) fn image(&self) -> Image {
        let names = self.names();
        let entries = names.iter();
        entries
            .map(|(name, inode)| (Arc::clone(name), (inode.id, inode.content().clone())))
            .collect()
    }

    /// The number of the file that has this name.
    #[cfg(any(test, feature = "simulation"))]
    pub(super) fn file_id(&self, name: &str) -> Option<FileId> {
        self.names().get(name).map(|inode| inode.id)
    }

    pub(super) fn open_file(&self, name: &str, writable: bool) -> io::Result<MemoryFile> {
        check_name(name)?;
        let inode = self.names().get(name).map(Arc::clone).ok_or(io::ErrorKind::NotFound)?;
        Ok(self.handle(name, inode, writable))
    }

    pub(super) fn create_file(&self, name: &str) -> io::Result<MemoryFile> {
        check_name(name)?;
        let inode = {
            let mut names = self.names();
            if names.contains_key(name) {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            let inode = self.inode(Content::default());
            names.insert(name.into(), Arc::clone(&inode));
            inode
        };
        Ok(self.handle(name, inode, true))
    }

    fn handle(&self, name: &str, inode: Arc<Inode>, writable: bool) -> MemoryFile {
        MemoryFile { inode, cells: self.shared.counters.opened(name), writable }
    }

    fn inode(&self, content: Content) -> Arc<Inode> {
        let id = self.shared.next_id.fetch_add(1, Ordering::Relaxed);
        Arc::new(Inode { id, content: Mutex::new(content) })
    }

    fn names(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, Arc<Inode>>> {
        lock(&self.shared.names)
    }
}

impl std::fmt::Debug for MemoryDevice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MemoryDevice({} files)", self.names().len())
    }
}

impl Device for MemoryDevice {
    fn describe(&self) -> String {
        "memory".into()
    }

    fn list(&self) -> io::Result<Vec<Entry>> {
        let state = lock(&self.shared.lock);
        let lock = state.owner.as_ref().map(|owner| (LOCK_NAME.to_owned(), owner.len() as u64));
        let names = self.names();
        let files = names.iter().map(|(name, inode)| (name.to_string(), inode.content().len()));
        Ok(files.chain(lock).map(|(name, len)| Entry { name, regular: true, len }).collect())
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn DeviceFile>> {
        Ok(Arc::new(self.open_file(name, false)?))
    }

    fn open_writable(&self, name: &str) -> io::Result<Arc<dyn DeviceFile>> {
        Ok(Arc::new(self.open_file(name, true)?))
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn DeviceFile>> {
        Ok(Arc::new(self.create_file(name)?))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        check_name(from)?;
        check_name(to)?;
        let mut names = self.names();
        if !names.contains_key(from) {
            return Err(io::ErrorKind::NotFound.into());
        }
        if names.contains_key(to) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        if let Some(inode) = names.remove(from) {
            names.insert(to.into(), inode);
        }
        Ok(())
    }

    fn unlink(&self, name: &str) -> io::Result<()> {
        check_name(name)?;
        self.names().remove(name).map(drop).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn sync_directory(&self) -> io::Result<()> {
        Ok(())
    }

    fn lock(&self, owner: &str) -> Result<Box<dyn LockGuard>, LockError> {
        let mut state = lock(&self.shared.lock);
        if state.held {
            let holder = state.owner.clone().filter(|owner| !owner.is_empty());
            return Err(LockError::Held { holder: holder.unwrap_or_else(|| "unknown".into()) });
        }
        *state = LockState { owner: Some(owner.to_owned()), held: true };
        Ok(Box::new(MemoryLock { state: Arc::clone(&self.shared.lock) }))
    }

    fn now_unix_us(&self) -> i64 {
        unix_us()
    }

    // The keys of the standard hasher: enough to tell ids apart, and no system call of our own.
    fn random(&self) -> io::Result<[u8; 16]> {
        let half = || RandomState::new().hash_one("presence").to_le_bytes();
        let mut bytes = [0; 16];
        bytes.iter_mut().zip(half().into_iter().chain(half())).for_each(|(to, from)| *to = from);
        Ok(bytes)
    }
}

/// An open file of a [`MemoryDevice`].
pub(super) struct MemoryFile {
    inode: Arc<Inode>,
    cells: Arc<Cells>,
    writable: bool,
}

impl MemoryFile {
    #[cfg(any(test, feature = "simulation"))]
    pub(super) fn id(&self) -> FileId {
        self.inode.id
    }

    fn check_writable(&self) -> io::Result<()> {
        match self.writable {
            true => Ok(()),
            false => Err(io::ErrorKind::PermissionDenied.into()),
        }
    }
}

impl std::fmt::Debug for MemoryFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MemoryFile(id {})", self.inode.id)
    }
}

impl DeviceFile for MemoryFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.inode.content().len())
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let count = self.inode.content().read(offset, buf);
        self.cells.read(count);
        Ok(count)
    }

    fn write_at(&self, parts: &[&[u8]], offset: u64) -> io::Result<()> {
        self.check_writable()?;
        let len = parts.iter().map(|part| part.len()).sum();
        Content::check_end(offset, len as u64)?;
        let mut content = self.inode.content();
        let mut at = offset;
        for part in parts {
            content.write(at, part);
            at += part.len() as u64;
        }
        self.cells.write(len);
        Ok(())
    }

    fn reserve(&self, len: u64) -> io::Result<()> {
        self.check_writable()?;
        Content::check_end(0, len)?;
        self.inode.content().grow(len);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        self.cells.sync();
        Ok(())
    }

    fn map(&self, len: usize) -> io::Result<Mapping> {
        let buf = self.inode.content().copy(len)?;
        self.cells.map(len);
        Ok(Mapping::copied(buf))
    }
}

struct MemoryLock {
    state: Arc<Mutex<LockState>>,
}

impl LockGuard for MemoryLock {}

impl std::fmt::Debug for MemoryLock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MemoryLock")
    }
}

impl Drop for MemoryLock {
    fn drop(&mut self) {
        lock(&self.state).held = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::conformance;

    #[test]
    fn keeps_the_contract() {
        conformance::run(|| ((), MemoryDevice::new()));
    }

    #[test]
    fn a_clone_is_the_same_directory_and_a_fork_is_not() {
        let device = MemoryDevice::new();
        let file = device.create("a").unwrap();
        let fork = device.fork();
        file.write_at(&[b"late"], 0).unwrap();
        assert_eq!(device.clone().files()["a"], b"late");
        assert_eq!(fork.files()["a"], b"");
    }

    #[test]
    fn damage_is_seen_through_open_handles() {
        let device = MemoryDevice::with_files([("a", b"0123".as_slice())]);
        let file = device.open("a").unwrap();
        assert!(device.patch("a", 1, b"x"));
        assert!(device.cut("a", 3));
        assert!(!device.cut("b", 3));
        let mut buf = [0; 8];
        assert_eq!(file.read_at(&mut buf, 0).unwrap(), 3);
        assert_eq!(&buf[..3], b"0x2");
        device.replace("a", b"new");
        assert_eq!(file.len().unwrap(), 3);
        assert_eq!(device.files()["a"], b"new");
    }

    #[test]
    fn counts_per_name() {
        let device = MemoryDevice::with_files([("a", [7; 100].as_slice()), ("b", b"")]);
        let file = device.open("a").unwrap();
        let mut buf = [0; 60];
        file.read_at(&mut buf, 0).unwrap();
        file.read_at(&mut buf, 60).unwrap();
        file.map(10).unwrap();
        let counts = device.counters().file("a");
        assert_eq!((counts.opens, counts.reads, counts.bytes_read), (1, 2, 100));
        assert_eq!((counts.maps, counts.bytes_mapped), (1, 10));
        assert_eq!(device.counters().file("b").opens, 0);
        assert_eq!(device.counters().total(), counts);
        device.counters().reset();
        assert_eq!(device.counters().total().reads, 0);
    }
}
