//! libFuzzer on the target `segment_header_fixed`.
#![no_main]
presence_fuzz::fuzz!("segment_header_fixed");
