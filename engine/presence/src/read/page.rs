//! Pages: verified, decoded blocks, wherever their bytes live.
//!
//! # Invariants
//! - Every lane holds exactly `records` values, aligned for its element type; those of blocks on
//!   disk start at a multiple of 64 bytes.
//! - A page keeps its bytes alive: mapped, owned or in the tail.

use presence_format::block::BlockLayout;

use crate::device::aligned::AlignedBuf;
use crate::segment::SegmentFile;
use crate::shim::Arc;
use crate::tail::TailPart;

/// A page for as long as somebody else keeps it: what a single answer is read from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PageView<'a> {
    source: Source<'a>,
    layout: &'a BlockLayout,
    records: usize,
}

#[derive(Debug, Clone, Copy)]
enum Source<'a> {
    Decoded(&'a [u8]),
    Tail(&'a TailPart),
}

impl<'a> PageView<'a> {
    /// A decoded block.
    #[inline]
    pub(crate) fn decoded(bytes: &'a [u8], layout: &'a BlockLayout, records: usize) -> Self {
        Self { source: Source::Decoded(bytes), layout, records }
    }

    /// The timestamps.
    #[inline]
    pub(crate) fn times(&self) -> &'a [i64] {
        let bytes = match self.source {
            Source::Decoded(bytes) => bytes,
            Source::Tail(part) => part.lane(0),
        };
        bytemuck::try_cast_slice(bytes.get(..self.records * 8).unwrap_or_default())
            .unwrap_or_default()
    }

    /// Lane `lane`, timestamps being 0; empty where there is none.
    #[inline]
    pub(crate) fn lane(&self, lane: usize) -> &'a [u8] {
        match self.source {
            Source::Decoded(bytes) => match self.layout.ranges(self.records).nth(lane) {
                Some(range) => bytes.get(range).unwrap_or_default(),
                None => &[],
            },
            Source::Tail(part) => {
                let width = self.layout.lanes().get(lane).map_or(0, |lane| lane.value_bytes);
                part.lane(lane).get(..self.records * width).unwrap_or_default()
            }
        }
    }
}

/// A block's records, ready to be read.
#[derive(Debug, Clone)]
pub(crate) struct Page {
    bytes: Bytes,
    layout: Arc<BlockLayout>,
    records: usize,
}

#[derive(Debug, Clone)]
enum Bytes {
    Mapped { segment: Arc<SegmentFile>, offset: u32, len: usize },
    Owned(Arc<AlignedBuf>),
    Tail(TailPart),
}

impl Page {
    /// The payload at `offset` of a sealed, mapped segment; it was checked.
    pub(crate) fn mapped(
        segment: &Arc<SegmentFile>,
        offset: u32,
        layout: &Arc<BlockLayout>,
        records: usize,
    ) -> Self {
        let len = layout.decoded_bytes(records);
        let bytes = Bytes::Mapped { segment: Arc::clone(segment), offset, len };
        Self { bytes, layout: Arc::clone(layout), records }
    }

    /// A decoded block, shared.
    pub(crate) fn owned(bytes: Arc<AlignedBuf>, layout: &Arc<BlockLayout>, records: usize) -> Self {
        Self { bytes: Bytes::Owned(bytes), layout: Arc::clone(layout), records }
    }

    /// The first `records` records of a part in memory.
    pub(crate) fn tail(part: &TailPart, records: usize) -> Self {
        let layout = Arc::clone(part.block.layout());
        Self { bytes: Bytes::Tail(part.clone()), layout, records }
    }

    /// Number of records.
    pub(crate) fn records(&self) -> usize {
        self.records
    }

    /// The arrays of the page.
    pub(crate) fn layout(&self) -> &Arc<BlockLayout> {
        &self.layout
    }

    /// The page, borrowed.
    #[inline]
    pub(crate) fn view(&self) -> PageView<'_> {
        let source = match &self.bytes {
            Bytes::Mapped { segment, offset, len } => {
                Source::Decoded(segment.mapped(*offset, *len).unwrap_or_default())
            }
            Bytes::Owned(bytes) => Source::Decoded(bytes),
            Bytes::Tail(part) => Source::Tail(part),
        };
        PageView { source, layout: &self.layout, records: self.records }
    }

    /// Lane `lane`, timestamps being 0; empty where there is none.
    #[inline]
    pub(crate) fn lane(&self, lane: usize) -> &[u8] {
        self.view().lane(lane)
    }

    /// The timestamps.
    #[inline]
    pub(crate) fn times(&self) -> &[i64] {
        self.view().times()
    }
}
