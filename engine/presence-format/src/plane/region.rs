//! Regions: 4,194,304 ticks of a plane, the payload of one block.
//!
//! | bytes | what |
//! |---|---|
//! | `i64` | number of the region: its first tick, divided by 4,194,304 |
//! | `u64` | which of its 64 containers have set ticks |
//! | `u32` | set ticks |
//! | `u32` | words that are not zero; 1 where there is none |
//! | `u32`, `u32` | for each of them: ticks set before it; 4 times its offset, plus its form |
//! | bytes | the containers, one behind the other |
//!
//! # Invariants
//! - A [`Region`] was checked in full, here or by who made the page: questions need no checks.
//! - How many ticks are set before any tick is known from the directory and one container.

use super::container::{
    CONTAINER_TICKS, CONTAINER_WORDS, Container, DENSE_BYTES, Form, count_words, encode,
};
use crate::error::{FormatError, Result};

/// Containers of a region.
pub const REGION_CONTAINERS: u32 = 64;
/// Ticks of a region.
pub const REGION_TICKS: u32 = CONTAINER_TICKS * REGION_CONTAINERS;
/// Words of a region.
pub const REGION_WORDS: usize = CONTAINER_WORDS * REGION_CONTAINERS as usize;

const HEAD_BYTES: usize = 24;
const ENTRY_BYTES: usize = 8;

/// Longest payload of a region.
pub const REGION_BYTES_MAX: usize =
    HEAD_BYTES + (ENTRY_BYTES + DENSE_BYTES) * REGION_CONTAINERS as usize;

/// The region that `tick` lies in.
#[inline]
pub const fn region_of(tick: i64) -> i64 {
    tick.div_euclid(REGION_TICKS as i64)
}

/// The first tick of `region`; of those beyond all ticks, the first or last tick there is.
#[inline]
pub const fn first_tick(region: i64) -> i64 {
    region.saturating_mul(REGION_TICKS as i64)
}

/// A stored region: its bytes, borrowed.
#[derive(Debug, Clone, Copy)]
pub struct Region<'a> {
    number: i64,
    mask: u64,
    count: u32,
    words: u32,
    directory: &'a [[u8; ENTRY_BYTES]],
    bytes: &'a [u8],
}

fn entry_rank(entry: &[u8; ENTRY_BYTES]) -> u32 {
    entry.first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes))
}

fn entry_place(entry: &[u8; ENTRY_BYTES]) -> (usize, u32) {
    let place = entry.last_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes));
    ((place >> 2) as usize, place & 3)
}

impl<'a> Region<'a> {
    /// The region that is all of `bytes`, checked to the last container. O(bytes).
    ///
    /// # Errors
    /// `Truncated` or `Corrupt`.
    pub fn parse(bytes: &'a [u8]) -> Result<Self> {
        let region = Self::head(bytes)?;
        let mut end = HEAD_BYTES + ENTRY_BYTES * region.directory.len();
        let mut rank = 0;
        for position in 0..region.directory.len() {
            let fault = |what: &str| FormatError::corrupt(end as u64, what);
            let (start, form, len, count) =
                region.extent(position).ok_or_else(|| fault("a container outside its region"))?;
            let entry = region.directory.get(position).map_or(0, entry_rank);
            if start != end || entry != rank {
                return Err(fault("a directory that is not that of its containers"));
            }
            let stored = bytes.get(start..start + len).unwrap_or_default();
            Container::parse(form, stored, count).map_err(|error| error.at_base(start as u64))?;
            rank += count;
            end += len;
        }
        let words_fit = region.words >= region.count.div_ceil(64).max(1)
            && region.words <= region.count.clamp(1, REGION_WORDS as u32);
        if end != bytes.len() || rank != region.count || !words_fit {
            return Err(FormatError::corrupt(0, "a region that does not hold what it says"));
        }
        Ok(region)
    }

    /// The region that is all of `bytes`, which were checked before. O(1).
    ///
    /// # Errors
    /// `Truncated` or `Corrupt` for what cannot be.
    pub fn head(bytes: &'a [u8]) -> Result<Self> {
        let short = || FormatError::truncated(bytes.len() as u64, "bytes end inside a region");
        let (number, rest) = bytes.split_first_chunk::<8>().ok_or_else(short)?;
        let (mask, rest) = rest.split_first_chunk::<8>().ok_or_else(short)?;
        let (count, rest) = rest.split_first_chunk::<4>().ok_or_else(short)?;
        let (words, rest) = rest.split_first_chunk::<4>().ok_or_else(short)?;
        let mask = u64::from_le_bytes(*mask);
        let entries = ENTRY_BYTES * mask.count_ones() as usize;
        let directory = rest.get(..entries).ok_or_else(short)?.as_chunks().0;
        let number = i64::from_le_bytes(*number);
        if number != region_of(first_tick(number)) || first_tick(number) == i64::MAX {
            return Err(FormatError::corrupt(0, "a region beyond all ticks"));
        }
        let count = u32::from_le_bytes(*count);
        Ok(Self { number, mask, count, words: u32::from_le_bytes(*words), directory, bytes })
    }

    /// Its number.
    #[inline]
    pub const fn number(&self) -> i64 {
        self.number
    }

    /// Bit `i` tells whether container `i` has a set tick.
    #[inline]
    pub const fn mask(&self) -> u64 {
        self.mask
    }

    /// Set ticks.
    #[inline]
    pub const fn count(&self) -> u32 {
        self.count
    }

    /// Words that are not zero; 1 where there is none. As many records a block of it has.
    #[inline]
    pub const fn words(&self) -> u32 {
        self.words
    }

    /// Start, form, length and count of a container, by its position in the directory.
    fn extent(&self, position: usize) -> Option<(usize, Form, usize, u32)> {
        let entry = self.directory.get(position)?;
        let next = self.directory.get(position + 1);
        let (start, form) = entry_place(entry);
        let end = next.map_or(self.bytes.len(), |next| entry_place(next).0);
        let count = next.map_or(self.count, entry_rank).checked_sub(entry_rank(entry))?;
        (end <= self.bytes.len()).then_some(())?;
        Some((start, Form::from_code(form)?, end.checked_sub(start)?, count))
    }

    fn position(&self, container: u32) -> Option<usize> {
        let has = container < REGION_CONTAINERS && self.mask >> container & 1 == 1;
        has.then(|| (self.mask & ((1 << container) - 1)).count_ones() as usize)
    }

    /// Container `container`, from 0 to 63, and the ticks set before it in the region; `None`
    /// where none of its ticks is set. O(1).
    #[inline]
    pub fn container(&self, container: u32) -> Option<(Container<'a>, u32)> {
        let position = self.position(container)?;
        let (start, form, len, count) = self.extent(position)?;
        let bytes = self.bytes.get(start..start.checked_add(len)?)?;
        let rank = self.directory.get(position).map_or(0, entry_rank);
        Some((Container::checked_before(form, bytes, count), rank))
    }

    /// Ticks set below `tick` of the region, from 0 to [`REGION_TICKS`]. O(log ticks).
    #[inline]
    pub fn rank(&self, tick: u32) -> u32 {
        let number = tick / CONTAINER_TICKS;
        if number >= REGION_CONTAINERS {
            return self.count;
        }
        if let Some((container, before)) = self.container(number) {
            return before + container.rank(tick % CONTAINER_TICKS);
        }
        let position = (self.mask & ((1 << number) - 1)).count_ones() as usize;
        self.directory.get(position).map_or(self.count, entry_rank)
    }

    /// Appends the words that are not zero, as records of a plane: the tick of each, and the word.
    /// Of a region without set ticks its first word.
    pub fn records(&self, times: &mut Vec<i64>, words: &mut Vec<u64>) {
        let start = first_tick(self.number);
        let mut buffer = Box::new([0; CONTAINER_WORDS]);
        for number in 0..REGION_CONTAINERS {
            let Some((container, _)) = self.container(number) else { continue };
            container.fill(&mut buffer);
            let base = start + i64::from(number * CONTAINER_TICKS);
            for (index, &word) in buffer.iter().enumerate().filter(|(_, word)| **word != 0) {
                times.push(base + 64 * index as i64);
                words.push(word);
            }
        }
        if self.mask == 0 {
            times.push(start);
            words.push(0);
        }
    }
}

/// Makes the payload of a region, container by container.
#[derive(Debug, Default)]
pub struct RegionBuilder {
    mask: u64,
    count: u32,
    words: u32,
    /// The first word that is not zero, and the last, counted from the region's first.
    ends: Option<(usize, usize)>,
    /// Rank and form of each container, and where its bytes begin in `bytes`.
    directory: Vec<(u32, Form, usize)>,
    bytes: Vec<u8>,
}

impl RegionBuilder {
    /// Appends container `container`, a higher one than those before, with these words.
    pub fn push(&mut self, container: u32, words: &[u64; CONTAINER_WORDS]) {
        let count = count_words(words);
        if count == 0 || container >= REGION_CONTAINERS {
            return;
        }
        debug_assert_eq!(self.mask >> container, 0, "containers ascend");
        let start = self.bytes.len();
        let form = encode(words, count, &mut self.bytes);
        self.directory.push((self.count, form, start));
        self.mask |= 1 << container;
        self.count += count;
        self.words += words.iter().filter(|&&word| word != 0).count() as u32;
        let base = container as usize * CONTAINER_WORDS;
        let first = base + words.iter().position(|&word| word != 0).unwrap_or(0);
        let last = base + words.iter().rposition(|&word| word != 0).unwrap_or(0);
        self.ends = Some((self.ends.map_or(first, |(first, _)| first), last));
    }

    /// Set ticks so far.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Words that are not zero so far; 1 where there is none.
    pub fn words(&self) -> u32 {
        self.words.max(1)
    }

    /// The ticks of the first and the last word that is not zero, as region `number`; of a region
    /// without set ticks its first, twice.
    pub fn ends(&self, number: i64) -> (i64, i64) {
        let (first, last) = self.ends.unwrap_or((0, 0));
        let tick = |word: usize| first_tick(number).saturating_add(64 * word as i64);
        (tick(first), tick(last))
    }

    /// Appends the payload of region `number` to `out`.
    pub fn finish(&self, number: i64, out: &mut Vec<u8>) {
        out.extend_from_slice(&number.to_le_bytes());
        out.extend_from_slice(&self.mask.to_le_bytes());
        out.extend_from_slice(&self.count.to_le_bytes());
        out.extend_from_slice(&self.words().to_le_bytes());
        let base = HEAD_BYTES + ENTRY_BYTES * self.directory.len();
        for &(rank, form, start) in &self.directory {
            out.extend_from_slice(&rank.to_le_bytes());
            let place = ((base + start) as u32) << 2 | form as u32;
            out.extend_from_slice(&place.to_le_bytes());
        }
        out.extend_from_slice(&self.bytes);
    }
}

/// Appends the payload of the region that holds these records: words of one region, their ticks
/// ascending.
pub(crate) fn encode_records(times: &[[u8; 8]], words: &[[u8; 8]], out: &mut Vec<u8>) {
    let mut records = times
        .iter()
        .zip(words)
        .map(|(ts, word)| (i64::from_le_bytes(*ts), u64::from_le_bytes(*word)))
        .peekable();
    let number = region_of(records.peek().map_or(0, |&(ts, _)| ts));
    let mut builder = RegionBuilder::default();
    let mut buffer = Box::new([0; CONTAINER_WORDS]);
    let container_of = |ts: i64| ts.div_euclid(i64::from(CONTAINER_TICKS));
    while let Some(&(ts, _)) = records.peek() {
        let container = container_of(ts);
        buffer.fill(0);
        while let Some((ts, word)) = records.next_if(|&(ts, _)| container_of(ts) == container) {
            let at = ts.rem_euclid(i64::from(CONTAINER_TICKS)) as usize / 64;
            if let Some(place) = buffer.get_mut(at) {
                *place = word;
            }
        }
        builder.push(container.rem_euclid(i64::from(REGION_CONTAINERS)) as u32, &buffer);
    }
    builder.finish(number, out);
}

/// Decodes a payload into as many records as `times` and `words` have bytes for.
pub(crate) fn decode_records(stored: &[u8], times: &mut [u8], words: &mut [u8]) -> Result<()> {
    let region = Region::parse(stored)?;
    let (mut ticks, mut values) = (Vec::new(), Vec::new());
    let fault = || FormatError::corrupt(20, "a region of other words than it says");
    if times.len() != 8 * region.words() as usize || words.len() != times.len() {
        return Err(fault());
    }
    region.records(&mut ticks, &mut values);
    if ticks.len() != region.words() as usize {
        return Err(fault());
    }
    for (out, ts) in times.as_chunks_mut::<8>().0.iter_mut().zip(ticks) {
        *out = ts.to_le_bytes();
    }
    for (out, word) in words.as_chunks_mut::<8>().0.iter_mut().zip(values) {
        *out = word.to_le_bytes();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::container::set_range;
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn build(number: i64, ranges: &[(u32, u32)]) -> (Vec<u8>, Vec<(u32, u32)>) {
        let mut containers: BTreeMap<u32, Box<[u64; CONTAINER_WORDS]>> = BTreeMap::new();
        for &(from, to) in ranges {
            for container in from / CONTAINER_TICKS..=(to - 1) / CONTAINER_TICKS {
                let base = container * CONTAINER_TICKS;
                let words = containers.entry(container).or_insert_with(|| Box::new([0; 1024]));
                set_range(words, from.max(base) - base, to.min(base + CONTAINER_TICKS) - base);
            }
        }
        let mut builder = RegionBuilder::default();
        containers.iter().for_each(|(&container, words)| builder.push(container, words));
        let mut bytes = Vec::new();
        builder.finish(number, &mut bytes);
        let mut merged: Vec<(u32, u32)> = Vec::new();
        let mut sorted = ranges.to_vec();
        sorted.sort_unstable();
        for (from, to) in sorted {
            match merged.last_mut() {
                Some(last) if last.1 >= from => last.1 = last.1.max(to),
                _ => merged.push((from, to)),
            }
        }
        (bytes, merged)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn ranks_and_records_are_those_of_the_set(
            number in -5_i64..5,
            starts in prop::collection::vec((0..REGION_TICKS, 1..200_000_u32), 0..40),
            asked in prop::collection::vec(0..=REGION_TICKS, 50),
        ) {
            let ranges: Vec<(u32, u32)> =
                starts.iter().map(|&(from, len)| (from, (from + len).min(REGION_TICKS))).collect();
            let (bytes, merged) = build(number, &ranges);
            prop_assert!(bytes.len() <= REGION_BYTES_MAX);
            let region = Region::parse(&bytes).unwrap();
            for tick in asked {
                let naive: u32 =
                    merged.iter().map(|&(from, to)| tick.clamp(from, to) - from).sum();
                prop_assert_eq!(region.rank(tick), naive);
            }
            let (mut times, mut words) = (Vec::new(), Vec::new());
            region.records(&mut times, &mut words);
            prop_assert_eq!(times.len() as u32, region.words());
            prop_assert!(times.iter().all(|&ts| region_of(ts) == number));
            let bytes_of = |values: Vec<[u8; 8]>| values.concat();
            let times_le = bytes_of(times.iter().map(|ts| ts.to_le_bytes()).collect());
            let words_le = bytes_of(words.iter().map(|word| word.to_le_bytes()).collect());
            let mut again = Vec::new();
            encode_records(times_le.as_chunks().0, words_le.as_chunks().0, &mut again);
            prop_assert_eq!(&again, &bytes);
            let (mut t, mut w) = (vec![0; times_le.len()], vec![0; words_le.len()]);
            decode_records(&bytes, &mut t, &mut w).unwrap();
            prop_assert_eq!((t, w), (times_le, words_le));
        }

        #[test]
        fn a_changed_byte_is_refused_or_another_sound_region(
            at in 0_usize..4000,
            to: u8,
        ) {
            let (mut bytes, _) =
                build(3, &[(5, 9), (70_000, 71_000), (80_000, 80_001), (400_000, 900_000)]);
            let len = bytes.len();
            bytes[at % len] = to;
            if let Ok(region) = Region::parse(&bytes) {
                prop_assert_eq!(region.rank(REGION_TICKS), region.count());
                let records = region.words() as usize;
                let _refused_or_right =
                    decode_records(&bytes, &mut vec![0; 8 * records], &mut vec![0; 8 * records]);
            }
            prop_assert!(Region::parse(&bytes[..len - 1]).is_err());
        }
    }

    #[test]
    fn a_region_without_ticks_says_so() {
        let (bytes, _) = build(-1, &[]);
        let region = Region::parse(&bytes).unwrap();
        assert_eq!((region.count(), region.words(), region.rank(REGION_TICKS)), (0, 1, 0));
        assert_eq!(first_tick(region.number()), -i64::from(REGION_TICKS));
    }
}
