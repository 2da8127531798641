//! libFuzzer on the target `frame`.
#![no_main]
presence_fuzz::fuzz!("frame");
