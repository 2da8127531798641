//! libFuzzer on the target `segment_header`.
#![no_main]
presence_fuzz::fuzz!("segment_header");
