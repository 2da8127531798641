//! EVT 2.0: words of 32 bits, the upper 28 bits of time sent apart.
//!
//! | bits 31..28 | kind | the others |
//! |---|---|---|
//! | 0, 1 | event, off or on | 27..22 time (lower 6 bits), 21..11 x, 10..0 y |
//! | 8 | time | 27..0 upper 28 bits |
//! | 10 | trigger | 27..22 time (lower 6 bits), 12..8 channel, 0 level |
//! | 14, 15 | others, continued | counted |
//!
//! # Invariants
//! - Events before the first time word have no time, and are counted.
//! - When the upper part falls by half its range or more, 34 bits have wrapped.

use crate::batch::SensorSize;
use crate::bits::evt2;
use crate::error::Result;
use crate::header::Header;
use crate::options::{Options, TimeBase};
use crate::output::{Output, Trigger};
use crate::report::Report;
use crate::words::Words;

/// Words decoded without a branch where all of them are events.
const RUN: usize = 8;

/// The clock of EVT 2.0 and 2.1: 28 bits of a time word above 6 bits of the event.
#[derive(Debug, Clone)]
pub(crate) struct Clock {
    base: TimeBase,
    /// The last upper part, where there was one.
    high: Option<u32>,
    /// Microseconds that the upper part stands for, with wraps, less the zero.
    pub(crate) us: i64,
    wraps_us: i64,
    zero_us: i64,
}

impl Clock {
    pub(crate) fn new(base: TimeBase) -> Self {
        Self { base, high: None, us: 0, wraps_us: 0, zero_us: 0 }
    }

    /// Whether a time word has been seen.
    #[inline]
    pub(crate) fn is_set(&self) -> bool {
        self.high.is_some()
    }

    /// Takes the 28 bits of a time word.
    #[inline]
    pub(crate) fn set(&mut self, high: u32) {
        match self.high {
            Some(before) if before.saturating_sub(high) >= 1 << 27 => self.wraps_us += 1 << 34,
            None if self.base == TimeBase::Shifted => self.zero_us = i64::from(high) << 6,
            _ => {}
        }
        self.high = Some(high);
        self.us = (i64::from(high) << 6) + self.wraps_us - self.zero_us;
    }
}

/// The state between two words.
#[derive(Debug, Clone)]
pub(crate) struct Evt2 {
    clock: Clock,
    size: Option<SensorSize>,
}

impl Words for Evt2 {
    const BYTES: usize = 4;
    const MARK: Option<u8> = Some(b'%');

    fn open(header: &Header, _: &[u8], options: &Options) -> Result<Self> {
        Ok(Self { clock: Clock::new(options.time_base), size: header.sensor_size() })
    }

    fn decode(&mut self, words: &[u8], out: &mut Output, report: &mut Report) {
        let mut runs = words.chunks_exact(RUN * 4);
        let events_max = words.len() / 4;
        let Output { events, triggers, .. } = out;
        let mut columns = Columns { columns: events.spare(events_max), n: 0 };
        for run in &mut runs {
            let mut word = [0_u32; RUN];
            for (word, bytes) in word.iter_mut().zip(run.chunks_exact(4)) {
                *word = le32(bytes);
            }
            let kinds = word.iter().fold(0, |all, word| all | word);
            if kinds >> 29 == 0 && self.clock.is_set() {
                columns.run(&word, self.clock.us);
            } else {
                for word in word {
                    self.one(word, &mut columns, triggers, report);
                }
            }
        }
        for bytes in runs.remainder().chunks_exact(4) {
            self.one(le32(bytes), &mut columns, triggers, report);
        }
        let n = columns.n;
        events.commit(n);
    }

    fn sensor_size(&self) -> Option<SensorSize> {
        self.size
    }
}

impl Evt2 {
    #[inline]
    fn one(
        &mut self,
        word: u32,
        columns: &mut Columns<'_>,
        triggers: &mut Vec<Trigger>,
        report: &mut Report,
    ) {
        match evt2::KIND.of(word) {
            0 | 1 if self.clock.is_set() => columns.one(word, self.clock.us),
            0 | 1 => report.untimed += 1,
            evt2::KIND_TIME => self.clock.set(evt2::TIME_HIGH.of(word)),
            evt2::KIND_TRIGGER if self.clock.is_set() => triggers.push(Trigger {
                t: self.clock.us + i64::from(evt2::TIME.of(word)),
                id: evt2::CHANNEL.of(word) as u8,
                value: evt2::LEVEL.of(word) as u8,
            }),
            evt2::KIND_TRIGGER => report.untimed += 1,
            kind @ (14 | 15) => count(report, kind),
            _ => report.unknown_words += 1,
        }
    }
}

/// Counts a word that is known and no event.
pub(crate) fn count(report: &mut Report, kind: u32) {
    if let Some(count) = report.other_words.get_mut(kind as usize) {
        *count += 1;
    }
}

/// Columns that fill up.
struct Columns<'a> {
    columns: crate::batch::ColumnsMut<'a>,
    n: usize,
}

impl Columns<'_> {
    /// Appends a run of events.
    #[inline]
    fn run(&mut self, words: &[u32; RUN], us: i64) {
        let range = self.n..self.n + RUN;
        let (Some(t), Some(x), Some(y), Some(p)) = (
            self.columns.t.get_mut(range.clone()),
            self.columns.x.get_mut(range.clone()),
            self.columns.y.get_mut(range.clone()),
            self.columns.p.get_mut(range),
        ) else {
            return;
        };
        for (t, word) in t.iter_mut().zip(words) {
            *t = us + i64::from(evt2::TIME.of(*word));
        }
        for (x, word) in x.iter_mut().zip(words) {
            *x = evt2::X.of(*word) as u16;
        }
        for (y, word) in y.iter_mut().zip(words) {
            *y = evt2::Y.of(*word) as u16;
        }
        for (p, word) in p.iter_mut().zip(words) {
            *p = evt2::KIND.of(*word) as u8;
        }
        self.n += RUN;
    }

    /// Appends one event.
    #[inline]
    fn one(&mut self, word: u32, us: i64) {
        if let (Some(t), Some(x), Some(y), Some(p)) = (
            self.columns.t.get_mut(self.n),
            self.columns.x.get_mut(self.n),
            self.columns.y.get_mut(self.n),
            self.columns.p.get_mut(self.n),
        ) {
            *t = us + i64::from(evt2::TIME.of(word));
            *x = evt2::X.of(word) as u16;
            *y = evt2::Y.of(word) as u16;
            *p = evt2::KIND.of(word) as u8;
            self.n += 1;
        }
    }
}

#[inline]
fn le32(bytes: &[u8]) -> u32 {
    bytes.try_into().map_or(0, u32::from_le_bytes)
}
