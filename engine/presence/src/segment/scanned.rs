//! What a scan of an unsealed segment found, stream by stream.
//!
//! # Invariants
//! - Blocks and frames of a stream ascend in sequence and keep its order of timestamps.
//! - A record is in a block or in the tail, never in both; ticks of a plane may be.
//! - A frame counts whole or not at all.

use std::collections::{BTreeMap, BTreeSet};

use presence_format::FormatError;
use presence_format::block::BlockLayout;
use presence_format::entry::Entry;
use presence_format::frame::Section;
use presence_format::index::IndexEntry;

use crate::shim::Arc;

/// Records of frames that no block repeats yet, as lanes.
#[derive(Debug, Clone)]
pub(crate) struct Piece {
    pub(crate) first_sequence: u64,
    pub(crate) records: usize,
    pub(crate) lanes: Vec<Vec<u8>>,
}

impl Piece {
    /// The sequence after the last record.
    pub(crate) fn end_sequence(&self) -> u64 {
        self.first_sequence.saturating_add(self.records as u64)
    }
}

/// What a scan found of one stream.
#[derive(Debug, Clone)]
pub(crate) struct ScannedStream {
    pub(crate) layout: Arc<BlockLayout>,
    pub(crate) blocks: Vec<IndexEntry>,
    /// Behind the last block; more than one only where rot took a frame between them. Of a plane
    /// all words of frames.
    pub(crate) tail: Vec<Piece>,
}

impl ScannedStream {
    pub(super) fn new(layout: Arc<BlockLayout>) -> Self {
        Self { layout, blocks: Vec::new(), tail: Vec::new() }
    }

    /// Where the sequence goes on behind all blocks and frames.
    pub(crate) fn end_sequence(&self) -> u64 {
        let in_blocks = self.blocks.last().map_or(0, IndexEntry::end_sequence);
        self.tail.last().map_or(0, Piece::end_sequence).max(in_blocks)
    }

    fn take_block(&mut self, index: IndexEntry) {
        let end = index.end_sequence();
        self.blocks.push(index);
        // A region stands for what came before of its own ticks only.
        if self.layout.is_plane() {
            return;
        }
        self.tail.retain(|piece| piece.end_sequence() > end);
        for piece in &mut self.tail {
            let done = end.saturating_sub(piece.first_sequence) as usize;
            for (lane, shape) in piece.lanes.iter_mut().zip(self.layout.lanes()) {
                lane.drain(..(done * shape.value_bytes).min(lane.len()));
            }
            piece.records -= done;
            piece.first_sequence += done as u64;
        }
    }

    /// Sections follow each other and the blocks, and keep the stream's order.
    fn check_section(&self, section: &Section<'_>) -> presence_format::error::Result<()> {
        if section.first_sequence < self.end_sequence() {
            return Err(FormatError::corrupt(0, "a frame that repeats records"));
        }
        let times = section.lanes(&self.layout).next().unwrap_or_default();
        let in_tail = self.tail.last().and_then(|piece| piece.lanes.first()?.last_chunk());
        let in_blocks = self.blocks.last().map(|block| block.last_ts.get());
        let last = in_tail.map(|word| i64::from_le_bytes(*word)).or(in_blocks);
        self.layout.check_order(last, times)
    }

    fn take_section(&mut self, section: &Section<'_>) {
        let continues =
            self.tail.last().is_some_and(|piece| piece.end_sequence() == section.first_sequence);
        if !continues {
            self.tail.push(Piece {
                first_sequence: section.first_sequence,
                records: 0,
                lanes: vec![Vec::new(); self.layout.lanes().len()],
            });
        }
        if let Some(piece) = self.tail.last_mut() {
            for (lane, bytes) in piece.lanes.iter_mut().zip(section.lanes(&self.layout)) {
                lane.extend_from_slice(bytes);
            }
            piece.records += section.records as usize;
        }
    }
}

/// Takes a block where it goes on with its stream.
pub(super) fn take_block(
    streams: &mut BTreeMap<u32, ScannedStream>,
    entry: &Entry,
) -> presence_format::error::Result<()> {
    let stream = streams.get_mut(&entry.header.stream.get());
    let (Some(stream), Some(index)) = (stream, IndexEntry::of(entry)) else {
        return Err(FormatError::corrupt(32, "block of an unknown stream"));
    };
    let ascends = stream.blocks.last().is_none_or(|last| {
        last.end_sequence() <= index.first_sequence.get()
            && stream.layout.allows(last.last_ts.get(), index.first_ts.get())
    });
    if !ascends {
        return Err(FormatError::corrupt(40, "block out of order"));
    }
    stream.take_block(index);
    Ok(())
}

/// Takes all sections of a frame, or none.
pub(super) fn take_frame(
    streams: &mut BTreeMap<u32, ScannedStream>,
    entry: &Entry,
    payload: &[u8],
) -> presence_format::error::Result<()> {
    let record_bytes = |stream| streams.get(&stream).map(|found| found.layout.record_bytes());
    let mut sections = Vec::new();
    let mut seen = BTreeSet::new();
    let mut rest = payload;
    let mut records = 0_u64;
    while !rest.is_empty() {
        let section;
        (section, rest) = Section::decode(rest, record_bytes)?;
        if !seen.insert(section.stream) {
            return Err(FormatError::corrupt(0, "a frame with two sections of one stream"));
        }
        if let Some(stream) = streams.get(&section.stream) {
            stream.check_section(&section)?;
        }
        records += u64::from(section.records);
        sections.push(section);
    }
    if records != u64::from(entry.header.records.get()) {
        return Err(FormatError::corrupt(36, format!("a frame of {records} records")));
    }
    for section in sections {
        if let Some(stream) = streams.get_mut(&section.stream) {
            stream.take_section(&section);
        }
    }
    Ok(())
}
