//! Time zones: where local days begin.
//!
//! # Invariants
//! - Timestamps are microseconds since 1970, without leap seconds.
//! - Rules of zones come from the system where it has them, else from the copy that is built in.

use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone};

use crate::error::{Error, Result};

/// A time zone.
///
/// ```
/// use presence::Zone;
///
/// let berlin: Zone = "Europe/Berlin".parse()?;
/// let fixed: Zone = "+02:00".parse()?;
/// assert_eq!(fixed.to_string(), "+02:00");
/// # let _ = (berlin, Zone::utc());
/// # Ok::<(), presence::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone(TimeZone);

impl Zone {
    /// Coordinated universal time.
    pub const fn utc() -> Self {
        Self(TimeZone::UTC)
    }

    /// A zone of the IANA database, such as `Europe/Berlin`.
    ///
    /// # Errors
    /// When there is none of this name.
    pub fn named(name: &str) -> Result<Self> {
        TimeZone::get(name).map(Self).map_err(|_| {
            Error::invalid(format!(
                "no time zone is named {name:?}; write it like Europe/Berlin, UTC or +02:00"
            ))
        })
    }

    /// A fixed distance to UTC, east of it where positive.
    ///
    /// # Errors
    /// When it is more than a day.
    pub fn from_offset_seconds(seconds: i32) -> Result<Self> {
        let offset = Offset::from_seconds(seconds).ok().filter(|_| seconds.unsigned_abs() < 86_400);
        offset.map(|offset| Self(TimeZone::fixed(offset))).ok_or_else(|| {
            Error::invalid(format!("an offset of {seconds} s from UTC; it must be below a day"))
        })
    }

    fn moment(t_us: i64) -> Result<Timestamp> {
        Timestamp::from_microsecond(t_us).map_err(|_| {
            Error::invalid(format!(
                "{t_us} us since 1970 lies in no year of the calendar, so it has no local day; \
                 use buckets of a fixed length"
            ))
        })
    }

    /// What clocks of the zone show ahead of UTC at `t_us`.
    pub(crate) fn offset_us(&self, t_us: i64) -> Result<i64> {
        Ok(i64::from(self.0.to_offset(Self::moment(t_us)?).seconds()) * 1_000_000)
    }

    /// The first midnight behind `t_us`, or the moment that stands for it where clocks skip it.
    pub(crate) fn next_midnight_us(&self, t_us: i64) -> Result<i64> {
        let now = Self::moment(t_us)?.to_zoned(self.0.clone());
        let next = now
            .date()
            .tomorrow()
            .and_then(|date| date.to_zoned(self.0.clone()))
            .and_then(|midnight| midnight.start_of_day());
        match next {
            Ok(next) => Ok(next.timestamp().as_microsecond()),
            // The last day of the calendar.
            Err(_) => Ok(i64::MAX),
        }
    }
}

impl std::fmt::Display for Zone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(name) = self.0.iana_name() {
            return f.write_str(name);
        }
        let seconds = self.0.to_offset(Timestamp::UNIX_EPOCH).seconds();
        let sign = if seconds < 0 { '-' } else { '+' };
        let (minutes, rest) = (seconds.abs() / 60, seconds.abs() % 60);
        write!(f, "{sign}{:02}:{:02}", minutes / 60, minutes % 60)?;
        if rest > 0 { write!(f, ":{rest:02}") } else { Ok(()) }
    }
}

impl std::str::FromStr for Zone {
    type Err = Error;

    /// Reads a name, `UTC`, or an offset like `+02:00`, `-0330`, `+05`.
    fn from_str(text: &str) -> Result<Self> {
        let (sign, rest) = match text.split_at_checked(1) {
            Some(("+", rest)) => (1, rest),
            Some(("-", rest)) => (-1, rest),
            _ if text == "UTC" || text == "Z" => return Ok(Self::utc()),
            _ => return Self::named(text),
        };
        let digits: String = rest.chars().filter(|&c| c != ':').collect();
        let parts = [0..2, 2..4, 4..6].map(|part| digits.get(part).unwrap_or("00").parse::<i32>());
        let written = match rest.len() {
            2 | 4 | 6 => !rest.contains(':'),
            5 => rest.get(2..3) == Some(":"),
            8 => rest.get(2..3) == Some(":") && rest.get(5..6) == Some(":"),
            _ => false,
        };
        let all_digits = digits.bytes().all(|byte| byte.is_ascii_digit());
        let even = digits.len().is_multiple_of(2);
        match parts {
            [Ok(hours), Ok(minutes), Ok(seconds)]
                if written && all_digits && even && hours < 24 && minutes < 60 && seconds < 60 =>
            {
                Self::from_offset_seconds(sign * (hours * 3600 + minutes * 60 + seconds))
            }
            _ => Err(Error::invalid(format!(
                "{text:?} is no time zone; write it like Europe/Berlin, UTC or +02:00"
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_are_read_and_refused() {
        for (text, shown) in [
            ("UTC", "UTC"),
            ("Europe/Berlin", "Europe/Berlin"),
            ("+02:00", "+02:00"),
            ("-0330", "-03:30"),
            ("+05", "+05:00"),
            ("-00:00:30", "-00:00:30"),
        ] {
            let zone: Zone = text.parse().unwrap();
            assert_eq!(zone.to_string(), shown);
            assert_eq!(shown.parse::<Zone>().unwrap(), zone, "{text}");
        }
        for text in
            ["", "+", "+2", "+24:00", "+12:60", "+1:234", "+é1", "Mars/Olympus", "+12:3", "++1:00"]
        {
            let error = text.parse::<Zone>().unwrap_err().to_string();
            assert!(error.contains("Europe/Berlin"), "{text}: {error}");
        }
        assert!(Zone::from_offset_seconds(86_400).is_err());
        assert!(Zone::from_offset_seconds(i32::MIN).is_err());
    }
}
