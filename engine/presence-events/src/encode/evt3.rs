//! EVT 3.0, as its reader describes it: events of one time, row and polarity whose pixels rise are
//! written as vectors where that is shorter.
//!
//! # Invariants
//! - Pixels are below 2,048; times are not negative.
//! - Events within a vector rise in x, which is the order they come back in.

use super::clock::UpperPart;
use super::{Encoder, misfit, raw_header};
use crate::batch::{Event, EventBatch, SensorSize};
use crate::error::Result;
use crate::output::Trigger;

/// Pixels of one vector word.
const VECTOR: u16 = 12;
/// A base and a vector are two words: fewer events are written one by one.
const VECTOR_EVENTS_MIN: usize = 3;

/// A writer of EVT 3.0.
#[derive(Debug)]
pub(super) struct Evt3Encoder {
    header: Option<Vec<u8>>,
    upper: UpperPart,
    low: Option<u16>,
    row: Option<u16>,
}

impl Evt3Encoder {
    pub(super) fn new(size: Option<SensorSize>) -> Self {
        let header = Some(raw_header(size, "3.0", "EVT3"));
        Self { header, upper: UpperPart::new(12), low: None, row: None }
    }

    #[inline]
    fn time(&mut self, t: i64, out: &mut Vec<u8>) -> Result<()> {
        if self.upper.lead_to(t >> 12, |high| put(out, 8, high as u16))? {
            // Some readers do not let the lower part fall to 0 here, so it is always said.
            self.low = None;
        }
        let low = (t & 0xFFF) as u16;
        if self.low != Some(low) {
            put(out, 6, low);
            self.low = Some(low);
        }
        Ok(())
    }

    /// Writes events of one time, row and polarity whose pixels rise.
    fn run(&mut self, run: &[u16], polarity: u8, out: &mut Vec<u8>) {
        let mut rest = run;
        let polarity = u16::from(polarity) << 11;
        while let Some((&first, after)) = rest.split_first() {
            if within(rest, first) < VECTOR_EVENTS_MIN {
                put(out, 2, polarity | first);
                rest = after;
                continue;
            }
            put(out, 3, polarity | first);
            let mut base = first;
            loop {
                let count = within(rest, base);
                if count == 0 {
                    break;
                }
                let (vector, after) = rest.split_at(count);
                put(out, 4, vector.iter().fold(0, |bits, x| bits | 1 << (x - base)));
                rest = after;
                base += VECTOR;
            }
        }
    }
}

/// How many of the rising pixels a vector from `base` on holds.
fn within(pixels: &[u16], base: u16) -> usize {
    pixels.iter().take(usize::from(VECTOR)).take_while(|x| **x < base + VECTOR).count()
}

#[inline]
fn put(out: &mut Vec<u8>, kind: u16, bits: u16) {
    out.extend_from_slice(&(kind << 12 | bits).to_le_bytes());
}

/// How many events from `first` on are of its time, row and polarity, with pixels that rise.
fn run_length(first: Event, events: impl Iterator<Item = Event>) -> usize {
    let mut x = first.x;
    let same = |event: &Event| {
        let (t, y, polarity) = (event.t, event.y, event.polarity);
        let rises = (t, y, polarity) == (first.t, first.y, first.polarity) && event.x > x;
        x = event.x;
        rises
    };
    1 + events.take_while(same).count()
}

impl Encoder for Evt3Encoder {
    fn encode(&mut self, events: &EventBatch, out: &mut Vec<u8>) -> Result<()> {
        out.extend(self.header.take().unwrap_or_default());
        out.reserve(events.len() * 3);
        let mut at = 0;
        while let Some(event) = events.get(at) {
            let rest = (at + 1..events.len()).map_while(|index| events.get(index));
            let length = run_length(event, rest);
            let run = events.x().get(at..at + length).unwrap_or_default();
            let largest = run.last().copied().unwrap_or(event.x).max(event.y);
            if largest > 0x7FF {
                return Err(misfit("a pixel of", largest, "EVT3 has 11 bits"));
            }
            self.time(event.t, out)?;
            if self.row != Some(event.y) {
                put(out, 0, event.y);
                self.row = Some(event.y);
            }
            self.run(run, event.polarity, out);
            at += length;
        }
        Ok(())
    }

    fn trigger(&mut self, trigger: Trigger, out: &mut Vec<u8>) -> Result<()> {
        out.extend(self.header.take().unwrap_or_default());
        if trigger.id > 0xF || trigger.value > 1 {
            return Err(misfit("trigger", trigger.id, "channels below 16, values 0 and 1"));
        }
        self.time(trigger.t, out)?;
        put(out, 10, u16::from(trigger.id) << 8 | u16::from(trigger.value));
        Ok(())
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<()> {
        out.extend(self.header.take().unwrap_or_default());
        Ok(())
    }
}
