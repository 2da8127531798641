//! EVT 2.1: words of 64 bits; one holds up to 32 events of a row.
//!
//! | bits 63..60 | kind | the others |
//! |---|---|---|
//! | 0, 1 | events, off or on | 59..54 time (lower 6 bits), 53..43 x, 42..32 y, 31..0 which |
//! | 8 | time | 59..32 upper 28 bits |
//! | 10 | trigger | 59..54 time (lower 6 bits), 44..40 channel, 32 level |
//! | 14, 15 | others, continued | counted |
//!
//! Bit `i` of the lowest 32 stands for the pixel `x + i`. In files whose header says
//! `endianness=legacy` the two halves of a word are exchanged.
//!
//! # Invariants
//! - As of EVT 2.0.

use crate::batch::SensorSize;
use crate::bits::evt2;
use crate::error::Result;
use crate::evt2::{Clock, count};
use crate::header::Header;
use crate::options::Options;
use crate::output::{Output, Trigger};
use crate::report::Report;
use crate::words::Words;

/// The state between two words.
#[derive(Debug, Clone)]
pub(crate) struct Evt21 {
    clock: Clock,
    halves_exchanged: bool,
    size: Option<SensorSize>,
}

impl Words for Evt21 {
    const BYTES: usize = 8;
    const MARK: Option<u8> = Some(b'%');

    fn open(header: &Header, _: &[u8], options: &Options) -> Result<Self> {
        Ok(Self {
            clock: Clock::new(options.time_base),
            halves_exchanged: header.format_value("endianness") == Some("legacy"),
            size: header.sensor_size(),
        })
    }

    fn decode(&mut self, words: &[u8], out: &mut Output, report: &mut Report) {
        let turn = if self.halves_exchanged { 32 } else { 0 };
        for bytes in words.chunks_exact(8) {
            let word = bytes.try_into().map_or(0, u64::from_le_bytes).rotate_left(turn);
            let (head, which) = ((word >> 32) as u32, word as u32);
            let kind = evt2::KIND.of(head);
            match kind {
                0 | 1 if self.clock.is_set() => self.events(head, which, out),
                0 | 1 => report.untimed += u64::from(which.count_ones()),
                evt2::KIND_TIME => self.clock.set(evt2::TIME_HIGH.of(head)),
                evt2::KIND_TRIGGER if self.clock.is_set() => out.triggers.push(Trigger {
                    t: self.clock.us + i64::from(evt2::TIME.of(head)),
                    id: evt2::CHANNEL.of(head) as u8,
                    value: evt2::LEVEL.of(head) as u8,
                }),
                evt2::KIND_TRIGGER => report.untimed += 1,
                14 | 15 => count(report, kind),
                _ => report.unknown_words += 1,
            }
        }
    }

    fn sensor_size(&self) -> Option<SensorSize> {
        self.size
    }
}

impl Evt21 {
    #[inline]
    fn events(&self, head: u32, which: u32, out: &mut Output) {
        let events = which.count_ones() as usize;
        let columns = out.events.spare(events);
        columns.t.fill(self.clock.us + i64::from(evt2::TIME.of(head)));
        columns.y.fill(evt2::Y.of(head) as u16);
        columns.p.fill(evt2::KIND.of(head) as u8);
        let base = evt2::X.of(head) as u16;
        let mut left = which;
        for x in columns.x {
            *x = base + left.trailing_zeros() as u16;
            left &= left.wrapping_sub(1);
        }
        out.events.commit(events);
    }
}
