//! A stream as readers hold it: `at`, `window` and their kin.
//!
//! # Invariants
//! - An answer is made from one snapshot: records appended meanwhile are in it whole or not at all.
//! - Nothing here waits for the writer.

use std::ops::RangeBounds;

use presence_format::{Column, Schema};

use super::ends::Recent;
use super::gather::Gathered;
use super::page::Page;
use super::typed::TypedStream;
use super::view::Reader;
use super::window::{PageRecord, Window, WindowOptions};
use crate::error::{Error, Result};
use crate::options::Level;
use crate::record::Record;
use crate::shim::Arc;
use crate::shim::atomic::Ordering;
use crate::store::database::Handle;
use crate::store::stats::StreamStats;
use crate::store::stream_state::{Snapshot, StreamState};
use crate::write::stream_writer::{ColumnWriter, StreamWriter};

/// A named sequence of records. Cheap to clone, usable from many threads.
#[derive(Debug, Clone)]
pub struct Stream {
    handle: Arc<Handle>,
    state: Arc<StreamState>,
}

/// One record of a stream: its timestamp, and its values borrowed from the page they lie in.
#[derive(Debug, Clone)]
pub struct RecordRef {
    page: Page,
    index: usize,
    ts: i64,
}

impl RecordRef {
    pub(crate) fn new(page: Page, index: usize) -> Option<Self> {
        let ts = *page.times().get(index)?;
        Some(Self { page, index, ts })
    }

    /// The record's timestamp, in the stream's unit.
    pub fn ts(&self) -> i64 {
        self.ts
    }

    /// The bytes of column `column`, little-endian, row-major; empty where there is no such column.
    pub fn column_bytes(&self, column: usize) -> &[u8] {
        let Some(lane) = self.page.layout().lanes().get(column + 1) else { return &[] };
        let bytes = self.index * lane.value_bytes..(self.index + 1) * lane.value_bytes;
        self.page.lane(column + 1).get(bytes).unwrap_or_default()
    }

    /// The record as `T`; `None` where a column of `T` has another size.
    pub fn value<T: Record>(&self) -> Option<T> {
        T::read(&PageRecord { page: self.page.view(), index: self.index })
    }
}

impl Stream {
    pub(crate) fn new(handle: &Arc<Handle>, state: &Arc<StreamState>) -> Self {
        Self { handle: Arc::clone(handle), state: Arc::clone(state) }
    }

    /// The stream's name.
    pub fn name(&self) -> &str {
        &self.state.name
    }

    /// The stream's schema.
    pub fn schema(&self) -> &Schema {
        &self.state.schema
    }

    /// The columns, in the order of their index.
    pub fn columns(&self) -> &[Column] {
        self.state.schema.columns()
    }

    /// Whether the stream was closed for ever.
    pub fn is_finished(&self) -> bool {
        self.state.finished.load(Ordering::Acquire)
    }

    /// The same stream with records of type `T`.
    ///
    /// # Errors
    /// [`Error::SchemaMismatch`] where `T` has other columns. One column fits one column whatever
    /// its name.
    pub fn typed<T: Record>(&self) -> Result<TypedStream<T>> {
        TypedStream::new(self.clone())
    }

    /// The stream's one writer, for records of type `T`.
    ///
    /// # Errors
    /// [`Error::SchemaMismatch`], [`Error::WriterTaken`], [`Error::StreamFinished`],
    /// [`Error::ReadOnly`].
    pub fn writer<T: Record>(&self) -> Result<StreamWriter<T>> {
        StreamWriter::new(&self.handle, &self.state)
    }

    /// The stream's one writer, for columns known at run time.
    ///
    /// # Errors
    /// As [`Stream::writer`], but for the schema.
    pub fn column_writer(&self) -> Result<ColumnWriter> {
        ColumnWriter::new(&self.handle, &self.state)
    }

    /// Asks `question` of the stream as it is now, without keeping its view.
    #[inline]
    pub(crate) fn with_reader<R>(&self, question: impl FnOnce(&Reader<'_>) -> R) -> R {
        let view = self.state.view.load();
        let open_len = view.open.as_ref().map_or(0, |open| open.len());
        question(&self.state.reader(&view, open_len, &self.handle.core.pages))
    }

    pub(crate) fn state(&self) -> &Arc<StreamState> {
        &self.state
    }

    /// Number of records that can be read. Does not count what retention gave up.
    pub fn len(&self) -> u64 {
        self.with_reader(|reader| {
            let gaps = reader.view.gaps.iter();
            let inside = gaps.filter(|gap| gap.after_ts.is_some() && gap.before_ts.is_some());
            let lost: u64 = inside.map(|gap| gap.to_sequence - gap.from_sequence).sum();
            let all = reader.sequence(reader.end()).saturating_sub(reader.view.first_sequence());
            all.saturating_sub(lost)
        })
    }

    /// Whether no record can be read.
    pub fn is_empty(&self) -> bool {
        self.with_reader(|reader| reader.pieces() == 0)
    }

    /// The first record that can be read; `None` in an empty stream.
    ///
    /// # Errors
    /// [`Error::Corrupt`] where its block is damaged, [`Error::Io`].
    pub fn first(&self) -> Result<Option<RecordRef>> {
        self.with_reader(|reader| {
            if reader.pieces() == 0 {
                return Ok(None);
            }
            Ok(RecordRef::new(reader.page(0)?, 0))
        })
    }

    /// The last record; `None` in an empty stream.
    ///
    /// # Errors
    /// As [`Stream::first`].
    pub fn last(&self) -> Result<Option<RecordRef>> {
        self.with_reader(|reader| {
            let Some(position) = reader.previous(reader.end()) else { return Ok(None) };
            Ok(RecordRef::new(reader.page(position.piece)?, position.index))
        })
    }

    /// The record in force at `t`: the last one at or before it. `None` before the first record.
    /// O(log segments) and one interpolation search; no allocation.
    ///
    /// # Errors
    /// [`Error::Corrupt`] or [`Error::Gap`] where damage hides the answer, [`Error::Io`].
    pub fn at(&self, t: i64) -> Result<Option<RecordRef>> {
        self.with_reader(|reader| {
            reader.refuse_gaps(t, t)?;
            let found = reader.last_before(t, true)?;
            Ok(found.and_then(|(position, page)| RecordRef::new(page, position.index)))
        })
    }

    /// As [`Stream::at`], but `None` where the record is older than `age_max` time units.
    ///
    /// # Errors
    /// As [`Stream::at`].
    pub fn at_within(&self, t: i64, age_max: u64) -> Result<Option<RecordRef>> {
        let found = self.at(t)?;
        Ok(found.filter(|record| t.abs_diff(record.ts) <= age_max))
    }

    /// The record closest to `t`; of two equally close the earlier one. `None` in an empty stream.
    ///
    /// # Errors
    /// As [`Stream::at`].
    pub fn nearest(&self, t: i64) -> Result<Option<RecordRef>> {
        let before = self.at(t)?;
        let after = match &before {
            Some(record) if record.ts == t => return Ok(before),
            _ => self.next_after(t)?,
        };
        Ok(match (before, after) {
            (Some(before), Some(after)) => {
                let earlier = t.abs_diff(before.ts) <= t.abs_diff(after.ts);
                Some(if earlier { before } else { after })
            }
            (before, after) => before.or(after),
        })
    }

    /// The first record after `t`, not at it. `None` at the end.
    ///
    /// # Errors
    /// As [`Stream::at`].
    pub fn next_after(&self, t: i64) -> Result<Option<RecordRef>> {
        self.with_reader(|reader| {
            if let Some(next) = t.checked_add(1) {
                reader.refuse_gaps(t, next)?;
            }
            let mut recent = Recent::default();
            let position = reader.position_after(t, true, &mut recent)?;
            if position >= reader.end() {
                return Ok(None);
            }
            Ok(RecordRef::new(recent.page(reader, position.piece)?, position.index))
        })
    }

    /// The record with this sequence: how many were appended before it. `None` where it was given
    /// up, lost, or not appended yet.
    ///
    /// # Errors
    /// As [`Stream::first`].
    pub fn get(&self, sequence: u64) -> Result<Option<RecordRef>> {
        self.with_reader(|reader| match reader.position_of_sequence(sequence) {
            None => Ok(None),
            Some(position) => Ok(RecordRef::new(reader.page(position.piece)?, position.index)),
        })
    }

    /// The sequence of the first record that can be read, or of the next one appended where there
    /// is none: how many retention gave up.
    pub fn first_sequence(&self) -> u64 {
        self.with_reader(|reader| reader.view.first_sequence())
    }

    /// The records with the sequences `range`: those of them that there are. Makes no copy.
    ///
    /// # Errors
    /// [`Error::Gap`] where damage took any of them.
    pub fn window_of(&self, range: std::ops::Range<u64>) -> Result<Window> {
        self.with_reader(|reader| reader.refuse_lost(&range))?;
        Ok(Window::of_sequences(&self.handle.core, &self.state, range))
    }

    /// The records in force at each of `times`, in their order, which may be any.
    ///
    /// # Errors
    /// As [`Stream::at`].
    pub fn at_many(&self, times: &[i64]) -> Result<Gathered> {
        Gathered::at_many(&self.handle.core, &self.state, times)
    }

    /// The records in force at the start of `range` and every `step` after it, inside `range`.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a step of zero, a range without a start or end, or more than 2^32
    /// samples, and as [`Stream::at`].
    pub fn sample(&self, range: impl RangeBounds<i64>, step: u64) -> Result<Gathered> {
        Gathered::sample(&self.handle.core, &self.state, &range, step)
    }

    /// The records of a range of time: `a..b` leaves out `b`, `a..=b` has it, `..b` begins with the
    /// first record. Makes no copy.
    ///
    /// # Errors
    /// [`Error::ReversedRange`], and as [`Stream::at`] where damage lies in the range.
    pub fn window(&self, range: impl RangeBounds<i64>) -> Result<Window> {
        self.window_with(range, WindowOptions::default())
    }

    /// As [`Stream::window`], with options.
    ///
    /// # Errors
    /// As [`Stream::window`].
    pub fn window_with(
        &self,
        range: impl RangeBounds<i64>,
        options: WindowOptions,
    ) -> Result<Window> {
        Window::new(&self.handle.core, &self.state, &range, options)
    }

    /// Every record, in order: [`Window::slices`] of the whole stream, record by record.
    ///
    /// # Errors
    /// As [`Stream::window`].
    pub fn iter(&self) -> Result<Records> {
        let snapshot = Snapshot::new(&self.state);
        let end = snapshot.reader(&self.handle.core.pages).pieces();
        Ok(Records {
            handle: Arc::clone(&self.handle),
            snapshot,
            page: None,
            index: 0,
            piece: 0,
            end,
            asked: 0,
        })
    }

    /// How many records hold at `level`: the first so many of those ever appended.
    pub fn records_at(&self, level: Level) -> u64 {
        match level {
            Level::Memory => self.state.end_sequence(),
            Level::Os => self.state.logged.load(Ordering::Acquire),
            Level::Disk => self.state.durable.load(Ordering::Acquire),
        }
    }

    /// What the stream costs and holds. O(blocks).
    pub fn stats(&self) -> StreamStats {
        StreamStats::of(&self.state)
    }
}

/// The records of a stream, one by one.
#[derive(Debug)]
pub struct Records {
    handle: Arc<Handle>,
    snapshot: Snapshot,
    page: Option<Page>,
    index: usize,
    piece: usize,
    end: usize,
    /// The piece up to which was asked ahead.
    asked: usize,
}

impl Iterator for Records {
    type Item = Result<RecordRef>;

    fn next(&mut self) -> Option<Result<RecordRef>> {
        loop {
            if let Some(page) = &self.page {
                if let Some(record) = RecordRef::new(page.clone(), self.index) {
                    self.index += 1;
                    return Some(Ok(record));
                }
                self.page = None;
            }
            if self.piece >= self.end {
                return None;
            }
            let reader = self.snapshot.reader(&self.handle.core.pages);
            match reader.page(self.piece) {
                Ok(page) => {
                    self.page = Some(page);
                    self.index = 0;
                    self.piece += 1;
                    reader.read_ahead(&mut self.asked, self.piece, self.end);
                }
                Err(error) => {
                    self.piece = self.end;
                    return Some(Err::<RecordRef, Error>(error));
                }
            }
        }
    }
}

impl std::iter::FusedIterator for Records {}
