//! How many ticks or frames a second has, as an exact fraction.
//!
//! # Invariants
//! - In lowest terms, above zero, and at most 1,000,000 ticks a second: each tick has a
//!   microsecond of its own.
//! - Nothing here passes through floating point.

use std::str::FromStr;

use crate::plane::greatest_common_divisor;
use crate::schema::TimeUnit;

/// Why there is no such rate, in a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RateError(String);

impl std::fmt::Display for RateError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for RateError {}

/// Ticks a second: `num / den`.
///
/// Read from text as it stands: `29.97` is 2997/100 and nothing else. The rate of NTSC video is
/// written `30000/1001`; the two differ by one frame in nine hours, so neither is guessed.
///
/// ```
/// use presence_format::Rate;
///
/// let ntsc: Rate = "30000/1001".parse()?;
/// assert_eq!((ntsc.num(), ntsc.den()), (30_000, 1_001));
/// let decimal: Rate = "29.97".parse()?;
/// assert_eq!((decimal.num(), decimal.den()), (2_997, 100));
/// assert_eq!("60/2".parse::<Rate>()?.to_string(), "30/1");
/// # Ok::<(), presence_format::rate::RateError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rate {
    num: u32,
    den: u32,
}

impl Default for Rate {
    /// 30 ticks a second.
    fn default() -> Self {
        Self { num: 30, den: 1 }
    }
}

/// Most ticks a second.
const TICKS_PER_SECOND_MAX: u32 = 1_000_000;

impl Rate {
    /// `num / den` ticks a second.
    ///
    /// # Errors
    /// When either is zero, or the rate is above 1,000,000.
    pub fn new(num: u32, den: u32) -> Result<Self, RateError> {
        let highest = u64::from(TICKS_PER_SECOND_MAX) * u64::from(den);
        if num == 0 || den == 0 || u64::from(num) > highest {
            return Err(RateError(format!(
                "a rate of {num}/{den} ticks a second; it must be above 0 and at most \
                 {TICKS_PER_SECOND_MAX}"
            )));
        }
        let divisor = greatest_common_divisor(num, den);
        Ok(Self { num: num / divisor, den: den / divisor })
    }

    /// One tick every `resolution_us` microseconds.
    ///
    /// # Errors
    /// When it is zero.
    pub fn from_resolution_us(resolution_us: u32) -> Result<Self, RateError> {
        if resolution_us == 0 {
            return Err(RateError("a resolution of 0 us; it must be at least 1".to_owned()));
        }
        Self::new(TICKS_PER_SECOND_MAX, resolution_us)
    }

    /// Ticks in [`den`](Self::den) seconds.
    pub const fn num(self) -> u32 {
        self.num
    }

    /// Seconds that [`num`](Self::num) ticks take.
    pub const fn den(self) -> u32 {
        self.den
    }

    /// A whole number of ticks a second, from 1 to 1,000,000; the nearest there is.
    pub const fn whole(num: u32) -> Self {
        let num = if num > TICKS_PER_SECOND_MAX { TICKS_PER_SECOND_MAX } else { num };
        Self { num: if num == 0 { 1 } else { num }, den: 1 }
    }

    /// The time of frame `index`, counted from zero, to the nearest `unit`; halves go to even.
    /// `index` is any `i64`: the product saturates at the ends of `i64`.
    pub fn frame_time(self, index: i64, unit: TimeUnit) -> i64 {
        let product = i128::from(index) * i128::from(unit.per_second()) * i128::from(self.den);
        let num = i128::from(self.num);
        let (floor, rest) = (product.div_euclid(num), product.rem_euclid(num));
        let up = rest * 2 > num || (rest * 2 == num && floor & 1 == 1);
        let time = floor + i128::from(up);
        i64::try_from(time).unwrap_or(if time < 0 { i64::MIN } else { i64::MAX })
    }
}

impl std::fmt::Display for Rate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.num, self.den)
    }
}

impl FromStr for Rate {
    type Err = RateError;

    /// Reads `30`, `30/1`, `30000/1001` or `29.97` (at most six decimals, taken as they stand).
    fn from_str(text: &str) -> Result<Self, RateError> {
        let fault =
            || RateError(format!("{text:?} is not a rate; write it like 30, 29.97 or 30000/1001"));
        let number = |digits: &str| -> Option<u32> {
            let all = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
            all.then(|| digits.parse().ok())?
        };
        let (num, den) = if let Some((num, den)) = text.split_once('/') {
            (number(num), number(den))
        } else if let Some((whole, decimals)) = text.split_once('.') {
            if whole.is_empty() || decimals.is_empty() || decimals.len() > 6 {
                return Err(fault());
            }
            (number(&format!("{whole}{decimals}")), Some(10_u32.pow(decimals.len() as u32)))
        } else {
            (number(text), Some(1))
        };
        let (num, den) = num.zip(den).ok_or_else(fault)?;
        Self::new(num, den)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read_and_refused() {
        for (text, want) in [
            ("30", (30, 1)),
            ("30/1", (30, 1)),
            ("60/2", (30, 1)),
            ("30000/1001", (30_000, 1001)),
            ("29.97", (2997, 100)),
            ("12.50", (25, 2)),
            ("0.000001", (1, 1_000_000)),
            ("1000000", (1_000_000, 1)),
        ] {
            let rate: Rate = text.parse().unwrap();
            assert_eq!((rate.num(), rate.den()), want, "{text}");
            assert_eq!(rate.to_string().parse::<Rate>().unwrap(), rate);
        }
        for text in [
            "",
            "0",
            "30/0",
            "0/0",
            "-30",
            "30/",
            "/30",
            "x",
            "1e3",
            "1.0000001",
            "99999999999",
            "+5",
            "1/2/3",
            "1000001",
            "1.",
            ".5",
            " 30",
            "30 fps",
            "3/+1",
        ] {
            let error = text.parse::<Rate>().unwrap_err().to_string();
            assert!(error.contains("rate"), "{text}: {error}");
        }
    }

    #[test]
    fn frames_do_not_drift() {
        let thirty = Rate::whole(30);
        assert_eq!(thirty.frame_time(1, TimeUnit::Us), 33_333);
        assert_eq!(thirty.frame_time(2, TimeUnit::Us), 66_667);
        assert_eq!(thirty.frame_time(3, TimeUnit::Us), 100_000);
        assert_eq!(thirty.frame_time(-1, TimeUnit::Us), -33_333);
        let ntsc = Rate::new(30_000, 1001).unwrap();
        assert_eq!(ntsc.frame_time(30_000_000, TimeUnit::Us), 1_001_000_000_000);
        assert_eq!(Rate::new(1, u32::MAX).unwrap().frame_time(i64::MAX, TimeUnit::Ns), i64::MAX);
        assert_eq!(Rate::new(1, u32::MAX).unwrap().frame_time(i64::MIN, TimeUnit::Ns), i64::MIN);
    }

    #[test]
    fn resolutions_are_rates() {
        let rate = Rate::from_resolution_us(33_333).unwrap();
        assert_eq!((rate.num(), rate.den()), (1_000_000, 33_333));
        assert_eq!(Rate::from_resolution_us(50_000).unwrap(), "20".parse().unwrap());
        assert!(Rate::from_resolution_us(0).is_err());
    }
}
