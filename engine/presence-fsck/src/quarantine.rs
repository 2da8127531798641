//! Lists of what repairs set aside, and which records they knew to be lost.
//!
//! # Invariants
//! - A list says what was lost; it never makes anything count.

use presence::device::Device;

use crate::report::Lost;

/// What the lists of repairs in a directory say is lost, each with the name of its list.
pub(crate) fn known_losses(_device: &dyn Device) -> Vec<(String, Lost)> {
    Vec::new()
}
