//! The writer's lock on a directory: the file `LOCK`, locked as long as the guard lives.
//!
//! # Invariants
//! - The file is never deleted: a second writer must find the one that the first has locked.
//! - The lock belongs to the open file, not to a process id, so it ends with the process, however
//!   that ends, and a stale one cannot stay behind.
//! - Within the process a directory is also registered by device and inode, so that a second lock
//!   is refused on file systems, too, that give locks to whole processes.
//! - What the file says about its holder is for people to read; nothing is decided by it.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::{FlockOperation, OFlags};
use rustix::io::Errno;

use super::real::open_regular;
use super::{LOCK_NAME, LockError, LockGuard};
use crate::shim::{Mutex, OnceLock, lock};

const HOLDER_BYTES_MAX: usize = 1024;

/// Directories locked by this process, as device and inode.
static HELD: OnceLock<Mutex<BTreeSet<(u64, u64)>>> = OnceLock::new();

/// A place in the register of this process, given back when dropped.
#[derive(Debug)]
struct Registered((u64, u64));

impl Registered {
    fn take(directory: &OwnedFd) -> io::Result<Option<Self>> {
        let stat = rustix::fs::fstat(directory)?;
        let key = (stat.st_dev as u64, stat.st_ino as u64);
        let inserted = lock(HELD.get_or_init(Mutex::default)).insert(key);
        // Made only when inserted: dropping it takes the key out again.
        Ok(inserted.then(|| Self(key)))
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        lock(HELD.get_or_init(Mutex::default)).remove(&self.0);
    }
}

/// The lock, held. The fields are dropped in this order: first the file's lock, then the register.
#[derive(Debug)]
pub(super) struct RealLock {
    file: OwnedFd,
    _registered: Registered,
    process: u32,
}

impl LockGuard for RealLock {}

impl Drop for RealLock {
    fn drop(&mut self) {
        // Closing alone would not do: a child between fork and exec holds the file open too. In
        // such a child the lock is still the parent's.
        if self.process == std::process::id() {
            let _unlocked = rustix::fs::flock(&self.file, FlockOperation::Unlock);
        }
    }
}

impl RealLock {
    pub(super) fn take(directory: &OwnedFd, owner: &str) -> Result<Self, LockError> {
        let Some(registered) = Registered::take(directory)? else {
            return Err(LockError::Held { holder: holder(directory) });
        };
        let (file, stat) = open_regular(directory, LOCK_NAME, OFlags::RDWR | OFlags::CREATE)?;
        if stat.st_nlink != 1 {
            let message = "the lock file has other names (hard links) and is not written to";
            return Err(io::Error::new(io::ErrorKind::InvalidData, message).into());
        }
        loop {
            match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => break,
                Err(Errno::INTR) => {}
                Err(Errno::WOULDBLOCK) => {
                    return Err(LockError::Held { holder: holder(directory) });
                }
                Err(error) => return Err(io::Error::from(error).into()),
            }
        }
        match write_owner(&file, owner) {
            // The lock is taken all the same: on a full disk old data must remain deletable.
            Ok(()) | Err(Errno::NOSPC | Errno::DQUOT) => {}
            Err(error) => return Err(io::Error::from(error).into()),
        }
        Ok(Self { file, _registered: registered, process: std::process::id() })
    }
}

/// Leaves `owner` in the file. It is no published data: it may be cut and written over.
fn write_owner(file: &OwnedFd, owner: &str) -> Result<(), Errno> {
    rustix::fs::ftruncate(file, 0)?;
    let mut rest = owner.as_bytes();
    let mut at = 0;
    while !rest.is_empty() {
        match rustix::io::pwrite(file, rest, at) {
            Ok(0) => return Err(Errno::IO),
            Ok(count) => {
                rest = rest.get(count..).unwrap_or_default();
                at += count as u64;
            }
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// What the holder left, fit for a terminal; "unknown" where nothing can be read.
fn holder(directory: &OwnedFd) -> String {
    let mut bytes = [0; HOLDER_BYTES_MAX];
    let count = open_regular(directory, LOCK_NAME, OFlags::RDONLY)
        .ok()
        .and_then(|(file, _)| rustix::io::pread(file, &mut bytes, 0).ok());
    let text = String::from_utf8_lossy(bytes.get(..count.unwrap_or(0)).unwrap_or_default());
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    match text.trim() {
        "" => "unknown".into(),
        text => text.into(),
    }
}

#[cfg(test)]
#[cfg(not(miri))]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;
    use crate::device::{Device, RealDevice};

    /// Set for the process that a test starts to take the lock.
    const CHILD_DIRECTORY: &str = "PRESENCE_TEST_LOCK_DIRECTORY";

    fn refusal(device: &RealDevice) -> String {
        match device.lock("another").unwrap_err() {
            LockError::Held { holder } => holder,
            LockError::Io(error) => panic!("{error}"),
        }
    }

    #[test]
    fn another_handle_of_the_process_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let one = RealDevice::open(dir.path()).unwrap();
        let two = RealDevice::open(dir.path().join(".")).unwrap();
        let guard = one.lock("first holder").unwrap();
        assert_eq!(refusal(&two), "first holder");
        // The register refuses by itself, without the file.
        std::fs::remove_file(dir.path().join(LOCK_NAME)).unwrap();
        assert_eq!(refusal(&two), "unknown");
        drop(guard);
        drop(two.lock("second").unwrap());
        assert_eq!(std::fs::read(dir.path().join(LOCK_NAME)).unwrap(), b"second");
    }

    #[test]
    fn a_refused_or_failed_lock_leaves_no_trace() {
        let dir = tempfile::tempdir().unwrap();
        let device = RealDevice::open(dir.path()).unwrap();
        std::fs::create_dir(dir.path().join(LOCK_NAME)).unwrap();
        assert!(matches!(device.lock("me").unwrap_err(), LockError::Io(_)));
        std::fs::remove_dir(dir.path().join(LOCK_NAME)).unwrap();
        device.lock("me").unwrap();
    }

    #[test]
    fn what_the_holder_left_is_fit_for_a_terminal() {
        let dir = tempfile::tempdir().unwrap();
        let device = RealDevice::open(dir.path()).unwrap();
        let long = "x".repeat(10_000);
        let _guard = device.lock(&format!("\x1b[31mred\n{long}")).unwrap();
        let holder = refusal(&device);
        assert!(holder.starts_with("[31mred x") && holder.len() <= HOLDER_BYTES_MAX, "{holder}");
    }

    #[test]
    fn another_process_is_refused_until_the_first_is_gone() {
        if let Ok(directory) = std::env::var(CHILD_DIRECTORY) {
            let _guard = RealDevice::open(directory).unwrap().lock("the child").unwrap();
            // Until the parent closes its end, or kills.
            std::io::stdin().read_line(&mut String::new()).unwrap();
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let device = RealDevice::open(dir.path()).unwrap();
        let name = concat!(module_path!(), "::another_process_is_refused_until_the_first_is_gone");
        let (_crate, name) = name.split_once("::").unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([name, "--exact", "--nocapture"])
            .env(CHILD_DIRECTORY, dir.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        while std::fs::read(dir.path().join(LOCK_NAME)).unwrap_or_default() != b"the child" {
            assert!(child.try_wait().unwrap().is_none(), "the child ended early");
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        assert_eq!(refusal(&device), "the child");
        child.kill().unwrap();
        child.wait().unwrap();
        device.lock("the parent").unwrap();
    }
}
