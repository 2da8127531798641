//! Recordings of event cameras as batches: events, and the streams that come beside them.
//!
//! # Invariants
//! - Batches of a role are sorted by time; events of equal times keep the order of the file.
//! - Memory is bounded by [`EventOptions::memory_bytes`], whatever the file's size.
//! - Nothing is lost silently: what is left out is in the [`EventReport`].

mod beside;
mod budget;
mod file;
mod import;
mod options;
mod reader;
mod reorder;
mod report;
mod role;

pub use file::{FileSource, Seen};
pub use import::{EventDescription, EventImport};
pub use options::EventOptions;
pub use report::EventReport;
pub use role::Role;

pub(crate) use options::ingest_error;
