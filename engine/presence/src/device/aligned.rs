//! A buffer of bytes that starts at a multiple of 64, for devices and builds without maps.
//!
//! # Invariants
//! - The allocation is never grown or moved after [`AlignedBuf::zeroed`], so `start` stays right.
//! - No unsafe code: the alignment is found by leaving out the first bytes of a longer vector.

use std::io;
use std::ops::{Deref, DerefMut};

/// The alignment of every [`AlignedBuf`], and of every column in a block.
pub const ALIGNMENT: usize = 64;

/// Owned bytes that start at a multiple of [`ALIGNMENT`]. Not `Clone`: a copy is made by
/// [`AlignedBuf::copy_of`], which aligns anew.
pub struct AlignedBuf {
    bytes: Vec<u8>,
    start: usize,
    len: usize,
}

impl AlignedBuf {
    /// `len` zero bytes.
    ///
    /// # Errors
    /// `OutOfMemory` where the allocator refuses: the length may come from a file.
    pub fn zeroed(len: usize) -> io::Result<Self> {
        let padded = len.checked_add(ALIGNMENT - 1).ok_or(io::ErrorKind::OutOfMemory)?;
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(padded).map_err(|_| io::ErrorKind::OutOfMemory)?;
        bytes.resize(padded, 0);
        let past = bytes.as_ptr().addr() % ALIGNMENT;
        let start = if past == 0 { 0 } else { ALIGNMENT - past };
        Ok(Self { bytes, start, len })
    }

    /// A copy of `bytes`.
    ///
    /// # Errors
    /// As [`AlignedBuf::zeroed`].
    pub fn copy_of(bytes: &[u8]) -> io::Result<Self> {
        let mut copy = Self::zeroed(bytes.len())?;
        copy.copy_from_slice(bytes);
        Ok(copy)
    }
}

impl Deref for AlignedBuf {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.bytes.get(self.start..self.start + self.len).unwrap_or_default()
    }
}

impl DerefMut for AlignedBuf {
    fn deref_mut(&mut self) -> &mut [u8] {
        self.bytes.get_mut(self.start..self.start + self.len).unwrap_or_default()
    }
}

impl std::fmt::Debug for AlignedBuf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AlignedBuf({} bytes)", self.len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starts_at_a_multiple_of_64_for_every_length() {
        for len in [0, 1, 63, 64, 65, 4096, 100_001] {
            let buf = AlignedBuf::zeroed(len).unwrap();
            assert_eq!(buf.len(), len);
            assert_eq!(buf.as_ptr().addr() % ALIGNMENT, 0);
            assert!(buf.iter().all(|byte| *byte == 0));
        }
        assert_eq!(&*AlignedBuf::copy_of(b"abc").unwrap(), b"abc");
    }

    #[test]
    fn an_absurd_length_is_an_error_and_no_abort() {
        let error = AlignedBuf::zeroed(usize::MAX).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::OutOfMemory);
        let error = AlignedBuf::zeroed(isize::MAX as usize - 8).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::OutOfMemory);
    }
}
