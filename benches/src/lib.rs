//! Benchmarks of presence: every number beside a bare reference measured in the same run.
//!
//! `cargo bench -p presence-bench --bench ratios` prints the table of `docs/performance.md`;
//! `-- --json` prints it as JSON, `-- --only at,window` runs some workloads, and `-- --test` runs
//! everything once on little data, as CI does.
//!
//! # Invariants
//! - A workload and its reference take turns, and ratios are medians over the turns: what else the
//!   machine does hits both.
//! - Nothing here asserts a time; a wrong answer is an error.

pub mod append;
pub mod at;
pub mod data;
pub mod durable;
pub mod joints;
pub mod measure;
pub mod memory;
pub mod opening;
pub mod report;
pub mod scan;
pub mod setup;
pub mod tracks;
pub mod window;

/// What a benchmark fails with.
pub type Error = Box<dyn std::error::Error + Send + Sync>;
/// Result of a benchmark.
pub type Result<T> = std::result::Result<T, Error>;
