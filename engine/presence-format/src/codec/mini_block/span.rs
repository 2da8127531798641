//! Where a mini-block ends, and between which words all of it lies, without unpacking it.
//!
//! # Invariants
//! - Nothing is unpacked, and nothing allocated.
//! - Bounds hold for what [`super::decode`] makes of the same bytes, or are not given.

use super::{EXCEPTED, Fields, MODE_MASK, Mode, PATCHED, Word, bitpack};
use crate::error::Result;

/// A word that none of the words is below, and one that none is above.
pub(crate) type Bounds = Option<(u64, u64)>;

/// The bounds of the `count` words, unsigned, of the mini-block at the front of `stored`, and the
/// bytes that follow it. O(patches).
///
/// Words stored as they are, as differences or as decimals have none.
///
/// # Errors
/// Truncated when `stored` ends early, corrupt when the width is beyond the type's.
pub(crate) fn span<T: Word<B, L>, const B: usize, const L: usize>(
    stored: &[u8],
    count: usize,
) -> Result<(Bounds, &[u8])> {
    let mut fields = Fields::new(stored);
    let [head] = *fields.array::<1>()?;
    let mode = head & MODE_MASK;
    if mode == Mode::Raw as u8 {
        fields.bytes(count.saturating_mul(B))?;
        return Ok((None, fields.rest()));
    }
    let width = u32::from(fields.array::<1>()?[0]);
    if width > T::BITS {
        return Err(fields.corrupt(format!("width of {width} bits exceeds the type's")));
    }
    let base = T::from_le(*fields.array()?);
    for summed in [Mode::Deltas, Mode::DeltasOfDeltas] {
        if mode >= summed as u8 {
            fields.array::<B>()?;
        }
    }
    fields.bytes(bitpack::packed_bytes(count, width))?;
    let mut bounds = (base.widen(), base.add(T::mask(width)).widen());
    let is_plain = head & !PATCHED == Mode::Values as u8 && bounds.0 <= bounds.1;
    for list in [PATCHED, EXCEPTED] {
        if head & list != 0 {
            let listed = usize::from(u16::from_le_bytes(*fields.array()?));
            fields.bytes(listed * 2)?;
            for &word in fields.bytes(listed.saturating_mul(B))?.as_chunks::<B>().0 {
                let word = T::from_le(word).add(base).widen();
                bounds = (bounds.0.min(word), bounds.1.max(word));
            }
        }
    }
    Ok((is_plain.then_some(bounds), fields.rest()))
}
