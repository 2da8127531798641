//! The tracks of a database: found among its streams, and made.
//!
//! # Invariants
//! - A track is its planes: the first one made is that of what was observed.
//! - Planes of one track have one grid; a plane of another one keeps the track from being read.

use std::collections::BTreeMap;

use presence_format::schema::check_name;
use presence_format::{Plane as PlaneOf, PlaneKind, Schema};

use super::plane::Plane;
use super::state::TrackState;
use crate::error::{Error, Result};
use crate::shim::Arc;
use crate::store::core::Core;
use crate::store::database::add_stream;
use crate::store::stream_state::StreamState;

/// Looks for tracks among the streams, and reads the planes whose views are new.
pub(crate) fn load(core: &Core) {
    let streams = core.streams.load_full();
    let mut tracks: BTreeMap<String, Arc<TrackState>> = (*core.tracks.load_full()).clone();
    tracks.values().for_each(|track| track.forget_faults());
    for stream in streams.by_id.values() {
        let Some(of) = stream.schema.plane() else { continue };
        let track = tracks
            .entry(of.track().to_owned())
            .or_insert_with(|| Arc::new(TrackState::new(of.track(), of.rate(), of.epoch_us())));
        let plane = if (track.rate, track.epoch_us) == (of.rate(), of.epoch_us()) {
            let known = track.plane(of.kind());
            Plane::open(stream, &core.pages, known.as_deref())
        } else {
            let what = format!("planes of track {:?} have different grids", track.name);
            Err(Error::Corrupt { file: core.path.clone(), offset: 0, what, affected: None })
        };
        track.put_plane(of.kind(), plane);
    }
    core.tracks.store(tracks);
}

/// Makes a track of `rate` ticks a second, in lowest terms.
pub(crate) fn create(
    core: &Core,
    name: &str,
    rate: (u32, u32),
    epoch_us: i64,
) -> Result<Arc<TrackState>> {
    check_name("track", name).map_err(|error| Error::invalid(error.what))?;
    let track = Arc::new(TrackState::new(name, rate, epoch_us));
    if core.tracks.load().contains_key(name) {
        return Err(Error::TrackExists { name: name.to_owned() });
    }
    match add_plane(core, &track, &PlaneKind::Observed) {
        Ok(()) => {}
        Err(Error::StreamExists { .. }) => {
            return Err(Error::TrackExists { name: name.to_owned() });
        }
        Err(error) => return Err(error),
    }
    core.tracks.update(|tracks| {
        let mut tracks = tracks.clone();
        tracks.insert(name.to_owned(), Arc::clone(&track));
        tracks
    });
    Ok(track)
}

/// Makes a plane of `track`, where it has none of this kind.
pub(crate) fn add_plane(core: &Core, track: &TrackState, kind: &PlaneKind) -> Result<()> {
    let of = PlaneOf::new(&track.name, track.rate, track.epoch_us, kind.clone())
        .map_err(|error| Error::invalid(error.what))?;
    let name = match kind {
        PlaneKind::Observed => format!("{}:observed", track.name),
        PlaneKind::Class { id, .. } => format!("{}:{id}", track.name),
    };
    check_name("plane", &name).map_err(|error| Error::invalid(error.what))?;
    let put = |stream: &Arc<StreamState>| {
        track.put_plane(kind, Plane::open(stream, &core.pages, None));
    };
    match (add_stream(core, &name, Schema::of_plane(of), put), kind) {
        (Err(Error::StreamExists { .. }), PlaneKind::Class { id, .. }) if track.knows(*id) => {
            Err(Error::ClassInUse { track: track.name.clone(), class: *id })
        }
        (made, _) => made.map(|_| ()),
    }
}
