//! libFuzzer on the target `ops_vs_model`.
#![no_main]
presence_fuzz::fuzz!("ops_vs_model");
