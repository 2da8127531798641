//! `presence._native.Events`: events of cameras in columns.
//!
//! # Invariants
//! - A value is never changed: filters make another one.
//! - Rules are the engine's; here arguments are read and columns handed over.

mod grids;
mod reading;

use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::path::PathBuf;

use numpy::{IntoPyArray, PyArray1, PyReadonlyArray1};
use presence_events::filter::{
    ActivityFilter, BackgroundActivity, Filter, HotPixelFilter, HotPixelRule, PixelCounts,
    PolarityFilter, Preprocess, PreprocessOptions, Refractory, RefractoryReset, Roi, RoiFilter,
    TimeFilter,
};
use presence_events::{
    EncodeOptions, EventBatch, EventError, EventErrorKind, Format, Output, SensorSize, TextStyle,
    TimeUnit, detect, encoder,
};
use pyo3::prelude::*;

use crate::error::{invalid, raise};

/// Bytes that are looked at to tell the format.
const HEAD: usize = 1 << 16;
/// Pixels of a sensor at most, for tables of them.
const PIXELS_MAX: usize = 1 << 28;

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(grids::stacked_histogram, module)?)?;
    module.add_function(wrap_pyfunction!(grids::event_frame, module)?)?;
    module.add_function(wrap_pyfunction!(grids::voxel_grid, module)?)?;
    module.add_function(wrap_pyfunction!(grids::mixed_density, module)?)?;
    module.add_function(wrap_pyfunction!(grids::time_surface, module)?)?;
    module.add_function(wrap_pyfunction!(grids::last_times, module)?)?;
    module.add_function(wrap_pyfunction!(events_format, module)?)?;
    module.add_class::<reading::EventReader>()?;
    module.add_class::<Events>()
}

/// What went wrong with a file.
enum Wrong {
    Io(std::io::Error),
    Content(EventError),
}

impl From<std::io::Error> for Wrong {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<EventError> for Wrong {
    fn from(error: EventError) -> Self {
        Self::Content(error)
    }
}

impl Wrong {
    fn exception(&self, py: Python<'_>, path: &std::path::Path) -> PyErr {
        let (class, offset) = match self {
            Self::Io(error) => match error.kind() {
                std::io::ErrorKind::NotFound => ("MissingError", None),
                std::io::ErrorKind::PermissionDenied => ("DeniedError", None),
                _ => ("StorageError", None),
            },
            Self::Content(error) => match error.kind {
                EventErrorKind::Invalid => ("InvalidError", None),
                EventErrorKind::Unreadable => ("StorageError", Some(error.offset)),
                EventErrorKind::UnknownFormat | EventErrorKind::Unsupported => {
                    ("IncompatibleError", Some(error.offset))
                }
                _ => ("CorruptError", Some(error.offset)),
            },
        };
        let text = match self {
            Self::Io(error) => format!("{}: {error}", path.display()),
            Self::Content(error) => format!("{}: {}", path.display(), error.what),
        };
        let exception = raise(py, class, text);
        let value = exception.value(py);
        let told = value
            .setattr("file", path.display().to_string())
            .and_then(|()| value.setattr("offset", offset));
        told.map_or_else(|error| error, |()| exception)
    }
}

/// Which format the file at ``path`` has, by its content.
#[pyfunction]
fn events_format(py: Python<'_>, path: PathBuf) -> PyResult<&'static str> {
    let found = py.detach(|| {
        let mut head = Vec::new();
        File::open(&path)?.take(HEAD as u64).read_to_end(&mut head)?;
        Ok(detect(&head)?.name())
    });
    found.map_err(|wrong: Wrong| wrong.exception(py, &path))
}

/// The unit of times in text by its name.
fn unit(py: Python<'_>, name: &str) -> PyResult<TimeUnit> {
    TimeUnit::of_name(name).ok_or_else(|| invalid(py, format!("{name:?} is no unit of time")))
}

fn format_of(py: Python<'_>, name: &str) -> PyResult<Format> {
    Format::of_name(name).ok_or_else(|| invalid(py, format!("{name:?} is no format of events")))
}

fn percentile_rule(py: Python<'_>, percent: f64) -> PyResult<HotPixelRule> {
    if (0.0..=100.0).contains(&percent) {
        return Ok(HotPixelRule::Percentile(percent));
    }
    Err(invalid(py, format!("{percent} is no percentile from 0 to 100")))
}

/// Events of a camera: times in microseconds, pixels, and 1 (the light rose) or 0.
#[pyclass(frozen, module = "presence.events")]
pub(crate) struct Events {
    batch: EventBatch,
    /// As the file says.
    declared: Option<SensorSize>,
}

impl Events {
    /// The sensor, as far as the events reach where nothing says it.
    fn size(&self) -> SensorSize {
        let reach = |values: &[u16]| values.iter().max().map_or(0, |&max| max.saturating_add(1));
        let (width, height) = (reach(self.batch.x()), reach(self.batch.y()));
        SensorSize { width, height }
    }

    /// The same, for a table of its pixels.
    fn table(&self, py: Python<'_>) -> PyResult<SensorSize> {
        let size = self.size();
        if size.pixels() > PIXELS_MAX {
            let SensorSize { width, height } = size;
            let text =
                format!("events reach over {width} x {height} pixels: select a region first");
            return Err(invalid(py, text));
        }
        Ok(size)
    }

    fn filtered(&self, filters: &mut [&mut dyn Filter]) -> Self {
        let mut batch = EventBatch::with_capacity(self.batch.len());
        batch.extend_from(&self.batch, 0..self.batch.len());
        for filter in filters {
            filter.apply(&mut batch);
            filter.finish(&mut batch);
        }
        Self { batch, declared: self.declared }
    }

    fn is_sorted(&self) -> bool {
        self.batch.t().is_sorted()
    }

    fn in_order(&self) -> Self {
        let t = self.batch.t();
        let mut order: Vec<usize> = (0..t.len()).collect();
        order.sort_by_key(|&index| t.get(index).copied());
        let mut batch = EventBatch::with_capacity(t.len());
        for event in order.into_iter().filter_map(|index| self.batch.get(index)) {
            batch.push(event);
        }
        Self { batch, declared: self.declared }
    }
}

#[pymethods]
impl Events {
    /// Of columns of equal length; a polarity above 0 is 1.
    #[new]
    fn new(
        py: Python<'_>,
        t: PyReadonlyArray1<'_, i64>,
        x: PyReadonlyArray1<'_, u16>,
        y: PyReadonlyArray1<'_, u16>,
        p: PyReadonlyArray1<'_, i8>,
    ) -> PyResult<Self> {
        let (t, x, y, p) = (t.as_slice()?, x.as_slice()?, y.as_slice()?, p.as_slice()?);
        if x.len() != t.len() || y.len() != t.len() || p.len() != t.len() {
            return Err(invalid(py, "columns of different lengths"));
        }
        let batch = py.detach(|| {
            let mut batch = EventBatch::new();
            batch.extend_signed_columns(t, x, y, p);
            batch
        });
        Ok(Self { batch, declared: None })
    }

    /// All events of a file, in its order; ``progress(done, all)`` is told bytes.
    #[staticmethod]
    #[pyo3(signature = (path, *, format = None, time_unit = "auto", columns = None,
        progress = None))]
    fn read(
        py: Python<'_>,
        path: PathBuf,
        format: Option<&str>,
        time_unit: &str,
        columns: Option<&str>,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Self> {
        let options = reading::options(py, format, time_unit, columns)?;
        reading::read(py, path, &options, progress)
    }

    /// Writes them to a file, which appears when it is whole.
    #[pyo3(signature = (path, format, *, time_unit = "s", header = false))]
    fn write(
        &self,
        py: Python<'_>,
        path: PathBuf,
        format: &str,
        time_unit: &str,
        header: bool,
    ) -> PyResult<()> {
        let format = format_of(py, format)?;
        let text = TextStyle { time_unit: unit(py, time_unit)?, header, ..TextStyle::default() };
        let sensor_size = Some(self.declared.unwrap_or_else(|| self.size()));
        let options = EncodeOptions { sensor_size, text, ..EncodeOptions::default() };
        let mut partial = path.clone().into_os_string();
        partial.push(".partial");
        let partial = PathBuf::from(partial);
        let written = py.detach(|| {
            let mut encoder = encoder(format, &options)?;
            let mut file = BufWriter::new(File::create(&partial)?);
            let mut bytes = Vec::new();
            let mut part = EventBatch::new();
            for start in (0..self.batch.len()).step_by(Output::EVENTS_MAX) {
                part.clear();
                part.extend_from(&self.batch, start..start + Output::EVENTS_MAX);
                encoder.encode(&part, &mut bytes)?;
                file.write_all(&bytes)?;
                bytes.clear();
            }
            encoder.finish(&mut bytes)?;
            file.write_all(&bytes)?;
            file.into_inner().map_err(std::io::IntoInnerError::into_error)?.sync_all()?;
            Ok(std::fs::rename(&partial, &path)?)
        });
        written.map_err(|wrong: Wrong| {
            let _gone = std::fs::remove_file(&partial);
            wrong.exception(py, &path)
        })
    }

    fn __len__(&self) -> usize {
        self.batch.len()
    }

    fn __repr__(&self) -> String {
        format!("<presence.events.Events: {} events>", self.batch.len())
    }

    /// Width and height as the file says them, or `None`.
    #[getter]
    fn sensor_size(&self) -> Option<(u16, u16)> {
        self.declared.map(|size| (size.width, size.height))
    }

    /// Microseconds.
    #[getter]
    fn t<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<i64>> {
        PyArray1::from_slice(py, self.batch.t())
    }

    /// Columns of pixels.
    #[getter]
    fn x<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<u16>> {
        PyArray1::from_slice(py, self.batch.x())
    }

    /// Rows of pixels.
    #[getter]
    fn y<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<u16>> {
        PyArray1::from_slice(py, self.batch.y())
    }

    /// Polarities: 1 where the light rose, 0 where it fell.
    #[getter]
    fn p<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<u8>> {
        PyArray1::from_slice(py, self.batch.polarity())
    }

    /// Polarities as 1 and `off`.
    fn polarity<'py>(&self, py: Python<'py>, off: i8) -> Bound<'py, PyArray1<i8>> {
        let signs = self.batch.polarity().iter().map(|&p| if p == 0 { off } else { 1 });
        signs.collect::<Vec<_>>().into_pyarray(py)
    }

    /// The largest column and row; `None` where there are no events.
    fn corner(&self) -> Option<(u16, u16)> {
        let size = self.size();
        Some((size.width.checked_sub(1)?, size.height.checked_sub(1)?))
    }

    /// In the order of time; events of one time stay in theirs.
    fn sorted(slf: Bound<'_, Self>) -> PyResult<Bound<'_, Self>> {
        let (py, this) = (slf.py(), slf.get());
        match py.detach(|| (!this.is_sorted()).then(|| this.in_order())) {
            Some(sorted) => Bound::new(py, sorted),
            None => Ok(slf),
        }
    }

    /// Those from `first` to `last` (microseconds), in any of the rectangles (`x_min, x_max,
    /// y_min, y_max`), all borders included, and of a polarity (0 or 1).
    #[pyo3(signature = (*, first = None, last = None, rois = None, polarity = None))]
    fn select(
        &self,
        py: Python<'_>,
        first: Option<i64>,
        last: Option<i64>,
        rois: Option<Vec<(u16, u16, u16, u16)>>,
        polarity: Option<u8>,
    ) -> Self {
        let roi = |(x_min, x_max, y_min, y_max)| Roi { x_min, x_max, y_min, y_max };
        let mut time = TimeFilter { first, last };
        let mut regions = rois.map(|rois| RoiFilter(rois.into_iter().map(roi).collect()));
        let mut polarity = polarity.map(PolarityFilter);
        py.detach(|| {
            let mut filters: Vec<&mut dyn Filter> = Vec::new();
            if first.is_some() || last.is_some() {
                filters.push(&mut time);
            }
            filters.extend(regions.as_mut().map(|filter| filter as &mut dyn Filter));
            filters.extend(polarity.as_mut().map(|filter| filter as &mut dyn Filter));
            self.filtered(&mut filters)
        })
    }

    /// Without the events of hot pixels: those above a percentile of active pixels, or much more
    /// active than their neighbours where none is given.
    #[pyo3(signature = (percentile = None))]
    fn without_hot_pixels(&self, py: Python<'_>, percentile: Option<f64>) -> PyResult<Self> {
        let rule = match percentile {
            Some(percent) => percentile_rule(py, percent)?,
            None => HotPixelRule::default(),
        };
        let size = self.table(py)?;
        Ok(py.detach(|| {
            let mut counts = PixelCounts::new(size);
            counts.add(&self.batch);
            self.filtered(&mut [&mut HotPixelFilter::new(&counts, rule)])
        }))
    }

    /// Of these, time, region and polarity as in `select`, hot pixels by a percentile, and a
    /// refractory period after any event, in this order. Events have to be in the order of time.
    #[pyo3(signature = (*, first, last, roi, polarity, percentile, period_us))]
    #[expect(clippy::too_many_arguments, reason = "named by the Python function that calls this")]
    fn preprocessed(
        &self,
        py: Python<'_>,
        first: Option<i64>,
        last: Option<i64>,
        roi: Option<(u16, u16, u16, u16)>,
        polarity: Option<u8>,
        percentile: Option<f64>,
        period_us: Option<i64>,
    ) -> PyResult<Self> {
        let hot_pixels = percentile.map(|percent| percentile_rule(py, percent)).transpose()?;
        let roi = roi.map(|(x_min, x_max, y_min, y_max)| Roi { x_min, x_max, y_min, y_max });
        let refractory = period_us.map(|us| (us, RefractoryReset::ByAny));
        let sensor_size = self.table(py)?;
        let options =
            PreprocessOptions { sensor_size, first, last, roi, polarity, hot_pixels, refractory };
        let is_counted = hot_pixels.is_some();
        Ok(py.detach(|| {
            let mut chain = Preprocess::new(options);
            // Piece by piece, which stays in a core's own cache.
            let pieces = || (0..self.batch.len()).step_by(Output::EVENTS_MAX);
            let mut piece = EventBatch::new();
            let mut batch = EventBatch::with_capacity(self.batch.len());
            let take = |piece: &mut EventBatch, start: usize| {
                piece.clear();
                piece.extend_from(&self.batch, start..start + Output::EVENTS_MAX);
            };
            if is_counted {
                for start in pieces() {
                    take(&mut piece, start);
                    chain.count(&piece);
                }
            }
            for start in pieces() {
                take(&mut piece, start);
                chain.apply(&mut piece);
                batch.extend_from(&piece, 0..piece.len());
            }
            Self { batch, declared: self.declared }
        }))
    }

    /// Without events that follow one of their pixel within `period_us`: any one, or one that was
    /// kept. Events have to be in the order of time.
    #[pyo3(signature = (period_us, *, by_kept = false))]
    fn refractory(&self, py: Python<'_>, period_us: i64, by_kept: bool) -> PyResult<Self> {
        let size = self.table(py)?;
        let reset = if by_kept { RefractoryReset::ByKept } else { RefractoryReset::ByAny };
        Ok(py.detach(|| self.filtered(&mut [&mut Refractory::new(size, period_us, reset)])))
    }

    /// Those that have a neighbour (of the 8 around) that fired within `within_us` before.
    fn with_neighbours(&self, py: Python<'_>, within_us: i64) -> PyResult<Self> {
        let size = self.table(py)?;
        Ok(py.detach(|| self.filtered(&mut [&mut BackgroundActivity::new(size, within_us)])))
    }

    /// Those of windows of time that hold `at_least` to `at_most` events.
    #[pyo3(signature = (window_us, at_least, at_most = None))]
    fn active(&self, py: Python<'_>, window_us: i64, at_least: u64, at_most: Option<u64>) -> Self {
        py.detach(|| self.filtered(&mut [&mut ActivityFilter::new(window_us, at_least, at_most)]))
    }
}
