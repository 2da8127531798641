//! libFuzzer on the target `codec_split`.
#![no_main]
presence_fuzz::fuzz!("codec_split");
