//! libFuzzer on the target `entry_fixed`.
#![no_main]
presence_fuzz::fuzz!("entry_fixed");
