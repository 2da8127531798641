//! One mini-block: up to 1024 words of one lane, packed the cheapest way.
//!
//! | bytes | field | present |
//! |---|---|---|
//! | 1 | `head`: bits 0-1 `mode`, bit 2 `patched`, bit 3 `excepted`, bits 4-7 `decimal` | always |
//! | `n * B` | the words, in order | mode 0; nothing else follows, and `head` is 0 |
//! | 1 | `width`, 0 to `8 * B` | modes 1 to 3 |
//! | B | `base` | modes 1 to 3 |
//! | B | `start` | modes 2 and 3 |
//! | B | `step` | mode 3 |
//! | `ceil(n * width / 8)` | `packed`, see [`super::bitpack`] | modes 1 to 3 |
//! | 2 + k * (2 + B) | patches: count `k`, `k` positions, `k` words | `patched` |
//! | 2 + k * (2 + B) | exceptions: count `k`, `k` positions, `k` words | `excepted` |
//!
//! `n` is the number of values and is known from outside; `B` is the bytes of a word. Counts and
//! positions are `u16`; everything is little-endian, and all sums are modulo `2^(8 * B)`:
//!
//! 1. `p[i]` is the i-th packed value; then, for each patch, `p[position] = word`;
//! 2. `q[i] = p[i] + base`;
//! 3. mode 1: `w[i] = q[i]`.
//!    Mode 2: `w[i] = w[i-1] + q[i]`, where `w[-1] = start`.
//!    Mode 3: `d[i] = d[i-1] + q[i]` and `w[i] = w[i-1] + d[i]`, where `d[-1] = step` and
//!    `w[-1] = start`;
//! 4. if `decimal` is not 0 (floats only), `w[i]` as a two's complement integer is divided by
//!    `10^(decimal - 1)` as an IEEE 754 double, and the bits of the quotient (for `f32` rounded to
//!    single precision, ties to even) become `w[i]`;
//! 5. for each exception, `w[position] = word`.
//!
//! Frame of reference with patches follows Zukowski et al., "Super-scalar RAM-CPU cache
//! compression" (2006); decimals follow Afroozeh, Kuffo and Boncz, "ALP: adaptive lossless
//! floating-point compression" (2023), but divide: the quotient is then the double that a parser
//! of the decimal text gives, and one exponent is enough.
//!
//! # Invariants
//! - At most `1 + n * B` bytes are written.
//! - Decoding allocates nothing, and checks every length and position before it is used.

pub(super) mod span;

use super::bitpack::{self, MINI_BLOCK};
use super::fields::Fields;
use super::plan::{Mode, Plan, Planner};
use super::word::{self, Word};
use crate::error::Result;

const MODE_MASK: u8 = 0b11;
const PATCHED: u8 = 0b100;
const EXCEPTED: u8 = 0b1000;
const DECIMAL_SHIFT: u32 = 4;
/// Largest power of ten tried: `decimal` is one more, and has four bits.
const EXPONENT_MAX: usize = 14;
/// Powers of ten that a double holds exactly.
const SCALES: [f64; EXPONENT_MAX + 1] =
    [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14];
/// Values looked at to find the exponent.
const SAMPLE: usize = 16;
/// One value in so many may be no decimal.
const EXCEPTION_SHARE: usize = 8;
/// Values of a mini-block among which one look finds whether any is in a list.
const RUN: usize = 64;

/// Appends `values`, at most 1024 of them; `float` says that they are bits of floats.
///
/// O(values); decimal floats are packed twice unless the first result is less than half of raw.
pub(crate) fn encode<T: Word<B, L>, const B: usize, const L: usize>(
    values: &[T],
    float: bool,
    planner: &mut Planner<T>,
    out: &mut Vec<u8>,
) {
    debug_assert!(values.len() <= MINI_BLOCK);
    let start = out.len();
    let raw_bytes = values.len() * B;
    let exponent = if float { exponent(values) } else { None };
    let decimal_bytes = match exponent {
        Some(exponent) => encode_decimals(values, exponent, planner, out),
        None => usize::MAX,
    };
    if decimal_bytes <= raw_bytes / 2 {
        return;
    }
    let plan = planner.plan(values);
    if decimal_bytes.min(raw_bytes + 1) <= plan.bytes {
        if raw_bytes < decimal_bytes {
            out.truncate(start);
            encode_raw(values, out);
        }
        return;
    }
    out.truncate(start);
    encode_plan(&plan, 0, planner, out);
}

fn encode_raw<T: Word<B, L>, const B: usize, const L: usize>(values: &[T], out: &mut Vec<u8>) {
    out.push(Mode::Raw as u8);
    let start = out.len();
    out.resize(start + values.len() * B, 0);
    word::store(values, out.get_mut(start..).unwrap_or_default().as_chunks_mut::<B>().0);
}

fn encode_plan<T: Word<B, L>, const B: usize, const L: usize>(
    plan: &Plan<T>,
    flags: u8,
    planner: &Planner<T>,
    out: &mut Vec<u8>,
) {
    let patched = if plan.patches > 0 { PATCHED } else { 0 };
    out.push(plan.mode as u8 | patched | flags);
    out.push(plan.width as u8);
    out.extend_from_slice(&plan.base.to_le());
    if plan.mode >= Mode::Deltas {
        out.extend_from_slice(&plan.start.to_le());
    }
    if plan.mode == Mode::DeltasOfDeltas {
        out.extend_from_slice(&plan.step.to_le());
    }
    let transformed = planner.transformed();
    bitpack::pack(transformed, plan.base, plan.width, out);
    let mask = T::mask(plan.width);
    let patch = |&word: &T| {
        let packed = word.sub(plan.base);
        (packed, packed.and(mask) != packed)
    };
    encode_list(transformed, plan.patches, patch, out);
}

/// Appends the count, the positions and the words of the `count` values that `listed` says are in
/// the list; nothing if there are none. O(values).
fn encode_list<T: Word<B, L>, const B: usize, const L: usize>(
    values: &[T],
    count: usize,
    listed: impl Fn(&T) -> (T, bool),
    out: &mut Vec<u8>,
) {
    if count == 0 {
        return;
    }
    out.extend_from_slice(&(count as u16).to_le_bytes());
    let start = out.len();
    out.resize(start + count * (2 + B), 0);
    let list = out.get_mut(start..).unwrap_or_default();
    let Some((positions, words)) = list.split_at_mut_checked(count * 2) else { return };
    let mut places =
        positions.as_chunks_mut::<2>().0.iter_mut().zip(words.as_chunks_mut::<B>().0.iter_mut());
    for (index, run) in values.chunks(RUN).enumerate() {
        if !run.iter().fold(false, |any, value| any | listed(value).1) {
            continue;
        }
        for (offset, value) in run.iter().enumerate() {
            let (word, true) = listed(value) else { continue };
            let Some((position, bytes)) = places.next() else { return };
            *position = ((index * RUN + offset) as u16).to_le_bytes();
            *bytes = word.to_le();
        }
    }
}

/// The least power of ten that makes integers of nearly all of a sample of `values`.
fn exponent<T: Word<B, L>, const B: usize, const L: usize>(values: &[T]) -> Option<usize> {
    let stride = (values.len() / SAMPLE).max(1);
    let misses_max = values.len().min(SAMPLE) / EXCEPTION_SHARE;
    // Singles of usual size have no more decimal places than seven.
    let scales = if B == 4 { SCALES.get(..8) } else { SCALES.get(..) };
    scales.unwrap_or_default().iter().position(|&scale| {
        let sample = values.iter().step_by(stride).take(SAMPLE);
        sample.filter(|value| !value.decimal_of(scale).1).nth(misses_max).is_none()
    })
}

/// Appends `values` as decimals and returns the bytes that it took. O(values).
fn encode_decimals<T: Word<B, L>, const B: usize, const L: usize>(
    values: &[T],
    exponent: usize,
    planner: &mut Planner<T>,
    out: &mut Vec<u8>,
) -> usize {
    let Some(&scale) = SCALES.get(exponent) else { return usize::MAX };
    let mut decimals = [T::ZERO; MINI_BLOCK];
    // At most 1024; wrapping, since checked sums do not vectorise.
    let mut exceptions = 0_u16;
    for (decimal, value) in decimals.iter_mut().zip(values) {
        let (word, exact) = value.decimal_of(scale);
        *decimal = word;
        exceptions = exceptions.wrapping_add(u16::from(!exact));
    }
    let exceptions = usize::from(exceptions);
    let Some(decimals) = decimals.get_mut(..values.len()) else { return usize::MAX };
    if exceptions > values.len() / EXCEPTION_SHARE {
        return usize::MAX;
    }
    if exceptions > 0 {
        // What stands in for an exception must not widen the rest.
        let is_exact = |value: &&T| value.decimal_of(scale).1;
        let first = values.iter().find(is_exact).map_or(T::ZERO, |value| value.decimal_of(scale).0);
        decimals.iter_mut().zip(values).fold(first, |last, (decimal, value)| {
            *decimal = if value.decimal_of(scale).1 { *decimal } else { last };
            *decimal
        });
    }
    let start = out.len();
    let excepted = if exceptions > 0 { EXCEPTED } else { 0 };
    let plan = planner.plan(decimals);
    encode_plan(&plan, excepted | ((exponent as u8 + 1) << DECIMAL_SHIFT), planner, out);
    encode_list(values, exceptions, |value| (*value, !value.decimal_of(scale).1), out);
    out.len() - start
}

/// Fills `values` from the front of `stored`; `float` as for [`encode`]. Returns the bytes that
/// follow. O(values).
///
/// # Errors
/// Truncated when `stored` ends early, corrupt when a field is out of its range. Offsets are
/// relative to the mini-block.
pub(crate) fn decode<'a, T: Word<B, L>, const B: usize, const L: usize>(
    stored: &'a [u8],
    float: bool,
    values: &mut [T],
) -> Result<&'a [u8]> {
    let mut fields = Fields::new(stored);
    let [head] = *fields.array::<1>()?;
    if head & MODE_MASK == Mode::Raw as u8 {
        if head != 0 {
            return Err(fields.corrupt("a raw mini-block with flags"));
        }
        let words = fields.bytes(values.len().saturating_mul(B))?;
        word::load(words.as_chunks::<B>().0, values);
        return Ok(fields.rest());
    }
    if !float && head & !(MODE_MASK | PATCHED) != 0 {
        return Err(fields.corrupt("decimals in a column that is not of floats"));
    }
    let mode = head & MODE_MASK;
    let width = u32::from(fields.array::<1>()?[0]);
    if width > T::BITS {
        return Err(fields.corrupt(format!("width of {width} bits exceeds the type's")));
    }
    let base = T::from_le(*fields.array()?);
    let delta = mode >= Mode::Deltas as u8;
    let start = if delta { T::from_le(*fields.array()?) } else { T::ZERO };
    let second = mode == Mode::DeltasOfDeltas as u8;
    let step = if second { T::from_le(*fields.array()?) } else { T::ZERO };
    let packed = fields.bytes(bitpack::packed_bytes(values.len(), width))?;
    bitpack::unpack(packed, base, width, values);
    if head & PATCHED != 0 {
        fields.list(values, |word: T| word.add(base))?;
    }
    if second {
        running_sum_twice(values, start, step);
    } else if delta {
        word::running_sum(values, start);
    }
    if let Some(exponent) = usize::from(head >> DECIMAL_SHIFT).checked_sub(1) {
        let scale = SCALES.get(exponent).copied().unwrap_or(1.0);
        values.iter_mut().for_each(|value| *value = value.decimal_value(scale));
    }
    if head & EXCEPTED != 0 {
        fields.list(values, |word: T| word)?;
    }
    Ok(fields.rest())
}

fn running_sum_twice<T: Word<B, L>, const B: usize, const L: usize>(
    values: &mut [T],
    start: T,
    step: T,
) {
    let (mut sum, mut step) = (start.widen(), step.widen());
    for value in values {
        step = step.wrapping_add(value.widen());
        sum = sum.wrapping_add(step);
        *value = T::truncate(sum);
    }
}

impl Fields<'_> {
    /// Puts the words of a list of patches or exceptions in their places.
    fn list<T: Word<B, L>, const B: usize, const L: usize>(
        &mut self,
        values: &mut [T],
        word: impl Fn(T) -> T,
    ) -> Result<()> {
        let count = usize::from(u16::from_le_bytes(*self.array()?));
        let positions = self.bytes(count * 2)?.as_chunks::<2>().0;
        let words = self.bytes(count.saturating_mul(B))?.as_chunks::<B>().0;
        for (&position, &bytes) in positions.iter().zip(words) {
            let position = usize::from(u16::from_le_bytes(position));
            let Some(value) = values.get_mut(position) else {
                return Err(self.corrupt(format!("patch at value {position} of {}", values.len())));
            };
            *value = word(T::from_le(bytes));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::FormatErrorKind;

    fn decode_all<T: Word<B, L>, const B: usize, const L: usize>(
        stored: &[u8],
        float: bool,
        count: usize,
    ) -> Result<Vec<T>> {
        let mut values = vec![T::ZERO; count];
        decode(stored, float, &mut values).map(|rest| {
            assert!(rest.is_empty());
            values
        })
    }

    fn encoded<T: Word<B, L>, const B: usize, const L: usize>(
        values: &[T],
        float: bool,
    ) -> Vec<u8> {
        let mut stored = Vec::new();
        encode(values, float, &mut Planner::new(), &mut stored);
        assert!(stored.len() <= 1 + values.len() * B);
        assert_eq!(decode_all(&stored, float, values.len()), Ok(values.to_vec()));
        stored
    }

    #[test]
    fn the_table_of_the_docs_by_hand() {
        // Raw.
        assert_eq!(decode_all::<u16, 2, 64>(&[0, 1, 0, 2, 1], false, 2), Ok(vec![1, 0x102]));
        // Values: base 100, 4 bits each.
        assert_eq!(
            decode_all::<u8, 1, 128>(&[1, 4, 100, 0x21, 3], false, 3),
            Ok(vec![101, 102, 103])
        );
        // Deltas: base 10, start 100; p is 0, 1, 2.
        let deltas = [2, 2, 10, 100, 0b10_01_00];
        assert_eq!(decode_all::<u8, 1, 128>(&deltas, false, 3), Ok(vec![110, 121, 133]));
        // Deltas of deltas: base 1, start 0, step 5, no bits.
        assert_eq!(decode_all::<u8, 1, 128>(&[3, 0, 1, 0, 5], false, 3), Ok(vec![6, 13, 21]));
        // The same with q[1] patched to 41.
        let patched = [7, 0, 1, 0, 5, 1, 0, 1, 0, 40];
        assert_eq!(decode_all::<u8, 1, 128>(&patched, false, 3), Ok(vec![6, 53, 101]));
        // Decimals: 12, 13 hundredths, the last excepted.
        let mut stored = vec![1 | EXCEPTED | (3 << 4), 1, 12, 0, 0, 0, 0b10, 1, 0, 2, 0];
        stored.extend_from_slice(&f32::NAN.to_bits().to_le_bytes());
        let values = [0.12_f32, 0.13, f32::NAN].map(f32::to_bits).to_vec();
        assert_eq!(decode_all::<u32, 4, 32>(&stored, true, 3), Ok(values));
    }

    #[test]
    fn a_regular_clock_takes_no_bits() {
        let clock: Vec<u64> = (0..1024).map(|i| i * 33_333).collect();
        let stored = encoded(&clock, false);
        assert_eq!(stored.len(), 18);
        assert_eq!(&stored[..2], &[Mode::Deltas as u8, 0]);
    }

    #[test]
    fn a_gap_is_a_patch() {
        let clock: Vec<u64> =
            (0..1024).map(|i| i * 1000 + i % 7 + (i / 500) * 3_600_000_000).collect();
        let stored = encoded(&clock, false);
        assert_eq!(stored[0], Mode::Deltas as u8 | PATCHED);
        assert!(stored.len() < 1024 * 5 / 8);
    }

    #[test]
    fn decimals_are_found_with_exceptions() {
        let odd = [f64::NAN, -0.0, f64::INFINITY, std::f64::consts::PI];
        let mut values: Vec<f64> = (0..1000).map(|i| f64::from(i * i % 5000) / 100.0).collect();
        values[100..104].copy_from_slice(&odd);
        let values: Vec<u64> = values.into_iter().map(f64::to_bits).collect();
        let stored = encoded(&values, true);
        assert_eq!(stored[0] & !MODE_MASK, EXCEPTED | (3 << DECIMAL_SHIFT));
        assert!(stored.len() < 1000 * 2);
    }

    #[test]
    fn every_field_is_checked() {
        let cases: [(&[u8], bool); 7] = [
            (&[PATCHED, 0, 0, 0], false),
            (&[1, 9, 0, 0], false),
            (&[1 | EXCEPTED, 0, 0, 0, 0], false),
            (&[1 | (1 << DECIMAL_SHIFT), 0, 0], false),
            (&[1 | PATCHED, 0, 0, 1, 0, 3, 0, 9], false),
            (&[1 | EXCEPTED, 0, 0, 1, 0, 255, 255, 9], true),
            (&[1, 255, 0, 0], false),
        ];
        for (stored, float) in cases {
            let error = decode_all::<u8, 1, 128>(stored, float, 3).map_err(|error| error.kind);
            assert_eq!(error, Err(FormatErrorKind::Corrupt), "{stored:?}");
        }
    }

    #[test]
    fn extremes_wrap() {
        for values in [
            vec![i64::MIN, i64::MAX, i64::MIN, 0, -1],
            vec![i64::MAX; 1024],
            (0..1024).map(|i| i64::MIN.wrapping_sub(i * i)).collect(),
        ] {
            let values: Vec<u64> = values.into_iter().map(|value| value as u64).collect();
            encoded(&values, false);
            encoded(&values, true);
        }
    }
}
