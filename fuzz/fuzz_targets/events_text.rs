//! libFuzzer on the target `events_text`.
#![no_main]
presence_fuzz::fuzz!("events_text");
