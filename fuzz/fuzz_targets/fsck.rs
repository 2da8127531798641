//! libFuzzer on the target `fsck`.
#![no_main]
presence_fuzz::fuzz!("fsck");
