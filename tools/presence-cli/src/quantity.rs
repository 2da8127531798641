//! Sizes, counts and durations, as people write and read them.
//!
//! # Invariants
//! - `kB`, `MB`, `GB`, `TB` are powers of 1000 and `KiB`, `MiB`, `GiB`, `TiB` of 1024, read and
//!   written.

use std::time::Duration;

/// Bytes from text: `1048576`, `128MiB`, `10GB`, `1.5 GB`.
///
/// # Errors
/// A sentence for people.
pub fn parse_bytes(text: &str) -> Result<u64, String> {
    let wrong = || format!("{text:?} is not a size; write it like 128MiB, 10GB or 1048576");
    let trimmed = text.trim();
    let split = trimmed.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(trimmed.len());
    let (number, unit) = trimmed.split_at_checked(split).ok_or_else(wrong)?;
    let factor: u64 = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" => 1000,
        "m" | "mb" => 1_000_000,
        "g" | "gb" => 1_000_000_000,
        "t" | "tb" => 1_000_000_000_000,
        "kib" => 1 << 10,
        "mib" => 1 << 20,
        "gib" => 1 << 30,
        "tib" => 1 << 40,
        _ => return Err(wrong()),
    };
    let number = number.trim();
    if let Ok(whole) = number.parse::<u64>() {
        return whole.checked_mul(factor).ok_or_else(wrong);
    }
    let is_decimal = number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let value = number.parse::<f64>().ok().filter(|_| is_decimal).ok_or_else(wrong)?;
    Ok((value * factor as f64) as u64)
}

/// `8.2 MB`, `512 B`.
pub fn bytes(bytes: u64) -> String {
    let mut value = bytes as f64;
    let mut unit = "B";
    for larger in ["kB", "MB", "GB", "TB", "PB"] {
        if value < 999.5 {
            break;
        }
        value /= 1000.0;
        unit = larger;
    }
    if unit == "B" { format!("{bytes} B") } else { format!("{} {unit}", short(value)) }
}

/// `22,695`.
pub fn count(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// What segments held, of streams and of presence tracks: `5 records and 3 observed ticks`.
pub fn held(records: u64, ticks: u64) -> String {
    match (counted(records, "record"), counted(ticks, "observed tick")) {
        (of_streams, _) if ticks == 0 => of_streams,
        (_, of_tracks) if records == 0 => of_tracks,
        (of_streams, of_tracks) => format!("{of_streams} and {of_tracks}"),
    }
}

/// `1 record`, `22,695 records`.
pub fn counted(number: u64, noun: &str) -> String {
    format!("{} {noun}{}", count(number), if number == 1 { "" } else { "s" })
}

/// `3.2 us`, `41 ms`, `2.5 s`, `1 min 05 s`.
pub fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    match seconds {
        s if s >= 3600.0 => format!("{} h {:02} min", s as u64 / 3600, s as u64 % 3600 / 60),
        s if s >= 60.0 => format!("{} min {:02} s", s as u64 / 60, s as u64 % 60),
        s if s >= 1.0 => format!("{} s", short(s)),
        s if s >= 1e-3 => format!("{} ms", short(s * 1e3)),
        s if s >= 1e-6 => format!("{} us", short(s * 1e6)),
        _ => format!("{} ns", duration.as_nanos()),
    }
}

/// Three digits, or all of a larger whole part.
fn short(value: f64) -> String {
    match value {
        v if v >= 99.95 => format!("{v:.0}"),
        v if v >= 9.995 => format!("{v:.1}"),
        v => format!("{v:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_and_written() {
        for (text, want) in [
            ("0", 0),
            ("1048576", 1 << 20),
            ("128MiB", 128 << 20),
            ("10GB", 10_000_000_000),
            ("1.5 kB", 1500),
            ("2t", 2_000_000_000_000),
        ] {
            assert_eq!(parse_bytes(text), Ok(want), "{text}");
        }
        for text in ["", "x", "-1", "1e3", "10 apples", "99999999999999TB", "1.2.3MB", "NaN"] {
            assert!(parse_bytes(text).is_err(), "{text}");
        }
        assert_eq!(bytes(999), "999 B");
        assert_eq!(bytes(8_231_004), "8.23 MB");
        assert_eq!(bytes(999_999), "1.00 MB");
    }

    #[test]
    fn counts_have_separators() {
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(counted(1, "record"), "1 record");
    }

    #[test]
    fn durations_have_three_digits() {
        assert_eq!(duration(Duration::from_nanos(250)), "250 ns");
        assert_eq!(duration(Duration::from_micros(1_234)), "1.23 ms");
        assert_eq!(duration(Duration::from_secs(65)), "1 min 05 s");
        assert_eq!(duration(Duration::from_secs(7_260)), "2 h 01 min");
    }
}
