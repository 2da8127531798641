//! The arithmetic of a grid: every `ticks` ticks take exactly `us` microseconds.
//!
//! Divisions by the two numbers are multiplications with precomputed reciprocals (Granlund and
//! Montgomery 1994), and the starts of the ticks of one container are one multiplication and one
//! shift each, in fixed point that is wide enough to be exact.
//!
//! # Invariants
//! - Every answer is exact for every input; what would not fit takes the slow way in 128 bits.
//! - `1 <= ticks <= us <= 2^52`: every tick has a microsecond.
//! - Knows no errors, no bitmaps and no time but differences to the epoch.

/// Ticks of one container.
const CONTAINER: i128 = 65_536;

/// A division by a constant, exact for dividends below 2^63.
#[derive(Debug, Clone, Copy)]
struct Reciprocal {
    multiplier: u64,
    shift: u32,
}

impl Reciprocal {
    /// The reciprocal of `divisor`, which is 1 to 2^62.
    const fn new(divisor: u64) -> Self {
        let divisor = if divisor == 0 { 1 } else { divisor };
        let shift = u64::BITS - (divisor - 1).leading_zeros();
        // The multiplier m = ceil(2^(63 + shift) / d) is less than 2^64, for 2^shift < 2 d; and
        // n m / 2^(63 + shift) is less than n / d + 1 / d, for n < 2^63 and 2^shift >= d.
        let multiplier = (1_u128 << (63 + shift)).div_ceil(divisor as u128) as u64;
        Self { multiplier, shift }
    }

    /// `floor(dividend / divisor)`, of any sign.
    #[inline(always)]
    const fn floor(self, dividend: i64) -> i64 {
        // Of a negative n: floor(n / d) = !floor(!n / d), and !n is not negative.
        let sign = dividend >> 63;
        let magnitude = ((dividend ^ sign) as u64) << 1;
        let high = ((magnitude as u128 * self.multiplier as u128) >> 64) as u64;
        ((high >> self.shift) as i64) ^ sign
    }
}

/// How ticks and microseconds relate.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Step {
    ticks: i64,
    us: i64,
    by_ticks: Reciprocal,
    by_us: Reciprocal,
    /// Fixed point of the starts within a container: its binary places, and one tick in it.
    fixed: Option<(u32, u64)>,
    /// The last start of a container lies less than this behind the first.
    span: Option<i64>,
}

impl Step {
    /// `ticks` ticks every `us` microseconds, in lowest terms.
    pub(crate) const fn new(ticks: u32, us: u64) -> Self {
        // Starts are rounded up by less than 2^16 units of the fixed point: exact while that is
        // less than the smallest distance to the next whole number, 1 / ticks.
        let places = u64::BITS - (ticks as u64 * (CONTAINER as u64 + 1)).leading_zeros();
        let one = ((us as u128) << places).div_ceil(ticks as u128);
        let largest = (2_u128 << places) + 1 + (CONTAINER as u128) * one;
        let fixed = if largest <= u64::MAX as u128 { Some((places, one as u64)) } else { None };
        let span = (CONTAINER + 2) * us as i128 / ticks as i128 + 2;
        let span = if span <= i64::MAX as i128 { Some(span as i64) } else { None };
        Self {
            ticks: ticks as i64,
            us: us as i64,
            by_ticks: Reciprocal::new(ticks as u64),
            by_us: Reciprocal::new(us),
            fixed,
            span,
        }
    }

    /// The tick that holds the microsecond `offset_us` behind the epoch, where 64 bits suffice.
    #[inline(always)]
    pub(crate) const fn tick(&self, offset_us: i64) -> Option<i64> {
        match offset_us.checked_mul(self.ticks) {
            Some(product) => Some(self.by_us.floor(product)),
            None => None,
        }
    }

    /// The same in 128 bits.
    pub(crate) const fn tick_wide(&self, offset_us: i128) -> i128 {
        (offset_us * self.ticks as i128).div_euclid(self.us as i128)
    }

    /// Microseconds from the epoch to the first whole one in `tick`, where 64 bits suffice.
    #[inline(always)]
    pub(crate) const fn start(&self, tick: i64) -> Option<i64> {
        let Some(product) = tick.checked_mul(self.us) else { return None };
        match product.checked_add(self.ticks - 1) {
            Some(product) => Some(self.by_ticks.floor(product)),
            None => None,
        }
    }

    /// The same in 128 bits.
    pub(crate) const fn start_wide(&self, tick: i64) -> i128 {
        let (ticks, us) = (self.ticks as i128, self.us as i128);
        (tick as i128 * us + ticks - 1).div_euclid(ticks)
    }

    /// The starts of the 65,536 ticks from `first` on, for a grid that begins at `epoch_us`; `None`
    /// where a tick takes more than half an hour or the starts leave 64 bits.
    pub(crate) fn line(&self, epoch_us: i64, first: i64) -> Option<Line> {
        let (places, one) = self.fixed?;
        let product = first.checked_mul(self.us)?;
        let whole = self.by_ticks.floor(product);
        let rest = product - whole * self.ticks + self.ticks - 1;
        let first_us = epoch_us.checked_add(whole)?;
        first_us.checked_add(self.span?)?;
        // `rest` is less than 2^33, `places` is at most 49; up to 2^19 ticks it fits into 63 bits.
        let scaled = if rest < 1 << (62 - places) {
            self.by_ticks.floor((rest << places) + self.ticks - 1) as u64
        } else {
            ((rest as u128) << places).div_ceil(self.ticks as u128) as u64
        };
        Some(Line { first_us, scaled, one, places })
    }
}

/// The starts of the ticks of one container.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Line {
    first_us: i64,
    scaled: u64,
    one: u64,
    places: u32,
}

impl Line {
    /// The start of the tick `offset`, 0 to 65,535, of the container.
    #[inline(always)]
    pub(crate) const fn at(&self, offset: u32) -> i64 {
        self.of(self.scaled(offset))
    }

    /// The start of tick `offset` in fixed point.
    #[inline(always)]
    pub(crate) const fn scaled(&self, offset: u32) -> u64 {
        self.scaled.wrapping_add(self.one.wrapping_mul(offset as u64))
    }

    /// What one tick adds to it.
    #[inline(always)]
    pub(crate) const fn one(&self) -> u64 {
        self.one
    }

    /// The timestamp of a start in fixed point.
    #[inline(always)]
    pub(crate) const fn of(&self, scaled: u64) -> i64 {
        self.first_us.wrapping_add((scaled >> (self.places & 63)) as i64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reciprocals_divide() {
        let edges = [0, 1, 2, 3, 7, 99_999, 100_000, 1 << 40, i64::MAX - 1, i64::MAX];
        for divisor in [1, 2, 3, 5, 7, 33_333, 100_000, 100_100, 1 << 32, (1 << 52) - 1, 1 << 52] {
            let reciprocal = Reciprocal::new(divisor);
            for edge in edges {
                for n in [edge, -edge, !edge, edge - edge % divisor as i64] {
                    assert_eq!(reciprocal.floor(n), n.div_euclid(divisor as i64), "{n}/{divisor}");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn any_reciprocal_divides(n: i64, divisor in 1_u64..1 << 52, bits in 0_u32..64) {
            let n = n >> bits;
            for n in [n, n - n % divisor as i64] {
                prop_assert_eq!(Reciprocal::new(divisor).floor(n), n.div_euclid(divisor as i64));
            }
        }

        #[test]
        fn lines_are_exact(
            ticks in 1_u32.., us in 0_u64..1 << 34, shift in 0_u32..32,
            container in -(1_i64 << 20)..1 << 20,
            epoch_us: i32, offsets in prop::collection::vec(0_u32..65_536, 64),
        ) {
            let ticks = (ticks >> shift).max(1);
            let step = Step::new(ticks, u64::from(ticks) + us);
            let first = container * 65_536;
            if let Some(line) = step.line(epoch_us.into(), first) {
                for offset in offsets.into_iter().chain([0, 65_535]) {
                    let want = step.start_wide(first + i64::from(offset)) + i128::from(epoch_us);
                    prop_assert_eq!(i128::from(line.at(offset)), want, "{} of {:?}", offset, step);
                }
            } else {
                prop_assert!(step.fixed.is_none() || first.checked_mul(step.us).is_none());
            }
        }
    }

    #[test]
    fn usual_rates_have_lines() {
        for (ticks, us) in [(3, 100_000), (3, 100_100), (2997, 100_000_000), (1, 1), (1, 33_333)] {
            assert!(Step::new(ticks, us).fixed.is_some(), "{ticks}/{us}");
        }
        assert!(Step::new(1, 1_800_000_000).fixed.is_some(), "a tick each half hour");
        assert!(Step::new(1, 1 << 33).fixed.is_none());
    }
}
