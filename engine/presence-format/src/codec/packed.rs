//! The `packed` codec: a column as bit-packed mini-blocks.
//!
//! A column of `count * elements` values has as many **lanes** as elements if a record has 2 to 64
//! of them, and one lane otherwise: a lane is the same element of successive records. Lanes are
//! cut into runs of 1024 records (with one lane: of 1024 values); the last run may be shorter. The
//! mini-blocks of a run follow each other in the order of their lanes, and the runs in the order of
//! records, with no bytes between, before or after them. A mini-block is described at the top of
//! `codec/mini_block.rs`, the packing of bits at that of `codec/bitpack.rs`. A column of no values
//! has no bytes.
//!
//! # Invariants
//! - At most one byte is added for each mini-block: what cannot be packed is stored raw.
//! - Every bit pattern of every element type comes back as it was.

pub mod runs;

use super::bitpack::MINI_BLOCK;
use super::mini_block;
use super::plan::Planner;
use super::word::{self, Word};
use crate::dtype::DType;
use crate::error::{FormatError, Result};

/// Most elements of a record that get a lane each.
pub const LANES_MAX: usize = 64;

/// Appends the column `raw`, little-endian elements of `dtype`, `elements_per_record` a record.
/// O(raw).
pub fn encode(dtype: DType, elements_per_record: usize, raw: &[u8], out: &mut Vec<u8>) {
    let (lanes, float) = (elements_per_record, dtype.is_float());
    match dtype.bytes() {
        1 => encode_words::<u8, 1, 128>(lanes, float, raw, out),
        2 => encode_words::<u16, 2, 64>(lanes, float, raw, out),
        4 => encode_words::<u32, 4, 32>(lanes, float, raw, out),
        _ => encode_words::<u64, 8, 16>(lanes, float, raw, out),
    }
}

/// Fills `raw` from all of `stored`; arguments as for [`encode`]. O(raw), allocating nothing.
///
/// # Errors
/// Truncated when `stored` ends early, corrupt when a field is out of its range or bytes are left.
pub fn decode(
    dtype: DType,
    elements_per_record: usize,
    stored: &[u8],
    raw: &mut [u8],
) -> Result<()> {
    let (lanes, float) = (elements_per_record, dtype.is_float());
    match dtype.bytes() {
        1 => decode_words::<u8, 1, 128>(lanes, float, stored, raw),
        2 => decode_words::<u16, 2, 64>(lanes, float, stored, raw),
        4 => decode_words::<u32, 4, 32>(lanes, float, stored, raw),
        _ => decode_words::<u64, 8, 16>(lanes, float, stored, raw),
    }
}

fn lanes_of(elements_per_record: usize) -> usize {
    if (2..=LANES_MAX).contains(&elements_per_record) { elements_per_record } else { 1 }
}

fn encode_words<T: Word<B, L>, const B: usize, const L: usize>(
    elements_per_record: usize,
    float: bool,
    raw: &[u8],
    out: &mut Vec<u8>,
) {
    let lanes = lanes_of(elements_per_record);
    let mut values = [T::ZERO; MINI_BLOCK];
    let mut planner = Planner::new();
    for run in raw.chunks(MINI_BLOCK * lanes * B) {
        let words = run.as_chunks::<B>().0;
        let count = words.len() / lanes;
        let Some(values) = values.get_mut(..count) else { continue };
        for lane in 0..lanes {
            if lanes == 1 {
                word::load(words, values);
            } else {
                let words = words.get(lane..).unwrap_or_default().iter().step_by(lanes);
                for (value, &bytes) in values.iter_mut().zip(words) {
                    *value = T::from_le(bytes);
                }
            }
            mini_block::encode(values, float, &mut planner, out);
        }
    }
}

fn decode_words<T: Word<B, L>, const B: usize, const L: usize>(
    elements_per_record: usize,
    float: bool,
    stored: &[u8],
    raw: &mut [u8],
) -> Result<()> {
    let lanes = lanes_of(elements_per_record);
    if !raw.len().is_multiple_of(lanes * B) {
        return Err(FormatError::invalid("the column is no whole number of records"));
    }
    let mut values = [T::ZERO; MINI_BLOCK];
    let mut rest = stored;
    for run in raw.chunks_mut(MINI_BLOCK * lanes * B) {
        let words = run.as_chunks_mut::<B>().0;
        let Some(values) = values.get_mut(..words.len() / lanes) else { continue };
        for lane in 0..lanes {
            let at = (stored.len() - rest.len()) as u64;
            rest = mini_block::decode(rest, float, values).map_err(|error| error.at_base(at))?;
            if lanes == 1 {
                word::store(values, words);
            } else {
                let words = words.get_mut(lane..).unwrap_or_default().iter_mut().step_by(lanes);
                for (bytes, value) in words.zip(values.iter()) {
                    *bytes = value.to_le();
                }
            }
        }
    }
    match rest {
        [] => Ok(()),
        _ => Err(FormatError::corrupt(
            (stored.len() - rest.len()) as u64,
            "bytes after the last mini-block",
        )),
    }
}
