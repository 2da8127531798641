//! How to split the words of one block into near and far ones.
//!
//! None of this is part of the format: any choice decodes. Of the words and of their differences a
//! sample is sorted. Of the frames of values that hold certain shares of it, that is taken for
//! which near words, places and far words together have the fewest bits.
//!
//! # Invariants
//! - The size of a block without far words, and the number of far words, are exact.
//! - There is a split only where a frame is narrower than that of all words: something is left of
//!   a far word.

use super::bitpack::{self, MINI_BLOCK};
use super::plan;
use super::split_block::Mode;
use super::word::Word;

/// Words in a sample.
const SAMPLE: usize = 64;
/// The shares of a sample that are tried as near: so many of [`SHARES_OF`].
const SHARES: [usize; 4] = [15, 12, 9, 6];
const SHARES_OF: usize = 16;
/// Bits of the fields of a block of far words, and of their number, beside the base.
const LEVEL_BITS: usize = 32;
/// Moves the lowest bit of byte `i` to bit `56 + i`, for all eight bytes.
const EIGHT_FLAGS: u64 = 0x0102_0408_1020_4080;
/// Bits of a place in a list.
const PLACE_BITS: usize = 16;

/// Words from `base` to less than `base + 2^width`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame<T> {
    pub(super) base: T,
    pub(super) width: u32,
}

impl<T> Frame<T> {
    /// Whether `word` is not in it.
    #[inline(always)]
    pub(super) fn is_far<const B: usize, const L: usize>(self, word: T) -> bool
    where
        T: Word<B, L>,
    {
        let offset = word.sub(self.base);
        offset.and(T::mask(self.width)) != offset
    }
}

/// A frame of near words, and which of the words are far.
#[derive(Debug)]
pub(super) struct Split<T> {
    pub(super) near: Frame<T>,
    /// A bit for each word.
    pub(super) places: [u64; MINI_BLOCK / 64],
    pub(super) far: usize,
}

impl<T> Split<T> {
    /// What words are far of `words`, if any are.
    fn new<const B: usize, const L: usize>(near: Frame<T>, words: &[T]) -> Option<Self>
    where
        T: Word<B, L>,
    {
        let mut places = [0; MINI_BLOCK / 64];
        for (places, run) in places.iter_mut().zip(words.chunks(64)) {
            // A byte for each word first, eight of which a product makes a byte of: as one loop,
            // comparing would be done one by one.
            let mut flags = [0; 64];
            for (flag, &word) in flags.iter_mut().zip(run) {
                *flag = u8::from(near.is_far(word));
            }
            for (eight, shift) in flags.as_chunks::<8>().0.iter().zip((0..).step_by(8)) {
                let bits = u64::from_le_bytes(*eight).wrapping_mul(EIGHT_FLAGS) >> 56;
                *places |= bits << shift;
            }
        }
        let far = places.iter().map(|places| places.count_ones() as usize).sum();
        (far > 0).then_some(Self { near, places, far })
    }

    /// Which words are far, ascending.
    pub(super) fn far_places(&self) -> impl Iterator<Item = usize> + '_ {
        self.places.iter().zip((0..).step_by(64)).flat_map(|(&places, first)| {
            let mut left = places;
            std::iter::from_fn(move || {
                let bit = left.checked_ilog2().map(|_| left.trailing_zeros() as usize)?;
                left &= left - 1;
                Some(first + bit)
            })
        })
    }
}

/// How to store a block.
#[derive(Debug)]
pub(super) struct Plan<T> {
    /// Values or deltas.
    pub(super) mode: Mode,
    /// The word before the first; for deltas.
    pub(super) start: T,
    /// The frame of all words.
    pub(super) whole: Frame<T>,
    /// Bytes of the block with that.
    pub(super) whole_bytes: usize,
    /// What is expected to be shorter.
    pub(super) split: Option<Split<T>>,
}

/// A plan for `values`, at most 1024 of them. Where `deltas` has room for as many, it is filled,
/// and stored where that is shorter. Words are far only where they `may_split`. O(values).
pub(super) fn plan<T: Word<B, L>, const B: usize, const L: usize>(
    values: &[T],
    deltas: &mut [T],
    may_split: bool,
) -> Plan<T> {
    let first = values.first().copied().unwrap_or(T::ZERO);
    if !may_split {
        return plan_mode(Mode::Values, T::ZERO, values, first, None);
    }
    let of_values = guess_words(values, first);
    if deltas.len() == values.len() {
        // The first, which has nothing before it, repeats the next, so as not to widen the range.
        let step = values.get(1).map_or(T::ZERO, |second| second.sub(first));
        set_deltas(values, step, deltas);
        let of_deltas = guess_words(deltas, step);
        if of_deltas.bits < of_values.bits {
            let start = first.sub(step);
            return plan_mode(Mode::Deltas, start, deltas, step, Some(of_deltas));
        }
    }
    plan_mode(Mode::Values, T::ZERO, values, first, Some(of_values))
}

fn set_deltas<T: Word<B, L>, const B: usize, const L: usize>(
    values: &[T],
    step: T,
    deltas: &mut [T],
) {
    let Some((head, deltas)) = deltas.split_first_mut() else { return };
    *head = step;
    let nexts = values.get(1..).unwrap_or_default();
    for (delta, (&next, &value)) in deltas.iter_mut().zip(nexts.iter().zip(values)) {
        *delta = next.sub(value);
    }
}

/// A plan to store `words`, split as `guess` says, which counts from `origin`. O(words).
fn plan_mode<T: Word<B, L>, const B: usize, const L: usize>(
    mode: Mode,
    start: T,
    words: &[T],
    origin: T,
    guess: Option<Guess>,
) -> Plan<T> {
    let (least, greatest) = plan::range(words, origin);
    let whole = Frame { base: origin.add(least), width: greatest.sub(least).bits() };
    let head_bytes = if mode == Mode::Deltas { 2 + 2 * B } else { 2 + B };
    let whole_bytes = head_bytes + bitpack::packed_bytes(words.len(), whole.width);
    let split = guess.filter(|guess| guess.width < whole.width).and_then(|guess| {
        let base = origin.add(T::truncate(guess.low as u64));
        Split::new(Frame { base, width: guess.width }, words)
    });
    Plan { mode, start, whole, whole_bytes, split }
}

/// What a sample says about a frame of near words.
#[derive(Debug, Clone, Copy)]
struct Guess {
    /// Bits of the sample, with its share of the fields.
    bits: usize,
    /// The least near word, less the origin.
    low: i64,
    width: u32,
}

/// The best frame for a sample of `words`. O(sample).
fn guess_words<T: Word<B, L>, const B: usize, const L: usize>(words: &[T], origin: T) -> Guess {
    let sampled = words.iter().step_by(words.len().div_ceil(SAMPLE).max(1));
    let mut sample = [0; SAMPLE];
    let sample = sample.get_mut(..sampled.len()).unwrap_or_default();
    for (key, &word) in sample.iter_mut().zip(sampled) {
        *key = word.sub(origin).signed_key();
    }
    sample.sort_unstable();
    guess(sample, (LEVEL_BITS + 8 * B) * sample.len() / words.len().max(1))
}

/// The best frame for `sorted`; `level_bits` is its share of the fields of far words. O(sample).
fn guess(sorted: &[i64], level_bits: usize) -> Guess {
    let (Some(&least), Some(&greatest)) = (sorted.first(), sorted.last()) else {
        return Guess { bits: 0, low: 0, width: 0 };
    };
    let width = bits(greatest.wrapping_sub(least) as u64);
    let mut best = Guess { bits: sorted.len() * width as usize, low: least, width };
    let mut last = width;
    for share in SHARES {
        let count = (sorted.len() * share / SHARES_OF).max(1);
        let Some((low, width)) = narrowest(sorted, count, least) else { continue };
        if width >= last {
            continue;
        }
        last = width;
        let high = |key: i64| key.wrapping_sub(low) >> width;
        let near = sorted.partition_point(|&key| high(key) <= 0)
            - sorted.partition_point(|&key| high(key) < 0);
        let far = sorted.len().saturating_sub(near);
        let far_width = bits(high(greatest).wrapping_sub(high(least)) as u64);
        let places = sorted.len().min(PLACE_BITS * far);
        let near_bits = sorted.len() * width as usize;
        let bits = near_bits + places + far * far_width as usize + level_bits;
        if bits < best.bits {
            best = Guess { bits, low, width };
        }
    }
    best
}

/// Begin and width of the narrowest frame of `count` of `sorted`, whose first is `least`.
fn narrowest(sorted: &[i64], count: usize, least: i64) -> Option<(i64, u32)> {
    let ends = sorted.get(count - 1..)?.iter();
    let spans = sorted.iter().zip(ends).map(|(&low, &high)| (low, high.wrapping_sub(low) as u64));
    let (low, span) = spans.min_by_key(|&(_, span)| span)?;
    let width = bits(span);
    // The frame is wider than these: the room goes to both sides, as far as there is anything.
    let spare = u64::MAX.checked_shr(u64::BITS - width).unwrap_or(0) - span;
    Some((low.saturating_sub_unsigned(spare / 2).max(least), width))
}

fn bits(span: u64) -> u32 {
    u64::BITS - span.leading_zeros()
}
