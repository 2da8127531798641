//! One plane: its regions on disk, and in front of them the containers in memory.
//!
//! # Invariants
//! - A container in memory stands in front of the one on disk, whole.
//! - What is dirty is in no block yet; it is in a frame, or unlogged.

use std::collections::{BTreeMap, BTreeSet};

use presence_format::frame;
use presence_format::index::IndexEntry;
use presence_format::plane::{
    CONTAINER_TICKS, CONTAINER_WORDS, Container, REGION_CONTAINERS, Region, RegionBuilder,
};

use super::hot::{Hot, Words};
use super::index::{PlaneIndex, is_words_only};
use super::pending::Run;
use super::source::{Bitmap, Bitmaps, Fill};
use super::state::Planes;
use crate::error::Result;
use crate::read::cache::Pages;
use crate::segment::{RegionParts, SegmentFile, SegmentWriter};
use crate::shim::atomic::Ordering;
use crate::shim::{Arc, planted};
use crate::store::stream_state::StreamState;

/// A container's number and the place of a tick in it.
#[inline]
pub(crate) fn place_of(tick: i64) -> (i64, u32) {
    let ticks = i64::from(CONTAINER_TICKS);
    (tick.div_euclid(ticks), tick.rem_euclid(ticks) as u32)
}

/// The first tick of container `number`.
#[inline]
pub(crate) fn start_of(number: i64) -> i64 {
    number.saturating_mul(i64::from(CONTAINER_TICKS))
}

const fn region_of_container(number: i64) -> i64 {
    number.div_euclid(REGION_CONTAINERS as i64)
}

/// A bitmap over ticks.
#[derive(Debug, Clone, Default)]
pub(crate) struct Plane {
    /// The stream it is in the database; none in memory.
    pub(crate) stream: Option<Arc<StreamState>>,
    pub(super) index: Arc<PlaneIndex>,
    hot: BTreeMap<i64, Arc<Hot>>,
    hot_bytes: usize,
    /// Where its blocks are kept for readers.
    pub(super) pages: Arc<Pages>,
    /// The sequences of what it was read from: where each piece begins, and what lies behind it.
    pub(super) read: Arc<BTreeMap<u64, u64>>,
}

impl Plane {
    /// Looks at the view again, where it is another one.
    pub(crate) fn reindex(&mut self) {
        let Some(stream) = &self.stream else { return };
        let view = stream.view.load_full();
        if !self.index.is_of(&view) {
            self.index = Arc::new(PlaneIndex::new(view, &self.index));
        }
    }

    /// Whether the view is another one than the index was made from.
    #[inline]
    pub(crate) fn is_stale(&self) -> bool {
        self.stream.as_ref().is_some_and(|stream| !self.index.is_of(&stream.view.load()))
    }

    /// Whether container `number` is in memory once, for both.
    #[cfg(test)]
    pub(super) fn shares_container(&self, other: &Self, number: i64) -> bool {
        let both = self.hot.get(&number).zip(other.hot.get(&number));
        both.is_some_and(|(own, other)| Arc::ptr_eq(own, other))
    }

    /// Bytes of memory its containers take, about.
    pub(crate) fn hot_bytes(&self) -> usize {
        self.hot_bytes
    }

    fn change<R>(&mut self, number: i64, change: impl FnOnce(&mut Hot) -> R) -> Result<R> {
        if !self.hot.contains_key(&number) {
            let hot = self.on_disk(number)?;
            self.hot_bytes += hot.memory_bytes();
            self.hot.insert(number, Arc::new(hot));
        }
        let hot = Arc::make_mut(self.hot.entry(number).or_insert_with(|| Arc::new(Hot::empty())));
        let before = hot.memory_bytes();
        let changed = change(hot);
        self.hot_bytes = (self.hot_bytes + hot.memory_bytes()).saturating_sub(before);
        Ok(changed)
    }

    fn on_disk(&self, number: i64) -> Result<Hot> {
        self.stored_container(number, |container| match container {
            Some(container) => {
                let mut words = Box::new([0; CONTAINER_WORDS]);
                container.fill(&mut words);
                Hot::from_disk(&words)
            }
            None => Hot::empty(),
        })
    }

    /// Asks `question` of container `number` as it is on disk; of none where it has no set tick.
    fn stored_container<R>(
        &self,
        number: i64,
        question: impl FnOnce(Option<Container<'_>>) -> R,
    ) -> Result<R> {
        let Some(stored) = self.index.stored(region_of_container(number)) else {
            return Ok(question(None));
        };
        let inside = number.rem_euclid(i64::from(REGION_CONTAINERS)) as u32;
        let container =
            |region: Region<'_>| question(region.container(inside).map(|(container, _)| container));
        stored.with(&self.pages, container)
    }

    /// Sets ticks of container `number`: of each word its index and the ticks. Tells `changed` of
    /// each word with a new one.
    pub(crate) fn set_words(
        &mut self,
        number: i64,
        words: impl Iterator<Item = (usize, u64)>,
        mut changed: impl FnMut(usize),
    ) -> Result<()> {
        self.change(number, |hot| {
            for (index, bits) in words {
                if hot.set(index, bits) {
                    changed(index);
                }
            }
        })
    }

    /// Sets runs of ticks of container `number`. Tells `changed` of each word with a new one.
    pub(crate) fn set_runs(
        &mut self,
        number: i64,
        runs: &[Run],
        mut changed: impl FnMut(usize),
    ) -> Result<()> {
        let start = start_of(number);
        let inside = |tick: i64| (tick - start).clamp(0, i64::from(CONTAINER_TICKS)) as u32;
        self.change(number, |hot| {
            for run in runs {
                hot.set_run(inside(run.from), inside(run.to), &mut changed);
            }
        })
    }

    /// Makes the word that begins at `tick` what `word` says.
    pub(super) fn replace(&mut self, tick: i64, word: u64) -> Result<bool> {
        let (number, inside) = place_of(tick);
        self.change(number, |hot| hot.replace((inside / 64) as usize, word))
    }

    /// Sets or clears the ticks `from..to`. Tells `changed` of each container with a change.
    pub(crate) fn change_range(
        &mut self,
        (from, to): (i64, i64),
        set: bool,
        mut changed: impl FnMut(i64, u32, u32),
    ) -> Result<()> {
        let mut at = from;
        while at < to {
            let (number, inside) = place_of(at);
            let mut number = number;
            if !set {
                // What is not set need not be cleared.
                match self.next_container(number)? {
                    Some(next) if start_of(next) < to => number = next.max(number),
                    _ => return Ok(()),
                }
            }
            let start = start_of(number);
            let inside = if start > at { 0 } else { inside };
            let end = to.saturating_sub(start).min(i64::from(CONTAINER_TICKS)) as u32;
            if self.change(number, |hot| hot.change(inside, end, set))? {
                changed(number, inside, end);
            }
            let Some(next) = start.checked_add(i64::from(CONTAINER_TICKS)) else { break };
            at = next;
        }
        Ok(())
    }

    /// The word that begins at `tick`, of a container in memory.
    pub(crate) fn hot_word(&self, tick: i64) -> Option<u64> {
        let (number, inside) = place_of(tick);
        self.hot.get(&number).map(|hot| hot.word((inside / 64) as usize))
    }

    /// Set ticks.
    pub(crate) fn count(&self) -> Result<u64> {
        self.rank(i64::MAX)
    }

    /// Set ticks below `tick`. Reads at most one block.
    #[inline]
    pub(crate) fn rank(&self, tick: i64) -> Result<u64> {
        if self.hot.is_empty() {
            return self.index.rank(tick, &self.pages);
        }
        let (number, inside) = place_of(tick);
        let more = |sum: i64, (_, hot): (&i64, &Arc<Hot>)| {
            sum + i64::from(hot.count()) - i64::from(hot.on_disk)
        };
        let (below, own) = match self.hot.get(&number) {
            Some(hot) => (start_of(number), hot.rank(inside)),
            None => (tick, 0),
        };
        let on_disk = self.index.rank(below, &self.pages)?.cast_signed();
        let all = self.hot.range(..number).fold(on_disk, more) + i64::from(own);
        Ok(all.max(0).cast_unsigned())
    }

    /// Number of the first container from `from` on that has a set tick.
    pub(crate) fn next_container(&self, from: i64) -> Result<Option<i64>> {
        let in_memory =
            self.hot.range(from..).find(|(_, hot)| hot.count() > 0).map(|(&number, _)| number);
        let mut at = from;
        while let Some(stored) = self.index.next(region_of_container(at)) {
            let first = stored.number() * i64::from(REGION_CONTAINERS);
            if in_memory.is_some_and(|number| number <= first.max(at)) {
                break;
            }
            let skip = at.saturating_sub(first).max(0) as u32;
            let mut mask = stored.with(&self.pages, |region| region.mask())? & (u64::MAX << skip);
            while mask != 0 {
                let number = first + i64::from(mask.trailing_zeros());
                if in_memory.is_some_and(|other| other <= number) {
                    return Ok(in_memory);
                }
                if !self.hot.contains_key(&number) {
                    return Ok(Some(number));
                }
                mask &= mask - 1;
            }
            at = first + i64::from(REGION_CONTAINERS);
        }
        Ok(in_memory)
    }

    /// Number of the last container up to `to` that has a set tick.
    pub(crate) fn previous_container(&self, to: i64) -> Result<Option<i64>> {
        let mut in_memory = self.hot.range(..=to).rev().filter(|(_, hot)| hot.count() > 0);
        let in_memory = in_memory.next().map(|(&number, _)| number);
        let mut at = to;
        while let Some(stored) = self.index.previous(region_of_container(at)) {
            let first = stored.number() * i64::from(REGION_CONTAINERS);
            let last = first + i64::from(REGION_CONTAINERS) - 1;
            if in_memory.is_some_and(|number| number >= last.min(at)) {
                break;
            }
            let skip = last.saturating_sub(at).clamp(0, 63) as u32;
            let mut mask = stored.with(&self.pages, |region| region.mask())? & (u64::MAX >> skip);
            while mask != 0 {
                let bit = 63 - mask.leading_zeros();
                let number = first + i64::from(bit);
                if in_memory.is_some_and(|other| other >= number) {
                    return Ok(in_memory);
                }
                if !self.hot.contains_key(&number) {
                    return Ok(Some(number));
                }
                mask &= !(1 << bit);
            }
            at = first - 1;
        }
        Ok(in_memory)
    }

    /// Writes the words of container `number`; returns how many ticks are set.
    pub(crate) fn fill(&self, number: i64, words: &mut Words) -> Result<u32> {
        if let Some(hot) = self.hot.get(&number) {
            hot.fill(words);
            return Ok(hot.count());
        }
        self.stored_container(number, |container| match container {
            Some(container) => {
                container.fill(words);
                container.count()
            }
            None => {
                words.fill(0);
                0
            }
        })
    }

    /// The regions that have changes which no block holds yet.
    pub(crate) fn dirty_regions(&self) -> BTreeSet<i64> {
        let dirty = self.hot.iter().filter(|(_, hot)| hot.dirty);
        dirty.map(|(&number, _)| region_of_container(number)).collect()
    }

    /// The regions on disk that count, each with the segment it lies in.
    pub(crate) fn stored_regions(&self) -> impl Iterator<Item = (i64, &Arc<SegmentFile>)> {
        self.index.all().map(|stored| (stored.number(), stored.segment()))
    }

    /// Whether words of it stand in blocks of words in segments of which `of` holds.
    pub(crate) fn has_words_in(&self, of: impl Fn(&Arc<SegmentFile>) -> bool) -> bool {
        self.stream.as_ref().is_some_and(|stream| {
            let view = stream.view.load();
            let mut runs = view.runs().iter().filter(|run| of(&run.segment));
            runs.any(|run| run.entries().iter().any(is_words_only))
        })
    }

    /// Forgets what memory holds of these regions.
    pub(crate) fn forget_regions(&mut self, regions: &BTreeSet<i64>) {
        let hot_bytes = &mut self.hot_bytes;
        self.hot.retain(|number, hot| {
            let stays = !regions.contains(&region_of_container(*number));
            if !stays {
                *hot_bytes = hot_bytes.saturating_sub(hot.memory_bytes());
            }
            stays
        });
    }

    /// Region `number` as it is now, to be written.
    pub(crate) fn region(&self, number: i64) -> Result<RegionBuilder> {
        let mut region = RegionBuilder::default();
        let mut words = Box::new([0; CONTAINER_WORDS]);
        let first = number * i64::from(REGION_CONTAINERS);
        for container in 0..REGION_CONTAINERS {
            let number = first + i64::from(container);
            if let Some(words) = self.hot.get(&number).and_then(|hot| hot.as_words()) {
                region.push(container, words);
            } else if self.fill(number, &mut words)? > 0 {
                region.push(container, &words);
            }
        }
        Ok(region)
    }

    /// Writes region `number`.
    pub(crate) fn write_region(
        &self,
        number: i64,
        region: &RegionBuilder,
        writer: &mut SegmentWriter,
    ) -> Result<Option<IndexEntry>> {
        let Some(stream) = &self.stream else { return Ok(None) };
        let entry = writer.region(&RegionParts {
            stream: stream.id,
            layout: &stream.layout,
            first_sequence: stream.logged.load(Ordering::Acquire),
            number,
            region,
        })?;
        stream.logged.fetch_max(entry.end_sequence(), Ordering::AcqRel);
        Ok(Some(entry))
    }

    /// Forgets the containers in memory of these regions that are as they were in `written`, of
    /// which blocks were made.
    pub(crate) fn cool(&mut self, written: &Self, regions: &BTreeSet<i64>) {
        let hot_bytes = &mut self.hot_bytes;
        self.hot.retain(|number, hot| {
            if !regions.contains(&region_of_container(*number)) {
                return true;
            }
            match written.hot.get(number) {
                Some(then) if Arc::ptr_eq(then, hot) || planted("cooled_unseen") => {
                    *hot_bytes = hot_bytes.saturating_sub(hot.memory_bytes());
                    return false;
                }
                Some(then) => Arc::make_mut(hot).on_disk = then.count(),
                None => {}
            }
            true
        });
    }
}

/// Appends a section of a frame with these words of `stream`; returns the sequence behind them.
pub(crate) fn section(out: &mut Vec<u8>, stream: &StreamState, words: &[(i64, u64)]) -> u64 {
    let first = stream.logged.load(Ordering::Acquire);
    frame::encode_head(stream.id, first, words.len() as u32, out);
    words.iter().for_each(|(tick, _)| out.extend_from_slice(&tick.to_le_bytes()));
    words.iter().for_each(|(_, word)| out.extend_from_slice(&word.to_le_bytes()));
    first.saturating_add(words.len() as u64)
}

impl Bitmap for Plane {
    #[inline]
    fn rank(&self, tick: i64) -> Result<u64> {
        Self::rank(self, tick)
    }

    fn next_container(&self, from: i64) -> Result<Option<i64>> {
        Self::next_container(self, from)
    }

    fn previous_container(&self, to: i64) -> Result<Option<i64>> {
        Self::previous_container(self, to)
    }

    fn container(&self, number: i64, words: &mut Words) -> Result<Fill> {
        if let Some(hot) = self.hot.get(&number) {
            return Ok(fill_of(hot.count(), || hot.fill(words)));
        }
        self.stored_container(number, |container| match container {
            Some(container) => fill_of(container.count(), || container.fill(words)),
            None => Fill::Empty,
        })
    }

    fn shown(&self, number: i64, read: &mut dyn FnMut(&Words)) -> Result<bool> {
        let words = self.hot.get(&number).and_then(|hot| hot.as_words());
        words.into_iter().for_each(read);
        Ok(words.is_some())
    }

    fn offsets(&self, number: i64, offsets: &mut Vec<u16>) -> Result<bool> {
        if self.hot.contains_key(&number) {
            return Ok(false);
        }
        self.stored_container(number, |container| match container {
            Some(Container::Sparse(ticks)) => {
                offsets.clear();
                offsets.extend(ticks.iter().map(|tick| u16::from_le_bytes(*tick)));
                true
            }
            _ => false,
        })
    }
}

fn fill_of(count: u32, fill: impl FnOnce()) -> Fill {
    match count {
        0 => Fill::Empty,
        CONTAINER_TICKS => Fill::Full,
        _ => {
            fill();
            Fill::Mixed
        }
    }
}

impl Bitmaps for Planes {
    type Bitmap = Plane;

    fn class(&self, class: u16) -> Option<&Plane> {
        self.classes.get(&class).map(|plane| &**plane)
    }

    fn observed(&self) -> &Plane {
        &self.observed
    }

    fn named(&self, name: &str) -> Option<u16> {
        self.names.get(name).copied()
    }
}
