//! The questions, asked of a snapshot.
//!
//! # Invariants
//! - All answers of one [`Questions`] are of the same snapshot.
//! - An open end of a range is where observation began or ended; only there are bitmaps searched
//!   for it.
//! - Knows no storage: bitmaps answer.

use std::ops::{Bound, Range, RangeBounds};

use super::bucket::{Bucket, BucketRatio};
use super::cursor::{Cursor, ranked};
use super::expression::Expression;
use super::grid::{Edge, Grid, TICK_END, TICK_MIN};
use super::interval::{IntervalOptions, Intervals};
use super::program::Program;
use super::ratio::{Over, Presence, Ratio};
use super::source::Bitmaps;
use super::timestamps::Timestamps;
use super::together::CoOccurrence;
use crate::error::Result;

/// A snapshot of a track, to be asked.
#[derive(Debug, Clone)]
pub(crate) struct Questions<L> {
    bitmaps: L,
    grid: Grid,
    edge: Edge,
}

/// A range with its ends known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) ticks: Range<i64>,
    pub(crate) from_us: i64,
    /// The end, left out.
    pub(crate) to_us: i64,
}

impl<L: Bitmaps + Clone> Questions<L> {
    pub(crate) const fn new(bitmaps: L, grid: Grid, edge: Edge) -> Self {
        Self { bitmaps, grid, edge }
    }

    fn cursor(&self, expression: &Expression) -> Result<Cursor<L>> {
        let program = Program::new(expression, &self.bitmaps)?;
        Ok(Cursor::new(self.bitmaps.clone(), program))
    }

    fn observed(&self) -> Cursor<L> {
        Cursor::new(self.bitmaps.clone(), Program::Observed)
    }

    /// How many of `ticks` are present. A count that the index knows needs no cursor.
    fn present(&self, expression: &Expression, ticks: &Range<i64>) -> Result<u64> {
        let program = Program::new(expression, &self.bitmaps)?;
        match program.indexed_count(&self.bitmaps, ticks)? {
            Some(count) => Ok(count),
            None => Cursor::new(self.bitmaps.clone(), program).count(ticks),
        }
    }

    fn ticks(&self, range: &impl RangeBounds<i64>) -> Result<Range<i64>> {
        self.grid.ticks(range, self.edge)
    }

    /// The range with its open ends put to where observation began and ended.
    fn span(&self, range: &impl RangeBounds<i64>) -> Result<Span> {
        let mut ticks = self.ticks(range)?;
        let (start, end) = (range.start_bound(), range.end_bound());
        let open_start = matches!(start, Bound::Unbounded);
        let open_end = matches!(end, Bound::Unbounded);
        // Where nothing was observed, nothing is left of a range with an open end.
        if open_start {
            ticks.start =
                self.observed().first(&ticks)?.unwrap_or(if open_end { 0 } else { ticks.end });
        }
        if open_end {
            let all = ticks.start..TICK_END;
            ticks.end = self.observed().last(&all)?.map_or(ticks.start, |last| last + 1);
        }
        let to_us = match end {
            Bound::Included(&t) => t.saturating_add(1),
            Bound::Excluded(&t) => t,
            Bound::Unbounded => self.grid.start_or_end_us(ticks.end),
        };
        let from_us = match start {
            Bound::Included(&t) => t,
            Bound::Excluded(&t) => t.saturating_add(1),
            Bound::Unbounded if ticks.is_empty() => to_us,
            Bound::Unbounded => self.grid.start_or_end_us(ticks.start),
        };
        Ok(Span { ticks, from_us, to_us: to_us.max(from_us) })
    }

    /// Counts for a ratio.
    pub(crate) fn ratio(
        &self,
        expression: &Expression,
        range: &impl RangeBounds<i64>,
    ) -> Result<Ratio> {
        let ticks = self.span(range)?.ticks;
        Ok(Ratio {
            present: self.present(expression, &ticks)?,
            observed: ranked(self.bitmaps.observed(), &ticks)?,
            range_ticks: ticks.end.abs_diff(ticks.start),
        })
    }

    /// How many ticks of the range are present.
    pub(crate) fn count(
        &self,
        expression: &Expression,
        range: &impl RangeBounds<i64>,
    ) -> Result<u64> {
        self.present(expression, &self.ticks(range)?)
    }

    /// Whether any tick of the range is present.
    pub(crate) fn any(
        &self,
        expression: &Expression,
        range: &impl RangeBounds<i64>,
    ) -> Result<bool> {
        let (program, ticks) = (Program::new(expression, &self.bitmaps)?, self.ticks(range)?);
        match program.indexed_count(&self.bitmaps, &ticks)? {
            Some(count) => Ok(count > 0),
            None => Ok(Cursor::new(self.bitmaps.clone(), program).first(&ticks)?.is_some()),
        }
    }

    /// Whether the expression held at every tick that `over` says, and there is such a tick: where
    /// nobody looked, nobody was there all the time.
    pub(crate) fn all(
        &self,
        expression: &Expression,
        range: &impl RangeBounds<i64>,
        over: Over,
    ) -> Result<bool> {
        let (program, ticks) = (Program::new(expression, &self.bitmaps)?, self.span(range)?.ticks);
        let observed = ranked(self.bitmaps.observed(), &ticks)?;
        if observed == 0 || (over == Over::Range && observed != ticks.end.abs_diff(ticks.start)) {
            return Ok(false);
        }
        match program.indexed_count(&self.bitmaps, &ticks)? {
            Some(count) => Ok(count == observed),
            None => Cursor::new(self.bitmaps.clone(), program).covers(&mut self.observed(), &ticks),
        }
    }

    /// What is known of the moment `t_us`.
    pub(crate) fn at(&self, expression: &Expression, t_us: i64) -> Result<Presence> {
        let one = self.grid.ticks(&(t_us..=t_us), Edge::Overlap)?;
        Ok(if ranked(self.bitmaps.observed(), &one)? == 0 {
            Presence::NotObserved
        } else if self.present(expression, &one)? == 0 {
            Presence::Absent
        } else {
            Presence::Present
        })
    }

    /// The first present tick of the range, by its start.
    pub(crate) fn first(
        &self,
        expression: &Expression,
        range: &impl RangeBounds<i64>,
    ) -> Result<Option<i64>> {
        let tick = self.cursor(expression)?.first(&self.ticks(range)?)?;
        tick.map(|tick| self.grid.start_us(tick)).transpose()
    }

    /// The last present tick of the range, by its start.
    pub(crate) fn last(
        &self,
        expression: &Expression,
        range: &impl RangeBounds<i64>,
    ) -> Result<Option<i64>> {
        let tick = self.cursor(expression)?.last(&self.ticks(range)?)?;
        tick.map(|tick| self.grid.start_us(tick)).transpose()
    }

    /// The first present tick behind the one that holds `t_us`.
    pub(crate) fn next_after(&self, expression: &Expression, t_us: i64) -> Result<Option<i64>> {
        let from = self.grid.ticks(&(t_us..=t_us), Edge::Overlap)?.end;
        let tick = self.cursor(expression)?.first(&(from..TICK_END))?;
        tick.map(|tick| self.grid.start_us(tick)).transpose()
    }

    /// The last present tick before the one that holds `t_us`.
    pub(crate) fn previous_before(
        &self,
        expression: &Expression,
        t_us: i64,
    ) -> Result<Option<i64>> {
        let to = self.grid.ticks(&(t_us..=t_us), Edge::Overlap)?.start;
        let tick = self.cursor(expression)?.last(&(TICK_MIN..to))?;
        tick.map(|tick| self.grid.start_us(tick)).transpose()
    }

    /// The starts of all present ticks of the range.
    pub(crate) fn timestamps(
        &self,
        expression: &Expression,
        range: &impl RangeBounds<i64>,
    ) -> Result<Timestamps<L>> {
        Ok(Timestamps::new(self.cursor(expression)?, self.grid, self.ticks(range)?))
    }

    /// The intervals of the range in which the expression held.
    pub(crate) fn intervals(
        &self,
        expression: &Expression,
        range: &impl RangeBounds<i64>,
        options: IntervalOptions,
    ) -> Result<Intervals<L>> {
        Ok(Intervals::new(self.cursor(expression)?, self.grid, self.ticks(range)?, options))
    }

    /// A ratio for each bucket of the range. A tick counts where it begins; the ticks at the
    /// range's start that begin before it count in the first bucket.
    pub(crate) fn ratio_every(
        &self,
        expression: &Expression,
        range: &impl RangeBounds<i64>,
        bucket: &Bucket,
    ) -> Result<Vec<BucketRatio>> {
        let span = self.span(range)?;
        bucket.check(span.from_us, span.to_us)?;
        let (mut cursor, mut observed) = (self.cursor(expression)?, self.observed());
        let mut ratios = Vec::new();
        let (mut from_us, mut tick) = (span.from_us, span.ticks.start);
        while from_us < span.to_us {
            let to_us = bucket.next(from_us)?.min(span.to_us);
            let end = if to_us == span.to_us {
                span.ticks.end
            } else {
                self.grid.first_from(to_us).clamp(tick, span.ticks.end)
            };
            let ticks = tick..end;
            let ratio = Ratio {
                present: cursor.count(&ticks)?,
                observed: observed.count(&ticks)?,
                range_ticks: end.abs_diff(tick),
            };
            ratios.push(BucketRatio { from_us, to_us, ratio });
            (from_us, tick) = (to_us, end);
        }
        Ok(ratios)
    }

    /// How often each two of `classes` were seen at the same tick of the range.
    pub(crate) fn co_occurrence(
        &self,
        classes: &[u16],
        range: &impl RangeBounds<i64>,
    ) -> Result<CoOccurrence> {
        CoOccurrence::count(&self.bitmaps, classes, &self.ticks(range)?)
    }
}
