//! Presence tracks: which class was seen when.
//!
//! # Invariants
//! - Every tick is present, absent or not observed, and the last two are never confused.
//! - Questions know no storage: they ask lanes (`source.rs`), which are snapshots.

mod bucket;
mod cursor;
mod expression;
mod grid;
mod interval;
mod kernels;
#[cfg(test)]
mod model;
mod parser;
mod program;
mod question;
mod rate;
mod ratio;
mod source;
mod step;
mod timestamps;
mod together;
mod zone;

pub use bucket::{Bucket, BucketRatio};
pub use expression::{ClassRef, Expression, ExpressionError, ExpressionErrorKind, class};
pub use grid::{Edge, Grid};
pub use interval::{Interval, IntervalOptions};
pub use rate::Rate;
pub use ratio::{Over, Presence, Ratio};
pub use together::CoOccurrence;
pub use zone::Zone;
