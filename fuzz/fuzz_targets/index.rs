//! libFuzzer on the target `index`.
#![no_main]
presence_fuzz::fuzz!("index");
