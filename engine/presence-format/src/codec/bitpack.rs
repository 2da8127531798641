//! Bit packing of words: full mini-blocks in rows, shorter runs as one bit stream.
//!
//! **Rows** (exactly [`MINI_BLOCK`] values). A row is `L = 128 / B` lanes, `B` being the bytes of
//! a word, so 1024 values are `8 * B` rows and value `i` is in row `i / L`, lane `i % L`. Each
//! lane is a stream of bits, least significant first, in which row `r` takes bits `r * width` to
//! `r * width + width`. The stream is cut into words; word `k` of lane `l` is little-endian at
//! byte `(k * L + l) * B`. As `8 * B` rows fill exactly `width` words, the size is `width * 128`
//! bytes. All lanes of a row shift by the same count, which vectorises for every width with the
//! instructions that all processors have, and needs one loop instead of one kernel a width.
//!
//! **Stream** (any other count): value `i` takes bits `i * width` to `i * width + width` of one
//! stream of bits, least significant first, of `ceil(count * width / 8)` bytes. The bits after the
//! last value are zero.
//!
//! The row layout is the interleaved one of Lemire and Boytsov, "Decoding billions of integers per
//! second through vectorization" (2015), with the 1024-value unit and the virtual 1024-bit
//! register of Afroozeh and Boncz, "The FastLanes compression layout" (2023), but with values in
//! their own order: a running sum costs one addition a value anyway.
//!
//! # Invariants
//! - No value is read or written beyond the count; widths are 0 to the bits of a word.
//! - Decoders check the size of their input before they read it.

use super::word::Word;

/// Values of one full mini-block.
pub(crate) const MINI_BLOCK: usize = 1024;
/// Bytes of one row of packed words.
const ROW_BYTES: usize = 128;

/// Bytes that `count` values of `width` bits take. O(1).
pub(crate) fn packed_bytes(count: usize, width: u32) -> usize {
    // Equal to `width * 128` for a full mini-block.
    count.saturating_mul(width as usize).div_ceil(8)
}

/// Appends `value - base` of every value, `width` bits each. Higher bits are dropped: the caller
/// stores what does not fit elsewhere. O(values).
pub(crate) fn pack<T: Word<B, L>, const B: usize, const L: usize>(
    values: &[T],
    base: T,
    width: u32,
    out: &mut Vec<u8>,
) {
    if width == 0 {
        return;
    }
    let start = out.len();
    out.resize(start + packed_bytes(values.len(), width), 0);
    let packed = out.get_mut(start..).unwrap_or_default();
    if values.len() == MINI_BLOCK {
        pack_rows(values, base, width, packed);
    } else {
        pack_stream(values, base, width, packed);
    }
}

/// Fills `values` with `base` plus what was packed; `packed` has [`packed_bytes`] bytes. O(values).
pub(crate) fn unpack<T: Word<B, L>, const B: usize, const L: usize>(
    packed: &[u8],
    base: T,
    width: u32,
    values: &mut [T],
) {
    debug_assert_eq!(packed.len(), packed_bytes(values.len(), width));
    if width == 0 {
        values.fill(base);
    } else if values.len() == MINI_BLOCK {
        unpack_rows(packed, base, width, values);
    } else {
        unpack_stream(packed, base, width, values);
    }
}

#[inline(never)]
fn pack_rows<T: Word<B, L>, const B: usize, const L: usize>(
    values: &[T],
    base: T,
    width: u32,
    packed: &mut [u8],
) {
    let mask = T::mask(width);
    let mut rows_out = packed.as_chunks_mut::<ROW_BYTES>().0.iter_mut();
    let mut word = [T::ZERO; L];
    let mut shift = 0;
    for row in values.as_chunks::<L>().0 {
        for (word, &value) in word.iter_mut().zip(row) {
            *word = word.or(value.sub(base).and(mask).shl(shift));
        }
        shift += width;
        if shift < T::BITS {
            continue;
        }
        shift -= T::BITS;
        if let Some(row_out) = rows_out.next() {
            for (bytes, word) in row_out.as_chunks_mut::<B>().0.iter_mut().zip(word) {
                *bytes = word.to_le();
            }
        }
        if shift == 0 {
            word = [T::ZERO; L];
        } else {
            for (word, &value) in word.iter_mut().zip(row) {
                *word = value.sub(base).and(mask).shr(width - shift);
            }
        }
    }
}

#[inline(never)]
fn unpack_rows<T: Word<B, L>, const B: usize, const L: usize>(
    packed: &[u8],
    base: T,
    width: u32,
    values: &mut [T],
) {
    let mask = T::mask(width);
    let mut rows = packed.as_chunks::<ROW_BYTES>().0;
    let mut shift = 0;
    for out in values.as_chunks_mut::<L>().0 {
        let [row, following @ ..] = rows else { return };
        let words = row.as_chunks::<B>().0;
        if shift + width <= T::BITS {
            for (value, &bytes) in out.iter_mut().zip(words) {
                *value = T::from_le(bytes).shr(shift).and(mask).add(base);
            }
            shift += width;
            if shift == T::BITS {
                shift = 0;
                rows = following;
            }
        } else {
            let [next, ..] = following else { return };
            let next = next.as_chunks::<B>().0;
            let low_bits = T::BITS - shift;
            for ((value, &low), &high) in out.iter_mut().zip(words).zip(next) {
                let low = T::from_le(low).shr(shift);
                let high = T::from_le(high).shl(low_bits);
                *value = low.or(high).and(mask).add(base);
            }
            shift = width - low_bits;
            rows = following;
        }
    }
}

fn pack_stream<T: Word<B, L>, const B: usize, const L: usize>(
    values: &[T],
    base: T,
    width: u32,
    packed: &mut [u8],
) {
    let mask = T::mask(width);
    let mut rest = packed;
    let mut pending = 0_u128;
    let mut pending_bits = 0;
    for &value in values {
        // At most 63 bits wait, and at most 64 come.
        pending |= u128::from(value.sub(base).and(mask).widen()) << pending_bits;
        pending_bits += width;
        if pending_bits >= u64::BITS {
            let full = std::mem::take(&mut rest).split_first_chunk_mut::<8>();
            let Some((bytes, following)) = full else { return };
            *bytes = (pending as u64).to_le_bytes();
            rest = following;
            pending >>= u64::BITS;
            pending_bits -= u64::BITS;
        }
    }
    for (byte, bits) in rest.iter_mut().zip((pending as u64).to_le_bytes()) {
        *byte = bits;
    }
}

/// Widths of which every value lies in eight successive bytes.
const WINDOW_BITS_MAX: u32 = 57;

fn unpack_stream<T: Word<B, L>, const B: usize, const L: usize>(
    packed: &[u8],
    base: T,
    width: u32,
    values: &mut [T],
) {
    if width > WINDOW_BITS_MAX {
        return unpack_bits(packed, base, width, values);
    }
    let mask = T::mask(width);
    let mut rest = packed;
    let (eights, few) = values.as_chunks_mut::<8>();
    let mut eights = eights.iter_mut();
    // Eight values are `width` bytes: each is read by itself, none waits for the one before.
    while let Some(window) = rest.get(..width as usize + 7) {
        let Some(eight) = eights.next() else { break };
        for (value, bit) in eight.iter_mut().zip((0..).step_by(width as usize)) {
            let bytes = window.get(bit / 8..).and_then(<[u8]>::first_chunk::<8>);
            let bits = bytes.map_or(0, |bytes| u64::from_le_bytes(*bytes)) >> (bit % 8);
            *value = T::truncate(bits).and(mask).add(base);
        }
        rest = rest.get(width as usize..).unwrap_or_default();
    }
    let left = eights.into_slice().as_flattened_mut();
    let (whole, last) =
        rest.split_at_checked(left.len() * width as usize / 8).unwrap_or((rest, &[]));
    unpack_bits(whole, base, width, left);
    unpack_bits(last, base, width, few);
}

/// One value after the other.
fn unpack_bits<T: Word<B, L>, const B: usize, const L: usize>(
    packed: &[u8],
    base: T,
    width: u32,
    values: &mut [T],
) {
    let mask = T::mask(width);
    let mut rest = packed;
    let mut pending = 0_u128;
    let mut pending_bits = 0;
    for value in values {
        if pending_bits < width {
            let bits = if let Some((bytes, following)) = rest.split_first_chunk::<8>() {
                rest = following;
                u64::from_le_bytes(*bytes)
            } else {
                let mut bytes = [0; 8];
                for (byte, &last) in bytes.iter_mut().zip(rest) {
                    *byte = last;
                }
                rest = &[];
                u64::from_le_bytes(bytes)
            };
            // Fewer than 64 bits wait, so all of the new ones fit.
            pending |= u128::from(bits) << pending_bits;
            pending_bits += u64::BITS;
        }
        *value = T::truncate(pending as u64).and(mask).add(base);
        pending >>= width;
        pending_bits -= width;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Where bit `bit` of value `index` is: byte and bit in it, by the words of the module docs.
    fn place(count: usize, word_bytes: usize, width: usize, index: usize, bit: usize) -> usize {
        if count != MINI_BLOCK {
            return index * width + bit;
        }
        let lanes = 128 / word_bytes;
        let (row, lane) = (index / lanes, index % lanes);
        let stream_bit = row * width + bit;
        let word = stream_bit / (8 * word_bytes);
        ((word * lanes + lane) * word_bytes) * 8 + stream_bit % (8 * word_bytes)
    }

    fn unpack_naive(packed: &[u8], word_bytes: usize, width: usize, count: usize) -> Vec<u64> {
        let value = |index| {
            (0..width).fold(0, |value, bit| {
                let place = place(count, word_bytes, width, index, bit);
                value | (u64::from(packed[place / 8] >> (place % 8) & 1) << bit)
            })
        };
        (0..count).map(value).collect()
    }

    fn check<T: Word<B, L>, const B: usize, const L: usize>(seed: u64, count: usize, base: u64) {
        for width in 0..=T::BITS {
            let base = T::truncate(base);
            let mut state = seed;
            let values: Vec<T> = (0..count)
                .map(|_| {
                    state =
                        state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767);
                    T::truncate(state ^ (state >> 29)).and(T::mask(width)).add(base)
                })
                .collect();
            let mut packed = vec![7];
            pack(&values, base, width, &mut packed);
            assert_eq!(packed.len(), 1 + packed_bytes(count, width));
            let mut back = vec![T::ZERO; count];
            unpack(&packed[1..], base, width, &mut back);
            assert_eq!(back, values, "width {width}");
            let naive = unpack_naive(&packed[1..], B, width as usize, count);
            let naive: Vec<T> = naive.into_iter().map(|v| T::truncate(v).add(base)).collect();
            assert_eq!(naive, values, "width {width}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]
        #[test]
        fn packs_as_the_naive_twin(
            seed: u64,
            base: u64,
            count in prop_oneof![Just(MINI_BLOCK), 0..40_usize, 1000..1030_usize],
        ) {
            check::<u8, 1, 128>(seed, count, base);
            check::<u16, 2, 64>(seed, count, base);
            check::<u32, 4, 32>(seed, count, base);
            check::<u64, 8, 16>(seed, count, base);
        }
    }
}
