//! Bytes of one file, read through a window.
//!
//! # Invariants
//! - Memory is the window, or the longest piece asked for; never a length that the file states.
//! - What was read stays as it was read until [`Bytes::forget`].

use std::io;
use std::sync::Arc;

use presence::device::{Device, DeviceFile};
use presence_format::zeros::used_len;

/// Bytes read at once: enough that a medium's latency does not count.
const WINDOW: usize = 512 << 10;
/// Bytes read first, and after [`Bytes::forget`]: a walk along rotten entries looks at each again,
/// and is not to read a window for every one. Each further piece is eight times as long.
const FIRST: usize = 4 << 10;

/// A file, read forwards in large steps.
#[derive(Debug)]
pub(crate) struct Bytes {
    file: Arc<dyn DeviceFile>,
    len: u64,
    at: u64,
    window: Vec<u8>,
    /// Bytes of the window that are from the file; zeros follow.
    read: usize,
    /// How long the next piece is.
    next: usize,
}

impl Bytes {
    /// Opens the file `name` as long as it is now: what is appended later is not seen.
    pub(crate) fn open(device: &dyn Device, name: &str) -> io::Result<Self> {
        let file = device.open(name)?;
        let len = file.len()?;
        Ok(Self { file, len, at: 0, window: Vec::new(), read: 0, next: FIRST })
    }

    /// The file's length when it was opened.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// The file's length now.
    pub(crate) fn len_now(&self) -> io::Result<u64> {
        self.file.len()
    }

    /// What is asked for next is read again.
    pub(crate) fn forget(&mut self) {
        self.clear();
        self.next = FIRST;
    }

    fn clear(&mut self) {
        self.window.clear();
        self.read = 0;
    }

    /// `count` bytes from `offset` on; fewer only where the file ends.
    pub(crate) fn get(&mut self, offset: u64, count: usize) -> io::Result<&[u8]> {
        let left = usize::try_from(self.len.saturating_sub(offset)).unwrap_or(usize::MAX);
        let count = count.min(left);
        let start = self.fill(offset, count)?;
        Ok(self.window.get(start..start.saturating_add(count)).unwrap_or_default())
    }

    /// `count` bytes from `offset` on; zeros where the file ends before.
    pub(crate) fn get_padded(&mut self, offset: u64, count: usize) -> io::Result<&[u8]> {
        let left = usize::try_from(self.len.saturating_sub(offset)).unwrap_or(usize::MAX);
        let start = self.fill(offset, count.min(left))?;
        let end = start.saturating_add(count);
        if self.window.len() < end {
            self.window.truncate(self.read);
            self.window.resize(end, 0);
        }
        Ok(self.window.get(start..end).unwrap_or_default())
    }

    /// Makes `count` bytes from `offset` on, all inside the file, part of the window; returns where
    /// in it they begin.
    fn fill(&mut self, offset: u64, count: usize) -> io::Result<usize> {
        let inside = offset.checked_sub(self.at).and_then(|start| usize::try_from(start).ok());
        if let Some(start) = inside
            && start.saturating_add(count) <= self.read
        {
            return Ok(start);
        }
        self.clear();
        let left = usize::try_from(self.len.saturating_sub(offset)).unwrap_or(usize::MAX);
        self.window.resize(count.max(self.next).min(left), 0);
        self.next = self.next.saturating_mul(8).min(WINDOW);
        self.at = offset;
        self.read = self.file.read_at(&mut self.window, offset)?;
        if self.read < count {
            // Shortened since it was opened.
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.window.truncate(self.read);
        Ok(0)
    }

    /// Where the last byte of `from..to` that is not zero ends; `None` where all are zeros.
    pub(crate) fn last_used(&mut self, from: u64, to: u64) -> io::Result<Option<u64>> {
        let to = to.min(self.len);
        let mut at = from;
        let mut used = None;
        while at < to {
            let count = usize::try_from(to - at).unwrap_or(WINDOW).min(WINDOW);
            let len = used_len(self.get(at, count)?);
            if len > 0 {
                used = Some(at + len as u64);
            }
            at += count as u64;
        }
        Ok(used)
    }
}
