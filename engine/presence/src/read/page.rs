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

    /// A decoded block.
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

    /// Lane `lane`, timestamps being 0; empty where there is none.
    #[inline]
    pub(crate) fn lane(&self, lane: usize) -> &[u8] {
        if let Bytes::Tail(part) = &self.bytes {
            let Some(shape) = self.layout.lanes().get(lane) else { return &[] };
            return part.lane(lane).get(..self.records * shape.value_bytes).unwrap_or_default();
        }
        match self.layout.ranges(self.records).nth(lane) {
            Some(range) => self.decoded().get(range).unwrap_or_default(),
            None => &[],
        }
    }

    /// The timestamps.
    #[inline]
    pub(crate) fn times(&self) -> &[i64] {
        let bytes = match &self.bytes {
            Bytes::Tail(_) => self.lane(0),
            _ => self.decoded().get(..self.records * 8).unwrap_or_default(),
        };
        bytemuck::try_cast_slice(bytes).unwrap_or_default()
    }

    #[inline]
    fn decoded(&self) -> &[u8] {
        match &self.bytes {
            Bytes::Mapped { segment, offset, len } => {
                segment.mapped(*offset, *len).unwrap_or_default()
            }
            Bytes::Owned(bytes) => bytes,
            Bytes::Tail(_) => &[],
        }
    }
}
