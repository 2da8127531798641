//! The `packed` codec: a column as bit-packed mini-blocks.
//!
//! The column is cut as `codec/lanes.rs` says. A mini-block is described at the top of
//! `codec/mini_block.rs`, the packing of bits at that of `codec/bitpack.rs`.
//!
//! # Invariants
//! - At most one byte is added for each mini-block: what cannot be packed is stored raw.
//! - Every bit pattern of every element type comes back as it was.

use super::plan::Planner;
use super::word::{Word, by_word};
use super::{lanes, mini_block};
use crate::dtype::DType;
use crate::error::Result;

/// Appends the column `raw`, little-endian elements of `dtype`, `elements_per_record` a record.
/// O(raw).
pub fn encode(dtype: DType, elements_per_record: usize, raw: &[u8], out: &mut Vec<u8>) {
    let (lanes, float) = (elements_per_record, dtype.is_float());
    by_word!(dtype, encode_words(lanes, float, raw, out))
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
    by_word!(dtype, decode_words(lanes, float, stored, raw))
}

fn encode_words<T: Word<B, L>, const B: usize, const L: usize>(
    lanes: usize,
    float: bool,
    raw: &[u8],
    out: &mut Vec<u8>,
) {
    let mut planner = Planner::new();
    lanes::encode(lanes, raw, |values: &[T]| {
        mini_block::encode(values, float, &mut planner, out);
    });
}

fn decode_words<T: Word<B, L>, const B: usize, const L: usize>(
    lanes: usize,
    float: bool,
    stored: &[u8],
    raw: &mut [u8],
) -> Result<()> {
    lanes::decode(lanes, stored, raw, |stored, values: &mut [T]| {
        mini_block::decode(stored, float, values)
    })
}
