//! libFuzzer on the target `tracks_vs_model`.
#![no_main]
presence_fuzz::fuzz!("tracks_vs_model");
