//! Streams as readers in Python hold them.
//!
//! # Invariants
//! - A stream's index counts from the first record that can be read, as it is at the call.

use numpy::{PyReadonlyArray1, PyUntypedArrayMethods};
use presence::{Schema, Stream as Engine, StreamStats, WindowOptions};
use pyo3::exceptions::{PyIndexError, PyTypeError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PySlice};
use std::sync::Mutex;

use crate::error::{OrRaise, invalid};
use crate::moment::{Round, range, span, timestamp};
use crate::record::Record;
use crate::samples::Samples;
use crate::schema::numpy_name;
use crate::window::Window;
use crate::writer::StreamWriter;

/// A named sequence of records with one timestamp each.
///
/// >>> import presence, tempfile
/// >>> db = presence.create(tempfile.mkdtemp())
/// >>> joints = db.create_stream("arm/joints", ("f4", 7))
/// >>> with joints.writer() as writer:
/// ...     for tick in range(1_000):
/// ...         writer.append(tick * 10_000, [tick] * 7)
/// >>> ts, state = joints.at(1_234_567)
/// >>> ts, state[0]
/// (1230000, np.float32(123.0))
/// >>> len(joints.window("5s", "10s"))
/// 500
#[pyclass(frozen, module = "presence", name = "Stream")]
pub(crate) struct Stream {
    pub(crate) engine: Engine,
    /// Where its database is, for those who open it anew.
    pub(crate) path: String,
}

/// Times as the engine wants them: an array, whatever they were.
pub(crate) fn times<'py>(
    object: &Bound<'py, PyAny>,
    unit: &str,
) -> PyResult<PyReadonlyArray1<'py, i64>> {
    static TIMES: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let py = object.py();
    let array = TIMES.import(py, "presence._times", "timestamps")?.call1((object, unit))?;
    array.extract().map_err(|_| invalid(py, "times that are no array"))
}

impl Stream {
    fn schema(&self) -> &Schema {
        self.engine.schema()
    }

    fn ts(&self, object: &Bound<'_, PyAny>) -> PyResult<i64> {
        timestamp(object, self.schema().time_unit(), Round::Down)
    }

    fn of_index(&self, py: Python<'_>, index: isize) -> PyResult<Record> {
        let (first, len) = (self.engine.first_sequence(), self.engine.len());
        let from_front = match u64::try_from(index) {
            Ok(index) => Some(index),
            Err(_) => len.checked_sub(index.unsigned_abs() as u64),
        };
        let out = || PyIndexError::new_err(format!("record {index} of {len}"));
        let sequence = first.saturating_add(from_front.filter(|&at| at < len).ok_or_else(out)?);
        let found = py.detach(|| self.engine.get(sequence)).or_raise(py)?;
        Ok(Record::new(&self.engine, found.ok_or_else(out)?))
    }

    fn of_slice(&self, py: Python<'_>, slice: &Bound<'_, PySlice>) -> PyResult<Window> {
        let len = isize::try_from(self.engine.len()).unwrap_or(isize::MAX);
        let indices = slice.indices(len)?;
        if indices.step != 1 {
            return Err(invalid(py, "a slice of a stream has no step; of its arrays it may"));
        }
        let first = self.engine.first_sequence();
        let place = |index: isize| first.saturating_add(u64::try_from(index).unwrap_or(0));
        let range = place(indices.start)..place(indices.stop.max(indices.start));
        let window = py.detach(|| self.engine.window_of(range)).or_raise(py)?;
        Ok(Window::new(&self.engine, window))
    }

    fn record(&self, found: Option<presence::RecordRef>) -> Option<Record> {
        found.map(|record| Record::new(&self.engine, record))
    }
}

#[pymethods]
impl Stream {
    /// Its name.
    #[getter]
    fn name(&self) -> &str {
        self.engine.name()
    }

    /// What its timestamps count: ``'us'`` or ``'ns'``.
    #[getter]
    fn unit(&self) -> &'static str {
        self.schema().time_unit().name()
    }

    /// ``'strictly_increasing'`` or ``'non_decreasing'``.
    #[getter]
    fn order(&self) -> &'static str {
        self.schema().order().name()
    }

    /// ``'none'``, ``'lz4'`` or ``'packed'``.
    #[getter]
    fn compression(&self) -> &'static str {
        self.schema().compression().name()
    }

    /// The dtype and shape of each column, by its name.
    #[getter]
    fn columns<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let columns = PyDict::new(py);
        for column in self.engine.columns() {
            let dtype = py.import("numpy")?.call_method1("dtype", (numpy_name(column.dtype()),))?;
            let shape = pyo3::types::PyTuple::new(py, column.shape())?;
            columns.set_item(column.name(), (dtype, shape))?;
        }
        Ok(columns)
    }

    /// Whether it was closed for ever.
    #[getter]
    fn is_finished(&self) -> bool {
        self.engine.is_finished()
    }

    /// How many records retention gave up: what the first index stands for.
    #[getter]
    fn first_sequence(&self) -> u64 {
        self.engine.first_sequence()
    }

    fn __len__(&self) -> usize {
        usize::try_from(self.engine.len()).unwrap_or(usize::MAX)
    }

    fn __bool__(&self) -> bool {
        !self.engine.is_empty()
    }

    fn __repr__(&self) -> String {
        let columns: Vec<String> = self
            .engine
            .columns()
            .iter()
            .map(|column| format!("{}: {}", column.name(), column.type_name()))
            .collect();
        let (name, unit) = (self.engine.name(), self.unit());
        format!(
            "Stream({name:?}, {}, unit={unit:?}, len={})",
            columns.join(", "),
            self.engine.len()
        )
    }

    /// The record in force at ``t``: the last one at or before it, or ``None`` before the first.
    /// With ``age_max``, also ``None`` where it is older than that.
    ///
    /// >>> import presence, tempfile
    /// >>> stream = presence.create(tempfile.mkdtemp()).create_stream("s", "f8")
    /// >>> with stream.writer() as writer:
    /// ...     writer.append_batch([0, 10, 20, 30], [0.0, 1.0, 2.0, 3.0])
    /// >>> stream.at(25)
    /// Record(ts=20, unit="us", value=2.0)
    /// >>> stream.at(25, age_max=4) is None
    /// True
    #[pyo3(signature = (t, *, age_max = None))]
    fn at(
        &self,
        py: Python<'_>,
        t: &Bound<'_, PyAny>,
        age_max: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Option<Record>> {
        let t = self.ts(t)?;
        let age_max = age_max.map(|age| span(age, self.schema().time_unit())).transpose()?;
        let found = py.detach(|| match age_max {
            None => self.engine.at(t),
            Some(age) => self.engine.at_within(t, age),
        });
        Ok(self.record(found.or_raise(py)?))
    }

    /// The record closest to ``t``; of two equally close the earlier one.
    ///
    /// >>> import presence, tempfile
    /// >>> stream = presence.create(tempfile.mkdtemp()).create_stream("s", "f8")
    /// >>> with stream.writer() as writer:
    /// ...     writer.append_batch([0, 10, 20, 30], [0.0, 1.0, 2.0, 3.0])
    /// >>> stream.nearest(27).ts
    /// 30
    fn nearest(&self, py: Python<'_>, t: &Bound<'_, PyAny>) -> PyResult<Option<Record>> {
        let t = self.ts(t)?;
        Ok(self.record(py.detach(|| self.engine.nearest(t)).or_raise(py)?))
    }

    /// The first record after ``t``.
    ///
    /// >>> import presence, tempfile
    /// >>> db = presence.create(tempfile.mkdtemp())
    /// >>> stream = db.create_stream("level", "f8")
    /// >>> with stream.writer() as writer:
    /// ...     writer.append_batch([0, 1_000, 2_000], [0.0, 0.5, 1.0])
    /// >>> stream.next_after(1_000).ts
    /// 2000
    fn next_after(&self, py: Python<'_>, t: &Bound<'_, PyAny>) -> PyResult<Option<Record>> {
        let t = self.ts(t)?;
        Ok(self.record(py.detach(|| self.engine.next_after(t)).or_raise(py)?))
    }

    /// The first record, or ``None`` where there is none.
    ///
    /// >>> import presence, tempfile
    /// >>> db = presence.create(tempfile.mkdtemp())
    /// >>> stream = db.create_stream("level", "f8")
    /// >>> with stream.writer() as writer:
    /// ...     writer.append_batch([0, 1_000, 2_000], [0.0, 0.5, 1.0])
    /// >>> stream.first().ts
    /// 0
    fn first(&self, py: Python<'_>) -> PyResult<Option<Record>> {
        Ok(self.record(py.detach(|| self.engine.first()).or_raise(py)?))
    }

    /// The last record, or ``None`` where there is none.
    ///
    /// >>> import presence, tempfile
    /// >>> db = presence.create(tempfile.mkdtemp())
    /// >>> stream = db.create_stream("level", "f8")
    /// >>> with stream.writer() as writer:
    /// ...     writer.append_batch([0, 1_000, 2_000], [0.0, 0.5, 1.0])
    /// >>> stream.last().value
    /// 1.0
    fn last(&self, py: Python<'_>) -> PyResult<Option<Record>> {
        Ok(self.record(py.detach(|| self.engine.last()).or_raise(py)?))
    }

    /// The records in force at each of ``times``, which may be in any order.
    ///
    /// >>> import presence, tempfile
    /// >>> stream = presence.create(tempfile.mkdtemp()).create_stream("s", "f8")
    /// >>> with stream.writer() as writer:
    /// ...     writer.append_batch([0, 10, 20, 30], [0.0, 1.0, 2.0, 3.0])
    /// >>> found = stream.at_many([35, 5, -1])
    /// >>> found["value"], found.timestamps[:2], found.found
    /// (array([3., 0., 0.]), array([30,  0]), array([ True,  True, False]))
    fn at_many(&self, py: Python<'_>, times: &Bound<'_, PyAny>) -> PyResult<Samples> {
        let array = self::times(times, self.unit())?;
        let times = array.as_slice().map_err(|why| invalid(py, why))?;
        debug_assert!(array.is_contiguous());
        let found = py.detach(|| self.engine.at_many(times)).or_raise(py)?;
        Ok(Samples::new(&self.engine, found))
    }

    /// The records in force at ``start`` and every ``step`` after it, up to ``end``.
    ///
    /// >>> import presence, tempfile
    /// >>> stream = presence.create(tempfile.mkdtemp()).create_stream("s", "f8")
    /// >>> with stream.writer() as writer:
    /// ...     writer.append_batch([0, 10, 20, 30], [0.0, 1.0, 2.0, 3.0])
    /// >>> stream.sample(0, 31, 15)["value"]
    /// array([0., 1., 3.])
    #[pyo3(signature = (start, end, step, *, closed = "left"))]
    fn sample(
        &self,
        py: Python<'_>,
        start: &Bound<'_, PyAny>,
        end: &Bound<'_, PyAny>,
        step: &Bound<'_, PyAny>,
        closed: &str,
    ) -> PyResult<Samples> {
        let unit = self.schema().time_unit();
        let range = range(py, Some(start), Some(end), closed, unit)?;
        let step = span(step, unit)?;
        let found = py.detach(|| self.engine.sample(range, step)).or_raise(py)?;
        Ok(Samples::new(&self.engine, found))
    }

    /// The records from ``start`` to ``end``, of which ``closed`` says which are in it: ``'left'``,
    /// ``'right'``, ``'both'`` or ``'neither'``. Without a start or end, from the first or to the
    /// last. ``carry_in`` begins with the record in force at the start; ``skip_gaps`` passes over
    /// damage instead of raising.
    ///
    /// >>> import presence, tempfile
    /// >>> stream = presence.create(tempfile.mkdtemp()).create_stream("s", "f8")
    /// >>> with stream.writer() as writer:
    /// ...     writer.append_batch([0, 10, 20, 30], [0.0, 1.0, 2.0, 3.0])
    /// >>> stream.window(10, 30)["value"], stream.window(10, 30, closed="both")["value"]
    /// (array([1., 2.]), array([1., 2., 3.]))
    /// >>> stream.window(15, 30, carry_in=True).timestamps
    /// array([10, 20])
    #[pyo3(signature = (
        start = None, end = None, *, closed = "left", carry_in = false, skip_gaps = false,
    ))]
    fn window(
        &self,
        py: Python<'_>,
        start: Option<&Bound<'_, PyAny>>,
        end: Option<&Bound<'_, PyAny>>,
        closed: &str,
        carry_in: bool,
        skip_gaps: bool,
    ) -> PyResult<Window> {
        let range = range(py, start, end, closed, self.schema().time_unit())?;
        let mut options = WindowOptions::default();
        options.carry_in = carry_in;
        options.skip_gaps = skip_gaps;
        let window = py.detach(|| self.engine.window_with(range, options)).or_raise(py)?;
        Ok(Window::new(&self.engine, window))
    }

    fn __getitem__<'py>(
        &self,
        py: Python<'py>,
        index: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        if let Ok(slice) = index.cast::<PySlice>() {
            return Ok(Bound::new(py, self.of_slice(py, slice)?)?.into_any());
        }
        let index = index.extract().map_err(|_| {
            PyTypeError::new_err("records are indexed by integers and slices; by time with at()")
        })?;
        Ok(Bound::new(py, self.of_index(py, index)?)?.into_any())
    }

    fn __iter__(&self, py: Python<'_>) -> PyResult<Records> {
        let records = py.detach(|| self.engine.iter()).or_raise(py)?;
        Ok(Records { stream: self.engine.clone(), records: Mutex::new(records) })
    }

    /// Timestamps and columns as arrays, by name.
    ///
    /// >>> import presence, tempfile
    /// >>> db = presence.create(tempfile.mkdtemp())
    /// >>> stream = db.create_stream("level", "f8")
    /// >>> with stream.writer() as writer:
    /// ...     writer.append_batch([0, 1_000, 2_000], [0.0, 0.5, 1.0])
    /// >>> stream.to_numpy()["value"].tolist()
    /// [0.0, 0.5, 1.0]
    fn to_numpy<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        self.whole(py)?.to_numpy(py)
    }

    /// A ``pyarrow.Table``.
    ///
    /// >>> import presence, tempfile
    /// >>> db = presence.create(tempfile.mkdtemp())
    /// >>> stream = db.create_stream("level", "f8")
    /// >>> with stream.writer() as writer:
    /// ...     writer.append_batch([0, 1_000, 2_000], [0.0, 0.5, 1.0])
    /// >>> stream.to_arrow().num_rows
    /// 3
    fn to_arrow(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        crate::tables::converted(py, "to_arrow", self.whole(py)?)
    }

    /// A ``polars.DataFrame``.
    ///
    /// >>> import presence, tempfile
    /// >>> stream = presence.create(tempfile.mkdtemp()).create_stream("s", "f8")
    /// >>> with stream.writer() as writer:
    /// ...     writer.append_batch([0, 10, 20, 30], [0.0, 1.0, 2.0, 3.0])
    /// >>> stream.to_polars()["value"].to_list()
    /// [0.0, 1.0, 2.0, 3.0]
    fn to_polars(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        crate::tables::converted(py, "to_polars", self.whole(py)?)
    }

    /// A ``pandas.DataFrame``, indexed by time.
    ///
    /// >>> import presence, tempfile
    /// >>> db = presence.create(tempfile.mkdtemp())
    /// >>> stream = db.create_stream("level", "f8")
    /// >>> with stream.writer() as writer:
    /// ...     writer.append_batch([0, 1_000, 2_000], [0.0, 0.5, 1.0])
    /// >>> stream.to_pandas()["value"].to_list()
    /// [0.0, 0.5, 1.0]
    fn to_pandas(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        crate::tables::converted(py, "to_pandas", self.whole(py)?)
    }

    /// The stream's one writer; best in a ``with``.
    ///
    /// >>> import presence, tempfile
    /// >>> db = presence.create(tempfile.mkdtemp())
    /// >>> stream = db.create_stream("level", "f8")
    /// >>> with stream.writer() as writer:
    /// ...     writer.append_batch([0, 1_000, 2_000], [0.0, 0.5, 1.0])
    /// >>> with stream.writer() as writer:
    /// ...     writer.append(3_000, 1.5)
    /// >>> len(stream)
    /// 4
    fn writer(&self, py: Python<'_>) -> PyResult<StreamWriter> {
        let writer = py.detach(|| self.engine.column_writer()).or_raise(py)?;
        Ok(StreamWriter::new(&self.engine, writer))
    }

    /// What it costs and holds.
    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let StreamStats { records, raw_bytes, stored_bytes, blocks, .. } = self.engine.stats();
        let stats = self.engine.stats();
        let told = PyDict::new(py);
        told.set_item("records", records)?;
        told.set_item("raw_bytes", raw_bytes)?;
        told.set_item("stored_bytes", stored_bytes)?;
        told.set_item("blocks", blocks)?;
        told.set_item("records_in_memory", stats.records_in_memory)?;
        told.set_item("first_ts", stats.first_ts)?;
        told.set_item("last_ts", stats.last_ts)?;
        Ok(told)
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, (String, String))> {
        let open = py.import("presence._pickle")?.getattr("stream")?;
        Ok((open, (self.path.clone(), self.engine.name().to_owned())))
    }
}

impl Stream {
    fn whole(&self, py: Python<'_>) -> PyResult<Window> {
        let window = py.detach(|| self.engine.window(..)).or_raise(py)?;
        Ok(Window::new(&self.engine, window))
    }
}

/// The records of a stream, one by one.
#[pyclass(frozen, module = "presence")]
pub(crate) struct Records {
    pub(crate) stream: Engine,
    pub(crate) records: Mutex<presence::Records>,
}

#[pymethods]
impl Records {
    fn __iter__(this: PyRef<'_, Self>) -> PyRef<'_, Self> {
        this
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Option<Record>> {
        let next = py.detach(|| {
            self.records.lock().unwrap_or_else(std::sync::PoisonError::into_inner).next()
        });
        let record = next.transpose().or_raise(py)?;
        Ok(record.map(|record| Record::new(&self.stream, record)))
    }
}
