//! Pages: verified, decoded blocks, wherever their bytes live.
//!
//! # Invariants
//! - Every lane holds exactly `records` values, aligned for its element type; those of blocks on
//!   disk start at a multiple of 64 bytes.
//! - A page keeps its bytes alive: mapped, owned or in the tail.

use presence_format::block::BlockLayout;

use super::slot::OwnedPage;
use crate::device::AlignedBuf;
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
    Owned(Arc<OwnedPage>),
    Apart(Arc<AlignedBuf>),
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
    pub(crate) fn owned(bytes: Arc<OwnedPage>, layout: &Arc<BlockLayout>, records: usize) -> Self {
        Self { bytes: Bytes::Owned(bytes), layout: Arc::clone(layout), records }
    }

    /// Decoded records that no cache knows.
    pub(crate) fn apart(bytes: AlignedBuf, layout: &Arc<BlockLayout>, records: usize) -> Self {
        let bytes = Bytes::Apart(Arc::new(bytes));
        Self { bytes, layout: Arc::clone(layout), records }
    }

    /// The first `records` records of a part in memory.
    pub(crate) fn tail(part: &TailPart, records: usize) -> Self {
        let layout = Arc::clone(part.block.layout());
        Self { bytes: Bytes::Tail(part.clone()), layout, records }
    }

    /// The bytes of a block that had to be decoded; `None` for what lies in a map or in the tail.
    pub(crate) fn decoded_bytes(&self) -> Option<usize> {
        match &self.bytes {
            Bytes::Owned(bytes) => Some(bytes.len()),
            Bytes::Apart(bytes) => Some(bytes.len()),
            Bytes::Mapped { .. } | Bytes::Tail(_) => None,
        }
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
            Bytes::Apart(bytes) => Source::Decoded(bytes),
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

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use std::thread;

    use presence_format::{Compression, DType, Schema};

    use crate::device::MemoryDevice;
    use crate::shim::Arc;
    use crate::{Database, Level, Options, Stream};

    /// Reads all columns of a stream as typed slices, and checks each record.
    fn read(stream: &Stream) -> usize {
        let window = stream.window(..).unwrap();
        let mut count = 0;
        for slice in window.slices() {
            let slice = slice.unwrap();
            let values = slice.column::<f32>(0).unwrap();
            for (&ts, value) in slice.timestamps().iter().zip(values.chunks(3)) {
                assert_eq!(ts, count as i64);
                assert_eq!(value, [ts as f32, 0.5, -1.0]);
                count += 1;
            }
        }
        assert_eq!(count, window.len());
        count
    }

    /// Mapped, decoded, frozen and open pages, read while more are written.
    #[test]
    fn every_kind_of_page_beside_a_writer() {
        let records = if cfg!(miri) { 6 } else { 3000 };
        let options = Options {
            block_bytes: 256,
            segment_bytes: 4096,
            background: false,
            ..Options::default()
        };
        let db = Database::create_on(Arc::new(MemoryDevice::new()), options).unwrap();
        for (number, compression) in Compression::OF_RECORDS.into_iter().enumerate() {
            let schema = Schema::single(DType::F32, &[3]).unwrap().with_compression(compression);
            let stream = db.create_stream(&number.to_string(), schema).unwrap();
            let mut writer = stream.writer::<[f32; 3]>().unwrap();
            let mut append = |index: usize| {
                writer.append(index as i64, [index as f32, 0.5, -1.0]).unwrap();
            };
            (0..records).for_each(&mut append);
            db.flush(Level::Disk).unwrap();
            let core = db.core();
            core.log().unwrap().seal(core).unwrap();
            thread::scope(|scope| {
                scope.spawn(|| (0..3).fold(0, |seen, _| read(&stream).max(seen)));
                (records..2 * records).for_each(&mut append);
            });
        }
        db.compact(|_, _| true).unwrap();
        assert!(db.streams().iter().all(|stream| read(stream) == 2 * records));
    }
}
