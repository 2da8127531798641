//! Entries: everything between a segment's header and its footer.
//!
//! An entry is a header of 64 bytes (128 for a block), a payload, a table of checksums where the
//! payload exceeds one piece, and zeros up to the next multiple of 64.
//!
//! # Invariants
//! - An entry names its database, segment, offset and number: right bytes in the wrong place fail.
//! - `previous_crc` chains each entry to the header of the one before, so a lost, repeated or
//!   foreign entry shows.
//! - `durable_offset` is at most the entry's own offset: what it says was true before it was
//!   written. An unsound entry below the largest one seen is rot; above it, a torn tail.

use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, IntoBytes};

use crate::block::BlockHeader;
use crate::caps::{BLOCK_RECORDS_MAX, PAYLOAD_BYTES_MAX, SEGMENT_BYTES_MAX, STREAMS_MAX};
use crate::checksum::{header_crc32, table_bytes};
use crate::error::{FormatError, FormatErrorKind, Result};
use crate::layout::layout;

/// First bytes of every entry.
pub const ENTRY_MAGIC: [u8; 4] = *b"PRSe";
/// Entries begin at multiples of this, and so do their payloads.
pub const ENTRY_ALIGN: u32 = 64;
const CRC_FIELD: usize = 4;

layout! {
    /// The header of an entry.
    pub struct EntryHeader: 64 {
        /// [`ENTRY_MAGIC`].
        0 magic: [u8; 4],
        /// CRC-32 of the header (128 bytes for a block), this field as zeros.
        4 header_crc: U32,
        /// The first eight bytes of the database id.
        8 database: U64,
        /// The segment's number.
        16 segment: U32,
        /// An [`EntryKind`].
        20 kind: u8,
        /// Zero; other values are for later versions.
        21 reserved: [u8; 3],
        /// Where in the segment this entry begins.
        24 offset: U32,
        /// How many entries of the segment come before.
        28 number: U32,
        /// The stream of a block; zero for other kinds.
        32 stream: U32,
        /// Records in a block or frame; zero for other kinds.
        36 records: U32,
        /// How many records of the stream come before a block's first; zero for other kinds.
        40 first_sequence: U64,
        /// Bytes of the payload as stored.
        48 payload_bytes: U32,
        /// CRC-32 of the payload, or of its table of checksums.
        52 payload_crc: U32,
        /// `header_crc` of the entry before; of the segment header for the first.
        56 previous_crc: U32,
        /// Everything in the segment below this offset was durable when the entry was made.
        60 durable_offset: U32,
    }
}

/// What an entry holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum EntryKind {
    /// Streams: made, finished, or repeated at the start of a segment.
    Catalog = 1,
    /// A full block of one stream.
    Block = 2,
    /// The newest records of all open blocks.
    Frame = 3,
    /// The sparse index of a sealed segment.
    Index = 4,
}

impl EntryKind {
    fn from_code(code: u8) -> Option<Self> {
        [Self::Catalog, Self::Block, Self::Frame, Self::Index]
            .into_iter()
            .find(|kind| *kind as u8 == code)
    }

    /// Bytes of the header of such an entry.
    pub const fn header_bytes(self) -> u32 {
        match self {
            Self::Block => (EntryHeader::BYTES + BlockHeader::BYTES) as u32,
            _ => EntryHeader::BYTES as u32,
        }
    }
}

/// The place that an entry must name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The first eight bytes of the database id, little-endian.
    pub database: u64,
    /// The segment's number.
    pub segment: u32,
}

/// A checked entry header: what was read is what was written, and it belongs here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// What it holds.
    pub kind: EntryKind,
    /// Its fields.
    pub header: EntryHeader,
    /// The second half of a block's header.
    pub block: Option<BlockHeader>,
}

/// `bytes` rounded up to the alignment of entries. Saturates at the largest multiple.
pub const fn align_up(bytes: u32) -> u32 {
    match bytes.checked_next_multiple_of(ENTRY_ALIGN) {
        Some(aligned) => aligned,
        None => u32::MAX - (ENTRY_ALIGN - 1),
    }
}

impl Entry {
    /// Reads and checks the header at the front of `bytes`, which stand at `offset` of the
    /// segment at `place`.
    ///
    /// # Errors
    /// `Truncated` where the header does not fit the bytes, `Corrupt` for a wrong magic number,
    /// checksum or field, `Foreign` for the header of another place.
    pub fn parse(bytes: &[u8], place: Place, offset: u32) -> Result<Self> {
        let Ok((header, rest)) = EntryHeader::read_from_prefix(bytes) else {
            return Err(FormatError::truncated(0, "bytes end inside an entry header"));
        };
        if header.magic != ENTRY_MAGIC {
            return Err(FormatError::corrupt(0, "no entry begins here"));
        }
        let Some(kind) = EntryKind::from_code(header.kind) else {
            return Err(FormatError::corrupt(20, format!("unknown entry kind {}", header.kind)));
        };
        let Some(covered) = bytes.get(..kind.header_bytes() as usize) else {
            return Err(FormatError::truncated(0, "bytes end inside a block header"));
        };
        if header_crc32(covered, CRC_FIELD) != header.header_crc.get() {
            return Err(FormatError::corrupt(4, "entry header does not match its checksum"));
        }
        let block = match kind {
            EntryKind::Block => BlockHeader::read_from_prefix(rest).ok().map(|(block, _)| block),
            _ => None,
        };
        let entry = Self { kind, header, block };
        entry.check_place(place, offset)?;
        entry.check_caps()?;
        Ok(entry)
    }

    fn check_place(&self, place: Place, offset: u32) -> Result<()> {
        let header = &self.header;
        let foreign = |at, what: String| Err(FormatError::new(FormatErrorKind::Foreign, at, what));
        if header.database.get() != place.database {
            return foreign(8, "entry of another database".to_owned());
        }
        if header.segment.get() != place.segment {
            return foreign(16, format!("entry of segment {}", header.segment));
        }
        if header.offset.get() != offset {
            return foreign(24, format!("entry of offset {}", header.offset));
        }
        Ok(())
    }

    fn check_caps(&self) -> Result<()> {
        let header = &self.header;
        let records_max =
            if self.kind == EntryKind::Frame { PAYLOAD_BYTES_MAX / 8 } else { BLOCK_RECORDS_MAX };
        let wrong = if header.payload_bytes.get() > PAYLOAD_BYTES_MAX {
            Some((48, "payload over the cap"))
        } else if header.records.get() > records_max {
            Some((36, "records over the cap"))
        } else if header.stream.get() > STREAMS_MAX
            || (header.stream.get() == 0) == (self.kind == EntryKind::Block)
        {
            Some((32, "impossible stream id"))
        } else if header.durable_offset.get() > header.offset.get() {
            Some((60, "durable offset beyond the entry itself"))
        } else if header.first_sequence.get() > u64::MAX - u64::from(BLOCK_RECORDS_MAX) {
            Some((40, "sequence out of range"))
        } else if self.end() > SEGMENT_BYTES_MAX {
            Some((24, "entry beyond the largest segment"))
        } else {
            None
        };
        match wrong {
            Some((at, what)) => Err(FormatError::corrupt(at, what)),
            None => self.block.map_or(Ok(()), |block| block.check(header.records.get())),
        }
    }

    /// Where the payload begins in the segment.
    pub fn payload_offset(&self) -> u32 {
        self.header.offset.get().saturating_add(self.kind.header_bytes())
    }

    /// Bytes of payload and checksum table.
    pub fn stored_bytes(&self) -> u32 {
        let payload = self.header.payload_bytes.get();
        payload.saturating_add(table_bytes(payload))
    }

    /// Where the next entry may begin.
    pub fn end(&self) -> u32 {
        align_up(self.payload_offset().saturating_add(self.stored_bytes()))
    }
}

/// Makes the bytes of an entry header, its checksum last.
#[derive(Debug, Clone, Copy)]
pub struct EntryBuilder {
    /// The fields; magic, kind and checksum are filled in by [`EntryBuilder::finish`].
    pub header: EntryHeader,
    /// The second half, for a block.
    pub block: Option<BlockHeader>,
}

impl EntryBuilder {
    /// A header for the entry number `number` of `place`, at `offset`.
    pub fn new(place: Place, offset: u32, number: u32, previous_crc: u32) -> Self {
        let header = EntryHeader {
            magic: ENTRY_MAGIC,
            header_crc: U32::ZERO,
            database: place.database.into(),
            segment: place.segment.into(),
            kind: 0,
            reserved: [0; 3],
            offset: offset.into(),
            number: number.into(),
            stream: U32::ZERO,
            records: U32::ZERO,
            first_sequence: U64::ZERO,
            payload_bytes: U32::ZERO,
            payload_crc: U32::ZERO,
            previous_crc: previous_crc.into(),
            durable_offset: U32::ZERO,
        };
        Self { header, block: None }
    }

    /// The header's bytes (the first 64 or 128 of the array, by the length given) and checksum.
    pub fn finish(mut self, kind: EntryKind) -> ([u8; 128], usize, u32) {
        self.header.kind = kind as u8;
        self.header.header_crc = U32::ZERO;
        let len = kind.header_bytes() as usize;
        let mut bytes = [0; 128];
        let (front, back) = bytes.split_at_mut(EntryHeader::BYTES);
        if let Some(block) = self.block {
            back.copy_from_slice(block.as_bytes());
        }
        front.copy_from_slice(self.header.as_bytes());
        let crc = header_crc32(bytes.get(..len).unwrap_or_default(), CRC_FIELD);
        self.header.header_crc = crc.into();
        bytes.split_at_mut(EntryHeader::BYTES).0.copy_from_slice(self.header.as_bytes());
        (bytes, len, crc)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: Place = Place { database: 7, segment: 3 };

    fn frame(offset: u32) -> Vec<u8> {
        let (bytes, len, _) = EntryBuilder::new(PLACE, offset, 1, 9).finish(EntryKind::Frame);
        bytes[..len].to_vec()
    }

    #[test]
    fn a_header_validates_in_its_place_only() {
        let bytes = frame(128);
        assert!(Entry::parse(&bytes, PLACE, 128).is_ok());
        for (place, offset) in [
            (Place { database: 8, ..PLACE }, 128),
            (Place { segment: 4, ..PLACE }, 128),
            (PLACE, 192),
        ] {
            let error = Entry::parse(&bytes, place, offset).unwrap_err();
            assert_eq!(error.kind, FormatErrorKind::Foreign);
        }
    }

    #[test]
    fn every_flipped_bit_and_every_truncation_is_refused() {
        let bytes = frame(128);
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(Entry::parse(&damaged, PLACE, 128).is_err(), "bit {bit}");
        }
        for len in 0..bytes.len() {
            let error = Entry::parse(&bytes[..len], PLACE, 128).unwrap_err();
            assert_eq!(error.kind, FormatErrorKind::Truncated);
        }
        assert!(Entry::parse(&[0; 128], PLACE, 0).is_err());
    }
}
