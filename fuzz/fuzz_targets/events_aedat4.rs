//! libFuzzer on the target `events_aedat4`.
#![no_main]
presence_fuzz::fuzz!("events_aedat4");
