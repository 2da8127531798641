//! libFuzzer on the target `codec_split_block`.
#![no_main]
presence_fuzz::fuzz!("codec_split_block");
