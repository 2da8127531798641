//! The tool as its users run it: arguments in, text and exit codes out.
//!
//! # Invariants
//! - The real program runs, in a directory of its own.

#![cfg(test)]

mod answers;
mod backups;
mod demo;
mod dump;
mod endings;
mod events;
mod exports;
mod failures;
mod fsck;
mod imports;
mod kills;
mod recordings;
mod scrubs;
mod support;
mod tracks;
