//! libFuzzer on the target `codec_round_trip`.
#![no_main]
presence_fuzz::fuzz!("codec_round_trip");
