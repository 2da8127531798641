//! The time of a numbered frame.
//!
//! # Invariants
//! - Frame `first` is time zero; the time of a frame depends on its number alone, so it never
//!   drifts: the exact quotient, to the nearest microsecond, halves to even.

use presence_format::{Rate, TimeUnit};

use crate::fault::{Fault, Wanted};
use crate::number::whole;
use crate::options::Options;

/// Frame numbers to timestamps in microseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FrameClock {
    rate: Rate,
    first: u32,
}

/// How a file counts its frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frames {
    /// Frames a second.
    pub rate: Rate,
    /// The number of the frame at time zero.
    pub first: u32,
}

impl FrameClock {
    /// The clock and a note on how it counts.
    pub(crate) fn new(options: &Options, default: Rate, first: u32) -> (Self, String) {
        let rate = options.frame_rate.unwrap_or(default);
        let origin = if options.frame_rate.is_some() { "given" } else { "assumed by default" };
        let note = format!(
            "times are counted from frame {first} at {rate} frames a second ({origin}); \
             they are no dates"
        );
        (Self { rate, first }, note)
    }

    /// How it counts.
    pub(crate) const fn frames(self) -> Frames {
        Frames { rate: self.rate, first: self.first }
    }

    /// The number and time of the frame in `cell`, which is field `field`.
    pub(crate) fn read(self, cell: &[u8], field: usize) -> Result<(u32, i64), Fault> {
        let frame = whole(cell)
            .and_then(|frame| u32::try_from(frame).ok())
            .ok_or(Fault::Cell { field, wanted: Wanted::Frame })?;
        let time = self.rate.frame_time(i64::from(frame) - i64::from(self.first), TimeUnit::Us);
        Ok((frame, time))
    }
}
