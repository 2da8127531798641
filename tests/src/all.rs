//! Integration tests of presence, in one binary.
#![cfg_attr(
    test,
    expect(
        clippy::unwrap_used,
        clippy::indexing_slicing,
        clippy::panic,
        reason = "a helper of a test fails the test"
    )
)]

mod backup;
mod bad_input;
mod basics;
mod concurrent;
mod copied_alone;
mod crash;
mod damage;
mod errors;
mod faults;
mod kills;
mod lost_catalog;
mod model;
mod planted;
mod planted_device;
mod recovery_cost;
mod script;
mod slow_streams;
mod stalled;
mod support;
mod traced;
