//! Bytes by their place, and numbers of a width that the file says.
//!
//! # Invariants
//! - Nothing is allocated for bytes that the source does not have.
//! - All structures together are read at most some times over: what refers to itself comes to an
//!   end with an error, and not with the memory.

use crate::error::{EventError, EventErrorKind, Result};

/// Structures may be read this often in the mean; more is a circle.
const REREADS_MAX: u64 = 8;
/// Read in any case.
const STRUCTURE_BYTES_FREE: u64 = 1 << 20;
/// Of one structure.
const STRUCTURE_BYTES_MAX: u64 = 64 << 20;

/// Bytes that can be read at any place: a file, or memory.
pub trait ByteSource: std::fmt::Debug + Send {
    /// How many there are.
    fn bytes_total(&self) -> u64;

    /// Fills `into` with the bytes from `offset` on, all of them.
    ///
    /// # Errors
    /// Where they are not there or could not be read: [`EventError::unreadable`].
    fn read_at(&mut self, offset: u64, into: &mut [u8]) -> Result<()>;
}

impl ByteSource for Vec<u8> {
    fn bytes_total(&self) -> u64 {
        self.len() as u64
    }

    fn read_at(&mut self, offset: u64, into: &mut [u8]) -> Result<()> {
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let range = start..start.saturating_add(into.len());
        let Some(bytes) = self.get(range) else {
            return Err(EventError::unreadable(offset, "bytes beyond the end"));
        };
        into.copy_from_slice(bytes);
        Ok(())
    }
}

/// A file whose superblock is known.
#[derive(Debug)]
pub(super) struct Input {
    source: Box<dyn ByteSource>,
    total: u64,
    /// What all addresses are counted from.
    pub(super) base: u64,
    /// Bytes of an address, and of a length.
    pub(super) address_bytes: usize,
    pub(super) length_bytes: usize,
    read: u64,
}

impl Input {
    pub(super) fn new(source: Box<dyn ByteSource>) -> Self {
        let total = source.bytes_total();
        Self { source, total, base: 0, address_bytes: 8, length_bytes: 8, read: 0 }
    }

    /// Bytes of the whole file.
    pub(super) fn total(&self) -> u64 {
        self.total
    }

    /// Where an address lies in the file.
    pub(super) fn place(&self, address: u64) -> u64 {
        self.base.saturating_add(address)
    }

    /// A structure of `bytes` at an address.
    pub(super) fn structure(&mut self, address: u64, bytes: u64) -> Result<Vec<u8>> {
        self.read = self.read.saturating_add(bytes.max(8));
        let limit = self.total.saturating_mul(REREADS_MAX).saturating_add(STRUCTURE_BYTES_FREE);
        if bytes > STRUCTURE_BYTES_MAX || self.read > limit {
            return Err(self.corrupt(address, "structures that are too large, or go in a circle"));
        }
        self.bytes(address, bytes)
    }

    /// `bytes` at an address, which the caller has bounded.
    pub(super) fn bytes(&mut self, address: u64, bytes: u64) -> Result<Vec<u8>> {
        self.bytes_into(address, bytes, Vec::new())
    }

    /// The same in memory that was used before.
    pub(super) fn bytes_into(
        &mut self,
        address: u64,
        bytes: u64,
        mut into: Vec<u8>,
    ) -> Result<Vec<u8>> {
        let place = self.place(address);
        if place.checked_add(bytes).is_none_or(|end| end > self.total) {
            let what = "HDF5 refers to bytes beyond the end of the file".to_owned();
            return Err(EventError::new(EventErrorKind::Truncated, place.min(self.total), what));
        }
        if into.capacity() < bytes as usize {
            // New memory is zero without being touched.
            into = vec![0; bytes as usize];
        }
        into.resize(bytes as usize, 0);
        self.source.read_at(place, &mut into)?;
        Ok(into)
    }

    /// An error of the bytes at an address.
    pub(super) fn corrupt(&self, address: u64, what: &str) -> EventError {
        EventError::new(EventErrorKind::Corrupt, self.place(address), format!("HDF5: {what}"))
    }

    /// An error of what is not read.
    pub(super) fn unsupported(&self, address: u64, what: &str) -> EventError {
        EventError::new(EventErrorKind::Unsupported, self.place(address), format!("HDF5: {what}"))
    }

    /// The reader of fields of this file.
    pub(super) fn fields<'a>(&self, bytes: &'a [u8]) -> Fields<'a> {
        Fields { rest: bytes, address_bytes: self.address_bytes, length_bytes: self.length_bytes }
    }

    /// Compares the checksum behind the first `bytes` of a structure with them.
    pub(super) fn check(&self, address: u64, structure: &[u8], bytes: usize) -> Result<()> {
        let sum = structure.get(bytes..).and_then(|rest| rest.first_chunk::<4>());
        let covered = structure.get(..bytes).unwrap_or_default();
        if sum.is_none_or(|sum| u32::from_le_bytes(*sum) != lookup3(covered)) {
            return Err(self.corrupt(address, "a structure that does not match its checksum"));
        }
        Ok(())
    }
}

/// Fields one after the other; `None` behind the end.
#[derive(Debug, Clone)]
pub(super) struct Fields<'a> {
    rest: &'a [u8],
    address_bytes: usize,
    length_bytes: usize,
}

impl<'a> Fields<'a> {
    /// Fields of no file: addresses have 8 bytes.
    pub(super) fn plain(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, address_bytes: 8, length_bytes: 8 }
    }

    pub(super) fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(head)
    }

    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(super) fn skip(&mut self, count: usize) -> Option<()> {
        self.bytes(count).map(|_| ())
    }

    /// A number of up to 8 bytes, little endian.
    pub(super) fn uint(&mut self, bytes: usize) -> Option<u64> {
        let bytes = self.bytes(bytes).filter(|bytes| bytes.len() <= 8)?;
        Some(bytes.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte)))
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        self.uint(1).map(|number| number as u8)
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        self.uint(2).map(|number| number as u16)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.uint(4).map(|number| number as u32)
    }

    pub(super) fn length(&mut self) -> Option<u64> {
        self.uint(self.length_bytes)
    }

    /// An address; `Some(None)` where it is undefined.
    pub(super) fn address(&mut self) -> Option<Option<u64>> {
        let address = self.uint(self.address_bytes)?;
        let undefined = u64::MAX >> (64 - 8 * self.address_bytes.clamp(1, 8));
        Some((address != undefined).then_some(address))
    }

    /// The bytes up to a zero, which is taken too.
    pub(super) fn name(&mut self) -> Option<&'a [u8]> {
        let end = self.rest.iter().position(|&byte| byte == 0)?;
        let name = self.bytes(end);
        self.skip(1)?;
        name
    }
}

/// Jenkins' hash `lookup3`, with which HDF5 sums its newer structures.
pub(super) fn lookup3(bytes: &[u8]) -> u32 {
    let start = 0xDEAD_BEEF_u32.wrapping_add(bytes.len() as u32);
    let (mut a, mut b, mut c) = (start, start, start);
    let word = |twelve: &[u8], at: usize| {
        let four = twelve.get(at..).unwrap_or_default().iter().take(4);
        four.rev().fold(0, |word, &byte| word << 8 | u32::from(byte))
    };
    let whole = bytes.len().saturating_sub(1) / 12 * 12;
    let (head, tail) = bytes.split_at(whole);
    for twelve in head.chunks_exact(12) {
        a = a.wrapping_add(word(twelve, 0));
        b = b.wrapping_add(word(twelve, 4));
        c = c.wrapping_add(word(twelve, 8));
        for (turn_a, turn_b, turn_c) in [(4, 6, 8), (16, 19, 4)] {
            a = a.wrapping_sub(c) ^ c.rotate_left(turn_a);
            c = c.wrapping_add(b);
            b = b.wrapping_sub(a) ^ a.rotate_left(turn_b);
            a = a.wrapping_add(c);
            c = c.wrapping_sub(b) ^ b.rotate_left(turn_c);
            b = b.wrapping_add(a);
        }
    }
    if tail.is_empty() {
        return c;
    }
    a = a.wrapping_add(word(tail, 0));
    b = b.wrapping_add(word(tail, 4));
    c = c.wrapping_add(word(tail, 8));
    c = (c ^ b).wrapping_sub(b.rotate_left(14));
    a = (a ^ c).wrapping_sub(c.rotate_left(11));
    b = (b ^ a).wrapping_sub(a.rotate_left(25));
    c = (c ^ b).wrapping_sub(b.rotate_left(16));
    a = (a ^ c).wrapping_sub(c.rotate_left(4));
    b = (b ^ a).wrapping_sub(a.rotate_left(14));
    (c ^ b).wrapping_sub(b.rotate_left(24))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_has_its_published_values() {
        assert_eq!(lookup3(b""), 0xDEAD_BEEF);
        assert_eq!(lookup3(b"Four score and seven years ago"), 0x1777_0551);
    }
}
