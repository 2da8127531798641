//! Reading: pages, the view that a reader holds, and the questions asked of it.
//!
//! # Invariants
//! - A view is immutable: what it answers never changes, whatever is appended, sealed, retained
//!   or compacted meanwhile.
//! - No lock is taken to find a record, nor a page that was looked at lately; other decoded pages
//!   are found in a cache whose readers share its locks.

pub(crate) mod cache;
pub(crate) mod ends;
pub(crate) mod gather;
pub(crate) mod lane;
pub(crate) mod page;
pub(crate) mod parts;
pub(crate) mod run;
pub(crate) mod search;
mod sieve;
pub(crate) mod slot;
pub(crate) mod stream;
pub(crate) mod typed;
pub(crate) mod view;
pub(crate) mod window;
pub(crate) mod within;
