//! Integration tests of presence, in one binary.

mod basics;
mod copied_alone;
