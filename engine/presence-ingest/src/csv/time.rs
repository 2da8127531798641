//! The time column of a CSV: what kind of time it is, and the value of a cell.
//!
//! # Invariants
//! - [`TimeScan`] sees every cell before [`TimeRule`] reads one, and its verdict that times are
//!   in order holds for what the rule makes of them.

use presence_format::TimeUnit;

use crate::datetime;
use crate::decimal::{self, DecimalFault};
use crate::error::{IngestError, IngestErrorKind, Result};
use crate::fault::{Fault, Wanted, quote};
use crate::number::{CellKind, classify};
use crate::options::{Options, TimeScale};

/// How cells of the time column become timestamps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TimeRule {
    /// Numbers in this scale.
    Number { scale: TimeScale, unit: TimeUnit },
    /// Date-time text.
    DateTime { unit: TimeUnit },
}

impl TimeRule {
    /// The unit of the timestamps.
    pub(crate) fn unit(self) -> TimeUnit {
        match self {
            Self::Number { unit, .. } | Self::DateTime { unit } => unit,
        }
    }

    /// The timestamp of `cell`, which is field `field`.
    #[inline]
    pub(crate) fn read(self, cell: &[u8], field: usize) -> Result<i64, Fault> {
        let overflow = Fault::TimeOverflow { field };
        let units = match self {
            Self::Number { scale, unit } => match decimal::scale(cell, scale.power_to(unit)) {
                Ok(scaled) => scaled.units,
                Err(DecimalFault::Overflow) => return Err(overflow),
                Err(DecimalFault::NotANumber) => {
                    let wanted = match classify(cell) {
                        CellKind::Float => Wanted::FiniteTime,
                        _ if cell.eq_ignore_ascii_case(b"nan") => Wanted::FiniteTime,
                        _ => Wanted::Time,
                    };
                    return Err(Fault::Cell { field, wanted });
                }
            },
            Self::DateTime { unit } => {
                let wanted = Wanted::DateTime;
                let moment = datetime::parse(cell).ok_or(Fault::Cell { field, wanted })?;
                match unit {
                    TimeUnit::Ns => moment.nanos,
                    TimeUnit::Us => half_even_thousandth(moment.nanos),
                }
            }
        };
        i64::try_from(units).map_err(|_| overflow)
    }
}

fn half_even_thousandth(nanos: i128) -> i128 {
    let (whole, rest) = (nanos.div_euclid(1000), nanos.rem_euclid(1000));
    whole + i128::from(rest > 500 || (rest == 500 && whole & 1 == 1))
}

/// What the first reading learns of one kind of times.
#[derive(Debug, Clone, Default)]
struct Seen {
    cells: u64,
    last: Option<i128>,
    is_unsorted: bool,
    /// Some cell is finer than a microsecond.
    is_fine: bool,
    /// Some cell is finer than a nanosecond.
    is_rounded: bool,
}

impl Seen {
    #[inline]
    fn add(&mut self, nanos: i128, is_fine: bool, is_rounded: bool) {
        self.cells += 1;
        self.is_unsorted |= self.last.is_some_and(|last| nanos < last);
        self.last = Some(nanos);
        self.is_fine |= is_fine && i64::try_from(nanos).is_ok();
        self.is_rounded |= is_rounded;
    }
}

/// What the first reading learns of the time column.
#[derive(Debug, Clone)]
pub(crate) struct TimeScan {
    /// The scale that the option or the name tells.
    scale: Option<TimeScale>,
    numbers: Seen,
    moments: Seen,
    has_decimals: bool,
    lacks_offset: bool,
    /// The first cell that is no time, with its line.
    stranger: Option<(u64, String)>,
}

impl TimeScan {
    pub(crate) fn new(options: &Options, named: Option<TimeScale>) -> Self {
        Self {
            scale: options.time_unit.or(named),
            numbers: Seen::default(),
            moments: Seen::default(),
            has_decimals: false,
            lacks_offset: false,
            stranger: None,
        }
    }

    /// Looks at the cell of the record on `line`.
    #[inline]
    pub(crate) fn see(&mut self, cell: &[u8], line: u64) {
        let scale = self.scale.unwrap_or(TimeScale::Seconds);
        match decimal::scale(cell, scale.power_to(TimeUnit::Ns)) {
            Ok(time) => {
                let is_fine = time.decimals > scale.power_to(TimeUnit::Us);
                self.numbers.add(time.units, is_fine, time.is_rounded);
                self.has_decimals |=
                    time.decimals > 0 || cell.iter().any(|byte| matches!(byte, b'.' | b'e' | b'E'));
            }
            Err(_) => match datetime::parse(cell) {
                Some(moment) => {
                    self.moments.add(moment.nanos, moment.decimals > 6, false);
                    self.lacks_offset |= !moment.has_offset;
                }
                None => {
                    self.stranger.get_or_insert_with(|| (line, quote(cell)));
                }
            },
        }
    }

    /// The rule for the column called `name`, and whether the times are in order. Notes what was
    /// assumed.
    ///
    /// # Errors
    /// `NoTimeUnit` for integers of unknown unit, `NoTimeColumn` where no cell is a time.
    pub(crate) fn decide(
        &self,
        file: &str,
        name: &str,
        options: &Options,
        notes: &mut Vec<String>,
    ) -> Result<(TimeRule, bool)> {
        let is_number = self.numbers.cells >= self.moments.cells;
        let seen = if is_number { &self.numbers } else { &self.moments };
        if seen.cells == 0
            && let Some((line, cell)) = &self.stranger
        {
            let what = format!(
                "column {name:?} holds no time, such as {cell} here; times are numbers, or text \
                 like 2013-12-02 21:15:00 or RFC 3339; name another column with the option"
            );
            return Err(IngestError::new(IngestErrorKind::NoTimeColumn, file, what).at_line(*line));
        }
        let finest = if seen.is_fine { TimeUnit::Ns } else { TimeUnit::Us };
        let unit = options.stream_unit.unwrap_or(finest);
        // Rounding to microseconds may exchange times that this reading compared in nanoseconds.
        let may_swap = unit == TimeUnit::Us && seen.is_rounded;
        let is_sorted = !seen.is_unsorted && !may_swap;
        if !is_number {
            if self.lacks_offset {
                notes.push(format!("times of column {name:?} without an offset are taken as UTC"));
            }
            return Ok((TimeRule::DateTime { unit }, is_sorted));
        }
        let scale = match self.scale {
            Some(scale) => scale,
            None if self.has_decimals => {
                notes.push(format!(
                    "numbers in time column {name:?} are taken as seconds; give the unit if they \
                     are not"
                ));
                TimeScale::Seconds
            }
            None if seen.cells == 0 => TimeScale::Seconds,
            None => {
                let what = format!(
                    "the integers of time column {name:?} have no known unit; give it: s, ms, us \
                     or ns (or name the column {name}_us, for example)"
                );
                return Err(IngestError::new(IngestErrorKind::NoTimeUnit, file, what));
            }
        };
        Ok((TimeRule::Number { scale, unit }, is_sorted))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_become_timestamps() {
        use TimeScale::{Micros, Millis, Nanos, Seconds};
        use TimeUnit::{Ns, Us};
        for (cell, scale, unit, want) in [
            ("2.097134001", Seconds, Us, Some(2_097_134)),
            ("2.097134001", Seconds, Ns, Some(2_097_134_001)),
            ("1500", Nanos, Us, Some(2)),
            ("2500", Nanos, Us, Some(2)),
            ("-1.5", Millis, Us, Some(-1500)),
            ("9223372036854775807", Micros, Us, Some(i64::MAX)),
            ("-9223372036854775808", Nanos, Ns, Some(i64::MIN)),
            ("9223372036854775808", Micros, Us, None),
            ("9223372037", Seconds, Ns, None),
            ("1e300", Seconds, Us, None),
            ("nan", Seconds, Us, None),
            ("inf", Seconds, Us, None),
            ("", Seconds, Us, None),
        ] {
            let got = TimeRule::Number { scale, unit }.read(cell.as_bytes(), 0).ok();
            assert_eq!(got, want, "{cell} {scale} {}", unit.name());
        }
        let rule = TimeRule::DateTime { unit: Us };
        assert_eq!(rule.read(b"1970-01-01T00:00:00.0000015Z", 0), Ok(2));
        assert_eq!(rule.read(b"1969-12-31T23:59:59.9999995Z", 0), Ok(0));
        assert!(rule.read(b"noon", 0).is_err());
        assert!(TimeRule::DateTime { unit: Ns }.read(b"2400-01-01", 0).is_err());
    }
}
