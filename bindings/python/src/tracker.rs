//! `presence.PresenceTracker`: the names of the tracker that many know, on the engine.
//!
//! # Invariants
//! - Loading replaces what the tracker holds when the file was read whole, and not before.

use std::path::PathBuf;
use std::sync::{PoisonError, RwLock};

use presence::{Config, PresenceTracker as Engine};
use pyo3::exceptions::PyOverflowError;
use pyo3::prelude::*;

use crate::error::{OrRaise, invalid};

/// Which class was seen when: detections of frames go in, answers come out.
///
/// Times are microseconds of any clock, classes numbers up to 65,535, confidences 0 to 1. Frames
/// take ``time_resolution_us`` each, or are exactly ``fps`` a second; they begin at time zero, and
/// what is listed are the beginnings of frames.
///
/// >>> from presence import PresenceTracker
/// >>> tracker = PresenceTracker()
/// >>> for frame in range(1, 10):
/// ...     seen = [(1, 0.9)] if frame % 2 == 0 else []
/// ...     tracker.update_batch(frame * 33_333, seen, 0.5)
/// >>> [t // 33_333 for t in tracker.list_presence_timestamps(1, 0, 400_000)]
/// [2, 4, 6, 8]
/// >>> tracker.query_presence(1, 0, 400_000)
/// 0.4444444444444444
///
/// As against the tracker whose names these are: nothing is dropped silently (a threshold outside
/// 0 to 1 and a confidence that is no number are errors), detections may come late, in any order,
/// and at time zero, gaps cost nothing, answers are never stale, a missing or damaged file is an
/// ``OSError``, and saving is atomic. All classes share one grid, and the ratio is over all frames
/// that were observed, whether or not this class was seen in them.
#[pyclass(frozen, module = "presence")]
pub(crate) struct PresenceTracker {
    inner: RwLock<Engine>,
}

impl PresenceTracker {
    fn engine(&self) -> Engine {
        self.inner.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A time as the engine counts it.
fn time(t_us: u64) -> PyResult<i64> {
    i64::try_from(t_us).map_err(|_| PyOverflowError::new_err("a time beyond 2^63 microseconds"))
}

/// A range of time with both ends in it.
fn range(py: Python<'_>, start: u64, end: u64) -> PyResult<std::ops::RangeInclusive<i64>> {
    if start >= end {
        return Err(invalid(py, format!("InvalidTimeRange: {start} is not before {end}")));
    }
    Ok(time(start)?..=i64::try_from(end).unwrap_or(i64::MAX))
}

#[pymethods]
impl PresenceTracker {
    #[new]
    #[pyo3(signature = (*, fps = None, time_resolution_us = 33_333))]
    fn new(py: Python<'_>, fps: Option<u32>, time_resolution_us: u32) -> PyResult<Self> {
        let config = match fps {
            Some(fps) => Config { fps, ..Config::default() },
            None => Config { time_resolution_us: Some(time_resolution_us), ..Config::default() },
        };
        Ok(Self { inner: RwLock::new(Engine::with_config(config).or_raise(py)?) })
    }

    /// What was detected at ``current_time``: pairs of class and confidence. Those of at least
    /// ``confidence_threshold`` are kept; none is to say that nothing was there.
    ///
    /// >>> from presence import PresenceTracker
    /// >>> tracker = PresenceTracker()
    /// >>> tracker.update_batch(33_333, [(1, 0.9), (2, 0.3)], 0.5)
    /// >>> tracker.list_presence_timestamps(1, 0, 100_000)
    /// [33333]
    fn update_batch(
        &self,
        py: Python<'_>,
        current_time: u64,
        detections: Vec<(u16, f32)>,
        confidence_threshold: f32,
    ) -> PyResult<()> {
        let at = time(current_time)?;
        let engine = self.engine();
        py.detach(|| engine.update_batch(at, &detections, confidence_threshold)).or_raise(py)
    }

    /// The share of observed frames from ``start_time`` to ``end_time``, both in it, in which the
    /// class was present; 0.0 where none was observed.
    fn query_presence(
        &self,
        py: Python<'_>,
        class_id: u16,
        start_time: u64,
        end_time: u64,
    ) -> PyResult<f64> {
        let range = range(py, start_time, end_time)?;
        let engine = self.engine();
        py.detach(|| engine.query_presence(class_id, range)).or_raise(py)
    }

    /// When the frames began in which the class was present, from ``start_time`` to ``end_time``.
    ///
    /// >>> from presence import PresenceTracker
    /// >>> tracker = PresenceTracker()
    /// >>> tracker.update_batch(33_333, [(1, 0.9), (2, 0.3)], 0.5)
    /// >>> tracker.list_presence_timestamps(1, 0, 100_000)
    /// [33333]
    fn list_presence_timestamps(
        &self,
        py: Python<'_>,
        class_id: u16,
        start_time: u64,
        end_time: u64,
    ) -> PyResult<Vec<i64>> {
        let range = range(py, start_time, end_time)?;
        let engine = self.engine();
        py.detach(|| engine.list_presence_times(class_id, range)).or_raise(py)
    }

    /// Forgets the frames that end at or before ``older_than``.
    fn cleanup_old_data(&self, py: Python<'_>, older_than: u64) -> PyResult<()> {
        let before = time(older_than)?;
        let engine = self.engine();
        py.detach(|| engine.cleanup_old_data(before)).or_raise(py)
    }

    /// Writes everything to a file, checksummed and all or nothing.
    fn save_to_file(&self, py: Python<'_>, file_path: PathBuf) -> PyResult<()> {
        let engine = self.engine();
        py.detach(|| engine.save_to_file(file_path)).or_raise(py)
    }

    /// Replaces what the tracker holds by what ``save_to_file`` wrote.
    fn load_from_file(&self, py: Python<'_>, file_path: PathBuf) -> PyResult<()> {
        let loaded = py.detach(|| Engine::load_from_file(file_path)).or_raise(py)?;
        *self.inner.write().unwrap_or_else(PoisonError::into_inner) = loaded;
        Ok(())
    }
}
