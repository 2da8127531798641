//! What users ask a track.
//!
//! # Invariants
//! - A question sees one state, all that was set before it.
//! - Where parts are missing that it depends on, it is refused, unless gaps are to be skipped.

use std::io::Write;
use std::ops::{Range, RangeBounds};

use super::PresenceTrack;
use crate::error::Result;
use crate::shim::Arc;
use crate::track::bucket::{Bucket, BucketRatio};
use crate::track::expression::{ClassRef, Expression};
use crate::track::grid::{Edge, TICK_END, TICK_MIN};
use crate::track::interval::{Interval, IntervalOptions};
use crate::track::pending::PlaneKey;
use crate::track::plane::Plane;
use crate::track::question::Questions;
use crate::track::ratio::{Over, Presence, Ratio};
use crate::track::roaring;
use crate::track::state::Planes;
use crate::track::timestamps::Timestamps;
use crate::track::together::CoOccurrence;

impl PresenceTrack {
    /// Writes the ticks of a class as a 64-bit Roaring bitmap in the portable format that all
    /// implementations of Roaring read: the numbers are ticks. Returns how many there are.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) for ticks before the epoch, which Roaring has no
    /// numbers for; [`Error::Io`](crate::Error::Io) for failures of `out`; and as
    /// [`PresenceTrack::ratio`].
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
            return roaring::write(&Plane::default(), ticks, out);
        };
        roaring::write(plane, ticks, out)
    }

    #[inline]
    pub(super) fn planes(&self) -> Result<Arc<Planes>> {
        self.state.snapshot(self.generation())
    }

    /// Refuses what depends on parts of `planes` that are missing.
    pub(super) fn check_gaps(
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
        self.sound(expression, false, range)
    }

    /// The same, for what is asked of what was observed, too.
    #[inline]
    fn ratios(
        &self,
        expression: &Expression,
        range: &impl RangeBounds<i64>,
    ) -> Result<Questions<Arc<Planes>>> {
        self.sound(expression, true, range)
    }

    /// Questions about `expression`, and about what was `observed`, in a range where no part of
    /// that is missing.
    #[inline]
    fn sound(
        &self,
        expression: &Expression,
        observed: bool,
        range: &impl RangeBounds<i64>,
    ) -> Result<Questions<Arc<Planes>>> {
        let planes = self.planes()?;
        if planes.has_gaps() {
            let ticks = self.grid.ticks(range, self.edge)?;
            self.check_asked(&planes, expression, observed, &ticks)?;
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
    /// [`Error::Invalid`](crate::Error::Invalid) for a class without this name,
    /// [`Error::ReversedRange`](crate::Error::ReversedRange),
    /// [`Error::Corrupt`](crate::Error::Corrupt) and [`Error::Gap`](crate::Error::Gap) where damage
    /// is in the way.
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

    /// Whether every observed tick of the range is present; see [`Over`] in `over`.
    ///
    /// # Errors
    /// As [`PresenceTrack::ratio`].
    pub fn all(
        &self,
        expression: &Expression,
        range: impl RangeBounds<i64>,
        over: Over,
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
    /// As [`PresenceTrack::ratio`]; [`Error::Invalid`](crate::Error::Invalid) for more buckets than
    /// can be.
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
