//! Which process this is: a forked one is another.
//!
//! # Invariants
//! - Python tells of every fork it makes, before anything else runs in the child.

use std::sync::atomic::{AtomicU64, Ordering};

use pyo3::prelude::*;

/// How often this process, and those it came from, were forked.
static FORKS: AtomicU64 = AtomicU64::new(0);

/// What changes with a fork.
pub(crate) fn generation() -> u64 {
    FORKS.load(Ordering::Relaxed)
}

/// In a process that was forked.
#[pyfunction]
pub(crate) fn _forked() {
    FORKS.fetch_add(1, Ordering::Relaxed);
}
