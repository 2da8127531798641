//! The tail: the open block of a stream, written by one and read by any number of threads.
//!
//! # Invariants
//! - One [`TailWriter`] exists for a block; it alone writes, and only to records at or beyond the
//!   published length.
//! - A record is written whole before the length that includes it is published (`Release`);
//!   readers load the length (`Acquire`) and touch nothing beyond it. So no byte is read while it
//!   is written, and no reader sees half a record.
//! - The buffer never moves and is zeroed at birth: every byte in it is initialised.
#![allow(unsafe_code, reason = "one writer and many readers share a buffer without a lock")]

use std::alloc::{Layout as Allocation, alloc_zeroed, dealloc, handle_alloc_error};
use std::ptr::NonNull;

use presence_format::block::{BlockLayout, LANE_ALIGN};

use crate::shim::Arc;
use crate::shim::atomic::{AtomicUsize, Ordering};

/// An open or frozen block in memory.
pub(crate) struct TailBlock {
    layout: Arc<BlockLayout>,
    starts: Box<[usize]>,
    capacity: usize,
    first_sequence: u64,
    published: AtomicUsize,
    buffer: NonNull<u8>,
    bytes: usize,
}

// SAFETY: the buffer is owned by the block; access to it follows the protocol above, which keeps
// every write apart from every read whatever threads they come from.
unsafe impl Send for TailBlock {}
// SAFETY: as for Send: shared readers touch published records only, which nobody writes.
unsafe impl Sync for TailBlock {}

impl TailBlock {
    /// An empty block for up to `capacity` records, the first of which has `first_sequence`, and
    /// the one writer of it.
    pub(crate) fn new(
        layout: &Arc<BlockLayout>,
        capacity: usize,
        first_sequence: u64,
    ) -> (Arc<Self>, TailWriter) {
        let bytes = layout.decoded_bytes(capacity).max(LANE_ALIGN);
        let allocation = Self::allocation(bytes);
        // SAFETY: the allocation's size is not zero.
        let buffer = unsafe { alloc_zeroed(allocation) };
        let Some(buffer) = NonNull::new(buffer) else { handle_alloc_error(allocation) };
        let block = Arc::new(Self {
            starts: layout.ranges(capacity).map(|range| range.start).collect(),
            layout: Arc::clone(layout),
            capacity,
            first_sequence,
            published: AtomicUsize::new(0),
            buffer,
            bytes,
        });
        let writer = TailWriter { block: Arc::clone(&block), len: 0 };
        (block, writer)
    }

    fn allocation(bytes: usize) -> Allocation {
        // Decoded blocks stay far below `isize::MAX`, and the alignment is a constant.
        Allocation::from_size_align(bytes, LANE_ALIGN).unwrap_or(Allocation::new::<u64>())
    }

    /// Records published so far.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.published.load(Ordering::Acquire)
    }

    /// Sequence of the first record.
    pub(crate) fn first_sequence(&self) -> u64 {
        self.first_sequence
    }

    /// Most records it can take.
    pub(crate) fn capacity(&self) -> usize {
        self.capacity
    }

    /// Bytes of memory behind the block.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.bytes
    }

    /// The arrays of the block.
    pub(crate) fn layout(&self) -> &Arc<BlockLayout> {
        &self.layout
    }

    /// Lane `lane` (timestamps are 0) of the published records; empty where there is no such lane.
    #[inline]
    pub(crate) fn lane(&self, lane: usize) -> &[u8] {
        let len = self.len();
        let (Some(&start), Some(shape)) = (self.starts.get(lane), self.layout.lanes().get(lane))
        else {
            return &[];
        };
        // SAFETY: `start .. start + capacity * value_bytes` lies inside the buffer, `len` is at
        // most the capacity, and published records are never written again.
        unsafe {
            std::slice::from_raw_parts(self.buffer.as_ptr().add(start), len * shape.value_bytes)
        }
    }
}

impl Drop for TailBlock {
    fn drop(&mut self) {
        // SAFETY: allocated in `new` with the same layout, and freed nowhere else.
        unsafe { dealloc(self.buffer.as_ptr(), Self::allocation(self.bytes)) }
    }
}

impl std::fmt::Debug for TailBlock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TailBlock({} of {} from {})", self.len(), self.capacity, self.first_sequence)
    }
}

/// The part of a block in memory that no block on disk repeats: what views hold.
#[derive(Debug, Clone)]
pub(crate) struct TailPart {
    pub(crate) block: Arc<TailBlock>,
    /// Records at the front that a block on disk has already.
    pub(crate) skip: usize,
}

impl TailPart {
    /// Records of the part, as of now.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.block.len().saturating_sub(self.skip)
    }

    /// Sequence of the part's first record.
    pub(crate) fn first_sequence(&self) -> u64 {
        self.block.first_sequence() + self.skip as u64
    }

    /// Sequence after the part's last record, as of now.
    pub(crate) fn end_sequence(&self) -> u64 {
        self.block.first_sequence() + self.block.len() as u64
    }

    /// Lane `lane` of the part.
    #[inline]
    pub(crate) fn lane(&self, lane: usize) -> &[u8] {
        let width = self.block.layout.lanes().get(lane).map_or(0, |lane| lane.value_bytes);
        self.block.lane(lane).get(self.skip * width..).unwrap_or_default()
    }

    /// The same block with the records below `sequence` left to disk.
    pub(crate) fn after_sequence(&self, sequence: u64) -> Self {
        let skip = sequence.saturating_sub(self.block.first_sequence()) as usize;
        Self { block: Arc::clone(&self.block), skip: skip.max(self.skip) }
    }
}

/// The one writer of a [`TailBlock`]. Not `Clone`: that is what makes it the only one.
#[derive(Debug)]
pub(crate) struct TailWriter {
    block: Arc<TailBlock>,
    len: usize,
}

impl TailWriter {
    /// The block written to.
    pub(crate) fn block(&self) -> &Arc<TailBlock> {
        &self.block
    }

    /// Records that fit in still.
    #[inline]
    pub(crate) fn room(&self) -> usize {
        self.block.capacity - self.len
    }

    /// Writes `value` as lane `lane` of the next record. Ignored where lane or size are wrong:
    /// callers checked them against the schema.
    #[inline]
    pub(crate) fn put(&mut self, lane: usize, value: &[u8]) {
        self.put_many(lane, 1, value);
    }

    /// Writes `records` values of lane `lane`, for the next records.
    #[inline]
    pub(crate) fn put_many(&mut self, lane: usize, records: usize, values: &[u8]) {
        let (Some(&start), Some(shape)) =
            (self.block.starts.get(lane), self.block.layout.lanes().get(lane))
        else {
            return;
        };
        let width = shape.value_bytes;
        if records > self.room() || values.len() != width * records {
            debug_assert!(false, "value of the wrong size, or no room");
            return;
        }
        // SAFETY: the destination is inside the buffer, as `len + records <= capacity`; nobody
        // reads it, since it lies beyond the published length, and this is the only writer.
        unsafe {
            let target = self.block.buffer.as_ptr().add(start + self.len * width);
            std::ptr::copy_nonoverlapping(values.as_ptr(), target, values.len());
        }
    }

    /// Makes the next `records` records visible; all their lanes were written.
    #[inline]
    pub(crate) fn publish(&mut self, records: usize) {
        self.len = (self.len + records).min(self.block.capacity);
        self.block.published.store(self.len, Ordering::Release);
    }

    /// A copy of `block`, whose writer is gone, with room for at least `capacity` records, and its
    /// writer.
    pub(crate) fn reopened(block: &Arc<TailBlock>, capacity: usize) -> (Arc<TailBlock>, Self) {
        let gone = Self { block: Arc::clone(block), len: block.len() };
        gone.grown(capacity)
    }

    /// A larger block with the same records, and its writer; readers of the old one keep it.
    pub(crate) fn grown(&self, capacity: usize) -> (Arc<TailBlock>, Self) {
        let old = &self.block;
        let capacity = capacity.max(old.capacity);
        let (block, mut writer) = TailBlock::new(&old.layout, capacity, old.first_sequence);
        for lane in 0..old.starts.len() {
            writer.put_many(lane, self.len, old.lane(lane));
        }
        writer.publish(self.len);
        (block, writer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use presence_format::{Column, DType, Schema};

    fn layout() -> Arc<BlockLayout> {
        let columns = vec![Column::new("a", DType::F32, &[3]), Column::scalar("b", DType::U8)];
        Arc::new(BlockLayout::new(&Schema::new(columns).unwrap()))
    }

    #[test]
    fn readers_see_whole_records_while_one_writes() {
        let records = if cfg!(miri) { 50 } else { 20_000 };
        let (block, mut writer) = TailBlock::new(&layout(), records, 7);
        let reader = std::thread::spawn({
            let block = Arc::clone(&block);
            move || loop {
                let len = block.len();
                let times: &[i64] = bytemuck::cast_slice(&block.lane(0)[..len * 8]);
                let b = &block.lane(2)[..len];
                for (index, (&ts, &b)) in times.iter().zip(b).enumerate() {
                    assert_eq!((ts, b), (index as i64, index as u8));
                }
                if len == block.capacity() {
                    break;
                }
            }
        });
        for index in 0..records {
            writer.put(0, &(index as i64).to_le_bytes());
            writer.put(1, &[0; 12]);
            writer.put(2, &[index as u8]);
            writer.publish(1);
        }
        reader.join().unwrap();
        assert_eq!(writer.room(), 0);
        let (grown, writer) = writer.grown(records * 2);
        assert_eq!((grown.lane(0), writer.room()), (block.lane(0), records));
        assert_eq!(grown.first_sequence(), 7);
    }
}
