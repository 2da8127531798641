//! Frames in a second, as an exact fraction.
//!
//! # Invariants
//! - Neither part is zero; nothing here passes through floating point, so no rate drifts.

use std::str::FromStr;

use presence_format::TimeUnit;

/// A rational frame rate: `num / den` frames a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rate {
    num: u32,
    den: u32,
}

impl Rate {
    /// `num / den` frames a second; `None` where either is zero.
    pub const fn new(num: u32, den: u32) -> Option<Self> {
        if num == 0 || den == 0 { None } else { Some(Self { num, den }) }
    }

    pub(crate) const fn whole(num: u32) -> Self {
        Self { num: if num == 0 { 1 } else { num }, den: 1 }
    }

    /// The numerator: frames.
    pub const fn num(self) -> u32 {
        self.num
    }

    /// The denominator: seconds.
    pub const fn den(self) -> u32 {
        self.den
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
    type Err = String;

    /// Reads `30`, `30000/1001` or `29.97` (at most six decimals).
    fn from_str(text: &str) -> Result<Self, String> {
        let fault =
            || format!("{text:?} is not a frame rate; write it like 30, 29.97 or 30000/1001");
        let part = |part: &str| -> Option<u32> {
            part.bytes().all(|byte| byte.is_ascii_digit()).then(|| part.parse().ok())?
        };
        let (num, den) = if let Some((num, den)) = text.split_once('/') {
            (part(num), part(den))
        } else if let Some((whole, decimals)) = text.split_once('.') {
            if decimals.len() > 6 {
                return Err(fault());
            }
            let digits = format!("{whole}{decimals}");
            (part(&digits), Some(10_u32.pow(decimals.len() as u32)))
        } else {
            (part(text), Some(1))
        };
        num.zip(den).and_then(|(num, den)| Self::new(num, den)).ok_or_else(fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read_and_refused() {
        for (text, want) in [
            ("30", (30, 1)),
            ("30000/1001", (30000, 1001)),
            ("29.97", (2997, 100)),
            ("12.5", (125, 10)),
        ] {
            let rate: Rate = text.parse().unwrap();
            assert_eq!((rate.num(), rate.den()), want, "{text}");
        }
        for text in
            ["", "0", "30/0", "-30", "30/", "x", "1e3", "1.0000001", "99999999999", "+5", "1/2/3"]
        {
            assert!(text.parse::<Rate>().is_err(), "{text}");
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
}
