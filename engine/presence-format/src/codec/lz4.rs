//! The `lz4` codec: an LZ4 block of the column as it is, or of its byte planes.
//!
//! | first byte | what follows |
//! |---|---|
//! | 0 | the column itself |
//! | 1 | an LZ4 block of the column |
//! | 2 | an LZ4 block of the column's byte planes |
//! | 3 | an LZ4 block of the byte planes of its deltas |
//!
//! Byte planes: the first bytes of all elements, then the second bytes, up to the last. Deltas:
//! each element less the same element of the record before, modulo `2^bits`; elements of the first
//! record stay. If a record has more than 64 elements (an image), the delta is to the element
//! before. A column of no values has no bytes.
//!
//! The block format is that of the LZ4 project (`lz4_Block_format.md`), without length prefix.
//!
//! # Invariants
//! - At most one byte is added to the column.
//! - Decoding allocates at most one buffer of the column's length.

use super::lanes::LANES_MAX;
use super::shuffle;
use super::word::{Word, by_word};
use crate::dtype::DType;
use crate::error::{FormatError, Result};

/// What is done before LZ4. The numbers are part of the format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Mode {
    Raw = 0,
    Plain = 1,
    Planes = 2,
    DeltaPlanes = 3,
}

/// Bytes of the column on which the modes are tried.
const SAMPLE_BYTES: usize = 16 << 10;

/// Appends the column `raw`, little-endian elements of `dtype`, `elements_per_record` a record.
/// The mode is the one that packs a sample from the middle best. O(raw).
pub fn encode(dtype: DType, elements_per_record: usize, raw: &[u8], out: &mut Vec<u8>) {
    if raw.is_empty() {
        return;
    }
    let modes: &[Mode] = match dtype.bytes() {
        1 => &[Mode::Plain, Mode::DeltaPlanes],
        _ => &[Mode::Plain, Mode::Planes, Mode::DeltaPlanes],
    };
    let record_bytes = dtype.bytes() * lag_of(elements_per_record);
    let sample_bytes = (SAMPLE_BYTES / record_bytes).max(1) * record_bytes;
    let middle = (raw.len().saturating_sub(sample_bytes) / 2) / record_bytes * record_bytes;
    let sample = raw.get(middle..).unwrap_or_default();
    let sample = sample.get(..sample_bytes).unwrap_or(sample);

    let mut scratch = Vec::new();
    let mut stored = Vec::new();
    let mut best = (sample.len(), Mode::Raw);
    for &mode in modes {
        let length = compress(mode, dtype, elements_per_record, sample, &mut scratch, &mut stored);
        if length < best.0 {
            best = (length, mode);
        }
    }
    if best.1 != Mode::Raw {
        let length = compress(best.1, dtype, elements_per_record, raw, &mut scratch, &mut stored);
        if let Some(block) = stored.get(..length).filter(|block| block.len() < raw.len()) {
            out.push(best.1 as u8);
            out.extend_from_slice(block);
            return;
        }
    }
    out.push(Mode::Raw as u8);
    out.extend_from_slice(raw);
}

/// Fills `raw` from all of `stored`; arguments as for [`encode`]. O(raw).
///
/// # Errors
/// Truncated when `stored` ends early, corrupt when it is no LZ4 block of the column's length.
pub fn decode(
    dtype: DType,
    elements_per_record: usize,
    stored: &[u8],
    raw: &mut [u8],
) -> Result<()> {
    if raw.is_empty() {
        return match stored {
            [] => Ok(()),
            _ => Err(FormatError::corrupt(0, "bytes in a column of no values")),
        };
    }
    if !raw.len().is_multiple_of(dtype.bytes()) {
        return Err(FormatError::invalid("the column is no whole number of elements"));
    }
    let (&mode, block) = stored
        .split_first()
        .ok_or_else(|| FormatError::truncated(0, "bytes end before the mode of lz4"))?;
    let lag = match mode {
        0 => {
            return super::decode_raw(block, raw).map_err(|error| error.at_base(1));
        }
        1 => return decompress(block, raw),
        2 => 0,
        3 => lag_of(elements_per_record),
        _ => return Err(FormatError::corrupt(0, format!("unknown lz4 mode {mode}"))),
    };
    let mut planes = vec![0; raw.len()];
    decompress(block, &mut planes)?;
    by_word!(dtype, shuffle::join(&planes, lag, raw));
    Ok(())
}

fn lag_of(elements_per_record: usize) -> usize {
    if (1..=LANES_MAX).contains(&elements_per_record) { elements_per_record } else { 1 }
}

/// Writes the block to the front of `stored` and returns its length, `usize::MAX` if LZ4 fails.
fn compress(
    mode: Mode,
    dtype: DType,
    elements_per_record: usize,
    raw: &[u8],
    scratch: &mut Vec<u8>,
    stored: &mut Vec<u8>,
) -> usize {
    let lag = if mode == Mode::DeltaPlanes { lag_of(elements_per_record) } else { 0 };
    let input = match mode {
        Mode::Raw | Mode::Plain => raw,
        Mode::Planes | Mode::DeltaPlanes => {
            scratch.resize(raw.len(), 0);
            by_word!(dtype, split(raw, lag, scratch))
        }
    };
    stored.resize(lz4_flex::block::get_maximum_output_size(input.len()), 0);
    lz4_flex::block::compress_into(input, stored).unwrap_or(usize::MAX)
}

fn split<'a, T: Word<B, L>, const B: usize, const L: usize>(
    raw: &[u8],
    lag: usize,
    scratch: &'a mut [u8],
) -> &'a [u8] {
    shuffle::split::<T, B, L>(raw, lag, scratch);
    scratch
}

fn decompress(block: &[u8], raw: &mut [u8]) -> Result<()> {
    match lz4_flex::block::decompress_into(block, raw) {
        Ok(length) if length == raw.len() => Ok(()),
        Ok(length) => Err(FormatError::corrupt(
            1,
            format!("lz4 block of {length} bytes where the column has {}", raw.len()),
        )),
        Err(error) => Err(FormatError::corrupt(1, format!("lz4: {error}"))),
    }
}
