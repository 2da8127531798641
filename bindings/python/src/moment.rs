//! Times as Python writes them: integers, datetimes, numpy's, and text.
//!
//! # Invariants
//! - Exact: nothing passes through floating point, and a float is refused.
//! - A bare integer is in the stream's unit. A datetime without a zone is in UTC.

use std::ops::Bound as End;

use presence::TimeUnit;
use presence_cli::moment::{Moment, Span};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBool, PyFloat, PyInt, PyString};

use crate::error::invalid;

/// A range of time.
pub(crate) type Range = (End<i64>, End<i64>);

/// How a time between two timestamps becomes one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Round {
    Down,
    Up,
}

/// A function of `presence._times`.
fn helper<'py>(py: Python<'py>) -> PyResult<&'py Bound<'py, PyAny>> {
    static NANOS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    NANOS.import(py, "presence._times", "nanos")
}

/// The time that `object` is.
fn moment(object: &Bound<'_, PyAny>) -> PyResult<Moment> {
    let py = object.py();
    if object.is_exact_instance_of::<PyInt>() {
        return object.extract().map(Moment::Raw);
    }
    if let Ok(text) = object.cast::<PyString>() {
        return text.to_str()?.parse().map_err(|why: String| invalid(py, why));
    }
    let wrong = object.is_instance_of::<PyBool>() || object.is_instance_of::<PyFloat>();
    if !wrong && let Ok(ts) = object.extract::<i64>() {
        return Ok(Moment::Raw(ts));
    }
    let nanos = helper(py)?.call1((object,))?;
    if nanos.is_none() {
        let what = "a time is an integer in the stream's unit, a datetime, a timedelta, one of \
                    numpy's, or text like '5s'";
        let given = object.get_type().name()?;
        return Err(PyTypeError::new_err(format!("{what}, not {given}")));
    }
    nanos.extract().map(Moment::Nanos)
}

/// The timestamp that `object` is.
pub(crate) fn timestamp(object: &Bound<'_, PyAny>, unit: TimeUnit, round: Round) -> PyResult<i64> {
    if object.is_exact_instance_of::<PyInt>() {
        return object.extract();
    }
    let moment = moment(object)?;
    let ts = match round {
        Round::Down => moment.floor(unit),
        Round::Up => moment.ceil(unit),
    };
    ts.map_err(|why| invalid(object.py(), why))
}

/// The range from `start` to `end`, with the ends in it that `closed` says.
pub(crate) fn range(
    py: Python<'_>,
    start: Option<&Bound<'_, PyAny>>,
    end: Option<&Bound<'_, PyAny>>,
    closed: &str,
    unit: TimeUnit,
) -> PyResult<Range> {
    let (left, right) = match closed {
        "left" => (true, false),
        "right" => (false, true),
        "both" => (true, true),
        "neither" => (false, false),
        other => {
            let what = "closed is 'left', 'right', 'both' or 'neither'";
            return Err(invalid(py, format!("{what}, not {other:?}")));
        }
    };
    let bound = |given: Option<&Bound<'_, PyAny>>, inside: bool, round: Round| match given {
        None => Ok(End::Unbounded),
        Some(object) => timestamp(object, unit, round)
            .map(|ts| if inside { End::Included(ts) } else { End::Excluded(ts) }),
    };
    // A time between two timestamps: the first one that is in, or out.
    let start = bound(start, left, if left { Round::Up } else { Round::Down })?;
    let end = bound(end, right, if right { Round::Down } else { Round::Up })?;
    Ok((start, end))
}

/// A span of time in units of `unit`, at least zero.
pub(crate) fn span(object: &Bound<'_, PyAny>, unit: TimeUnit) -> PyResult<u64> {
    let py = object.py();
    if let Ok(text) = object.cast::<PyString>() {
        let span: Span = text.to_str()?.parse().map_err(|why: String| invalid(py, why))?;
        return Ok(span.units(unit));
    }
    let units = timestamp(object, unit, Round::Down)?;
    u64::try_from(units).map_err(|_| invalid(py, format!("a span of time of {units}")))
}

/// A span of time in nanoseconds, as an integer is; for the package's own modules.
#[pyfunction]
pub(crate) fn _span_ns(span: &Bound<'_, PyAny>) -> PyResult<u64> {
    self::span(span, TimeUnit::Ns)
}

/// A span of time; an integer is microseconds.
pub(crate) fn duration(object: &Bound<'_, PyAny>) -> PyResult<std::time::Duration> {
    let py = object.py();
    if let Ok(seconds) = object.cast::<PyFloat>() {
        return std::time::Duration::try_from_secs_f64(seconds.extract()?)
            .map_err(|why| invalid(py, why));
    }
    if object.is_exact_instance_of::<PyInt>() {
        return Ok(std::time::Duration::from_micros(span(object, TimeUnit::Us)?));
    }
    Ok(std::time::Duration::from_nanos(span(object, TimeUnit::Ns)?))
}
