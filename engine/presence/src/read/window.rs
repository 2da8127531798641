//! Windows: the records of a range of time, as slices that borrow pages.
//!
//! # Invariants
//! - A window is fixed when it is made; records appended later are not in it.
//! - The pages in which it begins and ends are found once and held, where there is room.
//! - Slices are handed out in order, without a copy, and each keeps its page alive.
//! - After an error the iterator ends: nothing is skipped silently.

use std::ops::{Bound, Range, RangeBounds};

use presence_format::{Column, DType, Scalar};

use super::ends::{Held, Recent};
use super::page::{Page, PageView};
use super::stream::RecordRef;
use super::view::{Position, Reader};
use crate::error::{Error, Result};
use crate::record::{Record, Source, Value};
use crate::shim::Arc;
use crate::store::core::Core;
use crate::store::stream_state::{Snapshot, StreamState};

/// A range of time with both ends included; `None` where it holds no timestamp.
pub(crate) fn closed(range: &impl RangeBounds<i64>) -> Result<Option<(i64, i64)>> {
    let (start, end) = (range.start_bound(), range.end_bound());
    let value = |bound: Bound<&i64>, open: i64| match bound {
        Bound::Included(&t) | Bound::Excluded(&t) => t,
        Bound::Unbounded => open,
    };
    let (from, to) = (value(start, i64::MIN), value(end, i64::MAX));
    if from > to {
        return Err(Error::ReversedRange { start: from, end: to });
    }
    let first = match start {
        Bound::Excluded(&t) => t.checked_add(1),
        _ => Some(from),
    };
    let last = match end {
        Bound::Excluded(&t) => t.checked_sub(1),
        _ => Some(to),
    };
    Ok(first.zip(last).filter(|(first, last)| first <= last))
}

/// What else a window may do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct WindowOptions {
    /// Begin with the record in force at the start: the last one before it, where no record is
    /// exactly there. It keeps its own timestamp.
    pub carry_in: bool,
    /// Answer with what is readable where records are missing because of damage, instead of an
    /// error.
    pub skip_gaps: bool,
}

impl WindowOptions {
    /// Options that carry in the record in force at the start.
    pub fn carry_in() -> Self {
        Self { carry_in: true, ..Self::default() }
    }

    /// Options that pass over damage.
    pub fn skip_gaps() -> Self {
        Self { skip_gaps: true, ..Self::default() }
    }
}

/// The records of a range of time.
#[derive(Debug, Clone)]
pub struct Window {
    pub(super) core: Arc<Core>,
    pub(super) snapshot: Snapshot,
    pub(super) start: Position,
    pub(super) end: Position,
    pub(super) held: Held,
}

impl Window {
    pub(crate) fn new(
        core: &Arc<Core>,
        stream: &Arc<StreamState>,
        range: &impl RangeBounds<i64>,
        options: WindowOptions,
    ) -> Result<Self> {
        let snapshot = Snapshot::new(stream);
        let closed = closed(range)?;
        let reader = snapshot.reader(&core.pages);
        let mut recent = Recent::default();
        let (start, end) = match closed {
            None => (reader.end(), reader.end()),
            Some((from, to)) => {
                if !options.skip_gaps {
                    reader.refuse_gaps(from, to)?;
                }
                let (mut start, end) = reader.window(from, to, &mut recent)?;
                if options.carry_in && !starts_at(&reader, start, from, &mut recent)? {
                    start = reader.previous(start).unwrap_or(start);
                }
                (start, end.max(start))
            }
        };
        let held = Held::new(&recent, start.piece..=end.piece, &core.pages);
        Ok(Self { core: Arc::clone(core), snapshot, start, end, held })
    }

    /// The records whose sequence is in `range`, as far as they can be read.
    pub(crate) fn of_sequences(
        core: &Arc<Core>,
        stream: &Arc<StreamState>,
        range: Range<u64>,
    ) -> Self {
        let snapshot = Snapshot::new(stream);
        let (start, end) = {
            let reader = snapshot.reader(&core.pages);
            let first = range.start.max(reader.view.first_sequence());
            let start = reader.position_of_sequence(first).unwrap_or_else(|| reader.end());
            let last = range.end.checked_sub(1).filter(|&last| last >= first);
            let end = last.map(|last| match reader.position_of_sequence(last) {
                Some(Position { piece, index }) => Position { piece, index: index + 1 },
                None => reader.end(),
            });
            (start, end.unwrap_or(start))
        };
        Self { core: Arc::clone(core), snapshot, start, end, held: Held::default() }
    }

    pub(super) fn reader(&self) -> Reader<'_> {
        self.snapshot.reader(&self.core.pages)
    }

    /// The columns, in the order of their index.
    pub fn columns(&self) -> &[Column] {
        self.snapshot.stream.schema.columns()
    }

    /// Number of records. O(blocks of the window).
    pub fn len(&self) -> usize {
        let reader = self.reader();
        let whole: usize =
            (self.start.piece..self.end.piece).map(|piece| reader.records(piece)).sum();
        (whole + self.end.index).saturating_sub(self.start.index)
    }

    /// Whether the window holds no record.
    pub fn is_empty(&self) -> bool {
        self.start >= self.end
    }

    /// The records as slices, one a block, in order. A damaged block is an error, and the last
    /// item.
    pub fn slices(&self) -> Slices<'_> {
        let (reader, held) = (self.reader(), &self.held);
        Slices { reader, held, next: self.start, end: self.end, asked: 0 }
    }

    /// The records as one slice without a copy, where they lie in one block; else `None`.
    ///
    /// # Errors
    /// As the items of [`Window::slices`].
    pub fn one_slice(&self) -> Result<Option<Slice>> {
        let mut slices = self.slices();
        let first = slices.next().transpose()?;
        Ok(if slices.next < slices.end { None } else { first })
    }

    /// All timestamps, copied once.
    ///
    /// # Errors
    /// As the items of [`Window::slices`].
    pub fn timestamps(&self) -> Result<Vec<i64>> {
        let mut all = Vec::with_capacity(self.len());
        for slice in self.slices() {
            all.extend_from_slice(slice?.timestamps());
        }
        Ok(all)
    }

    /// All elements of column `column`, copied once: `len * elements` of them, row-major.
    ///
    /// # Errors
    /// [`Error::SchemaMismatch`] where the column's element type is not `T`, and as the items of
    /// [`Window::slices`].
    pub fn column<T: Scalar>(&self, column: usize) -> Result<Vec<T>> {
        let mut all = Vec::new();
        for slice in self.slices() {
            all.extend_from_slice(slice?.column::<T>(column)?);
        }
        Ok(all)
    }

    /// The bytes of column `column`, copied once, little-endian.
    ///
    /// # Errors
    /// As the items of [`Window::slices`].
    pub fn column_bytes(&self, column: usize) -> Result<Vec<u8>> {
        let mut all = Vec::new();
        for slice in self.slices() {
            all.extend_from_slice(slice?.column_bytes(column));
        }
        Ok(all)
    }

    /// All records as `(timestamp, value)`.
    ///
    /// # Errors
    /// [`Error::SchemaMismatch`] where `T` has other columns, and as the items of
    /// [`Window::slices`].
    pub fn to_vec<T: Record>(&self) -> Result<Vec<(i64, T)>> {
        self.snapshot.stream.check_record::<T>()?;
        let mut all = Vec::with_capacity(self.len());
        for slice in self.slices() {
            let slice = slice?;
            for (index, &ts) in slice.timestamps().iter().enumerate() {
                let value = slice.record(index).ok_or_else(|| Error::invalid("record missing"))?;
                all.push((ts, value));
            }
        }
        Ok(all)
    }
}

/// Whether the record at `position` has timestamp `t`.
fn starts_at(reader: &Reader<'_>, position: Position, t: i64, recent: &mut Recent) -> Result<bool> {
    if position >= reader.end() {
        return Ok(false);
    }
    Ok(recent.page(reader, position.piece)?.times().get(position.index) == Some(&t))
}

/// The slices of a [`Window`].
#[derive(Debug, Clone)]
pub struct Slices<'a> {
    reader: Reader<'a>,
    held: &'a Held,
    next: Position,
    end: Position,
    /// The piece up to which was asked ahead.
    asked: usize,
}

impl Iterator for Slices<'_> {
    type Item = Result<Slice>;

    fn next(&mut self) -> Option<Result<Slice>> {
        if self.next >= self.end {
            return None;
        }
        let Position { piece, index } = self.next;
        let page = match self.held.page(piece) {
            Some(page) => Ok(page.clone()),
            None => self.reader.page(piece),
        };
        match page {
            Ok(page) => {
                let stop = if piece == self.end.piece { self.end.index } else { page.records() };
                self.next = Position { piece: piece + 1, index: 0 };
                let end = self.end.piece + usize::from(self.end.index > 0);
                self.reader.read_ahead(&mut self.asked, piece + 1, end);
                Some(Ok(Slice { page, range: index..stop }))
            }
            Err(error) => {
                self.next = self.end;
                Some(Err(error))
            }
        }
    }
}

impl std::iter::FusedIterator for Slices<'_> {}

/// Records that lie together in one block: contiguous columns, borrowed from its page.
#[derive(Debug, Clone)]
pub struct Slice {
    pub(super) page: Page,
    pub(super) range: Range<usize>,
}

impl Slice {
    /// Number of records, at least one.
    pub fn len(&self) -> usize {
        self.range.len()
    }

    /// Whether the slice holds no record.
    pub fn is_empty(&self) -> bool {
        self.range.is_empty()
    }

    /// The timestamps.
    #[inline]
    pub fn timestamps(&self) -> &[i64] {
        self.page.times().get(self.range.clone()).unwrap_or_default()
    }

    /// The bytes of column `column`, little-endian; empty where there is no such column.
    #[inline]
    pub fn column_bytes(&self, column: usize) -> &[u8] {
        let Some(lane) = self.page.layout().lanes().get(column + 1) else { return &[] };
        let bytes = self.range.start * lane.value_bytes..self.range.end * lane.value_bytes;
        self.page.lane(column + 1).get(bytes).unwrap_or_default()
    }

    /// The elements of column `column`: `len * elements` of them, row-major. A column of bools is
    /// read as `u8`.
    ///
    /// # Errors
    /// [`Error::Invalid`] where there is no such column or its elements are not `T`.
    pub fn column<T: Scalar>(&self, column: usize) -> Result<&[T]> {
        let lane = self.page.layout().lanes().get(column + 1);
        let matches = |dtype| dtype == T::DTYPE || (dtype == DType::Bool && T::DTYPE == DType::U8);
        match lane {
            Some(lane) if matches(lane.dtype) => {
                Ok(bytemuck::try_cast_slice(self.column_bytes(column)).unwrap_or_default())
            }
            Some(lane) => Err(Error::invalid(format!(
                "column {column} has elements of {}, not {}",
                lane.dtype,
                T::DTYPE
            ))),
            None => Err(Error::invalid(format!("there is no column {column}"))),
        }
    }

    /// The record at `index`, which keeps the page too; `None` outside the slice.
    pub fn record_ref(&self, index: usize) -> Option<RecordRef> {
        let inside = index < self.len();
        inside.then(|| RecordRef::new(self.page.clone(), self.range.start + index)).flatten()
    }

    /// The record at `index` as `T`; `None` outside the slice or where the columns are others.
    pub fn record<T: Record>(&self, index: usize) -> Option<T> {
        if index >= self.len() {
            return None;
        }
        T::read(&PageRecord { page: self.page.view(), index: self.range.start + index })
    }
}

/// One record of a page as a [`Source`].
#[derive(Debug)]
pub(crate) struct PageRecord<'a> {
    pub(crate) page: PageView<'a>,
    pub(crate) index: usize,
}

impl Source for PageRecord<'_> {
    #[inline]
    fn get<V: Value>(&self, column: usize) -> Option<V> {
        let start = self.index * V::BYTES;
        V::from_bytes(self.page.lane(column + 1).get(start..start + V::BYTES)?)
    }
}
