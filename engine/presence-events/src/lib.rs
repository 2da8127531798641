//! Event cameras: recordings of many formats as batches of events in columns, and back.
//!
//! Sans-io: a [`Decoder`] takes bytes, cut anywhere, and appends events to an [`Output`]. It knows
//! no files and no storage. [`AutoDecoder`] finds the format by content; a [`Recording`] reads any
//! format where it lies, HDF5 too, which cannot be read from front to back.
//!
//! ```
//! use presence_events::{AutoDecoder, Decoder, Options, Output};
//!
//! let text = b"0.000001000 3 4 1\n0.000002000 5 6 0\n";
//! let mut decoder = AutoDecoder::new(Options::default());
//! let mut out = Output::default();
//! decoder.decode_all(text, &mut out)?;
//! assert_eq!(out.events.t(), [1, 2]);
//! assert_eq!(out.events.polarity(), [1, 0]);
//! assert_eq!(decoder.report().events, 2);
//! # Ok::<(), presence_events::EventError>(())
//! ```
//!
//! # Invariants
//! - No bytes make this crate panic, and its memory is bounded whatever they are.
//! - Nothing is guessed: formats are found by content, sizes of sensors and units of time stand in
//!   the input or are declared.
//! - Timestamps are microseconds in `i64`, exact as the format has them.

#![forbid(unsafe_code)]

mod aedat;
mod batch;
mod bin40;
mod bits;
mod dat;
mod decoder;
mod detect;
mod encode;
mod error;
mod event_stream;
mod evt2;
mod evt21;
mod evt3;
pub mod filter;
mod hdf5;
mod header;
mod options;
mod output;
mod recording;
mod report;
pub mod represent;
mod slice;
mod text;
mod words;

pub use batch::{ColumnsMut, Event, EventBatch, SensorSize};
pub use decoder::{AutoDecoder, Decoder, decoder};
pub use detect::{Format, detect};
pub use encode::{
    ChunkCompression, EncodeOptions, Encoder, Hdf5Layout, PacketCompression, TextStyle, encoder,
};
pub use error::{EventError, EventErrorKind, Fault, Result};
pub use hdf5::ByteSource;
pub use options::{OnDamage, Options, TimeBase};
pub use output::{ColorEvent, Frame, ImuSample, Output, PixelFormat, Trigger};
pub use recording::Recording;
pub use report::Report;
pub use slice::{SliceBy, SlicePart, Slicer};
pub use text::{Column, TextOptions, TimeUnit};
