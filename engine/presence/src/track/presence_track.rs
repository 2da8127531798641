//! The track as users hold it.
//!
//! # Invariants
//! - Any thread may set ticks through a shared reference; none waits for a disk, unless so much was
//!   set that memory would grow without bound.
//! - A batch is all or nothing: it is checked before the first of it is set, and shows whole.
//! - Every tick set for a class is observed.

use std::collections::BTreeSet;
use std::io::Write;
use std::ops::{Bound, Range, RangeBounds};

use presence_format::PlaneKind;
use presence_format::schema::check_name;

use super::bucket::{Bucket, BucketRatio};
use super::expression::{ClassRef, Expression};
use super::grid::{Edge, Grid, TICK_END, TICK_MIN};
use super::interval::{Interval, IntervalOptions};
use super::pending::{OBSERVED, PlaneKey, Run};
use super::plane::{Plane, place_of};
use super::question::Questions;
use super::ratio::{Presence, Ratio};
use super::registry;
use super::state::{Planes, TrackState};
use super::timestamps::Timestamps;
use super::together::CoOccurrence;
use crate::error::{Error, Result};
use crate::shim::Arc;
use crate::store::database::{Database, Handle};

/// Most ticks that one call sets or clears: 72 years at 30 a second.
const RANGE_TICKS_MAX: u64 = 1 << 36;

/// A class of a track.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Class {
    /// The class.
    pub id: u16,
    /// Its name, where it has one.
    pub name: Option<String>,
}

/// A presence track: at which ticks of a grid each class was present, and which ticks were
/// observed at all.
///
/// Ticks are set in any order of time, from any number of threads, through `&self`. A tick is
/// *present*, *absent* (observed without the class) or *not observed*: a camera that was off is
/// never an empty room.
///
/// ```
/// use presence::{Grid, IntervalOptions, PresenceTrack};
///
/// let grid = Grid::new("30".parse()?, 0);
/// let track = PresenceTrack::in_memory(grid);
/// let person = track.class("person")?;
/// for frame in 0..90 {
///     let confidence = if frame < 60 { 0.9 } else { 0.2 };
///     track.update_batch(grid.start_us(frame)?, &[(person, confidence)], 0.5)?;
/// }
/// let person = "person".parse()?;
/// assert_eq!(track.ratio(&person, ..)?.over_observed(), Some(2.0 / 3.0));
/// let seen = track.intervals(&person, .., IntervalOptions::new())?;
/// assert_eq!((seen[0].enter_us, seen[0].leave_us), (0, 2_000_000));
/// # Ok::<(), presence::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct PresenceTrack {
    /// The database it is in; none in memory.
    handle: Option<Arc<Handle>>,
    state: Arc<TrackState>,
    grid: Grid,
    edge: Edge,
    skip_gaps: bool,
}

impl Database {
    /// Makes a presence track on `grid`. Its name is free text of 1 to 240 bytes.
    ///
    /// # Errors
    /// [`Error::TrackExists`], [`Error::Invalid`] for a name that cannot be, and as
    /// [`Database::create_stream`].
    pub fn create_track(&self, name: &str, grid: Grid) -> Result<PresenceTrack> {
        let rate = (grid.rate().num(), grid.rate().den());
        let state = registry::create(self.core(), name, rate, grid.epoch_us())?;
        Ok(self.track_of(state, grid))
    }

    /// The presence track called `name`.
    ///
    /// # Errors
    /// [`Error::NoSuchTrack`].
    pub fn track(&self, name: &str) -> Result<PresenceTrack> {
        let tracks = self.core().tracks.load();
        let state = tracks.get(name).cloned();
        let state = state.ok_or_else(|| Error::NoSuchTrack { name: name.to_owned() })?;
        let grid = state.grid()?;
        Ok(self.track_of(state, grid))
    }

    /// All presence tracks, by name.
    pub fn tracks(&self) -> Vec<PresenceTrack> {
        let tracks = self.core().tracks.load_full();
        let track =
            |state: &Arc<TrackState>| Some(self.track_of(Arc::clone(state), state.grid().ok()?));
        tracks.values().filter_map(track).collect()
    }

    fn track_of(&self, state: Arc<TrackState>, grid: Grid) -> PresenceTrack {
        PresenceTrack {
            handle: Some(Arc::clone(self.handle())),
            state,
            grid,
            edge: Edge::default(),
            skip_gaps: false,
        }
    }
}

impl PresenceTrack {
    /// A track that lives in memory only.
    pub fn in_memory(grid: Grid) -> Self {
        let rate = (grid.rate().num(), grid.rate().den());
        let state = Arc::new(TrackState::new("memory", rate, grid.epoch_us()));
        Self { handle: None, state, grid, edge: Edge::default(), skip_gaps: false }
    }

    /// The same track, whose ranges take the ticks at their ends as `edge` says.
    #[must_use]
    pub fn with_edge(mut self, edge: Edge) -> Self {
        self.edge = edge;
        self
    }

    /// The same track, answering also where damage took parts of it: what is missing then counts
    /// as not observed, or as it was before. Without this, questions that what is missing could
    /// change are refused, and all others answered.
    #[must_use]
    pub fn skip_gaps(mut self) -> Self {
        self.skip_gaps = true;
        self
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.state.name
    }

    /// Its grid.
    pub const fn grid(&self) -> Grid {
        self.grid
    }

    /// The classes that were ever named or set, ascending.
    pub fn classes(&self) -> Vec<Class> {
        self.state.classes().into_iter().map(|(id, name)| Class { id, name }).collect()
    }

    /// The class called `name`, made where there is none: of those free the lowest.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a name that cannot be, or when all 65,536 classes are in use; and as
    /// [`Database::create_stream`].
    pub fn class(&self, name: &str) -> Result<u16> {
        check_name("class", name).map_err(|error| Error::invalid(error.what))?;
        loop {
            if let Some(id) = self.state.named(name) {
                return Ok(id);
            }
            let free = self.state.free_class();
            let id = free.ok_or_else(|| Error::invalid("all 65,536 classes are in use"))?;
            match self.name_class(id, name) {
                // Somebody else took it just now.
                Err(Error::ClassInUse { .. }) => {}
                done => return done.map(|()| id),
            }
        }
    }

    /// The class called `name`, where there is one.
    pub fn class_named(&self, name: &str) -> Option<u16> {
        self.state.named(name)
    }

    /// Gives a class that was not set or named before its name.
    ///
    /// # Errors
    /// [`Error::ClassInUse`] where the class is in use, and as [`PresenceTrack::class`].
    pub fn name_class(&self, id: u16, name: &str) -> Result<()> {
        check_name("class", name).map_err(|error| Error::invalid(error.what))?;
        if let Some(other) = self.state.named(name) {
            return if other == id {
                Ok(())
            } else {
                Err(Error::invalid(format!("class {other} is named {name:?} already")))
            };
        }
        self.add_class(id, name)
    }

    fn add_class(&self, id: u16, name: &str) -> Result<()> {
        let kind = PlaneKind::Class { id, name: name.to_owned() };
        match &self.handle {
            Some(handle) => registry::add_plane(&handle.core, &self.state, &kind),
            None => self.state.add_in_memory(&kind),
        }
    }

    /// Sees to it that `class` has a plane.
    #[inline]
    fn ensure(&self, class: u16) -> Result<()> {
        if self.state.knows(class) { Ok(()) } else { self.ensure_slow(class) }
    }

    #[cold]
    fn ensure_slow(&self, class: u16) -> Result<()> {
        match self.add_class(class, "") {
            Err(Error::ClassInUse { .. }) => Ok(()),
            done => done,
        }
    }

    fn generation(&self) -> u64 {
        self.handle.as_ref().map_or(0, |handle| handle.core.generation())
    }

    #[inline]
    fn check_writable(&self) -> Result<()> {
        match &self.handle {
            Some(handle) => handle.core.check_trackable(),
            None => Ok(()),
        }
    }

    /// Memory is bounded: who sets faster than the log writes helps it.
    fn relieve(&self) -> Result<()> {
        let Some(handle) = &self.handle else { return Ok(()) };
        let core = &handle.core;
        core.gate.check_appendable()?;
        if self.state.memory_bytes() > core.options.write_buffer_bytes.saturating_mul(2) {
            core.log()?.relieve(core)?;
        }
        Ok(())
    }

    /// What was detected at `t_us`: each class with its confidence. Classes whose confidence is at
    /// least `threshold` are present in the tick that holds `t_us`, and the tick is observed, also
    /// where none is. Setting twice is the same as once.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a threshold outside 0 to 1, a confidence that is no number, and a
    /// time beyond the grid: nothing is set then. [`Error::ReadOnly`], [`Error::Closed`], and
    /// failures of earlier writes.
    pub fn update_batch(&self, t_us: i64, detections: &[(u16, f32)], threshold: f32) -> Result<()> {
        self.update_many(&[(t_us, detections)], threshold)
    }

    /// Many batches at once, all or nothing: of each the time, and the classes with confidence.
    ///
    /// # Errors
    /// As [`PresenceTrack::update_batch`].
    pub fn update_many(&self, batches: &[(i64, &[(u16, f32)])], threshold: f32) -> Result<()> {
        self.check_writable()?;
        if !(0.0..=1.0).contains(&threshold) {
            let what = format!("the threshold is {threshold}; it is a number from 0 to 1");
            return Err(Error::invalid(what));
        }
        for (t_us, detections) in batches {
            self.grid.tick_of(*t_us)?;
            if let Some((class, _)) = detections.iter().find(|(_, seen)| seen.is_nan()) {
                let what = format!("at {t_us} the confidence of class {class} is not a number");
                return Err(Error::invalid(what));
            }
        }
        let is_kept = |(_, confidence): &&(u16, f32)| *confidence >= threshold;
        for (class, _) in batches.iter().flat_map(|(_, seen)| seen.iter()).filter(is_kept) {
            self.ensure(*class)?;
        }
        let full = self.state.update(self.generation(), |updates| {
            for (t_us, detections) in batches {
                let Ok(tick) = self.grid.tick_of(*t_us) else { continue };
                updates.set(OBSERVED, tick);
                for (class, _) in detections.iter().filter(is_kept) {
                    updates.set(u32::from(*class), tick);
                }
            }
        })?;
        if full { self.relieve() } else { Ok(()) }
    }

    /// Sets the tick that holds `t_us`.
    ///
    /// # Errors
    /// As [`PresenceTrack::update_batch`].
    #[inline]
    pub fn set(&self, class: u16, t_us: i64) -> Result<()> {
        self.check_writable()?;
        let tick = self.grid.tick_of(t_us)?;
        self.ensure(class)?;
        let full = self.state.update(self.generation(), |updates| {
            updates.set(OBSERVED, tick);
            updates.set(u32::from(class), tick);
        })?;
        if full { self.relieve() } else { Ok(()) }
    }

    /// Sets every tick that shares a moment with `range`, whose ends are not open.
    ///
    /// # Errors
    /// As [`PresenceTrack::update_batch`]; [`Error::Invalid`] for an open end or a range of over
    /// 2^36 ticks.
    pub fn set_range(&self, class: u16, range: impl RangeBounds<i64>) -> Result<()> {
        let ticks = self.bounded(&range)?;
        self.ensure(class)?;
        self.set_ticks(&[u32::from(class), OBSERVED], ticks)
    }

    /// Short runs wait with the ticks set one by one; long ones are set at once.
    fn set_ticks(&self, planes: &[PlaneKey], ticks: Range<i64>) -> Result<()> {
        let Range { start: from, end: to } = ticks;
        if from >= to {
            return Ok(());
        }
        if place_of(from).0 != place_of(to - 1).0 {
            return self.change(planes, ticks, true);
        }
        let full = self.state.update(self.generation(), |updates| {
            planes.iter().for_each(|&plane| updates.set_run(Run { plane, from, to }));
        })?;
        if full { self.relieve() } else { Ok(()) }
    }

    /// Observes every tick that shares a moment with `range`: what is not set in it is absent.
    ///
    /// # Errors
    /// As [`PresenceTrack::set_range`].
    pub fn observe_range(&self, range: impl RangeBounds<i64>) -> Result<()> {
        let ticks = self.bounded(&range)?;
        self.set_ticks(&[OBSERVED], ticks)
    }

    /// Makes the class absent in the tick that holds `t_us`; that it was observed stays.
    ///
    /// # Errors
    /// As [`PresenceTrack::set`].
    pub fn unset(&self, class: u16, t_us: i64) -> Result<()> {
        self.unset_range(class, t_us..=t_us)
    }

    /// Makes the class absent in every tick that shares a moment with `range`.
    ///
    /// # Errors
    /// As [`PresenceTrack::set_range`], but any range will do.
    pub fn unset_range(&self, class: u16, range: impl RangeBounds<i64>) -> Result<()> {
        self.check_writable()?;
        let ticks = self.grid.ticks(&range, Edge::Overlap)?;
        if !self.state.knows(class) {
            return Ok(());
        }
        self.change(&[u32::from(class)], ticks, false)
    }

    /// Forgets every tick that ends at or before `t_us`, in all classes and what was observed.
    /// Files get smaller at the next [compaction](Database::compact). Of a track in a database,
    /// what is forgotten shows as absent first, and as not observed when that is in the log.
    ///
    /// # Errors
    /// As [`PresenceTrack::set`].
    pub fn forget_before(&self, t_us: i64) -> Result<()> {
        self.check_writable()?;
        let mut ticks = self.grid.ticks(&(..t_us), Edge::Overlap)?;
        if self.grid.start_us(ticks.end).is_ok_and(|start| start > t_us) {
            ticks.end -= 1;
        }
        let ticks = (ticks.start, ticks.end);
        match &self.handle {
            Some(handle) => handle.core.log()?.forget_ticks(&handle.core, &self.state, ticks)?,
            None => self.state.clear_all(self.generation(), ticks)?,
        }
        self.relieve()
    }

    fn bounded(&self, range: &impl RangeBounds<i64>) -> Result<Range<i64>> {
        self.check_writable()?;
        let open = |bound| matches!(bound, Bound::Unbounded);
        if open(range.start_bound()) || open(range.end_bound()) {
            return Err(Error::invalid("a range to be set needs a beginning and an end"));
        }
        let ticks = self.grid.ticks(range, Edge::Overlap)?;
        if ticks.end.abs_diff(ticks.start) > RANGE_TICKS_MAX {
            return Err(Error::invalid(format!(
                "the range has {} ticks; at most {RANGE_TICKS_MAX} are set at once",
                ticks.end.abs_diff(ticks.start)
            )));
        }
        Ok(ticks)
    }

    fn change(&self, planes: &[PlaneKey], ticks: Range<i64>, set: bool) -> Result<()> {
        self.state.change_range(self.generation(), planes, (ticks.start, ticks.end), set)?;
        self.relieve()
    }

    /// Sets here what is set in `other`: classes by their name, or by their number where they have
    /// none; and what was observed.
    ///
    /// # Errors
    /// [`Error::Invalid`] where the grids differ, or a number stands for different names; and as
    /// [`PresenceTrack::set`] and [`PresenceTrack::ratio`].
    pub fn merge(&self, other: &Self) -> Result<()> {
        self.check_writable()?;
        if self.grid != other.grid {
            return Err(Error::invalid("tracks of different grids cannot be merged"));
        }
        let planes = other.planes()?;
        other.check_gaps(&planes, |_| true, &(TICK_MIN..TICK_END))?;
        // First what was observed: the log may be written between one plane and the next.
        let mut pairs = vec![(OBSERVED, Arc::clone(&planes.observed))];
        let mut taken: BTreeSet<u16> = self.classes().into_iter().map(|class| class.id).collect();
        for class in other.classes() {
            let id = match &class.name {
                // Keeps its number where that is free.
                Some(name) => match self.state.named(name) {
                    Some(id) => id,
                    None if taken.insert(class.id) => {
                        self.name_class(class.id, name)?;
                        class.id
                    }
                    None => self.class(name)?,
                },
                None => {
                    self.ensure(class.id)?;
                    class.id
                }
            };
            taken.insert(id);
            if let Some(plane) = planes.classes.get(&class.id) {
                pairs.push((u32::from(id), Arc::clone(plane)));
            }
        }
        for (key, plane) in pairs {
            self.state.merge(self.generation(), key, &plane, &mut || self.relieve())?;
        }
        Ok(())
    }

    /// Writes the ticks of a class as a 64-bit Roaring bitmap in the portable format that all
    /// implementations of Roaring read: the numbers are ticks. Returns how many there are.
    ///
    /// # Errors
    /// [`Error::Invalid`] for ticks before the epoch, which Roaring has no numbers for;
    /// [`Error::Io`] for failures of `out`; and as [`PresenceTrack::ratio`].
    pub fn write_roaring(
        &self,
        class: u16,
        range: impl RangeBounds<i64>,
        out: impl Write,
    ) -> Result<u64> {
        let ticks = self.grid.ticks(&range, self.edge)?;
        let planes = self.planes()?;
        self.check_gaps(&planes, |key| key == u32::from(class), &ticks)?;
        let Some(plane) = planes.classes.get(&class) else {
            return super::roaring::write(&Plane::default(), ticks, out);
        };
        super::roaring::write(plane, ticks, out)
    }

    /// Bytes of memory that ticks take which no block on disk holds yet, about.
    pub fn memory_bytes(&self) -> usize {
        self.state.memory_bytes()
    }

    #[inline]
    fn planes(&self) -> Result<Arc<Planes>> {
        self.state.snapshot(self.generation())
    }

    /// Refuses what depends on parts of `planes` that are missing.
    fn check_gaps(
        &self,
        planes: &Planes,
        is_asked: impl Fn(PlaneKey) -> bool,
        ticks: &Range<i64>,
    ) -> Result<()> {
        if self.skip_gaps { Ok(()) } else { self.state.check_gaps(planes, is_asked, ticks) }
    }

    /// The questions about `expression` in `range`, where nothing of that is missing.
    #[inline]
    fn questions(
        &self,
        expression: &Expression,
        range: &impl RangeBounds<i64>,
    ) -> Result<Questions<Arc<Planes>>> {
        let planes = self.planes()?;
        if planes.has_gaps() {
            let ticks = self.grid.ticks(range, self.edge)?;
            self.check_asked(&planes, expression, false, &ticks)?;
        }
        Ok(Questions::new(planes, self.grid, self.edge))
    }

    /// The same, for what is asked of what was observed, too.
    #[inline]
    fn ratios(
        &self,
        expression: &Expression,
        range: &impl RangeBounds<i64>,
    ) -> Result<Questions<Arc<Planes>>> {
        let planes = self.planes()?;
        if planes.has_gaps() {
            let ticks = self.grid.ticks(range, self.edge)?;
            self.check_asked(&planes, expression, true, &ticks)?;
        }
        Ok(Questions::new(planes, self.grid, self.edge))
    }

    #[cold]
    fn check_asked(
        &self,
        planes: &Planes,
        of: &Expression,
        observed: bool,
        ticks: &Range<i64>,
    ) -> Result<()> {
        let is_asked = |key: PlaneKey| match u16::try_from(key) {
            Err(_) => observed || of.has_complement(),
            Ok(id) => of.names_any(&|class| match class {
                ClassRef::Id(asked) => *asked == id,
                ClassRef::Name(name) => planes.names.get(name) == Some(&id),
            }),
        };
        self.check_gaps(planes, is_asked, ticks)
    }

    /// A question for one tick near an end of `ticks`: what lies beyond the answer need not be
    /// there.
    fn search(
        &self,
        expression: &Expression,
        ticks: Range<i64>,
        backwards: bool,
        search: impl FnOnce(&Questions<Arc<Planes>>) -> Result<Option<i64>>,
    ) -> Result<Option<i64>> {
        let planes = self.planes()?;
        let found = search(&Questions::new(Arc::clone(&planes), self.grid, self.edge))?;
        if planes.has_gaps() {
            let tick = found.map(|found_us| self.grid.tick_of(found_us)).transpose()?;
            let looked_at = match tick {
                Some(tick) if backwards => tick..ticks.end,
                Some(tick) => ticks.start..tick.saturating_add(1),
                None => ticks,
            };
            self.check_asked(&planes, expression, false, &looked_at)?;
        }
        Ok(found)
    }

    /// The ticks of the moment `t_us`.
    fn moment(&self, t_us: i64) -> Result<Range<i64>> {
        self.grid.ticks(&(t_us..=t_us), Edge::Overlap)
    }

    /// How many ticks of the range are present, observed, and in it. With a single class it reads
    /// two blocks at most, however long the range.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a class without this name, [`Error::ReversedRange`],
    /// [`Error::Corrupt`] and [`Error::Gap`] where damage is in the way.
    pub fn ratio(&self, expression: &Expression, range: impl RangeBounds<i64>) -> Result<Ratio> {
        self.ratios(expression, &range)?.ratio(expression, &range)
    }

    /// How many ticks of the range are present.
    ///
    /// # Errors
    /// As [`PresenceTrack::ratio`].
    pub fn count(&self, expression: &Expression, range: impl RangeBounds<i64>) -> Result<u64> {
        self.questions(expression, &range)?.count(expression, &range)
    }

    /// Whether any tick of the range is present.
    ///
    /// # Errors
    /// As [`PresenceTrack::ratio`].
    pub fn any(&self, expression: &Expression, range: impl RangeBounds<i64>) -> Result<bool> {
        self.questions(expression, &range)?.any(expression, &range)
    }

    /// Whether every observed tick of the range is present; see [`Over`](super::Over) in `over`.
    ///
    /// # Errors
    /// As [`PresenceTrack::ratio`].
    pub fn all(
        &self,
        expression: &Expression,
        range: impl RangeBounds<i64>,
        over: super::Over,
    ) -> Result<bool> {
        self.ratios(expression, &range)?.all(expression, &range, over)
    }

    /// Whether the tick that holds `t_us` is present, absent or not observed.
    ///
    /// # Errors
    /// As [`PresenceTrack::ratio`].
    pub fn at(&self, expression: &Expression, t_us: i64) -> Result<Presence> {
        self.ratios(expression, &(t_us..=t_us))?.at(expression, t_us)
    }

    /// Start of the first present tick of the range.
    ///
    /// # Errors
    /// As [`PresenceTrack::ratio`].
    pub fn first(
        &self,
        expression: &Expression,
        range: impl RangeBounds<i64>,
    ) -> Result<Option<i64>> {
        let ticks = self.grid.ticks(&range, self.edge)?;
        self.search(expression, ticks, false, |ask| ask.first(expression, &range))
    }

    /// Start of the last present tick of the range.
    ///
    /// # Errors
    /// As [`PresenceTrack::ratio`].
    pub fn last(
        &self,
        expression: &Expression,
        range: impl RangeBounds<i64>,
    ) -> Result<Option<i64>> {
        let ticks = self.grid.ticks(&range, self.edge)?;
        self.search(expression, ticks, true, |ask| ask.last(expression, &range))
    }

    /// Start of the first present tick behind the one that holds `t_us`.
    ///
    /// # Errors
    /// As [`PresenceTrack::ratio`].
    pub fn next_after(&self, expression: &Expression, t_us: i64) -> Result<Option<i64>> {
        let ticks = self.moment(t_us)?.end..TICK_END;
        self.search(expression, ticks, false, |ask| ask.next_after(expression, t_us))
    }

    /// Start of the last present tick before the one that holds `t_us`.
    ///
    /// # Errors
    /// As [`PresenceTrack::ratio`].
    pub fn previous_before(&self, expression: &Expression, t_us: i64) -> Result<Option<i64>> {
        let ticks = TICK_MIN..self.moment(t_us)?.start;
        self.search(expression, ticks, true, |ask| ask.previous_before(expression, t_us))
    }

    /// The starts of all present ticks of the range, one by one or in bulk.
    ///
    /// # Errors
    /// As [`PresenceTrack::ratio`].
    pub fn timestamps(
        &self,
        expression: &Expression,
        range: impl RangeBounds<i64>,
    ) -> Result<Times> {
        self.questions(expression, &range)?.timestamps(expression, &range).map(Times)
    }

    /// When it was present: from when to when, gaps closed and blips dropped as `options` say.
    ///
    /// # Errors
    /// As [`PresenceTrack::ratio`].
    pub fn intervals(
        &self,
        expression: &Expression,
        range: impl RangeBounds<i64>,
        options: IntervalOptions,
    ) -> Result<Vec<Interval>> {
        self.questions(expression, &range)?.intervals(expression, &range, options)?.collect()
    }

    /// The ratio in each bucket of the range.
    ///
    /// # Errors
    /// As [`PresenceTrack::ratio`]; [`Error::Invalid`] for more buckets than can be.
    pub fn ratio_every(
        &self,
        expression: &Expression,
        range: impl RangeBounds<i64>,
        bucket: &Bucket,
    ) -> Result<Vec<BucketRatio>> {
        self.ratios(expression, &range)?.ratio_every(expression, &range, bucket)
    }

    /// For each pair of `classes`, the ticks of the range at which both were present.
    ///
    /// # Errors
    /// As [`PresenceTrack::ratio`].
    pub fn co_occurrence(
        &self,
        classes: &[u16],
        range: impl RangeBounds<i64>,
    ) -> Result<CoOccurrence> {
        let planes = self.planes()?;
        let ticks = self.grid.ticks(&range, self.edge)?;
        let is_asked = |key| u16::try_from(key).is_ok_and(|id| classes.contains(&id));
        self.check_gaps(&planes, is_asked, &ticks)?;
        Questions::new(planes, self.grid, self.edge).co_occurrence(classes, &range)
    }
}

/// The starts of present ticks in microseconds, ascending.
#[derive(Debug)]
pub struct Times(Timestamps<Arc<Planes>>);

impl Times {
    /// Fills `out` with the next ones; returns how many there were. Fewer than asked for where they
    /// end.
    ///
    /// # Errors
    /// As [`PresenceTrack::ratio`].
    pub fn read(&mut self, out: &mut [i64]) -> Result<usize> {
        self.0.read(out)
    }

    /// Appends all that are left to `out`; returns how many.
    ///
    /// # Errors
    /// As [`PresenceTrack::ratio`].
    pub fn read_all(&mut self, out: &mut Vec<i64>) -> Result<usize> {
        self.0.read_all(out)
    }
}

impl Iterator for Times {
    type Item = Result<i64>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.0.next()
    }
}
