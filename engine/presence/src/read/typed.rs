//! A stream with records of one Rust type.
//!
//! # Invariants
//! - The type's columns are the stream's: checked once, when the handle is made.

use std::marker::PhantomData;
use std::ops::RangeBounds;

use super::stream::Stream;
use super::window::{PageRecord, Window};
use crate::error::{Error, Result};
use crate::record::Record;

/// A stream whose records are read as `T`.
#[derive(Debug, Clone)]
pub struct TypedStream<T> {
    stream: Stream,
    _record: PhantomData<fn() -> T>,
}

impl<T: Record> TypedStream<T> {
    pub(crate) fn new(stream: Stream) -> Result<Self> {
        stream.state().check_record::<T>()?;
        Ok(Self { stream, _record: PhantomData })
    }

    /// The stream itself.
    pub fn stream(&self) -> &Stream {
        &self.stream
    }

    /// The record in force at `t`, with its timestamp: see [`Stream::at`]. Copies the value and
    /// nothing else.
    ///
    /// # Errors
    /// As [`Stream::at`].
    #[inline]
    pub fn at(&self, t: i64) -> Result<Option<(i64, T)>> {
        self.stream.with_reader(|reader| {
            reader.refuse_gaps(t, t)?;
            let found = reader.with_last(t, |index, page| {
                let value = T::read(&PageRecord { page, index })?;
                Some((*page.times().get(index)?, value))
            })?;
            match found {
                Some(None) => Err(Error::invalid("a record is missing from its page")),
                found => Ok(found.flatten()),
            }
        })
    }

    /// The records in force at each of `times`; `None` before the first record.
    ///
    /// # Errors
    /// As [`Stream::at`].
    pub fn at_many(&self, times: &[i64]) -> Result<Vec<Option<(i64, T)>>> {
        let found = self.stream.at_many(times)?;
        Ok((0..times.len()).map(|index| found.record(index)).collect())
    }

    /// The records of a range of time, as [`Stream::window`].
    ///
    /// # Errors
    /// As [`Stream::window`].
    pub fn window(&self, range: impl RangeBounds<i64>) -> Result<Window> {
        self.stream.window(range)
    }

    /// The records of a range of time as a vector.
    ///
    /// # Errors
    /// As [`Stream::window`].
    pub fn to_vec(&self, range: impl RangeBounds<i64>) -> Result<Vec<(i64, T)>> {
        self.stream.window(range)?.to_vec()
    }
}
