//! A window over a segment's file, for whoever reads it from front to back.
//!
//! # Invariants
//! - What it holds is as it was when it was read: [`Window::clear`] before looking again.
//! - It reads no more than was asked for, or [`WINDOW_BYTES`], whichever is more.

use super::file::SegmentFile;
use crate::error::{Error, Result};
use crate::shim::Arc;

/// What is read at once, at least.
const WINDOW_BYTES: usize = 256 << 10;
/// What is read first where the scan looks again: it does so at each damaged entry, and is not to
/// read a window for every one. Each further piece is eight times as long.
const AGAIN_BYTES: usize = 4 << 10;

/// A window of the file, moved along as the scan goes.
#[derive(Debug)]
pub(super) struct Window {
    segment: Arc<SegmentFile>,
    start: u32,
    /// Bytes of the file, and zeros behind its end where they were asked for.
    bytes: Vec<u8>,
    /// How many of them are the file's.
    read: usize,
    /// How long the next piece is, at least.
    next: usize,
}

impl Window {
    pub(super) fn new(segment: Arc<SegmentFile>) -> Self {
        Self { segment, start: 0, bytes: Vec::new(), read: 0, next: WINDOW_BYTES }
    }

    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.read = 0;
        self.next = AGAIN_BYTES;
    }

    /// Up to `len` bytes from `offset` on; fewer at the end of the file.
    pub(super) fn get(&mut self, offset: u32, len: usize) -> Result<&[u8]> {
        let from = self.hold(offset, len)?;
        let to = from.saturating_add(len).min(self.read);
        Ok(self.bytes.get(from..to).unwrap_or_default())
    }

    /// `len` bytes from `offset` on, zeros behind the end of the file.
    pub(super) fn get_padded(&mut self, offset: u32, len: usize) -> Result<&[u8]> {
        let from = self.hold(offset, len)?;
        Ok(self.bytes.get(from..from.saturating_add(len)).unwrap_or_default())
    }

    /// Sees to it that the range is held, and tells where it begins.
    fn hold(&mut self, offset: u32, len: usize) -> Result<usize> {
        let held = self.start as usize..self.start as usize + self.bytes.len();
        let want = offset as usize..(offset as usize).saturating_add(len);
        if !(held.contains(&want.start) && want.end <= held.end) {
            self.fill(offset, len)?;
        }
        Ok((offset - self.start) as usize)
    }

    fn fill(&mut self, offset: u32, len: usize) -> Result<()> {
        let name = &self.segment.name;
        let file_bytes = self.segment.file.len().map_err(Error::io("measure", name))?;
        let left = usize::try_from(file_bytes.saturating_sub(u64::from(offset)));
        let want = len.max(self.next).min(left.unwrap_or(usize::MAX));
        self.next = self.next.saturating_mul(8).min(WINDOW_BYTES);
        self.start = offset;
        self.bytes.clear();
        self.bytes.resize(want, 0);
        self.read = self
            .segment
            .file
            .read_at(&mut self.bytes, u64::from(offset))
            .map_err(Error::io("read", name))?;
        self.bytes.truncate(self.read);
        self.bytes.resize(self.read.max(len), 0);
        Ok(())
    }
}
