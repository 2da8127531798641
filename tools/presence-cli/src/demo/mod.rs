//! The demo: a robot's recording that is killed, recovered and asked.
//!
//! # Invariants
//! - Every record is a function of its number ([`rig`]), so that what a crash left can be compared
//!   with what was sent, bit by bit.

pub(crate) mod child;
mod noise;
pub(crate) mod picture;
pub(crate) mod place;
pub(crate) mod questions;
pub(crate) mod recorder;
pub(crate) mod rig;
pub(crate) mod story;
