//! Loops over the words of a container.
//!
//! Written so that the compiler makes vectors of them for whatever processor it builds for; each
//! has a twin in the tests that goes bit by bit.
//!
//! # Invariants
//! - Bit `i` of word `w` is tick `64 * w + i` of the container.
//! - Knows no bitmaps, no errors and no questions; nothing allocates.

use std::ops::Range;

use super::step::Line;

/// Words of a container.
pub(crate) const WORDS: usize = 1_024;
/// Bits of a container.
pub(crate) const BITS: u32 = 65_536;

/// The ticks of a container, 64 a word.
pub(crate) type Words = [u64; WORDS];

/// Ticks in both.
pub(crate) fn and(target: &mut Words, other: &Words) {
    for (word, &other) in target.iter_mut().zip(other) {
        *word &= other;
    }
}

/// Ticks in either.
pub(crate) fn or(target: &mut Words, other: &Words) {
    for (word, &other) in target.iter_mut().zip(other) {
        *word |= other;
    }
}

/// Ticks in `target` that are not in `other`.
pub(crate) fn and_not(target: &mut Words, other: &Words) {
    for (word, &other) in target.iter_mut().zip(other) {
        *word &= !other;
    }
}

/// Ticks that are not in `target`.
pub(crate) fn complement(target: &mut Words) {
    for word in target {
        *word = !*word;
    }
}

/// How many bits are set.
pub(crate) fn count(words: &[u64]) -> u64 {
    words.iter().map(|word| u64::from(word.count_ones())).sum()
}

/// How many bits are set in both.
pub(crate) fn count_and(one: &Words, other: &Words) -> u64 {
    one.iter().zip(other).map(|(&one, &other)| u64::from((one & other).count_ones())).sum()
}

/// How many bits are set in either.
pub(crate) fn count_or(one: &Words, other: &Words) -> u64 {
    one.iter().zip(other).map(|(&one, &other)| u64::from((one | other).count_ones())).sum()
}

/// How many bits are set in `one` and not in `other`.
pub(crate) fn count_and_not(one: &Words, other: &Words) -> u64 {
    one.iter().zip(other).map(|(&one, &other)| u64::from((one & !other).count_ones())).sum()
}

/// How many of the bits `bits` are set.
pub(crate) fn count_bits(words: &Words, bits: Range<u32>) -> u64 {
    let bits = bits.start..bits.end.min(BITS);
    if bits.start >= bits.end {
        return 0;
    }
    let (first, last) = ((bits.start / 64) as usize, ((bits.end - 1) / 64) as usize);
    let head = u64::MAX << (bits.start % 64);
    let tail = u64::MAX >> (63 - (bits.end - 1) % 64);
    let word = |index: usize| words.get(index).copied().unwrap_or(0);
    if first == last {
        return u64::from((word(first) & head & tail).count_ones());
    }
    let whole = words.get(first + 1..last).unwrap_or_default();
    let ends = (word(first) & head).count_ones() + (word(last) & tail).count_ones();
    count(whole) + u64::from(ends)
}

/// The first set bit at or after `from`.
pub(crate) fn next_set(words: &Words, from: u32) -> Option<u32> {
    next(words, from, |word| word)
}

/// The first bit at or after `from` that is not set.
pub(crate) fn next_clear(words: &Words, from: u32) -> Option<u32> {
    next(words, from, |word| !word)
}

#[inline(always)]
fn next(words: &Words, from: u32, seen: impl Fn(u64) -> u64) -> Option<u32> {
    let first = (from / 64) as usize;
    let word = seen(*words.get(first)?) & (u64::MAX << (from % 64));
    if word != 0 {
        return Some(from - from % 64 + word.trailing_zeros());
    }
    let rest = words.get(first + 1..)?;
    let index = rest.iter().position(|&word| seen(word) != 0)?;
    let word = seen(*rest.get(index)?);
    Some((first + 1 + index) as u32 * 64 + word.trailing_zeros())
}

/// The last set bit before `end`.
pub(crate) fn previous_set(words: &Words, end: u32) -> Option<u32> {
    let last = end.min(BITS).checked_sub(1)?;
    let index = (last / 64) as usize;
    let word = *words.get(index)? & (u64::MAX >> (63 - last % 64));
    if word != 0 {
        return Some((last | 63) - word.leading_zeros());
    }
    let rest = words.get(..index)?;
    let index = rest.iter().rposition(|&word| word != 0)?;
    let word = *rest.get(index)?;
    Some(index as u32 * 64 + 63 - word.leading_zeros())
}

/// Clears all bits but `bits`.
pub(crate) fn keep(words: &mut Words, bits: Range<u32>) {
    let bits = bits.start.min(BITS)..bits.end.min(BITS);
    let (first, last) = ((bits.start / 64) as usize, (bits.end / 64) as usize);
    if let Some(before) = words.get_mut(..first) {
        before.fill(0);
    }
    if let Some(word) = words.get_mut(first) {
        *word &= u64::MAX << (bits.start % 64);
    }
    if let Some(word) = words.get_mut(last) {
        *word &= !(u64::MAX << (bits.end % 64));
    }
    if let Some(behind) = words.get_mut(last + 1..) {
        behind.fill(0);
    }
}

/// Writes the starts of the set bits of `word`, whose bit 0 is tick `first` of the container, and
/// tells how many there are. What stands behind them in `out` is overwritten with anything.
#[inline(always)]
pub(crate) fn list_word(word: u64, first: u32, line: &Line, out: &mut [i64; 64]) -> usize {
    if word == u64::MAX {
        // Four sums side by side, for the vectors that four timestamps are.
        let four = line.one().wrapping_mul(4);
        let mut at = [first, first + 1, first + 2, first + 3].map(|tick| line.scaled(tick));
        for out in out.as_chunks_mut::<4>().0 {
            *out = at.map(|scaled| line.of(scaled));
            at = at.map(|scaled| scaled.wrapping_add(four));
        }
        return 64;
    }
    // Two halves, whose steps do not wait for each other's, each four bits at a time: how often is
    // nearly always the same, for words alike.
    let (low, high) = (word & 0xFFFF_FFFF, word >> 32);
    let (lows, highs) = (low.count_ones() as usize, high.count_ones() as usize);
    list_half(low, lows, line.scaled(first), line, out);
    if let Some(out) = out.get_mut(lows..) {
        list_half(high, highs, line.scaled(first + 32), line, out);
    }
    lows + highs
}

/// Writes the starts of the `count` set bits of half a word, the first of which would begin at
/// `start`, and up to three more of anything.
#[inline(always)]
fn list_half(half: u64, count: usize, start: u64, line: &Line, out: &mut [i64]) {
    let mut bits = half;
    for out in out.chunks_mut(4).take(count.div_ceil(4)) {
        for out in out {
            let bit = u64::from(bits.trailing_zeros() & 63);
            *out = line.of(start.wrapping_add(line.one().wrapping_mul(bit)));
            bits &= bits.wrapping_sub(1);
        }
    }
}

/// Writes the starts of the set bits of `words` from word `from` on, while 64 more fit, and tells
/// behind which word it stopped and how many it wrote.
pub(crate) fn list(words: &Words, from: usize, line: &Line, out: &mut [i64]) -> (usize, usize) {
    let mut written = 0;
    let mut at = from;
    while let Some(&word) = words.get(at) {
        if word != 0 {
            let room = out.get_mut(written..).and_then(<[i64]>::first_chunk_mut::<64>);
            let Some(room) = room else { break };
            written += list_word(word, at as u32 * 64, line, room);
        }
        at += 1;
    }
    (at, written)
}

/// Writes the starts of the ticks `offsets` of a container, as many as both hold.
pub(crate) fn list_offsets(offsets: &[u16], line: &Line, out: &mut [i64]) {
    for (out, &offset) in out.iter_mut().zip(offsets) {
        *out = line.at(offset.into());
    }
}

#[cfg(test)]
mod tests {
    use super::super::step::Step;
    use super::*;
    use proptest::prelude::*;

    /// Words of all densities, with whole and empty ones among them.
    fn any_words() -> impl Strategy<Value = Box<Words>> {
        let word = prop_oneof![
            Just(0),
            Just(u64::MAX),
            any::<u64>(),
            (0_u32..64).prop_map(|bit| 1 << bit),
            (0_u32..64).prop_map(|bits| u64::MAX << bits),
        ];
        (prop::collection::vec(word, 1..40), any::<u64>()).prop_map(|(some, seed)| {
            let mut words = Box::new([0; WORDS]);
            let mut state = seed | 1;
            for word in words.iter_mut() {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                *word = some[(state >> 33) as usize % some.len()];
            }
            words
        })
    }

    fn bit(words: &Words, bit: u32) -> bool {
        words[(bit / 64) as usize] >> (bit % 64) & 1 == 1
    }

    fn bits_of(words: &Words) -> impl Iterator<Item = u32> {
        (0..BITS).filter(|&index| bit(words, index))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 1 } else { 64 }))]

        #[test]
        fn words_combine(a in any_words(), b in any_words()) {
            type Kernel = fn(&mut Words, &Words);
            type Scalar = fn(bool, bool) -> bool;
            let all: [(Kernel, Scalar); 4] = [
                (and, |a, b| a & b),
                (or, |a, b| a | b),
                (and_not, |a, b| a & !b),
                (|a, _| complement(a), |a, _| !a),
            ];
            for (kernel, scalar) in all {
                let mut got = a.clone();
                kernel(&mut got, &b);
                for index in 0..BITS {
                    prop_assert_eq!(bit(&got, index), scalar(bit(&a, index), bit(&b, index)));
                }
            }
            type Count = fn(&Words, &Words) -> u64;
            let counts: [(Count, Kernel); 3] =
                [(count_and, and), (count_or, or), (count_and_not, and_not)];
            for (counted, kernel) in counts {
                let mut combined = a.clone();
                kernel(&mut combined, &b);
                prop_assert_eq!(counted(&a, &b), bits_of(&combined).count() as u64);
            }
        }

        #[test]
        fn bits_are_found(words in any_words(), from in 0..=BITS, to in 0..=BITS) {
            let (from, to) = (from.min(to), from.max(to));
            let inside = bits_of(&words).filter(|index| (from..to).contains(index)).count() as u64;
            prop_assert_eq!(count(&words[..]), bits_of(&words).count() as u64);
            prop_assert_eq!(count_bits(&words, from..to), inside);
            prop_assert_eq!(next_set(&words, from), (from..BITS).find(|&at| bit(&words, at)));
            prop_assert_eq!(next_clear(&words, from), (from..BITS).find(|&at| !bit(&words, at)));
            prop_assert_eq!(previous_set(&words, to), (0..to).rev().find(|&at| bit(&words, at)));
            let mut kept = words.clone();
            keep(&mut kept, from..to);
            for index in 0..BITS {
                let want = bit(&words, index) && (from..to).contains(&index);
                prop_assert_eq!(bit(&kept, index), want);
            }
        }

        #[test]
        fn starts_are_listed(
            words in any_words(), ticks in 1_u32..5000, extra in 0_u64..100_000,
            container in -9_i64..9, rooms: [u8; 4],
        ) {
            let step = Step::new(ticks, u64::from(ticks) + extra);
            let line = step.line(-77, container * 65_536).unwrap();
            let want: Vec<i64> = bits_of(&words)
                .map(|bit| step.start_wide(container * 65_536 + i64::from(bit)) as i64 - 77)
                .collect();
            let (mut got, mut at, mut turn) = (Vec::new(), 0, 0);
            while at < WORDS {
                let mut out = vec![0; 64 + usize::from(rooms[turn % 4]) * 16];
                let (end, written) = list(&words, at, &line, &mut out);
                got.extend_from_slice(&out[..written]);
                prop_assert!(end > at);
                (at, turn) = (end, turn + 1);
            }
            prop_assert_eq!(&got, &want);
            let offsets: Vec<u16> = bits_of(&words).map(|bit| bit as u16).collect();
            list_offsets(&offsets, &line, &mut got);
            prop_assert_eq!(&got, &want);
            prop_assert_eq!(list(&words, 0, &line, &mut [0; 63]).1, 0);
        }
    }
}
