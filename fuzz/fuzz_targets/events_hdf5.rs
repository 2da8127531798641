//! libFuzzer on the target `events_hdf5`.
#![no_main]
presence_fuzz::fuzz!("events_hdf5");
