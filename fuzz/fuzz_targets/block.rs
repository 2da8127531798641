//! libFuzzer on the target `block`.
#![no_main]
presence_fuzz::fuzz!("block");
