//! Judges, repairs and salvages presence databases, by the format's text alone.
//!
//! A checker that shares the engine's assumptions cannot contradict them: of the engine this crate
//! uses the storage device to judge, and nothing else.
//!
//! ```
//! use presence::{Database, Options};
//!
//! # let directory = tempfile::tempdir()?;
//! # let path = directory.path().join("robot");
//! Database::create(&path, Options::default())?.close()?;
//! let report = presence_fsck::check(&path, &presence_fsck::Options::default(), &mut |_| true)?;
//! assert!(report.is_sound());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Invariants
//! - Judging writes nothing, takes no lock, and works beside a writer.
//! - Memory is bounded by the format's caps and by streams, never by the size of a file.

#![forbid(unsafe_code)]

mod bytes;
mod database;
mod finding;
mod intervals;
mod live;
mod planes;
mod quarantine;
pub mod repair;
mod report;
pub mod salvage;
mod seal;
mod segment;
mod streams;
mod torn_seal;
mod tracks;
mod walk;

use std::io;
use std::path::Path;

use presence::device::{Device, RealDevice, SingleSegment};

pub use database::Error;
pub use finding::{Code, Finding, Severity};
pub use report::{Level, Lost, Report, Totals};

/// How to check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Options {
    /// How much is looked at. [`Level::Default`] reads every checksum.
    pub level: Level,
    /// Whether what a crash leaves counts as an error. No.
    pub strict: bool,
}

impl Options {
    /// The defaults at another level.
    pub fn at(level: Level) -> Self {
        Self { level, ..Self::default() }
    }
}

/// How far a check is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Bytes looked at.
    pub done: u64,
    /// Bytes to look at.
    pub all: u64,
}

/// Checks the database, or the one segment, at `path`. O(bytes).
///
/// `progress` is called for each entry, and ends the check where it says `false`.
///
/// # Errors
/// Where there is nothing to judge: no such path, or no segment in it. Damage is in the report.
pub fn check(
    path: impl AsRef<Path>,
    options: &Options,
    progress: &mut dyn FnMut(Progress) -> bool,
) -> Result<Report, Error> {
    let path = path.as_ref();
    let unreadable = |source: io::Error| Error::List { path: path.display().to_string(), source };
    if path.is_dir() {
        let device = RealDevice::open(path).map_err(unreadable)?;
        return check_device(&device, options, progress);
    }
    match SingleSegment::open(path) {
        Ok(device) => database::check(&device, options, true, progress),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            Ok(database::headless(path, options, &error.to_string()))
        }
        Err(error) => Err(unreadable(error)),
    }
}

/// As [`check`], of the directory behind a device.
///
/// # Errors
/// As [`check`].
pub fn check_device(
    device: &dyn Device,
    options: &Options,
    progress: &mut dyn FnMut(Progress) -> bool,
) -> Result<Report, Error> {
    database::check(device, options, false, progress)
}
