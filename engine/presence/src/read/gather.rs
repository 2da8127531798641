//! Records gathered at many moments: `at_many` and `sample`.
//!
//! # Invariants
//! - Answers stand in the order of the moments asked for.
//! - Each page is fetched once for neighbouring moments, however many there are.

use std::ops::{Bound, RangeBounds};

use presence_format::{Column, Scalar};

use super::page::Page;
use super::window::closed;
use crate::error::{Error, Result};
use crate::record::{Record, Source, Value};
use crate::shim::Arc;
use crate::store::core::Core;
use crate::store::stream_state::{Snapshot, StreamState};

/// The records in force at many moments, as columns.
#[derive(Debug, Clone)]
pub struct Gathered {
    stream: Arc<StreamState>,
    times: Vec<i64>,
    found: Vec<Option<i64>>,
    columns: Vec<Vec<u8>>,
}

/// Most moments of one call.
const MOMENTS_MAX: u64 = 1 << 32;

impl Gathered {
    pub(crate) fn at_many(core: &Core, stream: &Arc<StreamState>, times: &[i64]) -> Result<Self> {
        let snapshot = Snapshot::new(stream);
        let reader = snapshot.reader(&core.pages);
        times.iter().try_for_each(|&t| reader.refuse_gaps(t, t))?;
        let lanes = stream.layout.lanes().get(1..).unwrap_or_default();
        let widths: Vec<usize> = lanes.iter().map(|lane| lane.value_bytes).collect();
        let mut gathered = Self {
            stream: Arc::clone(stream),
            times: times.to_vec(),
            found: vec![None; times.len()],
            columns: widths.iter().map(|width| vec![0; width * times.len()]).collect(),
        };
        let mut order: Vec<(i64, u32)> = Vec::new();
        let sorted = times.is_sorted();
        if !sorted {
            let count = u32::try_from(times.len())
                .map_err(|_| Error::invalid("more than 2^32 moments in one call"))?;
            // With their times, which need not be fetched from all over the memory then.
            order.extend(times.iter().copied().zip(0..count));
            order.sort_unstable();
        }
        let mut held: Option<(usize, Page, i64)> = None;
        for step in 0..times.len() {
            let index =
                if sorted { step } else { order.get(step).map_or(step, |at| at.1 as usize) };
            let Some(&t) = times.get(index) else { continue };
            // Within the page at hand, unless the next piece may begin at or before `t`.
            let inside = held.as_ref().filter(|(_, _, last)| t < *last);
            let count = match inside {
                Some((_, page, _)) => super::search::count_at_most(page.times(), t),
                None => match reader.last_before(t, true)? {
                    None => 0,
                    Some((position, page)) => {
                        let last = page.times().last().copied().unwrap_or(i64::MIN);
                        held = Some((position.piece, page, last));
                        position.index + 1
                    }
                },
            };
            if let (Some((_, page, _)), Some(record)) = (&held, count.checked_sub(1)) {
                gathered.take(index, page, record, &widths);
            }
        }
        Ok(gathered)
    }

    pub(crate) fn sample(
        core: &Core,
        stream: &Arc<StreamState>,
        range: &impl RangeBounds<i64>,
        step: u64,
    ) -> Result<Self> {
        if step == 0 {
            return Err(Error::invalid("a step of zero"));
        }
        let open = matches!(range.start_bound(), Bound::Unbounded)
            || matches!(range.end_bound(), Bound::Unbounded);
        if open {
            return Err(Error::invalid("a range to sample has a start and an end"));
        }
        let mut times = Vec::new();
        if let Some((from, to)) = closed(range)? {
            let count = (from.abs_diff(to) / step).saturating_add(1);
            if count > MOMENTS_MAX {
                return Err(Error::invalid(format!("{count} samples; the limit is {MOMENTS_MAX}")));
            }
            times.extend((0..count).map(|i| from.wrapping_add_unsigned(i.wrapping_mul(step))));
        }
        Self::at_many(core, stream, &times)
    }

    fn take(&mut self, index: usize, page: &Page, record: usize, widths: &[usize]) {
        if let (Some(found), Some(&ts)) = (self.found.get_mut(index), page.times().get(record)) {
            *found = Some(ts);
        }
        for (lane, (column, &width)) in self.columns.iter_mut().zip(widths).enumerate() {
            let target = column.get_mut(index * width..(index + 1) * width);
            let source = page.lane(lane + 1).get(record * width..(record + 1) * width);
            if let (Some(target), Some(source)) = (target, source) {
                target.copy_from_slice(source);
            }
        }
    }

    /// Number of moments.
    pub fn len(&self) -> usize {
        self.times.len()
    }

    /// Whether no moment was asked for.
    pub fn is_empty(&self) -> bool {
        self.times.is_empty()
    }

    /// The moments asked for.
    pub fn times(&self) -> &[i64] {
        &self.times
    }

    /// The timestamps of the records in force; `None` before the first record.
    pub fn found(&self) -> &[Option<i64>] {
        &self.found
    }

    /// The columns, in the order of their index.
    pub fn columns(&self) -> &[Column] {
        self.stream.schema.columns()
    }

    /// The bytes of column `column` at every moment, little-endian; zeros where no record was in
    /// force, empty where there is no such column.
    pub fn column_bytes(&self, column: usize) -> &[u8] {
        self.columns.get(column).map_or(&[], Vec::as_slice)
    }

    /// The elements of column `column` at every moment; zeros where no record was in force.
    ///
    /// # Errors
    /// [`Error::Invalid`] where there is no such column or its elements are not `T`.
    pub fn column<T: Scalar>(&self, column: usize) -> Result<Vec<T>> {
        let wrong = || Error::invalid(format!("there is no column {column} of {}", T::DTYPE));
        let dtype = self.columns().get(column).map(Column::dtype);
        if dtype != Some(T::DTYPE) {
            return Err(wrong());
        }
        let bytes = self.columns.get(column).ok_or_else(wrong)?;
        Ok(bytemuck::pod_collect_to_vec(bytes))
    }

    /// The record in force at moment `index`, with its timestamp.
    pub fn record<T: Record>(&self, index: usize) -> Option<(i64, T)> {
        let ts = (*self.found.get(index)?)?;
        Some((ts, T::read(&GatheredRecord { gathered: self, index })?))
    }
}

struct GatheredRecord<'a> {
    gathered: &'a Gathered,
    index: usize,
}

impl Source for GatheredRecord<'_> {
    fn get<V: Value>(&self, column: usize) -> Option<V> {
        let bytes = self.index * V::BYTES..(self.index + 1) * V::BYTES;
        V::from_bytes(self.gathered.columns.get(column)?.get(bytes)?)
    }
}
