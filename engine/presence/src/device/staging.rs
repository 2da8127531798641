//! A directory in the making: it gets its name when all of it is there.
//!
//! # Invariants
//! - It is made beside the place it is meant for, under a name that begins with a dot, so that one
//!   rename publishes it; nothing that exists is replaced but an empty directory.
//! - One that is dropped unpublished is removed. What a crash leaves is never touched by another.
//! - Bytes are shared only with files that nobody changes any more: the caller sees to that.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::{Device, DeviceFile, RealDevice, check_name};
use crate::shim::Arc;

/// A directory that has only a temporary name.
#[derive(Debug)]
pub(crate) struct Staging {
    parent: OwnedFd,
    device: Arc<RealDevice>,
    temporary: OsString,
    name: OsString,
    left_over: Vec<String>,
    is_published: bool,
}

/// How a file came to share its bytes with another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shared {
    /// A file of its own, on the same blocks of the medium until one of them is written.
    Clone,
    /// Another name of the same file.
    Link,
}

impl Staging {
    /// Makes a directory that is to become `path`, which does not exist or is an empty directory.
    ///
    /// # Errors
    /// `AlreadyExists` where there is something at `path`, and those of the system.
    pub(crate) fn beside(path: &Path) -> io::Result<Self> {
        let Some(name) = path.file_name() else {
            let what = "the path does not end in a name";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
        };
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        let parent = rustix::fs::open(folder, DIRECTORY, Mode::empty())?;
        check_absent(&parent, name)?;
        let shown: String = name.to_string_lossy().chars().take(NAME_CHARS_SHOWN).collect();
        let prefix = format!(".{shown}.backup-");
        let left_over = names_with(&parent, &prefix)?;
        let random = RealDevice::open(folder)?.random()?;
        let temporary = format!("{prefix}{:032x}", u128::from_le_bytes(random));
        rustix::fs::mkdirat(&parent, &temporary, Mode::RWXU)?;
        let opened = rustix::fs::openat(&parent, &temporary, DIRECTORY, Mode::empty());
        let path: PathBuf = folder.join(&temporary);
        let (temporary, name) = (OsString::from(temporary), name.to_owned());
        let device = Arc::new(RealDevice { path, directory: opened? });
        Ok(Self { parent, device, temporary, name, left_over, is_published: false })
    }

    /// The directory itself.
    pub(crate) fn device(&self) -> &Arc<RealDevice> {
        &self.device
    }

    /// What earlier ones left beside the place when they were interrupted, or are at work on.
    pub(crate) fn left_over(&self) -> &[String] {
        &self.left_over
    }

    /// Makes the directory durable, gives it its name, and makes that durable.
    ///
    /// # Errors
    /// `AlreadyExists` where somebody took the name meanwhile, and those of the system.
    pub(crate) fn publish(mut self) -> io::Result<()> {
        self.device.sync_directory()?;
        // Of directories, a rename replaces empty ones only.
        match rustix::fs::renameat(&self.parent, &self.temporary, &self.parent, &self.name) {
            Err(Errno::EXIST | Errno::NOTEMPTY | Errno::NOTDIR) => return Err(taken()),
            result => result?,
        }
        self.is_published = true;
        Ok(rustix::fs::fsync(&self.parent)?)
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        if self.is_published {
            return;
        }
        // What cannot be removed is told by the next one as left over.
        for entry in self.device.list().unwrap_or_default() {
            let _removed = self.device.unlink(&entry.name);
        }
        let _removed = rustix::fs::unlinkat(&self.parent, &self.temporary, AtFlags::REMOVEDIR);
    }
}

const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// Characters of a name that its temporary one repeats: a name has 255 bytes at most.
const NAME_CHARS_SHOWN: usize = 40;

fn taken() -> io::Error {
    io::Error::new(io::ErrorKind::AlreadyExists, "it exists and is no empty directory")
}

fn check_absent(parent: &OwnedFd, name: &OsStr) -> io::Result<()> {
    let stat = match rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => return Ok(()),
        stat => stat?,
    };
    if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
        return Err(taken());
    }
    let found = rustix::fs::openat(parent, name, DIRECTORY, Mode::empty())?;
    let is_empty = names_with(&found, "")?.is_empty();
    if is_empty { Ok(()) } else { Err(taken()) }
}

/// Names in `directory` that begin with `prefix`.
fn names_with(directory: &OwnedFd, prefix: &str) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy();
        if name.starts_with(prefix) && name != "." && name != ".." {
            names.push(name.into_owned());
        }
    }
    Ok(names)
}

impl RealDevice {
    /// Makes `name` share the bytes of `file`, which nobody changes any more: by a clone where the
    /// file system can, else by a hard link where `may_link`. `None` where neither can be, for
    /// whatever reason: a copy, left to the caller, tells what is in its way.
    pub(crate) fn share(
        &self,
        name: &str,
        file: &dyn DeviceFile,
        may_link: bool,
    ) -> io::Result<Option<Shared>> {
        check_name(name)?;
        let Some(source) = file.descriptor() else { return Ok(None) };
        let made = self.create(name)?;
        if let Some(target) = made.descriptor()
            && rustix::fs::ioctl_ficlone(target, source).is_ok()
        {
            made.sync()?;
            return Ok(Some(Shared::Clone));
        }
        self.unlink(name)?;
        if !may_link {
            return Ok(None);
        }
        // By the open file, not by its name: that may be gone, or another directory's by now.
        let by_descriptor = format!("/proc/self/fd/{}", source.as_raw_fd());
        let follow = AtFlags::SYMLINK_FOLLOW;
        match rustix::fs::linkat(CWD, by_descriptor, &self.directory, name, follow) {
            Ok(()) => Ok(Some(Shared::Link)),
            Err(_) => Ok(None),
        }
    }
}

#[cfg(test)]
#[cfg(not(miri))]
mod tests {
    use super::*;

    fn names(path: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(path).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn it_appears_whole_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out");
        let staging = Staging::beside(&path).unwrap();
        staging.device().create("a").unwrap();
        assert!(!path.exists());
        staging.publish().unwrap();
        assert_eq!(names(dir.path()), ["out"]);
        assert_eq!(names(&path), ["a"]);

        let staging = Staging::beside(&dir.path().join("other")).unwrap();
        staging.device().create("a").unwrap();
        drop(staging);
        assert_eq!(names(dir.path()), ["out"]);
    }

    #[test]
    fn nothing_is_replaced_but_an_empty_directory() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out");
        std::fs::create_dir(&path).unwrap();
        let staging = Staging::beside(&path).unwrap();
        std::fs::write(path.join("mine"), "").unwrap();
        assert_eq!(staging.publish().unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(names(&path), ["mine"]);
        let refused = |path: &Path| Staging::beside(path).unwrap_err().kind();
        assert_eq!(refused(&path), io::ErrorKind::AlreadyExists);
        assert_eq!(refused(&path.join("mine")), io::ErrorKind::AlreadyExists);
        assert_eq!(refused(Path::new("/")), io::ErrorKind::InvalidInput);
        assert_eq!(refused(&dir.path().join("no/where")), io::ErrorKind::NotFound);
        std::fs::remove_file(path.join("mine")).unwrap();
        Staging::beside(&path).unwrap().publish().unwrap();
    }

    #[test]
    fn what_was_left_over_is_told_and_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out");
        std::mem::forget(Staging::beside(&path).unwrap());
        let staging = Staging::beside(&path).unwrap();
        assert_eq!(staging.left_over().len(), 1);
        let left_over = dir.path().join(&staging.left_over()[0]);
        drop(staging);
        assert!(left_over.is_dir());
    }

    #[test]
    fn bytes_are_shared_also_of_files_without_a_name() {
        let dir = tempfile::tempdir().unwrap();
        let source = RealDevice::create(dir.path().join("db")).unwrap();
        let file = source.create("a").unwrap();
        file.write_at(&[b"abc"], 0).unwrap();
        let target = RealDevice::create(dir.path().join("out")).unwrap();
        let shared = target.share("b", &*file, true).unwrap();
        assert_eq!(target.open("b").is_ok(), shared.is_some());
        source.unlink("a").unwrap();
        assert_eq!(file.len().unwrap(), 3);
        assert_ne!(target.share("d", &*file, false).unwrap(), Some(Shared::Link));
        if shared.is_some() {
            target.unlink("b").unwrap();
        }
        // The last name is gone: it cannot be linked any more, at most cloned.
        assert_ne!(target.share("c", &*file, true).unwrap(), Some(Shared::Link));
    }
}
