//! Segment files: read, written, scanned.
//!
//! # Invariants
//! - Knows entries and files; knows nothing of streams' views, threads or queries.

pub(crate) mod file;
pub(crate) mod scan;
pub(crate) mod writer;

pub(crate) use file::{SegmentFile, segment_name, segment_number};
pub use scan::Damage;
pub(crate) use scan::{Piece, ScannedStream, Scanner};
pub(crate) use writer::{BlockParts, End, SegmentWriter};
