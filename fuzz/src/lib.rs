//! What the programs in `fuzz_targets` share.

pub use libfuzzer_sys;
pub use presence_fuzz_harness as harness;

/// A libFuzzer program of the harness's target with this name.
#[macro_export]
macro_rules! fuzz {
    ($name:literal) => {
        $crate::libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
            static RUN: std::sync::OnceLock<$crate::harness::Target> = std::sync::OnceLock::new();
            RUN.get_or_init(|| $crate::harness::target($name).unwrap())(bytes);
        });
    };
}
