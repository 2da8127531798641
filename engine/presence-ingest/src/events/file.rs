//! A file as a source of bytes for a [`Recording`](presence_events::Recording).
//!
//! # Invariants
//! - No more than the length found at opening is ever read, so a file that grows meanwhile gives
//!   one consistent prefix.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use presence_events::{ByteSource, EventError, Result};

/// The bytes of a file.
#[derive(Debug)]
pub struct FileSource {
    file: File,
    bytes: u64,
    seen: Seen,
}

/// What became of a [`FileSource`] that was given away.
#[derive(Debug, Clone, Default)]
pub struct Seen(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    bytes: AtomicU64,
    is_shorter: AtomicBool,
}

impl FileSource {
    /// The first `bytes` of `file`, wherever its position is.
    #[must_use]
    pub fn new(file: File, bytes: u64) -> Self {
        Self { file, bytes, seen: Seen::default() }
    }

    /// To be asked later.
    #[must_use]
    pub fn seen(&self) -> Seen {
        self.seen.clone()
    }

    fn fill(&mut self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(offset))?;
        self.file.read_exact(into)
    }
}

impl Seen {
    /// The end of what was read that lies farthest in the file.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.0.bytes.load(Ordering::Relaxed)
    }

    /// Whether the file ended before the length that it had.
    #[must_use]
    pub fn is_shorter(&self) -> bool {
        self.0.is_shorter.load(Ordering::Relaxed)
    }
}

impl ByteSource for FileSource {
    fn bytes_total(&self) -> u64 {
        self.bytes
    }

    fn read_at(&mut self, offset: u64, into: &mut [u8]) -> Result<()> {
        let end = offset.saturating_add(into.len() as u64);
        if end > self.bytes {
            return Err(EventError::unreadable(offset, "bytes beyond the end of the file"));
        }
        self.fill(offset, into).map_err(|error| {
            let is_shorter = error.kind() == io::ErrorKind::UnexpectedEof;
            self.seen.0.is_shorter.fetch_or(is_shorter, Ordering::Relaxed);
            if is_shorter {
                EventError::unreadable(offset, "the file became shorter while it was read")
            } else {
                EventError::unreadable(offset, format!("cannot be read: {error}"))
            }
        })?;
        self.seen.0.bytes.fetch_max(end, Ordering::Relaxed);
        Ok(())
    }
}
