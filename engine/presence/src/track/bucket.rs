//! Pieces of time for which a ratio is told each: a fixed length, local hours, local days.
//!
//! # Invariants
//! - Buckets follow each other without a gap: each ends where the next begins.
//! - A local day is the 23, 24 or 25 hours that it had.

use std::time::Duration;

use super::ratio::Ratio;
use super::zone::Zone;
use crate::error::{Error, Result};

/// Most buckets of one answer.
const BUCKETS_MAX: u64 = 1 << 22;

const HOUR_US: i64 = 3_600_000_000;

/// How long each piece is. Hours and days of a zone take timestamps as microseconds since 1970.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Bucket {
    /// A fixed length; one of them begins at timestamp 0.
    Every(Duration),
    /// Hours of the clocks of a zone.
    Hour(Zone),
    /// Days of the calendar of a zone, from midnight to midnight.
    Day(Zone),
}

/// The ratio of one bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BucketRatio {
    /// Where the bucket begins, or the range.
    pub from_us: i64,
    /// Where the next one begins, or the range ends.
    pub to_us: i64,
    /// Its counts.
    pub ratio: Ratio,
}

impl Bucket {
    /// Refuses lengths that cannot be, and a range of more buckets than there may be.
    pub(crate) fn check(&self, from_us: i64, to_us: i64) -> Result<()> {
        let length_us = match self {
            Self::Every(length) => Self::length_us(*length)?,
            Self::Hour(_) => HOUR_US,
            Self::Day(_) => 24 * HOUR_US,
        };
        let count = from_us.abs_diff(to_us) / length_us.unsigned_abs();
        if count <= BUCKETS_MAX {
            return Ok(());
        }
        Err(Error::invalid(format!(
            "{count} buckets in the range, of at most {BUCKETS_MAX}; ask for longer ones, or a \
             shorter range"
        )))
    }

    fn length_us(length: Duration) -> Result<i64> {
        let exact = length.subsec_nanos().is_multiple_of(1000) && !length.is_zero();
        match i64::try_from(length.as_micros()) {
            Ok(length_us) if exact => Ok(length_us),
            _ => Err(Error::invalid(format!(
                "buckets of {length:?}; they are whole microseconds, and at least one"
            ))),
        }
    }

    /// Where the bucket that holds `t_us` ends.
    pub(crate) fn next(&self, t_us: i64) -> Result<i64> {
        let aligned =
            |t_us: i64, length_us: i64| t_us.saturating_add(length_us - t_us.rem_euclid(length_us));
        match self {
            Self::Every(length) => Ok(aligned(t_us, Self::length_us(*length)?)),
            Self::Hour(zone) => {
                let offset_us = zone.offset_us(t_us)?;
                Ok(aligned(t_us.saturating_add(offset_us), HOUR_US).saturating_sub(offset_us))
            }
            Self::Day(zone) => zone.next_midnight_us(t_us),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-03-29 and 2026-10-25: when Berlin's clocks change.
    const SPRING: i64 = 1_774_738_800_000_000;
    const AUTUMN: i64 = 1_792_879_200_000_000;

    fn hours(bucket: &Bucket, from_us: i64) -> i64 {
        let end = bucket.next(from_us).unwrap();
        assert_eq!(bucket.next(end - 1).unwrap(), end, "the same bucket to its end");
        (end - from_us) / HOUR_US
    }

    #[test]
    fn days_have_the_hours_they_had() {
        let berlin = Bucket::Day("Europe/Berlin".parse().unwrap());
        assert_eq!(hours(&berlin, SPRING), 23);
        assert_eq!(hours(&berlin, SPRING - 24 * HOUR_US), 24);
        assert_eq!(hours(&berlin, AUTUMN), 25);
        assert_eq!(hours(&berlin, AUTUMN + 25 * HOUR_US), 24);
        assert_eq!(hours(&Bucket::Day(Zone::utc()), SPRING + HOUR_US), 24);
        // Midnight is skipped: the day begins at one.
        let sao_paulo = Bucket::Day("America/Sao_Paulo".parse().unwrap());
        let before = 1_541_214_000_000_000; // 2018-11-03T00:00-03:00
        assert_eq!(hours(&sao_paulo, before), 24);
        assert_eq!(hours(&sao_paulo, before + 24 * HOUR_US), 23);
    }

    #[test]
    fn hours_follow_the_clocks() {
        let kolkata = Bucket::Hour("Asia/Kolkata".parse().unwrap());
        assert_eq!(kolkata.next(0).unwrap(), HOUR_US / 2);
        assert_eq!(kolkata.next(HOUR_US / 2).unwrap(), HOUR_US * 3 / 2);
        let berlin = Bucket::Hour("Europe/Berlin".parse().unwrap());
        for day in [SPRING, AUTUMN] {
            let (mut t_us, mut count) = (day, 0);
            let end = Bucket::Day("Europe/Berlin".parse().unwrap()).next(day).unwrap();
            while t_us < end {
                t_us = berlin.next(t_us).unwrap();
                count += 1;
            }
            assert_eq!((t_us, count), (end, if day == SPRING { 23 } else { 25 }));
        }
        // Clocks that go back by half an hour.
        let lord_howe = Bucket::Hour("Australia/Lord_Howe".parse().unwrap());
        let change = 1_775_314_800_000_000; // 2026-04-05T02:00+11:00 becomes 01:30+10:30
        assert_eq!(lord_howe.next(change - 1).unwrap(), change);
        assert_eq!(lord_howe.next(change).unwrap(), change + HOUR_US / 2);
    }

    #[test]
    fn fixed_lengths_begin_at_zero() {
        let minute = Bucket::Every(Duration::from_secs(60));
        assert_eq!(minute.next(-1).unwrap(), 0);
        assert_eq!(minute.next(0).unwrap(), 60_000_000);
        assert_eq!(minute.next(i64::MAX).unwrap(), i64::MAX);
        assert!(minute.check(0, 86_400_000_000).is_ok());
        assert!(minute.check(i64::MIN, i64::MAX).unwrap_err().to_string().contains("longer"));
        for length in [Duration::ZERO, Duration::from_nanos(1500), Duration::MAX] {
            assert!(Bucket::Every(length).check(0, 1).is_err(), "{length:?}");
        }
        assert!(Bucket::Day(Zone::utc()).next(i64::MAX).unwrap_err().to_string().contains("fixed"));
    }
}
