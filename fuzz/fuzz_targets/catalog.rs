//! libFuzzer on the target `catalog`.
#![no_main]
presence_fuzz::fuzz!("catalog");
