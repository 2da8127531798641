//! EVT 2.0, as its reader describes it.
//!
//! # Invariants
//! - Pixels are below 2,048; times are not negative.

use super::clock::UpperPart;
use super::{Encoder, misfit, raw_header};
use crate::batch::{EventBatch, SensorSize};
use crate::bits::evt2;
use crate::error::Result;
use crate::output::Trigger;

/// A writer of EVT 2.0.
#[derive(Debug)]
pub(super) struct Evt2Encoder {
    header: Option<Vec<u8>>,
    upper: UpperPart,
}

impl Evt2Encoder {
    pub(super) fn new(size: Option<SensorSize>) -> Self {
        Self { header: Some(raw_header(size, "2.0", "EVT2")), upper: UpperPart::new(28) }
    }

    fn time(&mut self, t: i64, out: &mut Vec<u8>) -> Result<u32> {
        let emit = |high: u32| {
            out.extend_from_slice(&(evt2::KIND.put(evt2::KIND_TIME) | high).to_le_bytes())
        };
        self.upper.lead_to(t >> 6, emit)?;
        Ok(evt2::TIME.put(t as u32 & evt2::TIME.max()))
    }
}

impl Encoder for Evt2Encoder {
    fn encode(&mut self, events: &EventBatch, out: &mut Vec<u8>) -> Result<()> {
        out.extend(self.header.take().unwrap_or_default());
        out.reserve(events.len() * 4);
        for event in events.iter() {
            if u32::from(event.x | event.y) > evt2::X.max() {
                return Err(misfit("a pixel of", event.x.max(event.y), "EVT2 has 11 bits"));
            }
            let time = self.time(event.t, out)?;
            let pixel = evt2::X.put(event.x.into()) | evt2::Y.put(event.y.into());
            let word = evt2::KIND.put(event.polarity.into()) | time | pixel;
            out.extend_from_slice(&word.to_le_bytes());
        }
        Ok(())
    }

    fn trigger(&mut self, trigger: Trigger, out: &mut Vec<u8>) -> Result<()> {
        out.extend(self.header.take().unwrap_or_default());
        if u32::from(trigger.id) > evt2::CHANNEL.max() || trigger.value > 1 {
            return Err(misfit("trigger", trigger.id, "channels below 32, values 0 and 1"));
        }
        let time = self.time(trigger.t, out)?;
        let kind = evt2::KIND.put(evt2::KIND_TRIGGER);
        let channel = evt2::CHANNEL.put(trigger.id.into());
        let word = kind | time | channel | evt2::LEVEL.put(trigger.value.into());
        out.extend_from_slice(&word.to_le_bytes());
        Ok(())
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<()> {
        out.extend(self.header.take().unwrap_or_default());
        Ok(())
    }
}
