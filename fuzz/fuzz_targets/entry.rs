//! libFuzzer on the target `entry`.
#![no_main]
presence_fuzz::fuzz!("entry");
