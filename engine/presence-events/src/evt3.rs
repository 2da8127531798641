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
/// What a word of a plain kind (0, 2, 6) does to row and lower time, which are kept in one number:
/// looked up and not branched on, since these kinds follow each other without any pattern.
#[derive(Debug, Clone, Copy)]
struct Step {
    /// Bits of the number that stay.
    keep: u32,
    /// Bits of the word that come in, and where they go.
    take: u32,
    shift: u32,
    /// Events that the word gives.
    events: u16,
    is_plain: bool,
}

const LOW: u32 = 0xFFF;
const ROW: u32 = 0x7FF << 12;
static STEPS: [Step; 16] = steps();

const fn steps() -> [Step; 16] {
    let other = Step { keep: !0, take: 0, shift: 0, events: 0, is_plain: false };
    let row = Step { keep: !ROW, take: ROW, shift: 12, is_plain: true, ..other };
    let event = Step { events: 1, is_plain: true, ..other };
    let low = Step { keep: !LOW, take: LOW, is_plain: true, ..other };
    let [_, o1, _, o3, o4, o5, _, rest @ ..] = [other; 16];
    let [o7, o8, o9, oa, ob, oc, od, oe, of] = rest;
    [row, o1, event, o3, o4, o5, low, o7, o8, o9, oa, ob, oc, od, oe, of]
}

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
        let Output { events, triggers, .. } = out;
        let n = self.timed(rest, events.spare(events_max), triggers, report);
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

    /// Decodes words once the time is known; says how many events were written.
    fn timed(
        &mut self,
        words: &[u8],
        columns: ColumnsMut<'_>,
        triggers: &mut Vec<Trigger>,
        report: &mut Report,
    ) -> usize {
        let mut places = Places::new(columns);
        let mut n = 0;
        let (mut base_x, mut base_p) = (self.base_x, self.base_p);
        let mut high_us = self.high_us;
        let mut state = u32::from(self.y) << 12 | u32::from(self.low);
        for word in words.chunks_exact(2) {
            let word = le16(word);
            let kind = word >> 12;
            let Some(step) = STEPS.get(usize::from(kind)) else { continue };
            let (t, y) = (high_us + i64::from(state & LOW), (state >> 12) as u16);
            if step.is_plain {
                // Every word writes an event; only those of kind 2 let it stay.
                let row = Row { t, y, p: (word >> 11 & 1) as u8 };
                places.put(n, row, word & 0x7FF);
                n += usize::from(step.events);
                state = state & step.keep | u32::from(word) << step.shift & step.take;
            } else if kind == 3 {
                (base_x, base_p) = (word & 0x7FF, (word >> 11 & 1) as u8);
            } else if kind == 4 {
                let row = Row { t, y, p: base_p };
                n += places.put_lanes(n, row, word as u8, base_x);
                let upper = (word >> 8 & 0xF) as u8;
                n += places.put_lanes(n, row, upper, base_x.wrapping_add(8));
                base_x = base_x.wrapping_add(12);
            } else if kind == 5 {
                let row = Row { t, y, p: base_p };
                n += places.put_lanes(n, row, word as u8, base_x);
                base_x = base_x.wrapping_add(8);
            } else if kind == 8 {
                self.low = (state & LOW) as u16;
                self.set_high(word & 0xFFF);
                high_us = self.high_us;
                state = state & !LOW | u32::from(self.low);
            } else if kind == 10 {
                triggers.push(trigger(t, word));
            } else {
                other(word, report);
            }
        }
        (self.y, self.base_x, self.base_p) = ((state >> 12) as u16, base_x, base_p);
        self.low = (state & LOW) as u16;
        n
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

/// Columns of one length, so that one comparison is enough for all four.
struct Places<'a> {
    t: &'a mut [i64],
    x: &'a mut [u16],
    y: &'a mut [u16],
    p: &'a mut [u8],
}

impl<'a> Places<'a> {
    fn new(columns: ColumnsMut<'a>) -> Self {
        let len = columns.t.len();
        Self {
            t: columns.t,
            x: columns.x.get_mut(..len).unwrap_or_default(),
            y: columns.y.get_mut(..len).unwrap_or_default(),
            p: columns.p.get_mut(..len).unwrap_or_default(),
        }
    }

    #[inline(always)]
    fn put(&mut self, n: usize, row: Row, x: u16) {
        let (Some(at_t), Some(at_x), Some(at_y), Some(at_p)) =
            (self.t.get_mut(n), self.x.get_mut(n), self.y.get_mut(n), self.p.get_mut(n))
        else {
            return;
        };
        *at_t = row.t;
        *at_x = x;
        *at_y = row.y;
        *at_p = row.p;
    }

    /// Writes the events of a byte of a vector, and says how many they are.
    #[inline]
    fn put_lanes(&mut self, n: usize, row: Row, which: u8, x: u16) -> usize {
        let lanes = n..n + LANES;
        if let (Some(at_t), Some(at_x), Some(at_y), Some(at_p), Some(places)) = (
            self.t.get_mut(lanes.clone()),
            self.x.get_mut(lanes.clone()),
            self.y.get_mut(lanes.clone()),
            self.p.get_mut(lanes),
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
