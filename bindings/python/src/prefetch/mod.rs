//! `presence.prefetch`: the names of a prefetching cache that many know, on the engine's.
//!
//! # Invariants
//! - No thread that holds the interpreter takes a lock under which Python may run: only eviction
//!   policies run under one, and a hit does not take it.
//! - What Python code raises comes to whoever asked, and never ends a worker.

mod cache;
mod mot;
mod policy;
mod predictor;
mod provider;
mod shared;

use pyo3::prelude::*;

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(shared::_end_prefetching, module)?)?;
    module.add_function(wrap_pyfunction!(shared::_forget_prefetching, module)?)?;
    module.add_class::<cache::PrefetchCache>()?;
    module.add_class::<mot::MotFile>()?;
    module.add_class::<predictor::DistanceDecayPredictor>()?;
    module.add_class::<predictor::DynamicDistanceDecayPredictor>()?;
    module.add_class::<predictor::DynamicDataPredictor>()
}
