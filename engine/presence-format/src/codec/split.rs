//! The `split` codec: a column as mini-blocks of two or three widths, for events.
//!
//! The column is cut as `codec/lanes.rs` says. What is near and what is far is described at the
//! top of `codec/split_block.rs`, the packing of bits at that of `codec/bitpack.rs`. Floats are
//! packed as the integers that their bits are.
//!
//! # Invariants
//! - At most one byte is added for each run: what cannot be packed is stored raw.
//! - Every bit pattern of every element type comes back as it was.

use super::split_block::{FarRoom, Room};
use super::word::{Word, by_word};
use super::{lanes, split_block};
use crate::dtype::DType;
use crate::error::Result;

/// Appends the column `raw`, little-endian elements of `dtype`, `elements_per_record` a record.
/// O(raw).
pub fn encode(dtype: DType, elements_per_record: usize, raw: &[u8], out: &mut Vec<u8>) {
    by_word!(dtype, encode_words(elements_per_record, raw, out))
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
    by_word!(dtype, decode_words(elements_per_record, stored, raw))
}

fn encode_words<T: Word<B, L>, const B: usize, const L: usize>(
    lanes: usize,
    raw: &[u8],
    out: &mut Vec<u8>,
) {
    let mut room = Room::new();
    lanes::encode(lanes, raw, |values: &[T]| split_block::encode(values, &mut room, out));
}

fn decode_words<T: Word<B, L>, const B: usize, const L: usize>(
    lanes: usize,
    stored: &[u8],
    raw: &mut [u8],
) -> Result<()> {
    let mut room = FarRoom::default();
    lanes::decode(lanes, stored, raw, |stored, values: &mut [T]| {
        split_block::decode(stored, &mut room, values)
    })
}
