//! Appends entries to one segment, and seals it.
//!
//! # Invariants
//! - Bytes go to the end of the entries only; nothing written is written again.
//! - The footer follows data that was synced, and is synced itself before `seal` returns.
//! - After an error the writer is not used again: what the last write left is unknown.

use std::collections::BTreeMap;

use presence_format::Compression;
use presence_format::block::{BlockHeader, BlockLayout};
use presence_format::caps::PAYLOAD_BYTES_MAX;
use presence_format::catalog::Catalog;
use presence_format::checksum::PayloadHasher;
use presence_format::entry::{Entry, EntryBuilder, EntryKind, Place, align_up};
use presence_format::index::{Index, IndexEntry, StreamBlocks};
use presence_format::plane::RegionBuilder;
use presence_format::segment::{FIRST_ENTRY, Footer, SegmentHeader};

use super::file::{SegmentFile, segment_name};
use crate::device::Device;
use crate::error::{Error, Result};
use crate::shim::Arc;

const ZEROS: [u8; 64] = [0; 64];

/// Where entries of a segment end, and the chain up to there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) offset: u32,
    pub(crate) crc: u32,
    pub(crate) entries: u32,
}

/// The writing end of a segment.
#[derive(Debug)]
pub(crate) struct SegmentWriter {
    pub(crate) segment: Arc<SegmentFile>,
    place: Place,
    /// Where the entries end.
    end: End,
    /// Where the next one is written: the same, but behind torn bytes.
    next: u32,
    /// Offset up to which the segment is known to be durable.
    pub(crate) durable: u32,
    /// Bytes of torn entries left in place.
    torn_bytes: u32,
    blocks: BTreeMap<u32, Vec<IndexEntry>>,
    records: u64,
    block_count: usize,
    encoded: Vec<u8>,
}

/// A block about to be written: its lanes without padding, timestamps first.
#[derive(Debug)]
pub(crate) struct BlockParts<'a> {
    pub(crate) stream: u32,
    pub(crate) layout: &'a BlockLayout,
    pub(crate) compression: Compression,
    pub(crate) first_sequence: u64,
    pub(crate) records: usize,
    pub(crate) lanes: &'a [&'a [u8]],
}

/// A region of a plane about to be written.
#[derive(Debug)]
pub(crate) struct RegionParts<'a> {
    pub(crate) stream: u32,
    pub(crate) layout: &'a BlockLayout,
    pub(crate) first_sequence: u64,
    pub(crate) number: i64,
    pub(crate) region: &'a RegionBuilder,
}

impl SegmentWriter {
    /// Makes a new segment durable under its name, its catalog in it, and opens it for appending.
    ///
    /// The file is written under a temporary name, synced, renamed, and the directory synced, so
    /// a segment that has a name has its header and catalog.
    pub(crate) fn create(
        device: &dyn Device,
        header: SegmentHeader,
        catalog: &Catalog,
        may_map: bool,
    ) -> Result<Self> {
        let mut writer = Self::create_unpublished(device, header, catalog, may_map)?;
        writer.sync()?;
        writer.rename(device)?;
        device.sync_directory().map_err(Error::io("sync", &device.describe()))?;
        Ok(writer)
    }

    /// The same under a temporary name: [`SegmentWriter::rename`] gives it its own.
    pub(crate) fn create_unpublished(
        device: &dyn Device,
        header: SegmentHeader,
        catalog: &Catalog,
        may_map: bool,
    ) -> Result<Self> {
        let name = segment_name(header.segment.get());
        let random = device.random().map_err(Error::io("make a name in", &device.describe()))?;
        let temporary = format!(".tmp-{:032x}", u128::from_le_bytes(random));
        let file = device.create(&temporary).map_err(Error::io("create", &temporary))?;
        let bytes = header.encode();
        file.write_at(&[&bytes], 0).map_err(Error::io("write", &temporary))?;
        // What was decoded has its checksum, which the first entry chains to.
        let header = SegmentHeader::decode(&bytes).map_err(Error::format(&name, 0))?;
        let mut segment = SegmentFile::new(name, header, file, may_map);
        segment.temporary = Some(temporary);
        let mut writer = Self::resume(
            Arc::new(segment),
            End { offset: FIRST_ENTRY, crc: header.header_crc.get(), entries: 0 },
            FIRST_ENTRY,
            0,
            BTreeMap::new(),
        );
        writer.catalog(catalog)?;
        Ok(writer)
    }

    /// Gives a segment its name. Its content was synced; the directory is the caller's to sync.
    pub(crate) fn rename(&self, device: &dyn Device) -> Result<()> {
        let Some(temporary) = &self.segment.temporary else { return Ok(()) };
        device
            .rename(temporary, &self.segment.name)
            .map_err(Error::io("rename", &self.segment.name))
    }

    /// Removes a segment that never got its name. Left-overs are removed at the next opening too.
    pub(crate) fn discard(&self, device: &dyn Device) {
        if let Some(temporary) = &self.segment.temporary {
            let _removed = device.unlink(temporary);
        }
    }

    /// Goes on with a segment whose entries end at `end`; `resume_at` is where the next may be
    /// written, behind whatever torn bytes lie there.
    pub(crate) fn resume(
        segment: Arc<SegmentFile>,
        end: End,
        resume_at: u32,
        torn_bytes: u32,
        blocks: BTreeMap<u32, Vec<IndexEntry>>,
    ) -> Self {
        let records = blocks.values().flatten().map(|block| u64::from(block.records.get())).sum();
        let block_count = blocks.values().map(Vec::len).sum();
        Self {
            place: segment.place(),
            segment,
            end,
            next: resume_at.max(end.offset),
            durable: 0,
            torn_bytes,
            blocks,
            records,
            block_count,
            encoded: Vec::new(),
        }
    }

    /// Where the entries end.
    pub(crate) fn end(&self) -> End {
        self.end
    }

    /// The blocks written so far, by stream.
    pub(crate) fn blocks(&self) -> &BTreeMap<u32, Vec<IndexEntry>> {
        &self.blocks
    }

    /// Bytes of the index entries so far: they all go into one payload.
    pub(crate) fn index_bytes(&self) -> usize {
        self.block_count * IndexEntry::BYTES
    }

    /// Records in the blocks written so far.
    pub(crate) fn records(&self) -> u64 {
        self.records
    }

    /// Forces everything written so far to the medium.
    pub(crate) fn sync(&mut self) -> Result<()> {
        self.segment.file.sync().map_err(Error::io("sync", &self.segment.name))?;
        self.durable = self.end.offset;
        Ok(())
    }

    /// Where the next entry is written: the end, or behind the torn bytes there.
    pub(crate) fn next_offset(&self) -> u32 {
        self.next
    }

    /// Writes a catalog.
    pub(crate) fn catalog(&mut self, catalog: &Catalog) -> Result<()> {
        let mut payload = Vec::new();
        catalog.encode(&mut payload);
        self.entry(EntryKind::Catalog, self.builder(), &[&payload]).map(|_| ())
    }

    /// Writes a frame of `records`, made of sections.
    pub(crate) fn frame(&mut self, records: u32, payload: &[u8]) -> Result<()> {
        let mut builder = self.builder();
        builder.header.records = records.into();
        self.entry(EntryKind::Frame, builder, &[payload]).map(|_| ())
    }

    /// Writes a block and remembers it for the index.
    ///
    /// A block that its codec would not make smaller is stored with compression `none`.
    pub(crate) fn block(&mut self, parts: &BlockParts<'_>) -> Result<IndexEntry> {
        let decoded_bytes = parts.layout.decoded_bytes(parts.records);
        let mut encoded = std::mem::take(&mut self.encoded);
        encoded.clear();
        let mut compression = parts.compression;
        if compression != Compression::None {
            parts.layout.encode(compression, parts.lanes, &mut encoded);
            if encoded.len() >= decoded_bytes {
                compression = Compression::None;
            }
        }
        let set_ticks = parts.layout.set_ticks(compression, &encoded);
        let builder = self.block_builder(parts, decoded_bytes, compression, set_ticks);
        let entry = if compression == Compression::None {
            let padded = padded_lanes(parts.lanes);
            self.entry(EntryKind::Block, builder, &padded)
        } else {
            self.entry(EntryKind::Block, builder, &[&encoded])
        };
        self.encoded = encoded;
        self.remember(&entry?)
    }

    /// Writes a region of a plane as a block.
    pub(crate) fn region(&mut self, parts: &RegionParts<'_>) -> Result<IndexEntry> {
        let mut payload = std::mem::take(&mut self.encoded);
        payload.clear();
        parts.region.finish(parts.number, &mut payload);
        let (first_ts, last_ts) = parts.region.ends(parts.number);
        let words = parts.region.words();
        let mut builder = self.builder();
        builder.header.stream = parts.stream.into();
        builder.header.records = words.into();
        builder.header.first_sequence = parts.first_sequence.into();
        builder.block = Some(BlockHeader {
            first_ts: first_ts.into(),
            last_ts: last_ts.into(),
            decoded_bytes: (parts.layout.decoded_bytes(words as usize) as u32).into(),
            schema_crc: parts.layout.schema_crc().into(),
            compression: Compression::Presence.code(),
            set_ticks: parts.region.count().into(),
            reserved: [0; 35],
        });
        let entry = self.entry(EntryKind::Block, builder, &[&payload]);
        self.encoded = payload;
        self.remember(&entry?)
    }

    /// A block was written: it will be in the index.
    fn remember(&mut self, entry: &Entry) -> Result<IndexEntry> {
        let index = IndexEntry::of(entry).ok_or_else(|| Error::invalid("a block has no header"))?;
        self.blocks.entry(entry.header.stream.get()).or_default().push(index);
        self.records += u64::from(index.records.get());
        self.block_count += 1;
        Ok(index)
    }

    fn block_builder(
        &self,
        parts: &BlockParts<'_>,
        decoded_bytes: usize,
        compression: Compression,
        set_ticks: u32,
    ) -> EntryBuilder {
        let times = parts.lanes.first().map_or(&[][..], |lane| lane.as_chunks::<8>().0);
        let ts = |word: Option<&[u8; 8]>| word.map_or(0, |word| i64::from_le_bytes(*word));
        let mut builder = self.builder();
        builder.header.stream = parts.stream.into();
        builder.header.records = (parts.records as u32).into();
        builder.header.first_sequence = parts.first_sequence.into();
        builder.block = Some(BlockHeader {
            first_ts: ts(times.first()).into(),
            last_ts: ts(times.last()).into(),
            decoded_bytes: (decoded_bytes as u32).into(),
            schema_crc: parts.layout.schema_crc().into(),
            compression: compression.code(),
            set_ticks: set_ticks.into(),
            reserved: [0; 35],
        });
        builder
    }

    fn builder(&self) -> EntryBuilder {
        let End { crc, entries, .. } = self.end;
        let mut builder = EntryBuilder::new(self.place, self.next, entries, crc);
        builder.header.durable_offset = self.durable.min(self.next).into();
        builder
    }

    /// Bytes on disk of an entry with `payload` bytes of payload.
    pub(crate) fn entry_bytes(kind: EntryKind, payload: u32) -> u32 {
        let table = presence_format::checksum::table_bytes(payload);
        align_up(kind.header_bytes().saturating_add(payload).saturating_add(table))
    }

    fn entry(
        &mut self,
        kind: EntryKind,
        mut builder: EntryBuilder,
        payload: &[&[u8]],
    ) -> Result<Entry> {
        let payload_bytes: usize = payload.iter().map(|part| part.len()).sum();
        if payload_bytes > PAYLOAD_BYTES_MAX as usize {
            return Err(Error::invalid(format!("a payload of {payload_bytes} bytes is too large")));
        }
        let mut hasher = PayloadHasher::new();
        payload.iter().for_each(|part| hasher.update(part));
        let (payload_crc, table) = hasher.finish();
        builder.header.payload_bytes = (payload_bytes as u32).into();
        builder.header.payload_crc = payload_crc.into();
        let (header, header_bytes, crc) = builder.finish(kind);
        let header = header.get(..header_bytes).unwrap_or_default();
        let offset = self.next;
        let entry = Entry::parse(header, self.place, offset)
            .map_err(Error::format(&self.segment.name, u64::from(offset)))?;
        let used = header_bytes + payload_bytes + table.len();
        let padding = (entry.end() - offset) as usize - used;
        let mut parts: Vec<&[u8]> = Vec::with_capacity(payload.len() + 3);
        parts.push(header);
        parts.extend_from_slice(payload);
        parts.push(&table);
        parts.push(ZEROS.get(..padding).unwrap_or_default());
        self.segment
            .file
            .write_at(&parts, u64::from(offset))
            .map_err(Error::io("write", &self.segment.name))?;
        self.end = End { offset: entry.end(), crc, entries: self.end.entries.saturating_add(1) };
        self.next = entry.end();
        Ok(entry)
    }

    /// Syncs, writes index and footer behind the data, and syncs those. `log` is the end of the
    /// last log segment that this one stands for; its own where it is one itself.
    pub(crate) fn seal(&mut self, catalog: Catalog, log: Option<End>) -> Result<Index> {
        self.sync()?;
        let data = self.end;
        let log = log.unwrap_or(data);
        let streams = self.blocks.iter();
        let streams = streams
            .map(|(&stream, entries)| StreamBlocks { stream, entries: entries.clone() })
            .collect();
        let index = Index { catalog, streams };
        let payload = index.encode();
        let index_bytes = Self::entry_bytes(EntryKind::Index, payload.len() as u32);
        let name = &self.segment.name;
        let file_bytes = self.segment.file.len().map_err(Error::io("measure", name))?;
        let file_bytes = u32::try_from(file_bytes)
            .map_err(|_| Error::invalid(format!("{name} is larger than a segment can be")))?;
        let footer_offset =
            file_bytes.max(self.next + index_bytes + Footer::BYTES as u32) - Footer::BYTES as u32;
        let index_offset =
            (footer_offset - index_bytes) & !(presence_format::entry::ENTRY_ALIGN - 1);
        self.next = index_offset;
        self.entry(EntryKind::Index, self.builder(), &[&payload])?;
        let footer = Footer {
            magic: presence_format::segment::FOOTER_MAGIC,
            footer_crc: 0.into(),
            database: self.place.database.into(),
            segment: self.place.segment.into(),
            index_offset: index_offset.into(),
            data_end: data.offset.into(),
            data_crc: data.crc.into(),
            entries: data.entries.into(),
            torn_bytes: self.torn_bytes.into(),
            records: self.records.into(),
            log_crc: log.crc.into(),
            log_end: log.offset.into(),
            reserved: [0; 8],
        };
        let name = &self.segment.name;
        self.segment
            .file
            .write_at(&[&footer.encode()], u64::from(footer_offset))
            .map_err(Error::io("write", name))?;
        self.sync()?;
        self.segment.set_sealed();
        Ok(index)
    }
}

/// Lanes with the zeros that bring each to the alignment of the next.
fn padded_lanes<'a>(lanes: &[&'a [u8]]) -> Vec<&'a [u8]> {
    lanes
        .iter()
        .flat_map(|lane| {
            let padding = lane.len().next_multiple_of(64) - lane.len();
            [*lane, ZEROS.get(..padding).unwrap_or_default()]
        })
        .collect()
}
