//! Writing: the log, the threads behind it, and the writers of streams.
//!
//! # Invariants
//! - `append` takes no lock and makes no system call: it copies into the tail. A full block is
//!   frozen and left to the log, which is where locks and system calls begin.

pub(crate) mod background;
pub(crate) mod handover;
pub(crate) mod log;
mod planes;
pub(crate) mod recording;
pub(crate) mod stream_writer;
pub(crate) mod sync;
