//! A stored block cut into runs of records: single columns of single runs can be decoded.
//!
//! # Invariants
//! - Every lane is cut at the same records, each [`RUN_RECORDS`].
//! - What a run decodes to is what the whole block has there.

use super::{BlockLayout, Lane};
use crate::codec;
use crate::codec::runs::{self, Run, has_runs};
use crate::error::{FormatError, Result};
use crate::schema::Compression;

pub use crate::codec::runs::RUN_RECORDS;

/// The runs of all lanes of a block.
#[derive(Debug)]
pub struct BlockRuns<'a> {
    compression: Compression,
    lanes: Vec<(Lane, Vec<Run<'a>>)>,
}

impl BlockLayout {
    /// Whether blocks stored with `compression` are cut into runs that all lanes share.
    pub fn has_runs(&self, compression: Compression) -> bool {
        let has_runs = |lane: &Lane| has_runs(compression, lane.elements);
        !self.is_plane() && self.lanes().iter().all(has_runs)
    }

    /// The runs of a stored payload of `records`; `None` where its codec has none that all lanes
    /// share. O(runs), decoding nothing.
    ///
    /// # Errors
    /// Truncated or corrupt where lengths contradict each other or a codec finds a fault.
    pub fn runs<'a>(
        &self,
        compression: Compression,
        records: usize,
        stored: &'a [u8],
    ) -> Result<Option<BlockRuns<'a>>> {
        if !self.has_runs(compression) {
            return Ok(None);
        }
        let (table, mut rest) = stored
            .split_at_checked(4 * self.lanes().len())
            .ok_or_else(|| FormatError::truncated(0, "payload ends inside its table"))?;
        let mut lanes = Vec::with_capacity(self.lanes().len());
        for (lane, length) in self.lanes().iter().zip(table.as_chunks::<4>().0) {
            let (bytes, later) = rest
                .split_at_checked(u32::from_le_bytes(*length) as usize)
                .ok_or_else(|| FormatError::corrupt(0, "lane beyond the payload"))?;
            rest = later;
            let Some(runs) = runs::runs(compression, lane.dtype, lane.elements, records, bytes)?
            else {
                return Ok(None);
            };
            lanes.push((*lane, runs));
        }
        if rest.is_empty() {
            Ok(Some(BlockRuns { compression, lanes }))
        } else {
            Err(FormatError::corrupt(0, "bytes behind the last lane"))
        }
    }
}

impl BlockRuns<'_> {
    /// The least and the greatest word that lane `lane`, timestamps being 0, may have in run
    /// `run`, as unsigned integers of the element's size; `None` where only decoding tells.
    pub fn bounds(&self, lane: usize, run: usize) -> Option<(u64, u64)> {
        self.lanes.get(lane)?.1.get(run)?.bounds
    }

    /// Fills `raw` with lane `lane` of run `run`.
    ///
    /// # Errors
    /// As [`codec::decode`].
    pub fn decode(&self, lane: usize, run: usize, raw: &mut [u8]) -> Result<()> {
        let found = self.lanes.get(lane).and_then(|(lane, runs)| Some((lane, runs.get(run)?)));
        let (lane, run) = found.ok_or_else(|| FormatError::invalid("no such run"))?;
        codec::decode(self.compression, lane.dtype, lane.elements, run.bytes, raw)
    }
}
