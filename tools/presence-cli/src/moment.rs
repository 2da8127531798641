//! Times and spans of time on the command line, and timestamps for people.
//!
//! # Invariants
//! - Text becomes exact nanoseconds; nothing passes through floating point.
//! - A bare integer is in the stream's unit, so its meaning is known only with the stream.

use std::ops::Bound;
use std::str::FromStr;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use presence::TimeUnit;

use crate::failure::{Failure, Result};

/// A time as given: whether it is a raw timestamp or an exact time is kept apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// A timestamp in the stream's unit.
    Raw(i64),
    /// Nanoseconds from zero of the stream's clock.
    Nanos(i128),
}

/// A span of time as given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Span {
    /// In the stream's unit.
    Raw(u64),
    /// Nanoseconds.
    Nanos(u128),
}

/// Nanoseconds in one `unit`.
const fn nanos_in(unit: TimeUnit) -> i128 {
    match unit {
        TimeUnit::Us => 1000,
        TimeUnit::Ns => 1,
    }
}

impl Moment {
    fn nanos(self, unit: TimeUnit) -> i128 {
        match self {
            Self::Raw(ts) => i128::from(ts) * nanos_in(unit),
            Self::Nanos(nanos) => nanos,
        }
    }

    /// The last timestamp of `unit` at or before this time.
    ///
    /// # Errors
    /// Where it is no timestamp that a stream can hold.
    pub fn floor(self, unit: TimeUnit) -> Result<i64> {
        let ts = self.nanos(unit).div_euclid(nanos_in(unit));
        i64::try_from(ts).map_err(|_| outside(unit))
    }

    /// The first timestamp of `unit` at or after this time.
    ///
    /// # Errors
    /// As [`Moment::floor`].
    pub fn ceil(self, unit: TimeUnit) -> Result<i64> {
        let ts = -((-self.nanos(unit)).div_euclid(nanos_in(unit)));
        i64::try_from(ts).map_err(|_| outside(unit))
    }

    /// The timestamps after `span` before this time, up to and with this time.
    ///
    /// # Errors
    /// As [`Moment::floor`].
    pub fn back(self, span: Span, unit: TimeUnit) -> Result<(Bound<i64>, Bound<i64>)> {
        let end = self.floor(unit)?;
        let start = self.nanos(unit).saturating_sub(span.nanos(unit)).div_euclid(nanos_in(unit));
        // Before the first possible timestamp there is nothing to leave out.
        let start = i64::try_from(start).map_or(Bound::Unbounded, Bound::Excluded);
        Ok((start, Bound::Included(end)))
    }

    /// Microseconds since 1970, for rules that know no stream: a bare integer is one already.
    pub fn unix_us(self) -> Result<i64> {
        self.ceil(TimeUnit::Us)
    }
}

impl Span {
    fn nanos(self, unit: TimeUnit) -> i128 {
        match self {
            Self::Raw(units) => i128::from(units) * nanos_in(unit),
            Self::Nanos(nanos) => i128::try_from(nanos).unwrap_or(i128::MAX),
        }
    }

    /// Whole units in the span.
    pub fn units(self, unit: TimeUnit) -> u64 {
        u64::try_from(self.nanos(unit) / nanos_in(unit)).unwrap_or(u64::MAX)
    }
}

fn outside(unit: TimeUnit) -> Failure {
    let unit = unit.name();
    Failure::usage(format!("the time is beyond the timestamps of a stream in {unit} (64 bits)"))
}

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let trimmed = text.trim();
        if let Ok(ts) = trimmed.parse::<i64>() {
            return Ok(Self::Raw(ts));
        }
        if trimmed == "now" {
            return Ok(Self::Nanos(Timestamp::now().as_nanosecond()));
        }
        if let Some(nanos) = with_unit(trimmed)?.or_else(|| date(trimmed)) {
            return Ok(Self::Nanos(nanos));
        }
        Err(format!(
            "{text:?} is not a time; write a timestamp, a number with a unit (1.5s, 200ms, 12us, \
             3ns) or a date and time (2014-07-01T00:30:00Z)"
        ))
    }
}

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let trimmed = text.trim();
        if let Ok(units) = trimmed.parse::<u64>() {
            return Ok(Self::Raw(units));
        }
        let nanos = with_unit(trimmed)?.and_then(|nanos| u128::try_from(nanos).ok());
        nanos.map(Self::Nanos).ok_or_else(|| {
            format!("{text:?} is not a span of time; write it like 5s, 200ms, 30min, 12h or 30d")
        })
    }
}

/// An age: a span that needs a unit, since no stream tells one. In nanoseconds.
///
/// # Errors
/// A sentence for people.
pub fn parse_age(text: &str) -> Result<Span, String> {
    match text.parse::<Span>()? {
        Span::Raw(_) => Err(format!("{text:?} has no unit; write it like 30d, 12h or 90s")),
        span => Ok(span),
    }
}

/// `1.5s` in nanoseconds; `None` where it is no number with a unit.
fn with_unit(text: &str) -> Result<Option<i128>, String> {
    let split = text.find(|c: char| c.is_alphabetic()).unwrap_or(text.len());
    let Some((number, unit)) = text.split_at_checked(split) else { return Ok(None) };
    let nanos: i128 = match unit {
        "ns" => 1,
        "us" | "µs" | "μs" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" | "min" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        "d" => 86_400_000_000_000,
        "w" => 604_800_000_000_000,
        _ => return Ok(None),
    };
    let number = number.trim_end();
    let (sign, digits) = match number.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, number.strip_prefix('+').unwrap_or(number)),
    };
    let (whole, decimals) = digits.split_once('.').unwrap_or((digits, ""));
    let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let has_digits = !whole.is_empty() || !decimals.is_empty();
    if !has_digits || !all_digits(whole) || !all_digits(decimals) || digits.len() > 20 {
        return Ok(None);
    }
    let scale = 10_i128.pow(decimals.len() as u32);
    let Ok(mantissa) = format!("{whole}{decimals}").parse::<i128>() else { return Ok(None) };
    let Some(product) = mantissa.checked_mul(nanos) else { return Ok(None) };
    if product % scale != 0 {
        return Err(format!("{text:?} is finer than a nanosecond"));
    }
    Ok(Some(sign * (product / scale)))
}

/// A date, with or without a time and an offset, in nanoseconds since 1970.
fn date(text: &str) -> Option<i128> {
    let dashed = text.get(1..)?.contains('-');
    if !dashed {
        return None;
    }
    let parsed = text.parse::<Timestamp>().ok().or_else(|| {
        let civil = text.parse::<DateTime>().ok()?;
        TimeZone::UTC.to_timestamp(civil).ok()
    })?;
    Some(parsed.as_nanosecond())
}

/// Whether a timestamp reads well as time since 1970: in the years 1990 to 2100.
pub fn is_unix(ts: i64, unit: TimeUnit) -> bool {
    let seconds = ts.div_euclid(unit.per_second());
    (631_152_000..4_102_444_800).contains(&seconds)
}

/// A timestamp for people: a date where it can be one, else seconds.
pub fn describe(ts: i64, unit: TimeUnit) -> String {
    if is_unix(ts, unit) {
        let nanos = i128::from(ts) * nanos_in(unit);
        if let Ok(timestamp) = Timestamp::from_nanosecond(nanos) {
            return timestamp.to_string();
        }
    }
    seconds(i128::from(ts), unit)
}

/// `12.5 s`, exact.
pub fn seconds(units: i128, unit: TimeUnit) -> String {
    let per_second = u128::from(unit.per_second().unsigned_abs());
    let sign = if units < 0 { "-" } else { "" };
    let (whole, rest) = (units.unsigned_abs() / per_second, units.unsigned_abs() % per_second);
    let digits = per_second.ilog10() as usize;
    let rest = format!("{rest:0digits$}");
    let rest = rest.trim_end_matches('0');
    if rest.is_empty() { format!("{sign}{whole} s") } else { format!("{sign}{whole}.{rest} s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_exactly() {
        for (text, us) in [
            ("17", 17),
            ("-5", -5),
            ("1.5s", 1_500_000),
            ("200ms", 200_000),
            ("12us", 12),
            ("3ns", 0),
            ("-1ns", -1),
            ("0.000001s", 1),
            ("2m", 120_000_000),
            ("1970-01-01T00:00:01Z", 1_000_000),
            ("1970-01-01T01:00:01+01:00", 1_000_000),
            ("1970-01-02", 86_400_000_000),
            ("1970-01-01 00:00:00.5", 500_000),
        ] {
            let moment: Moment = text.parse().unwrap();
            assert_eq!(moment.floor(TimeUnit::Us).unwrap(), us, "{text}");
        }
        for text in ["", "s", "x", "1.2.3s", "1x", "--1s", "1e3s", "2014-13-01", "0.0001ns", "-"] {
            assert!(text.parse::<Moment>().is_err(), "{text}");
        }
    }

    #[test]
    fn between_timestamps_the_side_is_chosen() {
        let moment: Moment = "1500ns".parse().unwrap();
        assert_eq!(moment.floor(TimeUnit::Us).unwrap(), 1);
        assert_eq!(moment.ceil(TimeUnit::Us).unwrap(), 2);
        assert_eq!(Moment::Raw(i64::MIN).ceil(TimeUnit::Us).unwrap(), i64::MIN);
        assert!(Moment::Nanos(i128::from(i64::MAX) + 1).ceil(TimeUnit::Ns).is_err());
    }

    #[test]
    fn spans_reach_back() {
        let span: Span = "5s".parse().unwrap();
        let range = Moment::Raw(6_000_000).back(span, TimeUnit::Us).unwrap();
        assert_eq!(range, (Bound::Excluded(1_000_000), Bound::Included(6_000_000)));
        let range = Moment::Raw(i64::MIN).back(span, TimeUnit::Ns).unwrap();
        assert_eq!(range, (Bound::Unbounded, Bound::Included(i64::MIN)));
        assert!("-5s".parse::<Span>().is_err());
        assert!(parse_age("30").is_err());
        assert_eq!(parse_age("1d"), Ok(Span::Nanos(86_400_000_000_000)));
    }

    #[test]
    fn timestamps_are_described() {
        assert_eq!(describe(12_500_000, TimeUnit::Us), "12.5 s");
        assert_eq!(describe(-1, TimeUnit::Us), "-0.000001 s");
        assert_eq!(describe(i64::MIN, TimeUnit::Ns), "-9223372036.854775808 s");
        assert_eq!(describe(1_404_172_800_000_000, TimeUnit::Us), "2014-07-01T00:00:00Z");
    }
}
