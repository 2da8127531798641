//! One stream on its way into the log: how far its records are in blocks.
//!
//! # Invariants
//! - Blocks of the stream follow each other without a hole or an overlap.
//! - The view reads a record from disk from the moment on that its block is written, and from
//!   memory before: never from both.

use presence_format::block::BlockLayout;
use presence_format::catalog::StreamEntry;
use presence_format::frame;
use presence_format::index::IndexEntry;

use crate::error::Result;
use crate::read::run::Run;
use crate::read::view::StreamView;
use crate::segment::{BlockParts, SegmentFile, SegmentWriter};
use crate::shim::Arc;
use crate::shim::atomic::Ordering;
use crate::store::stream_state::StreamState;
use crate::tail::TailPart;
use crate::write::handover::Handover;

/// Blocks in one run of the active segment before the next run begins.
const RUN_BLOCKS_MAX: usize = 256;

/// A stream whose records are being logged.
#[derive(Debug)]
pub(crate) struct Recording {
    pub(crate) stream: Arc<StreamState>,
    /// Sequence up to which records are in blocks.
    pub(crate) blocked: u64,
    /// Timestamp of the last of them.
    pub(crate) blocked_ts: Option<i64>,
    /// Blocks written that views do not show yet; these still read them from memory.
    unpublished: Vec<(Arc<SegmentFile>, IndexEntry)>,
}

impl Recording {
    /// A stream of which everything so far is in blocks, but for what recovery found in frames of
    /// a damaged segment: that is in memory, and is put into blocks with what is appended.
    pub(crate) fn new(stream: &Arc<StreamState>) -> Self {
        let view = stream.view.load_full();
        let logged = stream.logged.load(Ordering::Acquire);
        let in_memory = view.frozen.first().or(view.open.as_ref()).filter(|part| part.len() > 0);
        let (blocked, blocked_ts) = match in_memory.map(TailPart::first_sequence) {
            Some(first) if first < logged => (first, view.runs().last().map(|run| run.last_ts())),
            _ => (logged, stream.last_ts()),
        };
        Self { stream: Arc::clone(stream), blocked, blocked_ts, unpublished: Vec::new() }
    }

    /// Writes the records of a part in memory below sequence `end` that no block holds yet.
    /// [`Recording::publish`] lets readers see the block.
    pub(crate) fn write(
        &mut self,
        active: &mut SegmentWriter,
        part: &TailPart,
        end: u64,
    ) -> Result<()> {
        let part = part.after_sequence(self.blocked);
        let records = part.len().min(end.saturating_sub(part.first_sequence()) as usize);
        if records == 0 {
            return Ok(());
        }
        let stream = &self.stream;
        let lanes: Vec<&[u8]> = stream
            .layout
            .lanes()
            .iter()
            .enumerate()
            .map(|(lane, shape)| {
                part.lane(lane).get(..records * shape.value_bytes).unwrap_or_default()
            })
            .collect();
        let entry = active.block(&BlockParts {
            stream: stream.id,
            layout: &stream.layout,
            compression: stream.schema.compression(),
            first_sequence: part.first_sequence(),
            records,
            lanes: &lanes,
        })?;
        self.blocked = entry.end_sequence();
        self.blocked_ts = Some(entry.last_ts.get());
        stream.blocked_last_ts.store(entry.last_ts.get().cast_unsigned(), Ordering::Release);
        stream.logged.fetch_max(self.blocked, Ordering::AcqRel);
        self.unpublished.push((Arc::clone(&active.segment), entry));
        Ok(())
    }

    /// Publishes the blocks written since the last time: one new view, however many.
    pub(crate) fn publish(&mut self, handover: &Handover) {
        if self.unpublished.is_empty() {
            return;
        }
        let mut done_bytes = 0;
        self.stream.view.update(|view| {
            let (view, done) = with_blocks(view, &self.stream.layout, &self.unpublished);
            done_bytes = done;
            view
        });
        self.unpublished.clear();
        handover.thawed(done_bytes);
    }
}

/// The view with more blocks on disk: what they hold is no longer read from memory. With it, the
/// bytes of the frozen blocks that are done with.
pub(super) fn with_blocks(
    view: &StreamView,
    layout: &BlockLayout,
    blocks: &[(Arc<SegmentFile>, IndexEntry)],
) -> (StreamView, usize) {
    let mut runs = view.runs().to_vec();
    for of_segment in blocks.chunk_by(|(a, _), (b, _)| Arc::ptr_eq(a, b)) {
        let Some((segment, _)) = of_segment.first() else { continue };
        let mut entries = of_segment.iter().map(|(_, entry)| *entry);
        if let Some(last) = runs.last_mut()
            && Arc::ptr_eq(&last.segment, segment)
            && last.entries().len() < RUN_BLOCKS_MAX
        {
            let room = RUN_BLOCKS_MAX - last.entries().len();
            let more: Vec<IndexEntry> = entries.by_ref().take(room).collect();
            *last = Arc::new(last.extended(layout, &more));
        }
        let rest: Vec<IndexEntry> = entries.collect();
        let new = rest.chunks(RUN_BLOCKS_MAX);
        runs.extend(new.map(|entries| Arc::new(Run::new(Arc::clone(segment), layout, entries))));
    }
    let on_disk = blocks.last().map_or(0, |(_, entry)| entry.end_sequence());
    let parts = view.frozen.iter().map(|part| part.after_sequence(on_disk));
    let (frozen, done): (Vec<_>, Vec<_>) = parts.partition(|part| part.len() > 0);
    let done_bytes = done.iter().map(|part| part.block.memory_bytes()).sum();
    let open = view.open.as_ref().map(|part| part.after_sequence(on_disk));
    (StreamView::new(runs, frozen, open, view.gaps.clone()), done_bytes)
}

/// Appends a section with the first `count` records of a part.
pub(crate) fn section(out: &mut Vec<u8>, stream: &StreamState, part: &TailPart, count: usize) {
    frame::encode_head(stream.id, part.first_sequence(), count as u32, out);
    for (lane, shape) in stream.layout.lanes().iter().enumerate() {
        let bytes = ..count * shape.value_bytes;
        out.extend_from_slice(part.lane(lane).get(bytes).unwrap_or_default());
    }
}

/// What a catalog says of `stream` when `sequence` of its records are in the log, and blocks of the
/// log segment before tell of the ticks `touched`.
pub(crate) fn catalog_entry(
    stream: &StreamState,
    sequence: u64,
    last_ts: Option<i64>,
    touched: Option<(i64, i64)>,
) -> StreamEntry {
    StreamEntry {
        id: stream.id,
        name: stream.name.clone(),
        finished: stream.finished.load(Ordering::Acquire),
        sequence,
        // Words of a plane come in any order: the last one tells nothing.
        last_ts: last_ts.filter(|_| !stream.layout.is_plane()),
        touched,
        schema: stream.schema.clone(),
    }
}
