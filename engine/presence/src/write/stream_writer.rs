//! Writers of one stream: typed, and by columns.
//!
//! # Invariants
//! - One writer exists for a stream at a time: it alone appends, without a lock.
//! - A record is checked before any of it is written; a batch is checked whole.
//! - Timestamps keep the stream's order across writers and openings.

use std::borrow::Borrow;
use std::marker::PhantomData;

use presence_format::catalog::{Catalog, StreamEntry};
use presence_format::{Batch, Order, Schema};

use crate::error::{Error, Result};
use crate::options::{Level, Watermark};
use crate::record::{Record, Sink, Value};
use crate::shim::Arc;
use crate::shim::atomic::Ordering;
use crate::store::core::Core;
use crate::store::database::Handle;
use crate::store::stream_state::StreamState;
use crate::tail::{BufferPool, TailBlock, TailWriter};
use crate::write::log::Log;
use crate::write::recording::catalog_entry;

/// Decoded bytes of a stream's first open block; it grows to the full size as records come.
const FIRST_BLOCK_BYTES: usize = 4096;
/// How much larger the next open block is.
const GROWTH: usize = 4;

/// What both kinds of writer are made of.
#[derive(Debug)]
struct Appender {
    handle: Arc<Handle>,
    stream: Arc<StreamState>,
    tail: TailWriter,
    /// The least timestamp that may come next.
    floor: i64,
    /// Records that may be appended without looking further: zero once no timestamp may come.
    room: usize,
    /// No timestamp may come: the last one was the greatest there is.
    exhausted: bool,
    records_max: usize,
    /// One for strictly increasing time, else zero: what the next timestamp must add at least.
    step: i64,
    core: Arc<Core>,
    pool: Arc<BufferPool>,
}

impl Appender {
    fn new(handle: &Arc<Handle>, stream: &Arc<StreamState>) -> Result<Self> {
        let log = handle.core.log()?;
        if stream.finished.load(Ordering::Acquire) {
            return Err(Error::StreamFinished { name: stream.name.clone() });
        }
        if stream.writer_taken.swap(true, Ordering::AcqRel) {
            return Err(Error::WriterTaken { name: stream.name.clone() });
        }
        log.record(stream);
        let records_max = stream.layout.records_within(handle.core.options.block_bytes as usize);
        let capacity = stream.layout.records_within(FIRST_BLOCK_BYTES).min(records_max);
        let view = stream.view.load_full();
        let (block, tail) = match &view.open {
            Some(open) => TailWriter::copied(&open.block, capacity, None),
            None => TailBlock::new(&stream.layout, capacity, stream.end_sequence(), None),
        };
        stream.view.update(|view| view.with_open(&block));
        let mut appender = Self {
            handle: Arc::clone(handle),
            stream: Arc::clone(stream),
            tail,
            floor: i64::MIN,
            room: 0,
            exhausted: false,
            records_max,
            step: i64::from(stream.schema.order() == Order::StrictlyIncreasing),
            core: Arc::clone(&handle.core),
            pool: Arc::default(),
        };
        if let Some(last_ts) = stream.last_ts() {
            appender.accept(last_ts);
        }
        Ok(appender)
    }

    fn log(&self) -> Result<&Log> {
        self.handle.core.log()
    }

    /// Notes that `ts` was appended.
    #[inline]
    fn accept(&mut self, ts: i64) {
        match ts.checked_add(self.step) {
            Some(floor) => {
                self.floor = floor;
                self.room = self.tail.room();
            }
            None => {
                self.exhausted = true;
                self.room = 0;
            }
        }
    }

    /// Whether a record at `ts` may be written at once: order kept, room there, nothing failed.
    #[inline]
    fn may_append(&self, ts: i64) -> bool {
        ts >= self.floor && self.room > 0 && !self.core.gate.is_halted()
    }

    /// Whether these are the bytes of one record, column by column.
    fn is_record(&self, columns: &[&[u8]]) -> bool {
        let lanes = self.stream.layout.lanes().get(1..).unwrap_or_default();
        let widths = lanes.iter().map(|lane| lane.value_bytes);
        widths.eq(columns.iter().map(|bytes| bytes.len()))
    }

    /// Finds out why a record at `ts` may not be written at once, and makes room.
    #[cold]
    fn prepare(&mut self, ts: i64) -> Result<()> {
        self.core.gate.check_appendable()?;
        if ts < self.floor || self.exhausted {
            return Err(self.order_broken(ts));
        }
        self.make_room()
    }

    fn order_broken(&self, ts: i64) -> Error {
        Error::TimeOrder {
            stream: self.stream.name.clone(),
            last_ts: self.stream.last_ts().unwrap_or(self.floor),
            ts,
            order: self.stream.schema.order().name(),
        }
    }

    /// Grows the open block, or freezes it and begins the next.
    fn make_room(&mut self) -> Result<()> {
        if self.tail.room() == 0 {
            let capacity = self.tail.block().capacity();
            if capacity < self.records_max {
                let larger = capacity.saturating_mul(GROWTH).min(self.records_max);
                let pool = (larger == self.records_max).then_some(&self.pool);
                let (block, tail) = TailWriter::copied(self.tail.block(), larger, pool);
                self.stream.view.update(|view| view.with_open(&block));
                self.tail = tail;
            } else {
                self.freeze()?;
            }
        }
        self.room = self.tail.room();
        Ok(())
    }

    fn freeze(&mut self) -> Result<()> {
        let old = Arc::clone(self.tail.block());
        let next = old.first_sequence() + old.len() as u64;
        let (block, tail) =
            TailBlock::new(&self.stream.layout, self.records_max, next, Some(&self.pool));
        let core = &self.handle.core;
        let log = core.log()?;
        log.handover.freeze(old.memory_bytes(), || {
            let mut kept = true;
            self.stream.view.update(|view| {
                kept = view.open.as_ref().is_some_and(|open| open.len() > 0);
                view.with_frozen(&block)
            });
            kept
        });
        self.tail = tail;
        if !core.options.background {
            return log.write_blocks(core);
        }
        log.handover.wait_for_room(|| core.gate.check_appendable())
    }

    /// Checks the order of a batch's timestamps.
    fn check_order(&self, timestamps: &[i64]) -> Result<()> {
        let Some(&first) = timestamps.first() else { return Ok(()) };
        if first < self.floor || self.exhausted {
            return Err(self.order_broken(first));
        }
        let order = self.stream.schema.order();
        match timestamps.array_windows().find(|[last, next]| !order.allows(*last, *next)) {
            None => Ok(()),
            Some([last_ts, ts]) => Err(Error::TimeOrder {
                stream: self.stream.name.clone(),
                last_ts: *last_ts,
                ts: *ts,
                order: order.name(),
            }),
        }
    }

    /// Appends checked records, given as lanes' bytes.
    fn append_lanes(&mut self, timestamps: &[i64], columns: &[&[u8]]) -> Result<()> {
        let layout = Arc::clone(&self.stream.layout);
        let mut done = 0;
        while let Some(rest) = timestamps.get(done..).filter(|rest| !rest.is_empty()) {
            if self.tail.room() == 0 {
                self.core.gate.check_appendable()?;
                self.make_room()?;
            }
            let now = rest.len().min(self.tail.room());
            let times = rest.get(..now).unwrap_or_default();
            self.tail.put_many(0, now, bytemuck::cast_slice(times));
            for (index, (lane, bytes)) in layout.lanes().iter().skip(1).zip(columns).enumerate() {
                let range = done * lane.value_bytes..(done + now) * lane.value_bytes;
                self.tail.put_many(index + 1, now, bytes.get(range).unwrap_or_default());
            }
            self.tail.publish(now);
            done += now;
        }
        if let Some(&last) = timestamps.last() {
            self.accept(last);
        }
        Ok(())
    }

    /// Checks lengths and order of a batch, and that writing is allowed.
    fn check_batch(&self, timestamps: &[i64], columns: &[&[u8]]) -> Result<()> {
        self.core.gate.check_appendable()?;
        let wrong = |what: String| Error::Batch { stream: self.stream.name.clone(), what };
        let schema = &self.stream.schema;
        if columns.len() != schema.columns().len() {
            return Err(wrong(format!(
                "a batch of {} columns for a stream of {}",
                columns.len(),
                schema.columns().len()
            )));
        }
        for (column, bytes) in schema.columns().iter().zip(columns) {
            let want = column.value_bytes().saturating_mul(timestamps.len());
            if bytes.len() != want {
                return Err(wrong(format!(
                    "column {:?} ({}) has {} bytes; {} records need {want}",
                    column.name(),
                    column.type_name(),
                    bytes.len(),
                    timestamps.len()
                )));
            }
        }
        self.check_order(timestamps)
    }

    fn flush(&self, level: Level) -> Result<Watermark> {
        self.log()?.flush(&self.handle.core, level)
    }

    fn finish(&mut self) -> Result<()> {
        let core = &self.handle.core;
        let log = core.log()?;
        log.flush(core, Level::Os)?;
        let (end, last_ts) = (self.stream.end_sequence(), self.stream.last_ts());
        let entry = catalog_entry(&self.stream, end, last_ts, None);
        let streams = vec![StreamEntry { finished: true, ..entry }];
        log.add_catalog(core, Catalog { retained_from: 0, streams }, || {
            self.stream.finished.store(true, Ordering::Release);
        })?;
        log.flush(core, Level::Disk).map(|_| ())
    }
}

impl Drop for Appender {
    fn drop(&mut self) {
        self.stream.writer_taken.store(false, Ordering::Release);
    }
}

/// Appends records of type `T` to one stream.
///
/// `append` copies the record into memory and returns: about ten nanoseconds, no lock, no system
/// call. Readers of this process see it at once. [`flush`](StreamWriter::flush) tells when it has
/// reached the kernel or the medium; without it a background thread brings it there.
#[derive(Debug)]
pub struct StreamWriter<T> {
    appender: Appender,
    _record: PhantomData<fn(&T)>,
}

struct TailSink<'a>(&'a mut TailWriter);

impl Sink for TailSink<'_> {
    #[inline]
    fn put<V: Value>(&mut self, column: usize, value: &V) {
        value.with_bytes(|bytes| self.0.put(column + 1, bytes));
    }
}

impl<T: Record> StreamWriter<T> {
    pub(crate) fn new(handle: &Arc<Handle>, stream: &Arc<StreamState>) -> Result<Self> {
        stream.check_record::<T>()?;
        Ok(Self { appender: Appender::new(handle, stream)?, _record: PhantomData })
    }

    /// Appends one record.
    ///
    /// Waits only while more than
    /// [`write_buffer_bytes`](crate::Options::write_buffer_bytes) are on their way to the kernel.
    ///
    /// # Errors
    /// [`Error::TimeOrder`] where `ts` breaks the stream's order, [`Error::Poisoned`] after a
    /// failed write, [`Error::Closed`], [`Error::Forked`]. Nothing was appended then.
    #[inline]
    pub fn append(&mut self, ts: i64, value: impl Borrow<T>) -> Result<()> {
        if !self.appender.may_append(ts) {
            self.appender.prepare(ts)?;
        }
        self.appender.tail.put(0, &ts.to_le_bytes());
        value.borrow().write(&mut TailSink(&mut self.appender.tail));
        self.appender.tail.publish(1);
        self.appender.accept(ts);
        Ok(())
    }

    /// Appends records in one call. All are checked before the first is written.
    ///
    /// # Errors
    /// [`Error::Batch`] where the lengths differ, and as [`StreamWriter::append`]: nothing was
    /// appended then, unless a write failed on the way.
    pub fn append_batch(&mut self, timestamps: &[i64], values: &[T]) -> Result<()> {
        if timestamps.len() != values.len() {
            return Err(Error::Batch {
                stream: self.appender.stream.name.clone(),
                what: format!("{} timestamps and {} values", timestamps.len(), values.len()),
            });
        }
        if let Some(bytes) = T::slice_bytes(values) {
            self.appender.check_batch(timestamps, &[bytes])?;
            return self.appender.append_lanes(timestamps, &[bytes]);
        }
        self.appender.core.gate.check_appendable()?;
        self.appender.check_order(timestamps)?;
        timestamps.iter().zip(values).try_for_each(|(&ts, value)| self.append(ts, value))
    }

    /// Brings everything appended to the database before the call to `level`.
    ///
    /// # Errors
    /// The first failure ends this database's writing: later calls return [`Error::Poisoned`].
    pub fn flush(&mut self, level: Level) -> Result<Watermark> {
        self.appender.flush(level)
    }

    /// Closes the stream for ever: nothing can be appended to it afterwards, by anybody. Returns
    /// once that is durable.
    ///
    /// # Errors
    /// As [`StreamWriter::flush`].
    pub fn finish(mut self) -> Result<()> {
        self.appender.finish()
    }

    /// The stream's schema.
    pub fn schema(&self) -> &Schema {
        &self.appender.stream.schema
    }
}

/// Appends records to a stream whose columns are known at run time only.
#[derive(Debug)]
pub struct ColumnWriter {
    appender: Appender,
}

impl ColumnWriter {
    pub(crate) fn new(handle: &Arc<Handle>, stream: &Arc<StreamState>) -> Result<Self> {
        Ok(Self { appender: Appender::new(handle, stream)? })
    }

    /// Appends one record: the bytes of each column's value, little-endian and row-major.
    ///
    /// # Errors
    /// [`Error::Batch`] for a wrong number of columns or bytes, and as [`StreamWriter::append`].
    pub fn append(&mut self, ts: i64, columns: &[&[u8]]) -> Result<()> {
        let appender = &mut self.appender;
        if appender.may_append(ts) && appender.is_record(columns) {
            appender.tail.put_many(0, 1, bytemuck::bytes_of(&ts));
            for (index, bytes) in columns.iter().enumerate() {
                appender.tail.put_many(index + 1, 1, bytes);
            }
            appender.tail.publish(1);
            appender.accept(ts);
            return Ok(());
        }
        self.append_columns(&[ts], columns)
    }

    /// Appends records column by column: `timestamps.len()` values each, as bytes.
    ///
    /// # Errors
    /// [`Error::Batch`] for a wrong number of columns or bytes, and as
    /// [`StreamWriter::append_batch`].
    pub fn append_columns(&mut self, timestamps: &[i64], columns: &[&[u8]]) -> Result<()> {
        self.appender.check_batch(timestamps, columns)?;
        self.appender.append_lanes(timestamps, columns)
    }

    /// Appends a batch.
    ///
    /// # Errors
    /// As [`ColumnWriter::append_columns`].
    pub fn append_batch(&mut self, batch: &Batch) -> Result<()> {
        let columns: Vec<&[u8]> = batch.columns.iter().map(|column| column.bytes()).collect();
        self.append_columns(&batch.timestamps, &columns)
    }

    /// As [`StreamWriter::flush`].
    ///
    /// # Errors
    /// As [`StreamWriter::flush`].
    pub fn flush(&mut self, level: Level) -> Result<Watermark> {
        self.appender.flush(level)
    }

    /// As [`StreamWriter::finish`].
    ///
    /// # Errors
    /// As [`StreamWriter::finish`].
    pub fn finish(mut self) -> Result<()> {
        self.appender.finish()
    }

    /// The stream's schema.
    pub fn schema(&self) -> &Schema {
        &self.appender.stream.schema
    }
}
