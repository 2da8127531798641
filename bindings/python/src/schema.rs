//! Schemas: from what numpy takes as a type, and what they tell.
//!
//! # Invariants
//! - A column's dtype in numpy has the size and order of its elements on disk.

use presence::{Column, Compression, DType, Order, Schema, TimeUnit};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

use crate::error::invalid;

/// The schema with these columns.
pub(crate) fn schema(
    columns: &Bound<'_, PyAny>,
    unit: &str,
    order: &str,
    compression: &str,
) -> PyResult<Schema> {
    static COLUMNS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let py = columns.py();
    let described = COLUMNS.import(py, "presence._values", "columns")?.call1((columns,))?;
    let described: Vec<(String, String, Vec<u32>)> = described.extract()?;
    let columns = described.into_iter().map(|(name, dtype, shape)| {
        let dtype = named(&ALL, DType::name, &dtype).ok_or_else(|| {
            invalid(py, format!("column {name:?} cannot have elements of {dtype}"))
        })?;
        Ok(Column::new(name, dtype, &shape))
    });
    let schema =
        Schema::new(columns.collect::<PyResult<Vec<_>>>()?).map_err(|why| invalid(py, why.what))?;
    let wrong = |what: &str, given: &str, known: &str| {
        invalid(py, format!("{what} is {known}, not {given:?}"))
    };
    let unit = named(&[TimeUnit::Us, TimeUnit::Ns], TimeUnit::name, unit)
        .ok_or_else(|| wrong("unit", unit, "'us' or 'ns'"))?;
    let order = named(&[Order::StrictlyIncreasing, Order::NonDecreasing], Order::name, order)
        .ok_or_else(|| wrong("order", order, "'strictly_increasing' or 'non_decreasing'"))?;
    let compression = named(&Compression::OF_RECORDS, Compression::name, compression)
        .ok_or_else(|| wrong("compression", compression, "'none', 'lz4', 'packed' or 'split'"))?;
    Ok(schema.with_time_unit(unit).with_order(order).with_compression(compression))
}

const ALL: [DType; 11] = [
    DType::Bool,
    DType::I8,
    DType::I16,
    DType::I32,
    DType::I64,
    DType::U8,
    DType::U16,
    DType::U32,
    DType::U64,
    DType::F32,
    DType::F64,
];

fn named<T: Copy>(all: &[T], name: impl Fn(T) -> &'static str, given: &str) -> Option<T> {
    all.iter().copied().find(|&one| name(one) == given)
}

/// The letter and the size by which numpy knows an element.
pub(crate) fn kind(dtype: DType) -> (u8, i32) {
    match dtype {
        DType::Bool => (b'b', 1),
        DType::I8 => (b'i', 1),
        DType::I16 => (b'i', 2),
        DType::I32 => (b'i', 4),
        DType::I64 => (b'i', 8),
        DType::U8 => (b'u', 1),
        DType::U16 => (b'u', 2),
        DType::U32 => (b'u', 4),
        DType::U64 => (b'u', 8),
        DType::F32 => (b'f', 4),
        DType::F64 => (b'f', 8),
    }
}

/// A dtype as numpy writes it.
pub(crate) fn numpy_name(dtype: DType) -> String {
    let (kind, bytes) = kind(dtype);
    format!("{}{bytes}", char::from(kind))
}

/// The name of the time beside the columns: `ts`, or another where a column has that.
pub(crate) fn time_name(columns: &[Column]) -> String {
    let free = |name: &String| columns.iter().all(|column| column.name() != name);
    let names = std::iter::once("ts".to_owned()).chain((1..).map(|number| format!("ts_{number}")));
    names.filter(free).take(1).collect()
}

/// The index of a column: by its name, or the only one.
pub(crate) fn column_index(
    py: Python<'_>,
    columns: &[Column],
    name: Option<&str>,
) -> PyResult<usize> {
    let Some(name) = name else {
        return match columns {
            [_] => Ok(0),
            _ => Err(invalid(py, format!("of {} columns one has to be named", columns.len()))),
        };
    };
    columns.iter().position(|column| column.name() == name).ok_or_else(|| {
        let known: Vec<&str> = columns.iter().map(Column::name).collect();
        let text = format!("there is no column {name:?}; there are {}", known.join(", "));
        crate::error::raise(py, "NotFoundError", text)
    })
}
