//! Codecs of block payloads: one call is one column of a block.
//!
//! The caller frames the result: it stores its length, its checksum, the codec, and the number of
//! records; the stream's schema has the element type and shape.
//!
//! # Invariants
//! - Every codec is lossless for every bit pattern of every element type.
//! - Decoding fills all of its output or fails; it never panics, and never allocates more than a
//!   small multiple of the output's length.
//! - To what it cannot compress a codec adds at most one byte, `packed` and `split` one for each
//!   run of up to 1024 values of one element.

mod bitpack;
mod fields;
mod lanes;
pub mod lz4;
mod mini_block;
pub mod packed;
mod plan;
pub mod runs;
mod shuffle;
pub mod split;
mod split_block;
mod split_plan;
mod word;

#[cfg(test)]
mod tests;

use crate::dtype::DType;
use crate::error::{FormatError, Result};
use crate::schema::Compression;

/// Appends the column `raw` to `out`, compressed.
///
/// `raw` is contiguous little-endian elements of `dtype`, `elements_per_record` of them for each
/// record; timestamps are a column of `i64`. O(raw).
pub fn encode(
    compression: Compression,
    dtype: DType,
    elements_per_record: usize,
    raw: &[u8],
    out: &mut Vec<u8>,
) {
    debug_assert!(raw.len().is_multiple_of(dtype.bytes() * elements_per_record.max(1)));
    match compression {
        // Presence is of all lanes of a block together: see `crate::plane`.
        Compression::None | Compression::Presence => out.extend_from_slice(raw),
        Compression::Lz4 => lz4::encode(dtype, elements_per_record, raw, out),
        Compression::Packed => packed::encode(dtype, elements_per_record, raw, out),
        Compression::Split => split::encode(dtype, elements_per_record, raw, out),
    }
}

/// Fills `raw` from all of `stored`, which [`encode`] made with the same arguments. The length of
/// `raw` is known from the number of records. O(raw).
///
/// # Errors
/// [`Truncated`](crate::FormatErrorKind::Truncated) when `stored` ends early,
/// [`Corrupt`](crate::FormatErrorKind::Corrupt) when a field of it is out of its range or it does
/// not fit the length of `raw`, [`Invalid`](crate::FormatErrorKind::Invalid) when that length is no
/// whole number of records. What `raw` holds after an error is not specified.
pub fn decode(
    compression: Compression,
    dtype: DType,
    elements_per_record: usize,
    stored: &[u8],
    raw: &mut [u8],
) -> Result<()> {
    match compression {
        Compression::None | Compression::Presence => decode_raw(stored, raw),
        Compression::Lz4 => lz4::decode(dtype, elements_per_record, stored, raw),
        Compression::Packed => packed::decode(dtype, elements_per_record, stored, raw),
        Compression::Split => split::decode(dtype, elements_per_record, stored, raw),
    }
}

fn decode_raw(stored: &[u8], raw: &mut [u8]) -> Result<()> {
    if stored.len() < raw.len() {
        return Err(FormatError::truncated(stored.len() as u64, "bytes end inside the column"));
    }
    if stored.len() > raw.len() {
        return Err(FormatError::corrupt(raw.len() as u64, "bytes after the column"));
    }
    raw.copy_from_slice(stored);
    Ok(())
}
