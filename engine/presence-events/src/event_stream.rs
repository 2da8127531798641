//! Event Stream (`.es`), version 2: differences of time in few bits, pixels in bytes.
//!
//! Read are streams of the kinds DVS (1), ATIS (2) and colour (4). Kinds 0 (generic) and 3
//! (display) hold no camera events and are refused by name. y counts from the bottom, as stored.
//!
//! # Invariants
//! - An event cut anywhere is kept as its bytes until the others come.

use crate::batch::{Event, SensorSize};
use crate::error::{EventError, EventErrorKind, Result};
use crate::header::Header;
use crate::options::Options;
use crate::output::{ColorEvent, Output};
use crate::report::Report;
use crate::words::Words;

pub(crate) const MAGIC: &[u8] = b"Event Stream";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Dvs,
    Atis,
    Color,
}

/// The state between two bytes.
#[derive(Debug, Clone)]
pub(crate) struct EventStream {
    kind: Kind,
    /// Bytes of the event that is not whole.
    held: [u8; 8],
    count: usize,
    t: i64,
    size: SensorSize,
}

impl Words for EventStream {
    const BYTES: usize = 1;
    const MARK: Option<u8> = None;
    const PREAMBLE: usize = 16;

    fn open(_: &Header, preamble: &[u8], _: &Options) -> Result<Self> {
        let unsupported = |what: String| Err(EventError::new(EventErrorKind::Unsupported, 0, what));
        let kind = match preamble.strip_prefix(MAGIC) {
            Some([2, _, _, kind]) => match kind {
                1 => Kind::Dvs,
                2 => Kind::Atis,
                4 => Kind::Color,
                0 => return unsupported("an Event Stream of generic data, not of a camera".into()),
                3 => return unsupported("an Event Stream for a display, not of a camera".into()),
                _ => return unsupported(format!("an Event Stream of the unknown kind {kind}")),
            },
            Some([major, ..]) => {
                return unsupported(format!("an Event Stream of version {major}; 2 is read"));
            }
            _ => return unsupported("no Event Stream".into()),
        };
        let size = SensorSize { width: 0, height: 0 };
        // The sensor's size stands behind the kind: four bytes held as an event is, with a mark.
        Ok(Self { kind, held: [0; 8], count: SIZE_MISSING, t: 0, size })
    }

    fn decode(&mut self, words: &[u8], out: &mut Output, _: &mut Report) {
        let mut rest = words;
        while self.count >= SIZE_MISSING {
            let Some((&byte, after)) = rest.split_first() else { return };
            rest = after;
            self.take_size(byte);
        }
        match self.kind {
            Kind::Dvs => self.dvs(rest, out),
            Kind::Atis | Kind::Color => {
                for &byte in rest {
                    self.byte(byte, out);
                }
            }
        }
    }

    fn partial_bytes(&self) -> usize {
        if self.count >= SIZE_MISSING { self.count - SIZE_MISSING } else { self.count }
    }

    fn sensor_size(&self) -> Option<SensorSize> {
        (self.count < SIZE_MISSING).then_some(self.size)
    }
}

/// Counts from here while the sensor's size is read.
const SIZE_MISSING: usize = 100;

impl EventStream {
    fn take_size(&mut self, byte: u8) {
        if let Some(place) = self.held.get_mut(self.count - SIZE_MISSING) {
            *place = byte;
        }
        self.count += 1;
        if self.count == SIZE_MISSING + 4 {
            let [a, b, c, d, ..] = self.held;
            let (width, height) = (u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d]));
            self.size = SensorSize { width, height };
            self.count = 0;
        }
    }

    /// DVS events, whole ones at once.
    fn dvs(&mut self, bytes: &[u8], out: &mut Output) {
        let mut rest = bytes;
        while self.count > 0 {
            let Some((&byte, after)) = rest.split_first() else { return };
            rest = after;
            self.byte(byte, out);
        }
        let columns = out.events.spare(rest.len() / 5 + 1);
        let mut n = 0;
        while let [head, x0, x1, y0, y1, after @ ..] = rest {
            match head {
                0xFF => self.t += 127,
                0xFE => {}
                _ => {
                    self.t += i64::from(head >> 1);
                    let places = (columns.t.get_mut(n), columns.x.get_mut(n));
                    let others = (columns.y.get_mut(n), columns.p.get_mut(n));
                    if let ((Some(t), Some(x)), (Some(y), Some(p))) = (places, others) {
                        *t = self.t;
                        *x = u16::from_le_bytes([*x0, *x1]);
                        *y = u16::from_le_bytes([*y0, *y1]);
                        *p = head & 1;
                        n += 1;
                    }
                    rest = after;
                    continue;
                }
            }
            rest = rest.get(1..).unwrap_or_default();
        }
        out.events.commit(n);
        for &byte in rest {
            self.byte(byte, out);
        }
    }

    /// One byte of any kind.
    fn byte(&mut self, byte: u8, out: &mut Output) {
        if self.count == 0 && self.is_between(byte) {
            return;
        }
        if let Some(place) = self.held.get_mut(self.count) {
            *place = byte;
        }
        self.count += 1;
        let bytes = if self.kind == Kind::Color { 8 } else { 5 };
        if self.count < bytes {
            return;
        }
        self.count = 0;
        let [head, x0, x1, y0, y1, r, g, b] = self.held;
        let (x, y) = (u16::from_le_bytes([x0, x1]), u16::from_le_bytes([y0, y1]));
        match self.kind {
            Kind::Dvs => {
                self.t += i64::from(head >> 1);
                out.events.push(Event { t: self.t, x, y, polarity: head & 1 });
            }
            Kind::Atis => {
                self.t += i64::from(head >> 2);
                let event = Event { t: self.t, x, y, polarity: head >> 1 & 1 };
                if head & 1 == 0 { &mut out.events } else { &mut out.exposures }.push(event);
            }
            Kind::Color => {
                self.t += i64::from(head);
                out.colors.push(ColorEvent { t: self.t, x, y, rgb: [r, g, b] });
            }
        }
    }

    /// Whether the byte is one between events: an overflow of time, or a reset.
    fn is_between(&mut self, byte: u8) -> bool {
        let overflow_us = match (self.kind, byte) {
            (Kind::Dvs, 0xFF) => 127,
            (Kind::Color, 0xFF) => 254,
            (Kind::Dvs | Kind::Color, 0xFE) => 0,
            (Kind::Atis, 0xFC..) => 63 * i64::from(byte & 3),
            _ => return false,
        };
        self.t += overflow_us;
        true
    }
}
