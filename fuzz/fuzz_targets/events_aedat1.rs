//! libFuzzer on the target `events_aedat1`.
#![no_main]
presence_fuzz::fuzz!("events_aedat1");
