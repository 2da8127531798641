//! libFuzzer on the target `footer`.
#![no_main]
presence_fuzz::fuzz!("footer");
