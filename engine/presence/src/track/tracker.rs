//! The convenience type: detections in, presence out, without a database.
//!
//! # Invariants
//! - A frame recorded at `t` is found by every question about a range that holds `t`.
//! - A file is whole or not there: it gets its name when all of it is durable.

use std::ops::RangeBounds;
use std::path::Path;

use presence_format::Rate;

use super::expression::class;
use super::grid::{Edge, Grid};
use super::presence_track::{PresenceTrack, Times};
use super::ratio::Ratio;
use crate::device::{MemoryDevice, RealDevice};
use crate::error::{Error, Result};
use crate::options::{Level, Options};
use crate::shim::Arc;
use crate::store::database::Database;

/// How a [`PresenceTracker`] sees time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// Frames a second, where no resolution is given.
    pub fps: u32,
    /// Microseconds of a frame; `None` for those of `fps`, which is exact where a number of whole
    /// microseconds drifts: 30 frames a second are not 33,333 us each.
    pub time_resolution_us: Option<u32>,
    /// Bits of a block in systems that had such; it changes nothing, and is 1 to 65,536.
    pub bits_per_block: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self { fps: 30, time_resolution_us: None, bits_per_block: 64 }
    }
}

/// Which class was seen when: detections of frames go in, answers come out.
///
/// ```
/// use presence::PresenceTracker;
///
/// let tracker = PresenceTracker::new();
/// for frame in 1..10_i64 {
///     // A person in every other frame.
///     let seen = if frame % 2 == 0 { vec![(1, 0.9)] } else { vec![] };
///     tracker.update_batch(frame * 33_334, &seen, 0.5)?;
/// }
/// let frames: Vec<i64> =
///     tracker.list_presence_times(1, ..)?.iter().map(|t_us| t_us / 33_333).collect();
/// assert_eq!(frames, [2, 4, 6, 8]);
/// assert_eq!(tracker.query_presence(1, ..)?, 4.0 / 9.0);
/// # Ok::<(), presence::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct PresenceTracker {
    track: PresenceTrack,
}

impl Default for PresenceTracker {
    fn default() -> Self {
        Self::new()
    }
}

/// The track in a file, and in a database made for a tracker.
const TRACK: &str = "presence";

impl PresenceTracker {
    /// A tracker of 30 frames a second.
    pub fn new() -> Self {
        Self::on(PresenceTrack::in_memory(Grid::new(Rate::default(), 0)))
    }

    /// A tracker of another rate.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a rate or resolution of zero or too fine, or a block of no bits.
    pub fn with_config(config: Config) -> Result<Self> {
        if !(1..=1 << 16).contains(&config.bits_per_block) {
            let what = format!("bits_per_block is {}; it is 1 to 65,536", config.bits_per_block);
            return Err(Error::invalid(what));
        }
        let grid = match config.time_resolution_us {
            Some(resolution_us) => Grid::from_resolution_us(resolution_us, 0)?,
            None => Grid::new(Rate::new(config.fps, 1)?, 0),
        };
        Ok(Self { track: PresenceTrack::in_memory(grid) })
    }

    /// A tracker on a track, in a database or not.
    pub const fn on(track: PresenceTrack) -> Self {
        Self { track }
    }

    /// The track, for all other questions.
    pub const fn track(&self) -> &PresenceTrack {
        &self.track
    }

    /// What was detected at `t_us`: see [`PresenceTrack::update_batch`].
    ///
    /// # Errors
    /// As there.
    pub fn update_batch(&self, t_us: i64, detections: &[(u16, f32)], threshold: f32) -> Result<()> {
        self.track.update_batch(t_us, detections, threshold)
    }

    /// The share of observed frames in the range in which the class was present; 0 where none was
    /// observed.
    ///
    /// # Errors
    /// As [`PresenceTrack::ratio`].
    pub fn query_presence(&self, id: u16, range: impl RangeBounds<i64>) -> Result<f64> {
        let ratio: Ratio = self.track.ratio(&class(id), range)?;
        Ok(ratio.over_observed().unwrap_or(0.0))
    }

    /// When the frames of the range began in which the class was present.
    ///
    /// # Errors
    /// As [`PresenceTrack::ratio`].
    pub fn list_presence_times(&self, id: u16, range: impl RangeBounds<i64>) -> Result<Vec<i64>> {
        let mut times = Vec::new();
        self.track.timestamps(&class(id), range)?.read_all(&mut times)?;
        Ok(times)
    }

    /// The same, one by one.
    ///
    /// # Errors
    /// As [`PresenceTrack::ratio`].
    pub fn iter_presence_times(&self, id: u16, range: impl RangeBounds<i64>) -> Result<Times> {
        self.track.timestamps(&class(id), range)
    }

    /// Forgets the frames that end at or before `older_than_us`.
    ///
    /// # Errors
    /// As [`PresenceTrack::forget_before`].
    pub fn cleanup_old_data(&self, older_than_us: i64) -> Result<()> {
        self.track.forget_before(older_than_us)
    }

    /// Writes everything to a file, checksummed: a sealed segment, which all tools read. What was
    /// at `path` is replaced when all of it is durable, and not before.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Invalid`] where it is more than one file may hold.
    pub fn save_to_file(&self, path: impl AsRef<Path>) -> Result<()> {
        let device = MemoryDevice::new();
        let options = Options {
            background: false,
            segment_bytes: presence_format::caps::SEGMENT_BYTES_MAX / 2,
            write_buffer_bytes: usize::MAX / 4,
            ..Options::default()
        };
        let db = Database::create_on(Arc::new(device.clone()), options)?;
        let track = db.create_track(TRACK, self.track.grid())?;
        track.merge(&self.track)?;
        db.flush(Level::Os)?;
        db.close()?;
        let mut files = device.files().into_iter().filter(|(name, _)| name.ends_with(".presence"));
        let (Some((_, bytes)), None) = (files.next(), files.next()) else {
            return Err(Error::invalid("the tracker holds more than a file may; use a database"));
        };
        let path = path.as_ref();
        RealDevice::replace_file(path, &bytes)
            .map_err(Error::io("write", &path.display().to_string()))
    }

    /// The tracker that [`save_to_file`](Self::save_to_file) wrote.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::NotADatabase`], [`Error::Corrupt`], [`Error::NoSuchTrack`].
    pub fn load_from_file(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        if !path.is_file() {
            let what = "it is no file that a tracker was saved to".to_owned();
            return Err(Error::NotADatabase { path: path.display().to_string(), what });
        }
        let db = Database::open_read_only(path, Options { map: false, ..Options::default() })?;
        let report = db.report();
        if !report.scanned.is_empty() || !report.damage.is_empty() {
            let what = "the file is damaged or cut short".to_owned();
            let file = path.display().to_string();
            return Err(Error::Corrupt { file, offset: 0, what, affected: None });
        }
        let stored = db.track(TRACK)?.with_edge(Edge::Overlap);
        let track = PresenceTrack::in_memory(stored.grid());
        track.merge(&stored)?;
        Ok(Self { track })
    }
}
