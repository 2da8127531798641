//! DAT, version 2, events of kind 12 (`CD`).
//!
//! # Invariants
//! - Pixels are below 16,384; times are not negative. The first is below 2^32 us, and none is
//!   further from the one before than a reader can tell from a wrap of 32 bits.

use super::{Encoder, misfit};
use crate::batch::{EventBatch, SensorSize};
use crate::bits::dat;
use crate::error::Result;

/// A writer of DAT.
#[derive(Debug)]
pub(super) struct DatEncoder {
    header: Option<Vec<u8>>,
    last: i64,
}

impl DatEncoder {
    pub(super) fn new(size: Option<SensorSize>) -> Self {
        let mut text = "% Data file containing CD events.\n% Version 2\n".to_owned();
        if let Some(SensorSize { width, height }) = size {
            text += &format!("% Width {width}\n% Height {height}\n");
        }
        let mut header = text.into_bytes();
        header.extend([12, 8]);
        Self { header: Some(header), last: 0 }
    }
}

impl Encoder for DatEncoder {
    fn encode(&mut self, events: &EventBatch, out: &mut Vec<u8>) -> Result<()> {
        out.extend(self.header.take().unwrap_or_default());
        out.reserve(events.len() * 8);
        for event in events.iter() {
            if u32::from(event.x | event.y) > dat::X.max() {
                return Err(misfit("a pixel of", event.x.max(event.y), "DAT has 14 bits"));
            }
            let (wraps, wraps_before) = (event.t >> 32, self.last >> 32);
            let falls = (self.last & 0xFFFF_FFFF) - (event.t & 0xFFFF_FFFF) >= 1 << 31;
            if event.t < 0 || wraps != wraps_before + i64::from(falls) {
                let limit = "it is below zero, or too far from the event before for 32 bits; \
                             subtract the time of the first event";
                return Err(misfit("time", event.t, limit));
            }
            self.last = event.t;
            let pixel = dat::P.put(event.polarity.into()) | dat::Y.put(event.y.into());
            out.extend_from_slice(&(event.t as u32).to_le_bytes());
            out.extend_from_slice(&(pixel | dat::X.put(event.x.into())).to_le_bytes());
        }
        Ok(())
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<()> {
        out.extend(self.header.take().unwrap_or_default());
        Ok(())
    }
}
