//! When an expression began to hold, and when it ceased.
//!
//! # Invariants
//! - Intervals are in order, do not touch, and none is empty.
//! - Gaps are closed first, then what is still too short is dropped.
//! - A tick that was not observed ends an interval like an absent one, unless the gap is closed.
//! - After an error the iterator ends.

use std::ops::Range;
use std::time::Duration;

use super::cursor::Cursor;
use super::grid::Grid;
use super::source::Bitmaps;
use crate::error::Result;

/// A time without a break in which an expression held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Interval {
    /// The start of the first tick.
    pub enter_us: i64,
    /// The end of the last tick: the first microsecond at which the expression no longer held.
    pub leave_us: i64,
}

impl Interval {
    /// How long it lasted.
    pub const fn length_us(&self) -> u64 {
        self.leave_us.abs_diff(self.enter_us)
    }
}

/// What counts as a break, and what is too short to tell of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct IntervalOptions {
    /// Gaps up to this long are closed, whether nothing was seen in them or nobody looked. Zero
    /// closes none.
    pub close_gaps: Duration,
    /// Intervals shorter than this are dropped, after gaps were closed.
    pub drop_shorter_than: Duration,
}

impl IntervalOptions {
    /// Every break counts, everything is told.
    pub fn new() -> Self {
        Self::default()
    }

    /// Closes gaps up to `longest`.
    #[must_use]
    pub const fn close_gaps(mut self, longest: Duration) -> Self {
        self.close_gaps = longest;
        self
    }

    /// Drops what is shorter than `shortest`.
    #[must_use]
    pub const fn drop_shorter_than(mut self, shortest: Duration) -> Self {
        self.drop_shorter_than = shortest;
        self
    }
}

/// The intervals of a range, in order.
#[derive(Debug)]
pub(crate) struct Intervals<L> {
    cursor: Cursor<L>,
    grid: Grid,
    ticks: Range<i64>,
    close_us: u128,
    drop_us: u128,
    /// What may still grow.
    open: Option<Interval>,
    ended: bool,
}

impl<L: Bitmaps> Intervals<L> {
    pub(crate) fn new(
        cursor: Cursor<L>,
        grid: Grid,
        ticks: Range<i64>,
        options: IntervalOptions,
    ) -> Self {
        Self {
            cursor,
            grid,
            ticks,
            close_us: options.close_gaps.as_micros(),
            // A fraction of a microsecond more is one more.
            drop_us: options.drop_shorter_than.as_nanos().div_ceil(1000),
            open: None,
            ended: false,
        }
    }

    /// The next run of ticks that are there.
    fn next_run(&mut self) -> Result<Option<Interval>> {
        let Some(first) = self.cursor.first(&self.ticks)? else { return Ok(None) };
        let end = self.cursor.first_missing(first, self.ticks.end)?;
        self.ticks.start = end;
        let (enter_us, leave_us) = (self.grid.start_us(first)?, self.grid.start_or_end_us(end));
        Ok(Some(Interval { enter_us, leave_us }))
    }

    /// The next interval with its gaps closed, of any length.
    fn next_closed(&mut self) -> Result<Option<Interval>> {
        while let Some(run) = self.next_run()? {
            match &mut self.open {
                Some(open) if u128::from(run.enter_us.abs_diff(open.leave_us)) <= self.close_us => {
                    open.leave_us = run.leave_us;
                }
                open => {
                    if let Some(closed) = open.replace(run) {
                        return Ok(Some(closed));
                    }
                }
            }
        }
        Ok(self.open.take())
    }
}

impl<L: Bitmaps> Iterator for Intervals<L> {
    type Item = Result<Interval>;

    fn next(&mut self) -> Option<Result<Interval>> {
        while !self.ended {
            match self.next_closed() {
                Ok(Some(interval)) if u128::from(interval.length_us()) < self.drop_us => {}
                Ok(Some(interval)) => return Some(Ok(interval)),
                Ok(None) => self.ended = true,
                Err(error) => {
                    self.ended = true;
                    return Some(Err(error));
                }
            }
        }
        None
    }
}
