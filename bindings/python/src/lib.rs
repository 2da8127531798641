//! `presence._native`: the engine as Python sees it.
//!
//! # Invariants
//! - No logic that the engine lacks: arguments are read, the engine asked, results handed over.
//! - The interpreter is let go of in every call that reads, writes, decodes or waits.

#![forbid(unsafe_code)]

mod error;
mod events;
mod prefetch;
mod tracker;

use pyo3::prelude::*;

/// The engine's classes and functions; the package `presence` gives them their names.
#[pymodule(gil_used = false)]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_class::<tracker::PresenceTracker>()?;
    events::register(module)?;
    prefetch::register(module)?;
    Ok(())
}
