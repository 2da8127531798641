//! libFuzzer on the target `payload_checks`.
#![no_main]
presence_fuzz::fuzz!("payload_checks");
