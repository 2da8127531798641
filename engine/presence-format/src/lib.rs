//! The bytes of a presence database: types, layouts, codecs and checks.
//!
//! Bytes go in, types come out, and the other way round. `format-spec/` in the repository holds
//! the normative text; `cargo xtask spec` compares its field tables with [`layout`].
//!
//! # Invariants
//! - No I/O, no clock, no thread, no `unsafe`, no panic on any input.
//! - Nothing is allocated that the length of the input, or a cap of [`caps`], does not bound.
//! - Everything is little-endian, and every structure on disk has a fixed, padding-free layout.

#![forbid(unsafe_code)]

pub mod batch;
pub mod block;
pub mod caps;
pub mod catalog;
pub mod checksum;
pub mod codec;
pub mod dtype;
pub mod entry;
pub mod error;
pub mod frame;
pub mod index;
pub mod layout;
pub mod plane;
pub mod rate;
pub mod schema;
pub mod segment;
pub mod varint;
pub mod zeros;

pub use batch::{Batch, ColumnData};
pub use dtype::{DType, Scalar};
pub use error::{FormatError, FormatErrorKind};
pub use plane::{Plane, PlaneKind};
pub use rate::Rate;
pub use schema::{Column, Compression, Order, Schema, TimeUnit};
