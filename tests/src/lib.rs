//! Integration tests of presence: see `all.rs`.
