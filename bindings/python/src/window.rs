//! Windows as Python sees them: arrays that view one block, or one copy of several.
//!
//! # Invariants
//! - Where a window lies in one block, its arrays are views of that block.
//! - Ctrl-C ends a copy of many blocks between two of them.

use presence::{Column, DType, Slice, Stream, Window as Engine};
use pyo3::exceptions::PyIndexError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::array::{Owner, array, shape_of};
use crate::error::{OrRaise, invalid};
use crate::record::Record;
use crate::schema::column_index;

/// The records of a range of time: fixed when it was made, and kept whatever is closed.
///
/// ``window.timestamps`` and ``window["column"]`` are read-only arrays. They view the engine's page
/// where the window lies in one block, and are one copy where it does not; ``blocks()`` gives the
/// parts without any copy.
///
/// >>> import presence, tempfile
/// >>> db = presence.create(tempfile.mkdtemp())
/// >>> stream = db.create_stream("level", "f8")
/// >>> with stream.writer() as writer:
/// ...     writer.append_batch(range(0, 5_000, 1_000), [0.0, 0.5, 1.0, 1.5, 2.0])
/// >>> window = stream.window(1_000, 4_000)
/// >>> window.timestamps.tolist(), window["value"].tolist()
/// ([1000, 2000, 3000], [0.5, 1.0, 1.5])
/// >>> window[-1].value, len(window.blocks())
/// (1.5, 1)
/// >>> [record.value for record in window]
/// [0.5, 1.0, 1.5]
#[pyclass(frozen, module = "presence", name = "Window")]
pub(crate) struct Window {
    pub(crate) stream: Stream,
    pub(crate) engine: Engine,
}

/// Bytes copied between two looks whether to stop.
const BETWEEN_LOOKS: usize = 64 << 20;

impl Window {
    pub(crate) fn new(stream: &Stream, engine: Engine) -> Self {
        Self { stream: stream.clone(), engine }
    }

    pub(crate) fn columns(&self) -> &[Column] {
        self.stream.columns()
    }

    /// What holds the column, or the timestamps: the page, or a copy; and how many records.
    pub(crate) fn owner(&self, py: Python<'_>, column: Option<usize>) -> PyResult<(Owner, usize)> {
        let of = |slice: Slice| match column {
            None => Owner::Times(slice),
            Some(column) => Owner::Column(slice, column),
        };
        if let Some(slice) = py.detach(|| self.engine.one_slice()).or_raise(py)? {
            let records = slice.len();
            return Ok((of(slice), records));
        }
        let records = self.engine.len();
        let width = column.map_or(8, |at| self.columns().get(at).map_or(0, Column::value_bytes));
        let len = records.saturating_mul(width);
        let mut words: Vec<u64> = vec![0; len.div_ceil(8)];
        let target: &mut [u8] = bytemuck::cast_slice_mut(&mut words);
        let mut slices = self.engine.slices();
        let mut done = 0;
        loop {
            py.check_signals()?;
            let more = py.detach(|| -> presence::Result<bool> {
                let stop = done + BETWEEN_LOOKS;
                for slice in slices.by_ref() {
                    let owner = of(slice?);
                    let bytes = owner.bytes();
                    if let Some(to) = target.get_mut(done..done + bytes.len()) {
                        to.copy_from_slice(bytes);
                    }
                    done += bytes.len();
                    if done >= stop {
                        return Ok(true);
                    }
                }
                Ok(false)
            });
            if !more.or_raise(py)? {
                return Ok((Owner::Copy(words, len), records));
            }
        }
    }

    pub(crate) fn array(&self, py: Python<'_>, index: usize) -> PyResult<Py<PyAny>> {
        let Some(column) = self.columns().get(index) else {
            return Err(invalid(py, "a column is missing"));
        };
        let (owner, records) = self.owner(py, Some(index))?;
        array(py, owner, column.dtype(), shape_of(records, column))
    }
}

#[pymethods]
impl Window {
    /// What the timestamps count: ``'us'`` or ``'ns'``.
    #[getter]
    fn unit(&self) -> &'static str {
        self.stream.schema().time_unit().name()
    }

    fn __len__(&self) -> usize {
        self.engine.len()
    }

    fn __bool__(&self) -> bool {
        !self.engine.is_empty()
    }

    fn __repr__(&self) -> String {
        let unit = self.unit();
        format!("Window(of={:?}, unit={unit:?}, len={})", self.stream.name(), self.engine.len())
    }

    /// The timestamps in ``unit``: int64.
    #[getter]
    pub(crate) fn timestamps(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let (owner, records) = self.owner(py, None)?;
        array(py, owner, DType::I64, vec![records])
    }

    /// The values of the only column, or a dict of all of them: arrays of records times shape.
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

    /// A column by its name, or one record by its index.
    fn __getitem__(&self, py: Python<'_>, key: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        if let Ok(index) = key.extract::<isize>() {
            return Ok(Bound::new(py, self.record(py, index)?)?.into_any().unbind());
        }
        let name: String = key.extract()?;
        self.array(py, column_index(py, self.columns(), Some(&name))?)
    }

    /// The parts that lie in one block each: windows whose arrays are never copies.
    fn blocks(&self, py: Python<'_>) -> PyResult<Vec<Block>> {
        let slices = py.detach(|| self.engine.slices().collect::<presence::Result<Vec<_>>>());
        let stream = &self.stream;
        let blocks = slices.or_raise(py)?.into_iter();
        Ok(blocks.map(|slice| Block { stream: stream.clone(), slice }).collect())
    }

    fn __iter__(&self, py: Python<'_>) -> PyResult<WindowRecords> {
        let blocks = self.blocks(py)?;
        Ok(WindowRecords { blocks, next: std::sync::Mutex::new((0, 0)) })
    }
}

impl Window {
    fn record(&self, py: Python<'_>, index: isize) -> PyResult<Record> {
        let len = self.engine.len();
        let out = || PyIndexError::new_err(format!("record {index} of {len}"));
        let at = if index < 0 {
            len.checked_sub(index.unsigned_abs())
        } else {
            Some(index.unsigned_abs())
        };
        let mut left = at.filter(|&at| at < len).ok_or_else(out)?;
        for slice in self.engine.slices() {
            let slice = slice.or_raise(py)?;
            match slice.record_ref(left) {
                Some(record) => return Ok(Record::new(&self.stream, record)),
                None => left -= slice.len(),
            }
        }
        Err(out())
    }
}

/// The part of a window that lies in one block: nothing of it is ever copied.
///
/// >>> import presence, tempfile
/// >>> db = presence.create(tempfile.mkdtemp())
/// >>> stream = db.create_stream("level", "f8")
/// >>> with stream.writer() as writer:
/// ...     writer.append_batch(range(0, 5_000, 1_000), [0.0, 0.5, 1.0, 1.5, 2.0])
/// >>> [block["value"].tolist() for block in stream.window().blocks()]
/// [[0.0, 0.5, 1.0, 1.5, 2.0]]
#[pyclass(frozen, module = "presence", name = "Block")]
pub(crate) struct Block {
    stream: Stream,
    slice: Slice,
}

impl Block {
    pub(crate) fn columns(&self) -> &[Column] {
        self.stream.columns()
    }

    pub(crate) fn array(&self, py: Python<'_>, index: usize) -> PyResult<Py<PyAny>> {
        let Some(column) = self.columns().get(index) else {
            return Err(invalid(py, "a column is missing"));
        };
        let owner = Owner::Column(self.slice.clone(), index);
        array(py, owner, column.dtype(), shape_of(self.slice.len(), column))
    }
}

#[pymethods]
impl Block {
    fn __len__(&self) -> usize {
        self.slice.len()
    }

    /// The timestamps in ``unit``: int64.
    #[getter]
    fn timestamps(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        array(py, Owner::Times(self.slice.clone()), DType::I64, vec![self.slice.len()])
    }

    /// What the timestamps count: ``'us'`` or ``'ns'``.
    #[getter]
    fn unit(&self) -> &'static str {
        self.stream.schema().time_unit().name()
    }

    /// The column called ``name``: a view of the block.
    fn __getitem__(&self, py: Python<'_>, name: &str) -> PyResult<Py<PyAny>> {
        self.array(py, column_index(py, self.columns(), Some(name))?)
    }
}

/// The records of a window, one by one: linear, however long it is.
#[pyclass(frozen, module = "presence")]
pub(crate) struct WindowRecords {
    blocks: Vec<Block>,
    next: std::sync::Mutex<(usize, usize)>,
}

#[pymethods]
impl WindowRecords {
    fn __iter__(this: PyRef<'_, Self>) -> PyRef<'_, Self> {
        this
    }

    fn __next__(&self) -> Option<Record> {
        let mut next = self.next.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        loop {
            let block = self.blocks.get(next.0)?;
            if let Some(record) = block.slice.record_ref(next.1) {
                next.1 += 1;
                return Some(Record::new(&block.stream, record));
            }
            *next = (next.0 + 1, 0);
        }
    }
}
