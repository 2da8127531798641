//! What the addresses of AEDAT 2 mean for each family of cameras.
//!
//! | camera | event where | x | y | polarity |
//! |---|---|---|---|---|
//! | DVS128 | bit 15 is 0 | bits 1..7 | bits 8..14 | on where bit 0 is 0 |
//! | DAVIS | bits 31 and 10 are 0 | bits 12..21 | bits 22..30 | on where bit 11 is 1 |
//!
//! A DAVIS word with bit 31 is of the inertial sensor where bits 10 and 11 are 1 (28..30 which
//! value, 12..27 the value), else one pixel of a frame (10..11 which reading, 0..9 the value).
//! x and y are as addressed: jAER counts x from the right and y from the bottom.
//!
//! # Invariants
//! - A frame is handed out when the second reading of its last pixel is there; its pixels are the
//!   first (reset) reading less the second (signal).

use crate::batch::{ColumnsMut, SensorSize};
use crate::output::{Frame, ImuSample, Output, PixelFormat, Trigger};
use crate::report::Report;

/// A family of cameras.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    Dvs128,
    Davis,
}

/// Appends an event where the address is one; says whether it is.
#[inline]
pub(super) fn event(
    family: Family,
    address: u32,
    t: i64,
    columns: &mut ColumnsMut<'_>,
    n: usize,
) -> bool {
    let (x, y, p, is_event) = match family {
        Family::Dvs128 => {
            let (x, y) = (address >> 1 & 0x7F, address >> 8 & 0x7F);
            (x, y, !address & 1, address & 0x8000 == 0)
        }
        Family::Davis => {
            let (x, y) = (address >> 12 & 0x3FF, address >> 22 & 0x1FF);
            (x, y, address >> 11 & 1, address & 0x8000_0400 == 0)
        }
    };
    if let (Some(at_t), Some(at_x), Some(at_y), Some(at_p)) =
        (columns.t.get_mut(n), columns.x.get_mut(n), columns.y.get_mut(n), columns.p.get_mut(n))
    {
        *at_t = t;
        *at_x = x as u16;
        *at_y = y as u16;
        *at_p = p as u8;
    }
    is_event
}

/// The words beside events: frames and the inertial sensor as they grow.
#[derive(Debug, Clone, Default)]
pub(super) struct Others {
    imu: Vec<f32>,
    imu_t: i64,
    reset: Vec<u16>,
    pixels: Vec<u16>,
    read: usize,
    frame_t: Option<i64>,
}

impl Others {
    /// Takes a word that is no event.
    pub(super) fn take(
        &mut self,
        (family, size): (Family, SensorSize),
        address: u32,
        t: i64,
        streams: &mut Streams<'_>,
    ) {
        if family == Family::Dvs128 || address >> 31 == 0 {
            streams.triggers.push(Trigger { t, id: 0, value: 1 });
        } else if address >> 10 & 3 == 3 {
            self.imu(address, t, streams);
        } else {
            self.pixel(size, address, t, streams);
        }
    }

    /// Counts the words of a sample and of a frame that did not become whole.
    pub(super) fn end(&mut self, report: &mut Report) {
        report.unknown_words += (self.imu.len() + self.read) as u64;
        (self.imu, self.read) = (Vec::new(), 0);
    }

    /// Seven words are a sample: acceleration, temperature, rotation.
    fn imu(&mut self, address: u32, t: i64, streams: &mut Streams<'_>) {
        let (which, value) = ((address >> 28 & 7) as usize, (address >> 12) as u16 as i16);
        if which == 0 {
            streams.report.unknown_words += self.imu.len() as u64;
            self.imu.clear();
            self.imu_t = t;
        }
        if which != self.imu.len() {
            streams.report.unknown_words += 1 + self.imu.len() as u64;
            self.imu.clear();
            return;
        }
        self.imu.push(f32::from(value));
        if let [ax, ay, az, temperature, gx, gy, gz] = *self.imu {
            streams.imu.push(ImuSample {
                t: self.imu_t,
                acceleration: [ax, ay, az],
                rotation: [gx, gy, gz],
                magnetism: None,
                temperature,
                is_raw: true,
            });
            self.imu.clear();
        }
    }

    fn pixel(&mut self, size: SensorSize, address: u32, t: i64, streams: &mut Streams<'_>) {
        let (x, y) = ((address >> 12 & 0x3FF) as u16, (address >> 22 & 0x1FF) as u16);
        let value = (address & 0x3FF) as u16;
        if !size.contains(x, y) {
            streams.report.dropped += 1;
            return;
        }
        if self.reset.is_empty() {
            self.reset = vec![0; size.pixels()];
            self.pixels = vec![0; size.pixels()];
        }
        let index = size.index(x, y);
        let is_reset = address >> 10 & 3 == 0;
        if is_reset && self.read > 0 {
            // A new frame begins before the last one was whole.
            streams.report.unknown_words += self.read as u64;
            (self.read, self.frame_t) = (0, None);
        }
        let start = *self.frame_t.get_or_insert(t);
        let (Some(reset), Some(pixel)) = (self.reset.get_mut(index), self.pixels.get_mut(index))
        else {
            return;
        };
        if is_reset {
            *reset = value;
            return;
        }
        *pixel = reset.saturating_sub(value);
        self.read += 1;
        if self.read == self.pixels.len() {
            streams.frames.push(Frame {
                t: start,
                t_end: t,
                width: size.width,
                height: size.height,
                format: PixelFormat::Wide16(1),
                pixels: self.pixels.iter().flat_map(|pixel| pixel.to_le_bytes()).collect(),
            });
            (self.read, self.frame_t) = (0, None);
        }
    }
}

/// Where words that are no events go.
pub(super) struct Streams<'a> {
    pub(super) triggers: &'a mut Vec<Trigger>,
    pub(super) imu: &'a mut Vec<ImuSample>,
    pub(super) frames: &'a mut Vec<Frame>,
    pub(super) report: &'a mut Report,
}

/// Decodes equal words with `read` giving address and time of one.
pub(super) fn decode<const BYTES: usize>(
    words: &[u8],
    (family, size): (Family, SensorSize),
    others: &mut Others,
    out: &mut Output,
    report: &mut Report,
    mut read: impl FnMut(&[u8; BYTES]) -> (u32, i64),
) {
    let Output { events, triggers, imu, frames, .. } = out;
    let mut streams = Streams { triggers, imu, frames, report };
    let mut columns = events.spare(words.len() / BYTES);
    let mut n = 0;
    for word in words.chunks_exact(BYTES) {
        let Some(word) = word.first_chunk() else { continue };
        let (address, t) = read(word);
        if event(family, address, t, &mut columns, n) {
            n += 1;
        } else {
            others.take((family, size), address, t, &mut streams);
        }
    }
    events.commit(n);
}
