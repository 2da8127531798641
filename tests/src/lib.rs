//! What the integration tests (`all.rs`) and the program that they start (`bin`) share: the
//! records of a plain stream, and what a process held.

use presence_format::{DType, Schema};

/// A number that looks random and is a function of `x`: splitmix64.
pub fn mix(x: u64) -> u64 {
    let x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// The value of record `sequence` of a plain stream.
pub fn value(sequence: u64) -> i64 {
    mix(sequence).cast_signed()
}

/// The schema of a plain stream.
#[expect(clippy::unwrap_used, reason = "one column of one number is a schema")]
pub fn plain() -> Schema {
    Schema::single(DType::I64, &[]).unwrap()
}

/// The most memory that this process ever held, in KiB; none where the system does not tell.
pub fn held_kib_max() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse().ok()
}
