//! Byte planes and deltas: what is done to words before a byte-wise compressor sees them.
//!
//! [`split`] writes the first bytes of all words, then the second bytes, and so on; [`join`] is its
//! inverse. Deltas are between the same elements of successive records, modulo `2^(8 * B)`. The
//! idea is that of the shuffle filter of HDF5 and Blosc.
//!
//! # Invariants
//! - Input and output have the same length, a whole number of words.

use super::word::Word;

/// Writes the words of `raw`, less the word `lag` before them (0 where there is none; lag 0 means
/// no delta), as planes of bytes. O(raw).
pub(crate) fn split<T: Word<B, L>, const B: usize, const L: usize>(
    raw: &[u8],
    lag: usize,
    planes: &mut [u8],
) {
    let words = raw.as_chunks::<B>().0;
    if words.is_empty() {
        return;
    }
    for (index, plane) in planes.chunks_exact_mut(words.len()).enumerate() {
        let byte = |bytes: [u8; B]| bytes.get(index).copied().unwrap_or_default();
        if lag == 0 {
            plane.iter_mut().zip(words).for_each(|(to, &bytes)| *to = byte(bytes));
            continue;
        }
        for (to, &bytes) in plane.iter_mut().zip(words.iter().take(lag)) {
            *to = byte(bytes);
        }
        let later = plane.get_mut(lag..).unwrap_or_default().iter_mut();
        for ((to, &bytes), &before) in later.zip(words.iter().skip(lag)).zip(words) {
            *to = byte(T::from_le(bytes).sub(T::from_le(before)).to_le());
        }
    }
}

/// Inverse of [`split`] with the same `lag`. O(raw).
pub(crate) fn join<T: Word<B, L>, const B: usize, const L: usize>(
    planes: &[u8],
    lag: usize,
    raw: &mut [u8],
) {
    let words = raw.as_chunks_mut::<B>().0;
    if words.is_empty() {
        return;
    }
    for (index, plane) in planes.chunks_exact(words.len()).enumerate() {
        for (bytes, &from) in words.iter_mut().zip(plane) {
            if let Some(byte) = bytes.get_mut(index) {
                *byte = from;
            }
        }
    }
    if lag == 0 {
        return;
    }
    for index in lag..words.len() {
        let Some(&before) = words.get(index - lag) else { return };
        let Some(bytes) = words.get_mut(index) else { return };
        *bytes = T::from_le(*bytes).add(T::from_le(before)).to_le();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<T: Word<B, L>, const B: usize, const L: usize>() {
        for words in [0, 1, 2, 7, 300] {
            let raw: Vec<u8> = (0..words * B).map(|i| (i * i * 31 + i) as u8).collect();
            for lag in [0, 1, 3, 301] {
                let mut planes = vec![0; raw.len()];
                let mut back = vec![0; raw.len()];
                split::<T, B, L>(&raw, lag, &mut planes);
                join::<T, B, L>(&planes, lag, &mut back);
                assert_eq!(back, raw);
            }
        }
    }

    #[test]
    fn join_is_the_inverse_of_split() {
        check::<u8, 1, 128>();
        check::<u16, 2, 64>();
        check::<u32, 4, 32>();
        check::<u64, 8, 16>();
    }

    #[test]
    fn planes_are_the_bytes_in_order_of_significance() {
        let mut planes = [0; 4];
        split::<u16, 2, 64>(&[1, 2, 3, 4], 0, &mut planes);
        assert_eq!(planes, [1, 3, 2, 4]);
        split::<u16, 2, 64>(&[0xff, 0, 1, 2], 1, &mut planes);
        assert_eq!(planes, [0xff, 2, 0, 1]);
    }
}
