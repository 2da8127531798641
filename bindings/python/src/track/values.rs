//! What comes from Python to a track, and goes back.
//!
//! # Invariants
//! - All times are microseconds; nobody writes to an array that was handed over.

use numpy::PyArray1;
use presence::{Expression, TimeUnit};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyInt};

use crate::error::invalid;
use crate::moment::{Range, Round, range, timestamp};

/// The expression that `object` is: a class by number, or text.
pub(super) fn expression(object: &Bound<'_, PyAny>) -> PyResult<Expression> {
    if object.is_instance_of::<PyInt>() {
        return Ok(presence::class(object.extract::<u16>()?));
    }
    let text: String = object.extract()?;
    text.parse().map_err(|why: presence::ExpressionError| invalid(object.py(), why))
}

pub(super) fn micros(
    py: Python<'_>,
    start: Option<&Bound<'_, PyAny>>,
    end: Option<&Bound<'_, PyAny>>,
    closed: &str,
) -> PyResult<Range> {
    range(py, start, end, closed, TimeUnit::Us)
}

pub(super) fn moment_us(t: &Bound<'_, PyAny>) -> PyResult<i64> {
    timestamp(t, TimeUnit::Us, Round::Down)
}

/// An array of records whose fields are all of eight bytes.
pub(super) fn table<'py>(
    py: Python<'py>,
    cells: Vec<i64>,
    fields: &[(&str, &str)],
) -> PyResult<Bound<'py, PyAny>> {
    numbers(py, cells)?.call_method1("view", (fields.to_vec(),))
}

/// Nobody writes to a result.
fn read_only<'py, T: numpy::Element>(array: &Bound<'py, PyArray1<T>>) -> PyResult<()> {
    let named = PyDict::new(array.py());
    named.set_item("write", false)?;
    array.call_method("setflags", (), Some(&named)).map(|_| ())
}

pub(super) fn numbers<'py, T: numpy::Element>(
    py: Python<'py>,
    values: Vec<T>,
) -> PyResult<Bound<'py, PyArray1<T>>> {
    let array = PyArray1::from_vec(py, values);
    read_only(&array)?;
    Ok(array)
}
