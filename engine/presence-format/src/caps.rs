//! Caps that are part of the format: a reader may rely on them, a writer must keep them.
//!
//! # Invariants
//! - A length read from disk is compared with its cap, and with the bytes at hand, before
//!   anything is allocated for it.

/// Largest stored or decoded payload of one block or frame. One 4K RGB image fits.
pub const PAYLOAD_BYTES_MAX: u32 = 32 << 20;
/// Most records in one block.
pub const BLOCK_RECORDS_MAX: u32 = 1 << 17;
/// Largest segment. Offsets inside a segment fit 32 bits with room to spare.
pub const SEGMENT_BYTES_MAX: u32 = 1 << 30;
/// Most streams of one database. Stream ids run from 1 to this.
pub const STREAMS_MAX: u32 = 1 << 16;
/// Largest catalog of a whole database, in bytes: it opens every segment.
pub const CATALOG_BYTES_MAX: usize = 8 << 20;
/// Longest stream or column name, in bytes of UTF-8.
pub const NAME_BYTES_MAX: usize = 255;
/// Most columns of one stream.
pub const COLUMNS_MAX: usize = 1024;
/// Most dimensions of one column's shape.
pub const SHAPE_DIMENSIONS_MAX: usize = 4;
/// Largest record: timestamp and all columns, in bytes.
pub const RECORD_BYTES_MAX: u32 = PAYLOAD_BYTES_MAX - 4096;
/// Payload bytes under one checksum; larger payloads carry a table of them.
pub const CHECKSUM_PIECE_BYTES: u32 = 64 << 10;
