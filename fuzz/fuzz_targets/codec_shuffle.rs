//! libFuzzer on the target `codec_shuffle`.
#![no_main]
presence_fuzz::fuzz!("codec_shuffle");
