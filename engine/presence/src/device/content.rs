//! The bytes of one file in memory: pages shared between copies until one of them is written.
//!
//! # Invariants
//! - A clone costs one reference count, whatever the length; a write copies the pages it touches.
//! - Bytes at and beyond the length are zero in their page, so growing shows zeros.
//! - Pages that were never written are not allocated.

use std::io;

use super::aligned::AlignedBuf;
use crate::shim::Arc;

const PAGE_BYTES: usize = 4096;

/// The longest file a device in memory holds. It bounds the table of pages, which a single write
/// at a far offset would otherwise grow without measure.
pub(super) const FILE_BYTES_MAX: u64 = 1 << 36;

type Page = [u8; PAGE_BYTES];

#[derive(Clone, Default)]
pub(super) struct Content {
    len: u64,
    pages: Arc<Vec<Option<Arc<Page>>>>,
}

impl Content {
    pub(super) fn from_bytes(bytes: &[u8]) -> Self {
        let mut content = Self::default();
        content.write(0, bytes);
        content
    }

    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Refuses a range that ends beyond the longest file.
    pub(super) fn check_end(offset: u64, len: u64) -> io::Result<()> {
        match offset.checked_add(len) {
            Some(end) if end <= FILE_BYTES_MAX => Ok(()),
            _ => Err(io::ErrorKind::FileTooLarge.into()),
        }
    }

    pub(super) fn grow(&mut self, len: u64) {
        self.len = self.len.max(len);
    }

    /// Cuts the file: for tests that damage files, never for a verb of the device.
    pub(super) fn cut(&mut self, len: u64) {
        if len < self.len {
            let kept = self.to_vec(len);
            *self = Self::from_bytes(&kept);
        }
    }

    /// Puts `bytes` at `offset`. The caller has checked the range.
    pub(super) fn write(&mut self, offset: u64, mut bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let (mut index, mut within) = split(offset);
        let pages = Arc::make_mut(&mut self.pages);
        while !bytes.is_empty() {
            let (head, rest) = bytes.split_at(bytes.len().min(PAGE_BYTES - within));
            if pages.len() <= index {
                pages.resize(index + 1, None);
            }
            if let Some(slot) = pages.get_mut(index) {
                let page = slot.get_or_insert_with(|| Arc::new([0; PAGE_BYTES]));
                if let Some(place) = Arc::make_mut(page).get_mut(within..within + head.len()) {
                    place.copy_from_slice(head);
                }
            }
            self.len = self.len.max((index * PAGE_BYTES + within + head.len()) as u64);
            bytes = rest;
            index += 1;
            within = 0;
        }
    }

    /// Fills as much of `buf` as the file has from `offset` on.
    pub(super) fn read(&self, offset: u64, buf: &mut [u8]) -> usize {
        let left = usize::try_from(self.len.saturating_sub(offset)).unwrap_or(usize::MAX);
        let count = buf.len().min(left);
        let (mut buf, _) = buf.split_at_mut(count);
        let (mut index, mut within) = split(offset);
        while !buf.is_empty() {
            let (head, rest) = buf.split_at_mut(buf.len().min(PAGE_BYTES - within));
            let page = self.pages.get(index).and_then(Option::as_ref);
            match page.and_then(|page| page.get(within..within + head.len())) {
                Some(bytes) => head.copy_from_slice(bytes),
                None => head.fill(0),
            }
            buf = rest;
            index += 1;
            within = 0;
        }
        count
    }

    /// The first `len` bytes, aligned.
    pub(super) fn copy(&self, len: usize) -> io::Result<AlignedBuf> {
        if self.len < len as u64 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut buf = AlignedBuf::zeroed(len)?;
        self.read(0, &mut buf);
        Ok(buf)
    }

    /// Up to `len` first bytes.
    pub(super) fn to_vec(&self, len: u64) -> Vec<u8> {
        let mut bytes = vec![0; usize::try_from(self.len.min(len)).unwrap_or(0)];
        self.read(0, &mut bytes);
        bytes
    }
}

fn split(offset: u64) -> (usize, usize) {
    let offset = usize::try_from(offset).unwrap_or(usize::MAX);
    (offset / PAGE_BYTES, offset % PAGE_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_back_over_page_borders_and_holes() {
        let mut content = Content::default();
        content.write(PAGE_BYTES as u64 - 2, b"abcd");
        content.grow(3 * PAGE_BYTES as u64);
        let mut buf = [9; 8];
        assert_eq!(content.read(PAGE_BYTES as u64 - 4, &mut buf), 8);
        assert_eq!(&buf, b"\0\0abcd\0\0");
        assert_eq!(content.read(3 * PAGE_BYTES as u64 - 3, &mut buf), 3);
        assert_eq!(&buf[..3], [0; 3]);
        assert_eq!(content.read(u64::MAX, &mut buf), 0);
    }

    #[test]
    fn a_clone_keeps_what_it_had() {
        let mut content = Content::from_bytes(b"before");
        let old = content.clone();
        content.write(0, b"after!");
        assert_eq!(old.to_vec(u64::MAX), b"before");
        content.cut(2);
        content.grow(4);
        assert_eq!(content.to_vec(u64::MAX), b"af\0\0");
    }
}
