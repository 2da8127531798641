//! `presence._native`: the engine as Python sees it.
//!
//! # Invariants
//! - No logic that the engine lacks: arguments are read, the engine asked, results handed over.
//! - The interpreter is let go of in every call that reads, writes, decodes or waits.

#![forbid(unsafe_code)]

mod array;
mod arrow;
mod check;
mod database;
mod error;
mod events;
mod moment;
mod options;
mod prefetch;
mod process;
mod protocols;
mod record;
mod samples;
mod schema;
mod stream;
mod tables;
mod tool;
mod track;
mod tracker;
mod watch;
mod window;
mod writer;

use pyo3::prelude::*;

/// The engine's classes and functions; the package `presence` gives them their names.
#[pymodule(gil_used = false)]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_class::<database::Database>()?;
    module.add_class::<record::Record>()?;
    module.add_class::<samples::Samples>()?;
    module.add_class::<stream::Stream>()?;
    module.add_class::<track::PresenceTrack>()?;
    module.add_class::<track::Ratio>()?;
    module.add_class::<tracker::PresenceTracker>()?;
    events::register(module)?;
    prefetch::register(module)?;
    module.add_class::<window::Block>()?;
    module.add_class::<window::Window>()?;
    module.add_class::<writer::StreamWriter>()?;
    module.add_function(wrap_pyfunction!(database::open, module)?)?;
    module.add_function(wrap_pyfunction!(database::create, module)?)?;
    module.add_function(wrap_pyfunction!(check::fsck_json, module)?)?;
    module.add_function(wrap_pyfunction!(tool::run_tool, module)?)?;
    module.add_function(wrap_pyfunction!(moment::_span_ns, module)?)?;
    module.add_function(wrap_pyfunction!(process::_forked, module)?)?;
    Ok(())
}
