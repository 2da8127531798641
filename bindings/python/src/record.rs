//! One record as Python sees it.
//!
//! # Invariants
//! - A record keeps the page alive that it lies in.

use presence::{Column, DType, RecordRef, Stream};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use crate::array::{Owner, array};
use crate::error::invalid;
use crate::schema::column_index;

/// One record: its timestamp, and its values.
///
/// ``ts, value = record`` takes it apart; ``record["name"]`` is the value of one column. Scalars
/// are Python's own, others read-only arrays that view the page.
///
/// >>> import presence, tempfile
/// >>> db = presence.create(tempfile.mkdtemp())
/// >>> stream = db.create_stream("level", "f8")
/// >>> with stream.writer() as writer:
/// ...     writer.append_batch(range(0, 5_000, 1_000), [0.0, 0.5, 1.0, 1.5, 2.0])
/// >>> ts, value = stream.at("2.5ms")
/// >>> ts, value
/// (2000, 1.0)
/// >>> stream.last()["value"]
/// 2.0
#[pyclass(frozen, module = "presence", name = "Record")]
pub(crate) struct Record {
    stream: Stream,
    record: RecordRef,
}

impl Record {
    pub(crate) fn new(stream: &Stream, record: RecordRef) -> Self {
        Self { stream: stream.clone(), record }
    }

    fn column(&self, py: Python<'_>, index: usize, column: &Column) -> PyResult<Py<PyAny>> {
        if column.shape().is_empty() {
            return scalar(py, column.dtype(), self.record.column_bytes(index));
        }
        let shape = column.shape().iter().map(|&side| side as usize).collect();
        array(py, Owner::Record(self.record.clone(), index), column.dtype(), shape)
    }
}

#[pymethods]
impl Record {
    /// The timestamp, in ``unit``.
    #[getter]
    fn ts(&self) -> i64 {
        self.record.ts()
    }

    /// What the timestamp counts: ``'us'`` or ``'ns'``.
    #[getter]
    fn unit(&self) -> &'static str {
        self.stream.schema().time_unit().name()
    }

    /// The value of the only column, or a dict of all of them.
    #[getter]
    fn value(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        match self.stream.columns() {
            [column] => self.column(py, 0, column),
            columns => {
                let values = PyDict::new(py);
                for (index, column) in columns.iter().enumerate() {
                    values.set_item(column.name(), self.column(py, index, column)?)?;
                }
                Ok(values.into_any().unbind())
            }
        }
    }

    fn __getitem__(&self, py: Python<'_>, name: &str) -> PyResult<Py<PyAny>> {
        let columns = self.stream.columns();
        let index = column_index(py, columns, Some(name))?;
        match columns.get(index) {
            Some(column) => self.column(py, index, column),
            None => Err(invalid(py, "a column is missing")),
        }
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let pair =
            PyTuple::new(py, [self.ts().into_pyobject(py)?.into_any().unbind(), self.value(py)?])?;
        Ok(pair.try_iter()?.into_any())
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let value = self.value(py)?.bind(py).repr()?;
        Ok(format!("Record(ts={}, unit={:?}, value={value})", self.ts(), self.unit()))
    }
}

/// The scalar with these bytes.
fn scalar(py: Python<'_>, dtype: DType, bytes: &[u8]) -> PyResult<Py<PyAny>> {
    macro_rules! number {
        ($type:ty) => {
            <$type>::from_le_bytes(bytes.try_into().map_err(|_| short(py))?)
                .into_pyobject(py)?
                .into_any()
                .unbind()
        };
    }
    Ok(match dtype {
        DType::Bool => (bytes != [0]).into_pyobject(py)?.to_owned().into_any().unbind(),
        DType::I8 => number!(i8),
        DType::I16 => number!(i16),
        DType::I32 => number!(i32),
        DType::I64 => number!(i64),
        DType::U8 => number!(u8),
        DType::U16 => number!(u16),
        DType::U32 => number!(u32),
        DType::U64 => number!(u64),
        DType::F32 => number!(f32),
        DType::F64 => number!(f64),
    })
}

fn short(py: Python<'_>) -> PyErr {
    invalid(py, "a value is missing from its page")
}

/// The bytes of a scalar, at the front of eight.
pub(crate) fn scalar_bytes(value: &Bound<'_, PyAny>, dtype: DType) -> PyResult<[u8; 8]> {
    let mut bytes = [0; 8];
    macro_rules! number {
        ($type:ty) => {{
            let number: $type = value.extract()?;
            let from = number.to_le_bytes();
            bytes.iter_mut().zip(from).for_each(|(to, from)| *to = from);
        }};
    }
    match dtype {
        DType::Bool => bytes = u64::from(value.extract::<bool>()?).to_le_bytes(),
        _ if value.is_instance_of::<pyo3::types::PyBool>() => {
            return Err(PyTypeError::new_err(format!("a bool is no value of {dtype}")));
        }
        DType::I8 => number!(i8),
        DType::I16 => number!(i16),
        DType::I32 => number!(i32),
        DType::I64 => number!(i64),
        DType::U8 => number!(u8),
        DType::U16 => number!(u16),
        DType::U32 => number!(u32),
        DType::U64 => number!(u64),
        DType::F32 => number!(f32),
        DType::F64 => number!(f64),
    }
    Ok(bytes)
}
