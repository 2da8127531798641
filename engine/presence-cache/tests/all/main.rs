//! Tests of the cache by its public interface, in one program.
#![cfg_attr(
    test,
    expect(clippy::unwrap_used, clippy::panic, reason = "a helper of a test fails the test")
)]

mod defects;
mod model;
mod patterns;
mod stress;
mod support;
mod threads;
