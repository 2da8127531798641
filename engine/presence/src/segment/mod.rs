//! Segment files: read, written, scanned.
//!
//! # Invariants
//! - Knows entries and files; knows nothing of streams' views, threads or queries.

mod ahead;
pub(crate) mod file;
pub(crate) mod scan;
mod scanned;
mod window;
pub(crate) mod writer;

pub(crate) use file::{BlockPayload, SegmentFile, segment_name, segment_number};
pub use scan::Damage;
pub(crate) use scan::Scanner;
pub(crate) use scanned::{Piece, ScannedStream};
pub(crate) use writer::{BlockParts, End, RegionParts, SegmentWriter};
