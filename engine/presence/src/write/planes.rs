//! The way of presence tracks into the log: sections of words in frames, regions as blocks.
//!
//! # Invariants
//! - What is written was taken from the planes after the segment it goes to was made: an older
//!   state never gets a later sequence than a newer one.
//! - Views show a region before memory gives it up.

use std::collections::BTreeMap;

use presence_format::index::IndexEntry;

use super::recording::with_blocks;
use crate::error::Result;
use crate::segment::{SegmentFile, SegmentWriter};
use crate::shim::Arc;
use crate::shim::atomic::Ordering;
use crate::store::stream_state::StreamState;
use crate::track::pending::{OBSERVED, PlaneKey};
use crate::track::plane::section;
use crate::track::state::{TrackState, Unlogged};

/// Writes the regions of what was observed, before anything of a class: what a crash leaves of a
/// flush then has no tick of a class that is not observed. (What is forgotten is logged as absent
/// in all classes before, see `forget_before`.)
pub(super) fn write_observed(active: &mut SegmentWriter, unlogged: &Unlogged) -> Result<()> {
    write_regions(active, unlogged, |key| key == OBSERVED)
}

/// Writes the regions of all classes, behind everything else.
pub(super) fn write_classes(
    track: &TrackState,
    active: &mut SegmentWriter,
    unlogged: &Unlogged,
) -> Result<()> {
    write_regions(active, unlogged, |key| key != OBSERVED)?;
    track.cool(&unlogged.planes, &unlogged.regions);
    Ok(())
}

/// Writes these regions as blocks of `active`, and shows them.
fn write_regions(
    active: &mut SegmentWriter,
    unlogged: &Unlogged,
    of: impl Fn(PlaneKey) -> bool,
) -> Result<()> {
    for (key, regions) in unlogged.regions.iter().filter(|(key, _)| of(**key)) {
        let Some(plane) = unlogged.planes.get(*key) else { continue };
        let Some(stream) = &plane.stream else { continue };
        let mut blocks: Vec<(Arc<SegmentFile>, IndexEntry)> = Vec::new();
        for &region in regions {
            let entry = plane.write_region(region, active)?;
            blocks.extend(entry.map(|entry| (Arc::clone(&active.segment), entry)));
        }
        stream.view.update(|view| with_blocks(view, &stream.layout, &blocks).0);
    }
    Ok(())
}

/// The sections of a frame, and how far they bring the streams.
#[derive(Debug, Default)]
pub(super) struct Sections {
    pub(super) payload: Vec<u8>,
    pub(super) records: u32,
    ends: BTreeMap<u32, (Arc<StreamState>, u64)>,
}

impl Sections {
    /// The words of `unlogged`.
    pub(super) fn new(unlogged: &Unlogged) -> Self {
        let mut sections = Self::default();
        for (key, words) in unlogged.words.iter().filter(|(_, words)| !words.is_empty()) {
            let Some(plane) = unlogged.planes.get(*key) else { continue };
            let Some(stream) = &plane.stream else { continue };
            let end = section(&mut sections.payload, stream, words);
            sections.records = sections.records.saturating_add(words.len() as u32);
            sections.ends.insert(stream.id, (Arc::clone(stream), end));
        }
        sections
    }

    /// The frame was written.
    pub(super) fn logged(&self) {
        for (stream, end) in self.ends.values() {
            stream.logged.fetch_max(*end, Ordering::AcqRel);
        }
    }
}
