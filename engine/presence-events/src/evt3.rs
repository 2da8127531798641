//! EVT 3.0: words of 16 bits that change a state; some of them give events.
//!
//! | bits 15..12 | kind | the others |
//! |---|---|---|
//! | 0 | row | 10..0 y (11 tells two cameras of a pair apart and is ignored) |
//! | 2 | event | 11 polarity, 10..0 x |
//! | 3 | base of vectors | 11 polarity, 10..0 x |
//! | 4 | vector | bit `i` is an event at `x + i`, for 12 bits; then the base moves by 12 |
//! | 5 | vector | the same of 8 bits |
//! | 6 | time | lower 12 bits |
//! | 8 | time | upper 12 bits |
//! | 10 | trigger | 11..8 channel, 0 level |
//! | 7, 14, 15 | continued, others | counted |
//!
//! # Invariants
//! - The maker's rule of time: where the upper part changes, the lower one becomes 0; where the
//!   upper part falls by 0x800 or more, 24 bits have wrapped.
//! - Events before the first upper part have no time, and are counted.

use crate::batch::{ColumnsMut, SensorSize};
use crate::error::Result;
use crate::evt2::count;
use crate::header::Header;
use crate::options::{Options, TimeBase};
use crate::output::{Output, Trigger};
use crate::report::Report;
use crate::words::Words;

/// Events that one word may give.
const VECTOR: usize = 12;
/// Lanes written at a time, of which fewer may be events.
const LANES: usize = 8;
/// Kinds that only move the state or give one event.
const PLAIN: u32 = 1 | 1 << 2 | 1 << 3 | 1 << 6;

/// For each byte the places of its bits, in order.
static PLACES: [[u16; LANES]; 256] = places();

const fn places() -> [[u16; LANES]; 256] {
    let mut table = [[0; LANES]; 256];
    let mut byte = 0;
    while byte < 256 {
        let (mut bit, mut n) = (0, 0);
        while bit < LANES {
            if byte >> bit & 1 == 1 {
                #[expect(clippy::indexing_slicing, reason = "evaluated by the compiler")]
                {
                    table[byte][n] = bit as u16;
                }
                n += 1;
            }
            bit += 1;
        }
        byte += 1;
    }
    table
}

/// The state between two words.
#[derive(Debug, Clone)]
pub(crate) struct Evt3 {
    base: TimeBase,
    high: Option<u16>,
    /// Upper part with wraps, less the zero, in microseconds.
    high_us: i64,
    low: u16,
    wraps_us: i64,
    zero_us: i64,
    y: u16,
    /// The next pixel of a vector, which may lie beyond any sensor.
    base_x: u16,
    /// The polarity of a vector.
    base_p: u8,
    size: Option<SensorSize>,
}

impl Words for Evt3 {
    const BYTES: usize = 2;
    const MARK: Option<u8> = Some(b'%');

    fn open(header: &Header, _: &[u8], options: &Options) -> Result<Self> {
        Ok(Self {
            base: options.time_base,
            high: None,
            high_us: 0,
            low: 0,
            wraps_us: 0,
            zero_us: 0,
            y: 0,
            base_x: 0,
            base_p: 0,
            size: header.sensor_size(),
        })
    }

    fn decode(&mut self, words: &[u8], out: &mut Output, report: &mut Report) {
        let mut rest = words;
        while self.high.is_none() && !rest.is_empty() {
            let (word, after) = rest.split_at(rest.len().min(2));
            self.untimed(le16(word), report);
            rest = after;
        }
        // Room for the lanes behind the last event, which are written and are none.
        let events_max = rest.len() / 2 * VECTOR + LANES;
        let mut n = 0;
        let Output { events, triggers, .. } = out;
        let mut columns = events.spare(events_max);
        let (mut y, mut base_x, mut base_p) = (self.y, self.base_x, self.base_p);
        let mut t = self.high_us + i64::from(self.low);
        for word in rest.chunks_exact(2) {
            let word = le16(word);
            let kind = word >> 12;
            if PLAIN >> kind & 1 == 1 {
                // Every word writes an event; only those of kind 2 let it stay.
                put(&mut columns, n, t, word, y);
                n += usize::from(kind == 2);
                y = if kind == 0 { word & 0x7FF } else { y };
                base_x = if kind == 3 { word & 0x7FF } else { base_x };
                base_p = if kind == 3 { (word >> 11 & 1) as u8 } else { base_p };
                t = if kind == 6 { self.high_us + i64::from(word & 0xFFF) } else { t };
            } else if kind == 4 {
                let row = Row { t, y, p: base_p };
                n += put_lanes(&mut columns, n, row, word as u8, base_x);
                let upper = (word >> 8 & 0xF) as u8;
                n += put_lanes(&mut columns, n, row, upper, base_x.wrapping_add(8));
                base_x = base_x.wrapping_add(12);
            } else if kind == 5 {
                let row = Row { t, y, p: base_p };
                n += put_lanes(&mut columns, n, row, word as u8, base_x);
                base_x = base_x.wrapping_add(8);
            } else if kind == 8 {
                self.low = (t - self.high_us) as u16;
                self.set_high(word & 0xFFF);
                t = self.high_us + i64::from(self.low);
            } else if kind == 10 {
                triggers.push(trigger(t, word));
            } else {
                other(word, report);
            }
        }
        (self.y, self.base_x, self.base_p) = (y, base_x, base_p);
        self.low = (t - self.high_us) as u16;
        events.commit(n);
    }

    fn sensor_size(&self) -> Option<SensorSize> {
        self.size
    }
}

impl Evt3 {
    /// Takes the upper part of the time.
    fn set_high(&mut self, high: u16) {
        match self.high {
            Some(before) if before == high => return,
            Some(before) if before.saturating_sub(high) >= 0x800 => self.wraps_us += 1 << 24,
            None if self.base == TimeBase::Shifted => self.zero_us = i64::from(high) << 12,
            _ => {}
        }
        self.low = 0;
        self.high = Some(high);
        self.high_us = (i64::from(high) << 12) + self.wraps_us - self.zero_us;
    }

    /// Takes a word before the first upper part of the time.
    #[cold]
    fn untimed(&mut self, word: u16, report: &mut Report) {
        match word >> 12 {
            0 => self.y = word & 0x7FF,
            2 | 10 => report.untimed += 1,
            3 => (self.base_x, self.base_p) = (word & 0x7FF, (word >> 11 & 1) as u8),
            4 => {
                report.untimed += u64::from((word & 0xFFF).count_ones());
                self.base_x = self.base_x.wrapping_add(12);
            }
            5 => {
                report.untimed += u64::from((word & 0xFF).count_ones());
                self.base_x = self.base_x.wrapping_add(8);
            }
            6 => self.low = word & 0xFFF,
            8 => self.set_high(word & 0xFFF),
            _ => other(word, report),
        }
    }
}

/// What the events of a vector share.
#[derive(Debug, Clone, Copy)]
struct Row {
    t: i64,
    y: u16,
    p: u8,
}

#[inline]
fn put(columns: &mut ColumnsMut<'_>, n: usize, t: i64, word: u16, y: u16) {
    if let (Some(at_t), Some(at_x), Some(at_y), Some(at_p)) =
        (columns.t.get_mut(n), columns.x.get_mut(n), columns.y.get_mut(n), columns.p.get_mut(n))
    {
        *at_t = t;
        *at_x = word & 0x7FF;
        *at_y = y;
        *at_p = (word >> 11 & 1) as u8;
    }
}

/// Writes the events of a byte of a vector, and says how many they are.
#[inline]
fn put_lanes(columns: &mut ColumnsMut<'_>, n: usize, row: Row, which: u8, x: u16) -> usize {
    let lanes = n..n + LANES;
    if let (Some(at_t), Some(at_x), Some(at_y), Some(at_p), Some(places)) = (
        columns.t.get_mut(lanes.clone()),
        columns.x.get_mut(lanes.clone()),
        columns.y.get_mut(lanes.clone()),
        columns.p.get_mut(lanes),
        PLACES.get(usize::from(which)),
    ) {
        at_t.fill(row.t);
        at_y.fill(row.y);
        at_p.fill(row.p);
        for (at, place) in at_x.iter_mut().zip(places) {
            *at = x.wrapping_add(*place);
        }
    }
    which.count_ones() as usize
}

#[inline]
fn trigger(t: i64, word: u16) -> Trigger {
    Trigger { t, id: (word >> 8 & 0xF) as u8, value: (word & 1) as u8 }
}

#[cold]
fn other(word: u16, report: &mut Report) {
    match word >> 12 {
        kind @ (7 | 14 | 15) => count(report, u32::from(kind)),
        _ => report.unknown_words += 1,
    }
}

#[inline]
fn le16(bytes: &[u8]) -> u16 {
    bytes.try_into().map_or(0, u16::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_of_bits() {
        assert_eq!(PLACES[0b1010_0001][..3], [0, 5, 7]);
        assert_eq!(PLACES[255], [0, 1, 2, 3, 4, 5, 6, 7]);
    }
}
