//! A file written at once, outside any database.
//!
//! # Invariants
//! - Its name stands for all of the old bytes or all of the new ones, whenever a crash comes: what
//!   is new is durable before it gets the name.

use std::io;
use std::path::Path;

use rustix::fs::{AtFlags, Mode, OFlags};

use super::{Device, RealDevice};

impl RealDevice {
    /// Makes `bytes` the content of the file at `path`, in the place of what was there.
    ///
    /// # Errors
    /// `InvalidInput` where the path does not end in a name, and those of the system.
    pub fn replace_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
        let Some(name) = path.file_name() else {
            let what = "the path does not end in a name";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
        };
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = Self::open(folder.unwrap_or(Path::new(".")))?;
        let temporary = format!(".tmp-{:032x}", u128::from_le_bytes(folder.random()?));
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        // As programs make files: the user's mask takes away what it should.
        let mode = Mode::from_raw_mode(0o666);
        let file = rustix::fs::openat(&folder.directory, &temporary, flags, mode)?;
        let written =
            write_all(&file, bytes).and_then(|()| Ok(rustix::fs::fsync(&file)?)).and_then(|()| {
                let directory = &folder.directory;
                Ok(rustix::fs::renameat(directory, &temporary, directory, name)?)
            });
        if written.is_err() {
            let _removed = rustix::fs::unlinkat(&folder.directory, &temporary, AtFlags::empty());
        }
        written?;
        folder.sync_directory()
    }
}

fn write_all(file: &std::os::fd::OwnedFd, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let written = rustix::io::retry_on_intr(|| rustix::io::write(file, bytes))?;
        bytes = bytes.get(written..).unwrap_or_default();
    }
    Ok(())
}

#[cfg(test)]
#[cfg(not(any(loom, miri)))]
mod tests {
    use super::*;

    #[test]
    fn the_old_file_stays_until_the_new_one_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tracker");
        for bytes in [&b"one"[..], &[7; 100_000], b""] {
            RealDevice::replace_file(&path, bytes).unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), bytes);
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "left-overs");
        assert!(RealDevice::replace_file(&folder.path().join("no/where"), b"x").is_err());
        let directory = folder.path().join("directory");
        std::fs::create_dir(&directory).unwrap();
        assert!(RealDevice::replace_file(&directory, b"x").is_err());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2, "left-overs");
    }
}
