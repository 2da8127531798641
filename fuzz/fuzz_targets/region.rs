//! libFuzzer on the target `region`.
#![no_main]
presence_fuzz::fuzz!("region");
