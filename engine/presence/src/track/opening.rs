//! A plane as the view of its stream tells: read when a database is opened, and by readers again
//! where there is more.
//!
//! # Invariants
//! - What is read stands for its sequence, and never changes: where all that was read before is
//!   still there, and all else is newer, only that is read.

use std::collections::BTreeMap;

use presence_format::index::IndexEntry;
use presence_format::plane::region_of;

use super::index::{PlaneIndex, is_words_only};
use super::plane::Plane;
use crate::error::Result;
use crate::read::cache::Pages;
use crate::read::view::StreamView;
use crate::segment::SegmentFile;
use crate::shim::Arc;
use crate::store::stream_state::StreamState;
use crate::tail::TailPart;

/// Words that no region holds.
enum Piece<'a> {
    Block(&'a Arc<SegmentFile>, &'a IndexEntry),
    Frames(&'a TailPart),
}

impl Piece<'_> {
    fn words(&self, stream: &StreamState) -> Result<Vec<(i64, u64)>> {
        let pairs = |times: &[u8], words: &[u8]| {
            let times = times.as_chunks::<8>().0.iter().map(|ts| i64::from_le_bytes(*ts));
            let words = words.as_chunks::<8>().0.iter().map(|word| u64::from_le_bytes(*word));
            // A word begins at a multiple of 64: what does not is somebody else's.
            times.map(|ts| ts & !63).zip(words).collect()
        };
        match self {
            Self::Frames(part) => Ok(pairs(part.lane(0), part.lane(1))),
            Self::Block(segment, entry) => {
                let header = segment.block_entry(entry)?;
                let page = segment.decode_block(&header, &stream.layout)?;
                let mut ranges = stream.layout.ranges(entry.records.get() as usize);
                let mut lane =
                    || ranges.next().and_then(|range| page.get(range)).unwrap_or_default();
                let times = lane();
                Ok(pairs(times, lane()))
            }
        }
    }
}

/// What a view holds of a plane.
#[derive(Default)]
struct Contents<'a> {
    /// The sequence of the newest block of each region.
    regions: BTreeMap<i64, u64>,
    /// Words that no region holds, by sequence.
    pieces: BTreeMap<u64, Piece<'a>>,
    /// Where each part of it begins, and what lies behind it.
    sequences: BTreeMap<u64, u64>,
}

impl<'a> Contents<'a> {
    fn of(view: &'a StreamView) -> Self {
        let mut contents = Self::default();
        for run in view.runs() {
            for entry in run.entries() {
                let sequence = entry.first_sequence.get();
                contents.sequences.insert(sequence, entry.end_sequence());
                if is_words_only(entry) {
                    contents.pieces.insert(sequence, Piece::Block(&run.segment, entry));
                } else {
                    let region = region_of(entry.first_ts.get());
                    let newest = contents.regions.entry(region).or_default();
                    *newest = sequence.max(*newest);
                }
            }
        }
        for part in view.frozen.iter().chain(&view.open) {
            contents.sequences.insert(part.first_sequence(), part.end_sequence());
            contents.pieces.insert(part.first_sequence(), Piece::Frames(part));
        }
        contents
    }

    /// Whether all that `known` was read from is here, and all else is newer; then the sequence
    /// from which on it is. What frames hold without a hole is one piece, which grows.
    fn newer_than(&self, known: &Plane) -> Option<u64> {
        let from = known.read.values().copied().max()?;
        let older = self.sequences.range(..from).map(|(&start, &end)| (start, end.min(from)));
        older.eq(known.read.iter().map(|(&start, &end)| (start, end))).then_some(from)
    }
}

impl Plane {
    /// The plane that `stream` is, as its view tells: blocks, and the words that stand in frames or
    /// in blocks of words, in the order they were written. Of what `known` was read from nothing
    /// is read again, where that is still there.
    pub(crate) fn open(
        stream: &Arc<StreamState>,
        pages: &Arc<Pages>,
        known: Option<&Self>,
    ) -> Result<Self> {
        let view = stream.view.load_full();
        let contents = Contents::of(&view);
        let known = known.and_then(|known| Some((known, contents.newer_than(known)?)));
        let from = known.map_or(0, |(_, from)| from);
        let mut plane = known.map_or_else(Self::default, |(known, _)| known.clone());
        plane.stream = Some(Arc::clone(stream));
        plane.pages = Arc::clone(pages);
        plane.index = Arc::new(PlaneIndex::new(Arc::clone(&view), &plane.index));
        plane.read = Arc::new(contents.sequences.clone());
        let written = contents.regions.iter().filter(|(_, sequence)| **sequence >= from);
        plane.forget_regions(&written.map(|(&region, _)| region).collect());
        for (&first, piece) in &contents.pieces {
            if contents.sequences.get(&first).is_none_or(|&end| end <= from) {
                continue;
            }
            let words = piece.words(stream)?;
            for (sequence, (tick, word)) in (first..).zip(words) {
                let later = contents.regions.get(&region_of(tick));
                if sequence >= from && later.is_none_or(|&later| later < sequence) {
                    plane.replace(tick, word)?;
                }
            }
        }
        Ok(plane)
    }
}
