//! libFuzzer on the target `events_aedat2`.
#![no_main]
presence_fuzz::fuzz!("events_aedat2");
