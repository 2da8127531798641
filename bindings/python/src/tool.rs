//! The command-line tool, for `python -m presence`.
//!
//! # Invariants
//! - It is the same program: nothing of it is written twice.

use std::ffi::OsString;

use pyo3::prelude::*;

/// Runs `presence` with these arguments, the first of which is its name; returns its exit code.
/// `started_by` are the words that start it again.
#[pyfunction]
pub(crate) fn run_tool(py: Python<'_>, arguments: Vec<OsString>, started_by: Vec<OsString>) -> u8 {
    py.detach(|| presence_cli::tool::run(arguments, Some(started_by)))
}
