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

use std::ops::Range;

use crate::batch::{ColumnsMut, SensorSize};
use crate::error::Result;
use crate::evt2::count;
use crate::header::Header;
use crate::options::{Options, TimeBase};
use crate::output::{Output, Trigger};
use crate::report::Report;
use crate::words::Words;

/// Words whose events are gathered before they are unpacked into columns.
const PART: usize = 256;
/// Room for the events of as many words, and for the lanes behind the last one.
const EVENTS_MAX: usize = 4096;
/// Events that one word may give.
const VECTOR: usize = 12;
/// Lanes written at a time, of which fewer may be events.
const LANES: usize = 8;
/// Events unpacked at a time.
const BLOCK: usize = 16;
const _: () = assert!(PART * VECTOR + 4 * LANES + BLOCK <= EVENTS_MAX);

/// The lower time, in the number that holds it together with the row and, in events, the polarity.
const LOW: u32 = 0xFFF;
const ROW: u32 = 0x7FF << ROW_SHIFT;
const ROW_SHIFT: u32 = 12;
const POLARITY_SHIFT: u32 = 23;
/// Kinds 0, 2 and 6, which follow each other without any pattern, and are not branched on.
const PLAIN: u16 = 1 | 1 << 2 | 1 << 6;
/// What a word of a kind changes of row and lower time.
static TAKEN: [u32; 16] = [ROW, 0, 0, 0, 0, 0, LOW, 0, 0, 0, 0, 0, 0, 0, 0, 0];

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
        let Output { events, triggers, .. } = out;
        let mut packed = [0; EVENTS_MAX];
        for part in rest.chunks(PART * 2) {
            let columns = events.spare(EVENTS_MAX);
            let n = self.timed(part, columns, &mut packed, triggers, report);
            events.commit(n);
        }
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
        packed: &mut [u32; EVENTS_MAX],
        triggers: &mut Vec<Trigger>,
        report: &mut Report,
    ) -> usize {
        let ColumnsMut { t, x, y, p } = columns;
        let Some(x) = x.first_chunk_mut() else { return 0 };
        let mut lanes = Lanes { x, packed };
        let mut rows = Rows { t, y, p };
        let (mut n, mut unpacked) = (0, 0);
        let (mut base_x, mut base_p) = (self.base_x, u32::from(self.base_p) << POLARITY_SHIFT);
        let mut state = u32::from(self.y) << ROW_SHIFT | u32::from(self.low);
        let mut rest = words;
        while let Some((&word, after)) = rest.split_first_chunk() {
            rest = after;
            let word = u16::from_le_bytes(word);
            let kind = word >> 12;
            if PLAIN >> kind & 1 == 1 {
                // Every word writes an event; only those of kind 2 let it stay.
                lanes.put(n, state | polarity(word), word & 0x7FF);
                n += usize::from(kind == 2);
                let both = u32::from(word & 0xFFF) * (1 << ROW_SHIFT | 1);
                let taken = TAKEN.get(usize::from(kind)).copied().unwrap_or(0);
                state = state & !taken | both & taken;
            } else if kind == 3 {
                (base_x, base_p) = (word & 0x7FF, polarity(word));
                if let Some((mask, after)) = vectors_of_32(rest) {
                    n = lanes.put_mask::<4>(n, state | base_p, mask, base_x);
                    base_x = base_x.wrapping_add(32);
                    rest = after;
                }
            } else if kind == 4 {
                n = lanes.put_mask::<2>(n, state | base_p, u32::from(word & 0xFFF), base_x);
                base_x = base_x.wrapping_add(12);
            } else if kind == 5 {
                n = lanes.put_mask::<1>(n, state | base_p, u32::from(word & 0xFF), base_x);
                base_x = base_x.wrapping_add(8);
            } else if kind == 8 {
                if self.high != Some(word & 0xFFF) {
                    rows.unpack(lanes.packed, unpacked..n, self.high_us);
                    unpacked = n;
                    self.set_high(word & 0xFFF);
                    state &= !LOW;
                }
            } else if kind == 10 {
                triggers.push(trigger(self.high_us + i64::from(state & LOW), word));
            } else {
                other(word, report);
            }
        }
        rows.unpack(lanes.packed, unpacked..n, self.high_us);
        (self.y, self.low) = ((state >> ROW_SHIFT) as u16, (state & LOW) as u16);
        (self.base_x, self.base_p) = (base_x, (base_p >> POLARITY_SHIFT) as u8);
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

/// Events of a part: columns of pixels as they are handed out, all else packed.
struct Lanes<'a> {
    x: &'a mut [u16; EVENTS_MAX],
    packed: &'a mut [u32; EVENTS_MAX],
}

impl Lanes<'_> {
    /// Writes event `n`.
    #[inline(always)]
    fn put(&mut self, n: usize, packed: u32, x: u16) {
        if let (Some(at), Some(at_x)) = (self.packed.get_mut(n), self.x.get_mut(n)) {
            (*at, *at_x) = (packed, x);
        }
    }

    /// Writes the events of a vector of that many bytes from `n` on; says where they end.
    #[inline(always)]
    fn put_mask<const BYTES: u32>(&mut self, n: usize, packed: u32, mask: u32, x: u16) -> usize {
        let ends = ones_up_to(mask);
        let mut at = n;
        for shift in (0..BYTES * 8).step_by(8) {
            let lanes = self.packed.get_mut(at..).and_then(<[_]>::first_chunk_mut);
            let xs = self.x.get_mut(at..).and_then(<[_]>::first_chunk_mut);
            let places = PLACES.get((mask >> shift & 0xFF) as usize);
            if let (Some(lanes), Some(xs), Some(places)) = (lanes, xs, places) {
                *lanes = [packed; LANES];
                let x = x.wrapping_add(shift as u16);
                *xs = places.map(|place| x.wrapping_add(place));
            }
            at = n + (ends >> shift & 0xFF) as usize;
        }
        at
    }
}

/// The columns that are unpacked.
struct Rows<'a> {
    t: &'a mut [i64],
    y: &'a mut [u16],
    p: &'a mut [u8],
}

impl Rows<'_> {
    /// Unpacks a range in blocks, the last of which may go beyond it.
    fn unpack(&mut self, packed: &[u32], range: Range<usize>, high_us: i64) {
        let blocks = range.len().div_ceil(BLOCK);
        let range = range.start..(range.start + blocks * BLOCK).min(EVENTS_MAX);
        let (Some(packed), Some(t), Some(y), Some(p)) = (
            packed.get(range.clone()),
            self.t.get_mut(range.clone()),
            self.y.get_mut(range.clone()),
            self.p.get_mut(range),
        ) else {
            return;
        };
        let (packed, _) = packed.as_chunks::<BLOCK>();
        let (t, _) = t.as_chunks_mut::<BLOCK>();
        let (y, _) = y.as_chunks_mut::<BLOCK>();
        let (p, _) = p.as_chunks_mut::<BLOCK>();
        for (packed, (t, (y, p))) in packed.iter().zip(t.iter_mut().zip(y.iter_mut().zip(p))) {
            *t = packed.map(|packed| high_us + i64::from(packed & LOW));
            *y = packed.map(|packed| (packed >> ROW_SHIFT & 0x7FF) as u16);
            *p = packed.map(|packed| (packed >> POLARITY_SHIFT & 1) as u8);
        }
    }
}

/// The polarity of a word in its place.
#[inline]
fn polarity(word: u16) -> u32 {
    u32::from(word & 0x800) << (POLARITY_SHIFT - 11)
}

/// The 32 pixels of vectors of 12, 12 and 8, as cameras write them, and the words behind them.
#[inline]
fn vectors_of_32(words: &[u8]) -> Option<(u32, &[u8])> {
    let (&[a, b, c, d, e, f], after) = words.split_first_chunk()?;
    let (first, second) = (u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d]));
    let third = u16::from_le_bytes([e, f]);
    let is_row = first >> 12 == 4 && second >> 12 == 4 && third >> 12 == 5;
    let mask = u32::from(first & 0xFFF) | u32::from(second & 0xFFF) << 12;
    is_row.then_some((mask | u32::from(third) << 24, after))
}

/// In byte `i` how many bits of the bytes `0 ..= i` are set.
#[inline]
fn ones_up_to(mask: u32) -> u32 {
    let twos = mask - (mask >> 1 & 0x5555_5555);
    let fours = (twos & 0x3333_3333) + (twos >> 2 & 0x3333_3333);
    ((fours + (fours >> 4)) & 0x0F0F_0F0F).wrapping_mul(0x0101_0101)
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
    fn bits_up_to_each_byte() {
        for mask in [0_u32, 1, 0x8000_0000, u32::MAX, 0x0102_0408, 0xF000_00FF] {
            let up_to = |byte: u32| (mask & (u32::MAX >> (24 - 8 * byte))).count_ones();
            let want = [0, 1, 2, 3].map(|byte| up_to(byte) as u8);
            assert_eq!(ones_up_to(mask).to_le_bytes(), want, "{mask:x}");
        }
    }

    #[test]
    fn places_of_bits() {
        assert_eq!(PLACES[0b1010_0001][..3], [0, 5, 7]);
        assert_eq!(PLACES[255], [0, 1, 2, 3, 4, 5, 6, 7]);
    }
}
