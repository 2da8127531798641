//! Events as grids of numbers.
//!
//! # Invariants
//! - Grids are arrays of the engine's own memory, row-major with x last.

use numpy::ndarray::{Array, IntoDimension};
use numpy::{Element, IntoPyArray, PyArray};
use presence_events::represent::{
    EventFrame, MixedDensity, Span, StackedHistogram, TimeSurface, VoxelGrid,
};
use presence_events::{EventBatch, SensorSize};
use pyo3::exceptions::PyMemoryError;
use pyo3::prelude::*;

use super::Events;
use crate::error::invalid;

/// A grid of three dimensions.
type Grid3<'py, T> = Bound<'py, PyArray<T, numpy::Ix3>>;

/// An array of this shape, or as many as there are values in one row.
fn array<'py, T: Element, D: IntoDimension>(
    py: Python<'py>,
    shape: D,
    values: Vec<T>,
) -> PyResult<Bound<'py, PyArray<T, D::Dim>>> {
    let array = Array::from_shape_vec(shape, values);
    Ok(array.map_err(|error| PyMemoryError::new_err(error.to_string()))?.into_pyarray(py))
}

impl Events {
    /// From the first time to the last.
    fn span(&self) -> Span {
        let t = self.batch.t();
        let (first, last) = (t.iter().min().copied(), t.iter().max().copied());
        Span { first: first.unwrap_or(0), last: last.unwrap_or(0) }
    }
}

/// Counts in bins of `window_us` from the first event on: `[bins, 2, height, width]`.
#[pyfunction]
pub(super) fn stacked_histogram<'py>(
    events: &Bound<'py, Events>,
    py: Python<'py>,
    height: u16,
    width: u16,
    bins: usize,
    window_us: i64,
) -> PyResult<Bound<'py, PyArray<u32, numpy::Ix4>>> {
    let events = events.get();
    let size = SensorSize { width, height };
    let grid = py.detach(|| {
        let mut grid = StackedHistogram::new(size, events.span().first, window_us, bins);
        grid.add(&events.batch);
        grid
    });
    array(py, grid.shape(), grid.values())
}

/// Counts in bins of equal width over all the time: `[bins, 2, height, width]`.
#[pyfunction]
pub(super) fn event_frame<'py>(
    events: &Bound<'py, Events>,
    py: Python<'py>,
    height: u16,
    width: u16,
    bins: usize,
) -> PyResult<Bound<'py, PyArray<u32, numpy::Ix4>>> {
    let events = events.get();
    let size = SensorSize { width, height };
    let grid = py.detach(|| {
        let mut grid = EventFrame::new(size, events.span(), bins);
        grid.add(&events.batch);
        grid
    });
    array(py, grid.shape(), grid.values())
}

/// Polarities spread over the two nearest bins: `[bins, height, width]`.
#[pyfunction]
pub(super) fn voxel_grid<'py>(
    events: &Bound<'py, Events>,
    py: Python<'py>,
    height: u16,
    width: u16,
    bins: usize,
) -> PyResult<Grid3<'py, f32>> {
    let events = events.get();
    let size = SensorSize { width, height };
    let grid = py.detach(|| {
        let mut grid = VoxelGrid::new(size, events.span(), bins);
        grid.add(&events.batch);
        grid
    });
    array(py, grid.shape(), grid.values().to_vec())
}

/// Sums of polarities, and numbers, over ever shorter times before the end: two arrays of
/// `[levels, height, width]`.
#[pyfunction]
#[pyo3(signature = (events, height, width, levels = 1))]
pub(super) fn mixed_density<'py>(
    events: &Bound<'py, Events>,
    py: Python<'py>,
    height: u16,
    width: u16,
    levels: usize,
) -> PyResult<(Grid3<'py, i32>, Grid3<'py, u32>)> {
    let events = events.get();
    let size = SensorSize { width, height };
    let (shape, sums, counts) = py.detach(|| {
        let mut grid = MixedDensity::new(size, events.span(), levels);
        grid.add(&events.batch);
        (grid.shape(), grid.polarity_sums(), grid.counts())
    });
    Ok((array(py, shape, sums)?, array(py, shape, counts)?))
}

/// How long ago each pixel fired at the moment `at`, fading with `tau_us`: `[2, height,
/// width]`.
#[pyfunction]
pub(super) fn time_surface<'py>(
    events: &Bound<'py, Events>,
    py: Python<'py>,
    height: u16,
    width: u16,
    at: i64,
    tau_us: f64,
) -> PyResult<Grid3<'py, f32>> {
    let events = events.get();
    let size = SensorSize { width, height };
    let (shape, values) = py.detach(|| {
        let mut surface = TimeSurface::new(size);
        surface.add(&events.batch);
        (surface.shape(), surface.at(at, tau_us))
    });
    array(py, shape, values)
}

/// When each pixel fired last in each slice of `dt_us` from the first event on: slice,
/// polarity, y, x and microseconds of those that fired, in this order. Events have to be in
/// the order of time.
#[pyfunction]
#[expect(clippy::type_complexity, reason = "columns")]
pub(super) fn last_times<'py>(
    events: &Bound<'py, Events>,
    py: Python<'py>,
    height: u16,
    width: u16,
    dt_us: f64,
) -> PyResult<(
    Bound<'py, PyArray<i64, numpy::Ix1>>,
    Bound<'py, PyArray<i8, numpy::Ix1>>,
    Bound<'py, PyArray<i16, numpy::Ix1>>,
    Bound<'py, PyArray<i16, numpy::Ix1>>,
    Bound<'py, PyArray<f64, numpy::Ix1>>,
)> {
    let events = events.get();
    if !(dt_us > 0.0 && dt_us.is_finite()) {
        return Err(invalid(py, format!("slices of {dt_us} microseconds")));
    }
    let size = SensorSize { width, height };
    let rows = py.detach(|| slices(&events.batch, size, dt_us));
    let (mut slice, mut polarity) = (Vec::new(), Vec::new());
    let (mut y, mut x, mut t) = (Vec::new(), Vec::new(), Vec::new());
    for row in rows {
        slice.push(row.slice);
        polarity.push(row.polarity);
        y.push(row.y);
        x.push(row.x);
        t.push(row.t as f64);
    }
    Ok((
        slice.into_pyarray(py),
        polarity.into_pyarray(py),
        y.into_pyarray(py),
        x.into_pyarray(py),
        t.into_pyarray(py),
    ))
}

/// When a pixel fired last in a slice.
struct Row {
    slice: i64,
    polarity: i8,
    y: i16,
    x: i16,
    t: i64,
}

fn slices(events: &EventBatch, size: SensorSize, dt_us: f64) -> Vec<Row> {
    let mut rows = Vec::new();
    let Some(&first) = events.t().first() else { return rows };
    let slice_of = |t: i64| (t.saturating_sub(first) as f64 / dt_us).floor() as i64;
    let (mut start, width) = (0, usize::from(size.width).max(1));
    while let Some(&t) = events.t().get(start) {
        let slice = slice_of(t);
        let rest = events.t().get(start..).unwrap_or_default();
        let end = start + rest.partition_point(|&t| slice_of(t) <= slice);
        let mut part = EventBatch::new();
        part.extend_from(events, start..end);
        let mut surface = TimeSurface::new(size);
        surface.add(&part);
        let cells = surface.memory().enumerate();
        rows.extend(cells.filter_map(|(cell, t)| {
            let (polarity, pixel) = (cell / size.pixels(), cell % size.pixels());
            let polarity = i8::try_from(polarity).ok()?;
            let y = i16::try_from(pixel / width).ok()?;
            let x = i16::try_from(pixel % width).ok()?;
            Some(Row { slice, polarity, y, x, t: t? })
        }));
        start = end;
    }
    rows
}
