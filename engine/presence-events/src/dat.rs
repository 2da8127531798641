//! DAT: 8 bytes an event, with a time of 32 bits.
//!
//! Behind the lines that begin with `%` stand the kind of the events and their size (8), one byte
//! each. A word is a time in microseconds (u32, little endian) and a u32:
//!
//! | version | x | y | polarity |
//! |---|---|---|---|
//! | 1 | bits 0..8 | bits 9..16 | bit 17 |
//! | 2 | bits 0..13 | bits 14..27 | bits 28..31, on where not 0 |
//!
//! Kinds: 0 is `2D`, 12 is `CD`: both are events; 14 is a trigger, its channel in bits 8..12 and
//! its level in bit 0.
//!
//! # Invariants
//! - Where the time falls by 2^31 or more, 32 bits have wrapped.

use crate::batch::SensorSize;
use crate::bits::dat;
use crate::error::{EventError, EventErrorKind, Result};
use crate::header::Header;
use crate::options::Options;
use crate::output::{Output, Trigger};
use crate::report::Report;
use crate::words::Words;

/// What the words of a file are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Version1,
    Version2,
    Triggers,
}

/// The state between two words.
#[derive(Debug, Clone)]
pub(crate) struct Dat {
    kind: Kind,
    last: u32,
    wraps_us: i64,
    size: Option<SensorSize>,
}

impl Words for Dat {
    const BYTES: usize = 8;
    const MARK: Option<u8> = Some(b'%');
    const PREAMBLE: usize = 2;

    fn open(header: &Header, preamble: &[u8], _: &Options) -> Result<Self> {
        let unsupported = |what: String| Err(EventError::new(EventErrorKind::Unsupported, 0, what));
        let kind = match (preamble, header.value("Version")) {
            ([0 | 12, 8], Some("1")) => Kind::Version1,
            ([0 | 12, 8], Some("2") | None) => Kind::Version2,
            ([14, 8], _) => Kind::Triggers,
            ([0 | 12, 8], Some(version)) => {
                return unsupported(format!("DAT of version {version}; 1 and 2 are read"));
            }
            _ => {
                return unsupported(format!(
                    "DAT events of kind and size {preamble:?}; kinds 0 and 12 (events) and 14 \
                     (triggers) of size 8 are read"
                ));
            }
        };
        Ok(Self { kind, last: 0, wraps_us: 0, size: header.sensor_size() })
    }

    fn decode(&mut self, words: &[u8], out: &mut Output, _: &mut Report) {
        match self.kind {
            Kind::Version1 => self.events::<{ dat::Y_OF_1.at() }, { dat::P_OF_1.at() }>(words, out),
            Kind::Version2 => self.events::<{ dat::Y.at() }, { dat::P.at() }>(words, out),
            Kind::Triggers => self.triggers(words, out),
        }
    }

    fn sensor_size(&self) -> Option<SensorSize> {
        self.size
    }
}

impl Dat {
    /// Decodes events whose y begins at bit `Y` and whose polarity begins at bit `P`.
    fn events<const Y: u32, const P: u32>(&mut self, words: &[u8], out: &mut Output) {
        let events = words.len() / 8;
        let columns = out.events.spare(events);
        let (x_mask, y_mask) = ((1 << Y) - 1, (1 << (P - Y)) - 1);
        let p_mask = if P == dat::P.at() { dat::P.max() } else { dat::P_OF_1.max() };
        let pixels = columns.x.iter_mut().zip(columns.y).zip(columns.p);
        let wraps = self.wraps_us;
        let (mut last, mut wraps_within) = (self.last, 0);
        for (word, (t, ((x, y), p))) in words.chunks_exact(8).zip(columns.t.iter_mut().zip(pixels))
        {
            let word: u64 = word.try_into().map_or(0, u64::from_le_bytes);
            let (time, pixel) = (word as u32, (word >> 32) as u32);
            wraps_within |= u32::from(last.saturating_sub(time) >= 1 << 31);
            last = time;
            *t = wraps + i64::from(time);
            *x = (pixel & x_mask) as u16;
            *y = (pixel >> Y & y_mask) as u16;
            *p = u8::from(pixel >> P & p_mask != 0);
        }
        if wraps_within == 0 {
            self.last = last;
        } else {
            for (word, t) in words.chunks_exact(8).zip(columns.t) {
                let time = word.first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes));
                *t = self.time(time);
            }
        }
        out.events.commit(events);
    }

    fn triggers(&mut self, words: &[u8], out: &mut Output) {
        for word in words.chunks_exact(8) {
            let word: u64 = word.try_into().map_or(0, u64::from_le_bytes);
            let t = self.time(word as u32);
            let pixel = (word >> 32) as u32;
            let (id, value) = (dat::CHANNEL.of(pixel) as u8, dat::LEVEL.of(pixel) as u8);
            out.triggers.push(Trigger { t, id, value });
        }
    }

    /// The time with its wraps.
    fn time(&mut self, time: u32) -> i64 {
        if self.last.saturating_sub(time) >= 1 << 31 {
            self.wraps_us += 1 << 32;
        }
        self.last = time;
        self.wraps_us + i64::from(time)
    }
}
