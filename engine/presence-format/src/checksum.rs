//! CRC-32 (ISO-HDLC, as in zlib and PNG), by carry-less multiplication where the CPU has it.
//!
//! # Invariants
//! - A header checksum covers the header with its own field as zeros, so no order of writing
//!   fields matters.
//! - The checksum of no bytes is zero, and a magic number that is not zero stands before every
//!   checksum: a run of zero bytes never validates.

use crate::caps::CHECKSUM_PIECE_BYTES;
use crate::error::{FormatError, Result};

/// The checksum of `bytes`.
pub fn crc32(bytes: &[u8]) -> u32 {
    crc32fast::hash(bytes)
}

/// The checksum of a header whose checksum field is the four bytes at `field`.
pub fn header_crc32(header: &[u8], field: usize) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    let (before, rest) = header.split_at(field.min(header.len()));
    hasher.update(before);
    hasher.update(&[0; 4]);
    hasher.update(rest.get(4..).unwrap_or_default());
    hasher.finalize()
}

/// Bytes of the table of checksums behind a payload of `payload_bytes`: none up to
/// [`CHECKSUM_PIECE_BYTES`], else four for each piece.
pub const fn table_bytes(payload_bytes: u32) -> u32 {
    if payload_bytes <= CHECKSUM_PIECE_BYTES {
        0
    } else {
        payload_bytes.div_ceil(CHECKSUM_PIECE_BYTES) * 4
    }
}

/// Checksums a payload handed over in parts: one checksum, or a table of them for the pieces and
/// the checksum of that table.
#[derive(Debug, Default)]
pub struct PayloadHasher {
    pieces: Vec<u8>,
    current: crc32fast::Hasher,
    in_piece: usize,
    bytes: usize,
}

impl PayloadHasher {
    /// A hasher that has seen nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the next part of the payload.
    pub fn update(&mut self, mut part: &[u8]) {
        const PIECE: usize = CHECKSUM_PIECE_BYTES as usize;
        self.bytes += part.len();
        while !part.is_empty() {
            if self.in_piece == PIECE {
                self.end_piece();
            }
            let (now, later) = part.split_at(part.len().min(PIECE - self.in_piece));
            self.current.update(now);
            self.in_piece += now.len();
            part = later;
        }
    }

    fn end_piece(&mut self) {
        let crc = std::mem::take(&mut self.current).finalize();
        self.pieces.extend_from_slice(&crc.to_le_bytes());
        self.in_piece = 0;
    }

    /// The checksum for the entry header, and the table to store behind the payload.
    pub fn finish(mut self) -> (u32, Vec<u8>) {
        if self.bytes <= CHECKSUM_PIECE_BYTES as usize {
            return (self.current.finalize(), Vec::new());
        }
        self.end_piece();
        (crc32(&self.pieces), self.pieces)
    }
}

/// The checksums that a stored payload must have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PayloadChecks(Vec<u32>);

impl PayloadChecks {
    /// From the header's checksum and the table behind the payload (empty for a single piece).
    ///
    /// # Errors
    /// `Corrupt` where the table does not match `payload_crc` or has the wrong length.
    pub fn new(payload_bytes: u32, payload_crc: u32, table: &[u8]) -> Result<Self> {
        if table.len() != table_bytes(payload_bytes) as usize {
            return Err(FormatError::corrupt(0, "checksum table of the wrong length"));
        }
        if table.is_empty() {
            return Ok(Self(vec![payload_crc]));
        }
        if crc32(table) != payload_crc {
            return Err(FormatError::corrupt(0, "checksum table does not match its checksum"));
        }
        let words = table.as_chunks::<4>().0;
        Ok(Self(words.iter().map(|word| u32::from_le_bytes(*word)).collect()))
    }

    /// Number of pieces, at least one.
    pub fn pieces(&self) -> usize {
        self.0.len()
    }

    /// Whether piece `index` of `payload` has its checksum; false also where there is none.
    pub fn piece_is_sound(&self, payload: &[u8], index: usize) -> bool {
        const PIECE: usize = CHECKSUM_PIECE_BYTES as usize;
        let start = index.saturating_mul(PIECE);
        let end = start.saturating_add(PIECE).min(payload.len());
        match (self.0.get(index), payload.get(start..end)) {
            (Some(&want), Some(bytes)) => crc32(bytes) == want,
            _ => false,
        }
    }

    /// Checks the whole payload.
    ///
    /// # Errors
    /// `Corrupt`, at the offset of the first piece that does not match.
    pub fn check(&self, payload: &[u8]) -> Result<()> {
        match (0..self.pieces()).find(|&index| !self.piece_is_sound(payload, index)) {
            None => Ok(()),
            Some(index) => Err(FormatError::corrupt(
                index as u64 * u64::from(CHECKSUM_PIECE_BYTES),
                "payload does not match its checksum",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_and_whole_agree_at_every_size_around_a_piece() {
        let piece = CHECKSUM_PIECE_BYTES as usize;
        for len in [0, 1, piece - 1, piece, piece + 1, 2 * piece, 2 * piece + 7] {
            let payload: Vec<u8> = (0..len).map(|i| (i * 31 % 251) as u8).collect();
            let mut hasher = PayloadHasher::new();
            for part in payload.chunks(10_007) {
                hasher.update(part);
            }
            let (crc, table) = hasher.finish();
            assert_eq!(table.len(), table_bytes(len as u32) as usize);
            let checks = PayloadChecks::new(len as u32, crc, &table).unwrap();
            checks.check(&payload).unwrap();
            if len > 0 {
                let mut damaged = payload.clone();
                damaged[len - 1] ^= 1;
                let at = ((len - 1) / piece * piece) as u64;
                assert_eq!(checks.check(&damaged).unwrap_err().offset, at);
                assert!(checks.check(&payload[..len - 1]).is_err());
            }
        }
    }
}
