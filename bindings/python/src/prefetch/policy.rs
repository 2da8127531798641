//! Eviction policies: the engine's under the names that are known, and those written in Python.
//!
//! # Invariants
//! - The least likely goes first; a policy is asked about those that are equally likely.
//! - A policy written in Python that raises, or names a key that may not go, does not hinder the
//!   cache: the oldest goes.

use std::collections::BTreeMap;
use std::sync::Arc;

use presence_cache::Builder;
use presence_cache::policy::{
    EntryId, EvictionPolicy, Largest, LowestLikelihood, Oldest, Resident, Residents, Smallest,
};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::provider::{ARRIVING, PyProvider};
use super::shared::{Flag, Shared, Value, attached};

/// Which policy it is.
pub(super) enum Chosen {
    Oldest,
    Largest,
    Smallest,
    Python(Py<PyAny>),
}

impl Chosen {
    /// By the name of one that is known, or an object that picks.
    pub(super) fn of(policy: &Bound<'_, PyAny>) -> PyResult<Self> {
        Ok(match policy.extract::<&str>() {
            Ok("oldest") => Self::Oldest,
            Ok("largest") => Self::Largest,
            Ok("smallest") => Self::Smallest,
            _ => Self::Python(policy.getattr("pick_victim")?.unbind()),
        })
    }

    pub(super) fn is_python(&self) -> bool {
        matches!(self, Self::Python(_))
    }

    pub(super) fn into_builder(
        self,
        builder: Builder<i64, PyProvider>,
        entry: Py<PyAny>,
        shared: &Arc<Shared>,
    ) -> Builder<i64, PyProvider> {
        match self {
            Self::Oldest => builder.policy(LowestLikelihood::new(Oldest::new())),
            Self::Largest => builder.policy(LowestLikelihood::new(Largest::new())),
            Self::Smallest => builder.policy(LowestLikelihood::new(Smallest::new())),
            Self::Python(pick) => {
                let (shared, held) = (Arc::clone(shared), BTreeMap::new());
                builder.policy(LowestLikelihood::new(PyPolicy { pick, entry, held, shared }))
            }
        }
    }
}

/// A policy written in Python.
struct PyPolicy {
    pick: Py<PyAny>,
    /// Makes a `CacheEntry` of data and a time.
    entry: Py<PyAny>,
    held: BTreeMap<EntryId, (i64, Value)>,
    shared: Arc<Shared>,
}

impl PyPolicy {
    fn ask(&self, py: Python<'_>, residents: &dyn Residents) -> PyResult<Option<EntryId>> {
        let (contents, scores) = (PyDict::new(py), PyDict::new(py));
        let mut ids = BTreeMap::new();
        for (&id, (key, value)) in &self.held {
            let Some(resident) = residents.get(id).filter(|_| residents.may_go(id)) else {
                continue;
            };
            contents.set_item(key, self.entry.call1(py, (&value.data, value.loaded))?)?;
            scores.set_item(key, resident.likelihood)?;
            ids.insert(*key, id);
        }
        match ids.len() {
            0 => return Ok(None),
            1 => return Ok(ids.into_values().next()),
            _ => {}
        }
        let picked: i64 = self.pick.call1(py, (contents, scores))?.extract(py)?;
        let id = ids.get(&picked).copied();
        let missing = || pyo3::exceptions::PyKeyError::new_err(picked);
        id.ok_or_else(missing).map(Some)
    }
}

impl EvictionPolicy for PyPolicy {
    fn inserted(&mut self, entry: &Resident) {
        // The cache asked for the bytes of what comes in just before, on this thread.
        if let Some(arrived) = ARRIVING.take() {
            self.held.insert(entry.id, arrived);
        }
    }

    fn removed(&mut self, entry: &Resident, _: bool) {
        self.held.remove(&entry.id);
    }

    fn victim(&mut self, residents: &dyn Residents) -> Option<EntryId> {
        let _evicting = Flag::evicting();
        let victim = attached(|py| match self.ask(py, residents) {
            Ok(victim) => victim,
            Err(error) => {
                self.shared.fail(py, error);
                self.held.keys().copied().find(|&id| residents.may_go(id))
            }
        });
        victim.flatten()
    }
}
