//! From what was loaded to an open database: seals what a crash left open, and builds the views.
//!
//! # Invariants
//! - Recovery appends to the unsealed segment, behind torn bytes where there are any, in the same
//!   way as a writer does: interrupted at any point it is run again and finds its own entries.
//! - What was promised is in the views afterwards; what is missing is a gap with its bounds.

use std::collections::BTreeMap;

use presence_format::block::BlockLayout;
use presence_format::caps::PAYLOAD_BYTES_MAX;
use presence_format::catalog::{Catalog, StreamEntry};
use presence_format::index::IndexEntry;

use super::core::{LiveSegment, StreamTable};
use super::load::{LoadedSegment, Loader, contradictions, merged_catalog};
use super::report::RecoveryReport;
use super::stream_state::StreamState;
use crate::device::Device;
use crate::error::{Affected, Error, Result};
use crate::read::run::Run;
use crate::read::view::{Gap, StreamView};
use crate::segment::{BlockParts, End, Piece, Scanner, SegmentFile, SegmentWriter};
use crate::shim::Arc;
use crate::tail::{TailBlock, TailPart};

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
/// `name` is the file's on `device`. Returns the number of such records.
pub(crate) fn seal_open_segment(
    device: &dyn Device,
    name: &str,
    scanner: &Scanner,
    file: &SegmentFile,
    catalog: &Catalog,
) -> Result<u64> {
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
    let mut records = 0;
    for (&id, stream) in &scanner.streams {
        let Some(entry) = scanner.catalog.get(&id) else { continue };
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
            stream.last_ts = stream.last_ts.max(Some(last.last_ts.get()));
        }
    }
    catalog.retained_from = scanner.retained_from;
    writer.seal(catalog, None)?;
    Ok(records)
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
    let schema_crc = |stream: &StreamEntry| BlockLayout::new(&stream.schema).schema_crc();
    let schemas: BTreeMap<u32, u32> =
        catalog.streams.iter().map(|stream| (stream.id, schema_crc(stream))).collect();
    let mut builders: BTreeMap<u32, ViewBuilder> = BTreeMap::new();
    let mut segments = Vec::new();
    let mut previous = None;
    for segment in order.iter().filter_map(|&number| loader.segment(number)) {
        take_segment(&segment, &schemas, &mut builders);
        segments.push(live_segment(&segment));
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

/// `schemas` has the checksum of each stream's schema.
fn take_segment(
    segment: &LoadedSegment<'_>,
    schemas: &BTreeMap<u32, u32>,
    builders: &mut BTreeMap<u32, ViewBuilder>,
) {
    match segment {
        LoadedSegment::Sealed(sealed) => {
            for (&id, run) in &sealed.runs {
                builders.entry(id).or_default().run(run);
            }
        }
        LoadedSegment::Open(scanner, file) => {
            for (&id, stream) in &scanner.streams {
                let builder = builders.entry(id).or_default();
                if !stream.blocks.is_empty() {
                    builder.run(&Arc::new(Run::new(
                        Arc::clone(file),
                        &stream.layout,
                        &stream.blocks,
                    )));
                }
                // A stream has one schema: frames of another one cannot be told apart into columns.
                let known = schemas.get(&id) == Some(&stream.layout.schema_crc());
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
    let end = builder.end.unwrap_or(if retained { entry.sequence } else { 0 });
    if !retained && builder.first.is_some_and(|first| first > 0) {
        let to_sequence = builder.first.unwrap_or(0);
        let gap =
            Gap { from_sequence: 0, to_sequence, after_ts: None, before_ts: builder.first_ts };
        builder.gaps.insert(0, gap);
    }
    if entry.sequence > end {
        builder.gaps.push(Gap {
            from_sequence: end,
            to_sequence: entry.sequence,
            after_ts: builder.last_ts,
            before_ts: None,
        });
    }
    report.lost.extend(builder.gaps.iter().map(|gap| Affected {
        stream: entry.name.clone(),
        after_ts: gap.after_ts,
        before_ts: gap.before_ts,
        records: gap.to_sequence.saturating_sub(gap.from_sequence),
    }));
    report.records_from_frames += builder.records_in_memory;
    let sequence = end.max(entry.sequence);
    let last_ts = entry.last_ts.max(builder.last_ts);
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
}

impl ViewBuilder {
    fn run(&mut self, run: &Arc<Run>) {
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
