//! libFuzzer on the target `salvage_fixed`.
#![no_main]
presence_fuzz::fuzz!("salvage_fixed");
