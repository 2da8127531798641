//! libFuzzer on the target `events_aedat3`.
#![no_main]
presence_fuzz::fuzz!("events_aedat3");
