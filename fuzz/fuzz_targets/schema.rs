//! libFuzzer on the target `schema`.
#![no_main]
presence_fuzz::fuzz!("schema");
