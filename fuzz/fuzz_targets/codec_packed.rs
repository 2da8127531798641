//! libFuzzer on the target `codec_packed`.
#![no_main]
presence_fuzz::fuzz!("codec_packed");
