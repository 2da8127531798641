//! A sieve for blocks: which runs of records may hold what is looked for, and only these decoded.
//!
//! # Invariants
//! - A run is left out only where no record of it is inside all ranges.
//! - A column of a run is decoded at most once, and only where the columns before it, in the order
//!   of the ranges, leave something.

use std::ops::Range;

use presence_format::block::{BlockLayout, BlockRuns, RUN_RECORDS};
use presence_format::{Column, DType};

use super::page::Page;
use super::within::Within;
use crate::device::AlignedBuf;
use crate::error::{Error, Result};
use crate::segment::BlockPayload;

/// A range of words, unsigned integers of an element's size: `span` beyond `first` at most, around
/// the end of the type where that is behind it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Words {
    lane: usize,
    bytes: usize,
    first: u64,
    span: u64,
}

impl Words {
    /// The words that a range means; `None` where no value can be inside.
    pub(super) fn new(within: &Within, columns: &[Column]) -> Result<Option<Self>> {
        let index = within.column;
        let Some(column) = columns.get(index) else {
            return Err(Error::invalid(format!("there is no column {index}")));
        };
        let dtype = column.dtype();
        if dtype.is_float() || column.elements() != 1 {
            let what = format!("column {index} is not of one whole number a record");
            return Err(Error::invalid(what));
        }
        let bits = 8 * dtype.bytes() as u32;
        let (least, greatest) = match dtype {
            DType::Bool => (0, 1),
            DType::I8 | DType::I16 | DType::I32 | DType::I64 => {
                (i64::MIN >> (64 - bits), i64::MAX >> (64 - bits))
            }
            _ => (0, i64::try_from(u64::MAX >> (64 - bits)).unwrap_or(i64::MAX)),
        };
        let (min, max) = (within.min.max(least), within.max.min(greatest));
        if min > max {
            return Ok(None);
        }
        let mut span = max.abs_diff(min);
        if dtype == DType::Bool && max == 1 {
            // Whatever is not 0 is true.
            span = u64::from(u8::MAX) - u64::from(min == 1);
        }
        let first = min as u64 & (u64::MAX >> (64 - bits));
        Ok(Some(Self { lane: index + 1, bytes: dtype.bytes(), first, span }))
    }

    /// What bounds tell: whether all words between them are inside, or none; `None` where some
    /// may be.
    fn tell(&self, bounds: Option<(u64, u64)>) -> Option<bool> {
        let (least, greatest) = bounds?;
        let last = self.first.checked_add(self.span).filter(|last| *last <= self.greatest())?;
        if greatest < self.first || least > last {
            return Some(false);
        }
        (self.first <= least && greatest <= last).then_some(true)
    }

    fn greatest(&self) -> u64 {
        u64::MAX >> (64 - 8 * self.bytes as u32)
    }

    /// Clears the marks of words that are not inside. Whether any is left.
    fn sift(&self, column: &[u8], marks: &mut [u8]) -> bool {
        macro_rules! sift {
            ($word:ty, $bytes:literal) => {{
                let (first, span) = (self.first as $word, self.span as $word);
                let mut any = 0;
                for (mark, word) in marks.iter_mut().zip(column.as_chunks::<$bytes>().0) {
                    let above = <$word>::from_le_bytes(*word).wrapping_sub(first);
                    *mark &= u8::from(above <= span);
                    any |= *mark;
                }
                any != 0
            }};
        }
        match self.bytes {
            1 => sift!(u8, 1),
            2 => sift!(u16, 2),
            4 => sift!(u32, 4),
            _ => sift!(u64, 8),
        }
    }
}

/// Where the columns of a block are looked at.
pub(super) trait Columns {
    /// The bounds of a lane in a run, where they can be told.
    fn bounds(&self, words: &Words, run: usize) -> Option<(u64, u64)>;
    /// The bytes of the lane of the test `index` in a run of so many records.
    fn bytes(&mut self, index: usize, words: &Words, run: usize, records: usize) -> Result<&[u8]>;
}

impl Columns for &Page {
    fn bounds(&self, _: &Words, _: usize) -> Option<(u64, u64)> {
        None
    }

    fn bytes(&mut self, _: usize, words: &Words, run: usize, records: usize) -> Result<&[u8]> {
        let start = run * RUN_RECORDS * words.bytes;
        let lane = self.lane(words.lane).get(start..start + records * words.bytes);
        Ok(lane.unwrap_or_default())
    }
}

/// The records `range` of a block of `records`, without runs in which none is inside all of
/// `tests`.
pub(super) fn sieve(
    tests: &[Words],
    range: Range<usize>,
    records: usize,
    columns: &mut impl Columns,
) -> Result<Vec<Range<usize>>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    let mut at = range.start;
    while at < range.end {
        let run = at / RUN_RECORDS;
        let all = run * RUN_RECORDS..records.min((run + 1) * RUN_RECORDS);
        let part = at..range.end.min(all.end);
        at = all.end;
        if !may_hold(tests, run, &all, &part, columns)? {
            continue;
        }
        match found.last_mut().filter(|last| last.end == part.start) {
            Some(last) => last.end = part.end,
            None => found.push(part),
        }
    }
    Ok(found)
}

/// Whether any record of `part` of a run, whose records are `all`, is inside all of `tests`.
fn may_hold(
    tests: &[Words],
    run: usize,
    all: &Range<usize>,
    part: &Range<usize>,
    columns: &mut impl Columns,
) -> Result<bool> {
    let told = tests.iter().map(|words| words.tell(columns.bounds(words, run)));
    let told: Vec<Option<bool>> = told.collect();
    if told.contains(&Some(false)) {
        return Ok(false);
    }
    let mut marks = [1; RUN_RECORDS];
    let marks = marks.get_mut(..part.len()).unwrap_or_default();
    for (index, (words, told)) in tests.iter().zip(told).enumerate() {
        if told == Some(true) {
            continue;
        }
        let column = columns.bytes(index, words, run, all.len())?;
        let column = column.get((part.start - all.start) * words.bytes..).unwrap_or_default();
        if !words.sift(column, marks) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Memory for the columns of a block that are looked at: of each its bytes, and which runs of it
/// are decoded. Kept from block to block.
pub(super) type Scratch = Vec<(Vec<u8>, Vec<bool>)>;

/// A stored block, of which single columns of single runs are decoded.
pub(super) struct BlockByRuns<'a> {
    payload: &'a BlockPayload<'a>,
    runs: BlockRuns<'a>,
    layout: &'a BlockLayout,
    records: usize,
    scratch: &'a mut Scratch,
}

impl<'a> BlockByRuns<'a> {
    /// The block, where its codec has runs.
    pub(super) fn new(
        payload: &'a BlockPayload<'a>,
        layout: &'a BlockLayout,
        records: usize,
        tests: &[Words],
        scratch: &'a mut Scratch,
    ) -> Result<Option<Self>> {
        let runs =
            layout.runs(payload.compression, records, payload.stored()).map_err(payload.fault())?;
        let Some(runs) = runs else { return Ok(None) };
        scratch.resize_with(tests.len(), Default::default);
        for ((bytes, done), words) in scratch.iter_mut().zip(tests) {
            bytes.resize(records * words.bytes, 0);
            done.clear();
            done.resize(records.div_ceil(RUN_RECORDS), false);
        }
        Ok(Some(Self { payload, runs, layout, records, scratch }))
    }

    /// The runs that hold the records `range`, in a page of their own; where `range` is in it.
    pub(super) fn page(
        &self,
        range: &Range<usize>,
        tests: &[Words],
    ) -> Result<(AlignedBuf, usize, Range<usize>)> {
        let runs = range.start / RUN_RECORDS..range.end.div_ceil(RUN_RECORDS);
        let base = runs.start * RUN_RECORDS;
        let records = self.records.min(runs.end * RUN_RECORDS) - base;
        let mut page = AlignedBuf::zeroed(self.layout.decoded_bytes(records))
            .map_err(Error::io("decode", "a block"))?;
        let lanes = self.layout.lanes().iter().zip(self.layout.ranges(records));
        for (lane, (shape, place)) in lanes.enumerate() {
            let looked = tests.iter().position(|words| words.lane == lane);
            let looked = looked.and_then(|index| self.scratch.get(index));
            let into = page.get_mut(place).unwrap_or_default();
            let pieces = into.chunks_mut(RUN_RECORDS * shape.value_bytes);
            for (run, into) in runs.clone().zip(pieces) {
                let start = run * RUN_RECORDS * shape.value_bytes;
                let known = looked
                    .filter(|(_, done)| done.get(run) == Some(&true))
                    .and_then(|(bytes, _)| bytes.get(start..start + into.len()));
                match known {
                    Some(known) => into.copy_from_slice(known),
                    None => {
                        self.runs.decode(lane, run, into).map_err(self.payload.fault())?;
                    }
                }
            }
        }
        Ok((page, records, range.start - base..range.end - base))
    }

    /// Checks the timestamps of `page`, of so many records, those of the page before up to `last`.
    /// The last one of them.
    pub(super) fn check_times(
        &self,
        page: &[u8],
        records: usize,
        last: Option<i64>,
    ) -> Result<Option<i64>> {
        let times = page.get(..8 * records).unwrap_or_default();
        let ts = |word: Option<&[u8; 8]>| word.map(|word| i64::from_le_bytes(*word));
        let (first, end) = (ts(times.first_chunk()), ts(times.last_chunk()));
        let header = &self.payload.header;
        let inside = header.first_ts.get()..=header.last_ts.get();
        let all_inside = [first, end].into_iter().flatten().all(|ts| inside.contains(&ts));
        let order = if all_inside {
            self.layout.check_order(last, times)
        } else {
            let what = format!(
                "timestamps {first:?} to {end:?}, where the header says {} to {}",
                inside.start(),
                inside.end()
            );
            Err(presence_format::FormatError::corrupt(0, what))
        };
        order.map_err(self.payload.fault()).map(|()| end)
    }
}

impl Columns for BlockByRuns<'_> {
    fn bounds(&self, words: &Words, run: usize) -> Option<(u64, u64)> {
        self.runs.bounds(words.lane, run)
    }

    fn bytes(&mut self, index: usize, words: &Words, run: usize, records: usize) -> Result<&[u8]> {
        let start = run * RUN_RECORDS * words.bytes;
        let Some((bytes, done)) = self.scratch.get_mut(index) else { return Ok(&[]) };
        let column = bytes.get_mut(start..start + records * words.bytes).unwrap_or_default();
        if let Some(done) = done.get_mut(run).filter(|done| !**done) {
            self.runs.decode(words.lane, run, column).map_err(self.payload.fault())?;
            *done = true;
        }
        Ok(column)
    }
}
