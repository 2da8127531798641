//! The four unsigned words that every element type is coded as: 1, 2, 4 or 8 bytes.
//!
//! # Invariants
//! - All arithmetic is modulo 2^bits: no value of any element type can overflow it.
//! - `L * B` is 128 for every word: one row of a packed mini-block is 128 bytes whatever its type.

/// An unsigned word of `B` bytes of which `L` make one row of 128 bytes.
pub(crate) trait Word<const B: usize, const L: usize>:
    Copy + Default + PartialEq + std::fmt::Debug + 'static
{
    /// Bits of the word: `8 * B`.
    const BITS: u32;
    /// Zero.
    const ZERO: Self;

    /// From little-endian bytes.
    fn from_le(bytes: [u8; B]) -> Self;
    /// To little-endian bytes.
    fn to_le(self) -> [u8; B];
    /// The low bits of `value`.
    fn truncate(value: u64) -> Self;
    /// Zero-extended.
    fn widen(self) -> u64;
    /// Sum modulo 2^bits.
    fn add(self, other: Self) -> Self;
    /// Difference modulo 2^bits.
    fn sub(self, other: Self) -> Self;
    /// Shift left by `count < BITS`; larger counts are taken modulo `BITS`.
    fn shl(self, count: u32) -> Self;
    /// Logical shift right by `count < BITS`; larger counts are taken modulo `BITS`.
    fn shr(self, count: u32) -> Self;
    /// Bitwise or.
    fn or(self, other: Self) -> Self;
    /// Bitwise and.
    fn and(self, other: Self) -> Self;
    /// Shift right by `count < BITS` of the word read as two's complement.
    fn signed_shr(self, count: u32) -> Self;
    /// The lesser of two words read as two's complement.
    fn signed_min(self, other: Self) -> Self;
    /// The greater of two words read as two's complement.
    fn signed_max(self, other: Self) -> Self;

    /// A key that sorts words as two's complement.
    fn signed_key(self) -> i64;

    /// The integer `d` for which [`decimal_value`](Self::decimal_value) gives back exactly this
    /// word, read as a float: `d = round(value * scale)`. The flag is false when there is none,
    /// as for NaN, infinities, negative zero, and words that are no floats.
    fn decimal_of(self, scale: f64) -> (Self, bool);
    /// The float nearest to `d / scale`, `d` being this word as two's complement.
    fn decimal_value(self, scale: f64) -> Self;

    /// Bits that hold the word: 0 for zero, `BITS` for the greatest.
    fn bits(self) -> u32 {
        u64::BITS - self.widen().leading_zeros()
    }

    /// A word whose `width` low bits are set.
    fn mask(width: u32) -> Self {
        match width {
            0 => Self::ZERO,
            _ => Self::truncate(u64::MAX >> (u64::BITS - width.min(Self::BITS))),
        }
    }
}

macro_rules! words {
    ($($word:ty, $signed:ty, $bytes:literal, $lanes:literal, $decimal:ident;)*) => {$(
        impl Word<$bytes, $lanes> for $word {
            const BITS: u32 = <$word>::BITS;
            const ZERO: Self = 0;

            #[inline(always)]
            fn from_le(bytes: [u8; $bytes]) -> Self {
                Self::from_le_bytes(bytes)
            }
            #[inline(always)]
            fn to_le(self) -> [u8; $bytes] {
                self.to_le_bytes()
            }
            #[inline(always)]
            fn truncate(value: u64) -> Self {
                value as Self
            }
            #[inline(always)]
            fn widen(self) -> u64 {
                u64::from(self)
            }
            #[inline(always)]
            fn add(self, other: Self) -> Self {
                self.wrapping_add(other)
            }
            #[inline(always)]
            fn sub(self, other: Self) -> Self {
                self.wrapping_sub(other)
            }
            #[inline(always)]
            fn shl(self, count: u32) -> Self {
                self.wrapping_shl(count)
            }
            #[inline(always)]
            fn shr(self, count: u32) -> Self {
                self.wrapping_shr(count)
            }
            #[inline(always)]
            fn or(self, other: Self) -> Self {
                self | other
            }
            #[inline(always)]
            fn and(self, other: Self) -> Self {
                self & other
            }
            #[inline(always)]
            fn signed_shr(self, count: u32) -> Self {
                (self as $signed).wrapping_shr(count) as Self
            }
            #[inline(always)]
            fn signed_min(self, other: Self) -> Self {
                (self as $signed).min(other as $signed) as Self
            }
            #[inline(always)]
            fn signed_max(self, other: Self) -> Self {
                (self as $signed).max(other as $signed) as Self
            }
            #[inline(always)]
            fn signed_key(self) -> i64 {
                i64::from(self as $signed)
            }
            #[inline(always)]
            fn decimal_of(self, scale: f64) -> (Self, bool) {
                $decimal::decimal_of(self, scale)
            }
            #[inline(always)]
            fn decimal_value(self, scale: f64) -> Self {
                $decimal::decimal_value(self, scale)
            }
        }
    )*};
}
words! {
    u8, i8, 1, 128, no_float;
    u16, i16, 2, 64, no_float;
    u32, i32, 4, 32, binary32;
    u64, i64, 8, 16, binary64;
}

/// Calls a function for the word that an element type is coded as.
macro_rules! by_word {
    ($dtype:expr, $($function:ident)::+($($argument:expr),*)) => {
        match $dtype.bytes() {
            1 => $($function)::+::<u8, 1, 128>($($argument),*),
            2 => $($function)::+::<u16, 2, 64>($($argument),*),
            4 => $($function)::+::<u32, 4, 32>($($argument),*),
            _ => $($function)::+::<u64, 8, 16>($($argument),*),
        }
    };
}
pub(super) use by_word;

/// Fills `values` from little-endian bytes. O(values).
///
/// Row by row: as one loop, it becomes one `memcpy`, which for the 8 KiB of a mini-block some C
/// libraries give to `rep movsb`, at a quarter of the speed when source and target lie alike in
/// their pages.
pub(crate) fn load<T: Word<B, L>, const B: usize, const L: usize>(
    bytes: &[[u8; B]],
    values: &mut [T],
) {
    let ((rows_in, rest_in), (rows, rest)) = (bytes.as_chunks::<L>(), values.as_chunks_mut::<L>());
    for (row, row_in) in rows.iter_mut().zip(rows_in) {
        for (value, &bytes) in row.iter_mut().zip(row_in) {
            *value = T::from_le(bytes);
        }
    }
    for (value, &bytes) in rest.iter_mut().zip(rest_in) {
        *value = T::from_le(bytes);
    }
}

/// Writes `values` as little-endian bytes; row by row as in [`load`]. O(values).
pub(crate) fn store<T: Word<B, L>, const B: usize, const L: usize>(
    values: &[T],
    bytes: &mut [[u8; B]],
) {
    let ((rows_out, rest_out), (rows, rest)) =
        (bytes.as_chunks_mut::<L>(), values.as_chunks::<L>());
    for (row_out, row) in rows_out.iter_mut().zip(rows) {
        for (bytes, value) in row_out.iter_mut().zip(row) {
            *bytes = value.to_le();
        }
    }
    for (bytes, value) in rest_out.iter_mut().zip(rest) {
        *bytes = value.to_le();
    }
}

/// Replaces each of `values` by `start` and the sum of all up to it. O(values).
///
/// Sums are taken in 64 bits whatever the word: that is exact modulo its bits, and faster for the
/// short ones.
pub(crate) fn running_sum<T: Word<B, L>, const B: usize, const L: usize>(
    values: &mut [T],
    start: T,
) {
    let mut sum = start.widen();
    let (fours, rest) = values.as_chunks_mut::<4>();
    for four in fours {
        // Only one addition of four waits for the sum before it.
        let [a, b, c, d] = *four;
        let ab = a.add(b).widen();
        let abc = ab.wrapping_add(c.widen());
        let abcd = ab.wrapping_add(c.add(d).widen());
        *four = [
            T::truncate(sum.wrapping_add(a.widen())),
            T::truncate(sum.wrapping_add(ab)),
            T::truncate(sum.wrapping_add(abc)),
            T::truncate(sum.wrapping_add(abcd)),
        ];
        sum = sum.wrapping_add(abcd);
    }
    for value in rest {
        sum = sum.wrapping_add(value.widen());
        *value = T::truncate(sum);
    }
}

/// Adding it to a double below 2^51 in magnitude rounds that to an integer, ties to even, and
/// leaves the integer in the low bits of the sum: 1.5 * 2^52.
const ROUND: f64 = 6_755_399_441_055_744.0;

/// Words that no float has.
mod no_float {
    #[inline(always)]
    pub(super) fn decimal_of<T>(bits: T, _scale: f64) -> (T, bool) {
        (bits, false)
    }
    #[inline(always)]
    pub(super) fn decimal_value<T>(decimal: T, _scale: f64) -> T {
        decimal
    }
}

/// Words that are the bits of an `f32`.
mod binary32 {
    use super::ROUND;

    /// 2^21: above it decimals are hardly shorter than the 24 bits of a significand, and with
    /// enough places every float is one.
    const DECIMAL_MAX: f64 = 2_097_152.0;

    #[inline(always)]
    pub(super) fn decimal_of(bits: u32, scale: f64) -> (u32, bool) {
        let scaled = f64::from(f32::from_bits(bits)) * scale;
        let rounded = scaled + ROUND;
        let decimal = rounded.to_bits().wrapping_sub(ROUND.to_bits()) as u32;
        let back = (((rounded - ROUND) / scale) as f32).to_bits();
        (decimal, (back == bits) & (scaled.abs() < DECIMAL_MAX))
    }

    #[inline(always)]
    pub(super) fn decimal_value(decimal: u32, scale: f64) -> u32 {
        ((f64::from(decimal as i32) / scale) as f32).to_bits()
    }
}

/// Words that are the bits of an `f64`.
mod binary64 {
    use super::ROUND;

    /// 2^51 - 1: beyond it, [`ROUND`] does not leave the integer in the low bits.
    const DECIMAL_MAX: f64 = 2_251_799_813_685_247.0;

    #[inline(always)]
    pub(super) fn decimal_of(bits: u64, scale: f64) -> (u64, bool) {
        let scaled = f64::from_bits(bits) * scale;
        let rounded = scaled + ROUND;
        let decimal = rounded.to_bits().wrapping_sub(ROUND.to_bits());
        let back = ((rounded - ROUND) / scale).to_bits();
        (decimal, (back == bits) & (scaled.abs() < DECIMAL_MAX))
    }

    #[inline(always)]
    pub(super) fn decimal_value(decimal: u64, scale: f64) -> u64 {
        (decimal as i64 as f64 / scale).to_bits()
    }
}
