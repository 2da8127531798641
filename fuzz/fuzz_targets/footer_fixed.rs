//! libFuzzer on the target `footer_fixed`.
#![no_main]
presence_fuzz::fuzz!("footer_fixed");
