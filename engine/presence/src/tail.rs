//! The tail: the open block of a stream, written by one and read by any number of threads.
//!
//! # Invariants
//! - One [`TailWriter`] exists for a block; it alone writes, and only to records at or beyond the
//!   published length.
//! - A record is written whole before the length that includes it is published (`Release`);
//!   readers load the length (`Acquire`) and touch nothing beyond it. So no byte is read while it
//!   is written, and no reader sees half a record.
//! - A buffer never moves, and was zeroed when it was allocated: every byte in it is initialised.
#![allow(unsafe_code, reason = "one writer and many readers share a buffer without a lock")]

use std::alloc::{Layout as Allocation, alloc_zeroed, dealloc, handle_alloc_error};
use std::ptr::NonNull;

use presence_format::block::{BlockLayout, LANE_ALIGN};

use crate::shim::atomic::{AtomicUsize, Ordering};
use crate::shim::{Arc, Mutex, RaceDetector, lock, planted};

/// Initialised memory that starts at a multiple of [`LANE_ALIGN`].
struct Buffer {
    start: NonNull<u8>,
    bytes: usize,
}

// SAFETY: a buffer owns its memory, and nothing about it depends on a thread.
unsafe impl Send for Buffer {}

impl Buffer {
    fn new(bytes: usize) -> Self {
        let allocation = Self::allocation(bytes);
        // SAFETY: the allocation's size is not zero: callers ask for at least `LANE_ALIGN`.
        let start = unsafe { alloc_zeroed(allocation) };
        let Some(start) = NonNull::new(start) else { handle_alloc_error(allocation) };
        Self { start, bytes }
    }

    fn allocation(bytes: usize) -> Allocation {
        // Decoded blocks stay far below `isize::MAX`, and the alignment is a constant.
        Allocation::from_size_align(bytes, LANE_ALIGN).unwrap_or(Allocation::new::<u64>())
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // SAFETY: allocated in `new` with the same layout, and freed nowhere else.
        unsafe { dealloc(self.start.as_ptr(), Self::allocation(self.bytes)) }
    }
}

/// Buffers of one size for the next blocks: memory that is in the caches and mapped already.
///
/// What a buffer held before is never seen: readers touch published records only.
#[derive(Default)]
pub(crate) struct BufferPool(Mutex<Vec<Buffer>>);

/// Buffers that a pool keeps at most.
const POOL_MAX: usize = 4;

impl BufferPool {
    fn take(&self, bytes: usize) -> Buffer {
        let mut pool = lock(&self.0);
        let found = pool.iter().position(|buffer| buffer.bytes == bytes);
        found.map(|index| pool.swap_remove(index)).unwrap_or_else(|| Buffer::new(bytes))
    }

    fn give(&self, buffer: Buffer) {
        let mut pool = lock(&self.0);
        if pool.len() == POOL_MAX {
            pool.remove(0);
        }
        pool.push(buffer);
    }
}

impl std::fmt::Debug for BufferPool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "BufferPool({} buffers)", lock(&self.0).len())
    }
}

/// An open or frozen block in memory.
pub(crate) struct TailBlock {
    layout: Arc<BlockLayout>,
    lanes: Box<[LanePlace]>,
    capacity: usize,
    first_sequence: u64,
    published: AtomicUsize,
    races: RaceDetector,
    /// Taken when the block is dropped, and never else.
    buffer: Option<Buffer>,
    start: NonNull<u8>,
    pool: Option<Arc<BufferPool>>,
}

/// Where a lane begins in the buffer, and the bytes of one value.
#[derive(Debug, Clone, Copy)]
struct LanePlace {
    start: usize,
    width: usize,
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
        pool: Option<&Arc<BufferPool>>,
    ) -> (Arc<Self>, TailWriter) {
        let bytes = layout.decoded_bytes(capacity).max(LANE_ALIGN);
        let buffer = pool.map_or_else(|| Buffer::new(bytes), |pool| pool.take(bytes));
        let starts = layout.ranges(capacity).map(|range| range.start);
        let lanes: Box<[LanePlace]> = starts
            .zip(layout.lanes())
            .map(|(start, lane)| LanePlace { start, width: lane.value_bytes })
            .collect();
        let start = buffer.start;
        let block = Arc::new(Self {
            layout: Arc::clone(layout),
            lanes: lanes.clone(),
            capacity,
            first_sequence,
            published: AtomicUsize::new(0),
            races: RaceDetector::new(capacity),
            buffer: Some(buffer),
            start,
            pool: pool.cloned(),
        });
        let writer = TailWriter { block: Arc::clone(&block), lanes, start, capacity, len: 0 };
        (block, writer)
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
        self.buffer.as_ref().map_or(0, |buffer| buffer.bytes)
    }

    /// The arrays of the block.
    pub(crate) fn layout(&self) -> &Arc<BlockLayout> {
        &self.layout
    }

    /// Lane `lane` (timestamps are 0) of the published records; empty where there is no such lane.
    #[inline]
    pub(crate) fn lane(&self, lane: usize) -> &[u8] {
        let len = self.len();
        let Some(&LanePlace { start, width }) = self.lanes.get(lane) else { return &[] };
        self.races.read(len);
        // SAFETY: `start .. start + capacity * width` lies inside the buffer, `len` is at most the
        // capacity, and published records are never written again.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr().add(start), len * width) }
    }
}

impl Drop for TailBlock {
    fn drop(&mut self) {
        if let (Some(buffer), Some(pool)) = (self.buffer.take(), &self.pool) {
            pool.give(buffer);
        }
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
        let width = self.block.lanes.get(lane).map_or(0, |lane| lane.width);
        let start = self.skip.saturating_mul(width);
        self.block.lane(lane).get(start..).unwrap_or_default()
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
    /// The block's places, at hand: an append looks at nothing else of the block.
    lanes: Box<[LanePlace]>,
    start: NonNull<u8>,
    capacity: usize,
    len: usize,
}

// SAFETY: the pointer is into the block's buffer, which the writer keeps alive and may write to
// from whatever thread it is on.
unsafe impl Send for TailWriter {}

impl TailWriter {
    /// The block written to.
    pub(crate) fn block(&self) -> &Arc<TailBlock> {
        &self.block
    }

    /// Records that fit in still.
    #[inline]
    pub(crate) fn room(&self) -> usize {
        self.capacity - self.len
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
        let Some(&LanePlace { start, width }) = self.lanes.get(lane) else { return };
        if records > self.room() || values.len() != width * records {
            debug_assert!(false, "value of the wrong size, or no room");
            return;
        }
        self.block.races.write(self.len..self.len + records);
        // SAFETY: the destination is inside the buffer, as `len + records <= capacity`; nobody
        // reads it, since it lies beyond the published length, and this is the only writer.
        unsafe {
            let target = self.start.as_ptr().add(start + self.len * width);
            std::ptr::copy_nonoverlapping(values.as_ptr(), target, values.len());
        }
    }

    /// Makes the next `records` records visible; all their lanes were written.
    #[inline]
    pub(crate) fn publish(&mut self, records: usize) {
        self.len = (self.len + records).min(self.capacity);
        // What was written before is seen with the length.
        let order = if planted("relaxed_publish") { Ordering::Relaxed } else { Ordering::Release };
        self.block.published.store(self.len, order);
    }

    /// A copy of `block` with room for at least `capacity` records, and the copy's writer. Readers
    /// of the old one keep it; whoever wrote to it is gone, or is about to use this one instead.
    pub(crate) fn copied(
        block: &TailBlock,
        capacity: usize,
        pool: Option<&Arc<BufferPool>>,
    ) -> (Arc<TailBlock>, Self) {
        let records = block.len();
        let capacity = capacity.max(block.capacity);
        let (copy, mut writer) =
            TailBlock::new(&block.layout, capacity, block.first_sequence, pool);
        for lane in 0..block.lanes.len() {
            writer.put_many(lane, records, block.lane(lane));
        }
        writer.publish(records);
        (copy, writer)
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;
    use presence_format::{Column, DType, Schema};

    fn layout() -> Arc<BlockLayout> {
        let columns = vec![Column::new("a", DType::F32, &[3]), Column::scalar("b", DType::U8)];
        Arc::new(BlockLayout::new(&Schema::new(columns).unwrap()))
    }

    #[test]
    fn readers_see_whole_records_while_one_writes() {
        let records = if cfg!(miri) { 20 } else { 20_000 };
        let (block, mut writer) = TailBlock::new(&layout(), records, 7, None);
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
        let (grown, writer) = TailWriter::copied(&block, records * 2, None);
        assert_eq!((grown.lane(0), writer.room()), (block.lane(0), records));
        assert_eq!(grown.first_sequence(), 7);
    }
}

#[cfg(test)]
#[cfg(loom)]
mod models {
    use super::*;
    use crate::shim::explore;
    use presence_format::{DType, Schema};

    /// One writer and two readers: whatever the order, a reader sees whole records, as many as the
    /// length it loaded says.
    #[test]
    fn published_records_are_whole() {
        explore(3, || {
            let layout = Arc::new(BlockLayout::new(&Schema::single(DType::U8, &[]).unwrap()));
            let (block, mut writer) = TailBlock::new(&layout, 3, 0, None);
            let read = |block: &TailBlock| {
                let times = block.lane(0).to_vec();
                let len = times.len() / 8;
                let expected: Vec<u8> = (0..len as i64).flat_map(i64::to_le_bytes).collect();
                assert_eq!(times, expected);
                len
            };
            let readers: Vec<_> = (0..2)
                .map(|_| {
                    let block = Arc::clone(&block);
                    loom::thread::spawn(move || {
                        let first = read(&block);
                        assert!(read(&block) >= first);
                    })
                })
                .collect();
            for ts in 0..3_i64 {
                writer.put(0, &ts.to_le_bytes());
                writer.put(1, &[ts as u8]);
                writer.publish(1);
            }
            for reader in readers {
                reader.join().unwrap();
            }
        });
    }
}
