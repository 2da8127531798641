//! libFuzzer on the target `open_bytes`.
#![no_main]
presence_fuzz::fuzz!("open_bytes");
