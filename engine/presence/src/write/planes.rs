//! The way of presence tracks into the log: sections of words in frames, regions as blocks.
//!
//! # Invariants
//! - What is written was taken from the planes after the segment it goes to was made: an older
//!   state never gets a later sequence than a newer one.
//! - Views show a region before memory gives it up.
//! - Retention gives up a region in all planes of a track or in none.

use std::collections::{BTreeMap, BTreeSet};

use presence_format::index::IndexEntry;

use super::recording::with_blocks;
use crate::error::Result;
use crate::segment::{SegmentFile, SegmentWriter};
use crate::shim::Arc;
use crate::shim::atomic::Ordering;
use crate::store::core::Core;
use crate::store::stream_state::StreamState;
use crate::track::pending::{OBSERVED, PlaneKey};
use crate::track::plane::section;
use crate::track::state::{Planes, TrackState, Unlogged};

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
            let entry = plane.write_region(region, &plane.region(region)?, active)?;
            blocks.extend(entry.map(|entry| (Arc::clone(&active.segment), entry)));
        }
        stream.view.update(|view| with_blocks(view, &stream.layout, &blocks).0);
    }
    Ok(())
}

/// Which regions of a track lose what counts of them with some segments.
#[derive(Debug, Default)]
pub(super) struct Losing {
    /// Of these something else is left: the planes to be written anew, what was observed first.
    pub(super) in_part: BTreeMap<i64, Vec<PlaneKey>>,
    /// Of these nothing is.
    pub(super) whole: BTreeSet<i64>,
}

impl Losing {
    /// The regions of a track that lose something with the segments of which `is_gone` holds.
    /// Words in blocks of words are in memory, and whose region they are is not looked up: `words`
    /// tells whether they count.
    pub(super) fn new(
        planes: &Planes,
        is_gone: &dyn Fn(&Arc<SegmentFile>) -> bool,
        words: bool,
    ) -> Self {
        let (mut lost, mut left) = (BTreeSet::new(), BTreeSet::new());
        let mut anew: BTreeMap<i64, BTreeSet<PlaneKey>> = BTreeMap::new();
        for (key, plane) in planes.iter() {
            let has_words = words && plane.has_words_in(is_gone);
            for region in plane.dirty_regions() {
                left.insert(region);
                anew.entry(region).or_default().insert(key);
                if has_words {
                    lost.insert(region);
                }
            }
            for (region, segment) in plane.stored_regions() {
                if is_gone(segment) {
                    lost.insert(region);
                    anew.entry(region).or_default().insert(key);
                } else {
                    left.insert(region);
                }
            }
        }
        let (in_part, whole): (BTreeSet<i64>, BTreeSet<i64>) =
            lost.into_iter().partition(|region| left.contains(region));
        let keys = |region: i64| {
            let keys = anew.get(&region).into_iter().flatten();
            (region, keys.copied().rev().collect())
        };
        Self { in_part: in_part.into_iter().map(keys).collect(), whole }
    }
}

/// Writes the planes `keys` of a region to `active`, as they are now.
pub(super) fn write_anew(
    core: &Core,
    track: &TrackState,
    active: &mut SegmentWriter,
    region: i64,
    keys: &[PlaneKey],
) -> Result<()> {
    let planes = track.now(core.generation())?;
    // All is read before anything is written: what is damaged leaves everything as it was.
    let read = |key: &PlaneKey| Some((*key, planes.get(*key)?));
    let regions = keys.iter().filter_map(read);
    let regions: Vec<_> = regions
        .map(|(key, plane)| Ok((key, plane, plane.region(region)?)))
        .collect::<Result<_>>()?;
    let mut written: BTreeMap<PlaneKey, BTreeSet<i64>> = BTreeMap::new();
    for (key, plane, content) in regions {
        let entry = plane.write_region(region, &content, active).map_err(|e| core.poison(e))?;
        if let (Some(stream), Some(entry)) = (&plane.stream, entry) {
            let blocks = [(Arc::clone(&active.segment), entry)];
            stream.view.update(|view| with_blocks(view, &stream.layout, &blocks).0);
        }
        written.entry(key).or_default().insert(region);
    }
    track.cool(&planes, &written);
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
