//! What a track is: where it lives, its grid, its classes.
//!
//! # Invariants
//! - A class has one number and at most one name, for ever.

use presence_format::PlaneKind;
use presence_format::schema::check_name;

use super::{Class, PresenceTrack};
use crate::error::{Error, Result};
use crate::shim::Arc;
use crate::track::grid::{Edge, Grid};
use crate::track::registry;
use crate::track::state::TrackState;

impl PresenceTrack {
    /// A track that lives in memory only.
    pub fn in_memory(grid: Grid) -> Self {
        let rate = (grid.rate().num(), grid.rate().den());
        let state = Arc::new(TrackState::new("memory", rate, grid.epoch_us()));
        Self { handle: None, state, grid, edge: Edge::default(), skip_gaps: false }
    }

    /// The same track, whose ranges take the ticks at their ends as `edge` says.
    #[must_use]
    pub fn with_edge(mut self, edge: Edge) -> Self {
        self.edge = edge;
        self
    }

    /// The same track, answering also where damage took parts of it: what is missing then counts
    /// as not observed, or as it was before. Without this, questions that what is missing could
    /// change are refused, and all others answered.
    #[must_use]
    pub fn skip_gaps(mut self) -> Self {
        self.skip_gaps = true;
        self
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.state.name
    }

    /// Its grid.
    pub const fn grid(&self) -> Grid {
        self.grid
    }

    /// The classes that were ever named or set, ascending.
    pub fn classes(&self) -> Vec<Class> {
        self.state.classes().into_iter().map(|(id, name)| Class { id, name }).collect()
    }

    /// The class called `name`, made where there is none: of those free the lowest.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a name that cannot be, or when all 65,536 classes are in use; and as
    /// [`Database::create_stream`](crate::Database::create_stream).
    pub fn class(&self, name: &str) -> Result<u16> {
        check_name("class", name).map_err(|error| Error::invalid(error.what))?;
        loop {
            if let Some(id) = self.state.named(name) {
                return Ok(id);
            }
            let free = self.state.free_class();
            let id = free.ok_or_else(|| Error::invalid("all 65,536 classes are in use"))?;
            match self.name_class(id, name) {
                // Somebody else took it just now.
                Err(Error::ClassInUse { .. }) => {}
                done => return done.map(|()| id),
            }
        }
    }

    /// The class called `name`, where there is one.
    pub fn class_named(&self, name: &str) -> Option<u16> {
        self.state.named(name)
    }

    /// Gives a class that was not set or named before its name.
    ///
    /// # Errors
    /// [`Error::ClassInUse`] where the class is in use, and as [`PresenceTrack::class`].
    pub fn name_class(&self, id: u16, name: &str) -> Result<()> {
        check_name("class", name).map_err(|error| Error::invalid(error.what))?;
        if let Some(other) = self.state.named(name) {
            return if other == id {
                Ok(())
            } else {
                Err(Error::invalid(format!("class {other} is named {name:?} already")))
            };
        }
        self.add_class(id, name)
    }

    pub(super) fn add_class(&self, id: u16, name: &str) -> Result<()> {
        let kind = PlaneKind::Class { id, name: name.to_owned() };
        match &self.handle {
            Some(handle) => registry::add_plane(&handle.core, &self.state, &kind),
            None => self.state.add_in_memory(&kind),
        }
    }

    /// Bytes of memory that ticks take which no block on disk holds yet, about.
    pub fn memory_bytes(&self) -> usize {
        self.state.memory_bytes()
    }

    pub(super) fn generation(&self) -> u64 {
        self.handle.as_ref().map_or(0, |handle| handle.core.generation())
    }
}
