//! Containers of a plane in memory: what was set or cleared since its region was last written.
//!
//! # Invariants
//! - A container in memory holds all of its ticks, those on disk too: it stands in front of them.
//! - `count` is the number of set ticks, whatever the form.

use presence_format::plane::container::{clear_range, count_words, set_range};
use presence_format::plane::{CONTAINER_TICKS, CONTAINER_WORDS};

/// All words of a container.
pub(crate) type Words = [u64; CONTAINER_WORDS];

/// More single ticks than this are kept as words: by then they take as much memory.
const SPARSE_MAX: usize = 1024;

/// Set ticks of a container, in a form that is cheap to change.
#[derive(Debug, Clone)]
enum Ticks {
    /// Few, ascending.
    Sparse(Vec<u16>),
    Words(Box<Words>),
    /// All of them.
    Full,
}

/// A container in memory.
#[derive(Debug, Clone)]
pub(crate) struct Hot {
    ticks: Ticks,
    count: u32,
    /// Set ticks of the container on disk, which this one stands in front of.
    pub(crate) on_disk: u32,
    /// Whether it differs from what the last block of its region says.
    pub(crate) dirty: bool,
}

/// The bits of one word from `from` up to, not including, `to`.
const fn bits_between(from: u32, to: u32) -> u64 {
    let high = if to >= 64 { u64::MAX } else { (1_u64 << to) - 1 };
    let low = if from >= 64 { u64::MAX } else { (1_u64 << from) - 1 };
    high & !low
}

impl Ticks {
    fn fill(&self, out: &mut Words) {
        match self {
            Self::Sparse(ticks) => {
                out.fill(0);
                for &at in ticks {
                    if let Some(word) = out.get_mut(usize::from(at / 64)) {
                        *word |= 1 << (at % 64);
                    }
                }
            }
            Self::Words(words) => out.copy_from_slice(&**words),
            Self::Full => out.fill(u64::MAX),
        }
    }
}

impl Hot {
    /// Nothing set, nothing on disk.
    pub(crate) fn empty() -> Self {
        Self { ticks: Ticks::Sparse(Vec::new()), count: 0, on_disk: 0, dirty: false }
    }

    /// As on disk.
    pub(crate) fn from_disk(words: &Words) -> Self {
        let count = count_words(words);
        let mut hot = Self { on_disk: count, ..Self::empty() };
        hot.ticks = Ticks::Words(Box::new(*words));
        hot.count = count;
        hot.shrink();
        hot
    }

    /// Set ticks.
    pub(crate) fn count(&self) -> u32 {
        self.count
    }

    /// Bytes of memory it takes, about.
    pub(crate) fn memory_bytes(&self) -> usize {
        let ticks = match &self.ticks {
            Ticks::Sparse(ticks) => 2 * ticks.capacity(),
            Ticks::Words(_) => size_of::<Words>(),
            Ticks::Full => 0,
        };
        ticks + size_of::<Self>() + 64
    }

    /// Set ticks below `tick`, at most 65,536. O(1,024).
    pub(crate) fn rank(&self, tick: u32) -> u32 {
        match &self.ticks {
            Ticks::Sparse(ticks) => ticks.partition_point(|&at| u32::from(at) < tick) as u32,
            Ticks::Words(words) => {
                let whole = words.get(..(tick / 64) as usize).unwrap_or_default();
                let part = words.get((tick / 64) as usize).copied().unwrap_or(0);
                let ones = whole.iter().map(|word| word.count_ones()).sum::<u32>();
                ones + (part & bits_between(0, tick % 64)).count_ones()
            }
            Ticks::Full => tick,
        }
    }

    /// The 64 ticks of word `index`.
    pub(crate) fn word(&self, index: usize) -> u64 {
        match &self.ticks {
            Ticks::Sparse(ticks) => {
                let from = ticks.partition_point(|&at| usize::from(at) < 64 * index);
                let of_word =
                    ticks.iter().skip(from).take_while(|&&at| usize::from(at) / 64 == index);
                of_word.fold(0, |word, &at| word | 1 << (at % 64))
            }
            Ticks::Words(words) => words.get(index).copied().unwrap_or(0),
            Ticks::Full => u64::MAX,
        }
    }

    /// The words, where it is kept as words.
    pub(crate) fn as_words(&self) -> Option<&Words> {
        match &self.ticks {
            Ticks::Words(words) => Some(words),
            Ticks::Sparse(_) | Ticks::Full => None,
        }
    }

    /// Writes all words.
    pub(crate) fn fill(&self, out: &mut Words) {
        self.ticks.fill(out);
    }

    /// Sets the ticks of `bits` in word `index`. Returns whether any was not set before.
    pub(crate) fn set(&mut self, index: usize, bits: u64) -> bool {
        let added = bits & !self.word(index);
        if added == 0 {
            return false;
        }
        self.count += added.count_ones();
        self.dirty = true;
        match &mut self.ticks {
            Ticks::Sparse(ticks) if ticks.len() + added.count_ones() as usize <= SPARSE_MAX => {
                let mut left = added;
                while left != 0 {
                    let at = (64 * index as u32 + left.trailing_zeros()) as u16;
                    left &= left - 1;
                    // In order of time it is the last.
                    let place = match ticks.last() {
                        Some(&last) if last > at => ticks.partition_point(|&tick| tick < at),
                        _ => ticks.len(),
                    };
                    ticks.insert(place, at);
                }
            }
            _ => self.with_words(|words| {
                if let Some(word) = words.get_mut(index) {
                    *word |= added;
                }
            }),
        }
        if self.count == CONTAINER_TICKS {
            self.ticks = Ticks::Full;
        }
        true
    }

    /// Sets the ticks `from..to`, below 65,536. Tells `changed` of each word with a new one.
    pub(crate) fn set_run(&mut self, from: u32, to: u32, mut changed: impl FnMut(usize)) {
        if from >= to || matches!(self.ticks, Ticks::Full) {
            return;
        }
        let (first, last) = ((from / 64) as usize, ((to - 1) / 64) as usize);
        let bits_of = |index: usize| {
            let start = 64 * index as u32;
            bits_between(from.saturating_sub(start), to - start)
        };
        if let Ticks::Sparse(ticks) = &self.ticks
            && ticks.len() + (to - from) as usize <= SPARSE_MAX / 2
        {
            (first..=last).filter(|&index| self.set(index, bits_of(index))).for_each(changed);
            return;
        }
        let mut added = 0;
        self.with_words(|words| {
            let touched = words.get_mut(first..=last).unwrap_or_default();
            for (index, word) in (first..).zip(touched) {
                let new = bits_of(index) & !*word;
                if new != 0 {
                    added += new.count_ones();
                    *word |= new;
                    changed(index);
                }
            }
        });
        self.count += added;
        self.dirty |= added > 0;
        if self.count == CONTAINER_TICKS {
            self.ticks = Ticks::Full;
        }
    }

    /// Makes word `index` what `word` says. Returns whether it was something else.
    pub(crate) fn replace(&mut self, index: usize, word: u64) -> bool {
        let added = self.set(index, word);
        let gone = self.word(index) & !word;
        if gone == 0 {
            return added;
        }
        self.count -= gone.count_ones();
        self.dirty = true;
        self.with_words(|words| {
            if let Some(place) = words.get_mut(index) {
                *place = word;
            }
        });
        self.shrink();
        true
    }

    /// Sets or clears the ticks `from..to`, at most 65,536. Returns whether any changed.
    pub(crate) fn change(&mut self, from: u32, to: u32, set: bool) -> bool {
        let inside = self.rank(to) - self.rank(from);
        if inside == if set { to - from } else { 0 } {
            return false;
        }
        self.dirty = true;
        if from == 0 && to == CONTAINER_TICKS {
            self.ticks = if set { Ticks::Full } else { Ticks::Sparse(Vec::new()) };
            self.count = if set { CONTAINER_TICKS } else { 0 };
            return true;
        }
        self.with_words(|words| {
            if set { set_range(words, from, to) } else { clear_range(words, from, to) }
        });
        self.count = if set { self.count + (to - from) } else { self.count } - inside;
        self.shrink();
        true
    }

    /// Changes the container as words, whatever it was.
    fn with_words(&mut self, change: impl FnOnce(&mut Words)) {
        if let Ticks::Words(words) = &mut self.ticks {
            return change(words);
        }
        let mut words = Box::new([0; CONTAINER_WORDS]);
        self.ticks.fill(&mut words);
        change(&mut words);
        self.ticks = Ticks::Words(words);
    }

    /// Takes the least form where that is much less.
    fn shrink(&mut self) {
        let Ticks::Words(words) = &self.ticks else { return };
        if self.count == CONTAINER_TICKS {
            self.ticks = Ticks::Full;
        } else if self.count as usize <= SPARSE_MAX / 2 {
            let mut ticks = Vec::with_capacity(self.count as usize);
            for (index, &word) in words.iter().enumerate() {
                let mut left = word;
                while left != 0 {
                    ticks.push((64 * index as u32 + left.trailing_zeros()) as u16);
                    left &= left - 1;
                }
            }
            self.ticks = Ticks::Sparse(ticks);
        }
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[derive(Debug, Clone)]
    enum Op {
        Set(usize, u64),
        Replace(usize, u64),
        Change(u32, u32, bool),
        Run(u32, u32),
    }

    fn op() -> impl Strategy<Value = Op> {
        let index = prop_oneof![0..CONTAINER_WORDS, 0..4_usize];
        let word =
            prop_oneof![any::<u64>(), Just(0), Just(u64::MAX), (0..64_u32).prop_map(|b| 1 << b)];
        let tick = prop_oneof![0..=CONTAINER_TICKS, Just(0), Just(CONTAINER_TICKS)];
        prop_oneof![
            (index.clone(), word.clone()).prop_map(|(index, word)| Op::Set(index, word)),
            (index, word).prop_map(|(index, word)| Op::Replace(index, word)),
            (tick.clone(), tick.clone(), any::<bool>()).prop_map(|(a, b, set)| Op::Change(
                a.min(b),
                a.max(b),
                set
            )),
            (tick, 0..700_u32)
                .prop_map(|(from, len)| Op::Run(from, (from + len).min(CONTAINER_TICKS))),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn is_a_set_of_ticks(ops in prop::collection::vec(op(), 1..40)) {
            let mut hot = Hot::empty();
            let mut naive: BTreeSet<u32> = BTreeSet::new();
            let bits = |index: usize, word: u64| {
                let set = (0..64_u32).filter(move |bit| word >> bit & 1 == 1);
                set.map(move |bit| 64 * index as u32 + bit)
            };
            for op in ops {
                let before = naive.clone();
                let changed = match op {
                    Op::Set(index, word) => {
                        naive.extend(bits(index, word));
                        hot.set(index, word)
                    }
                    Op::Replace(index, word) => {
                        naive.retain(|tick| *tick as usize / 64 != index);
                        naive.extend(bits(index, word));
                        hot.replace(index, word)
                    }
                    Op::Change(from, to, set) => {
                        if set {
                            naive.extend(from..to);
                        } else {
                            naive.retain(|tick| !(from..to).contains(tick));
                        }
                        hot.change(from, to, set)
                    }
                    Op::Run(from, to) => {
                        naive.extend(from..to);
                        let (mut told, mut news) = (Vec::new(), Vec::new());
                        hot.set_run(from, to, |word| told.push(word));
                        news.extend(naive.difference(&before).map(|tick| *tick as usize / 64));
                        news.dedup();
                        prop_assert_eq!(&told, &news);
                        !told.is_empty()
                    }
                };
                prop_assert_eq!(changed, before != naive);
                prop_assert_eq!(hot.count() as usize, naive.len());
                for tick in [0, 1, 63, 64, 70, 30_000, 65_535, 65_536] {
                    prop_assert_eq!(hot.rank(tick) as usize, naive.range(..tick).count());
                }
                let mut words = Box::new([1; CONTAINER_WORDS]);
                hot.fill(&mut words);
                let again: BTreeSet<u32> =
                    words.iter().enumerate().flat_map(|(index, &word)| bits(index, word)).collect();
                prop_assert_eq!(&again, &naive);
                prop_assert_eq!(hot.word(2), words[2]);
            }
        }
    }
}
