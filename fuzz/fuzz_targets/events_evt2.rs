//! libFuzzer on the target `events_evt2`.
#![no_main]
presence_fuzz::fuzz!("events_evt2");
