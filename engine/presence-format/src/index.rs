//! The sparse index of a sealed segment: one entry per block, and the streams as they were at seal.
//!
//! The payload of an index entry is, in order: the length of a catalog (varint) and the catalog;
//! the number of streams with blocks (varint), and for each its id and number of blocks (varints);
//! then the index entries of all those blocks, grouped by stream in that order.
//!
//! # Invariants
//! - Entries of a stream ascend in sequence, and but for planes in time; their blocks lie before
//!   the index.
//! - The index is a cache of the block headers: where they disagree, the blocks are right.

use std::collections::BTreeSet;

use zerocopy::little_endian::{I64, U32, U64};
use zerocopy::{FromBytes, IntoBytes};

use crate::caps::{BLOCK_RECORDS_MAX, PAYLOAD_BYTES_MAX, STREAMS_MAX};
use crate::catalog::Catalog;
use crate::entry::{ENTRY_ALIGN, Entry, EntryKind};
use crate::error::{FormatError, Result};
use crate::layout::layout;
use crate::segment::FIRST_ENTRY;
use crate::varint;

layout! {
    /// One block in the sparse index.
    pub struct IndexEntry: 48 {
        /// Timestamp of the first record.
        0 first_ts: I64,
        /// Timestamp of the last record.
        8 last_ts: I64,
        /// Records of the stream before the block.
        16 first_sequence: U64,
        /// Where in the segment the block's header begins.
        24 offset: U32,
        /// Bytes of the stored payload.
        28 payload_bytes: U32,
        /// Records in the block.
        32 records: U32,
        /// The block header's checksum, which covers the payload's.
        36 header_crc: U32,
        /// The header's `set_ticks`: zero but for planes.
        40 rank: U64,
    }
}

impl IndexEntry {
    /// The index entry of a block; `None` for entries of another kind.
    pub fn of(entry: &Entry) -> Option<Self> {
        let block = entry.block?;
        let header = &entry.header;
        Some(Self {
            first_ts: block.first_ts,
            last_ts: block.last_ts,
            first_sequence: header.first_sequence,
            offset: header.offset,
            payload_bytes: header.payload_bytes,
            records: header.records,
            header_crc: header.header_crc,
            rank: u64::from(block.set_ticks.get()).into(),
        })
    }

    /// The sequence after the block's last record.
    pub fn end_sequence(&self) -> u64 {
        self.first_sequence.get().saturating_add(u64::from(self.records.get()))
    }

    fn check(&self, index_offset: u32) -> Result<()> {
        let offset = self.offset.get();
        let header_bytes = EntryKind::Block.header_bytes();
        let end = offset.saturating_add(header_bytes).saturating_add(self.payload_bytes.get());
        if self.records.get() == 0
            || self.records.get() > BLOCK_RECORDS_MAX
            || self.payload_bytes.get() > PAYLOAD_BYTES_MAX
            || self.first_ts.get() > self.last_ts.get()
            || self.first_sequence.get() > u64::MAX - u64::from(BLOCK_RECORDS_MAX)
            || offset < FIRST_ENTRY
            || !offset.is_multiple_of(ENTRY_ALIGN)
            || end > index_offset
        {
            return Err(FormatError::corrupt(0, "impossible index entry"));
        }
        Ok(())
    }
}

/// The blocks of one stream in a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamBlocks {
    /// The stream.
    pub stream: u32,
    /// Its blocks, ascending.
    pub entries: Vec<IndexEntry>,
}

/// The payload of an index entry.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Index {
    /// Every stream at the time of sealing.
    pub catalog: Catalog,
    /// The blocks, by stream.
    pub streams: Vec<StreamBlocks>,
}

impl Index {
    /// The payload's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut catalog = Vec::new();
        self.catalog.encode(&mut catalog);
        let mut out = Vec::new();
        varint::encode(catalog.len() as u64, &mut out);
        out.extend_from_slice(&catalog);
        varint::encode(self.streams.len() as u64, &mut out);
        for stream in &self.streams {
            varint::encode(u64::from(stream.stream), &mut out);
            varint::encode(stream.entries.len() as u64, &mut out);
        }
        for stream in &self.streams {
            out.extend_from_slice(stream.entries.as_bytes());
        }
        out
    }

    /// Decodes an index that is all of `bytes`; its entry begins at `index_offset`.
    ///
    /// # Errors
    /// `Truncated` or `Corrupt`, also where blocks are out of order or beyond the index.
    pub fn decode(bytes: &[u8], index_offset: u32) -> Result<Self> {
        let (catalog_bytes, rest) = varint::decode(bytes)?;
        let catalog_bytes = usize::try_from(catalog_bytes).unwrap_or(usize::MAX);
        let Some((catalog, rest)) = rest.split_at_checked(catalog_bytes) else {
            return Err(FormatError::truncated(0, "bytes end inside the index's catalog"));
        };
        let catalog = Catalog::decode(catalog)?;
        let (count, mut rest) = varint::decode(rest)?;
        if count > u64::from(STREAMS_MAX) {
            return Err(FormatError::corrupt(0, format!("an index of {count} streams")));
        }
        let mut seen = BTreeSet::new();
        let mut counts = Vec::new();
        for _ in 0..count {
            let (stream, after) = varint::decode(rest)?;
            let (blocks, after) = varint::decode(after)?;
            let stream = u32::try_from(stream).ok().filter(|id| (1..=STREAMS_MAX).contains(id));
            let stream = stream.ok_or_else(|| FormatError::corrupt(0, "impossible stream id"))?;
            if !seen.insert(stream) {
                return Err(FormatError::corrupt(0, format!("stream {stream} twice in an index")));
            }
            counts.push((stream, usize::try_from(blocks).unwrap_or(usize::MAX)));
            rest = after;
        }
        let mut streams = Vec::new();
        for (stream, blocks) in counts {
            let len = blocks.saturating_mul(IndexEntry::BYTES);
            let Some((bytes, after)) = rest.split_at_checked(len) else {
                return Err(FormatError::truncated(0, "bytes end inside the index"));
            };
            rest = after;
            let entries = decode_entries(bytes, index_offset)?;
            let of_stream = catalog.streams.binary_search_by_key(&stream, |entry| entry.id);
            let of_stream = of_stream.ok().and_then(|at| catalog.streams.get(at));
            let is_plane = of_stream.is_some_and(|entry| entry.schema.plane().is_some());
            let ascends = |[left, right]: &[IndexEntry; 2]| {
                is_plane || left.last_ts.get() <= right.first_ts.get()
            };
            if !entries.array_windows().all(ascends) {
                return Err(FormatError::corrupt(0, "index entries out of order"));
            }
            streams.push(StreamBlocks { stream, entries });
        }
        if rest.is_empty() {
            Ok(Self { catalog, streams })
        } else {
            Err(FormatError::corrupt(0, "bytes behind the index"))
        }
    }
}

fn decode_entries(bytes: &[u8], index_offset: u32) -> Result<Vec<IndexEntry>> {
    let entries = <[IndexEntry]>::ref_from_bytes(bytes)
        .map_err(|_| FormatError::corrupt(0, "index entries of the wrong length"))?;
    for entry in entries {
        entry.check(index_offset)?;
    }
    let ascends =
        |[left, right]: &[IndexEntry; 2]| left.end_sequence() <= right.first_sequence.get();
    if entries.array_windows().all(ascends) {
        Ok(entries.to_vec())
    } else {
        Err(FormatError::corrupt(0, "index entries out of order"))
    }
}
