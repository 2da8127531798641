//! libFuzzer on the target `events_event_stream`.
#![no_main]
presence_fuzz::fuzz!("events_event_stream");
