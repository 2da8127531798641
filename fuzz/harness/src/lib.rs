//! What is fuzzed: for each target a function that panics where some bytes break a property.
//!
//! Everything here is stable Rust without a fuzzer. The programs in `fuzz/fuzz_targets` hand their
//! bytes to it under libFuzzer and ASAN; the test in `tests/corpus.rs` runs the golden vectors,
//! every input that ever failed, and some mutations of them; the program `replay` runs one file.
//!
//! # Invariants
//! - A target is a function of its bytes, and of the golden vectors: no clock, no randomness.
//! - To panic is to have found something. Bytes that are refused with an error are well treated.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a broken property must stop the fuzzer, and this is how it is told"
)]

mod bytes;
mod codecs;
mod directory;
mod entries;
mod events;
mod fix;
mod input;
mod judged;
mod mini_block;
mod model;
mod mutate;
mod opened;
mod ops;
mod packed_bits;
mod planes;
mod schemas;
mod seeds;
mod split_block;

pub use mutate::Mutator;
pub use seeds::{regressions, seeds, vectors};

/// A property of bytes: it panics where they break it.
pub type Target = fn(&[u8]);

/// All targets, by name. Those that end in `_fixed` make checksums right before they look, so that
/// the fuzzer gets behind them.
pub const TARGETS: &[(&str, Target)] = &[
    ("varint", bytes::varint),
    ("schema", bytes::schema),
    ("catalog", bytes::catalog),
    ("frame", bytes::frame),
    ("index", bytes::index),
    ("segment_header", bytes::segment_header),
    ("segment_header_fixed", bytes::segment_header_fixed),
    ("footer", bytes::footer),
    ("footer_fixed", bytes::footer_fixed),
    ("payload_checks", bytes::payload_checks),
    ("payload_checks_fixed", bytes::payload_checks_fixed),
    ("entry", entries::entry),
    ("entry_fixed", entries::entry_fixed),
    ("block", codecs::block),
    ("codec_packed", codecs::packed),
    ("codec_mini_block", mini_block::mini_block),
    ("codec_split", codecs::split),
    ("codec_split_block", split_block::split_block),
    ("codec_lz4", codecs::lz4),
    ("codec_shuffle", codecs::shuffle),
    ("codec_round_trip", codecs::round_trip),
    ("region", planes::region),
    ("open_bytes", opened::open_bytes),
    ("open_fixed", opened::open_fixed),
    ("open_directory_fixed", directory::open_directory_fixed),
    ("ops_vs_model", ops::ops_vs_model),
    ("tracks_vs_model", planes::tracks_vs_model),
    ("fsck", judged::fsck),
    ("fsck_fixed", judged::fsck_fixed),
    ("salvage", judged::salvage),
    ("salvage_fixed", judged::salvage_fixed),
    ("events_evt2", events::evt2),
    ("events_evt21", events::evt21),
    ("events_evt3", events::evt3),
    ("events_dat", events::dat),
    ("events_aedat1", events::aedat1),
    ("events_aedat2", events::aedat2),
    ("events_aedat3", events::aedat3),
    ("events_aedat4", events::aedat4),
    ("events_event_stream", events::event_stream),
    ("events_bin40", events::bin40),
    ("events_hdf5", events::hdf5),
    ("events_text", events::text),
];

/// The target with this name.
pub fn target(name: &str) -> Option<Target> {
    TARGETS.iter().find(|(known, _)| *known == name).map(|(_, target)| *target)
}
