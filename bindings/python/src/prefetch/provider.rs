//! Providers written in Python.
//!
//! # Invariants
//! - Keys that the provider says it does not have are not fetched ahead; who asks for one is
//!   answered by the provider all the same.

use std::cell::Cell;
use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use presence_cache::Provider;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

use super::shared::{Held, Shared, Value, attached, is_asking, lock};

thread_local! {
    /// The key and value whose bytes this thread was asked for last: those that come in next.
    pub(super) static ARRIVING: Cell<Option<(i64, Value)>> = const { Cell::new(None) };
}

/// Why a load failed.
pub(super) struct Failure {
    pub(super) error: PyErr,
    /// It was one that nobody had asked for.
    pub(super) ahead: bool,
}

pub(super) struct PyProvider {
    load: Py<PyAny>,
    /// Says which keys there are, if anything does.
    available: Option<Py<PyAny>>,
    keys: Mutex<Option<Arc<HashSet<i64>>>>,
    monotonic: Py<PyAny>,
    getsizeof: Py<PyAny>,
    delay: Duration,
    /// Whether the policy is one that has to know keys.
    names_keys: bool,
    shared: Arc<Shared>,
}

impl PyProvider {
    pub(super) fn new(
        provider: &Bound<'_, PyAny>,
        delay: Duration,
        names_keys: bool,
        shared: Arc<Shared>,
    ) -> PyResult<Self> {
        let py = provider.py();
        Ok(Self {
            load: provider.getattr("load")?.unbind(),
            available: provider.getattr_opt("get_available_frames")?.map(Bound::unbind),
            keys: Mutex::new(None),
            monotonic: py.import("time")?.getattr("monotonic")?.unbind(),
            getsizeof: py.import("sys")?.getattr("getsizeof")?.unbind(),
            delay,
            names_keys,
            shared,
        })
    }

    fn call(&self, py: Python<'_>, key: i64) -> PyResult<Value> {
        let data = self.load.call1(py, (key,))?;
        let loaded = self.monotonic.call0(py)?.extract(py)?;
        // An object whose size cannot be told counts for nothing.
        let bytes = self.getsizeof.call1(py, (&data, 0))?.extract(py).unwrap_or(0);
        Ok(Arc::new(Held { data, loaded, bytes }))
    }

    /// The keys there are, asked for once; `None` where nobody says.
    fn known(&self) -> Option<Arc<HashSet<i64>>> {
        let available = self.available.as_ref()?;
        if let Some(keys) = lock(&self.keys).clone() {
            return Some(keys);
        }
        let keys = attached(|py| {
            let keys = available.call0(py).and_then(|keys| {
                keys.bind(py).try_iter()?.map(|key| key?.extract::<i64>()).collect::<PyResult<_>>()
            });
            keys.map_err(|error| self.shared.fail(py, error)).ok()
        });
        let keys = Arc::new(keys.flatten()?);
        *lock(&self.keys) = Some(Arc::clone(&keys));
        Some(keys)
    }

    /// Forgets which keys there are where `key` turned out to be one that was not among them.
    fn learn(&self, key: i64) {
        let mut keys = lock(&self.keys);
        if keys.as_ref().is_some_and(|keys| !keys.is_empty() && !keys.contains(&key)) {
            *keys = None;
        }
    }
}

impl Provider<i64, Value> for PyProvider {
    type Error = Failure;

    fn load(&self, key: &i64) -> Result<Value, Failure> {
        let ahead = !is_asking();
        if ahead && !self.delay.is_zero() {
            self.shared.delay(self.delay);
        }
        let loaded = attached(|py| self.call(py, *key));
        let ended = || Err(PyRuntimeError::new_err("the interpreter has ended"));
        let value = loaded.unwrap_or_else(ended).map_err(|error| Failure { error, ahead })?;
        self.learn(*key);
        Ok(value)
    }

    fn contains(&self, key: &i64) -> bool {
        // A provider that names no keys at all does not know them.
        self.known().is_none_or(|keys| keys.is_empty() || keys.contains(key))
    }

    fn bytes(&self, key: &i64, value: &Value) -> u64 {
        if self.names_keys {
            ARRIVING.set(Some((*key, Arc::clone(value))));
        }
        value.bytes
    }

    fn describe(&self, failure: &Failure) -> String {
        attached(|py| failure.error.value(py).to_string()).unwrap_or_default()
    }
}
