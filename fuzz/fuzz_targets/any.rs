//! The target that `PRESENCE_FUZZ_TARGET` names: one program for all of them builds faster.
#![no_main]

use std::sync::OnceLock;

use presence_fuzz_harness::{Target, target};

static TARGET: OnceLock<Target> = OnceLock::new();

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let run = TARGET.get_or_init(|| {
        let name = std::env::var("PRESENCE_FUZZ_TARGET").unwrap_or_default();
        target(&name).unwrap_or_else(|| panic!("PRESENCE_FUZZ_TARGET names no target: {name:?}"))
    });
    run(bytes);
});
