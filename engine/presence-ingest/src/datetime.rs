//! Date-time text to nanoseconds since 1970.
//!
//! # Invariants
//! - An offset in the text is obeyed; without one the text is UTC, and says so in the result.
//! - The result is exact: text finer than a nanosecond is no date-time.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

/// A moment read from text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment {
    /// Nanoseconds since 1970-01-01T00:00:00Z; years -9999 to 9999.
    pub(crate) nanos: i128,
    /// Whether the text named its offset from UTC.
    pub(crate) has_offset: bool,
    /// Digits behind the seconds.
    pub(crate) decimals: i32,
}

/// Reads `2013-12-02 21:15:00`, RFC 3339, `2008-12-11 04:42:14+00`, `2014/07/01 00:30`,
/// `2014-07-01`, with or without fractions of a second (`.` or `,`).
pub(crate) fn parse(cell: &[u8]) -> Option<Moment> {
    // Years first: nothing else begins with four digits and a separator. This also keeps words,
    // which are most of what is asked here, from the slower parsers below.
    let [b'0'..=b'9', b'0'..=b'9', b'0'..=b'9', b'0'..=b'9', separator, ..] = cell else {
        return None;
    };
    if cell.len() > 64 || !matches!(separator, b'-' | b'/' | b'0'..=b'9') {
        return None;
    }
    if let Some(moment) = parse_fixed(cell) {
        return Some(moment);
    }
    let text = std::str::from_utf8(cell).ok()?;
    let slashed;
    let text = if *separator == b'/' {
        slashed = text.replacen('/', "-", 2);
        slashed.as_str()
    } else {
        text
    };
    if !text.contains('-') {
        return None;
    }
    let decimals = text
        .find(['.', ','])
        .map_or(0, |at| text.bytes().skip(at + 1).take_while(u8::is_ascii_digit).count() as i32);
    let time_at = text.find(['T', 't', ' ']).unwrap_or(text.len());
    let has_offset = text.get(time_at..).is_some_and(|time| time.contains(['+', '-', 'Z', 'z']));
    let timestamp = if has_offset {
        // A space before the offset (`04:42:14 +00:00`) is common and no parser's business.
        let joined = text.replace(" +", "+").replace(" -", "-").replace(" Z", "Z");
        joined.parse::<Timestamp>().ok()?
    } else {
        TimeZone::UTC.to_timestamp(text.parse::<DateTime>().ok()?).ok()?
    };
    Some(Moment { nanos: timestamp.as_nanosecond(), has_offset, decimals })
}

/// The commonest layout, `YYYY-MM-DD HH:MM:SS` and nothing else, at a tenth of the cost.
fn parse_fixed(cell: &[u8]) -> Option<Moment> {
    let &[
        y0,
        y1,
        y2,
        y3,
        b'-',
        m0,
        m1,
        b'-',
        d0,
        d1,
        b' ' | b'T',
        h0,
        h1,
        b':',
        i0,
        i1,
        b':',
        s0,
        s1,
    ] = cell
    else {
        return None;
    };
    let two = |tens: u8, ones: u8| -> Option<i8> {
        let (tens, ones) = (tens.wrapping_sub(b'0'), ones.wrapping_sub(b'0'));
        (tens <= 9 && ones <= 9).then_some((tens * 10 + ones) as i8)
    };
    let year = i16::from(two(y0, y1)?) * 100 + i16::from(two(y2, y3)?);
    let date = Date::new(year, two(m0, m1)?, two(d0, d1)?).ok()?;
    let (hour, minute, second) = (two(h0, h1)?, two(i0, i1)?, two(s0, s1)?);
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let days = i64::from(days_from_1970(date));
    let seconds =
        days * 86_400 + i64::from(hour) * 3600 + i64::from(minute) * 60 + i64::from(second);
    Some(Moment { nanos: i128::from(seconds) * 1_000_000_000, has_offset: false, decimals: 0 })
}

/// Days from 1970-01-01 in the proleptic Gregorian calendar.
fn days_from_1970(date: Date) -> i32 {
    let (month, day) = (i32::from(date.month()), i32::from(date.day()));
    // Years begin in March, so that the leap day is the last of its year.
    let year = i32::from(date.year()) - i32::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn layouts() {
        for (text, nanos, has_offset, decimals) in [
            ("1970-01-01T00:00:00Z", 0, true, 0),
            ("2013-12-02 21:15:00", 1_386_018_900_000_000_000, false, 0),
            ("2013-12-02T21:15:00", 1_386_018_900_000_000_000, false, 0),
            ("2013/12/02 21:15:00", 1_386_018_900_000_000_000, false, 0),
            ("2013-12-02 21:15", 1_386_018_900_000_000_000, false, 0),
            ("2008-12-11 04:42:14+00", 1_228_970_534_000_000_000, true, 0),
            ("2008-12-11 04:42:14 +00:00", 1_228_970_534_000_000_000, true, 0),
            ("2008-12-11T06:42:14+02:00", 1_228_970_534_000_000_000, true, 0),
            ("2008-12-11T04:42:14.123456789Z", 1_228_970_534_123_456_789, true, 9),
            ("2008-12-11 04:42:14.5", 1_228_970_534_500_000_000, false, 1),
            ("2008-12-11", 1_228_953_600_000_000_000, false, 0),
            ("1969-12-31 23:59:59", -1_000_000_000, false, 0),
        ] {
            let want = Moment { nanos, has_offset, decimals };
            assert_eq!(parse(text.as_bytes()), Some(want), "{text}");
        }
        for text in [
            "",
            "2013",
            "12/02/2013 10:00",
            "2013-13-02 21:15:00",
            "2013-02-30 00:00:00",
            "2013-12-02 24:15:00",
            "2013-12-02 21:60:00",
            "21:15:00",
            "2013-12-02 21:15:00 x",
            "20131202",
            "1386018900",
            "2013-12-02 21:15:00.1234567891",
            "abcd-01-01",
        ] {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
        assert_eq!(parse(b"2013-\xff\xff-02"), None);
    }

    proptest! {
        #[test]
        fn the_fast_layout_agrees_with_jiff(seconds in -62_135_596_800_i64..253_402_300_799) {
            let stamp = Timestamp::from_second(seconds).unwrap();
            let text = stamp.strftime("%Y-%m-%d %H:%M:%S").to_string();
            prop_assert_eq!(
                parse_fixed(text.as_bytes()).map(|moment| moment.nanos),
                Some(i128::from(seconds) * 1_000_000_000),
                "{}", text
            );
        }

        #[test]
        fn never_panics(cell in proptest::collection::vec(any::<u8>(), 0..70)) {
            let _ = parse(&cell);
        }
    }
}
