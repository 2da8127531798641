//! Arrays of numpy that view what the engine holds.
//!
//! # Invariants
//! - An array keeps alive what it views, whatever is closed; nobody can write to it.
//! - What an array views never moves: pages are shared and fixed, copies lie on the heap.

use bytemuck::cast_slice;
use presence::{Column, DType, Gathered, RecordRef, Slice};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyCapsule;
use std::sync::Arc;

use crate::schema::kind;

/// What an array views.
pub(crate) enum Owner {
    /// A column of one record.
    Record(RecordRef, usize),
    /// The timestamps of a slice.
    Times(Slice),
    /// A column of a slice.
    Column(Slice, usize),
    /// The moments that records were gathered at.
    Moments(Arc<Gathered>),
    /// A column of gathered records.
    Gathered(Arc<Gathered>, usize),
    /// A copy, in words, so that it is aligned; and how many bytes of it count.
    Copy(Vec<u64>, usize),
}

impl Owner {
    /// What is viewed.
    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Self::Record(record, column) => record.column_bytes(*column),
            Self::Times(slice) => cast_slice(slice.timestamps()),
            Self::Column(slice, column) => slice.column_bytes(*column),
            Self::Moments(gathered) => cast_slice(gathered.times()),
            Self::Gathered(gathered, column) => gathered.column_bytes(*column),
            Self::Copy(words, len) => cast_slice(words).get(..*len).unwrap_or_default(),
        }
    }
}

/// Something numpy makes an array of, without a copy.
#[pyclass(frozen)]
pub(crate) struct View {
    owner: Owner,
    dtype: DType,
    shape: Vec<usize>,
}

/// The C structure of numpy's array protocol, and what it points to.
#[repr(C)]
struct Interface {
    two: i32,
    dimensions: i32,
    kind: u8,
    item_bytes: i32,
    flags: i32,
    shape: usize,
    strides: usize,
    data: usize,
    description: usize,
    sides: Box<[isize]>,
}

const C_CONTIGUOUS: i32 = 0x1;
const ALIGNED: i32 = 0x100;
const NOT_SWAPPED: i32 = 0x200;

#[pymethods]
impl View {
    #[getter]
    fn __array_struct__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        let (kind, item_bytes) = kind(self.dtype);
        let bytes = self.owner.bytes();
        let data = bytes.as_ptr() as usize;
        let mut stride = item_bytes as isize;
        let mut strides = Vec::with_capacity(self.shape.len());
        for &side in self.shape.iter().rev() {
            strides.push(stride);
            stride = stride.saturating_mul(side as isize);
        }
        let shape = self.shape.iter().map(|&side| side as isize);
        let sides: Box<[isize]> = shape.chain(strides.into_iter().rev()).collect();
        let place = sides.as_ptr() as usize;
        let aligned = if data.is_multiple_of(item_bytes as usize) { ALIGNED } else { 0 };
        let interface = Interface {
            two: 2,
            dimensions: self.shape.len() as i32,
            kind,
            item_bytes,
            flags: C_CONTIGUOUS | NOT_SWAPPED | aligned,
            shape: place,
            strides: place + self.shape.len() * size_of::<isize>(),
            data,
            description: 0,
            sides,
        };
        nameless(py, interface)
    }
}

/// A capsule without a name, as numpy's protocol wants it.
#[expect(deprecated, reason = "the newer functions give each capsule a name, and numpy wants none")]
fn nameless(py: Python<'_>, interface: Interface) -> PyResult<Bound<'_, PyCapsule>> {
    PyCapsule::new(py, interface, None)
}

/// An array of `shape` over what `owner` holds: a view, unless there is nothing to view.
pub(crate) fn array(
    py: Python<'_>,
    owner: Owner,
    dtype: DType,
    shape: Vec<usize>,
) -> PyResult<Py<PyAny>> {
    static AS_ARRAY: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let owner = match dtype {
        DType::Bool => as_bools(owner),
        _ => owner,
    };
    let view = Bound::new(py, View { owner, dtype, shape })?;
    Ok(AS_ARRAY.import(py, "numpy", "asarray")?.call1((view,))?.unbind())
}

/// Any byte but zero is true on disk, and one in numpy: others are copied.
fn as_bools(owner: Owner) -> Owner {
    let bytes = owner.bytes();
    if bytes.iter().all(|&byte| byte <= 1) {
        return owner;
    }
    let len = bytes.len();
    let mut words = vec![0_u64; len.div_ceil(8)];
    let target: &mut [u8] = bytemuck::cast_slice_mut(&mut words);
    target.iter_mut().zip(bytes).for_each(|(to, &from)| *to = u8::from(from != 0));
    Owner::Copy(words, len)
}

/// The shape of `records` values of `column`.
pub(crate) fn shape_of(records: usize, column: &Column) -> Vec<usize> {
    let sides = column.shape().iter().map(|&side| side as usize);
    std::iter::once(records).chain(sides).collect()
}
