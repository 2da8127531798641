//! Long calls: their progress told, and Ctrl-C heard.
//!
//! # Invariants
//! - What a callback raises ends the call and is raised by it.

use std::time::{Duration, Instant};

use presence::Error;
use pyo3::prelude::*;

use crate::error::exception;

/// Time between two looks at signals, and two calls of the callback.
const BETWEEN: Duration = Duration::from_millis(50);

/// Looks after one long call.
pub(crate) struct Watch {
    progress: Option<Py<PyAny>>,
    told: Option<Instant>,
    raised: Option<PyErr>,
}

impl Watch {
    /// Tells `progress`, a callable of two numbers, where there is one; it may return `False` to
    /// end the call. `True` is a bar, `False` is nothing.
    pub(crate) fn new(py: Python<'_>, progress: Option<Py<PyAny>>) -> PyResult<Self> {
        let progress = match progress {
            Some(wish) => match wish.extract::<bool>(py) {
                Ok(true) => Some(py.import("presence._progress")?.call_method0("Bar")?.unbind()),
                Ok(false) => None,
                Err(_) => Some(wish),
            },
            None => None,
        };
        Ok(Self { progress, told: None, raised: None })
    }

    /// Whether the call goes on, of which `done` of `all` is done.
    pub(crate) fn tell(&mut self, done: u64, all: u64) -> bool {
        let is_end = done >= all;
        if !is_end && self.told.is_some_and(|told| told.elapsed() < BETWEEN) {
            return true;
        }
        self.told = Some(Instant::now());
        let goes_on = Python::attach(|py| {
            py.check_signals()?;
            let Some(progress) = &self.progress else { return Ok(true) };
            let answer = progress.call1(py, (done, all))?;
            Ok(!answer.bind(py).is(pyo3::types::PyBool::new(py, false)))
        });
        goes_on.unwrap_or_else(|error| {
            self.raised = Some(error);
            false
        })
    }

    /// What was raised meanwhile.
    pub(crate) fn raised(&mut self) -> Option<PyErr> {
        self.raised.take()
    }

    /// The call's result, or what was raised meanwhile.
    pub(crate) fn end<T>(mut self, py: Python<'_>, done: presence::Result<T>) -> PyResult<T> {
        match (self.raised(), done) {
            (Some(error), Err(Error::Interrupted { .. })) => Err(error),
            (_, done) => done.map_err(|error| exception(py, &error)),
        }
    }
}
