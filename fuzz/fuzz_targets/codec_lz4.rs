//! libFuzzer on the target `codec_lz4`.
#![no_main]
presence_fuzz::fuzz!("codec_lz4");
