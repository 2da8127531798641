//! The database: what is on disk, what is loaded, and everything that changes it as a whole.
//!
//! # Invariants
//! - The directory of segments is all there is: no second log, no manifest. What a database holds
//!   follows from its segments' headers, catalogs and blocks.

pub(crate) mod backup;
pub(crate) mod compaction;
pub(crate) mod core;
pub(crate) mod database;
pub(crate) mod gate;
pub(crate) mod live;
pub(crate) mod load;
#[cfg(all(test, loom))]
mod models;
pub(crate) mod recovery;
pub(crate) mod report;
pub(crate) mod retention;
pub(crate) mod stats;
pub(crate) mod stream_state;
