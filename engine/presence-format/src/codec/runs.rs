//! The runs of a column that `packed` or `split` stored, each of which can be decoded alone.
//!
//! # Invariants
//! - The bytes of the runs, one behind the other, are those of the column.
//! - No word of a run lies outside its bounds.

use super::bitpack::MINI_BLOCK;
use super::lanes::{LANES_MAX, lanes_of};
use super::mini_block::span::{Bounds, span as packed_span};
use super::split_block::span::span as split_span;
use super::word::{Word, by_word};
use crate::dtype::DType;
use crate::error::{FormatError, Result};
use crate::schema::Compression;

/// Records of a run; the last of a column may have fewer.
pub const RUN_RECORDS: usize = MINI_BLOCK;

/// One run of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run<'a> {
    /// A stored column of its own.
    pub bytes: &'a [u8],
    /// The least and the greatest word that may be in it, as unsigned integers of the element's
    /// size, where that can be told without decoding it.
    pub bounds: Option<(u64, u64)>,
}

/// Whether a column of so many elements a record, stored with `compression`, has runs, all of
/// whole records.
pub fn has_runs(compression: Compression, elements_per_record: usize) -> bool {
    matches!(compression, Compression::Packed | Compression::Split)
        && (1..=LANES_MAX).contains(&elements_per_record)
}

/// The runs of the column `stored` of `records`; `None` where it [has none](has_runs). O(runs).
///
/// # Errors
/// Truncated when `stored` ends early, corrupt when a field is out of its range or bytes are left.
pub fn runs(
    compression: Compression,
    dtype: DType,
    elements_per_record: usize,
    records: usize,
    stored: &[u8],
) -> Result<Option<Vec<Run<'_>>>> {
    if !has_runs(compression, elements_per_record) {
        return Ok(None);
    }
    let (lanes, split) = (lanes_of(elements_per_record), compression == Compression::Split);
    by_word!(dtype, runs_of(split, lanes, records, stored)).map(Some)
}

fn runs_of<T: Word<B, L>, const B: usize, const L: usize>(
    split: bool,
    lanes: usize,
    records: usize,
    stored: &[u8],
) -> Result<Vec<Run<'_>>> {
    let span = if split { split_span::<T, B, L> } else { packed_span::<T, B, L> };
    let mut runs = Vec::new();
    let mut rest = stored;
    for first in (0..records).step_by(RUN_RECORDS) {
        let at = stored.len() - rest.len();
        let run = rest;
        let mut bounds: Bounds = Some((u64::MAX, 0));
        for _ in 0..lanes {
            let base = (stored.len() - rest.len()) as u64;
            let (lane, later) = span(rest, RUN_RECORDS.min(records - first))
                .map_err(|error| error.at_base(base))?;
            bounds = bounds.zip(lane).map(|(all, one)| (all.0.min(one.0), all.1.max(one.1)));
            rest = later;
        }
        let bytes = run.get(..stored.len() - at - rest.len()).unwrap_or_default();
        runs.push(Run { bytes, bounds });
    }
    match rest {
        [] => Ok(runs),
        _ => Err(FormatError::corrupt(
            (stored.len() - rest.len()) as u64,
            "bytes after the last mini-block",
        )),
    }
}
