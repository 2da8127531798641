//! A directory of the file system.
//!
//! # Invariants
//! - Names are looked up in the open directory, never by path: nothing outside it is opened or
//!   written, whatever the directory holds and wherever it is moved.
//! - Only regular files are opened. Symbolic links are not followed; pipes do not block.
//! - A file opened for writing has this one name: what a hard link shares is not written to.
//! - Interrupted calls and short counts are completed. Any other error is passed on as it came; a
//!   failed `sync` is never tried again.
//! - Space is real: a file grows by `fallocate` or by written zeros, never by its length alone.

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, Dir, FallocateFlags, FileType, Mode, OFlags, RenameFlags, ResolveFlags, Stat,
};
use rustix::io::Errno;

use super::map::map_file;
use super::real_lock::RealLock;
use super::{Device, DeviceFile, Entry, LockError, LockGuard, Mapping, check_name, unix_us};
use crate::shim::Arc;

const FILE_MODE: Mode = Mode::RUSR.union(Mode::WUSR);

/// How many parts go into one system call: on the stack, and far below the system's limit.
const PARTS_PER_CALL: usize = 64;

/// A directory of the file system, held open.
#[derive(Debug)]
pub struct RealDevice {
    pub(super) path: PathBuf,
    pub(super) directory: OwnedFd,
}

impl RealDevice {
    /// Opens a directory, making it (mode 0700, its name durable) where it is missing. The folder
    /// it goes into must exist.
    pub fn create(path: impl AsRef<Path>) -> io::Result<Self> {
        let path = path.as_ref();
        let made = match rustix::fs::mkdir(path, Mode::RWXU) {
            Ok(()) => true,
            Err(Errno::EXIST) => false,
            Err(error) => return Err(error.into()),
        };
        let device = Self::open(path)?;
        // A directory found may have been made just before a crash: its name is synced all the
        // same, but then a parent that cannot be opened or synced is not our affair.
        match device.sync_parent() {
            Err(error) if made => Err(error),
            _ => Ok(device),
        }
    }

    /// Opens a directory that exists.
    pub fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        let path = path.as_ref().to_path_buf();
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = rustix::fs::open(&path, flags, Mode::empty())?;
        Ok(Self { path, directory })
    }

    /// The path by which the directory was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the directory lies on a file system that other machines or programs stand behind
    /// (NFS, SMB, 9p, FUSE and their like), where locks and syncs promise less.
    pub fn is_network_fs(&self) -> io::Result<bool> {
        // The type of the field differs between machines; the magic numbers have 32 bits.
        let magic = rustix::fs::fstatfs(&self.directory)?.f_type as u32;
        Ok(NETWORK_FS_MAGICS.contains(&magic))
    }

    fn sync_parent(&self) -> io::Result<()> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let parent = rustix::fs::openat(&self.directory, "..", flags, Mode::empty())?;
        Ok(rustix::fs::fsync(parent)?)
    }

    fn open_file(&self, name: &str, flags: OFlags) -> io::Result<RealFile> {
        check_name(name)?;
        let (file, stat) = open_regular(&self.directory, name, flags)?;
        if flags.contains(OFlags::RDWR) && stat.st_nlink != 1 {
            return Err(refused(name, "has other names (hard links) and is not written to"));
        }
        Ok(RealFile { file })
    }
}

/// Statfs magic numbers: NFS, SMB (three), 9p, FUSE (virtiofs too), Ceph, AFS (two), Coda, Lustre,
/// GPFS, OCFS2, VirtualBox and VMware shares.
const NETWORK_FS_MAGICS: [u32; 15] = [
    0x6969,
    0x517b,
    0xff53_4d42,
    0xfe53_4d42,
    0x0102_1997,
    0x6573_5546,
    0x00c3_6400,
    0x5346_414f,
    0x6b41_4653,
    0x7375_7245,
    0x0bd0_0bd0,
    0x4750_4653,
    0x7461_636f,
    0x786f_4256,
    0xbacb_acbc,
];

fn refused(name: &str, why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{name:?} {why}"))
}

/// Opens `name` in `directory`, refusing all but regular files.
pub(super) fn open_regular(
    directory: &OwnedFd,
    name: &str,
    flags: OFlags,
) -> io::Result<(OwnedFd, Stat)> {
    // Without NONBLOCK the open of a pipe would wait for its other end; files do not care.
    let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    let mode = if flags.contains(OFlags::CREATE) { FILE_MODE } else { Mode::empty() };
    let irregular = || refused(name, "is not a regular file");
    let file = match open_beneath(directory, name, flags, mode) {
        // A link; a directory; a socket or a device without driver, opened for writing.
        Err(Errno::LOOP | Errno::ISDIR | Errno::NXIO | Errno::NODEV) => return Err(irregular()),
        result => result?,
    };
    let stat = rustix::fs::fstat(&file)?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Ok((file, stat)),
        _ => Err(irregular()),
    }
}

fn open_beneath(
    directory: &OwnedFd,
    name: &str,
    flags: OFlags,
    mode: Mode,
) -> Result<OwnedFd, Errno> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    loop {
        let file = match rustix::fs::openat2(directory, name, flags, mode, resolve) {
            // Older kernels do not know the call and some sandboxes forbid it. A name without
            // slashes has no parts to leave the directory by, so NOFOLLOW says the same.
            Err(Errno::NOSYS | Errno::PERM | Errno::INVAL | Errno::TOOBIG) => {
                rustix::fs::openat(directory, name, flags, mode)
            }
            result => result,
        };
        match file {
            Err(Errno::INTR | Errno::AGAIN) => {}
            result => return result,
        }
    }
}

impl Device for RealDevice {
    fn describe(&self) -> String {
        self.path.display().to_string()
    }

    fn list(&self) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for entry in Dir::read_from(&self.directory)? {
            let entry = entry?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            let stat = match rustix::fs::statat(&self.directory, name, AtFlags::SYMLINK_NOFOLLOW) {
                // Removed since the directory was read.
                Err(Errno::NOENT) => continue,
                result => result?,
            };
            let regular = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
            entries.push(Entry {
                name: name.to_string_lossy().into_owned(),
                regular,
                len: if regular { size(&stat) } else { 0 },
            });
        }
        Ok(entries)
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn DeviceFile>> {
        Ok(Arc::new(self.open_file(name, OFlags::RDONLY)?))
    }

    fn open_writable(&self, name: &str) -> io::Result<Arc<dyn DeviceFile>> {
        Ok(Arc::new(self.open_file(name, OFlags::RDWR)?))
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn DeviceFile>> {
        Ok(Arc::new(self.open_file(name, OFlags::RDWR | OFlags::CREATE | OFlags::EXCL)?))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        check_name(from)?;
        check_name(to)?;
        let directory = &self.directory;
        match rustix::fs::renameat_with(directory, from, directory, to, RenameFlags::NOREPLACE) {
            // The file system cannot promise it: look first. Between the look and the rename only
            // a writer could make `to`, and the one writer is the caller.
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
                match rustix::fs::statat(directory, to, AtFlags::SYMLINK_NOFOLLOW) {
                    Err(Errno::NOENT) => {}
                    Ok(_) => return Err(Errno::EXIST.into()),
                    Err(error) => return Err(error.into()),
                }
                Ok(rustix::fs::renameat(directory, from, directory, to)?)
            }
            result => Ok(result?),
        }
    }

    fn unlink(&self, name: &str) -> io::Result<()> {
        check_name(name)?;
        Ok(rustix::fs::unlinkat(&self.directory, name, AtFlags::empty())?)
    }

    fn sync_directory(&self) -> io::Result<()> {
        Ok(rustix::fs::fsync(&self.directory)?)
    }

    fn lock(&self, owner: &str) -> Result<Box<dyn LockGuard>, LockError> {
        Ok(Box::new(RealLock::take(&self.directory, owner)?))
    }

    fn now_unix_us(&self) -> i64 {
        unix_us()
    }

    fn random(&self) -> io::Result<[u8; 16]> {
        let mut bytes = [0; 16];
        let mut filled = 0;
        while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            filled += again(|| {
                rustix::rand::getrandom(&mut *rest, rustix::rand::GetRandomFlags::empty())
            })?;
        }
        Ok(bytes)
    }
}

fn size(stat: &Stat) -> u64 {
    u64::try_from(stat.st_size).unwrap_or(0)
}

/// Repeats a call for as long as signals interrupt it.
fn again<T>(mut call: impl FnMut() -> Result<T, Errno>) -> Result<T, Errno> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            result => return result,
        }
    }
}

/// An open regular file.
#[derive(Debug)]
struct RealFile {
    file: OwnedFd,
}

impl RealFile {
    /// Grows the file where `fallocate` cannot: by zeros that are really written. Like every write
    /// it is the one writer's, who does not write beyond the length at the same time.
    fn write_zeros(&self, from: u64, to: u64) -> io::Result<()> {
        static ZEROS: [u8; 64 << 10] = [0; 64 << 10];
        let mut at = from;
        while at < to {
            let count = (to - at).min(ZEROS.len() as u64);
            self.write_at(&[ZEROS.get(..count as usize).unwrap_or_default()], at)?;
            at += count;
        }
        Ok(())
    }
}

impl DeviceFile for RealFile {
    fn len(&self) -> io::Result<u64> {
        Ok(size(&rustix::fs::fstat(&self.file)?))
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut filled = 0;
        while let Some(rest) = buf.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            let at = offset.saturating_add(filled as u64);
            match again(|| rustix::io::pread(&self.file, &mut *rest, at))? {
                0 => break,
                count => filled += count,
            }
        }
        Ok(filled)
    }

    fn write_at(&self, parts: &[&[u8]], offset: u64) -> io::Result<()> {
        let mut at = offset;
        let mut parts = parts.iter().copied();
        // What is left of the part a short count ended in.
        let mut begun: &[u8] = &[];
        loop {
            let mut slices = [IoSlice::new(&[]); PARTS_PER_CALL];
            let ahead = std::iter::once(begun).chain(parts.clone());
            let mut used = 0;
            for (slice, part) in slices.iter_mut().zip(ahead.filter(|part| !part.is_empty())) {
                *slice = IoSlice::new(part);
                used += 1;
            }
            let Some(slices) = slices.get(..used).filter(|slices| !slices.is_empty()) else {
                return Ok(());
            };
            let written = match again(|| rustix::io::pwritev(&self.file, slices, at))? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                written => written,
            };
            at = at.checked_add(written as u64).ok_or(io::ErrorKind::FileTooLarge)?;
            let mut left = written;
            while let Some(rest) = left.checked_sub(begun.len()) {
                left = rest;
                match parts.next() {
                    Some(part) => begun = part,
                    None => return Ok(()),
                }
            }
            begun = begun.get(left..).unwrap_or_default();
        }
    }

    fn reserve(&self, len: u64) -> io::Result<()> {
        let now = self.len()?;
        if len <= now {
            return Ok(());
        }
        match again(|| rustix::fs::fallocate(&self.file, FallocateFlags::empty(), 0, len)) {
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => self.write_zeros(now, len),
            result => Ok(result?),
        }
    }

    fn sync(&self) -> io::Result<()> {
        Ok(rustix::fs::fdatasync(&self.file)?)
    }

    fn map(&self, len: usize) -> io::Result<Mapping> {
        map_file(&self.file, len)
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        Some(self.file.as_fd())
    }
}

#[cfg(test)]
#[cfg(not(miri))]
mod tests {
    use std::io::ErrorKind;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;
    use crate::device::conformance;

    fn fresh() -> (tempfile::TempDir, RealDevice) {
        let dir = tempfile::tempdir().unwrap();
        let device = RealDevice::create(dir.path().join("db")).unwrap();
        (dir, device)
    }

    fn mode(path: &Path) -> u32 {
        path.metadata().unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn keeps_the_contract() {
        conformance::run(fresh);
    }

    #[test]
    fn directories_and_files_are_private() {
        let (_dir, device) = fresh();
        device.create("a").unwrap();
        let guard = device.lock("me").unwrap();
        assert_eq!(mode(device.path()), 0o700);
        assert_eq!(mode(&device.path().join("a")), 0o600);
        assert_eq!(mode(&device.path().join("LOCK")), 0o600);
        drop(guard);
        assert!(device.path().join("LOCK").exists());
    }

    #[test]
    fn a_directory_is_made_once_and_must_be_one() {
        let (dir, device) = fresh();
        device.create("a").unwrap();
        assert_eq!(RealDevice::create(device.path()).unwrap().list().unwrap().len(), 1);
        let missing = RealDevice::open(dir.path().join("none")).unwrap_err();
        assert_eq!(missing.kind(), ErrorKind::NotFound);
        let file = device.path().join("a");
        assert_eq!(RealDevice::open(&file).unwrap_err().kind(), ErrorKind::NotADirectory);
        assert_eq!(RealDevice::create(&file).unwrap_err().kind(), ErrorKind::NotADirectory);
        assert!(RealDevice::create(dir.path().join("no/such")).is_err());
    }

    #[test]
    fn only_regular_files_are_opened() {
        let (dir, device) = fresh();
        let outside = dir.path().join("outside");
        std::fs::write(&outside, "secret").unwrap();
        symlink(&outside, device.path().join("link")).unwrap();
        symlink("nowhere", device.path().join("dangling")).unwrap();
        std::fs::create_dir(device.path().join("folder")).unwrap();
        let name = |name| device.path().join(name);
        rustix::fs::mkfifoat(rustix::fs::CWD, name("pipe"), FILE_MODE).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(name("socket")).unwrap();

        for name in ["link", "dangling", "folder", "pipe", "socket"] {
            assert_eq!(device.open(name).unwrap_err().kind(), ErrorKind::InvalidData, "{name}");
            let error = device.open_writable(name).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidData, "{name}");
            assert_eq!(device.create(name).unwrap_err().kind(), ErrorKind::AlreadyExists);
        }
        assert!(!dir.path().join("nowhere").exists());
        let entries = device.list().unwrap();
        assert_eq!(entries.len(), 5);
        assert!(entries.iter().all(|entry| !entry.regular && entry.len == 0));
    }

    #[test]
    fn what_a_hard_link_shares_is_read_and_not_written() {
        let (dir, device) = fresh();
        let outside = dir.path().join("outside");
        std::fs::write(&outside, "theirs").unwrap();
        for name in ["a", "LOCK"] {
            std::fs::hard_link(&outside, device.path().join(name)).unwrap();
        }
        assert_eq!(device.open("a").unwrap().len().unwrap(), 6);
        assert_eq!(device.open_writable("a").unwrap_err().kind(), ErrorKind::InvalidData);
        assert!(matches!(device.lock("me").unwrap_err(), LockError::Io(_)));
        assert_eq!(std::fs::read(&outside).unwrap(), b"theirs");
    }

    #[test]
    fn a_link_in_place_of_the_lock_is_refused() {
        let (dir, device) = fresh();
        let outside = dir.path().join("outside");
        symlink(&outside, device.path().join("LOCK")).unwrap();
        assert!(matches!(device.lock("me").unwrap_err(), LockError::Io(_)));
        assert!(!outside.exists());
    }

    #[test]
    fn the_directory_may_be_moved_while_open() {
        let (dir, device) = fresh();
        std::fs::rename(device.path(), dir.path().join("moved")).unwrap();
        device.create("a").unwrap();
        assert!(dir.path().join("moved/a").exists());
    }

    #[test]
    fn names_that_are_no_utf8_are_listed() {
        use std::os::unix::ffi::OsStrExt;
        let (_dir, device) = fresh();
        let name = std::ffi::OsStr::from_bytes(b"a\xff");
        std::fs::write(device.path().join(name), "1").unwrap();
        assert_eq!(device.list().unwrap()[0].name, "a\u{fffd}");
    }

    #[test]
    fn reserved_space_is_set_aside() {
        use std::os::unix::fs::MetadataExt;
        let (_dir, device) = fresh();
        let file = device.create("a").unwrap();
        file.reserve(1 << 20).unwrap();
        let blocks = device.path().join("a").metadata().unwrap().blocks();
        assert!(blocks * 512 >= 1 << 20, "{blocks} blocks");
    }

    #[test]
    fn zeros_are_written_where_space_cannot_be_set_aside() {
        let (_dir, device) = fresh();
        let file = device.open_file("a", OFlags::RDWR | OFlags::CREATE | OFlags::EXCL).unwrap();
        file.write_at(&[b"abc"], 0).unwrap();
        file.write_zeros(3, 150_000).unwrap();
        assert_eq!(file.len().unwrap(), 150_000);
        let map = file.map(150_000).unwrap();
        assert!(map.starts_with(b"abc\0") && map[3..].iter().all(|byte| *byte == 0));
    }

    #[test]
    fn a_full_medium_is_told() {
        // Always full, and no regular file: opened around the check.
        let Ok(file) = std::fs::OpenOptions::new().write(true).open("/dev/full") else { return };
        let file = RealFile { file: file.into() };
        let error = file.write_at(&[b"x", b"y"], 0).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::StorageFull);
    }

    #[test]
    fn a_local_directory_is_no_network_share() {
        let (_dir, device) = fresh();
        assert!(!device.is_network_fs().unwrap());
        if let Ok(proc) = RealDevice::open("/proc") {
            assert!(!proc.is_network_fs().unwrap());
        }
    }
}
