//! libFuzzer on the target `open_directory_fixed`.
#![no_main]
presence_fuzz::fuzz!("open_directory_fixed");
