//! Frames behind a prefetching cache: where they come from, how they are jumped through, and what
//! the cache makes of it.
//!
//! # Invariants
//! - What is measured is one reader on one thread: the cache's workers are beside it.

pub(crate) mod frames;
pub(crate) mod live;
pub(crate) mod pattern;
pub(crate) mod replay;
pub(crate) mod strip;
