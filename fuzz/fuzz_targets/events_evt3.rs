//! libFuzzer on the target `events_evt3`.
#![no_main]
presence_fuzz::fuzz!("events_evt3");
