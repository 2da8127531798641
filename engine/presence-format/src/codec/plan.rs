//! Which way of packing a mini-block is cheapest.
//!
//! None of this is part of the format: any choice decodes. A sample names the mode, one pass makes
//! its values and their range, and a second look is taken only where few values are far off.
//!
//! # Invariants
//! - The size of a plan is exact, so that a caller can compare it with raw.
//! - A plan never has more patches than values. `start` and `step` are such that the first
//!   differences, which have nothing before them, are packed like the first real one.

use super::bitpack::{self, MINI_BLOCK};
use super::word::Word;

/// What is packed. The numbers are part of the format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Mode {
    /// The words themselves, not packed.
    Raw = 0,
    /// Words less a base.
    Values = 1,
    /// Differences of successive words, less a base.
    Deltas = 2,
    /// Differences of successive differences, less a base.
    DeltasOfDeltas = 3,
}

/// How to pack the values that a [`Planner`] holds transformed.
#[derive(Debug)]
pub(crate) struct Plan<T> {
    /// What the transformed values are.
    pub(crate) mode: Mode,
    /// Bits of each packed value.
    pub(crate) width: u32,
    /// Subtracted from each transformed value.
    pub(crate) base: T,
    /// The word before the first; for deltas.
    pub(crate) start: T,
    /// The delta before the first; for deltas of deltas.
    pub(crate) step: T,
    /// How many transformed values less `base` do not fit `width`.
    pub(crate) patches: usize,
    /// Exact size of the mini-block without exceptions.
    pub(crate) bytes: usize,
}

/// Runs over which ranges are taken, to tell a wide range from a few far values.
const RUN: usize = 64;
const RUNS: usize = MINI_BLOCK / RUN;
/// Values in the sample of a full mini-block; shorter ones are measured in every mode.
const SAMPLE: usize = 64;
/// Bits that patches must promise before they are counted.
const PATCH_GAIN_BITS: u32 = 2;

/// Room for the transformed values of one mini-block, kept between calls.
#[derive(Debug)]
pub(crate) struct Planner<T> {
    transformed: [T; MINI_BLOCK],
    count: usize,
}

impl<T> Planner<T> {
    /// A planner of no values.
    pub(crate) fn new<const B: usize, const L: usize>() -> Self
    where
        T: Word<B, L>,
    {
        Self { transformed: [T::ZERO; MINI_BLOCK], count: 0 }
    }

    /// The values as the last plan packs them.
    pub(crate) fn transformed(&self) -> &[T] {
        self.transformed.get(..self.count).unwrap_or_default()
    }

    /// The cheapest plan found for `values`, at most 1024 of them. O(values).
    pub(crate) fn plan<const B: usize, const L: usize>(&mut self, values: &[T]) -> Plan<T>
    where
        T: Word<B, L>,
    {
        const MODES: [Mode; 3] = [Mode::Values, Mode::Deltas, Mode::DeltasOfDeltas];
        let best = if values.len() > SAMPLE {
            sampled_mode(values)
        } else {
            let plan_bytes = |&mode: &Mode| self.plan_mode(mode, values).bytes;
            MODES.into_iter().min_by_key(plan_bytes).unwrap_or(Mode::Values)
        };
        self.plan_mode(best, values)
    }

    fn plan_mode<const B: usize, const L: usize>(&mut self, mode: Mode, values: &[T]) -> Plan<T>
    where
        T: Word<B, L>,
    {
        self.count = values.len().min(MINI_BLOCK);
        let transformed = self.transformed.get_mut(..self.count).unwrap_or_default();
        transform(mode, values, transformed);
        let (base, width, patches) = fit(transformed);
        let first = values.first().copied().unwrap_or(T::ZERO);
        let second = values.get(1).copied().unwrap_or(first);
        // Chosen so that the first transformed values are what `transform` made them.
        let (start, step, words) = match mode {
            Mode::Raw | Mode::Values => (T::ZERO, T::ZERO, 1),
            Mode::Deltas => {
                (first.sub(transformed.first().copied().unwrap_or(T::ZERO)), T::ZERO, 2)
            }
            Mode::DeltasOfDeltas => {
                let delta = second.sub(first);
                let head = transformed.first().copied().unwrap_or(T::ZERO);
                let delta_0 = delta.sub(head);
                (first.sub(delta_0), delta_0.sub(head), 3)
            }
        };
        let patch_bytes = if patches > 0 { 2 + patches * (2 + B) } else { 0 };
        let bytes = 2 + words * B + bitpack::packed_bytes(self.count, width) + patch_bytes;
        Plan { mode, width, base, start, step, patches, bytes }
    }
}

/// Writes what `mode` packs of `values`. The head, for which there is nothing before it to
/// subtract, repeats the first real difference, so as not to widen the range.
fn transform<T: Word<B, L>, const B: usize, const L: usize>(
    mode: Mode,
    values: &[T],
    transformed: &mut [T],
) {
    match mode {
        Mode::Raw | Mode::Values => {
            transformed.iter_mut().zip(values).for_each(|(to, &value)| *to = value);
        }
        Mode::Deltas => {
            let next = values.get(1..).unwrap_or_default();
            let deltas = transformed.get_mut(1..).unwrap_or_default().iter_mut();
            for ((to, &next), &value) in deltas.zip(next).zip(values) {
                *to = next.sub(value);
            }
            match transformed {
                [head, first, ..] => *head = *first,
                [head] => *head = T::ZERO,
                [] => {}
            }
        }
        Mode::DeltasOfDeltas => {
            let next = values.get(1..).unwrap_or_default();
            let last = values.get(2..).unwrap_or_default();
            let deltas = transformed.get_mut(2..).unwrap_or_default().iter_mut();
            for (((to, &last), &next), &value) in deltas.zip(last).zip(next).zip(values) {
                *to = last.sub(next).sub(next.sub(value));
            }
            match transformed {
                [head, neck, first, ..] => (*head, *neck) = (*first, *first),
                few => few.fill(T::ZERO),
            }
        }
    }
}

/// Base, width and number of patches that pack `transformed`.
fn fit<T: Word<B, L>, const B: usize, const L: usize>(transformed: &[T]) -> (T, u32, usize) {
    let Some(&origin) = transformed.first() else { return (T::ZERO, 0, 0) };
    let (mut least, mut greatest) = ([T::ZERO; RUNS], [T::ZERO; RUNS]);
    let ranges = least.iter_mut().zip(greatest.iter_mut());
    for (run, (least, greatest)) in transformed.chunks(RUN).zip(ranges) {
        (*least, *greatest) = range(run, origin);
    }
    let low = least.into_iter().fold(T::ZERO, T::signed_min);
    let high = greatest.into_iter().fold(T::ZERO, T::signed_max);
    let width = high.sub(low).bits();
    let whole = (origin.add(low), width, 0);
    let runs = transformed.len().div_ceil(RUN).min(RUNS);
    if runs < 4 || width < PATCH_GAIN_BITS {
        return whole;
    }
    // A quarter of the runs may hold values that are far above or below the rest.
    let (Some(least), Some(greatest)) = (least.get_mut(..runs), greatest.get_mut(..runs)) else {
        return whole;
    };
    least.sort_unstable_by_key(|word| word.signed_key());
    greatest.sort_unstable_by_key(|word| word.signed_key());
    let (Some(&low), Some(&high)) = (least.get(runs / 4), greatest.get(runs - 1 - runs / 4)) else {
        return whole;
    };
    let near = high.sub(low).bits();
    if near + PATCH_GAIN_BITS > width {
        return whole;
    }
    let base = origin.add(low).sub(T::mask(near).sub(high.sub(low)).shr(1));
    let mask = T::mask(near);
    // At most 1024; wrapping, since checked sums do not vectorise.
    let is_far = |value: &T| u16::from(value.sub(base).and(mask) != value.sub(base));
    let patches = usize::from(transformed.iter().map(is_far).fold(0, u16::wrapping_add));
    let saved = bitpack::packed_bytes(transformed.len(), width - near);
    if 2 + patches * (2 + B) < saved { (base, near, patches) } else { whole }
}

/// Least and greatest of `values` relative to `origin`, as two's complement. O(values).
pub(super) fn range<T: Word<B, L>, const B: usize, const L: usize>(
    values: &[T],
    origin: T,
) -> (T, T) {
    // As many values abreast as keep the processor's vectors, or its scalar units, busy.
    match B {
        1 => range_abreast::<T, B, L, 32>(values, origin),
        2 => range_abreast::<T, B, L, 8>(values, origin),
        4 => range_abreast::<T, B, L, 8>(values, origin),
        _ => range_abreast::<T, B, L, 4>(values, origin),
    }
}

fn range_abreast<T: Word<B, L>, const B: usize, const L: usize, const N: usize>(
    values: &[T],
    origin: T,
) -> (T, T) {
    let (rows, rest) = values.as_chunks::<N>();
    let first = values.first().map_or(T::ZERO, |value| value.sub(origin));
    let (mut least, mut greatest) = ([first; N], [first; N]);
    for row in rows {
        for ((&value, least), greatest) in row.iter().zip(&mut least).zip(&mut greatest) {
            let value = value.sub(origin);
            *least = least.signed_min(value);
            *greatest = greatest.signed_max(value);
        }
    }
    let rest = rest.iter().map(|value| value.sub(origin));
    let least = least.into_iter().chain(rest.clone()).fold(first, T::signed_min);
    let greatest = greatest.into_iter().chain(rest).fold(first, T::signed_max);
    (least, greatest)
}

/// The mode whose values are shortest in a sample: words taken all over the mini-block, deltas in
/// two runs of neighbours.
fn sampled_mode<T: Word<B, L>, const B: usize, const L: usize>(values: &[T]) -> Mode {
    let mut words = [T::ZERO; SAMPLE];
    let mut deltas = [T::ZERO; SAMPLE];
    let mut seconds = [T::ZERO; SAMPLE];
    let stride = values.len() / SAMPLE;
    words.iter_mut().zip(values.iter().step_by(stride)).for_each(|(to, &word)| *to = word);
    let halves = deltas.as_chunks_mut::<{ SAMPLE / 2 }>().0.iter_mut();
    let halves = halves.zip(seconds.as_chunks_mut::<{ SAMPLE / 2 }>().0);
    let starts = [0, values.len() - (SAMPLE / 2 + 2)];
    for (start, (deltas, seconds)) in starts.into_iter().zip(halves) {
        let run = values.get(start..).unwrap_or_default().windows(3);
        for (window, (delta, second)) in run.zip(deltas.iter_mut().zip(seconds)) {
            let &[a, b, c] = window else { continue };
            *delta = b.sub(a);
            *second = c.sub(b).sub(b.sub(a));
        }
    }
    let (words, deltas) = (spread(&words), spread(&deltas));
    // Second differences of noise are wider than it by half a bit to one: what looks like a gain
    // below that is chance.
    let seconds = spread(&seconds) + SAMPLE as u32 / 2;
    if words <= deltas && words <= seconds {
        Mode::Values
    } else if deltas <= seconds {
        Mode::Deltas
    } else {
        Mode::DeltasOfDeltas
    }
}

/// Bits of all distances from a middle value: a few far values count little.
fn spread<T: Word<B, L>, const B: usize, const L: usize>(sample: &[T; SAMPLE]) -> u32 {
    let mut ends = [sample[0], sample[SAMPLE / 2], sample[SAMPLE - 1]];
    ends.sort_unstable_by_key(|word| word.signed_key());
    let [_, middle, _] = ends;
    let distance = |word: &T| {
        let above = word.sub(middle);
        let below = middle.sub(*word);
        above.bits().min(below.bits())
    };
    sample.iter().map(distance).sum()
}
