//! What a decoder hands out: events, and the streams that recordings keep beside them.
//!
//! # Invariants
//! - A decoder appends and never removes what was there before its call.
//! - `is_full` asks the caller to take what is there; a batch may be longer than `events_max` by
//!   what one chunk of words or one packet holds, and by no more.

use crate::batch::EventBatch;

/// Bytes of pixels of frames that make an output full.
const FRAME_BYTES_MAX: usize = 16 << 20;

/// A change at an input beside the pixels: an external trigger, a reset of the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trigger {
    /// Microseconds.
    pub t: i64,
    /// The channel (EVT, DAT), or the kind of special event as the format numbers it (AEDAT).
    pub id: u8,
    /// The level after the change (EVT, DAT); 1 otherwise.
    pub value: u8,
}

/// How the pixels of a [`Frame`] are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PixelFormat {
    /// One byte a pixel.
    Gray8,
    /// Three bytes a pixel, blue first.
    Bgr8,
    /// Four bytes a pixel, blue first.
    Bgra8,
    /// Two bytes a value, little endian, with this number of values a pixel.
    Wide16(u8),
}

/// A picture that a camera took beside its events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Microseconds; where the format has several times, the start of the frame.
    pub t: i64,
    /// The end of the frame.
    pub t_end: i64,
    /// Pixels in a row.
    pub width: u16,
    /// Rows.
    pub height: u16,
    /// What a pixel is.
    pub format: PixelFormat,
    /// Row by row, as the format says.
    pub pixels: Vec<u8>,
}

/// One sample of an inertial sensor.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ImuSample {
    /// Microseconds.
    pub t: i64,
    /// g, or counts of the converter where `is_raw`.
    pub acceleration: [f32; 3],
    /// Degrees a second, or counts.
    pub rotation: [f32; 3],
    /// Microtesla; absent in most sensors.
    pub magnetism: Option<[f32; 3]>,
    /// Degrees Celsius, or counts.
    pub temperature: f32,
    /// AEDAT 2 stores counts, whose scale depends on settings of the camera.
    pub is_raw: bool,
}

/// An event with a colour instead of a polarity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ColorEvent {
    /// Microseconds.
    pub t: i64,
    /// Column of the pixel.
    pub x: u16,
    /// Row of the pixel.
    pub y: u16,
    /// Red, green, blue.
    pub rgb: [u8; 3],
}

/// All that came out of some bytes.
#[derive(Debug, Clone)]
pub struct Output {
    /// Events with a polarity.
    pub events: EventBatch,
    /// Triggers and special events.
    pub triggers: Vec<Trigger>,
    /// Frames.
    pub frames: Vec<Frame>,
    /// Samples of the inertial sensor.
    pub imu: Vec<ImuSample>,
    /// Events with a colour (Event Stream).
    pub colors: Vec<ColorEvent>,
    /// Threshold crossings of an ATIS, halves of a measurement of light; polarity 1 is the second.
    pub exposures: EventBatch,
    events_max: usize,
}

impl Default for Output {
    fn default() -> Self {
        Self::new(Self::EVENTS_MAX)
    }
}

impl Output {
    /// Events of a batch by default: their columns stay in a core's own cache.
    pub const EVENTS_MAX: usize = 1 << 14;

    /// An output that calls itself full at about `events_max` events (at least one).
    #[must_use]
    pub fn new(events_max: usize) -> Self {
        Self {
            events: EventBatch::new(),
            triggers: Vec::new(),
            frames: Vec::new(),
            imu: Vec::new(),
            colors: Vec::new(),
            exposures: EventBatch::new(),
            events_max: events_max.max(1),
        }
    }

    /// Whether it is time to take what is there and [`Output::clear`].
    #[must_use]
    pub fn is_full(&self) -> bool {
        let full = self.events_max;
        self.events.len() >= full
            || self.exposures.len() >= full
            || self.triggers.len() >= full
            || self.imu.len() >= full
            || self.colors.len() >= full
            || self.frame_bytes() >= FRAME_BYTES_MAX
    }

    /// Removes everything and keeps the memory of the columns.
    pub fn clear(&mut self) {
        self.events.clear();
        self.exposures.clear();
        self.triggers.clear();
        self.frames.clear();
        self.imu.clear();
        self.colors.clear();
    }

    /// Whether there is nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.mark() == Mark::default()
    }

    /// How much there is of everything.
    pub(crate) fn mark(&self) -> Mark {
        Mark {
            events: self.events.len(),
            exposures: self.exposures.len(),
            triggers: self.triggers.len(),
            frames: self.frames.len(),
            imu: self.imu.len(),
            colors: self.colors.len(),
        }
    }

    /// Removes what came after the mark.
    pub(crate) fn rewind(&mut self, mark: Mark) {
        self.events.truncate(mark.events);
        self.exposures.truncate(mark.exposures);
        self.triggers.truncate(mark.triggers);
        self.frames.truncate(mark.frames);
        self.imu.truncate(mark.imu);
        self.colors.truncate(mark.colors);
    }

    fn frame_bytes(&self) -> usize {
        self.frames.iter().map(|frame| frame.pixels.len() + size_of::<Frame>()).sum()
    }
}

/// Lengths of the streams of an [`Output`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) events: usize,
    pub(crate) exposures: usize,
    pub(crate) triggers: usize,
    pub(crate) frames: usize,
    pub(crate) imu: usize,
    pub(crate) colors: usize,
}
