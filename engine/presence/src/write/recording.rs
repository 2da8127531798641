//! One stream on its way into the log: how far its records are in blocks.
//!
//! # Invariants
//! - Blocks of the stream follow each other without a hole or an overlap.
//! - The view reads a record from disk from the moment on that its block is written, and from
//!   memory before: never from both.

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
use crate::write::log::Log;

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
}

impl Recording {
    /// A stream of which everything so far is in blocks.
    pub(crate) fn new(stream: &Arc<StreamState>) -> Self {
        Self {
            stream: Arc::clone(stream),
            blocked: stream.logged.load(Ordering::Acquire),
            blocked_ts: stream.last_ts(),
        }
    }

    /// Writes the records of a part in memory below sequence `end` that no block holds yet, and
    /// publishes the block.
    pub(crate) fn write(
        &mut self,
        active: &mut SegmentWriter,
        part: &TailPart,
        end: u64,
        log: &Log,
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
        let mut done_bytes = 0;
        stream.view.update(|view| {
            let (view, done) = with_block(view, &active.segment, &entry);
            done_bytes = done;
            view
        });
        log.thawed(done_bytes);
        Ok(())
    }
}

/// The view with one block more on disk: what it holds is no longer read from memory. With it, the
/// bytes of the frozen blocks that are done with.
fn with_block(
    view: &StreamView,
    segment: &Arc<SegmentFile>,
    entry: &IndexEntry,
) -> (StreamView, usize) {
    let mut runs = view.runs().to_vec();
    let extends = runs.last().is_some_and(|run| {
        Arc::ptr_eq(&run.segment, segment) && run.entries().len() < RUN_BLOCKS_MAX
    });
    if let (true, Some(last)) = (extends, runs.last_mut()) {
        *last = Arc::new(last.extended(entry));
    } else {
        runs.push(Arc::new(Run::new(Arc::clone(segment), &[*entry])));
    }
    let on_disk = entry.end_sequence();
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

/// What a catalog says of `stream` when `sequence` of its records are in the log.
pub(crate) fn catalog_entry(
    stream: &StreamState,
    sequence: u64,
    last_ts: Option<i64>,
) -> StreamEntry {
    StreamEntry {
        id: stream.id,
        name: stream.name.clone(),
        finished: stream.finished.load(Ordering::Acquire),
        sequence,
        last_ts,
        schema: stream.schema.clone(),
    }
}
