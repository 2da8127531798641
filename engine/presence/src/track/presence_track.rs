//! The track as users hold it.
//!
//! # Invariants
//! - Its settings are its own: where it is cloned, the clones share what was set, and nothing else.

mod about;
mod changes;
mod questions;

pub use questions::Times;

use super::grid::{Edge, Grid};
use super::registry;
use super::state::TrackState;
use crate::error::{Error, Result};
use crate::shim::Arc;
use crate::store::database::{Database, Handle};

/// A class of a track.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Class {
    /// The class.
    pub id: u16,
    /// Its name, where it has one.
    pub name: Option<String>,
}

/// A presence track: at which ticks of a grid each class was present, and which ticks were
/// observed at all.
///
/// Ticks are set in any order of time, from any number of threads, through `&self`. A tick is
/// *present*, *absent* (observed without the class) or *not observed*: a camera that was off is
/// never an empty room.
///
/// ```
/// use presence::{Grid, IntervalOptions, PresenceTrack};
///
/// let grid = Grid::new("30".parse()?, 0);
/// let track = PresenceTrack::in_memory(grid);
/// let person = track.class("person")?;
/// for frame in 0..90 {
///     let confidence = if frame < 60 { 0.9 } else { 0.2 };
///     track.update_batch(grid.start_us(frame)?, &[(person, confidence)], 0.5)?;
/// }
/// let person = "person".parse()?;
/// assert_eq!(track.ratio(&person, ..)?.over_observed(), Some(2.0 / 3.0));
/// let seen = track.intervals(&person, .., IntervalOptions::new())?;
/// assert_eq!((seen[0].enter_us, seen[0].leave_us), (0, 2_000_000));
/// # Ok::<(), presence::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct PresenceTrack {
    /// The database it is in; none in memory.
    handle: Option<Arc<Handle>>,
    state: Arc<TrackState>,
    grid: Grid,
    edge: Edge,
    skip_gaps: bool,
}

impl Database {
    /// Makes a presence track on `grid`. Its name is free text of 1 to 240 bytes.
    ///
    /// # Errors
    /// [`Error::TrackExists`], [`Error::Invalid`] for a name that cannot be, and as
    /// [`Database::create_stream`].
    pub fn create_track(&self, name: &str, grid: Grid) -> Result<PresenceTrack> {
        let rate = (grid.rate().num(), grid.rate().den());
        let state = registry::create(self.core(), name, rate, grid.epoch_us())?;
        Ok(self.track_of(state, grid))
    }

    /// The presence track called `name`.
    ///
    /// # Errors
    /// [`Error::NoSuchTrack`].
    pub fn track(&self, name: &str) -> Result<PresenceTrack> {
        let tracks = self.core().tracks.load();
        let state = tracks.get(name).cloned();
        let state = state.ok_or_else(|| Error::NoSuchTrack { name: name.to_owned() })?;
        let grid = state.grid()?;
        Ok(self.track_of(state, grid))
    }

    /// All presence tracks, by name.
    pub fn tracks(&self) -> Vec<PresenceTrack> {
        let tracks = self.core().tracks.load_full();
        let track =
            |state: &Arc<TrackState>| Some(self.track_of(Arc::clone(state), state.grid().ok()?));
        tracks.values().filter_map(track).collect()
    }

    fn track_of(&self, state: Arc<TrackState>, grid: Grid) -> PresenceTrack {
        PresenceTrack {
            handle: Some(Arc::clone(self.handle())),
            state,
            grid,
            edge: Edge::default(),
            skip_gaps: false,
        }
    }
}
