//! The grid of a track: which tick holds a timestamp, and when a tick begins.
//!
//! # Invariants
//! - `tick_of(start_us(tick)) == tick`, and no earlier microsecond is in the tick.
//! - Ticks lie within -2^62 and 2^62, so that a tick's neighbours and containers are always
//!   numbers too; timestamps beyond are errors, ranges beyond end there.
//! - Exact: 30 ticks a second are 30 in every second, however far from the epoch.

use std::ops::{Bound, Range, RangeBounds};

use presence_format::Rate;
use presence_format::plane::greatest_common_divisor;

use super::step::{Line, Step};
use crate::error::{Error, Result};
use crate::read::window::closed;

/// The first tick there can be.
pub(crate) const TICK_MIN: i64 = -(1 << 62);
/// Behind the last tick there can be.
pub(crate) const TICK_END: i64 = 1 << 62;

/// Which ticks at the ends of a range of time belong to it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Edge {
    /// Every tick that shares a microsecond with the range. What was recorded at `t` is found by
    /// every range that holds `t`, so this is the default. A tick begins at or before what was
    /// recorded in it: the first timestamp listed may lie up to one tick before the range.
    #[default]
    Overlap,
    /// Only ticks that begin within the range. Ranges that touch without overlapping then share
    /// no tick.
    Start,
}

/// A grid of ticks: `tick = floor((t_us - epoch_us) * rate)`, in exact arithmetic.
///
/// ```
/// use presence::{Grid, Rate};
///
/// let grid = Grid::new("30".parse()?, 0);
/// assert_eq!(grid.tick_of(33_333)?, 0);
/// assert_eq!(grid.tick_of(33_334)?, 1); // a thirtieth of a second is no whole microsecond
/// assert_eq!(grid.start_us(1)?, 33_334);
/// assert_eq!(grid.start_us(30 * 3600)?, 3_600_000_000); // and never drifts
/// # Ok::<(), presence::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Grid {
    rate: Rate,
    epoch_us: i64,
    step: Step,
}

impl PartialEq for Grid {
    fn eq(&self, other: &Self) -> bool {
        (self.rate, self.epoch_us) == (other.rate, other.epoch_us)
    }
}

impl Eq for Grid {}

impl Grid {
    /// Ticks of `rate`, tick 0 beginning at `epoch_us`.
    pub fn new(rate: Rate, epoch_us: i64) -> Self {
        // num / den ticks a second are num ticks every den * 1,000,000 us.
        let divisor = greatest_common_divisor(1_000_000, rate.num());
        let us = u64::from(rate.den()) * u64::from(1_000_000 / divisor);
        Self { rate, epoch_us, step: Step::new(rate.num() / divisor, us) }
    }

    /// One tick every `resolution_us` microseconds, tick 0 beginning at `epoch_us`.
    ///
    /// # Errors
    /// When the resolution is zero.
    pub fn from_resolution_us(resolution_us: u32, epoch_us: i64) -> Result<Self> {
        Ok(Self::new(Rate::from_resolution_us(resolution_us)?, epoch_us))
    }

    /// Ticks a second.
    pub const fn rate(&self) -> Rate {
        self.rate
    }

    /// Where tick 0 begins.
    pub const fn epoch_us(&self) -> i64 {
        self.epoch_us
    }

    /// The tick that holds `t_us`. A subtraction, two multiplications and a shift.
    ///
    /// # Errors
    /// When the tick would lie beyond 2^62 on either side.
    #[inline]
    pub fn tick_of(&self, t_us: i64) -> Result<i64> {
        let near = t_us.checked_sub(self.epoch_us).and_then(|offset| self.step.tick(offset));
        match near {
            Some(tick) if (TICK_MIN..TICK_END).contains(&tick) => Ok(tick),
            _ => self.tick_of_far(t_us),
        }
    }

    #[cold]
    fn tick_of_far(&self, t_us: i64) -> Result<i64> {
        let tick = self.step.tick_wide(i128::from(t_us) - i128::from(self.epoch_us));
        i64::try_from(tick).ok().filter(|tick| (TICK_MIN..TICK_END).contains(tick)).ok_or_else(|| {
            Error::invalid(format!(
                "{t_us} is tick {tick} of a grid of {} from {}; ticks reach from -2^62 to 2^62: \
                 choose an epoch nearer to the recording",
                self.rate, self.epoch_us
            ))
        })
    }

    /// The first microsecond of `tick`.
    ///
    /// # Errors
    /// When no timestamp lies in it.
    #[inline]
    pub fn start_us(&self, tick: i64) -> Result<i64> {
        match self.step.start(tick).and_then(|offset| self.epoch_us.checked_add(offset)) {
            Some(t_us) if (TICK_MIN..TICK_END).contains(&tick) => Ok(t_us),
            _ => self.start_us_far(tick),
        }
    }

    #[cold]
    fn start_us_far(&self, tick: i64) -> Result<i64> {
        let start = self.start_wide(tick);
        let first = start.max(i64::MIN.into());
        if (TICK_MIN..TICK_END).contains(&tick)
            && first < self.start_wide(tick + 1)
            && let Ok(t_us) = i64::try_from(first)
        {
            return Ok(t_us);
        }
        Err(Error::invalid(format!(
            "tick {tick} of a grid of {} from {} begins at {start}, which is no timestamp",
            self.rate, self.epoch_us
        )))
    }

    fn start_wide(&self, tick: i64) -> i128 {
        i128::from(self.epoch_us) + self.step.start_wide(tick)
    }

    /// Where `tick` begins, or the end of time on its side. Of ends that nothing lies behind.
    pub(crate) fn start_or_end_us(&self, tick: i64) -> i64 {
        let start = self.start_wide(tick);
        start.clamp(i64::MIN.into(), i64::MAX.into()) as i64
    }

    /// The tick that holds `t_us`, or the end of ticks on its side.
    pub(crate) fn tick_within(&self, t_us: i64) -> i64 {
        self.tick_of(t_us).unwrap_or(if t_us < self.epoch_us { TICK_MIN } else { TICK_END - 1 })
    }

    /// The first tick that begins at or after `t_us`.
    pub(crate) fn first_from(&self, t_us: i64) -> i64 {
        match t_us.checked_sub(1) {
            None => self.tick_within(t_us),
            Some(before) => match self.tick_of(before) {
                Ok(tick) => tick + 1,
                Err(_) if before < self.epoch_us => TICK_MIN,
                Err(_) => TICK_END,
            },
        }
    }

    /// The ticks of a range of time. Open ends are the ends of ticks.
    ///
    /// # Errors
    /// When the range ends before it begins.
    pub(crate) fn ticks(&self, range: &impl RangeBounds<i64>, edge: Edge) -> Result<Range<i64>> {
        let Some((from, to)) = closed(range)? else { return Ok(0..0) };
        let start = match (range.start_bound(), edge) {
            (Bound::Unbounded, _) => TICK_MIN,
            (_, Edge::Overlap) => self.tick_of(from).unwrap_or_else(|_| self.first_from(from)),
            (_, Edge::Start) => self.first_from(from),
        };
        let end = match range.end_bound() {
            Bound::Unbounded => TICK_END,
            _ => match self.tick_of(to) {
                Ok(tick) => tick + 1,
                Err(_) => self.first_from(to),
            },
        };
        Ok(start..end.max(start))
    }

    /// The starts of the ticks of a container, where they are to be had fast.
    pub(crate) fn line(&self, container: i64) -> Option<Line> {
        self.step.line(self.epoch_us, container.checked_mul(65_536)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn naive_tick(rate: (u32, u32), epoch_us: i64, t_us: i64) -> i128 {
        let offset = i128::from(t_us) - i128::from(epoch_us);
        (offset * i128::from(rate.0)).div_euclid(i128::from(rate.1) * 1_000_000)
    }

    fn check(grid: &Grid, t_us: i64) {
        let rate = (grid.rate().num(), grid.rate().den());
        let want = naive_tick(rate, grid.epoch_us(), t_us);
        let Ok(tick) = grid.tick_of(t_us) else {
            assert!(want < TICK_MIN.into() || want >= TICK_END.into(), "{grid:?} {t_us}");
            return;
        };
        assert_eq!(i128::from(tick), want, "{grid:?} {t_us}");
        let start = grid.start_us(tick).unwrap();
        assert!(start <= t_us);
        assert_eq!(grid.tick_of(start).unwrap(), tick, "{grid:?} {t_us}");
        if let Some(before) = start.checked_sub(1) {
            assert!(naive_tick(rate, grid.epoch_us(), before) < tick.into(), "{grid:?} {t_us}");
        }
        assert_eq!(grid.tick_within(t_us), tick);
        assert_eq!(grid.first_from(start), tick);
        assert_eq!(grid.first_from(t_us), if t_us == start { tick } else { tick + 1 });
    }

    pub(crate) fn any_grid() -> impl Strategy<Value = Grid> {
        let rate = prop_oneof![
            Just((30, 1)),
            Just((30_000, 1001)),
            Just((2997, 100)),
            Just((1_000_000, 1)),
            Just((1_000_000, 33_333)),
            Just((1, u32::MAX)),
            (1_u32..1000, 1_u32..1000),
            (1_u32.., 4300_u32..),
        ];
        let epoch = prop_oneof![Just(0), -1_000_000_000_i64..1_000_000_000, any::<i64>()];
        (rate, epoch).prop_map(|((num, den), epoch)| Grid::new(Rate::new(num, den).unwrap(), epoch))
    }

    proptest! {
        #[test]
        fn ticks_are_exact(grid in any_grid(), t_us: i64, shift in 0_u32..64) {
            for t_us in [t_us >> shift, grid.epoch_us().saturating_add(t_us >> shift), t_us] {
                check(&grid, t_us);
                check(&grid, t_us.saturating_add(1));
            }
            for t_us in [i64::MIN, i64::MIN + 1, -1, 0, 1, i64::MAX - 1, i64::MAX] {
                check(&grid, t_us);
            }
        }

        #[test]
        fn starts_never_panic(grid in any_grid(), tick: i64) {
            for tick in [tick, i64::MIN, TICK_MIN - 1, TICK_MIN, TICK_END - 1, TICK_END, i64::MAX] {
                if let Ok(start) = grid.start_us(tick) {
                    prop_assert_eq!(grid.tick_of(start).unwrap(), tick);
                }
                grid.start_or_end_us(tick);
                let _ = grid.line(tick);
            }
        }

        #[test]
        fn ranges_hold_the_ticks_they_should(
            grid in any_grid(), near: i64, shift in 0_u32..64,
            from in -200_000_i64..200_000, len in 0_i64..200_000,
        ) {
            let from = grid.epoch_us().saturating_add(near >> shift).saturating_add(from);
            let to = from.saturating_add(len);
            let overlap = grid.ticks(&(from..=to), Edge::Overlap).unwrap();
            let starts = grid.ticks(&(from..=to), Edge::Start).unwrap();
            for t_us in [from, to, from.midpoint(to)] {
                if let Ok(tick) = grid.tick_of(t_us) {
                    prop_assert!(overlap.contains(&tick));
                    for tick in [tick, tick + 1, tick - 1] {
                        let Ok(start) = grid.start_us(tick) else { continue };
                        prop_assert_eq!(starts.contains(&tick), (from..=to).contains(&start));
                        let last = grid.start_wide(tick + 1) - 1;
                        let shares = start <= to && last >= from.into();
                        prop_assert_eq!(overlap.contains(&tick), shares);
                    }
                }
            }
        }
    }

    #[test]
    fn ends_of_time() {
        let grid = Grid::new("30".parse().unwrap(), 0);
        assert_eq!(grid.ticks(&.., Edge::Start).unwrap(), TICK_MIN..TICK_END);
        assert_eq!(grid.ticks(&(5..5), Edge::Start).unwrap(), 0..0);
        assert_eq!(grid.ticks(&(0..=0), Edge::Overlap).unwrap(), 0..1);
        assert_eq!(grid.ticks(&(0..33_334), Edge::Overlap).unwrap(), 0..1);
        assert_eq!(grid.ticks(&(1..33_334), Edge::Start).unwrap(), 1..1);
        #[expect(clippy::reversed_empty_ranges, reason = "it is refused")]
        let reversed = grid.ticks(&(5..4), Edge::Start);
        assert!(matches!(reversed, Err(Error::ReversedRange { start: 5, end: 4 })));
        let fine = Grid::new("1000000".parse().unwrap(), i64::MAX);
        assert!(fine.tick_of(0).is_err(), "beyond 2^62");
        assert!(fine.tick_of(i64::MIN).unwrap_err().to_string().contains("epoch"));
        assert_eq!(fine.ticks(&(0..), Edge::Overlap).unwrap(), TICK_MIN..TICK_END);
        assert_eq!(fine.ticks(&(i64::MIN..0), Edge::Overlap).unwrap(), TICK_MIN..TICK_MIN);
    }

    #[test]
    fn thirty_a_second_for_a_year() {
        let grid = Grid::new("30".parse().unwrap(), 1_700_000_000_000_000);
        let ntsc = Grid::new("30000/1001".parse().unwrap(), 0);
        for second in [0, 1, 86_400, 365 * 86_400] {
            let t_us = 1_700_000_000_000_000 + second * 1_000_000;
            assert_eq!(grid.tick_of(t_us).unwrap(), second * 30);
            assert_eq!(grid.start_us(second * 30).unwrap(), t_us);
        }
        assert_eq!(ntsc.tick_of(1_001_000_000).unwrap(), 30_000);
    }
}
