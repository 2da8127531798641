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

/// The tests open small databases by the million.
#[cfg(test)]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

mod acks;
mod backup;
mod bad_input;
mod basics;
mod concurrent;
mod copied_alone;
mod crash;
mod crash_state;
mod damage;
mod errors;
mod faults;
mod full_disk;
mod hostile;
mod kills;
mod locks;
mod lost_catalog;
mod memory_limit;
mod model;
mod page_cache;
mod planted;
mod planted_device;
mod power;
mod recovery_cost;
mod script;
mod slow_streams;
mod stalled;
mod support;
mod traced;
mod track_crash;
mod tracker;
