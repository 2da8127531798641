//! Segments made byte by byte: right checksums around wrong content.
//!
//! Record `s` of a plain stream has the timestamp `10 s` and the value [`value`]`(s)`.

use std::collections::BTreeMap;
use std::path::Path;

use presence_format::block::{BlockHeader, BlockLayout};
use presence_format::catalog::{Catalog, StreamEntry};
use presence_format::checksum::{PayloadHasher, header_crc32};
use presence_format::entry::{Entry, EntryBuilder, EntryKind, align_up};
use presence_format::frame;
use presence_format::index::{Index, IndexEntry, StreamBlocks};
use presence_format::segment::{DatabaseId, FOOTER_MAGIC, Footer, SegmentHeader};
use presence_format::{Compression, Schema};

pub(crate) use presence_tests::{plain, value};

pub(crate) const DATABASE: DatabaseId = DatabaseId(*b"hostile database");
pub(crate) const OTHER: DatabaseId = DatabaseId(*b"foreign database");
const CREATED: i64 = 1_700_000_000_000_000;

/// Stream `id` without records, as a catalog tells of it.
pub(crate) fn stream(id: u32, name: &str, schema: Schema) -> StreamEntry {
    StreamEntry {
        id,
        name: name.to_owned(),
        finished: false,
        sequence: 0,
        last_ts: None,
        touched: None,
        schema,
    }
}

/// The catalog of the plain stream `a`.
pub(crate) fn catalog() -> Catalog {
    Catalog { retained_from: 0, streams: vec![stream(1, "a", plain())] }
}

/// Timestamps and values of plain records.
pub(crate) fn lanes(from: u64, records: u64) -> [Vec<u8>; 2] {
    let all = || from..from + records;
    [
        all().flat_map(|sequence| (sequence as i64).wrapping_mul(10).to_le_bytes()).collect(),
        all().flat_map(|sequence| value(sequence).to_le_bytes()).collect(),
    ]
}

/// A decoded block of `lanes`, each filled up to a multiple of 64 bytes.
pub(crate) fn padded(lanes: &[Vec<u8>]) -> Vec<u8> {
    let mut out = Vec::new();
    for lane in lanes {
        out.extend_from_slice(lane);
        out.resize(out.len().next_multiple_of(64), 0);
    }
    out
}

/// One section of a frame, of plain records.
pub(crate) fn section(stream: u32, from: u64, records: u64) -> Vec<u8> {
    let mut out = Vec::new();
    frame::encode_head(stream, from, records as u32, &mut out);
    out.extend(lanes(from, records).concat());
    out
}

/// A segment in the making.
#[derive(Debug, Clone)]
pub(crate) struct Log {
    pub(crate) header: SegmentHeader,
    pub(crate) bytes: Vec<u8>,
    pub(crate) number: u32,
    pub(crate) crc: u32,
    /// What the next entries say was durable: all before them.
    pub(crate) durable: bool,
    pub(crate) catalog: Catalog,
    pub(crate) blocks: BTreeMap<u32, Vec<IndexEntry>>,
}

impl Log {
    /// Log segment `segment`, the first of its database.
    pub(crate) fn new(segment: u32) -> Self {
        Self::of(SegmentHeader::first(DATABASE, segment, CREATED))
    }

    /// A segment with this header.
    pub(crate) fn of(header: SegmentHeader) -> Self {
        let bytes = header.encode().to_vec();
        let crc = u32::from_le_bytes(bytes[12..16].try_into().unwrap());
        Self {
            header,
            bytes,
            number: 0,
            crc,
            durable: true,
            catalog: Catalog::default(),
            blocks: BTreeMap::new(),
        }
    }

    /// A header that was changed.
    pub(crate) fn with(change: impl FnOnce(&mut SegmentHeader)) -> Self {
        let mut header = SegmentHeader::first(DATABASE, 1, CREATED);
        change(&mut header);
        Self::of(header).opened().filled()
    }

    /// A segment of the stream `a` with two blocks of twenty records and a frame of five.
    pub(crate) fn standard() -> Self {
        Self::new(1).opened().filled()
    }

    /// The header of a log segment `segment` that follows this one as it is now.
    pub(crate) fn next(&self, segment: u32) -> SegmentHeader {
        let mut header = SegmentHeader::first(DATABASE, segment, CREATED);
        header.previous_segment = self.header.log_last;
        header.previous_end = (self.end()).into();
        header.previous_crc = self.crc.into();
        header
    }

    /// With the catalog of `a` in front.
    pub(crate) fn opened(mut self) -> Self {
        self.tell(&catalog());
        self
    }

    fn filled(mut self) -> Self {
        self.block(1, 0, 20);
        self.block(1, 20, 20);
        self.frame(&section(1, 40, 5), 5);
        self
    }

    pub(crate) fn end(&self) -> u32 {
        self.bytes.len() as u32
    }

    /// Appends an entry whose fields `change` may change before the checksum is made.
    pub(crate) fn entry(
        &mut self,
        kind: EntryKind,
        payload: &[u8],
        change: impl FnOnce(&mut EntryBuilder),
    ) -> &mut Self {
        let offset = self.end();
        let mut builder = EntryBuilder::new(self.header.place(), offset, self.number, self.crc);
        let mut hasher = PayloadHasher::new();
        hasher.update(payload);
        let (crc, table) = hasher.finish();
        builder.header.payload_bytes = (payload.len() as u32).into();
        builder.header.payload_crc = crc.into();
        builder.header.durable_offset = if self.durable { offset } else { 0 }.into();
        change(&mut builder);
        let (header, len, crc) = builder.finish(kind);
        self.bytes.extend_from_slice(&header[..len]);
        self.bytes.extend_from_slice(payload);
        self.bytes.extend_from_slice(&table);
        self.bytes.resize(align_up(self.end()) as usize, 0);
        self.number += 1;
        self.crc = crc;
        if let Ok(entry) = Entry::parse(&header[..len], self.header.place(), offset)
            && let Some(index) = IndexEntry::of(&entry)
        {
            self.blocks.entry(entry.header.stream.get()).or_default().push(index);
        }
        self
    }

    /// Appends a catalog.
    pub(crate) fn tell(&mut self, catalog: &Catalog) -> &mut Self {
        let mut payload = Vec::new();
        catalog.encode(&mut payload);
        self.catalog = catalog.clone();
        self.entry(EntryKind::Catalog, &payload, |_| {})
    }

    /// Appends a block of plain records.
    pub(crate) fn block(&mut self, stream: u32, from: u64, records: u64) -> &mut Self {
        self.changed_block(stream, from, records, |_| {})
    }

    /// The same, changed.
    pub(crate) fn changed_block(
        &mut self,
        stream: u32,
        from: u64,
        records: u64,
        change: impl FnOnce(&mut EntryBuilder),
    ) -> &mut Self {
        let payload = padded(&lanes(from, records));
        let bounds = (from as i64 * 10, (from + records - 1) as i64 * 10);
        let shape = Shape { schema: &plain(), stream, from, records, bounds };
        self.made_block(&shape, Compression::None, &payload, change)
    }

    /// Appends a block of any payload.
    pub(crate) fn made_block(
        &mut self,
        shape: &Shape<'_>,
        compression: Compression,
        payload: &[u8],
        change: impl FnOnce(&mut EntryBuilder),
    ) -> &mut Self {
        let layout = BlockLayout::new(shape.schema);
        self.entry(EntryKind::Block, payload, |builder| {
            builder.header.stream = shape.stream.into();
            builder.header.records = (shape.records as u32).into();
            builder.header.first_sequence = shape.from.into();
            builder.block = Some(BlockHeader {
                first_ts: shape.bounds.0.into(),
                last_ts: shape.bounds.1.into(),
                decoded_bytes: (layout.decoded_bytes(shape.records as usize) as u32).into(),
                schema_crc: layout.schema_crc().into(),
                compression: compression.code(),
                set_ticks: 0.into(),
                reserved: [0; 35],
            });
            change(builder);
        })
    }

    /// Appends a frame.
    pub(crate) fn frame(&mut self, payload: &[u8], records: u32) -> &mut Self {
        self.entry(EntryKind::Frame, payload, |builder| {
            builder.header.records = records.into();
        })
    }

    /// Appends bytes that are no entry, up to a multiple of 64.
    pub(crate) fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.bytes.extend_from_slice(bytes);
        self.bytes.resize(align_up(self.end()) as usize, 0);
        self
    }

    /// Changes bytes that were written, checksum of the header left as it was.
    pub(crate) fn poke(&mut self, offset: usize, bytes: &[u8]) -> &mut Self {
        self.bytes[offset..offset + bytes.len()].copy_from_slice(bytes);
        self
    }

    /// Changes bytes of an entry's header of `len` bytes and makes its checksum right again.
    pub(crate) fn forge(&mut self, entry: usize, len: usize, at: usize, bytes: &[u8]) -> &mut Self {
        self.poke(entry + at, bytes);
        let crc = header_crc32(&self.bytes[entry..entry + len], 4);
        self.poke(entry + 4, &crc.to_le_bytes())
    }

    /// What the index should be.
    pub(crate) fn index(&self) -> Index {
        let mut catalog = self.catalog.clone();
        for stream in &mut catalog.streams {
            if let Some(last) = self.blocks.get(&stream.id).and_then(|blocks| blocks.last()) {
                stream.sequence = last.end_sequence();
                stream.last_ts = Some(last.last_ts.get());
            }
        }
        let streams = self
            .blocks
            .iter()
            .map(|(&stream, entries)| StreamBlocks { stream, entries: entries.clone() });
        Index { catalog, streams: streams.collect() }
    }

    /// What the footer should be, the index being next.
    pub(crate) fn footer(&self) -> Footer {
        let place = self.header.place();
        let blocks = self.blocks.values().flatten();
        Footer {
            magic: FOOTER_MAGIC,
            footer_crc: 0.into(),
            database: place.database.into(),
            segment: place.segment.into(),
            index_offset: self.end().into(),
            data_end: self.end().into(),
            data_crc: self.crc.into(),
            entries: self.number.into(),
            torn_bytes: 0.into(),
            records: blocks.map(|block| u64::from(block.records.get())).sum::<u64>().into(),
            log_crc: self.crc.into(),
            log_end: self.end().into(),
            reserved: [0; 8],
        }
    }

    /// The sealed segment: index and footer as they should be.
    pub(crate) fn sealed(self) -> Vec<u8> {
        self.sealed_as(|_| {}, |_| {})
    }

    /// The sealed segment, its index and footer changed.
    pub(crate) fn sealed_as(
        self,
        change_index: impl FnOnce(&mut Index),
        change_footer: impl FnOnce(&mut Footer),
    ) -> Vec<u8> {
        let mut index = self.index();
        change_index(&mut index);
        self.sealed_with(&index.encode(), change_footer)
    }

    /// The sealed segment with any payload for its index.
    pub(crate) fn sealed_with(
        mut self,
        payload: &[u8],
        change_footer: impl FnOnce(&mut Footer),
    ) -> Vec<u8> {
        let mut footer = self.footer();
        change_footer(&mut footer);
        let offset = self.end();
        self.entry(EntryKind::Index, payload, |builder| {
            builder.header.durable_offset = offset.into();
        });
        self.bytes.extend_from_slice(&footer.encode());
        self.bytes
    }

    /// With the records of the frame in a block: what may be sealed.
    pub(crate) fn whole(mut self) -> Self {
        self.block(1, 40, 5);
        self
    }

    /// Writes the segment into `directory`, under the name of its number.
    pub(crate) fn put(&self, directory: &Path) {
        put(directory, self.header.segment.get(), &self.bytes);
    }
}

/// What a block's header says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape<'a> {
    pub(crate) schema: &'a Schema,
    pub(crate) stream: u32,
    pub(crate) from: u64,
    pub(crate) records: u64,
    pub(crate) bounds: (i64, i64),
}

/// Writes segment `number`.
pub(crate) fn put(directory: &Path, number: u32, bytes: &[u8]) {
    std::fs::write(directory.join(name(number)), bytes).unwrap();
}

/// The file name of segment `number`.
pub(crate) fn name(number: u32) -> String {
    format!("seg-{number:08x}.presence")
}
