//! Presence tracks: which class was seen when.
//!
//! A track is a grid of ticks and a bitmap over them, a [plane](presence_format::plane), for each
//! class and for what was observed. Updates go into `pending` stripes, from there into containers
//! in memory (`hot`), and with the log into frames and regions on disk (`index`).
//!
//! # Invariants
//! - Every tick is present, absent or not observed, and the last two are never confused.
//! - Questions know no storage: they ask bitmaps (`source`), which are snapshots.

mod bucket;
mod cursor;
mod expression;
mod grid;
mod hot;
pub(crate) mod index;
mod interval;
mod kernels;
#[cfg(test)]
mod model;
#[cfg(all(test, loom))]
mod models;
mod opening;
mod parser;
pub(crate) mod pending;
pub(crate) mod plane;
mod presence_track;
mod program;
mod question;
mod ratio;
pub(crate) mod registry;
mod roaring;
mod source;
pub(crate) mod state;
mod step;
#[cfg(test)]
#[cfg(not(loom))]
mod tests;
mod timestamps;
mod together;
mod tracker;
mod zone;

pub use bucket::{Bucket, BucketRatio};
pub use expression::{ClassRef, Expression, ExpressionError, ExpressionErrorKind, class};
pub use grid::{Edge, Grid};
pub use interval::{Interval, IntervalOptions};
pub use presence_format::Rate;
pub use presence_track::{Class, PresenceTrack, Times};
pub use ratio::{Over, Presence, Ratio};
pub use together::CoOccurrence;
pub use tracker::{Config, PresenceTracker};
pub use zone::Zone;
