//! What the command-line tools share: how they end, write, measure and escape. Internal to them:
//! nothing here is meant for other packages, and anything may change.
//!
//! # Invariants
//! - Knows no command and opens no database.

#![forbid(unsafe_code)]

pub mod element;
pub mod failure;
pub mod interrupt;
pub mod memory;
pub mod moment;
pub mod output;
pub mod progress;
pub mod quantity;
pub mod table;
pub mod terminal;
