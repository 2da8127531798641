//! What the command-line tools share: how they end, write, measure and escape. Internal to them:
//! nothing here is meant for other packages, and anything may change.
//!
//! The commands of `presence` are in it too, for whoever runs them without the program: [`tool`].
//!
//! # Invariants
//! - What the tools share knows no command and opens no database.

#![forbid(unsafe_code)]

extern crate self as presence_cli;

mod commands;
mod demo;
pub mod element;
mod export;
pub mod failure;
pub mod interrupt;
pub mod memory;
pub mod moment;
pub mod mot_database;
mod open;
pub mod output;
pub mod progress;
pub mod quantity;
mod question;
pub mod random;
mod report;
mod scrub;
mod session;
mod sightings;
pub mod table;
pub mod terminal;
pub mod tool;
