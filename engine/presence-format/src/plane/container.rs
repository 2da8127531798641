//! Containers: 65,536 ticks of a plane, in whichever of three forms is least.
//!
//! The forms are those of Roaring bitmaps (Lemire, Ssi-Yan-Kai and Kaser, "Consistently faster and
//! smaller compressed bitmaps with Roaring", 2016), with what counts set ticks before a place.
//!
//! # Invariants
//! - A [`Container`] was checked: values ascend, runs are as long as they can be, counts agree with
//!   what is counted. So questions need no checks, and equal sets are equal bytes.

use crate::error::{FormatError, Result};

/// Ticks of a container.
pub const CONTAINER_TICKS: u32 = 1 << 16;
/// Words of a container.
pub const CONTAINER_WORDS: usize = 1024;
/// Words between two counts of the dense form.
const RANK_WORDS: usize = 16;
const RANKS: usize = CONTAINER_WORDS / RANK_WORDS;
/// Bytes of the dense form.
pub(crate) const DENSE_BYTES: usize = RANKS * 2 + CONTAINER_WORDS * 8;

/// How a container is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Form {
    /// The set ticks, `u16` each.
    Sparse = 1,
    /// For each run of set ticks: its first (`u16`), and how many are set before it (`u16`).
    Runs = 2,
    /// 64 counts (`u16`) of the ticks set before each 16 words, and the 1,024 words.
    Dense = 3,
}

impl Form {
    pub(crate) fn from_code(code: u32) -> Option<Self> {
        [Self::Sparse, Self::Runs, Self::Dense].into_iter().find(|form| *form as u32 == code)
    }
}

/// A stored container: its bytes, borrowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Container<'a> {
    /// See [`Form::Sparse`].
    Sparse(&'a [[u8; 2]]),
    /// See [`Form::Runs`].
    Runs {
        /// First tick, and ticks set before, of each run.
        runs: &'a [[u8; 4]],
        /// Set ticks of the container.
        count: u32,
    },
    /// See [`Form::Dense`].
    Dense {
        /// Ticks set before each 16 words.
        ranks: &'a [[u8; 2]],
        /// The words.
        words: &'a [[u8; 8]],
    },
}

fn low(run: &[u8; 4]) -> u32 {
    u32::from(u16::from_le_bytes([run[0], run[1]]))
}

fn before(run: &[u8; 4]) -> u32 {
    u32::from(u16::from_le_bytes([run[2], run[3]]))
}

fn value(bytes: &[u8; 2]) -> u32 {
    u32::from(u16::from_le_bytes(*bytes))
}

/// The lowest `ticks` bits, of 64.
#[inline]
const fn mask_below(ticks: u32) -> u64 {
    if ticks >= 64 { u64::MAX } else { (1 << ticks) - 1 }
}

impl<'a> Container<'a> {
    /// Bytes of a container of `form` whose `count` ticks, in as many runs as `len` bytes hold, are
    /// set; `None` where there is no such container.
    fn sized(form: Form, bytes: &'a [u8], count: u32) -> Option<Self> {
        match form {
            Form::Sparse => {
                let (values, rest) = bytes.as_chunks::<2>();
                let fits = rest.is_empty() && values.len() == count as usize;
                fits.then_some(Self::Sparse(values))
            }
            Form::Runs => {
                let (runs, rest) = bytes.as_chunks::<4>();
                (rest.is_empty() && !runs.is_empty()).then_some(Self::Runs { runs, count })
            }
            Form::Dense => {
                let (ranks, words) = bytes.split_at_checked(2 * RANKS)?;
                let (words, rest) = words.as_chunks::<8>();
                let fits = rest.is_empty() && words.len() == CONTAINER_WORDS;
                fits.then_some(Self::Dense { ranks: ranks.as_chunks::<2>().0, words })
            }
        }
    }

    /// The container that is all of `bytes`, `count` of whose ticks are set. O(bytes).
    ///
    /// # Errors
    /// `Corrupt` where the bytes are no such container.
    pub fn parse(form: Form, bytes: &'a [u8], count: u32) -> Result<Self> {
        let container = Self::sized(form, bytes, count)
            .ok_or_else(|| FormatError::corrupt(0, "a container of the wrong length"))?;
        let sound = (1..=CONTAINER_TICKS).contains(&count)
            && match container {
                Self::Sparse(values) => {
                    values.array_windows().all(|[left, right]| value(left) < value(right))
                }
                Self::Runs { runs, .. } => runs_are_sound(runs, count),
                Self::Dense { ranks, words } => ranks_are_sound(ranks, words, count),
            };
        if sound { Ok(container) } else { Err(FormatError::corrupt(0, "an unsound container")) }
    }

    /// The same without its contents being checked again; empty where the length is wrong.
    pub(crate) fn checked_before(form: Form, bytes: &'a [u8], count: u32) -> Self {
        Self::sized(form, bytes, count).unwrap_or(Self::Sparse(&[]))
    }

    /// Set ticks.
    #[inline]
    pub fn count(&self) -> u32 {
        match self {
            Self::Sparse(values) => values.len() as u32,
            Self::Runs { count, .. } => *count,
            Self::Dense { .. } => self.rank(CONTAINER_TICKS),
        }
    }

    /// Set ticks below `tick`, from 0 to 65,536. O(log ticks).
    #[inline]
    pub fn rank(&self, tick: u32) -> u32 {
        match self {
            Self::Sparse(values) => ones_below(values, tick, value) as u32,
            Self::Runs { runs, count } => {
                let after = ones_below(runs, tick, low);
                let Some(run) = after.checked_sub(1).and_then(|at| runs.get(at)) else { return 0 };
                let end = runs.get(after).map_or(*count, before);
                (before(run) + (tick - low(run))).min(end)
            }
            Self::Dense { ranks, words } => {
                let word = (tick / 64) as usize;
                // Behind the last word the last count goes on.
                let group = (word / RANK_WORDS).min(RANKS - 1);
                let counted = ranks.get(group).map_or(0, value);
                let whole = words.get(group * RANK_WORDS..word).unwrap_or_default();
                let ones = |bytes: &[u8; 8]| u64::from_le_bytes(*bytes).count_ones();
                let part = words
                    .get(word)
                    .map_or(0, |w| (u64::from_le_bytes(*w) & mask_below(tick % 64)).count_ones());
                counted + whole.iter().map(ones).sum::<u32>() + part
            }
        }
    }

    /// Whether `tick` is set.
    #[inline]
    pub fn contains(&self, tick: u32) -> bool {
        match self {
            Self::Sparse(values) => values.binary_search_by_key(&tick, value).is_ok(),
            Self::Runs { .. } => self.rank(tick + 1) > self.rank(tick),
            Self::Dense { words, .. } => words
                .get((tick / 64) as usize)
                .is_some_and(|word| u64::from_le_bytes(*word) >> (tick % 64) & 1 == 1),
        }
    }

    /// Writes all words.
    pub fn fill(&self, out: &mut [u64; CONTAINER_WORDS]) {
        match self {
            Self::Sparse(values) => {
                out.fill(0);
                for v in *values {
                    let tick = value(v);
                    if let Some(word) = out.get_mut((tick / 64) as usize) {
                        *word |= 1 << (tick % 64);
                    }
                }
            }
            Self::Runs { runs, count } => {
                out.fill(0);
                for (index, run) in runs.iter().enumerate() {
                    let end = runs.get(index + 1).map_or(*count, before);
                    set_range(out, low(run), low(run) + (end - before(run)));
                }
            }
            Self::Dense { words, .. } => {
                for (word, bytes) in out.iter_mut().zip(*words) {
                    *word = u64::from_le_bytes(*bytes);
                }
            }
        }
    }
}

/// How many of `sorted` have a key below `tick`. Searched for from where it would be if all were
/// evenly apart: a plain search reads a line of memory at each of its first steps.
#[inline]
fn ones_below<T>(sorted: &[T], tick: u32, key: impl Fn(&T) -> u32) -> usize {
    let is_below = |at: usize| sorted.get(at).is_some_and(|one| key(one) < tick);
    let near = sorted.len() as u64 * u64::from(tick) / u64::from(CONTAINER_TICKS);
    let near = sorted.len().min(near as usize);
    let (mut from, mut to, mut step) = (near, near, 4);
    while from > 0 && !is_below(from - 1) {
        (to, from) = (from, from.saturating_sub(step));
        step *= 2;
    }
    while is_below(to) {
        (from, to) = (to, (to + step).min(sorted.len()));
        step *= 2;
    }
    let between = sorted.get(from..to).unwrap_or_default();
    from + between.partition_point(|one| key(one) < tick)
}

fn runs_are_sound(runs: &[[u8; 4]], count: u32) -> bool {
    let mut sound = runs.first().is_some_and(|run| before(run) == 0);
    for (index, run) in runs.iter().enumerate() {
        let next = runs.get(index + 1);
        let end_rank = next.map_or(count, before);
        let Some(len) = end_rank.checked_sub(before(run)).filter(|&len| len > 0) else {
            return false;
        };
        // A run that touches the next would be one with it.
        sound &= match next {
            Some(next) => low(run) + len < low(next),
            None => low(run) + len <= CONTAINER_TICKS,
        };
    }
    sound
}

fn ranks_are_sound(ranks: &[[u8; 2]], words: &[[u8; 8]], count: u32) -> bool {
    let mut sum = 0;
    let mut sound = true;
    for (rank, group) in ranks.iter().zip(words.chunks(RANK_WORDS)) {
        sound &= value(rank) == sum;
        sum += group.iter().map(|word| u64::from_le_bytes(*word).count_ones()).sum::<u32>();
    }
    // A full container would need a count that `u16` does not hold, and is one run.
    sound && sum == count
}

/// Sets the ticks `from..to` of a container, at most 65,536.
#[inline]
pub fn set_range(words: &mut [u64; CONTAINER_WORDS], from: u32, to: u32) {
    change_range(words, from, to, |word, mask| *word |= mask);
}

/// Clears the ticks `from..to` of a container, at most 65,536.
#[inline]
pub fn clear_range(words: &mut [u64; CONTAINER_WORDS], from: u32, to: u32) {
    change_range(words, from, to, |word, mask| *word &= !mask);
}

fn change_range(
    words: &mut [u64; CONTAINER_WORDS],
    from: u32,
    to: u32,
    change: impl Fn(&mut u64, u64),
) {
    let to = to.min(CONTAINER_TICKS);
    if from >= to {
        return;
    }
    let (first, last) = ((from / 64) as usize, ((to - 1) / 64) as usize);
    let head = !mask_below(from % 64);
    let tail = mask_below((to - 1) % 64 + 1);
    let Some(touched) = words.get_mut(first..=last) else { return };
    match touched {
        [only] => change(only, head & tail),
        [first, inner @ .., last] => {
            change(first, head);
            inner.iter_mut().for_each(|word| change(word, u64::MAX));
            change(last, tail);
        }
        [] => {}
    }
}

/// Set ticks of a container.
#[inline]
pub fn count_words(words: &[u64; CONTAINER_WORDS]) -> u32 {
    words.iter().map(|word| word.count_ones()).sum()
}

/// Runs of set ticks: a run begins where a tick is set and the one before is not.
fn count_runs(words: &[u64; CONTAINER_WORDS]) -> u32 {
    let mut carry = 0;
    let mut runs = 0;
    for &word in words {
        runs += (word & !(word << 1 | carry)).count_ones();
        carry = word >> 63;
    }
    runs
}

/// Appends the container of `words` in its least form; returns the form. There is at least one set
/// tick, `count` of them.
pub(crate) fn encode(words: &[u64; CONTAINER_WORDS], count: u32, out: &mut Vec<u8>) -> Form {
    let runs_bytes = 4 * count_runs(words) as usize;
    let sparse_bytes = 2 * count as usize;
    if runs_bytes <= sparse_bytes && runs_bytes < DENSE_BYTES {
        encode_runs(words, out);
        Form::Runs
    } else if sparse_bytes < DENSE_BYTES {
        for (index, &word) in words.iter().enumerate() {
            let mut left = word;
            while left != 0 {
                let tick = index as u32 * 64 + left.trailing_zeros();
                out.extend_from_slice(&(tick as u16).to_le_bytes());
                left &= left - 1;
            }
        }
        Form::Sparse
    } else {
        let mut sum = 0_u32;
        for group in words.chunks(RANK_WORDS) {
            out.extend_from_slice(&(sum as u16).to_le_bytes());
            sum += group.iter().map(|word| word.count_ones()).sum::<u32>();
        }
        words.iter().for_each(|word| out.extend_from_slice(&word.to_le_bytes()));
        Form::Dense
    }
}

fn encode_runs(words: &[u64; CONTAINER_WORDS], out: &mut Vec<u8>) {
    let mut carry = 0;
    let mut before = 0_u32;
    for (index, &word) in words.iter().enumerate() {
        let mut starts = word & !(word << 1 | carry);
        while starts != 0 {
            let bit = starts.trailing_zeros();
            let tick = index as u32 * 64 + bit;
            let rank = before + (word & mask_below(bit)).count_ones();
            out.extend_from_slice(&(tick as u16).to_le_bytes());
            out.extend_from_slice(&(rank as u16).to_le_bytes());
            starts &= starts - 1;
        }
        before += word.count_ones();
        carry = word >> 63;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn words_of(runs: &[(u32, u32)]) -> Box<[u64; CONTAINER_WORDS]> {
        let mut words = Box::new([0; CONTAINER_WORDS]);
        runs.iter().for_each(|&(from, len)| set_range(&mut words, from, from + len));
        words
    }

    fn check(words: &[u64; CONTAINER_WORDS]) -> Form {
        let set = |tick: u32| words[(tick / 64) as usize] >> (tick % 64) & 1 == 1;
        let count = count_words(words);
        let mut bytes = Vec::new();
        let form = encode(words, count, &mut bytes);
        let container = Container::parse(form, &bytes, count).unwrap();
        let mut rank = 0;
        for tick in 0..CONTAINER_TICKS {
            assert_eq!(container.rank(tick), rank, "{form:?} at {tick}");
            assert_eq!(container.contains(tick), set(tick), "{form:?} at {tick}");
            rank += u32::from(set(tick));
        }
        assert_eq!((container.rank(CONTAINER_TICKS), container.count()), (count, count));
        let mut filled = Box::new([7; CONTAINER_WORDS]);
        container.fill(&mut filled);
        assert_eq!(*filled, *words);
        let one_more = Container::parse(form, &bytes, count + 1);
        assert!(one_more.is_err() || form == Form::Runs, "the last run may be longer");
        form
    }

    #[test]
    fn each_form_answers_alike() {
        assert_eq!(check(&words_of(&[(0, CONTAINER_TICKS)])), Form::Runs);
        assert_eq!(check(&words_of(&[(65_535, 1)])), Form::Sparse);
        assert_eq!(check(&words_of(&[(5, 300), (63, 2), (4096, 1), (65_000, 536)])), Form::Runs);
        let mut noise = [0x9e37_79b9_7f4a_7c15_u64; CONTAINER_WORDS];
        for (index, word) in noise.iter_mut().enumerate() {
            *word = word.wrapping_mul(2 * index as u64 + 1);
        }
        assert_eq!(check(&noise), Form::Dense);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn any_ticks_round_trip(
            runs in prop::collection::vec((0..CONTAINER_TICKS, 1..700_u32), 1..600),
            cleared in prop::collection::vec((0..CONTAINER_TICKS, 1..9_u32), 0..300),
        ) {
            let mut words = words_of(&runs);
            cleared.iter().for_each(|&(from, len)| clear_range(&mut words, from, from + len));
            set_range(&mut words, 9, 10);
            check(&words);
        }

        #[test]
        fn hostile_bytes_are_refused_or_sound(
            code in 1..4_u32,
            bytes: Vec<u8>,
            count in 0..70_000_u32,
        ) {
            let form = Form::from_code(code).unwrap();
            if let Ok(container) = Container::parse(form, &bytes, count) {
                let mut words = Box::new([0; CONTAINER_WORDS]);
                container.fill(&mut words);
                prop_assert_eq!(count_words(&words), count);
                prop_assert_eq!(container.rank(CONTAINER_TICKS), count);
            }
        }
    }
}
