//! `presence.fsck`: whether data is safe, and what is missing.
//!
//! # Invariants
//! - Nothing is changed where it reads, and no lock is taken.

use std::path::PathBuf;

use presence_fsck::{Level, Options};
use pyo3::prelude::*;

use crate::error::{invalid, raise};
use crate::watch::Watch;

/// The report on what lies at `path`, as JSON.
#[pyfunction]
#[pyo3(signature = (path, level, strict, progress))]
pub(crate) fn fsck_json(
    py: Python<'_>,
    path: PathBuf,
    level: &str,
    strict: bool,
    progress: Option<Py<PyAny>>,
) -> PyResult<String> {
    let mut options = Options::at(match level {
        "quick" => Level::Quick,
        "default" => Level::Default,
        "deep" => Level::Deep,
        other => {
            let text = format!("level is 'quick', 'default' or 'deep', not {other:?}");
            return Err(invalid(py, text));
        }
    });
    options.strict = strict;
    let mut watch = Watch::new(py, progress)?;
    let report =
        py.detach(|| presence_fsck::check(&path, &options, &mut |at| watch.tell(at.done, at.all)));
    if let Some(error) = watch.raised() {
        return Err(error);
    }
    let report = report.map_err(|error| {
        let class = if path.exists() { "NotADatabaseError" } else { "MissingError" };
        raise(py, class, error)
    })?;
    serde_json::to_string(&report).map_err(|error| invalid(py, error))
}
