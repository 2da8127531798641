//! libFuzzer on the target `open_fixed`.
#![no_main]
presence_fuzz::fuzz!("open_fixed");
