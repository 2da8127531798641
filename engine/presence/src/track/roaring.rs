//! A plane as a Roaring bitmap.
//!
//! # Invariants
//! - The bytes are the portable 64-bit format (`RoaringFormatSpec`, "extension for 64-bit
//!   implementations"), written by the `roaring` crate.

use std::io::Write;
use std::ops::Range;

use presence_format::plane::CONTAINER_WORDS;
use roaring::RoaringTreemap;

use super::plane::{Plane, start_of};
use super::source::{Bitmap, Fill};
use crate::error::{Error, Result};

/// Writes the set ticks of `plane` in `ticks`; returns how many.
pub(crate) fn write(plane: &Plane, ticks: Range<i64>, out: impl Write) -> Result<u64> {
    let mut map = RoaringTreemap::new();
    let mut words = Box::new([0; CONTAINER_WORDS]);
    let mut from = ticks.start.div_euclid(1 << 16);
    while let Some(number) = plane.next_container(from)? {
        let start = start_of(number);
        if start >= ticks.end {
            break;
        }
        match plane.container(number, &mut words)? {
            Fill::Empty => words.fill(0),
            Fill::Full => words.fill(u64::MAX),
            Fill::Mixed => {}
        }
        for (index, &word) in words.iter().enumerate() {
            let mut left = word;
            while left != 0 {
                let tick = start + 64 * index as i64 + i64::from(left.trailing_zeros());
                left &= left - 1;
                if ticks.contains(&tick) {
                    let tick = u64::try_from(tick).map_err(|_| {
                        let what = "ticks before the epoch have no number in a Roaring bitmap; \
                                    give a range that begins at the epoch";
                        Error::invalid(what)
                    })?;
                    map.insert(tick);
                }
            }
        }
        from = number + 1;
    }
    map.serialize_into(out).map_err(Error::io("write", "the Roaring bitmap"))?;
    Ok(map.len())
}
