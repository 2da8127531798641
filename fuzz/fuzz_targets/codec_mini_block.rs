//! libFuzzer on the target `codec_mini_block`.
#![no_main]
presence_fuzz::fuzz!("codec_mini_block");
