//! Search in timestamps: interpolation first, then galloping, then bisection.
//!
//! Recorded time is nearly regular, so a straight line between the ends lands within a few records
//! of the answer, and galloping from there touches one or two cache lines. Where time has gaps the
//! gallop doubles its way out, and the cost is that of a binary search.
//!
//! # Invariants
//! - The slices are ascending; on others the answer is some position inside them, never a panic.

/// Number of elements that are at most `t`. O(log distance from the straight line).
#[inline]
pub(crate) fn count_at_most(times: &[i64], t: i64) -> usize {
    partition(times, t, |x| x <= t)
}

/// Number of elements that are less than `t`.
#[cfg(test)]
pub(crate) fn count_less(times: &[i64], t: i64) -> usize {
    partition(times, t, |x| x < t)
}

/// A straight line through two timestamps: where among the records another one will be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Line {
    /// Index of the first of the two.
    base: usize,
    count: usize,
    first: i64,
    /// Records per unit of time.
    slope: f64,
}

impl Line {
    /// The line of `count` records from index `base` on, whose timestamps go from `first` to
    /// `last`. For a caller that knows the ends already: two cache misses less.
    #[inline]
    pub(crate) fn new(base: usize, count: usize, first: i64, last: i64) -> Self {
        // A difference that exceeds i64 turns negative, and the guess is the first record: the
        // gallop finds the answer all the same.
        let span = last.wrapping_sub(first).max(1);
        Self { base, count, first, slope: count.saturating_sub(1) as f64 / span as f64 }
    }

    /// Where the line puts `t`: an index that is there, or zero.
    #[inline]
    pub(crate) fn guess(&self, t: i64) -> usize {
        let along = t.wrapping_sub(self.first) as f64 * self.slope;
        // The conversion of a negative number to an unsigned one is zero.
        self.base + (along as usize).min(self.count.saturating_sub(1))
    }
}

/// Number of elements that are at most `t` (`inclusive`) or less than it, found near an index.
#[inline]
pub(crate) fn count_near(times: &[i64], near: usize, t: i64, inclusive: bool) -> usize {
    if inclusive { around(times, near, |x| x <= t) } else { around(times, near, |x| x < t) }
}

#[inline]
fn partition(times: &[i64], t: i64, before: impl Fn(i64) -> bool) -> usize {
    let (Some(&first), Some(&last)) = (times.first(), times.last()) else {
        return 0;
    };
    if !before(first) {
        return 0;
    }
    if before(last) {
        return times.len();
    }
    around(times, Line::new(0, times.len(), first, last).guess(t), before)
}

/// Timestamps on either side of a good guess: one cache line or two.
const EITHER_SIDE: usize = 4;

/// Counts without a branch in the timestamps around `near`; gallops where the answer is not there.
#[inline]
fn around(times: &[i64], near: usize, before: impl Fn(i64) -> bool) -> usize {
    let start = near.saturating_sub(EITHER_SIDE);
    if let Some(window) = times.get(start..).and_then(|rest| rest.first_chunk::<8>())
        && before(window[0])
        && !before(window[7])
    {
        return start + window.iter().map(|&x| usize::from(before(x))).sum::<usize>();
    }
    gallop(times, near.min(times.len().saturating_sub(1)), before)
}

fn gallop(times: &[i64], guess: usize, before: impl Fn(i64) -> bool) -> usize {
    let at = |index: usize| times.get(index).is_some_and(|&x| before(x));
    let mut step = EITHER_SIDE;
    let (mut low, mut high);
    if at(guess) {
        low = guess + 1;
        high = low + step;
        while high < times.len() && at(high) {
            low = high + 1;
            step *= 2;
            high = low + step;
        }
        high = high.min(times.len());
    } else {
        high = guess;
        low = high.saturating_sub(step);
        while low > 0 && !at(low) {
            high = low;
            step *= 2;
            low = high.saturating_sub(step);
        }
    }
    low + times.get(low..high).unwrap_or_default().partition_point(|&x| before(x))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(times: &[i64], t: i64) {
        assert_eq!(count_at_most(times, t), times.partition_point(|&x| x <= t), "{t} {times:?}");
        assert_eq!(count_less(times, t), times.partition_point(|&x| x < t), "{t} {times:?}");
        for near in [0, times.len() / 2, usize::MAX] {
            assert_eq!(count_near(times, near, t, true), count_at_most(times, t));
            assert_eq!(count_near(times, near, t, false), count_less(times, t));
        }
    }

    proptest! {
        #[test]
        fn equals_partition_point(mut times: Vec<i64>, t: i64) {
            times.sort_unstable();
            check(&times, t);
            for &x in &times {
                check(&times, x);
                check(&times, x.wrapping_add(1));
            }
        }

        #[test]
        fn equals_partition_point_with_repeats(
            mut times in prop::collection::vec(-5_i64..5, 0..200)
        ) {
            times.sort_unstable();
            for t in -6..6 {
                check(&times, t);
            }
        }
    }

    #[test]
    fn both_ends_of_time() {
        let times = [i64::MIN, i64::MIN, -1, 0, i64::MAX];
        for t in [i64::MIN, i64::MIN + 1, -1, 0, 1, i64::MAX - 1, i64::MAX] {
            check(&times, t);
        }
    }
}
