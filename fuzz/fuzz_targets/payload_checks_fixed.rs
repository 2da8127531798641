//! libFuzzer on the target `payload_checks_fixed`.
#![no_main]
presence_fuzz::fuzz!("payload_checks_fixed");
