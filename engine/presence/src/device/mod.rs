//! The storage device: the one door to files, clocks and randomness.
//!
//! A [`Device`] is one directory. The engine, recovery and the tools reach a medium through it
//! alone, so a simulated device sees, reorders, tears and refuses everything that a real one could.
//!
//! # Invariants
//! - `std::fs` and system calls on files occur in this folder only.
//! - No verb overwrites or shortens published bytes: there is no truncate, and [`Device::rename`]
//!   never replaces a file.
//! - [`DeviceFile::write_at`] is all or an error; after an error the content of the range written
//!   to, and of it alone, is unknown.

pub(crate) mod aligned;
#[cfg(test)]
mod conformance;
mod content;
mod counters;
#[cfg(any(test, feature = "simulation"))]
mod crash;
#[cfg(any(test, feature = "simulation"))]
mod disk;
#[cfg(any(test, feature = "simulation"))]
mod fault;
mod map;
mod memory;
mod real;
mod real_lock;
#[cfg(any(test, feature = "simulation"))]
mod sim;
mod single;
mod staging;
mod whole_file;

use std::fmt::Debug;
use std::io;
use std::ops::{Deref, Range};
use std::os::fd::BorrowedFd;

use crate::shim::Arc;

pub use aligned::{ALIGNMENT, AlignedBuf};
pub use counters::{Counters, Counts};
#[cfg(any(test, feature = "simulation"))]
pub use crash::{CrashPoint, CrashPoints, CrashPolicy, CrashState, Survivors};
#[cfg(any(test, feature = "simulation"))]
pub use fault::{Fault, FaultDevice, FaultPlan, SyncGate, Target, Verb};
pub use memory::MemoryDevice;
pub use real::RealDevice;
#[cfg(any(test, feature = "simulation"))]
pub use sim::SimDevice;
pub use single::SingleSegment;
pub(crate) use staging::{Shared, Staging};

/// The name under which a directory keeps the writer's lock. No verb on files takes it.
pub const LOCK_NAME: &str = "LOCK";

/// One directory on a medium.
pub trait Device: Debug + Send + Sync {
    /// The directory in words, for messages: its path, or what stands in for one.
    fn describe(&self) -> String;

    /// Every entry of the directory, in no order.
    fn list(&self) -> io::Result<Vec<Entry>>;

    /// Opens a regular file for reading only; a symbolic link, directory or device is refused.
    fn open(&self, name: &str) -> io::Result<Arc<dyn DeviceFile>>;

    /// Opens a regular file for reading and writing; refused as in [`Device::open`].
    fn open_writable(&self, name: &str) -> io::Result<Arc<dyn DeviceFile>>;

    /// Creates a file that does not exist, for reading and writing.
    fn create(&self, name: &str) -> io::Result<Arc<dyn DeviceFile>>;

    /// Gives a file another name. Fails with `AlreadyExists` where `to` exists.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a name. Open handles and maps of the file stay readable.
    fn unlink(&self, name: &str) -> io::Result<()>;

    /// Makes names durable: those created, given and removed before the call survive power loss.
    fn sync_directory(&self) -> io::Result<()>;

    /// Takes the writer's lock and leaves `owner` in it for others to read. The lock ends with the
    /// returned guard, or with the process.
    ///
    /// # Errors
    /// [`LockError::Held`] with what the holder left, where another handle or process has it.
    fn lock(&self, owner: &str) -> Result<Box<dyn LockGuard>, LockError>;

    /// Microseconds since 1970 by the wall clock.
    fn now_unix_us(&self) -> i64;

    /// Sixteen random bytes.
    fn random(&self) -> io::Result<[u8; 16]>;
}

/// One file on a device. All calls take `&self`: offsets are explicit, nothing has a position.
pub trait DeviceFile: Debug + Send + Sync {
    /// The file's length in bytes.
    fn len(&self) -> io::Result<u64>;

    /// Whether the file holds no byte.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Reads up to `buf.len()` bytes; fewer only at the end of the file.
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes all of `parts`, one behind the other, from `offset` on.
    fn write_at(&self, parts: &[&[u8]], offset: u64) -> io::Result<()>;

    /// Grows the file with zeros to at least `len` bytes, with space set aside for them where the
    /// medium can do that, so that later writes below `len` need no new space. Never shrinks.
    fn reserve(&self, len: u64) -> io::Result<()>;

    /// Forces data and length to the medium (`fdatasync`).
    fn sync(&self) -> io::Result<()>;

    /// The first `len` bytes for as long as the result lives. Only for files that nobody changes
    /// any more.
    ///
    /// # Errors
    /// `UnexpectedEof` where the file is shorter than `len`.
    fn map(&self, len: usize) -> io::Result<Mapping>;

    /// The system's handle of the file, where it is a real one: so that another real file can
    /// share its bytes. Nothing is read or written through it.
    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}

/// Bytes of a file: mapped where the device can, a copy otherwise. Starts at a multiple of 64.
pub struct Mapping(Box<dyn Mapped>);

/// What a [`Mapping`] is made of.
trait Mapped: Deref<Target = [u8]> + Send + Sync {
    /// The bytes of this range, all of which are there, are going to be read.
    fn will_need(&self, _range: Range<usize>) {}
}

impl Mapped for AlignedBuf {}

impl Mapping {
    /// A copy of the bytes.
    pub(crate) fn copied(bytes: AlignedBuf) -> Self {
        Self(Box::new(bytes))
    }

    /// These bytes are going to be read: the system may begin to fetch them. Does not wait.
    pub fn will_need(&self, range: Range<usize>) {
        if range.start < range.end && range.end <= self.len() {
            self.0.will_need(range);
        }
    }
}

impl Deref for Mapping {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl Debug for Mapping {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Mapping({} bytes)", self.len())
    }
}

/// What a directory holds under one name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The name; bytes that are no UTF-8 are replaced.
    pub name: String,
    /// Whether it is a regular file: not a link, folder, pipe, socket or device.
    pub regular: bool,
    /// The length in bytes of a regular file, else zero.
    pub len: u64,
}

/// Holds the writer's lock until dropped.
pub trait LockGuard: Debug + Send + Sync {}

/// Why the writer's lock was not given.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Somebody has it; `holder` is what they left about themselves, or "unknown".
    #[error("the lock is held by {holder}")]
    Held {
        /// What the holder wrote into the lock.
        holder: String,
    },
    /// The medium failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Refuses what is no name of a file in the directory itself.
fn check_name(name: &str) -> io::Result<()> {
    let path_like = name.contains(['/', '\0']) || matches!(name, "" | "." | "..");
    if path_like || name.len() > 255 || name == LOCK_NAME {
        let message = format!("{name:?} is no file name to use here");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    Ok(())
}

/// Microseconds since 1970 by the wall clock of the machine; negative before.
fn unix_us() -> i64 {
    let us = |duration: std::time::Duration| i64::try_from(duration.as_micros());
    match std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH) {
        Ok(after) => us(after).unwrap_or(i64::MAX),
        Err(before) => us(before.duration()).map_or(i64::MIN, |us| -us),
    }
}
