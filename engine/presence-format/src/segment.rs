//! A segment's two ends: its header, and the footer that a sealed one has.
//!
//! # Invariants
//! - The header is written once, before the file gets its name, and never again.
//! - The footer is the last 64 bytes of a sealed file. It is a cache: a segment without a sound
//!   one is read by its entries.
//! - Segments of the log have ascending numbers. A compacted segment says which of them it
//!   replaces, and its generation is higher than theirs, so no cycle can be written down.

use zerocopy::little_endian::{I64, U16, U32, U64};
use zerocopy::{FromBytes, IntoBytes};

use crate::checksum::header_crc32;
use crate::entry::Place;
use crate::error::{FormatError, FormatErrorKind, Result};
use crate::layout::layout;

/// First bytes of every segment. The byte over 127 and the line ends show transfers as text.
pub const SEGMENT_MAGIC: [u8; 8] = *b"\x89PRS\r\n\x1a\n";
/// First bytes of every footer.
pub const FOOTER_MAGIC: [u8; 4] = *b"PRSf";
/// The version of the format that this build writes.
pub const VERSION_MAJOR: u16 = 1;
/// Additions within the version, which older readers may pass over.
pub const VERSION_MINOR: u16 = 0;
/// Offset of the first entry of a segment.
pub const FIRST_ENTRY: u32 = SegmentHeader::BYTES as u32;
const HEADER_CRC_FIELD: usize = 12;
const FOOTER_CRC_FIELD: usize = 4;

/// The id of a database: sixteen random bytes, made with it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct DatabaseId(pub [u8; 16]);

impl DatabaseId {
    /// What entries carry of the id: its first eight bytes.
    pub fn short(self) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        u64::from_le_bytes([a, b, c, d, e, f, g, h])
    }
}

impl std::fmt::Display for DatabaseId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl std::fmt::Debug for DatabaseId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

layout! {
    /// The first 128 bytes of a segment.
    pub struct SegmentHeader: 128 {
        /// [`SEGMENT_MAGIC`].
        0 magic: [u8; 8],
        /// A reader refuses a major version that it does not know.
        8 version_major: U16,
        /// A reader passes over a minor version that it does not know.
        10 version_minor: U16,
        /// CRC-32 of the 128 bytes, this field as zeros.
        12 header_crc: U32,
        /// The database's id.
        16 database: [u8; 16],
        /// The segment's number, from 1 on, never used again.
        32 segment: U32,
        /// Zero for a segment of the log, one more than its inputs' for a compacted one.
        36 generation: U32,
        /// The first log segment that this one stands for; itself, in the log.
        40 log_first: U32,
        /// The last log segment that this one stands for; itself, in the log.
        44 log_last: U32,
        /// Which of the outputs of one compaction this is, from 0 on.
        48 part: U16,
        /// How many outputs the compaction has; 1 in the log.
        50 parts: U16,
        /// The last log segment before `log_first`; 0 where it is the first of the database.
        52 previous_segment: U32,
        /// Offset at which the entries of that segment ended.
        56 previous_end: U32,
        /// `header_crc` of its last entry.
        60 previous_crc: U32,
        /// When the segment was made, microseconds since 1970. Information only.
        64 created_unix_us: I64,
        /// Features without which the segment cannot be read; a reader refuses unknown bits.
        72 features_needed: U32,
        /// Features that a reader may pass over.
        76 features_optional: U32,
        /// The number of part 0: outputs of one compaction name the same; itself, in the log.
        80 set: U32,
        /// Zero; other values are for later versions.
        84 reserved: [u8; 44],
    }
}

layout! {
    /// The last 64 bytes of a sealed segment.
    pub struct Footer: 64 {
        /// [`FOOTER_MAGIC`].
        0 magic: [u8; 4],
        /// CRC-32 of the 64 bytes, this field as zeros.
        4 footer_crc: U32,
        /// The first eight bytes of the database id.
        8 database: U64,
        /// The segment's number.
        16 segment: U32,
        /// Offset of the index entry.
        20 index_offset: U32,
        /// Offset at which the entries before the index end; zeros or torn bytes may follow.
        24 data_end: U32,
        /// `header_crc` of the last of them, which the index entry chains to.
        28 data_crc: U32,
        /// Entries before the index.
        32 entries: U32,
        /// Bytes of torn entries that recovery found and left in place.
        36 torn_bytes: U32,
        /// Records in the segment's blocks.
        40 records: U64,
        /// `header_crc` of the last entry of the last log segment that this one stands for.
        48 log_crc: U32,
        /// Offset at which that log segment's entries ended.
        52 log_end: U32,
        /// Zero; other values are for later versions.
        56 reserved: [u8; 8],
    }
}

impl SegmentHeader {
    /// The header of log segment `segment`, the first of its database.
    pub fn first(database: DatabaseId, segment: u32, created_unix_us: i64) -> Self {
        Self {
            magic: SEGMENT_MAGIC,
            version_major: VERSION_MAJOR.into(),
            version_minor: VERSION_MINOR.into(),
            header_crc: U32::ZERO,
            database: database.0,
            segment: segment.into(),
            generation: U32::ZERO,
            log_first: segment.into(),
            log_last: segment.into(),
            part: U16::ZERO,
            parts: 1.into(),
            previous_segment: U32::ZERO,
            previous_end: U32::ZERO,
            previous_crc: U32::ZERO,
            created_unix_us: created_unix_us.into(),
            features_needed: U32::ZERO,
            features_optional: U32::ZERO,
            set: segment.into(),
            reserved: [0; 44],
        }
    }

    /// The header's bytes, checksum filled in.
    pub fn encode(mut self) -> [u8; 128] {
        self.header_crc = header_crc32(self.as_bytes(), HEADER_CRC_FIELD).into();
        let mut bytes = [0; 128];
        bytes.copy_from_slice(self.as_bytes());
        bytes
    }

    /// Reads and checks the header at the front of `bytes`.
    ///
    /// # Errors
    /// `Truncated`, `Corrupt`, or `Incompatible` for a newer major version or unknown features.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let Ok((header, _)) = Self::read_from_prefix(bytes) else {
            return Err(FormatError::truncated(0, "bytes end inside the segment header"));
        };
        if header.magic != SEGMENT_MAGIC {
            return Err(FormatError::corrupt(0, "not a presence segment"));
        }
        if header.version_major.get() > VERSION_MAJOR {
            return Err(FormatError::new(
                FormatErrorKind::Incompatible,
                8,
                format!(
                    "format version {}.{} is newer than {VERSION_MAJOR}.{VERSION_MINOR}; \
                     use a newer build",
                    header.version_major, header.version_minor
                ),
            ));
        }
        let covered = bytes.get(..Self::BYTES).unwrap_or_default();
        if header_crc32(covered, HEADER_CRC_FIELD) != header.header_crc.get() {
            return Err(FormatError::corrupt(12, "segment header does not match its checksum"));
        }
        if header.features_needed.get() != 0 {
            return Err(FormatError::new(
                FormatErrorKind::Incompatible,
                72,
                format!("unknown features {:#x}; use a newer build", header.features_needed),
            ));
        }
        header.check()?;
        Ok(header)
    }

    fn check(&self) -> Result<()> {
        let (first, last) = (self.log_first.get(), self.log_last.get());
        let is_log = self.generation.get() == 0;
        let own = self.segment.get();
        let sound = self.version_major.get() == VERSION_MAJOR
            && first != 0
            && first <= last
            && self.previous_segment.get() < first
            && self.part.get() < self.parts.get()
            && if is_log {
                own == first && own == last && self.set.get() == own && self.parts.get() == 1
            } else {
                own > last && self.set.get() > last
            };
        if sound { Ok(()) } else { Err(FormatError::corrupt(0, "impossible segment header")) }
    }

    /// The place that the segment's entries name.
    pub fn place(&self) -> Place {
        Place { database: DatabaseId(self.database).short(), segment: self.segment.get() }
    }
}

impl Footer {
    /// The footer's bytes, checksum filled in.
    pub fn encode(mut self) -> [u8; 64] {
        self.magic = FOOTER_MAGIC;
        self.footer_crc = header_crc32(self.as_bytes(), FOOTER_CRC_FIELD).into();
        let mut bytes = [0; 64];
        bytes.copy_from_slice(self.as_bytes());
        bytes
    }

    /// Reads and checks a footer that is all of `bytes`, of the segment at `place` with
    /// `file_bytes`.
    ///
    /// # Errors
    /// `Truncated`, `Corrupt` or `Foreign`.
    pub fn decode(bytes: &[u8], place: Place, file_bytes: u64) -> Result<Self> {
        let Ok(footer) = Self::read_from_bytes(bytes) else {
            return Err(FormatError::truncated(0, "too short for a footer"));
        };
        if footer.magic != FOOTER_MAGIC {
            return Err(FormatError::corrupt(0, "no footer: the segment is not sealed"));
        }
        if header_crc32(bytes, FOOTER_CRC_FIELD) != footer.footer_crc.get() {
            return Err(FormatError::corrupt(4, "footer does not match its checksum"));
        }
        if footer.database.get() != place.database || footer.segment.get() != place.segment {
            return Err(FormatError::new(
                FormatErrorKind::Foreign,
                8,
                "footer of another segment or database",
            ));
        }
        let (index, data_end) = (footer.index_offset.get(), footer.data_end.get());
        if data_end > index
            || u64::from(index) + (Self::BYTES as u64) > file_bytes
            || index % crate::entry::ENTRY_ALIGN != 0
            || data_end % crate::entry::ENTRY_ALIGN != 0
            || data_end < FIRST_ENTRY
        {
            return Err(FormatError::corrupt(20, "footer points outside the segment"));
        }
        Ok(footer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_change_these_constants() {
        // A database written years ago has these bytes. Changing one is not a fix.
        assert_eq!(SEGMENT_MAGIC, [0x89, 0x50, 0x52, 0x53, 0x0d, 0x0a, 0x1a, 0x0a]);
        assert_eq!(FOOTER_MAGIC, *b"PRSf");
        assert_eq!(crate::entry::ENTRY_MAGIC, *b"PRSe");
        assert_eq!((VERSION_MAJOR, SegmentHeader::BYTES, Footer::BYTES), (1, 128, 64));
        assert_eq!((crate::entry::EntryHeader::BYTES, crate::block::BlockHeader::BYTES), (64, 64));
    }

    #[test]
    fn a_header_is_refused_for_any_flipped_bit() {
        let bytes = SegmentHeader::first(DatabaseId([7; 16]), 1, 0).encode();
        assert!(SegmentHeader::decode(&bytes).is_ok());
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes;
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(SegmentHeader::decode(&damaged).is_err(), "bit {bit}");
        }
    }
}
