//! libFuzzer on the target `events_evt21`.
#![no_main]
presence_fuzz::fuzz!("events_evt21");
