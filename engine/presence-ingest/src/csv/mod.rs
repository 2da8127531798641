//! CSV with a header: any delimiter, any time column, columns typed by their content.
//!
//! # Invariants
//! - Types are those the whole file supports, found by a first reading in memory that depends on
//!   the number of columns alone.
//! - A time is exact: it goes from text to the stream's unit without a binary float between.

mod header;
mod infer;
mod record;
mod time;

pub(crate) use header::guess_delimiter;
pub(crate) use infer::infer;
pub(crate) use record::CsvRecord;
