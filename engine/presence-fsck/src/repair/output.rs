//! Writes the segment that comes into the place of a damaged one.
//!
//! # Invariants
//! - Written from the format's text, beside the engine's own writer: neither calls the other.
//! - Everything is synced before the footer is written, and the footer before [`Output::seal`]
//!   returns.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use presence::device::DeviceFile;
use presence_format::Compression;
use presence_format::block::{BlockHeader, BlockLayout};
use presence_format::caps::{PAYLOAD_BYTES_MAX, SEGMENT_BYTES_MAX};
use presence_format::catalog::Catalog;
use presence_format::checksum::PayloadHasher;
use presence_format::entry::{Entry, EntryBuilder, EntryKind, Place};
use presence_format::index::{Index, IndexEntry, StreamBlocks};
use presence_format::segment::{FIRST_ENTRY, Footer, SegmentHeader};

use crate::walk::End;

const ZEROS: [u8; 64] = [0; 64];

/// A segment being written, or one that is only counted: then it has no file.
#[derive(Debug)]
pub(crate) struct Output {
    file: Option<Arc<dyn DeviceFile>>,
    place: Place,
    end: End,
    blocks: BTreeMap<u32, Vec<IndexEntry>>,
    pub(crate) records: u64,
}

/// What a block holds, besides its payload.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BlockHead {
    pub(crate) stream: u32,
    pub(crate) records: u32,
    pub(crate) first_sequence: u64,
    pub(crate) block: BlockHeader,
}

impl Output {
    /// Begins a segment: its header and first catalog.
    ///
    /// # Errors
    /// Where it cannot be written, here as below.
    pub(crate) fn begin(
        file: Option<Arc<dyn DeviceFile>>,
        header: SegmentHeader,
        catalog: &Catalog,
    ) -> io::Result<Self> {
        let bytes = header.encode();
        let header = SegmentHeader::decode(&bytes).map_err(io::Error::other)?;
        if let Some(file) = &file {
            file.write_at(&[&bytes], 0)?;
        }
        let end = End { offset: FIRST_ENTRY, number: 0, crc: header.header_crc.get() };
        let place = header.place();
        let mut output = Self { file, place, end, blocks: BTreeMap::new(), records: 0 };
        let mut payload = Vec::new();
        catalog.encode(&mut payload);
        output.entry(EntryKind::Catalog, output.builder(0), &[&payload])?;
        Ok(output)
    }

    /// How many blocks it has.
    pub(crate) fn block_count(&self) -> u64 {
        self.blocks.values().map(|blocks| blocks.len() as u64).sum()
    }

    /// Writes a block whose payload is all of `payload`, as it is to be stored.
    pub(crate) fn block(&mut self, head: &BlockHead, payload: &[&[u8]]) -> io::Result<()> {
        let mut builder = self.builder(0);
        builder.header.stream = head.stream.into();
        builder.header.records = head.records.into();
        builder.header.first_sequence = head.first_sequence.into();
        builder.block = Some(BlockHeader { reserved: [0; 35], ..head.block });
        let entry = self.entry(EntryKind::Block, builder, payload)?;
        if let Some(index) = IndexEntry::of(&entry) {
            self.blocks.entry(head.stream).or_default().push(index);
        }
        self.records += u64::from(head.records);
        Ok(())
    }

    /// Writes a block of unpadded lanes, timestamps first, uncompressed.
    pub(crate) fn lanes(
        &mut self,
        (stream, first_sequence, records): (u32, u64, u32),
        layout: &BlockLayout,
        lanes: &[Vec<u8>],
    ) -> io::Result<()> {
        let times = lanes.first().map_or(&[][..], |lane| lane.as_chunks::<8>().0);
        let ts = |word: Option<&[u8; 8]>| word.map_or(0, |word| i64::from_le_bytes(*word));
        let decoded_bytes = layout.decoded_bytes(records as usize);
        let block = BlockHeader {
            first_ts: ts(times.first()).into(),
            last_ts: ts(times.last()).into(),
            decoded_bytes: u32::try_from(decoded_bytes).unwrap_or(u32::MAX).into(),
            schema_crc: layout.schema_crc().into(),
            compression: Compression::None.code(),
            set_ticks: layout.set_ticks(Compression::None, &[]).into(),
            reserved: [0; 35],
        };
        let mut payload: Vec<&[u8]> = Vec::new();
        for lane in lanes {
            let padding = lane.len().next_multiple_of(64) - lane.len();
            payload.extend([lane.as_slice(), ZEROS.get(..padding).unwrap_or_default()]);
        }
        self.block(&BlockHead { stream, records, first_sequence, block }, &payload)
    }

    /// Makes the entries durable, then index and footer. `log` is where the entries of the last log
    /// segment ended that this one stands for: offset and checksum.
    pub(crate) fn seal(mut self, catalog: &Catalog, log: (u32, u32)) -> io::Result<()> {
        self.sync()?;
        let data = self.end;
        let blocks = std::mem::take(&mut self.blocks);
        let streams = blocks.into_iter().map(|(stream, entries)| StreamBlocks { stream, entries });
        let index = Index { catalog: catalog.clone(), streams: streams.collect() };
        self.entry(EntryKind::Index, self.builder(data.offset), &[&index.encode()])?;
        let footer = Footer {
            magic: presence_format::segment::FOOTER_MAGIC,
            footer_crc: 0.into(),
            database: self.place.database.into(),
            segment: self.place.segment.into(),
            index_offset: data.offset.into(),
            data_end: data.offset.into(),
            data_crc: data.crc.into(),
            entries: data.number.into(),
            torn_bytes: 0.into(),
            records: self.records.into(),
            log_crc: log.1.into(),
            log_end: log.0.into(),
            reserved: [0; 8],
        };
        if let Some(file) = &self.file {
            file.write_at(&[&footer.encode()], u64::from(self.end.offset))?;
        }
        self.sync()
    }

    fn sync(&self) -> io::Result<()> {
        self.file.as_ref().map_or(Ok(()), |file| file.sync())
    }

    fn builder(&self, durable: u32) -> EntryBuilder {
        let End { offset, number, crc } = self.end;
        let mut builder = EntryBuilder::new(self.place, offset, number, crc);
        builder.header.durable_offset = durable.into();
        builder
    }

    fn entry(
        &mut self,
        kind: EntryKind,
        mut builder: EntryBuilder,
        payload: &[&[u8]],
    ) -> io::Result<Entry> {
        let bytes: usize = payload.iter().map(|part| part.len()).sum();
        let bytes = u32::try_from(bytes).ok().filter(|bytes| *bytes <= PAYLOAD_BYTES_MAX);
        let bytes = bytes.ok_or_else(|| io::Error::other("a payload over the format's cap"))?;
        let mut hasher = PayloadHasher::new();
        payload.iter().for_each(|part| hasher.update(part));
        let (payload_crc, table) = hasher.finish();
        builder.header.payload_bytes = bytes.into();
        builder.header.payload_crc = payload_crc.into();
        let (header, len, crc) = builder.finish(kind);
        let header = header.get(..len).unwrap_or_default();
        let offset = self.end.offset;
        let entry = Entry::parse(header, self.place, offset).map_err(io::Error::other)?;
        if entry.end() > SEGMENT_BYTES_MAX - Footer::BYTES as u32 {
            return Err(io::Error::other("it would be larger than a segment can be"));
        }
        if let Some(file) = &self.file {
            let used = entry.payload_offset() + entry.stored_bytes();
            let padding = (entry.end() - used) as usize;
            let mut parts = vec![header];
            parts.extend_from_slice(payload);
            parts.extend([&table, ZEROS.get(..padding).unwrap_or_default()]);
            file.write_at(&parts, u64::from(offset))?;
        }
        self.end = End { offset: entry.end(), number: self.end.number.saturating_add(1), crc };
        Ok(entry)
    }
}
