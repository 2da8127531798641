//! libFuzzer on the target `salvage`.
#![no_main]
presence_fuzz::fuzz!("salvage");
