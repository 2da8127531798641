//! A presence track as the engine holds it.
//!
//! # Invariants
//! - Locks are taken in this order: the log's, the planes', a stripe's. None is held while a block
//!   is written.
//! - A change is in the planes before it is unlogged, and unlogged until a frame or block has it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use presence_format::plane::{CONTAINER_WORDS, region_of};
use presence_format::varint::VARINT_BYTES_MAX;
use presence_format::{Plane as PlaneOf, PlaneKind, Rate};

use super::grid::Grid;
use super::hot::Words;
use super::pending::{Drained, OBSERVED, Pending, PlaneKey, Updates};
use super::plane::{Plane, place_of, start_of};
use crate::error::{Error, Result};
use crate::read::view::Gap;
use crate::shim::atomic::{AtomicU64, Ordering};
use crate::shim::{Arc, Mutex, MutexGuard, lock};
use crate::store::stream_state::StreamState;

/// More words of one region than this are less as a block.
const REGION_WORDS_MAX: u32 = 1 << 13;
/// Words of one frame: a section of it, and its payload, have room for more.
const FRAME_WORDS_MAX: u64 = 1 << 16;
/// Longer runs are not put into frames.
const LONG_RUN_TICKS: u32 = 1 << 13;

/// Words of a container: bit `i` of word `w` stands for its word `64 w + i`.
type Touched = [u64; CONTAINER_WORDS / 64];

fn touch(touched: &mut Touched, word: usize) {
    if let Some(bits) = touched.get_mut(word / 64) {
        *bits |= 1 << (word % 64);
    }
}

fn touched_words(touched: &Touched) -> impl Iterator<Item = i64> {
    let is_touched =
        |word: &usize| touched.get(word / 64).is_some_and(|b| b >> (word % 64) & 1 == 1);
    (0..CONTAINER_WORDS).filter(is_touched).map(|word| word as i64)
}

/// The planes of a track.
#[derive(Debug, Clone, Default)]
pub(crate) struct Planes {
    pub(crate) observed: Arc<Plane>,
    pub(crate) classes: BTreeMap<u16, Arc<Plane>>,
    pub(crate) names: BTreeMap<String, u16>,
    /// What is missing of them.
    gaps: Vec<(PlaneKey, Gap)>,
}

impl Planes {
    /// Whether anything is missing.
    #[inline]
    pub(crate) fn has_gaps(&self) -> bool {
        !self.gaps.is_empty()
    }

    pub(crate) fn get(&self, key: PlaneKey) -> Option<&Arc<Plane>> {
        match u16::try_from(key) {
            Ok(class) => self.classes.get(&class),
            Err(_) => Some(&self.observed),
        }
    }

    fn get_mut(&mut self, key: PlaneKey) -> Option<&mut Plane> {
        let plane = match u16::try_from(key) {
            Ok(class) => self.classes.get_mut(&class)?,
            Err(_) => &mut self.observed,
        };
        Some(Arc::make_mut(plane))
    }

    /// All planes: what was observed comes last.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (PlaneKey, &Arc<Plane>)> {
        let classes = self.classes.iter().map(|(&class, plane)| (u32::from(class), plane));
        classes.chain([(OBSERVED, &self.observed)])
    }
}

/// A presence track.
pub(crate) struct TrackState {
    pub(crate) name: String,
    /// Ticks a second, in lowest terms.
    pub(crate) rate: (u32, u32),
    pub(crate) epoch_us: i64,
    /// Bit `class`: the class has a plane.
    known: Box<[AtomicU64]>,
    pending: Pending,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    planes: Arc<Planes>,
    /// Words that changed since the last frame, by plane and container.
    unlogged: BTreeMap<(PlaneKey, i64), Touched>,
    /// Regions of which so much changed that a block is less.
    unlogged_regions: BTreeSet<(PlaneKey, i64)>,
    generation: u64,
    /// Why nothing can be asked: a plane could not be read.
    fault: Option<Error>,
}

/// What is to be logged of a track.
#[derive(Debug, Default)]
pub(crate) struct Unlogged {
    /// Words, by plane, ascending.
    pub(crate) words: BTreeMap<PlaneKey, Vec<(i64, u64)>>,
    /// Regions to be written as blocks.
    pub(crate) regions: BTreeMap<PlaneKey, BTreeSet<i64>>,
    /// The planes as they were when this was taken.
    pub(crate) planes: Arc<Planes>,
}

impl Unlogged {
    /// Whether there is nothing to be logged.
    pub(crate) fn is_empty(&self) -> bool {
        self.regions.is_empty() && self.words.values().all(Vec::is_empty)
    }

    /// Bytes of a frame with the words, at most: a section for each plane, 16 bytes for each word.
    pub(crate) fn frame_bytes_max(&self) -> u32 {
        let words: usize = self.words.values().map(Vec::len).sum();
        let heads = 3 * VARINT_BYTES_MAX * self.words.len();
        u32::try_from(16 * words + heads).unwrap_or(u32::MAX)
    }
}

impl std::fmt::Debug for TrackState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TrackState").field("name", &self.name).finish_non_exhaustive()
    }
}

impl TrackState {
    /// A track without planes.
    pub(crate) fn new(name: &str, rate: (u32, u32), epoch_us: i64) -> Self {
        Self {
            name: name.to_owned(),
            rate,
            epoch_us,
            known: (0..1024).map(|_| AtomicU64::new(0)).collect(),
            pending: Pending::new(),
            inner: Mutex::default(),
        }
    }

    /// Adds a plane, or puts it in the place of what it was.
    pub(crate) fn put_plane(&self, kind: &PlaneKind, plane: Result<Plane>) {
        let mut inner = lock(&self.inner);
        let plane = match plane {
            Ok(plane) => plane,
            Err(error) => {
                inner.fault.get_or_insert(error);
                return;
            }
        };
        let planes = Arc::make_mut(&mut inner.planes);
        let key = key_of(kind);
        planes.gaps.retain(|(other, _)| *other != key);
        if let Some(stream) = &plane.stream {
            planes.gaps.extend(stream.view.load().gaps.iter().map(|gap| (key, gap.clone())));
        }
        let PlaneKind::Class { id, name } = kind else {
            planes.observed = Arc::new(plane);
            return;
        };
        planes.classes.insert(*id, Arc::new(plane));
        if !name.is_empty() {
            planes.names.insert(name.clone(), *id);
        }
        if let Some(word) = self.known.get(usize::from(*id) / 64) {
            word.fetch_or(1 << (id % 64), Ordering::Release);
        }
    }

    /// The plane as it was last read or changed.
    pub(crate) fn plane(&self, kind: &PlaneKind) -> Option<Arc<Plane>> {
        lock(&self.inner).planes.get(key_of(kind)).cloned()
    }

    /// Forgets faults found before: the planes are read anew.
    pub(crate) fn forget_faults(&self) {
        let mut inner = lock(&self.inner);
        inner.fault = None;
    }

    /// Whether `class` has a plane.
    #[inline]
    pub(crate) fn knows(&self, class: u16) -> bool {
        let word = self.known.get(usize::from(class) / 64);
        word.is_some_and(|word| word.load(Ordering::Acquire) >> (class % 64) & 1 == 1)
    }

    /// The class called `name`.
    pub(crate) fn named(&self, name: &str) -> Option<u16> {
        lock(&self.inner).planes.names.get(name).copied()
    }

    /// The classes, ascending, each with its name where it has one.
    pub(crate) fn classes(&self) -> Vec<(u16, Option<String>)> {
        let inner = lock(&self.inner);
        let named = inner.planes.names.iter().map(|(name, id)| (*id, name.clone()));
        let mut names: BTreeMap<u16, String> = named.collect();
        inner.planes.classes.keys().map(|&id| (id, names.remove(&id))).collect()
    }

    /// A class that has no plane and no name yet.
    pub(crate) fn free_class(&self) -> Option<u16> {
        let inner = lock(&self.inner);
        (0..=u16::MAX).find(|id| !inner.planes.classes.contains_key(id))
    }

    /// The streams that the planes are.
    pub(crate) fn streams(&self) -> Vec<Arc<StreamState>> {
        let inner = lock(&self.inner);
        inner.planes.iter().filter_map(|(_, plane)| plane.stream.clone()).collect()
    }

    /// Lets `add` set ticks of planes that there are; all of them show at once. Tells whether
    /// memory may have grown.
    #[inline]
    pub(crate) fn update(&self, generation: u64, add: impl FnOnce(&mut Updates)) -> Result<bool> {
        if self.pending.add(add) { self.settle(generation).map(|_| true) } else { Ok(false) }
    }

    /// Sets what is set in `other`, a container at a time; `relieve` is called between them.
    pub(crate) fn merge(
        &self,
        generation: u64,
        key: PlaneKey,
        other: &Plane,
        relieve: &mut dyn FnMut() -> Result<()>,
    ) -> Result<()> {
        let mut words = Box::new([0; CONTAINER_WORDS]);
        let mut from = i64::MIN;
        while let Some(number) = other.next_container(from)? {
            other.fill(number, &mut words)?;
            self.settle(generation)?.merge(key, number, &words)?;
            from = number + 1;
            relieve()?;
        }
        Ok(())
    }

    /// Adds a plane to a track in memory.
    pub(crate) fn add_in_memory(&self, kind: &PlaneKind) -> Result<()> {
        if let PlaneKind::Class { id, .. } = kind
            && self.knows(*id)
        {
            return Err(Error::ClassInUse { track: self.name.clone(), class: *id });
        }
        self.put_plane(kind, Ok(Plane::default()));
        Ok(())
    }

    /// Its grid.
    pub(crate) fn grid(&self) -> Result<Grid> {
        Ok(Grid::new(Rate::new(self.rate.0, self.rate.1)?, self.epoch_us))
    }

    /// Sets or clears the ticks `from..to` of these planes.
    pub(crate) fn change_range(
        &self,
        generation: u64,
        keys: &[PlaneKey],
        ticks: (i64, i64),
        set: bool,
    ) -> Result<()> {
        self.settle(generation)?.change_range(keys, ticks, set)
    }

    /// Everything set before, in its planes.
    fn settle(&self, generation: u64) -> Result<MutexGuard<'_, Inner>> {
        let mut inner = lock(&self.inner);
        if inner.generation != generation {
            inner.generation = generation;
            inner.reindex();
        }
        if !self.pending.is_empty() {
            inner.apply(&self.pending.drain())?;
        }
        Ok(inner)
    }

    /// The planes as they are now, with everything set before.
    ///
    /// # Errors
    /// The fault that keeps a plane from being read.
    pub(crate) fn snapshot(&self, generation: u64) -> Result<Arc<Planes>> {
        let inner = self.settle(generation)?;
        match &inner.fault {
            Some(fault) => Err(fault.clone()),
            None => Ok(Arc::clone(&inner.planes)),
        }
    }

    /// Refuses an answer about `ticks` of the planes that are asked, where parts of them are
    /// missing there.
    pub(crate) fn check_gaps(
        &self,
        planes: &Planes,
        is_asked: impl Fn(PlaneKey) -> bool,
        ticks: &Range<i64>,
    ) -> Result<()> {
        let touches = |gap: &Gap| {
            gap.after_ts.is_none_or(|first| first < ticks.end)
                && gap.before_ts.is_none_or(|last| ticks.start <= last)
                && !ticks.is_empty()
        };
        let mut gaps = planes.gaps.iter().filter(|(key, gap)| is_asked(*key) && touches(gap));
        let Some((_, gap)) = gaps.next() else { return Ok(()) };
        let plane = PlaneOf::new(&self.name, self.rate, self.epoch_us, PlaneKind::Observed);
        let plane = plane.map_err(|error| Error::invalid(error.what))?;
        Err(Error::Gap(Box::new(gap.of_plane(self.name.clone(), &plane))))
    }

    /// Bytes of memory the planes take, about.
    pub(crate) fn memory_bytes(&self) -> usize {
        let inner = lock(&self.inner);
        inner.planes.iter().map(|(_, plane)| plane.hot_bytes()).sum()
    }

    /// The planes as they are now, whatever is missing of them.
    pub(crate) fn now(&self, generation: u64) -> Result<Arc<Planes>> {
        Ok(Arc::clone(&self.settle(generation)?.planes))
    }

    /// Forgets these regions, which are on disk no more: also what was set in them just now.
    pub(crate) fn give_up(&self, regions: &BTreeSet<i64>) {
        let mut inner = lock(&self.inner);
        // A plane that cannot be read keeps nothing of them either.
        let _failed = inner.apply(&self.pending.drain());
        inner.reindex();
        let Inner { planes, unlogged, unlogged_regions, .. } = &mut *inner;
        let planes = Arc::make_mut(planes);
        for plane in planes.classes.values_mut().chain([&mut planes.observed]) {
            Arc::make_mut(plane).forget_regions(regions);
        }
        unlogged.retain(|(_, container), _| !regions.contains(&region_of(start_of(*container))));
        unlogged_regions.retain(|(_, region)| !regions.contains(region));
    }

    /// Makes every class absent in `ticks`; returns what is to be logged then.
    pub(crate) fn clear_classes(&self, generation: u64, ticks: (i64, i64)) -> Result<Unlogged> {
        let mut inner = self.settle(generation)?;
        let keys: Vec<PlaneKey> = inner.planes.classes.keys().map(|&id| u32::from(id)).collect();
        inner.change_range(&keys, ticks, false)?;
        inner.take_unlogged()
    }

    /// Makes `ticks` not observed, in no class. Every class is absent in them where the log is
    /// concerned, and nothing was logged since.
    pub(crate) fn clear_all(&self, generation: u64, ticks: (i64, i64)) -> Result<()> {
        let mut inner = self.settle(generation)?;
        let keys: Vec<PlaneKey> = inner.planes.iter().map(|(key, _)| key).collect();
        inner.change_range(&keys, ticks, false)
    }

    /// What changed since this was last asked, to be logged.
    pub(crate) fn take_unlogged(&self, generation: u64) -> Result<Unlogged> {
        self.settle(generation)?.take_unlogged()
    }

    /// Every region with changes that no block holds, as the planes are now.
    pub(crate) fn dirty(&self, generation: u64) -> Result<Unlogged> {
        let mut inner = self.settle(generation)?;
        inner.unlogged.clear();
        inner.unlogged_regions.clear();
        let regions = inner.planes.iter().map(|(key, plane)| (key, plane.dirty_regions()));
        let regions = regions.filter(|(_, regions)| !regions.is_empty()).collect();
        Ok(Unlogged { regions, planes: Arc::clone(&inner.planes), ..Unlogged::default() })
    }

    /// Blocks of these regions were written and are in the views: memory gives up what they hold.
    pub(crate) fn cool(&self, written: &Planes, regions: &BTreeMap<PlaneKey, BTreeSet<i64>>) {
        let mut inner = lock(&self.inner);
        let planes = Arc::make_mut(&mut inner.planes);
        for (key, regions) in regions {
            if let (Some(plane), Some(written)) = (planes.get_mut(*key), written.get(*key)) {
                plane.reindex();
                plane.cool(written, regions);
            }
        }
    }
}

impl Inner {
    /// See [`TrackState::take_unlogged`].
    fn take_unlogged(&mut self) -> Result<Unlogged> {
        let inner = self;
        let unlogged = std::mem::take(&mut inner.unlogged);
        let mut taken = Unlogged { planes: Arc::clone(&inner.planes), ..Unlogged::default() };
        for (key, region) in std::mem::take(&mut inner.unlogged_regions) {
            taken.regions.entry(key).or_default().insert(region);
        }
        for (key, region) in too_large(&unlogged) {
            taken.regions.entry(key).or_default().insert(region);
        }
        for ((key, container), touched) in &unlogged {
            let start = start_of(*container);
            let Some(plane) = inner.planes.get(*key) else { continue };
            if taken.regions.get(key).is_some_and(|of| of.contains(&region_of(start))) {
                continue;
            }
            let ticks = touched_words(touched).map(|word| start + 64 * word);
            let words = ticks.filter_map(|tick| Some((tick, plane.hot_word(tick)?)));
            taken.words.entry(*key).or_default().extend(words);
        }
        Ok(taken)
    }

    /// Sets or clears the ticks of these planes.
    fn change_range(&mut self, keys: &[PlaneKey], ticks: (i64, i64), set: bool) -> Result<()> {
        for &key in keys {
            let Some(plane) = Arc::make_mut(&mut self.planes).get_mut(key) else { continue };
            let is_logged = plane.stream.is_some();
            let (unlogged, regions) = (&mut self.unlogged, &mut self.unlogged_regions);
            plane.change_range(ticks, set, |container, from, to| {
                if !is_logged {
                    return;
                }
                if to - from > LONG_RUN_TICKS {
                    regions.insert((key, region_of(start_of(container))));
                    return;
                }
                let touched = unlogged.entry((key, container)).or_default();
                ((from / 64)..=(to - 1) / 64).for_each(|word| touch(touched, word as usize));
            })?;
        }
        Ok(())
    }

    /// Looks at the views again.
    fn reindex(&mut self) {
        let planes = Arc::make_mut(&mut self.planes);
        for plane in planes.classes.values_mut().chain([&mut planes.observed]) {
            if plane.is_stale() {
                Arc::make_mut(plane).reindex();
            }
        }
    }

    /// Sets what `words` say of container `number`.
    fn merge(&mut self, key: PlaneKey, number: i64, words: &Words) -> Result<()> {
        let Some(plane) = Arc::make_mut(&mut self.planes).get_mut(key) else { return Ok(()) };
        let set = words.iter().copied().enumerate().filter(|(_, word)| *word != 0);
        let mut changed = false;
        plane.set_words(number, set, |_| changed = true)?;
        if changed && plane.stream.is_some() {
            self.unlogged_regions.insert((key, region_of(start_of(number))));
        }
        Ok(())
    }

    /// Puts what was set into the planes; the last failure, where one could not be read.
    fn apply(&mut self, drained: &Drained) -> Result<()> {
        let mut failed = Ok(());
        let planes = Arc::make_mut(&mut self.planes);
        let unlogged = &mut self.unlogged;
        let container = |tick: i64| place_of(tick).0;
        for updates in drained
            .words
            .chunk_by(|a, b| a.plane == b.plane && container(a.tick) == container(b.tick))
        {
            let Some((key, tick)) = updates.first().map(|first| (first.plane, first.tick)) else {
                continue;
            };
            let Some(plane) = planes.get_mut(key) else { continue };
            let number = container(tick);
            let mut touched = Touched::default();
            let words =
                updates.iter().map(|update| ((place_of(update.tick).1 / 64) as usize, update.bits));
            let done = plane.set_words(number, words, |word| touch(&mut touched, word));
            note(unlogged, plane, (key, number), &touched);
            failed = failed.and(done);
        }
        for runs in drained
            .runs
            .chunk_by(|a, b| a.plane == b.plane && container(a.from) == container(b.from))
        {
            let Some((key, from)) = runs.first().map(|first| (first.plane, first.from)) else {
                continue;
            };
            let Some(plane) = planes.get_mut(key) else { continue };
            let number = container(from);
            let mut touched = Touched::default();
            let done = plane.set_runs(number, runs, |word| touch(&mut touched, word));
            note(unlogged, plane, (key, number), &touched);
            failed = failed.and(done);
        }
        failed
    }
}

fn key_of(kind: &PlaneKind) -> PlaneKey {
    match kind {
        PlaneKind::Observed => OBSERVED,
        PlaneKind::Class { id, .. } => u32::from(*id),
    }
}

/// The regions of which so many words were touched that a block is less than their part of a frame,
/// and the largest of the others, where a frame cannot hold them all.
fn too_large(unlogged: &BTreeMap<(PlaneKey, i64), Touched>) -> Vec<(PlaneKey, i64)> {
    let mut in_region: BTreeMap<(PlaneKey, i64), u32> = BTreeMap::new();
    for ((key, container), touched) in unlogged {
        let words: u32 = touched.iter().map(|bits| bits.count_ones()).sum();
        *in_region.entry((*key, region_of(start_of(*container)))).or_default() += words;
    }
    let mut left: u64 = in_region.values().map(|&words| u64::from(words)).sum();
    let mut regions: Vec<((PlaneKey, i64), u32)> = in_region.into_iter().collect();
    regions.sort_by_key(|(_, words)| std::cmp::Reverse(*words));
    let mut large = Vec::new();
    for (place, words) in regions {
        if words <= REGION_WORDS_MAX && left <= FRAME_WORDS_MAX {
            break;
        }
        left -= u64::from(words);
        large.push(place);
    }
    large
}

/// Words of a plane that is logged were touched.
fn note(
    unlogged: &mut BTreeMap<(PlaneKey, i64), Touched>,
    plane: &Plane,
    place: (PlaneKey, i64),
    touched: &Touched,
) {
    if plane.stream.is_some() && touched.iter().any(|&bits| bits != 0) {
        let noted = unlogged.entry(place).or_default();
        noted.iter_mut().zip(touched).for_each(|(noted, touched)| *noted |= touched);
    }
}
