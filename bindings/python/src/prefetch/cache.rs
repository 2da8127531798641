//! The cache as Python holds it.
//!
//! # Invariants
//! - A hit copies nothing and lets go of nothing; every other call lets go of the interpreter.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use presence_cache::{Event, LoadError, PrefetchCache as Engine};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::policy::Chosen;
use super::predictor::with_predictor;
use super::provider::{Failure, PyProvider};
use super::shared::{Flag, Held, Shared, Value, attached, is_evicting, lock};
use crate::error::raise;

/// The engine's cache in front of a provider written in Python.
#[pyclass(frozen, subclass, weakref, module = "presence._native")]
pub(super) struct PrefetchCache {
    engine: Engine<i64, Value, PyProvider>,
    shared: Arc<Shared>,
}

/// Tells the listener of an event.
fn tell(shared: &Weak<Shared>, event: &Event<i64>) {
    let Some(shared) = shared.upgrade() else { return };
    let Some(listener) = &shared.listener else { return };
    attached(|py| {
        let kwargs = PyDict::new(py);
        let error = match event {
            Event::CacheLoadError(_, error) | Event::PrefetchError(_, error) => Some(error),
            Event::WorkerError(error) => Some(error),
            _ => None,
        };
        let told = event
            .key()
            .map_or(Ok(()), |key| kwargs.set_item("key", *key))
            .and_then(|()| error.map_or(Ok(()), |error| kwargs.set_item("error", &**error)))
            .and_then(|()| listener.call(py, (event.name(),), Some(&kwargs)).map(drop));
        if let Err(error) = told {
            error.write_unraisable(py, Some(listener.bind(py)));
        }
    });
}

impl PrefetchCache {
    /// That this thread may take the cache's locks.
    fn enter(&self, py: Python<'_>) -> PyResult<Flag> {
        if is_evicting() {
            let text = "an eviction policy runs under the cache's lock and cannot ask the cache";
            return Err(raise(py, "StateError", text));
        }
        Ok(Flag::asking())
    }

    fn answer(py: Python<'_>, found: Result<Value, LoadError<Failure>>) -> PyResult<Py<PyAny>> {
        match found {
            Ok(held) => Ok(held.data.clone_ref(py)),
            Err(LoadError::Provider(failure)) => Err(failure.error.clone_ref(py)),
            Err(LoadError::Panicked(message)) => Err(PyRuntimeError::new_err(message.to_string())),
            Err(LoadError::Recursive) => {
                Err(PyRuntimeError::new_err("the load of a key asked for that key"))
            }
        }
    }

    /// What is not here, loaded by this thread or waited for.
    fn missing(&self, key: i64) -> Result<Value, LoadError<Failure>> {
        self.shared.hurry();
        match self.engine.get(&key) {
            // A prefetch failed before: that is no answer to one who asks now.
            Err(LoadError::Provider(failure)) if failure.ahead => {
                self.shared.again.fetch_add(1, Ordering::Relaxed);
                self.engine.get(&key)
            }
            answer => answer,
        }
    }
}

#[pymethods]
impl PrefetchCache {
    #[new]
    #[pyo3(signature = (*, provider, predictor, policy, entry, keys_max, bytes_max, prefetch_max,
        history_max, workers, delay_ms, listener))]
    #[expect(clippy::too_many_arguments, reason = "named by the Python class that calls this")]
    fn new(
        provider: &Bound<'_, PyAny>,
        predictor: &Bound<'_, PyAny>,
        policy: &Bound<'_, PyAny>,
        entry: Py<PyAny>,
        keys_max: usize,
        bytes_max: Option<u64>,
        prefetch_max: usize,
        history_max: usize,
        workers: usize,
        delay_ms: f64,
        listener: Option<Py<PyAny>>,
    ) -> PyResult<Self> {
        let py = provider.py();
        let delay = Duration::try_from_secs_f64(delay_ms / 1000.0)
            .map_err(|_| crate::error::invalid(py, "prefetch_delay_ms is no time to wait"))?;
        let shared = Arc::new(Shared::new(history_max, listener));
        let policy = Chosen::of(policy)?;
        let provider = PyProvider::new(provider, delay, policy.is_python(), Arc::clone(&shared))?;
        let builder = Engine::<i64, Value, PyProvider>::builder(provider)
            .bytes_max(bytes_max.unwrap_or(u64::MAX))
            .entries_max(keys_max)
            .prefetch_max(prefetch_max)
            .history_max(history_max)
            .workers(workers);
        let builder = with_predictor(builder, predictor, &shared)?;
        let mut builder = policy.into_builder(builder, entry, &shared);
        if shared.listener.is_some() {
            let weak = Arc::downgrade(&shared);
            builder = builder.on_event(move |event| tell(&weak, event));
        }
        let engine = py.detach(|| builder.build());
        Ok(Self { engine, shared })
    }

    /// The value of ``key``, from the cache or from the provider, whose exceptions are passed on;
    /// those of the predictor and of the policy, too, by the next call after they were raised.
    fn get(&self, py: Python<'_>, key: i64) -> PyResult<Py<PyAny>> {
        self.shared.check()?;
        self.shared.step(key);
        if let Some(held) = self.engine.get_if_here(&key) {
            return Ok(held.data.clone_ref(py));
        }
        let _asking = self.enter(py)?;
        let found = py.detach(|| self.missing(key));
        let answer = Self::answer(py, found)?;
        self.shared.check()?;
        Ok(answer)
    }

    /// The values of all ``keys``, in their order; what is missing is loaded at once by this
    /// thread and the workers together. The first exception is raised.
    fn get_many(&self, py: Python<'_>, keys: Vec<i64>) -> PyResult<Vec<Py<PyAny>>> {
        self.shared.check()?;
        let _asking = self.enter(py)?;
        let found = py.detach(|| {
            keys.iter().for_each(|&key| self.shared.step(key));
            self.shared.hurry();
            self.engine.get_many(&keys)
        });
        let answers: PyResult<Vec<_>> =
            found.into_iter().map(|found| Self::answer(py, found)).collect();
        if answers.is_ok() {
            self.shared.check()?;
        }
        answers
    }

    /// Forgets the value of ``key``: who asks from now on gets a newer one.
    fn invalidate(&self, py: Python<'_>, key: i64) -> PyResult<()> {
        let _asking = self.enter(py)?;
        py.detach(|| self.engine.invalidate(&key));
        Ok(())
    }

    /// Says that these keys are worth fetching now. How many of them found room in the queue.
    fn prefetch_hint(&self, py: Python<'_>, keys: Vec<i64>) -> PyResult<usize> {
        let _asking = self.enter(py)?;
        Ok(py.detach(|| self.engine.prefetch_hint(keys)))
    }

    /// What the cache has counted, and how it is.
    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let _asking = self.enter(py)?;
        let stats = py.detach(|| self.engine.stats());
        let told = PyDict::new(py);
        told.set_item("hits", stats.hits)?;
        let again = self.shared.again.load(Ordering::Relaxed);
        told.set_item("misses", stats.misses.saturating_sub(again))?;
        told.set_item("evictions", stats.evictions)?;
        told.set_item("prefetch_errors", stats.prefetch_errors)?;
        told.set_item("cache_keys", stats.entries)?;
        told.set_item("active_prefetch_tasks", stats.prefetches_waiting)?;
        told.set_item("loads", stats.loads)?;
        told.set_item("bytes", stats.bytes)?;
        told.set_item("prefetches", stats.prefetches_started)?;
        told.set_item("prefetches_useful", stats.prefetches_useful)?;
        told.set_item("prefetches_late", stats.prefetches_late)?;
        told.set_item("prefetches_wasted", stats.prefetches_wasted)?;
        Ok(told)
    }

    /// Ends prefetching, at once; ``get`` works as before.
    fn close(&self, py: Python<'_>) {
        py.detach(|| {
            self.shared.close();
            self.engine.close();
        });
    }

    /// Waits until nothing is left to fetch ahead: for tests, and tools that show a state.
    fn wait_idle(&self, py: Python<'_>) -> PyResult<()> {
        let _asking = self.enter(py)?;
        py.detach(|| self.engine.wait_idle());
        Ok(())
    }

    /// The keys asked for lately, the newest at the end.
    #[getter]
    fn history(&self) -> Vec<i64> {
        lock(&self.shared.trail).history.iter().copied().collect()
    }

    /// The key asked for last.
    #[getter]
    fn current_key(&self) -> Option<i64> {
        lock(&self.shared.trail).current
    }

    /// Keys, values and times of loading, in the order in which they were loaded.
    fn _contents(&self, py: Python<'_>) -> PyResult<Vec<(i64, Py<PyAny>, f64)>> {
        let _asking = self.enter(py)?;
        let mut held: Vec<(i64, Arc<Held>)> = py.detach(|| {
            let keys = self.engine.keys().into_iter();
            keys.filter_map(|key| Some((key, self.engine.peek(&key)?))).collect()
        });
        held.sort_by(|(_, a), (_, b)| a.loaded.total_cmp(&b.loaded));
        Ok(held.iter().map(|(key, held)| (*key, held.data.clone_ref(py), held.loaded)).collect())
    }

    /// The keys that wait to be fetched ahead, each with its likelihood.
    fn _waiting(&self, py: Python<'_>) -> Vec<(i64, f64)> {
        py.detach(|| self.engine.prefetches_waiting())
    }
}
