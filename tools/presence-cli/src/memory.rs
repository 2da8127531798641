//! How much memory there is.
//!
//! # Invariants
//! - Where the system does not tell, a modest amount is assumed.

const MAX_BYTES: u64 = 1 << 30;
const UNKNOWN_BYTES: u64 = 128 << 20;
const MIN_BYTES: u64 = 64 << 20;

/// A quarter of the memory that is free, at most 1 GiB.
pub fn quarter_of_free() -> u64 {
    let free = std::fs::read_to_string("/proc/meminfo").ok().and_then(|text| available(&text));
    free.map_or(UNKNOWN_BYTES, |free| (free / 4).clamp(MIN_BYTES, MAX_BYTES))
}

/// The line `MemAvailable:  123 kB`.
fn available(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_available_is_read() {
        let text = "MemTotal:       24676108 kB\nMemAvailable:   23000000 kB\n";
        assert_eq!(available(text), Some(23_000_000 << 10));
        assert_eq!(available("MemTotal: 1 kB\n"), None);
        assert!((MIN_BYTES..=MAX_BYTES).contains(&quarter_of_free()));
    }
}
