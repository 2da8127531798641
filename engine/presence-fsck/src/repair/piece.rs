//! Records of frames on their way into a block.
//!
//! # Invariants
//! - Records follow each other without a hole, in the stream's order.

use std::io;
use std::ops::Range;

use presence_format::block::BlockLayout;

use crate::repair::gather::Stream;
use crate::repair::output::Output;

/// Records that become a block.
#[derive(Debug, Default)]
pub(super) struct Piece {
    first_sequence: u64,
    pub(super) records: usize,
    lanes: Vec<Vec<u8>>,
}

impl Piece {
    /// The sequence after the last record; 0 where there is none.
    pub(super) fn end(&self) -> u64 {
        match self.records {
            0 => 0,
            records => self.first_sequence + records as u64,
        }
    }

    fn last_ts(&self) -> Option<i64> {
        let times = self.lanes.first()?.as_chunks::<8>().0;
        times.last().map(|word| i64::from_le_bytes(*word))
    }

    /// Whether the records in `range` of a section follow what was taken, and come before what is
    /// to be taken.
    pub(super) fn keeps_order(
        &self,
        stream: &Stream,
        lanes: &[&[u8]],
        range: Range<usize>,
        before: Option<i64>,
    ) -> bool {
        let times = lanes.first().map_or(&[][..], |lane| lane.as_chunks::<8>().0);
        let times = times.get(range).unwrap_or_default();
        let mut last = self.last_ts().or(stream.end.map(|(_, ts)| ts));
        let order = stream.order();
        let mut next = times.iter().map(|word| i64::from_le_bytes(*word)).chain(before);
        next.all(|ts| {
            let follows = last.is_none_or(|last| order.allows(last, ts));
            last = Some(ts);
            follows
        })
    }

    /// Adds records of a section: those in `range` of `lanes`, the first of which is `sequence`.
    pub(super) fn add(
        &mut self,
        sequence: u64,
        layout: &BlockLayout,
        lanes: &[&[u8]],
        range: Range<usize>,
    ) {
        if self.records == 0 {
            self.first_sequence = sequence;
            self.lanes = vec![Vec::new(); layout.lanes().len()];
        }
        self.records += range.len();
        for ((lane, bytes), shape) in self.lanes.iter_mut().zip(lanes).zip(layout.lanes()) {
            let bytes = bytes.get(range.start * shape.value_bytes..range.end * shape.value_bytes);
            lane.extend_from_slice(bytes.unwrap_or_default());
        }
    }

    /// Writes the block, and is empty again; returns its records.
    pub(super) fn write(
        &mut self,
        id: u32,
        stream: &mut Stream,
        output: &mut Output,
    ) -> io::Result<u64> {
        let Self { first_sequence, records, lanes } = std::mem::take(self);
        let times = lanes.first().and_then(|lane| lane.as_chunks::<8>().0.last());
        let Some(last_ts) = times.map(|word| i64::from_le_bytes(*word)) else { return Ok(0) };
        output.lanes((id, first_sequence, records as u32), &stream.layout, &lanes)?;
        stream.end = Some((first_sequence + records as u64, last_ts));
        Ok(records as u64)
    }
}
