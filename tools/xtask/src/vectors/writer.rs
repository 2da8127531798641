//! Writes one segment into memory, entry by entry, with the encoders of `presence-format`.
//!
//! It knows the order of bytes and nothing of files, threads or recovery: the engine's writer and
//! this one agree because they follow the same text.

use std::collections::BTreeMap;

use presence_format::block::{BlockHeader, BlockLayout};
use presence_format::catalog::Catalog;
use presence_format::checksum::PayloadHasher;
use presence_format::entry::{ENTRY_ALIGN, Entry, EntryBuilder, EntryKind, Place};
use presence_format::index::{Index, IndexEntry, StreamBlocks};
use presence_format::schema::Schema;
use presence_format::segment::{FOOTER_MAGIC, Footer, SegmentHeader};
use presence_format::{Compression, frame};

use super::rows::{self, Row};
use crate::Result;

/// One stream's part of a frame: stream, sequence of the first record, records.
pub(crate) type Part<'a> = (u32, u64, &'a [Row]);

/// A segment under construction.
pub(crate) struct VectorWriter {
    bytes: Vec<u8>,
    place: Place,
    offset: u32,
    number: u32,
    crc: u32,
    durable: u32,
    torn_bytes: u32,
    schemas: BTreeMap<u32, Schema>,
    blocks: BTreeMap<u32, Vec<IndexEntry>>,
    records: u64,
}

impl VectorWriter {
    /// A segment that begins with `header` and a catalog, both durable.
    pub(crate) fn new(header: SegmentHeader, catalog: &Catalog) -> Result<Self> {
        let bytes = header.encode();
        let header = SegmentHeader::decode(&bytes).map_err(|error| error.to_string())?;
        let mut writer = Self {
            bytes: bytes.to_vec(),
            place: header.place(),
            offset: SegmentHeader::BYTES as u32,
            number: 0,
            crc: header.header_crc.get(),
            durable: 0,
            torn_bytes: 0,
            schemas: BTreeMap::new(),
            blocks: BTreeMap::new(),
            records: 0,
        };
        writer.catalog(catalog)?;
        writer.sync();
        Ok(writer)
    }

    /// What was written so far is durable from here on.
    pub(crate) fn sync(&mut self) {
        self.durable = self.offset;
    }

    pub(crate) fn catalog(&mut self, catalog: &Catalog) -> Result<()> {
        for stream in &catalog.streams {
            self.schemas.insert(stream.id, stream.schema.clone());
        }
        let mut payload = Vec::new();
        catalog.encode(&mut payload);
        self.entry(EntryKind::Catalog, self.builder(), &payload).map(|_| ())
    }

    pub(crate) fn frame(&mut self, parts: &[Part<'_>]) -> Result<()> {
        let (builder, payload) = self.frame_parts(parts)?;
        self.entry(EntryKind::Frame, builder, &payload).map(|_| ())
    }

    fn frame_parts(&self, parts: &[Part<'_>]) -> Result<(EntryBuilder, Vec<u8>)> {
        let mut payload = Vec::new();
        let mut records = 0;
        for &(stream, first_sequence, rows) in parts {
            frame::encode_head(stream, first_sequence, rows.len() as u32, &mut payload);
            payload.extend(rows::lanes(self.schema(stream)?, rows).concat());
            records += rows.len() as u32;
        }
        let mut builder = self.builder();
        builder.header.records = records.into();
        Ok((builder, payload))
    }

    /// Writes the first `keep` bytes of a frame, as a crash may leave them.
    pub(crate) fn torn_frame(&mut self, parts: &[Part<'_>], keep: usize) -> Result<()> {
        let (builder, payload) = self.frame_parts(parts)?;
        let (_, mut bytes) = self.assemble(EntryKind::Frame, builder, &payload)?;
        bytes.truncate(keep);
        self.bytes.extend_from_slice(&bytes);
        Ok(())
    }

    /// Goes on behind torn bytes, as recovery does: at the next multiple of 64, the chain unbroken.
    pub(crate) fn resume(&mut self) {
        self.torn_bytes += self.bytes.len() as u32 - self.offset;
        self.bytes.resize(self.bytes.len().next_multiple_of(ENTRY_ALIGN as usize), 0);
        self.offset = self.bytes.len() as u32;
        self.sync();
    }

    pub(crate) fn block(
        &mut self,
        stream: u32,
        compression: Compression,
        first_sequence: u64,
        rows: &[Row],
    ) -> Result<()> {
        let schema = self.schema(stream)?;
        let layout = BlockLayout::new(schema);
        let lanes = rows::lanes(schema, rows);
        let payload = block_payload(&layout, compression, &lanes);
        let mut builder = self.builder();
        builder.header.stream = stream.into();
        builder.header.records = (rows.len() as u32).into();
        builder.header.first_sequence = first_sequence.into();
        builder.block = Some(BlockHeader {
            first_ts: rows.first().map_or(0, |row| row.ts).into(),
            last_ts: rows.last().map_or(0, |row| row.ts).into(),
            decoded_bytes: (layout.decoded_bytes(rows.len()) as u32).into(),
            schema_crc: layout.schema_crc().into(),
            compression: compression.code(),
            set_ticks: layout.set_ticks(compression, &payload).into(),
            reserved: [0; 35],
        });
        let entry = self.entry(EntryKind::Block, builder, &payload)?;
        self.blocks.entry(stream).or_default().extend(IndexEntry::of(&entry));
        self.records += rows.len() as u64;
        Ok(())
    }

    /// Seals: everything durable, then the index and the footer at the end of a file of at least
    /// `file_bytes`. `log` is offset and checksum at which the last log segment ended that this
    /// one stands for; `None` for a segment of the log.
    pub(crate) fn seal(
        &mut self,
        catalog: Catalog,
        file_bytes: usize,
        log: Option<(u32, u32)>,
    ) -> Result<()> {
        self.sync();
        let (data_end, data_crc, entries) = (self.offset, self.crc, self.number);
        let streams = self.blocks.iter();
        let streams = streams
            .map(|(&stream, entries)| StreamBlocks { stream, entries: entries.clone() })
            .collect();
        let payload = Index { catalog, streams }.encode();
        let index_bytes =
            (EntryKind::Index.header_bytes() as usize + payload.len()).next_multiple_of(64);
        let least = self.bytes.len() + index_bytes + Footer::BYTES;
        let footer_offset = file_bytes.max(least) - Footer::BYTES;
        let index_offset = (footer_offset - index_bytes) & !(ENTRY_ALIGN as usize - 1);
        self.reserve(index_offset);
        self.offset = index_offset as u32;
        self.entry(EntryKind::Index, self.builder(), &payload)?;
        self.reserve(footer_offset);
        let (log_end, log_crc) = log.unwrap_or((data_end, data_crc));
        let footer = Footer {
            magic: FOOTER_MAGIC,
            footer_crc: 0.into(),
            database: self.place.database.into(),
            segment: self.place.segment.into(),
            index_offset: (index_offset as u32).into(),
            data_end: data_end.into(),
            data_crc: data_crc.into(),
            entries: entries.into(),
            torn_bytes: self.torn_bytes.into(),
            records: self.records.into(),
            log_crc: log_crc.into(),
            log_end: log_end.into(),
            reserved: [0; 8],
        };
        self.bytes.extend_from_slice(&footer.encode());
        Ok(())
    }

    /// Where the entries end, and the checksum of the last header: what the next segment names.
    pub(crate) fn end(&self) -> (u32, u32) {
        (self.offset, self.crc)
    }

    /// Zeros up to `file_bytes`, as space reserved ahead.
    pub(crate) fn reserve(&mut self, file_bytes: usize) {
        self.bytes.resize(self.bytes.len().max(file_bytes), 0);
    }

    /// The segment as it is now.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    fn schema(&self, stream: u32) -> Result<&Schema> {
        self.schemas.get(&stream).ok_or_else(|| format!("no catalog tells of stream {stream}"))
    }

    fn builder(&self) -> EntryBuilder {
        let mut builder = EntryBuilder::new(self.place, self.offset, self.number, self.crc);
        builder.header.durable_offset = self.durable.into();
        builder
    }

    fn entry(&mut self, kind: EntryKind, builder: EntryBuilder, payload: &[u8]) -> Result<Entry> {
        let (entry, bytes) = self.assemble(kind, builder, payload)?;
        self.bytes.extend_from_slice(&bytes);
        (self.offset, self.number, self.crc) =
            (entry.end(), self.number + 1, entry.header.header_crc.get());
        Ok(entry)
    }

    fn assemble(
        &self,
        kind: EntryKind,
        mut builder: EntryBuilder,
        payload: &[u8],
    ) -> Result<(Entry, Vec<u8>)> {
        let mut hasher = PayloadHasher::new();
        hasher.update(payload);
        let (payload_crc, table) = hasher.finish();
        builder.header.payload_bytes = (payload.len() as u32).into();
        builder.header.payload_crc = payload_crc.into();
        let (header, header_bytes, _) = builder.finish(kind);
        let mut bytes = header.get(..header_bytes).unwrap_or_default().to_vec();
        let entry =
            Entry::parse(&bytes, self.place, self.offset).map_err(|error| error.to_string())?;
        bytes.extend_from_slice(payload);
        bytes.extend_from_slice(&table);
        bytes.resize((entry.end() - self.offset) as usize, 0);
        Ok((entry, bytes))
    }
}

/// The stored payload of a block: its lanes padded, or encoded behind their table.
fn block_payload(layout: &BlockLayout, compression: Compression, lanes: &[Vec<u8>]) -> Vec<u8> {
    let mut payload = Vec::new();
    if compression == Compression::None {
        for lane in lanes {
            payload.extend_from_slice(lane);
            payload.resize(payload.len().next_multiple_of(64), 0);
        }
    } else {
        let lanes: Vec<&[u8]> = lanes.iter().map(Vec::as_slice).collect();
        layout.encode(compression, &lanes, &mut payload);
    }
    payload
}
