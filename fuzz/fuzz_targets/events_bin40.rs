//! libFuzzer on the target `events_bin40`.
#![no_main]
presence_fuzz::fuzz!("events_bin40");
