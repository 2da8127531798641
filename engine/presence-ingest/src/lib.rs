//! Files people have, as a described stream and batches of records sorted in time.
//!
//! [`Import::open`] takes a file, a pipe or any reader that holds CSV with a header, MOT challenge
//! text or KITTI tracking labels. It reads the input once to learn its schema and whether its
//! records are in order, and then hands out [`Batch`](presence_format::Batch)es. [`Opened::open`]
//! finds out whether the input is one of these or a recording of an event camera, which is decoded
//! by `presence-events` on a thread of its own ([`EventImport`]).
//!
//! ```
//! use presence_ingest::{Import, Options, Source};
//!
//! let text: &[u8] = b"time_us,x\n10,0.5\n20,1.5\nbad,2\n";
//! let mut import = Import::open(Source::reader("demo", text), Options::default())?;
//! assert_eq!(import.description().schema.columns()[0].name(), "x");
//! let mut records = 0;
//! while let Some(batch) = import.next_batch()? {
//!     records += batch.len();
//! }
//! assert_eq!(records, 2);
//! assert_eq!(import.report().skipped[0].line, 4);
//! # Ok::<(), presence_ingest::IngestError>(())
//! ```
//!
//! [`MotFile`] reads single frames of MOT text when they are asked for: a source for the
//! prefetching cache of `presence-cache`.
//!
//! # Invariants
//! - Memory is bounded by [`Options::memory_bytes`] and a few caps, whatever the input.
//! - No input makes this crate panic: a malformed line is skipped and reported, or, with
//!   [`Options::strict`], an error.
//! - Batches are sorted by time; records of equal times keep the order of the file.
//! - It knows nothing of the storage engine: schemas and batches are types of `presence-format`.

#![forbid(unsafe_code)]

mod classes;
mod context;
mod csv;
mod datetime;
mod decimal;
mod detect;
mod error;
mod events;
mod fault;
mod frames;
mod import;
mod kitti;
mod lines;
mod merge;
mod mot;
#[cfg(any(unix, windows))]
mod mot_file;
mod mot_frame;
mod number;
mod opened;
mod options;
mod parser;
mod progress;
mod report;
mod rows;
mod sort;
mod source;

pub use detect::detect;
pub use error::{IngestError, IngestErrorKind, Result};
pub use events::{
    EventDescription, EventImport, EventOptions, EventReport, FileSource, Role, Seen,
};
pub use frames::Frames;
pub use import::{Description, Import};
#[cfg(any(unix, windows))]
pub use mot_file::MotFile;
pub use mot_frame::{MotDetection, MotFrame};
pub use opened::{InputFormat, Opened};
pub use options::{Format, Options, TimeScale};
pub use presence_format::Rate;
pub use progress::{Phase, Progress};
pub use report::{Report, Skipped};
pub use source::Source;
