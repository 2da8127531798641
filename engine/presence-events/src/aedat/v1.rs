//! AEDAT 1: addresses of 16 bits and times of 32, big endian, of a DVS128.
//!
//! # Invariants
//! - Times are counted as in AEDAT 2.

use super::address::{Family, Others, decode};
use super::v2::Ticks;
use crate::batch::SensorSize;
use crate::error::Result;
use crate::header::Header;
use crate::options::Options;
use crate::output::Output;
use crate::report::Report;
use crate::words::Words;

const DVS128: SensorSize = SensorSize { width: 128, height: 128 };

/// The state between two words.
#[derive(Debug, Clone)]
pub(crate) struct Aedat1 {
    ticks: Ticks,
    others: Others,
}

impl Words for Aedat1 {
    const BYTES: usize = 6;
    const MARK: Option<u8> = Some(b'#');

    fn open(_: &Header, _: &[u8], _: &Options) -> Result<Self> {
        Ok(Self { ticks: Ticks::default(), others: Others::default() })
    }

    fn decode(&mut self, words: &[u8], out: &mut Output, report: &mut Report) {
        let Self { ticks, others } = self;
        decode(words, (Family::Dvs128, DVS128), others, out, report, |word: &[u8; 6]| {
            let [a, b, c, d, e, f] = *word;
            (u32::from(a) << 8 | u32::from(b), ticks.us(be32([c, d, e, f])))
        });
    }

    fn end(&mut self, report: &mut Report) {
        self.others.end(report);
    }

    fn sensor_size(&self) -> Option<SensorSize> {
        Some(DVS128)
    }
}

/// A big-endian number, which only AEDAT 1 and 2 and 40-bit files have.
pub(super) fn be32(bytes: [u8; 4]) -> u32 {
    bytes.iter().fold(0, |value, &byte| value << 8 | u32::from(byte))
}
