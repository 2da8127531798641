//! libFuzzer on the target `varint`.
#![no_main]
presence_fuzz::fuzz!("varint");
