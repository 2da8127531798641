//! Takes what is sound of a damaged segment: its blocks as they are stored, and the records of
//! frames that no sound block repeats.
//!
//! # Invariants
//! - Blocks of a stream come out ascending in sequence and time, as an index needs them; what
//!   contradicts what came before is left out.
//! - Of frames only places are kept, until a block is made of them or repeats them.
//! - Blocks of planes come out as they are, in the order of their numbers, and between them the
//!   words of frames that no later region of the segment stands for: each section as one block.

use std::collections::BTreeMap;
use std::io;

use presence::device::Device;
use presence_format::Order;
use presence_format::block::BlockLayout;
use presence_format::catalog::{Catalog, StreamEntry};
use presence_format::checksum::crc32;
use presence_format::entry::{Entry, EntryKind};
use presence_format::frame::Section;
use presence_format::index::{Index, IndexEntry};
use presence_format::plane::region_of;
use presence_format::segment::SegmentHeader;

use crate::bytes::Bytes;
use crate::planes;
use crate::repair::output::{BlockHead, Output};
use crate::repair::piece::Piece;
use crate::walk::{self, Bounds};
use crate::{seal, segment};

/// Decoded bytes of a block made of frames.
const BLOCK_BYTES: usize = 256 << 10;
/// Sections of frames that wait for a block.
const WAITING_MAX: usize = 1 << 19;

/// A damaged segment.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    /// The file's name on the device.
    pub(crate) name: String,
    /// Its header, or what it must have been.
    pub(crate) header: SegmentHeader,
    /// What its first entry chains to.
    pub(crate) first_crc: u32,
    /// Everything below was durable, as its successor says; else 0.
    pub(crate) durable: u32,
    /// Whether blocks are decoded, and left out where that fails.
    pub(crate) deep: bool,
}

/// What was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Gathered {
    /// The streams as the segment left them.
    pub(crate) catalog: Catalog,
    pub(crate) blocks: u64,
    pub(crate) records: u64,
    /// Those of the records that were in frames only.
    pub(crate) from_frames: u64,
    /// Where the entries of the last log segment ended, where that is known.
    pub(crate) log: Option<(u32, u32)>,
    /// Where the sound entries end.
    pub(crate) end: (u32, u32),
}

/// Streams that other segments tell of, for catalogs that are lost.
pub(crate) type Known = BTreeMap<u32, StreamEntry>;

/// Takes what is sound of `source` into `output`; returns that, to be sealed.
///
/// # Errors
/// Where reading or writing fails, or the file contradicts itself beyond measure.
pub(crate) fn gather(
    device: &dyn Device,
    source: &Source,
    known: &Known,
    output: Output,
) -> io::Result<(Gathered, Output)> {
    let mut bytes = Bytes::open(device, &source.name)?;
    let place = source.header.place();
    let sealed = seal::read(&mut bytes, place)?.ok();
    let bounds = Bounds {
        place,
        first_crc: source.first_crc,
        durable: sealed.as_ref().map_or(source.durable, |seal| seal.footer.data_end.get()),
        index: sealed.as_ref().map(|seal| seal.footer.index_offset.get()),
        payloads: true,
    };
    let mut taker = Taker {
        output,
        known,
        streams: BTreeMap::new(),
        retained_from: 0,
        frames: Bytes::open(device, &source.name)?,
        newest: newest_regions(&mut bytes, bounds, known, source.deep)?,
        waiting: 0,
        from_frames: 0,
        deep: source.deep,
        failed: None,
    };
    let walked = walk::walk(&mut bytes, bounds, &mut |entry, payload| taker.take(entry, payload))?;
    let ids: Vec<u32> = taker.streams.keys().copied().collect();
    for id in ids {
        taker.emit(id, u64::MAX, None)?;
    }
    if let Some(error) = taker.failed.take() {
        return Err(error);
    }
    if let Some(why) = walked.gave_up {
        return Err(io::Error::other(why));
    }
    let log = match &sealed {
        Some(seal) => Some((seal.footer.log_end.get(), seal.footer.log_crc.get())),
        None => walked.log_end().filter(|_| source.header.generation.get() == 0),
    };
    let end = walked.data_end();
    let catalog = taker.catalog(sealed.map(|seal| seal.index.catalog));
    let output = taker.output;
    let gathered = Gathered {
        catalog,
        blocks: output.block_count(),
        records: output.records,
        from_frames: taker.from_frames,
        log,
        end: (end.offset, end.crc),
    };
    Ok((gathered, output))
}

/// One stream.
#[derive(Debug)]
pub(super) struct Stream {
    entry: StreamEntry,
    pub(super) layout: BlockLayout,
    /// Whether the segment itself tells of it.
    told: bool,
    /// Behind the last record taken: sequence and timestamp.
    pub(super) end: Option<(u64, i64)>,
    /// Sections of frames that no block repeated yet, in the order of the log.
    waiting: Vec<Place>,
    /// Behind all numbers that entries of a plane have.
    numbers: u64,
}

/// Where a section of a frame stands.
#[derive(Debug, Clone, Copy)]
struct Place {
    first_sequence: u64,
    records: u32,
    offset: u32,
    bytes: u32,
    crc: u32,
}

impl Place {
    fn end(&self) -> u64 {
        self.first_sequence.saturating_add(u64::from(self.records))
    }
}

impl Stream {
    fn new(entry: StreamEntry, told: bool) -> Self {
        let layout = BlockLayout::new(&entry.schema);
        Self { entry, layout, told, end: None, waiting: Vec::new(), numbers: 0 }
    }

    pub(super) fn order(&self) -> Order {
        self.entry.schema.order()
    }

    /// Whether a record at `ts` may follow what was taken.
    fn allows(&self, ts: i64) -> bool {
        self.end.is_none_or(|(_, last)| self.order().allows(last, ts))
    }
}

struct Taker<'a> {
    output: Output,
    known: &'a Known,
    streams: BTreeMap<u32, Stream>,
    retained_from: u32,
    /// The file again, to read frames from.
    frames: Bytes,
    /// The number of the newest sound block of each region, by stream.
    newest: NewestRegions,
    /// Sections that wait, in all streams.
    waiting: usize,
    from_frames: u64,
    deep: bool,
    /// The first failure of a write, or of a second read.
    failed: Option<io::Error>,
}

impl Taker<'_> {
    /// Takes an entry; an `Err` makes it unsound.
    fn take(&mut self, entry: &Entry, payload: &[u8]) -> Result<(), String> {
        if self.failed.is_some() {
            return Ok(());
        }
        match entry.kind {
            EntryKind::Catalog => {
                let catalog = Catalog::decode(payload).map_err(|error| error.what)?;
                self.take_catalog(catalog);
            }
            EntryKind::Frame => self.take_frame(entry, payload)?,
            EntryKind::Block => {
                if let Err(error) = self.take_block(entry, payload) {
                    self.failed = Some(error);
                }
            }
            EntryKind::Index => {
                let offset = entry.header.offset.get();
                Index::decode(payload, offset).map_err(|error| error.what)?;
            }
        }
        Ok(())
    }

    fn take_catalog(&mut self, catalog: Catalog) {
        self.retained_from = self.retained_from.max(catalog.retained_from);
        for entry in catalog.streams {
            let Some(stream) = self.streams.get_mut(&entry.id) else {
                self.streams.insert(entry.id, Stream::new(entry, true));
                continue;
            };
            if stream.entry.schema == entry.schema {
                stream.entry = entry;
                stream.told = true;
            }
        }
    }

    /// The stream `id`, also where the catalog that told of it is lost.
    fn stream(&mut self, id: u32) -> Option<&mut Stream> {
        if !self.streams.contains_key(&id) {
            let entry = self.known.get(&id)?.clone();
            let entry =
                StreamEntry { finished: false, sequence: 0, last_ts: None, touched: None, ..entry };
            self.streams.insert(id, Stream::new(entry, false));
        }
        self.streams.get_mut(&id)
    }

    fn take_frame(&mut self, entry: &Entry, payload: &[u8]) -> Result<(), String> {
        let mut rest = payload;
        let mut places: BTreeMap<u32, Place> = BTreeMap::new();
        while !rest.is_empty() {
            let section;
            let size = |id: u32| {
                let known = || self.known.get(&id).map(|entry| BlockLayout::new(&entry.schema));
                let layout = self.streams.get(&id).map(|stream| stream.layout.record_bytes());
                layout.or_else(|| known().map(|layout| layout.record_bytes()))
            };
            (section, rest) = Section::decode(rest, size).map_err(|error| error.what)?;
            let at = payload.len() - rest.len() - section.bytes.len();
            let place = Place {
                first_sequence: section.first_sequence,
                records: section.records,
                offset: entry.payload_offset().saturating_add(at as u32),
                bytes: section.bytes.len() as u32,
                crc: crc32(section.bytes),
            };
            if places.insert(section.stream, place).is_some() {
                return Err("a frame with two sections of one stream".to_owned());
            }
        }
        for (id, place) in places {
            self.waiting += 1;
            if let Some(stream) = self.stream(id) {
                stream.waiting.push(place);
                stream.numbers = stream.numbers.max(place.end());
            }
        }
        if self.waiting > WAITING_MAX {
            self.failed = Some(io::Error::other("too many frames that no block repeats"));
        }
        Ok(())
    }

    fn take_block(&mut self, entry: &Entry, payload: &[u8]) -> io::Result<()> {
        let header = &entry.header;
        let (id, records) = (header.stream.get(), header.records.get());
        let first_sequence = header.first_sequence.get();
        let Some(block) = entry.block else { return Ok(()) };
        let deep = self.deep;
        let Some(stream) = self.stream(id) else { return Ok(()) };
        if stream.layout.is_plane() {
            return self.take_plane_block(entry, payload);
        }
        let decoded_bytes = stream.layout.decoded_bytes(records as usize);
        let fits = block.schema_crc.get() == stream.layout.schema_crc()
            && block.decoded_bytes.get() as usize == decoded_bytes
            && stream.end.is_none_or(|(end, _)| end <= first_sequence)
            && stream.allows(block.first_ts.get());
        let is_sound = || !deep || segment::content(entry, payload, &stream.layout).is_ok();
        if !fits || !is_sound() {
            return Ok(());
        }
        self.emit(id, first_sequence, Some(block.first_ts.get()))?;
        let end = first_sequence.saturating_add(u64::from(records));
        let head = BlockHead { stream: id, records, first_sequence, block };
        self.output.block(&head, &[payload])?;
        let Some(stream) = self.streams.get_mut(&id) else { return Ok(()) };
        stream.end = Some((end, block.last_ts.get()));
        let before = stream.waiting.len();
        stream.waiting.retain(|place| place.end() > end);
        self.waiting -= before - stream.waiting.len();
        Ok(())
    }

    /// Takes a block of a plane, behind the words of frames with lower numbers.
    fn take_plane_block(&mut self, entry: &Entry, payload: &[u8]) -> io::Result<()> {
        let header = &entry.header;
        let (id, records) = (header.stream.get(), header.records.get());
        let first_sequence = header.first_sequence.get();
        let Some((block, stream)) = entry.block.zip(self.streams.get(&id)) else { return Ok(()) };
        let free = stream.end.map_or(0, |(end, _)| end);
        if first_sequence < free || !is_sound_of_plane(&stream.entry, entry, payload, self.deep) {
            return Ok(());
        }
        self.emit_words(id, first_sequence)?;
        self.output.block(&BlockHead { stream: id, records, first_sequence, block }, &[payload])?;
        if let Some(stream) = self.streams.get_mut(&id) {
            let end = first_sequence.saturating_add(u64::from(records));
            stream.end = Some((end, block.last_ts.get()));
            stream.numbers = stream.numbers.max(end);
        }
        Ok(())
    }

    /// Makes blocks of words of what stands in frames with numbers below `to`, and in no region.
    fn emit_words(&mut self, id: u32, to: u64) -> io::Result<()> {
        let Some(stream) = self.streams.get_mut(&id) else { return Ok(()) };
        let waiting = stream.waiting.partition_point(|place| place.end() <= to);
        let places: Vec<Place> = stream.waiting.drain(..waiting).collect();
        self.waiting -= places.len();
        for place in places {
            let bytes = self.frames.get(u64::from(place.offset), place.bytes as usize)?;
            if crc32(bytes) != place.crc {
                return Err(io::Error::other("the file changed while it was read"));
            }
            let (times, words) = bytes.split_at(bytes.len() / 2);
            let pairs = times.as_chunks::<8>().0.iter().zip(words.as_chunks::<8>().0);
            let mut kept: BTreeMap<i64, [u8; 8]> = BTreeMap::new();
            for (sequence, (tick, word)) in (place.first_sequence..).zip(pairs) {
                let tick = i64::from_le_bytes(*tick);
                let newest = self.newest.get(&(id, region_of(tick)));
                if newest.is_none_or(|&newest| newest < sequence) {
                    kept.insert(tick, *word);
                }
            }
            let (Some((&last, _)), false) =
                (kept.last_key_value(), stream.end.is_some_and(|e| e.0 > place.first_sequence))
            else {
                continue;
            };
            let times: Vec<u8> = kept.keys().flat_map(|tick| tick.to_le_bytes()).collect();
            let words: Vec<u8> = kept.values().copied().flatten().collect();
            let records = kept.len() as u32;
            let head = (id, place.first_sequence, records);
            self.output.lanes(head, &stream.layout, &[times, words])?;
            stream.end = Some((place.first_sequence.saturating_add(u64::from(records)), last));
            self.from_frames += u64::from(records);
        }
        Ok(())
    }

    /// Makes blocks of records below `to` that stand in frames only: before a block that begins at
    /// the timestamp `before`, or at the end.
    fn emit(&mut self, id: u32, to: u64, before: Option<i64>) -> io::Result<()> {
        let Some(stream) = self.streams.get_mut(&id) else { return Ok(()) };
        if stream.layout.is_plane() {
            return self.emit_words(id, to);
        }
        let records_max = stream.layout.records_within(BLOCK_BYTES);
        let mut piece = Piece::default();
        for place in stream.waiting.clone() {
            let mut from = stream.end.map_or(0, |(end, _)| end).max(piece.end());
            from = from.max(place.first_sequence);
            let to = place.end().min(to);
            if from >= to {
                continue;
            }
            let bytes = self.frames.get(u64::from(place.offset), place.bytes as usize)?;
            if crc32(bytes) != place.crc {
                return Err(io::Error::other("the file changed while it was read"));
            }
            let section = Section {
                stream: id,
                first_sequence: place.first_sequence,
                records: place.records,
                bytes,
            };
            let lanes: Vec<&[u8]> = section.lanes(&stream.layout).collect();
            let skip = (from - place.first_sequence) as usize;
            let count = (to - from) as usize;
            if !piece.keeps_order(stream, &lanes, skip..skip + count, before) {
                continue;
            }
            let mut at = skip;
            while at < skip + count {
                let sequence = place.first_sequence + at as u64;
                if piece.records > 0 && (piece.end() != sequence || piece.records >= records_max) {
                    self.from_frames += piece.write(id, stream, &mut self.output)?;
                }
                let now = (skip + count - at).min(records_max - piece.records);
                piece.add(sequence, &stream.layout, &lanes, at..at + now);
                at += now;
            }
        }
        self.from_frames += piece.write(id, stream, &mut self.output)?;
        Ok(())
    }

    /// The streams as the segment left them.
    fn catalog(&mut self, index: Option<Catalog>) -> Catalog {
        self.take_catalog(index.unwrap_or_default());
        let told = self.streams.values().filter(|stream| stream.told || stream.end.is_some());
        let streams = told.map(|stream| {
            let mut entry = stream.entry.clone();
            if stream.layout.is_plane() {
                entry.sequence = entry.sequence.max(stream.numbers);
            } else if let Some((end, ts)) = stream.end {
                entry.sequence = entry.sequence.max(end);
                entry.last_ts = entry.last_ts.max(Some(ts));
            }
            entry
        });
        Catalog { retained_from: self.retained_from, streams: streams.collect() }
    }
}

/// By stream and region.
type NewestRegions = BTreeMap<(u32, i64), u64>;

/// Whether a block is one of the plane that `of` tells of.
fn is_sound_of_plane(of: &StreamEntry, entry: &Entry, payload: &[u8], deep: bool) -> bool {
    let Some((plane, block)) = of.schema.plane().zip(entry.block) else { return false };
    let layout = BlockLayout::new(&of.schema);
    block.schema_crc.get() == layout.schema_crc()
        && planes::check_block(plane, entry).is_ok()
        && (!deep || segment::content(entry, payload, &layout).is_ok())
}

/// Looks for the sound blocks of planes ahead of everything else: what is in a frame counts no more
/// where one of them, further on, stands for its region.
fn newest_regions(
    bytes: &mut Bytes,
    bounds: Bounds,
    known: &Known,
    deep: bool,
) -> io::Result<NewestRegions> {
    let mut newest = NewestRegions::new();
    let mut planes: BTreeMap<u32, StreamEntry> = known.clone();
    planes.retain(|_, entry| entry.schema.plane().is_some());
    let mut take = |entry: &Entry, payload: &[u8]| {
        if entry.kind == EntryKind::Catalog {
            let catalog = Catalog::decode(payload).map_err(|error| error.what)?;
            let found = catalog.streams.into_iter().filter(|one| one.schema.plane().is_some());
            planes.extend(found.map(|one| (one.id, one)));
        }
        let id = entry.header.stream.get();
        if let Some(of) = planes.get(&id)
            && is_sound_of_plane(of, entry, payload, deep)
            && let Some(index) = IndexEntry::of(entry)
            && let Some(region) = planes::region(&index)
        {
            let newest = newest.entry((id, region)).or_default();
            *newest = index.first_sequence.get().max(*newest);
        }
        Ok(())
    };
    walk::walk(bytes, bounds, &mut take)?;
    bytes.forget();
    Ok(newest)
}
