//! Lanes of a column, and their runs: what `packed` and `split` make a mini-block of.
//!
//! A column of `count * elements` values has as many **lanes** as elements if a record has 2 to 64
//! of them, and one lane otherwise: a lane is the same element of successive records. Lanes are
//! cut into runs of 1024 records (with one lane: of 1024 values); the last run may be shorter. What
//! is made of the runs of all lanes of the same records follows each other in the order of the
//! lanes, and these in the order of records, with no bytes between, before or after them. A column
//! of no values has no bytes.
//!
//! # Invariants
//! - Every run has 1 to 1024 values.

use super::bitpack::MINI_BLOCK;
use super::word::{self, Word};
use crate::error::{FormatError, Result};

/// Most elements of a record that get a lane each.
pub(crate) const LANES_MAX: usize = 64;

/// Lanes of a column.
pub(super) fn lanes_of(elements_per_record: usize) -> usize {
    if (2..=LANES_MAX).contains(&elements_per_record) { elements_per_record } else { 1 }
}

/// Gives `encode` the runs of `raw`, in the order they are stored. O(raw).
pub(super) fn encode<T: Word<B, L>, const B: usize, const L: usize>(
    elements_per_record: usize,
    raw: &[u8],
    mut encode: impl FnMut(&[T]),
) {
    let lanes = lanes_of(elements_per_record);
    let mut values = [T::ZERO; MINI_BLOCK];
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
            encode(values);
        }
    }
}

/// Fills `raw` with the runs that `decode` makes of the front of the bytes it is given; it returns
/// those that follow. O(raw).
///
/// # Errors
/// Those of `decode`; corrupt when bytes are left, invalid when `raw` is no whole number of
/// records.
pub(super) fn decode<T: Word<B, L>, const B: usize, const L: usize>(
    elements_per_record: usize,
    stored: &[u8],
    raw: &mut [u8],
    mut decode: impl for<'a> FnMut(&'a [u8], &mut [T]) -> Result<&'a [u8]>,
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
            rest = decode(rest, values).map_err(|error| error.at_base(at))?;
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
