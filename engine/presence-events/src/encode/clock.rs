//! The upper part of a time that a format counts in few bits, and the wraps that a reader will see.
//!
//! # Invariants
//! - A reader that counts a wrap where the upper part falls by half its range or more arrives at
//!   the same time.

use super::misfit;
use crate::error::Result;

/// Wraps that a gap between two events may take; each is two words.
const WRAPS_MAX: i64 = 1 << 16;

/// The upper part of the time, as a reader knows it.
#[derive(Debug, Clone)]
pub(super) struct UpperPart {
    /// Values that it can have.
    range: i64,
    /// The last value with wraps.
    last: Option<i64>,
}

impl UpperPart {
    pub(super) fn new(bits: u32) -> Self {
        Self { range: 1 << bits, last: None }
    }

    /// Calls `emit` for each value that leads to `upper`, none where it is there already; says
    /// whether there were any.
    #[inline]
    pub(super) fn lead_to(&mut self, upper: i64, emit: impl FnMut(u32)) -> Result<bool> {
        if self.last == Some(upper) {
            return Ok(false);
        }
        self.change(upper, emit)?;
        Ok(true)
    }

    fn change(&mut self, upper: i64, mut emit: impl FnMut(u32)) -> Result<()> {
        let limit = "it is below zero, or further from the event before than the format can tell; \
                     subtract the time of the first event";
        let last = self.last.unwrap_or(0);
        let (wraps, wraps_before) = (upper.div_euclid(self.range), last.div_euclid(self.range));
        let falls_too_far = wraps == wraps_before && last - upper >= self.range / 2;
        if !(0..=WRAPS_MAX).contains(&(wraps - wraps_before)) || falls_too_far || upper < 0 {
            return Err(misfit("the upper part of a time", upper, limit));
        }
        for _ in wraps_before..wraps {
            emit((self.range - 1) as u32);
            emit(0);
        }
        emit(upper.rem_euclid(self.range) as u32);
        self.last = Some(upper);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_lead_to_the_time() {
        let mut part = UpperPart::new(12);
        let mut lead = |upper| {
            let mut words = Vec::new();
            part.lead_to(upper, |word| words.push(word)).map(|_| words)
        };
        assert_eq!(lead(5).unwrap(), [5]);
        assert_eq!(lead(5).unwrap(), []);
        assert_eq!(lead(3).unwrap(), [3]);
        assert_eq!(lead(4096 + 7).unwrap(), [4095, 0, 7]);
        assert!(lead(4095).is_err(), "back over a wrap");
        assert_eq!(lead(3 * 4096).unwrap(), [4095, 0, 4095, 0, 0]);
        assert_eq!(lead(3 * 4096 + 0xFFF).unwrap(), [0xFFF]);
        assert!(lead(3 * 4096 + 1).is_err(), "would be taken for a wrap");
        assert!(lead(-1).is_err());
        assert!(lead(1 << 40).is_err());
    }
}
