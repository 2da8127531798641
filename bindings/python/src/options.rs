//! Options of a database, by name.
//!
//! # Invariants
//! - A name that is none is an error, never ignored.

use presence::Options;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::moment::duration;

/// The options of a call.
pub(crate) fn options(named: Option<&Bound<'_, PyDict>>) -> PyResult<Options> {
    let mut options = Options::default();
    for (name, value) in named.into_iter().flat_map(|named| named.iter()) {
        match name.extract::<String>()?.as_str() {
            "block_bytes" => options.block_bytes = value.extract()?,
            "compacted_block_bytes" => options.compacted_block_bytes = value.extract()?,
            "segment_bytes" => options.segment_bytes = value.extract()?,
            "flush_interval" => options.flush_interval = duration(&value)?,
            "sync_interval" => options.sync_interval = duration(&value)?,
            "write_buffer_bytes" => options.write_buffer_bytes = value.extract()?,
            "cache_bytes" => options.cache_bytes = value.extract()?,
            "map" => options.map = value.extract()?,
            "allow_network_fs" => options.allow_network_fs = value.extract()?,
            "follow" => options.follow = value.extract()?,
            "background" => options.background = value.extract()?,
            other => {
                return Err(PyTypeError::new_err(format!("there is no option {other:?}")));
            }
        }
    }
    Ok(options)
}
