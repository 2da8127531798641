//! Records gathered at many moments.
//!
//! # Invariants
//! - Where no record was in force, `found` is false, the timestamp the smallest there is (numpy's
//!   NaT), and the values zeros.

use std::sync::Arc;

use presence::{Column, DType, Gathered, Stream};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::array::{Owner, array, shape_of};
use crate::error::invalid;
use crate::schema::column_index;

/// The records in force at many moments, as read-only arrays in the order of the moments.
///
/// ``found`` is false at moments before the first record. There the timestamp is the smallest
/// int64, which numpy reads as NaT, and the values are zeros.
///
/// >>> import presence, tempfile
/// >>> db = presence.create(tempfile.mkdtemp())
/// >>> stream = db.create_stream("level", "f8")
/// >>> with stream.writer() as writer:
/// ...     writer.append_batch(range(0, 5_000, 1_000), [0.0, 0.5, 1.0, 1.5, 2.0])
/// >>> samples = stream.at_many([2_500, 4_000, -1])
/// >>> samples.values.tolist(), samples.found.tolist()
/// ([1.0, 2.0, 0.0], [True, True, False])
/// >>> samples.timestamps[:2].tolist(), samples.unit
/// ([2000, 4000], 'us')
#[pyclass(frozen, module = "presence", name = "Samples")]
pub(crate) struct Samples {
    stream: Stream,
    gathered: Arc<Gathered>,
}

impl Samples {
    pub(crate) fn new(stream: &Stream, gathered: Gathered) -> Self {
        Self { stream: stream.clone(), gathered: Arc::new(gathered) }
    }

    pub(crate) fn columns(&self) -> &[Column] {
        self.stream.columns()
    }

    pub(crate) fn stream(&self) -> &Stream {
        &self.stream
    }

    pub(crate) fn gathered(&self) -> &Arc<Gathered> {
        &self.gathered
    }

    pub(crate) fn array(&self, py: Python<'_>, index: usize) -> PyResult<Py<PyAny>> {
        let Some(column) = self.columns().get(index) else {
            return Err(invalid(py, "a column is missing"));
        };
        let owner = Owner::Gathered(Arc::clone(&self.gathered), index);
        array(py, owner, column.dtype(), shape_of(self.gathered.len(), column))
    }

    /// The timestamps, NaT where there is none.
    pub(crate) fn stamps(&self) -> Owner {
        let found = self.gathered.found().iter();
        let words = found.map(|ts| ts.unwrap_or(i64::MIN) as u64).collect::<Vec<_>>();
        let len = words.len() * 8;
        Owner::Copy(words, len)
    }
}

#[pymethods]
impl Samples {
    /// What all times count: ``'us'`` or ``'ns'``.
    #[getter]
    fn unit(&self) -> &'static str {
        self.stream.schema().time_unit().name()
    }

    fn __len__(&self) -> usize {
        self.gathered.len()
    }

    fn __repr__(&self) -> String {
        let unit = self.unit();
        format!("Samples(of={:?}, unit={unit:?}, len={})", self.stream.name(), self.gathered.len())
    }

    /// The moments asked for: int64.
    #[getter]
    fn times(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let owner = Owner::Moments(Arc::clone(&self.gathered));
        array(py, owner, DType::I64, vec![self.gathered.len()])
    }

    /// The timestamps of the records in force: int64.
    #[getter]
    pub(crate) fn timestamps(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        array(py, self.stamps(), DType::I64, vec![self.gathered.len()])
    }

    /// Whether a record was in force: bool.
    #[getter]
    fn found(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let len = self.gathered.len();
        let mut words = vec![0_u64; len.div_ceil(8)];
        let bytes: &mut [u8] = bytemuck::cast_slice_mut(&mut words);
        let found = self.gathered.found().iter();
        bytes.iter_mut().zip(found).for_each(|(to, ts)| *to = u8::from(ts.is_some()));
        array(py, Owner::Copy(words, len), DType::Bool, vec![len])
    }

    /// The values of the only column, or a dict of all of them.
    #[getter]
    fn values(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        if self.columns().len() == 1 {
            return self.array(py, 0);
        }
        let values = PyDict::new(py);
        for (index, column) in self.columns().iter().enumerate() {
            values.set_item(column.name(), self.array(py, index)?)?;
        }
        Ok(values.into_any().unbind())
    }

    fn __getitem__(&self, py: Python<'_>, name: &str) -> PyResult<Py<PyAny>> {
        self.array(py, column_index(py, self.columns(), Some(name))?)
    }
}
