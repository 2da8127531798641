//! Compaction: sealed segments are rewritten into fewer, clustered by stream, in large blocks,
//! without frames.
//!
//! # Invariants
//! - Inputs are read in full and checked before the first output gets its name; a damaged block
//!   ends the compaction and everything stays as it was.
//! - Outputs count only when all of them have their names (see [`super::live`]); inputs are removed
//!   after the directory was synced.
//! - Readers keep what their snapshots hold. Memory is one block of the largest stream, and one
//!   page of the cache's size.

use std::collections::BTreeMap;

use presence_format::block::BlockLayout;
use presence_format::catalog::Catalog;
use presence_format::index::IndexEntry;
use presence_format::plane::region_of;
use presence_format::segment::SegmentHeader;
use presence_format::{Compression, FormatError, PlaneKind};

use super::core::{Core, LiveSegment};
use super::database::Database;
use super::load::{SealedSegment, read_sealed};
use super::retention;
use super::stream_state::StreamState;
use crate::error::{Error, Result};
use crate::read::run::Run;
use crate::read::view::StreamView;
use crate::segment::{BlockParts, End, SegmentFile, SegmentWriter};
use crate::shim::{Arc, lock};
use crate::track::index::{PlaneIndex, is_words_only};

/// What a compaction did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Compacted {
    /// Segments read and removed.
    pub inputs: usize,
    /// Their bytes.
    pub input_bytes: u64,
    /// Segments written.
    pub outputs: usize,
    /// Their bytes.
    pub output_bytes: u64,
    /// Records of streams rewritten.
    pub records: u64,
    /// Observed ticks of presence tracks rewritten.
    pub ticks: u64,
}

/// Bytes of inputs rewritten together: what a compaction needs of free space, at most.
const GROUP_BYTES: u64 = 1 << 30;

impl Database {
    /// Seals the active segment and rewrites all segments that were not compacted yet. What is in
    /// memory only stays there: call [`flush`](Database::flush) before, to have it in.
    ///
    /// `progress` is told the records done and the records in all, a word of a presence track being
    /// one, and ends the compaction by returning `false`: what is done is kept, the rest stays as
    /// it was.
    ///
    /// # Errors
    /// [`Error::ReadOnly`], [`Error::Corrupt`] where a block to be rewritten is damaged,
    /// [`Error::Io`].
    pub fn compact(&self, mut progress: impl FnMut(u64, u64) -> bool) -> Result<Compacted> {
        let core = self.core();
        let log = core.log()?;
        let _one_at_a_time = lock(&core.maintenance);
        log.seal(core)?;
        let segments = core.segments.load_full();
        let groups = groups(&segments);
        let all = groups.iter().flatten().map(|segment| segment.records).sum();
        let mut compacted = Compacted::default();
        let mut done = 0;
        for group in groups {
            let mut going = true;
            let mut tell = |records: u64| {
                done += records;
                going = going && progress(done, all);
                going
            };
            let Some(outputs) = Task::new(core, &group)?.run(&mut compacted, &mut tell)? else {
                return Ok(compacted);
            };
            compacted.inputs += group.len();
            compacted.input_bytes += group.iter().map(bytes_of).sum::<u64>();
            compacted.outputs += outputs.len();
            compacted.output_bytes += outputs.iter().map(bytes_of).sum::<u64>();
            retention::remove(core, &group)?;
            if !going {
                break;
            }
        }
        Ok(compacted)
    }
}

fn bytes_of(segment: &LiveSegment) -> u64 {
    segment.file.file.len().unwrap_or(0)
}

/// Neighbouring segments to rewrite together: those of the log, in groups of bounded size.
fn groups(segments: &[LiveSegment]) -> Vec<Vec<LiveSegment>> {
    let mut groups: Vec<Vec<LiveSegment>> = Vec::new();
    let mut bytes = 0;
    let mut open = false;
    for segment in segments {
        let is_log = segment.file.header.generation.get() == 0 && segment.sealed;
        if !is_log {
            open = false;
            continue;
        }
        bytes += bytes_of(segment);
        match groups.last_mut() {
            Some(group) if open && bytes <= GROUP_BYTES => group.push(segment.clone()),
            _ => {
                bytes = bytes_of(segment);
                groups.push(vec![segment.clone()]);
                open = true;
            }
        }
    }
    groups
}

/// One block to be written: where in a stream, and into which output.
#[derive(Debug, Clone, Copy)]
struct Planned {
    stream: u32,
    first_sequence: u64,
    records: usize,
    compression: Compression,
    part: u16,
}

/// The compaction of one group.
#[derive(Debug)]
struct Task<'a> {
    core: &'a Core,
    inputs: Vec<SealedSegment>,
    header: SegmentHeader,
    log: End,
    /// Blocks of each stream, ascending.
    blocks: BTreeMap<u32, Vec<(usize, IndexEntry)>>,
    streams: BTreeMap<u32, Arc<StreamState>>,
}

impl<'a> Task<'a> {
    fn new(core: &'a Core, group: &[LiveSegment]) -> Result<Self> {
        let inputs =
            group.iter().map(|segment| read_sealed(&segment.file)).collect::<Result<Vec<_>>>()?;
        let (Some(first), Some(last)) = (inputs.first(), inputs.last()) else {
            return Err(Error::invalid("nothing to compact"));
        };
        let generation = inputs.iter().map(|input| input.file.header.generation.get()).max();
        let mut header = SegmentHeader::first(core.database, 0, core.device.now_unix_us());
        header.generation = generation.unwrap_or(0).saturating_add(1).into();
        header.log_first = first.file.header.log_first;
        header.log_last = last.file.header.log_last;
        header.previous_segment = first.file.header.previous_segment;
        header.previous_end = first.file.header.previous_end;
        header.previous_crc = first.file.header.previous_crc;
        let log =
            End { offset: last.footer.log_end.get(), crc: last.footer.log_crc.get(), entries: 0 };
        let streams = core.streams.load().by_id.clone();
        let mut blocks: BTreeMap<u32, Vec<(usize, IndexEntry)>> = BTreeMap::new();
        for (input, segment) in inputs.iter().enumerate() {
            for (&stream, run) in &segment.runs {
                let before = streams.get(&stream).and_then(|state| before(state, &inputs));
                let blocks = blocks.entry(stream).or_default();
                let live = streams.get(&stream).filter(|state| state.layout.is_plane());
                let live = live.map(LiveRegions::of);
                for entry in run.entries() {
                    if let Some(live) = &live {
                        if live.holds(&segment.file, entry)? {
                            blocks.push((input, *entry));
                        }
                        continue;
                    }
                    let last =
                        blocks.last().map(|(_, last)| (last.end_sequence(), last.last_ts.get()));
                    check_follows(&segment.file, entry, last.or(before))?;
                    blocks.push((input, *entry));
                }
            }
        }
        Ok(Self { core, inputs, header, log, blocks, streams })
    }

    /// Cuts each stream into large blocks, never across missing records, and these into outputs.
    fn plan(&self) -> Vec<Planned> {
        let limit = u64::from(self.core.options.segment_bytes);
        let mut plan: Vec<Planned> = Vec::new();
        let (mut part, mut part_bytes) = (0_u16, 0_u64);
        for (&stream, blocks) in &self.blocks {
            let Some(state) = self.streams.get(&stream) else { continue };
            for (first_sequence, records, compression) in self.cuts(state, blocks) {
                let bytes = state.layout.decoded_bytes(records) as u64;
                if part_bytes > 0 && part_bytes + bytes > limit && part < u16::MAX - 1 {
                    part += 1;
                    part_bytes = 0;
                }
                part_bytes += bytes;
                plan.push(Planned { stream, first_sequence, records, compression, part });
            }
        }
        plan
    }

    /// The blocks that a stream's will be: first sequence, records, compression of each. Those of
    /// a plane stay as they are: a region is a block.
    fn cuts(
        &self,
        state: &StreamState,
        blocks: &[(usize, IndexEntry)],
    ) -> Vec<(u64, usize, Compression)> {
        let compression = state.schema.compression();
        if state.layout.is_plane() {
            let as_is = |(_, entry): &(usize, IndexEntry)| {
                let words_only = is_words_only(entry);
                let compression = if words_only { Compression::None } else { compression };
                (entry.first_sequence.get(), entry.records.get() as usize, compression)
            };
            return blocks.iter().map(as_is).collect();
        }
        let most = state.layout.records_within(self.core.options.compacted_block_bytes as usize);
        let mut cuts = Vec::new();
        for range in contiguous(blocks) {
            let mut first_sequence = range.start;
            while first_sequence < range.end {
                let left = usize::try_from(range.end - first_sequence).unwrap_or(usize::MAX);
                let records = left.min(most);
                cuts.push((first_sequence, records, compression));
                first_sequence += records as u64;
            }
        }
        cuts
    }

    /// Writes the outputs and puts them in the place of the inputs. `None` where `tell` ended it.
    fn run(
        &self,
        compacted: &mut Compacted,
        tell: &mut impl FnMut(u64) -> bool,
    ) -> Result<Option<Vec<LiveSegment>>> {
        let plan = self.plan();
        let parts = plan.last().map_or(1, |block| block.part + 1);
        let mut outputs: Vec<SegmentWriter> = Vec::new();
        let written = self.write(&plan, parts, &mut outputs, compacted, tell);
        if !matches!(written, Ok(true)) {
            for output in &outputs {
                output.discard(&*self.core.device);
            }
            return written.map(|_| None);
        }
        // Some may have their names now: a later compaction of the same inputs would give their
        // place to two sets of outputs.
        let device = &*self.core.device;
        let named = outputs.iter().try_for_each(|output| output.rename(device));
        let named = named
            .and_then(|()| device.sync_directory().map_err(Error::io("sync", &self.core.path)));
        named.map_err(|error| self.core.poison(error))?;
        Ok(Some(self.publish(&outputs)))
    }

    fn write(
        &self,
        plan: &[Planned],
        parts: u16,
        outputs: &mut Vec<SegmentWriter>,
        compacted: &mut Compacted,
        tell: &mut impl FnMut(u64) -> bool,
    ) -> Result<bool> {
        let mut plan = plan.iter().peekable();
        for part in 0..parts {
            let set = outputs.first().map(|output| output.segment.number());
            outputs.push(self.begin(part, parts, set)?);
            let Some(writer) = outputs.last_mut() else { continue };
            let mut lanes = Vec::new();
            while let Some(block) = plan.next_if(|block| block.part == part) {
                self.core.gate.check_appendable()?;
                let Some(state) = self.streams.get(&block.stream) else { continue };
                self.collect(block, state, &mut lanes)?;
                let slices: Vec<&[u8]> = lanes.iter().map(Vec::as_slice).collect();
                writer.block(&BlockParts {
                    stream: block.stream,
                    layout: &state.layout,
                    compression: block.compression,
                    first_sequence: block.first_sequence,
                    records: block.records,
                    lanes: &slices,
                })?;
                match state.schema.plane().map(|plane| plane.kind()) {
                    None => compacted.records += block.records as u64,
                    Some(PlaneKind::Observed) => compacted.ticks += ticks_of(&lanes),
                    Some(PlaneKind::Class { .. }) => {}
                }
                if !tell(block.records as u64) {
                    return Ok(false);
                }
            }
            writer.seal(self.catalog(), Some(self.log))?;
        }
        Ok(true)
    }

    fn begin(&self, part: u16, parts: u16, set: Option<u32>) -> Result<SegmentWriter> {
        let log = self.core.log()?;
        let mut header = self.header;
        let number = log.take_number();
        header.segment = number.into();
        header.set = set.unwrap_or(number).into();
        header.part = part.into();
        header.parts = parts.into();
        SegmentWriter::create_unpublished(
            &*self.core.device,
            header,
            &self.catalog(),
            self.core.options.map,
        )
    }

    /// The streams as the last input left them.
    fn catalog(&self) -> Catalog {
        self.inputs.last().map(|input| input.catalog.clone()).unwrap_or_default()
    }

    /// Gathers the records of a planned block from the blocks that hold them.
    fn collect(
        &self,
        block: &Planned,
        state: &StreamState,
        lanes: &mut Vec<Vec<u8>>,
    ) -> Result<()> {
        let layout: &BlockLayout = &state.layout;
        lanes.resize_with(layout.lanes().len(), Vec::new);
        lanes.iter_mut().for_each(Vec::clear);
        let end = block.first_sequence + block.records as u64;
        let sources = self.blocks.get(&block.stream).map_or(&[][..], Vec::as_slice);
        let start =
            sources.partition_point(|(_, entry)| entry.end_sequence() <= block.first_sequence);
        for (input, entry) in sources.iter().skip(start) {
            let first = entry.first_sequence.get();
            if first >= end {
                break;
            }
            let Some(segment) = self.inputs.get(*input) else { continue };
            let header = segment.file.block_entry(entry)?;
            let page = segment.file.decode_block(&header, layout)?;
            let from = block.first_sequence.saturating_sub(first) as usize;
            let to = (end.min(entry.end_sequence()) - first) as usize;
            let ranges = layout.ranges(entry.records.get() as usize);
            for ((lane, shape), range) in lanes.iter_mut().zip(layout.lanes()).zip(ranges) {
                let bytes =
                    range.start + from * shape.value_bytes..range.start + to * shape.value_bytes;
                lane.extend_from_slice(page.get(bytes).unwrap_or_default());
            }
        }
        Ok(())
    }

    /// Puts the outputs in the place of the inputs, in views and in the list of segments.
    fn publish(&self, outputs: &[SegmentWriter]) -> Vec<LiveSegment> {
        let is_input = |file: &Arc<SegmentFile>| {
            self.inputs.iter().any(|input| Arc::ptr_eq(&input.file, file))
        };
        for stream in self.streams.values() {
            let runs: Vec<Arc<Run>> = outputs
                .iter()
                .filter_map(|output| {
                    let entries = output.blocks().get(&stream.id)?;
                    Some(Arc::new(Run::new(Arc::clone(&output.segment), &stream.layout, entries)))
                })
                .collect();
            stream.view.update(|view| replaced(view, &is_input, &runs));
        }
        let live: Vec<LiveSegment> = outputs
            .iter()
            .map(|output| LiveSegment {
                file: Arc::clone(&output.segment),
                sealed: true,
                records: output.records(),
            })
            .collect();
        self.core.segments.update(|segments| {
            let at = segments.iter().position(|segment| is_input(&segment.file));
            let mut kept: Vec<LiveSegment> =
                segments.iter().filter(|segment| !is_input(&segment.file)).cloned().collect();
            let at = at.unwrap_or(0).min(kept.len());
            kept.splice(at..at, live.iter().cloned());
            kept
        });
        self.core.views_changed();
        live
    }
}

/// Set ticks of the words of a plane.
fn ticks_of(lanes: &[Vec<u8>]) -> u64 {
    let words = lanes.get(1).map_or(&[][..], Vec::as_slice);
    words.iter().map(|byte| u64::from(byte.count_ones())).sum()
}

/// What counts of a plane: of the blocks of a region the last.
struct LiveRegions<'a> {
    state: &'a StreamState,
    index: PlaneIndex,
}

impl<'a> LiveRegions<'a> {
    fn of(state: &'a Arc<StreamState>) -> Self {
        let index = PlaneIndex::new(state.view.load_full(), &PlaneIndex::default());
        Self { state, index }
    }

    /// Whether anything that this block says counts.
    fn holds(&self, file: &SegmentFile, entry: &IndexEntry) -> Result<bool> {
        let of_region = |tick| self.index.stored(region_of(tick)).map(|stored| stored.entry());
        if !is_words_only(entry) {
            return Ok(of_region(entry.first_ts.get()).is_some_and(|latest| latest == entry));
        }
        let header = file.block_entry(entry)?;
        let page = file.decode_block(&header, &self.state.layout)?;
        let ticks = page.as_chunks::<8>().0.iter().take(entry.records.get() as usize);
        let mut ticks = ticks.map(|tick| i64::from_le_bytes(*tick));
        Ok(ticks.any(|tick| {
            of_region(tick).is_none_or(|latest| latest.first_sequence < entry.first_sequence)
        }))
    }
}

/// End and last timestamp of the blocks of a stream that come before all of `inputs`.
fn before(stream: &StreamState, inputs: &[SealedSegment]) -> Option<(u64, i64)> {
    let view = stream.view.load();
    let is_input =
        |run: &&Arc<Run>| inputs.iter().any(|input| Arc::ptr_eq(&input.file, &run.segment));
    let last = view.runs().iter().take_while(|run| !is_input(run)).last()?;
    Some((last.end_sequence(), last.last_ts()))
}

/// Refuses a block that repeats what came before: readers leave it out, and to rewrite it would
/// make it look sound.
fn check_follows(file: &SegmentFile, entry: &IndexEntry, before: Option<(u64, i64)>) -> Result<()> {
    let follows = before.is_none_or(|(end, last_ts)| {
        entry.first_sequence.get() >= end && entry.first_ts.get() >= last_ts
    });
    if follows {
        return Ok(());
    }
    let fault = FormatError::corrupt(0, "a block that repeats what came before it");
    Err(Error::format(&file.name, u64::from(entry.offset.get()))(fault))
}

/// Ranges of sequences without a hole.
fn contiguous(blocks: &[(usize, IndexEntry)]) -> Vec<std::ops::Range<u64>> {
    let mut ranges: Vec<std::ops::Range<u64>> = Vec::new();
    for (_, entry) in blocks {
        let first = entry.first_sequence.get();
        match ranges.last_mut() {
            Some(range) if range.end == first => range.end = entry.end_sequence(),
            _ => ranges.push(first..entry.end_sequence()),
        }
    }
    ranges
}

/// The view with the runs of the inputs replaced by those of the outputs.
fn replaced(
    view: &StreamView,
    is_input: &impl Fn(&Arc<SegmentFile>) -> bool,
    outputs: &[Arc<Run>],
) -> StreamView {
    let at = view.runs().iter().position(|run| is_input(&run.segment));
    let mut runs: Vec<Arc<Run>> =
        view.runs().iter().filter(|run| !is_input(&run.segment)).cloned().collect();
    let at = at.unwrap_or(0).min(runs.len());
    runs.splice(at..at, outputs.iter().cloned());
    view.with_runs(runs)
}
