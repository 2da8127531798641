//! An embedded time-series storage engine for machines that watch the world.
//!
//! One directory is one database. It holds *streams*: named sequences of records with one timestamp
//! each and a schema fixed at creation. One process writes, any number of threads and processes
//! read, at the same time.
//!
//! ```
//! use presence::{Database, Level, Options, schema_of};
//!
//! # let directory = tempfile::tempdir().unwrap();
//! # let path = directory.path().join("robot");
//! let db = Database::create(path, Options::default())?;
//! let joints = db.create_stream("arm/joints", schema_of::<[f32; 7]>()?)?;
//! let mut writer = joints.writer::<[f32; 7]>()?;
//! for tick in 0..1_000_i64 {
//!     writer.append(tick * 10_000, [tick as f32; 7])?; // microseconds
//! }
//! writer.flush(Level::Disk)?; // survives a power cut from here on
//!
//! let (ts, state) = joints.typed::<[f32; 7]>()?.at(1_234_567)?.unwrap();
//! assert_eq!((ts, state), (1_230_000, [123.0; 7]));
//! let window = joints.window(5_000_000..10_000_000)?; // five seconds, the end left out
//! assert_eq!(window.len(), 500);
//! # Ok::<(), presence::Error>(())
//! ```
//!
//! # Invariants
//! - No acknowledged record is lost: [`Level`] says what that means.
//! - Readers never wait for the writer, and never see half a record.
//! - No byte from disk is trusted before its checksum and bounds were checked.
//! - A failed write is final for its handle.
//!
//! # It is not
//! A server, a SQL engine, a replicated or encrypted store. Checksums find accidents, not forgers.

extern crate self as presence;

#[cfg(not(target_endian = "little"))]
compile_error!(
    "presence hands out mapped little-endian columns: big-endian hosts are not supported"
);

pub mod device;
mod error;
mod options;
mod read;
pub mod record;
mod segment;
mod shim;
mod store;
mod tail;
mod track;
mod write;

pub use presence_derive::Record;
pub use presence_format::schema::check_name;
pub use presence_format::segment::DatabaseId;
pub use presence_format::{
    Batch, Column, ColumnData, Compression, DType, FormatError, Order, Scalar, Schema, TimeUnit,
};

pub use error::{Affected, Error, Result};
pub use options::{Level, Options, Watermark};
pub use presence_cache::{Histogram, Stats as CacheStats};
pub use read::cache::PageCache;
pub use read::gather::Gathered;
pub use read::parts::{ByCount, ByTime};
pub use read::stream::{RecordRef, Records, Stream};
pub use read::typed::TypedStream;
pub use read::window::{Slice, Slices, Window, WindowOptions};
pub use read::within::{SlicesWithin, Within};
pub use record::{Record, Value, schema_of};
pub use store::backup::{Backup, BackupOptions, BackupStream};
pub use store::compaction::Compacted;
pub use store::database::Database;
pub use store::report::{Damage, RecoveryReport, Torn};
pub use store::retention::{Retained, Retention};
pub use store::stats::{SegmentStats, StreamStats, TrackStats};
pub use track::{
    Bucket, BucketRatio, Class, ClassRef, CoOccurrence, Config, Edge, Expression, ExpressionError,
    ExpressionErrorKind, Grid, Interval, IntervalOptions, Over, Presence, PresenceTrack,
    PresenceTracker, Rate, Ratio, Times, Zone, class,
};
pub use write::stream_writer::{ColumnWriter, StreamWriter};
