//! Repairs: of every kind of damage, on every kind of database, cut off at every call.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a helper of a test fails the test"
)]

mod damaged;
mod hostile_lists;
mod interrupted;
mod support;
