//! From what was loaded to an open database: seals what a crash left open, and builds the views.
//!
//! # Invariants
//! - Recovery appends to the unsealed segment, behind torn bytes where there are any, in the same
//!   way as a writer does: interrupted at any point it is run again and finds its own entries.
//! - What was promised is in the views afterwards; what is missing is a gap with its bounds.

use std::collections::BTreeMap;

use presence_format::Compression;
use presence_format::block::BlockLayout;
use presence_format::caps::{BLOCK_RECORDS_MAX, PAYLOAD_BYTES_MAX};
use presence_format::catalog::{Catalog, StreamEntry};
use presence_format::index::IndexEntry;
use presence_format::plane::region_of;

use super::core::{LiveSegment, StreamTable};
use super::load::{LoadedSegment, Loader, contradictions, merged_catalog};
use super::report::RecoveryReport;
use super::stream_state::StreamState;
use crate::device::Device;
use crate::error::{Affected, Error, Result};
use crate::read::run::Run;
use crate::read::view::{Gap, StreamView};
use crate::segment::{BlockParts, End, Piece, ScannedStream, Scanner, SegmentFile, SegmentWriter};
use crate::shim::Arc;
use crate::tail::{TailBlock, TailPart};
use crate::track::index::is_words_only;

/// Every stream, as it is where the open segment that was scanned ends. The scan was taken out of
/// the loader, which holds the other segments of `order`.
pub(crate) fn sealing_catalog(loader: &Loader, order: &[u32], scanner: &Scanner) -> Catalog {
    let mut catalog = merged_catalog(loader, order);
    catalog.streams.retain(|stream| !scanner.catalog.contains_key(&stream.id));
    catalog.streams.extend(scanner.catalog.values().cloned());
    catalog.streams.sort_by_key(|stream| stream.id);
    catalog
}

/// Puts the records that stand in frames only into blocks of their segment, and seals it.
///
/// `name` is the file's on `device`. Returns how many such records of streams there are, and how
/// many words of planes.
pub(crate) fn seal_open_segment(
    device: &dyn Device,
    name: &str,
    scanner: &Scanner,
    file: &SegmentFile,
    catalog: &Catalog,
) -> Result<(u64, u64)> {
    let writable = device.open_writable(name).map_err(Error::io("open", &file.name))?;
    let segment = Arc::new(SegmentFile::new(file.name.clone(), file.header, writable, false));
    let blocks = scanner.streams.iter().map(|(&id, stream)| (id, stream.blocks.clone()));
    let blocks = blocks.filter(|(_, blocks)| !blocks.is_empty()).collect();
    let mut writer = SegmentWriter::resume(
        segment,
        scanner.entries_end(),
        scanner.resume_at,
        scanner.torn_bytes(),
        blocks,
    );
    // What was read may still be in the kernel only: what follows must not outlive it.
    writer.durable = scanner.durable;
    let (mut records, mut plane_words) = (0, 0);
    for (&id, stream) in &scanner.streams {
        let Some(entry) = scanner.catalog.get(&id) else { continue };
        if stream.layout.is_plane() {
            plane_words += seal_words(&mut writer, id, stream)?;
            continue;
        }
        let most = stream.layout.records_within(PAYLOAD_BYTES_MAX as usize);
        for piece in &stream.tail {
            for from in (0..piece.records).step_by(most) {
                let count = most.min(piece.records - from);
                let shapes = stream.layout.lanes().iter().zip(&piece.lanes);
                let lanes: Vec<&[u8]> = shapes
                    .map(|(shape, lane)| {
                        let bytes = from * shape.value_bytes..(from + count) * shape.value_bytes;
                        lane.get(bytes).unwrap_or_default()
                    })
                    .collect();
                writer.block(&BlockParts {
                    stream: id,
                    layout: &stream.layout,
                    compression: entry.schema.compression(),
                    first_sequence: piece.first_sequence.saturating_add(from as u64),
                    records: count,
                    lanes: &lanes,
                })?;
            }
            records += piece.records as u64;
        }
    }
    let mut catalog = catalog.clone();
    for stream in &mut catalog.streams {
        let last = writer.blocks().get(&stream.id).and_then(|blocks| blocks.last());
        if let Some(last) = last {
            stream.sequence = stream.sequence.max(last.end_sequence());
            if stream.schema.plane().is_none() {
                stream.last_ts = stream.last_ts.max(Some(last.last_ts.get()));
            }
        }
    }
    catalog.retained_from = scanner.retained_from;
    writer.seal(catalog, None)?;
    Ok((records, plane_words))
}

/// Puts the words of a plane that stand in frames only into blocks of words; returns how many.
///
/// They are not put into regions: these would have to be read from other segments.
fn seal_words(writer: &mut SegmentWriter, id: u32, stream: &ScannedStream) -> Result<u64> {
    let mut regions: BTreeMap<i64, u64> = BTreeMap::new();
    for block in stream.blocks.iter().filter(|block| !is_words_only(block)) {
        let newest = regions.entry(region_of(block.first_ts.get())).or_default();
        *newest = block.first_sequence.get().max(*newest);
    }
    let mut words: BTreeMap<i64, u64> = BTreeMap::new();
    for piece in &stream.tail {
        let lane = |lane: usize| piece.lanes.get(lane).map_or(&[][..], Vec::as_slice);
        let pairs = lane(0).as_chunks::<8>().0.iter().zip(lane(1).as_chunks::<8>().0);
        for (index, (tick, word)) in pairs.enumerate() {
            let tick = i64::from_le_bytes(*tick);
            let sequence = piece.first_sequence.saturating_add(index as u64);
            if regions.get(&region_of(tick)).is_none_or(|&newest| newest < sequence) {
                words.insert(tick, u64::from_le_bytes(*word));
            }
        }
    }
    let mut first_sequence = stream.end_sequence();
    let words: Vec<(i64, u64)> = words.into_iter().collect();
    for words in words.chunks(BLOCK_RECORDS_MAX as usize) {
        let times: Vec<u8> = words.iter().flat_map(|(tick, _)| tick.to_le_bytes()).collect();
        let values: Vec<u8> = words.iter().flat_map(|(_, word)| word.to_le_bytes()).collect();
        let entry = writer.block(&BlockParts {
            stream: id,
            layout: &stream.layout,
            compression: Compression::None,
            first_sequence,
            records: words.len(),
            lanes: &[&times, &values],
        })?;
        first_sequence = entry.end_sequence();
    }
    Ok(words.len() as u64)
}

/// Everything a database is built from.
#[derive(Debug)]
pub(crate) struct Built {
    pub(crate) streams: Vec<Arc<StreamState>>,
    pub(crate) segments: Vec<LiveSegment>,
    pub(crate) previous: Option<(u32, End)>,
}

/// Builds the streams' views. Streams that `known` has keep their state and get a new view.
pub(crate) fn build(
    loader: &Loader,
    order: &[u32],
    retained: bool,
    known: &StreamTable,
    report: &mut RecoveryReport,
) -> Built {
    report.damage.extend(contradictions(loader, order));
    let catalog = merged_catalog(loader, order);
    // Of each stream the checksum of its schema, and whether it is a plane.
    let kind = |stream: &StreamEntry| {
        let layout = BlockLayout::new(&stream.schema);
        (stream.id, (layout.schema_crc(), layout.is_plane()))
    };
    let kinds: BTreeMap<u32, (u32, bool)> = catalog.streams.iter().map(kind).collect();
    let planes = kinds.iter().filter(|(_, (_, is_plane))| *is_plane);
    let builder = |(&id, _)| (id, ViewBuilder { is_plane: true, ..ViewBuilder::default() });
    let mut builders: BTreeMap<u32, ViewBuilder> = planes.map(builder).collect();
    let mut segments = Vec::new();
    let mut previous: Option<(u32, End)> = None;
    let loaded: Vec<_> = order.iter().filter_map(|&number| loader.segment(number)).collect();
    for (at, segment) in loaded.iter().enumerate() {
        let header = &segment.file().header;
        let (follows, part) = (header.previous_segment.get(), header.part.get());
        // Of a database that gave up nothing, the first segment follows none.
        let last = previous.map(|(last, _)| last).or((!retained).then_some(0));
        if let Some(last) = last.filter(|&last| part == 0 && follows > last) {
            let told = first_catalog(segment);
            let is_one = follows == last + 1;
            for (id, builder) in &mut builders {
                let told = told.as_ref().map(|told| told.get(id));
                builder.segment_missing(told, is_one);
            }
        }
        let told = match (segment, loaded.get(at + 1)) {
            (LoadedSegment::Open(..), Some(next)) if follows_on(next, segment) => {
                first_catalog(next).unwrap_or_default()
            }
            _ => BTreeMap::new(),
        };
        take_segment(segment, &kinds, &told, &mut builders);
        segments.push(live_segment(segment));
        let (offset, crc) = segment.log_end();
        let log_last = segment.file().header.log_last.get();
        previous = Some((log_last, End { offset, crc, entries: 0 }));
    }
    let mut streams = Vec::new();
    for entry in catalog.streams {
        let builder = builders.remove(&entry.id).unwrap_or_default();
        streams.push(finish_stream(entry, builder, retained, known, report));
    }
    Built { streams, segments, previous }
}

/// What the first catalog of a segment of the log says of each stream. That of a compacted one is
/// another's.
fn first_catalog(segment: &LoadedSegment<'_>) -> Option<BTreeMap<u32, StreamEntry>> {
    let file = Some(segment.file()).filter(|file| file.header.generation.get() == 0)?;
    let catalog = Scanner::first_catalog(file)?;
    Some(catalog.streams.into_iter().map(|stream| (stream.id, stream)).collect())
}

/// Whether `next` is the segment of the log behind `segment`.
fn follows_on(next: &LoadedSegment<'_>, segment: &LoadedSegment<'_>) -> bool {
    let (next, header) = (&next.file().header, &segment.file().header);
    next.generation.get() == 0 && next.previous_segment == header.log_last
}

fn live_segment(segment: &LoadedSegment<'_>) -> LiveSegment {
    let count = |blocks: &[IndexEntry]| -> u64 {
        blocks.iter().map(|block| u64::from(block.records.get())).sum()
    };
    let (sealed, records) = match segment {
        LoadedSegment::Sealed(sealed) => (true, sealed.footer.records.get()),
        LoadedSegment::Open(scanner, _) => {
            (false, scanner.streams.values().map(|stream| count(&stream.blocks)).sum())
        }
    };
    LiveSegment { file: Arc::clone(segment.file()), sealed, records }
}

fn take_segment(
    segment: &LoadedSegment<'_>,
    kinds: &BTreeMap<u32, (u32, bool)>,
    told: &BTreeMap<u32, StreamEntry>,
    builders: &mut BTreeMap<u32, ViewBuilder>,
) {
    for stream in segment.catalog() {
        if let Some(builder) = builders.get_mut(&stream.id) {
            builder.counted = builder.counted.max(stream.sequence);
        }
    }
    match segment {
        LoadedSegment::Sealed(sealed) => {
            for (&id, run) in &sealed.runs {
                builders.entry(id).or_default().run(run);
            }
        }
        LoadedSegment::Open(scanner, file) => {
            for (&id, stream) in &scanner.streams {
                let builder = builders.entry(id).or_default();
                builder.scanned(stream, told.get(&id).and_then(|stream| stream.touched));
                if !stream.blocks.is_empty() {
                    builder.run(&Arc::new(Run::new(
                        Arc::clone(file),
                        &stream.layout,
                        &stream.blocks,
                    )));
                }
                // A stream has one schema: frames of another one cannot be told apart into columns.
                let kind = (stream.layout.schema_crc(), stream.layout.is_plane());
                let known = kinds.get(&id) == Some(&kind);
                for piece in stream.tail.iter().filter(|_| known) {
                    builder.piece(stream, piece);
                }
            }
        }
    }
}

fn finish_stream(
    entry: StreamEntry,
    mut builder: ViewBuilder,
    retained: bool,
    known: &StreamTable,
    report: &mut RecoveryReport,
) -> Arc<StreamState> {
    builder.take_pieces();
    let end = builder.end.unwrap_or(if retained || builder.is_plane { entry.sequence } else { 0 });
    let counts = !builder.is_plane;
    if counts && !retained && builder.first.is_some_and(|first| first > 0) {
        let to_sequence = builder.first.unwrap_or(0);
        let gap =
            Gap { from_sequence: 0, to_sequence, after_ts: None, before_ts: builder.first_ts };
        builder.gaps.insert(0, gap);
    }
    if counts && entry.sequence > end {
        builder.gaps.push(Gap {
            from_sequence: end,
            to_sequence: entry.sequence,
            after_ts: builder.last_ts,
            before_ts: None,
        });
    }
    report.lost.extend(builder.gaps.iter().map(|gap| match entry.schema.plane() {
        Some(plane) => gap.of_plane(entry.name.clone(), plane),
        None => Affected {
            stream: entry.name.clone(),
            after_ts: gap.after_ts,
            before_ts: gap.before_ts,
            records: gap.to_sequence.saturating_sub(gap.from_sequence),
        },
    }));
    let from_frames = if builder.is_plane {
        &mut report.words_from_frames
    } else {
        &mut report.records_from_frames
    };
    *from_frames += builder.records_in_memory;
    let sequence = end.max(entry.sequence);
    let last_ts = if builder.is_plane { None } else { entry.last_ts.max(builder.last_ts) };
    let view = builder.view();
    if let Some(state) = known.by_id.get(&entry.id) {
        state.view.store(view);
        state.finished.store(entry.finished, crate::shim::atomic::Ordering::Release);
        return Arc::clone(state);
    }
    let finished = entry.finished;
    let state = StreamState::new(entry.id, entry.name, entry.schema, view, sequence, last_ts);
    state.finished.store(finished, crate::shim::atomic::Ordering::Release);
    Arc::new(state)
}

/// The parts of one stream's view, in order.
#[derive(Debug, Default)]
struct ViewBuilder {
    /// Words come in any order of time, and blocks take sequences of their own: nothing is left
    /// out, and a hole between blocks is no loss.
    is_plane: bool,
    runs: Vec<Arc<Run>>,
    /// Records of frames, as found.
    pieces: Vec<TailPart>,
    memory: Vec<TailPart>,
    gaps: Vec<Gap>,
    first: Option<u64>,
    end: Option<u64>,
    first_ts: Option<i64>,
    last_ts: Option<i64>,
    records_in_memory: u64,
    /// Records that the catalogs so far count.
    counted: u64,
}

impl ViewBuilder {
    /// Segments before the next one are not there, which has this catalog: words of a plane may
    /// have been in them. What it touched is known of the last of them only.
    fn segment_missing(&mut self, told: Option<Option<&StreamEntry>>, is_one: bool) {
        if !self.is_plane {
            return;
        }
        let from = self.end.unwrap_or(0).max(self.counted);
        match told {
            Some(Some(next)) if next.sequence > from => {
                self.gap_of_words((from, next.sequence), next.touched.filter(|_| is_one));
            }
            // Nothing was written of it, or it was made later.
            Some(_) => {}
            None => self.gap_of_words((from, from), None),
        }
    }

    /// Looks for sequences of a plane that neither blocks nor frames of a scanned segment have,
    /// which touched these ticks.
    fn scanned(&mut self, stream: &ScannedStream, touched: Option<(i64, i64)>) {
        if !self.is_plane {
            return;
        }
        let blocks = stream.blocks.iter().map(|b| (b.first_sequence.get(), b.end_sequence()));
        let pieces = stream.tail.iter().map(|p| (p.first_sequence, p.end_sequence()));
        let mut ranges: Vec<(u64, u64)> = blocks.chain(pieces).collect();
        ranges.sort_unstable();
        for pair in ranges.array_windows::<2>() {
            if pair[0].1 < pair[1].0 {
                self.gap_of_words((pair[0].1, pair[1].0), touched);
            }
        }
        self.end = self.end.max(ranges.last().map(|range| range.1));
    }

    fn gap_of_words(
        &mut self,
        (from_sequence, to_sequence): (u64, u64),
        touched: Option<(i64, i64)>,
    ) {
        let (after_ts, before_ts) = touched.unzip();
        self.gaps.push(Gap { from_sequence, to_sequence, after_ts, before_ts });
    }

    fn run(&mut self, run: &Arc<Run>) {
        if self.is_plane {
            self.end = self.end.max(run.entries().last().map(IndexEntry::end_sequence));
            self.runs.push(Arc::clone(run));
            return;
        }
        // Blocks that repeat what came before tell of a hostile or foreign file: left out.
        let mut kept = Vec::new();
        for (index, entry) in run.entries().iter().enumerate() {
            let follows = self.end.is_none_or(|end| entry.first_sequence.get() >= end)
                && self.last_ts.is_none_or(|last| entry.first_ts.get() >= last);
            if follows {
                let sequences = entry.first_sequence.get()..entry.end_sequence();
                self.advance(sequences, (entry.first_ts.get(), entry.last_ts.get()));
                kept.push(index);
            }
        }
        if kept.len() == run.entries().len() {
            self.runs.push(Arc::clone(run));
        } else if !kept.is_empty() {
            self.runs.push(Arc::new(run.keeping(&kept)));
        }
    }

    /// Keeps records that stand in frames only, until it is known which blocks follow.
    fn piece(&mut self, stream: &crate::segment::ScannedStream, piece: &Piece) {
        let Piece { first_sequence, records, lanes } = piece;
        let (block, mut writer) = TailBlock::new(&stream.layout, *records, *first_sequence, None);
        for (lane, values) in lanes.iter().enumerate() {
            writer.put_many(lane, *records, values);
        }
        writer.publish(*records);
        self.pieces.push(TailPart { block, skip: 0 });
    }

    /// Takes of the pieces what lies behind all blocks: a view holds memory there. What a block
    /// repeats is read from it; of a damaged segment that others follow, the rest counts as missing
    /// before the next block.
    fn take_pieces(&mut self) {
        if self.is_plane {
            self.memory = std::mem::take(&mut self.pieces);
            self.records_in_memory = self.memory.iter().map(|part| part.len() as u64).sum();
            return;
        }
        for part in std::mem::take(&mut self.pieces) {
            let part = part.after_sequence(self.end.unwrap_or(0));
            let words = part.lane(0).as_chunks::<8>().0;
            let times: Vec<i64> = words.iter().map(|word| i64::from_le_bytes(*word)).collect();
            let (Some(&first_ts), Some(&last_ts)) = (times.first(), times.last()) else {
                continue;
            };
            // As for blocks: what goes back in time tells of a hostile or foreign file.
            if !times.is_sorted() || self.last_ts.is_some_and(|last| first_ts < last) {
                continue;
            }
            self.advance(part.first_sequence()..part.end_sequence(), (first_ts, last_ts));
            self.records_in_memory += part.len() as u64;
            self.memory.push(part);
        }
    }

    fn advance(&mut self, sequences: std::ops::Range<u64>, (first_ts, last_ts): (i64, i64)) {
        if let Some(end) = self.end
            && sequences.start > end
        {
            self.gaps.push(Gap {
                from_sequence: end,
                to_sequence: sequences.start,
                after_ts: self.last_ts,
                before_ts: Some(first_ts),
            });
        }
        self.first.get_or_insert(sequences.start);
        self.first_ts.get_or_insert(first_ts);
        self.end = Some(sequences.end);
        self.last_ts = Some(last_ts);
    }

    fn view(mut self) -> StreamView {
        let open = self.memory.pop();
        StreamView::new(self.runs, self.memory, open, self.gaps)
    }
}
