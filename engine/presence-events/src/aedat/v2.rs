//! AEDAT 2: addresses of 32 bits and times of 32, big endian; the camera is named in the header.
//!
//! # Invariants
//! - Where the time falls by 2^31 or more, 32 bits have wrapped.
//! - What is no camera (a cochlea) is refused by its name.

use super::address::{Family, Others, decode};
use super::camera;
use super::v1::be32;
use crate::batch::SensorSize;
use crate::error::{EventError, EventErrorKind, Result};
use crate::header::Header;
use crate::options::Options;
use crate::output::Output;
use crate::report::Report;
use crate::words::Words;

/// Times of 32 bits with their wraps.
#[derive(Debug, Clone, Default)]
pub(super) struct Ticks {
    last: u32,
    wraps_us: i64,
}

impl Ticks {
    #[inline]
    pub(super) fn us(&mut self, time: u32) -> i64 {
        if self.last.saturating_sub(time) >= 1 << 31 {
            self.wraps_us += 1 << 32;
        }
        self.last = time;
        self.wraps_us + i64::from(time)
    }
}

/// The state between two words.
#[derive(Debug, Clone)]
pub(crate) struct Aedat2 {
    family: Family,
    size: SensorSize,
    ticks: Ticks,
    others: Others,
}

impl Words for Aedat2 {
    const BYTES: usize = 8;
    const MARK: Option<u8> = Some(b'#');

    fn open(header: &Header, _: &[u8], options: &Options) -> Result<Self> {
        let unsupported = |what| Err(EventError::new(EventErrorKind::Unsupported, 0, what));
        let chip = chip(header);
        let (family, size) = match (chip, options.sensor_size) {
            (Some(chip), declared) => match (camera(chip), declared) {
                (Some(size), _) if is_dvs128(chip) => (Family::Dvs128, size),
                (Some(size), declared) => (Family::Davis, declared.unwrap_or(size)),
                (None, _) => {
                    return unsupported(format!(
                        "AEDAT 2 of the chip {chip:?}; DVS128 and DAVIS cameras are read"
                    ));
                }
            },
            (None, Some(SensorSize { width: 128, height: 128 })) => {
                (Family::Dvs128, SensorSize { width: 128, height: 128 })
            }
            (None, Some(size)) => (Family::Davis, size),
            (None, None) => {
                return unsupported(
                    "AEDAT 2 whose header names no AEChip; declare the sensor's size \
                     (128x128 is a DVS128, others are a DAVIS)"
                        .to_owned(),
                );
            }
        };
        Ok(Self { family, size, ticks: Ticks::default(), others: Others::default() })
    }

    fn decode(&mut self, words: &[u8], out: &mut Output, report: &mut Report) {
        let Self { family, size, ticks, others } = self;
        decode(words, (*family, *size), others, out, report, |word: &[u8; 8]| {
            let [a, b, c, d, e, f, g, h] = *word;
            (be32([a, b, c, d]), ticks.us(be32([e, f, g, h])))
        });
    }

    fn end(&mut self, report: &mut Report) {
        self.others.end(report);
    }

    fn sensor_size(&self) -> Option<SensorSize> {
        Some(self.size)
    }
}

fn is_dvs128(chip: &str) -> bool {
    let chip = chip.to_ascii_lowercase();
    chip.contains("dvs128") && !chip.contains("davis")
}

/// What the header calls the camera.
fn chip(header: &Header) -> Option<&str> {
    header.text.lines().find_map(|line| line.trim_start_matches(['#', ' ']).strip_prefix("AEChip:"))
}
