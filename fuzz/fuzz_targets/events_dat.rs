//! libFuzzer on the target `events_dat`.
#![no_main]
presence_fuzz::fuzz!("events_dat");
