//! Writers of streams.
//!
//! # Invariants
//! - Nothing is appended where a value does not fit: a batch is refused whole.
//! - Leaving a `with` hands everything to the system, and gives the stream's writer back.

use std::sync::{Mutex, PoisonError};

use numpy::{PyArray1, PyArrayMethods, PyReadonlyArray1};
use presence::{Column, ColumnWriter, DType, Error, Level, Stream};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyTuple};

use crate::error::{OrRaise, raise};
use crate::moment::{Round, timestamp};
use crate::process;
use crate::record::scalar_bytes;
use crate::schema::numpy_name;
use crate::stream::times;

/// Appends records to one stream. Readers see them at once; ``flush`` says how safe they are.
///
/// >>> import presence, tempfile
/// >>> db = presence.create(tempfile.mkdtemp())
/// >>> stream = db.create_stream("force", {"newton": "f8", "contact": "?"})
/// >>> with stream.writer() as writer:
/// ...     writer.append(10, newton=1.5, contact=True)
/// ...     writer.append_batch([20, 30], {"newton": [2.5, 3.5], "contact": [True, False]})
/// >>> stream.window()["newton"]
/// array([1.5, 2.5, 3.5])
#[pyclass(frozen, module = "presence", name = "StreamWriter")]
pub(crate) struct StreamWriter {
    stream: Stream,
    writer: Mutex<Option<ColumnWriter>>,
    /// Of the process that made it.
    generation: u64,
}

/// The bytes of one column's values.
enum Bytes<'py> {
    Scalar([u8; 8], usize),
    Array(PyReadonlyArray1<'py, u8>),
}

impl Bytes<'_> {
    fn as_slice(&self) -> &[u8] {
        match self {
            Self::Scalar(bytes, len) => bytes.get(..*len).unwrap_or_default(),
            Self::Array(array) => array.as_slice().unwrap_or_default(),
        }
    }
}

/// The bytes of `values`, of `records` or of one.
fn bytes<'py>(
    values: &Bound<'py, PyAny>,
    column: &Column,
    records: Option<usize>,
) -> PyResult<Bytes<'py>> {
    static CONTIGUOUS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let py = values.py();
    if records.is_none() && column.shape().is_empty() {
        let bytes = scalar_bytes(values, column.dtype())?;
        return Ok(Bytes::Scalar(bytes, column.value_bytes()));
    }
    let sides = records.into_iter().chain(column.shape().iter().map(|&side| side as usize));
    let shape = PyTuple::new(py, sides.collect::<Vec<_>>())?;
    let dtype =
        if column.dtype() == DType::Bool { "?".to_owned() } else { numpy_name(column.dtype()) };
    let made = CONTIGUOUS.import(py, "presence._values", "contiguous")?;
    let array = made.call1((values, dtype, shape))?.cast_into::<PyArray1<u8>>()?;
    Ok(Bytes::Array(array.readonly()))
}

impl StreamWriter {
    pub(crate) fn new(stream: &Stream, writer: ColumnWriter) -> Self {
        let writer = Mutex::new(Some(writer));
        Self { stream: stream.clone(), writer, generation: process::generation() }
    }

    /// Does `work` with the writer, without the interpreter.
    fn with<R: Send>(
        &self,
        py: Python<'_>,
        work: impl Send + FnOnce(&mut ColumnWriter) -> presence::Result<R>,
    ) -> PyResult<R> {
        let done = py.detach(|| {
            let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
            writer.as_mut().map_or(Err(Error::Closed), work)
        });
        match done {
            Err(Error::Closed) if self.is_closed() => {
                Err(raise(py, "StateError", "this writer was closed"))
            }
            done => done.or_raise(py),
        }
    }

    /// Appends one record. The engine looks for a fork once a block, this at every record.
    fn append_one(&self, py: Python<'_>, ts: i64, columns: &[&[u8]]) -> PyResult<()> {
        if self.generation != process::generation() {
            let text =
                "this database was opened by another process, which this one was forked from";
            return Err(raise(py, "StateError", text));
        }
        self.with(py, |writer| writer.append(ts, columns))
    }

    fn is_closed(&self) -> bool {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }

    /// The columns of a call: one by one in order, or by name.
    fn columns<'py>(
        &self,
        py: Python<'py>,
        values: &Bound<'py, PyTuple>,
        named: Option<&Bound<'py, PyDict>>,
        records: Option<usize>,
    ) -> PyResult<Vec<Bytes<'py>>> {
        let columns = self.stream.columns();
        let named_len = named.map_or(0, |named| named.len());
        let by_name = match (values.len(), named_len) {
            (0, _) => named.cloned(),
            (1, 0) => values.get_item(0)?.cast_into::<PyDict>().ok(),
            _ => None,
        };
        let given = by_name.as_ref().map_or(values.len() + named_len, |named| named.len());
        if given != columns.len() {
            let names: Vec<&str> = columns.iter().map(Column::name).collect();
            let text = format!("{given} columns given, of {}: {}", columns.len(), names.join(", "));
            return Err(raise(py, "SchemaError", text));
        }
        let of = |(index, column): (usize, &Column)| {
            let value = match &by_name {
                None => values.get_item(index)?,
                Some(named) => named.get_item(column.name())?.ok_or_else(|| {
                    raise(py, "SchemaError", format!("column {:?} is missing", column.name()))
                })?,
            };
            let told = |error: PyErr| wrong_value(py, column, error);
            bytes(&value, column, records).map_err(told)
        };
        columns.iter().enumerate().map(of).collect()
    }
}

/// An error about a value names the column it was for.
fn wrong_value(py: Python<'_>, column: &Column, error: PyErr) -> PyErr {
    let overflow = error.is_instance_of::<pyo3::exceptions::PyOverflowError>(py);
    let type_error = error.is_instance_of::<pyo3::exceptions::PyTypeError>(py);
    let schema = error.is_instance_of::<pyo3::exceptions::PyValueError>(py);
    if !(overflow || type_error || schema) {
        return error;
    }
    let text = format!("column {:?} ({}): {}", column.name(), column.type_name(), error.value(py));
    raise(py, "SchemaError", text)
}

/// The level that a word names.
pub(crate) fn level(py: Python<'_>, word: &str) -> PyResult<Level> {
    match word {
        "memory" => Ok(Level::Memory),
        "os" => Ok(Level::Os),
        "disk" => Ok(Level::Disk),
        other => Err(crate::error::invalid(
            py,
            format!("level is 'memory', 'os' or 'disk', not {other:?}"),
        )),
    }
}

#[pymethods]
impl StreamWriter {
    /// Appends one record: the values of the columns in order, or by name.
    ///
    /// >>> import presence, tempfile
    /// >>> db = presence.create(tempfile.mkdtemp())
    /// >>> stream = db.create_stream("level", "f8")
    /// >>> writer = stream.writer()
    /// >>> writer.append(1_000, 0.5)
    /// >>> writer.append("2ms", 1.0)
    /// >>> stream.last().value
    /// 1.0
    #[pyo3(signature = (ts, *values, **named))]
    fn append<'py>(
        &self,
        py: Python<'py>,
        ts: &Bound<'py, PyAny>,
        values: &Bound<'py, PyTuple>,
        named: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<()> {
        let ts = timestamp(ts, self.stream.schema().time_unit(), Round::Down)?;
        if let ([column], 1, None) = (self.stream.columns(), values.len(), named) {
            let value = values.get_item(0)?;
            if !value.is_instance_of::<PyDict>() {
                let bytes =
                    bytes(&value, column, None).map_err(|error| wrong_value(py, column, error))?;
                let bytes = bytes.as_slice();
                return self.append_one(py, ts, &[bytes]);
            }
        }
        let columns = self.columns(py, values, named, None)?;
        let slices: Vec<&[u8]> = columns.iter().map(Bytes::as_slice).collect();
        self.append_one(py, ts, &slices)
    }

    /// Appends many records: timestamps, and an array of each column's values in order, or by
    /// name. All are checked before the first is written.
    ///
    /// >>> import presence, tempfile
    /// >>> db = presence.create(tempfile.mkdtemp())
    /// >>> stream = db.create_stream("level", "f8")
    /// >>> writer = stream.writer()
    /// >>> writer.append_batch([0, 1_000], [0.0, 0.5])
    /// >>> len(stream)
    /// 2
    #[pyo3(signature = (timestamps, *values, **named))]
    fn append_batch<'py>(
        &self,
        py: Python<'py>,
        timestamps: &Bound<'py, PyAny>,
        values: &Bound<'py, PyTuple>,
        named: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<()> {
        let array = times(timestamps, self.stream.schema().time_unit().name())?;
        let times = array.as_slice().map_err(|why| crate::error::invalid(py, why))?;
        let columns = self.columns(py, values, named, Some(times.len()))?;
        let slices: Vec<&[u8]> = columns.iter().map(Bytes::as_slice).collect();
        self.with(py, |writer| writer.append_columns(times, &slices))
    }

    /// Brings everything appended to the database to ``level``: ``'os'`` survives a killed
    /// process, ``'disk'`` a power cut.
    ///
    /// >>> import presence, tempfile
    /// >>> db = presence.create(tempfile.mkdtemp())
    /// >>> stream = db.create_stream("level", "f8")
    /// >>> writer = stream.writer()
    /// >>> writer.append(1_000, 0.5)
    /// >>> writer.flush()
    #[pyo3(signature = (level = "disk"))]
    fn flush(&self, py: Python<'_>, level: &str) -> PyResult<()> {
        let level = self::level(py, level)?;
        self.with(py, |writer| writer.flush(level).map(|_| ()))
    }

    /// Closes the stream for ever: nobody can append to it afterwards. Durable when it returns.
    ///
    /// >>> import presence, tempfile
    /// >>> db = presence.create(tempfile.mkdtemp())
    /// >>> stream = db.create_stream("level", "f8")
    /// >>> writer = stream.writer()
    /// >>> writer.append(1_000, 0.5)
    /// >>> writer.finish()
    /// >>> stream.is_finished
    /// True
    fn finish(&self, py: Python<'_>) -> PyResult<()> {
        let done = py.detach(|| {
            let taken = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
            taken.map(ColumnWriter::finish)
        });
        match done {
            None => Err(raise(py, "StateError", "this writer was closed")),
            Some(done) => done.or_raise(py),
        }
    }

    /// Hands everything to the system and gives the stream's writer back. Twice is once.
    ///
    /// >>> import presence, tempfile
    /// >>> db = presence.create(tempfile.mkdtemp())
    /// >>> stream = db.create_stream("level", "f8")
    /// >>> writer = stream.writer()
    /// >>> writer.append(1_000, 0.5)
    /// >>> writer.close()
    /// >>> stream.is_finished
    /// False
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        let done = py.detach(|| {
            let taken = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
            taken.map_or(Ok(()), |mut writer| writer.flush(Level::Os).map(|_| ()))
        });
        done.or_raise(py)
    }

    fn __enter__(this: PyRef<'_, Self>) -> PyRef<'_, Self> {
        this
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, py: Python<'_>, _exception: &Bound<'_, PyTuple>) -> PyResult<()> {
        self.close(py)
    }
}
