//! libFuzzer on the target `fsck_fixed`.
#![no_main]
presence_fuzz::fuzz!("fsck_fixed");
