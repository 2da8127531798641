//! Frames: the newest records of all open blocks, in one checksummed entry.
//!
//! The payload is a run of sections. A section is three varints (stream id, sequence of its first
//! record, records), the timestamps (`i64` each), and then each column's values. A frame without
//! sections is a mark: it carries nothing but its `durable_offset`.
//!
//! # Invariants
//! - Sections are packed without padding: frames are copied out of, never mapped.
//! - A section says nothing that the stream's later blocks do not repeat; once those are written
//!   the frame is dead weight.

use crate::block::BlockLayout;
use crate::caps::{BLOCK_RECORDS_MAX, STREAMS_MAX};
use crate::error::{FormatError, Result};
use crate::varint;

/// One stream's part of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Section<'a> {
    /// The stream.
    pub stream: u32,
    /// Sequence of the first record.
    pub first_sequence: u64,
    /// Number of records, at least one.
    pub records: u32,
    /// The timestamps, then each column: `records * record_bytes` bytes.
    pub bytes: &'a [u8],
}

/// Appends a section's head; the caller appends the lanes' bytes behind it.
pub fn encode_head(stream: u32, first_sequence: u64, records: u32, out: &mut Vec<u8>) {
    varint::encode(u64::from(stream), out);
    varint::encode(first_sequence, out);
    varint::encode(u64::from(records), out);
}

impl<'a> Section<'a> {
    /// Decodes the first section of `bytes`; returns it and the bytes that follow.
    /// `record_bytes` tells the size of one record of a stream, or that there is no such stream.
    ///
    /// # Errors
    /// `Truncated` or `Corrupt`.
    pub fn decode(
        bytes: &'a [u8],
        record_bytes: impl Fn(u32) -> Option<usize>,
    ) -> Result<(Self, &'a [u8])> {
        let (stream, rest) = varint::decode(bytes)?;
        let (first_sequence, rest) = varint::decode(rest)?;
        let (records, rest) = varint::decode(rest)?;
        let stream = u32::try_from(stream).ok().filter(|id| (1..=STREAMS_MAX).contains(id));
        let stream = stream.ok_or_else(|| FormatError::corrupt(0, "impossible stream id"))?;
        let record_bytes = record_bytes(stream).ok_or_else(|| {
            FormatError::corrupt(0, format!("frame of the unknown stream {stream}"))
        })?;
        if records == 0 || records > u64::from(BLOCK_RECORDS_MAX) {
            return Err(FormatError::corrupt(0, format!("frame section of {records} records")));
        }
        if first_sequence > u64::MAX - records {
            return Err(FormatError::corrupt(0, "sequence out of range"));
        }
        let len = record_bytes.saturating_mul(records as usize);
        let Some((bytes, rest)) = rest.split_at_checked(len) else {
            return Err(FormatError::truncated(0, "bytes end inside a frame section"));
        };
        Ok((Self { stream, first_sequence, records: records as u32, bytes }, rest))
    }

    /// The lanes of the section, in the order of `layout`; empty ones where `layout` is not the
    /// stream's.
    pub fn lanes<'b>(&'b self, layout: &'b BlockLayout) -> impl Iterator<Item = &'a [u8]> + 'b {
        let mut rest = self.bytes;
        layout.lanes().iter().map(move |lane| {
            let len = lane.value_bytes.saturating_mul(self.records as usize);
            let (bytes, later) = rest.split_at_checked(len).unwrap_or_default();
            rest = later;
            bytes
        })
    }
}
