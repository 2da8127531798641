//! Numbers and truth values in cells: what a cell is, and its value.
//!
//! # Invariants
//! - A cell that [`classify`] calls `Int` or `Float` is one that [`float`] can read, so that what
//!   the first reading found holds in the second.
//! - An unsigned 64-bit integer is `Int`, whatever its sign; a longer one is `Float`.

/// What a cell is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CellKind {
    /// Nothing, or one of the usual words for nothing.
    Empty,
    /// Digits with an optional sign.
    Int,
    /// A decimal number, infinity or NaN.
    Float,
    /// `true` or `false`, in any case.
    Bool,
    /// Anything else.
    Text,
}

/// Says what a cell is, in one pass over its bytes.
#[inline]
pub(crate) fn classify(cell: &[u8]) -> CellKind {
    let digits = match cell {
        [b'-' | b'+', rest @ ..] => rest,
        _ => cell,
    };
    let whole = count_digits(digits);
    let rest = digits.get(whole..).unwrap_or_default();
    let (mut rest, seen) = match rest {
        [] if whole > 0 => return CellKind::Int,
        [b'.', decimals @ ..] => {
            let count = count_digits(decimals);
            (decimals.get(count..).unwrap_or_default(), whole + count)
        }
        _ => (rest, whole),
    };
    if seen == 0 {
        return classify_word(cell);
    }
    if let [b'e' | b'E', exponent @ ..] = rest {
        let exponent = match exponent {
            [b'-' | b'+', rest @ ..] => rest,
            _ => exponent,
        };
        let count = count_digits(exponent);
        rest = match exponent.get(count..) {
            Some(rest) if count > 0 => rest,
            _ => return CellKind::Text,
        };
    }
    if rest.is_empty() { CellKind::Float } else { CellKind::Text }
}

#[inline]
fn count_digits(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|byte| byte.is_ascii_digit()).count()
}

#[cold]
fn classify_word(cell: &[u8]) -> CellKind {
    const NOTHING: [&str; 7] = ["", "na", "n/a", "nan", "null", "none", "-"];
    const INFINITE: [&str; 6] = ["inf", "infinity", "+inf", "-inf", "+infinity", "-infinity"];
    let is = |word: &&str| cell.eq_ignore_ascii_case(word.as_bytes());
    if NOTHING.iter().any(is) {
        CellKind::Empty
    } else if truth(cell).is_some() {
        CellKind::Bool
    } else if INFINITE.iter().any(is) {
        CellKind::Float
    } else {
        CellKind::Text
    }
}

/// The value of `true` or `false` in any case.
pub(crate) fn truth(cell: &[u8]) -> Option<bool> {
    if cell.eq_ignore_ascii_case(b"true") {
        Some(true)
    } else if cell.eq_ignore_ascii_case(b"false") {
        Some(false)
    } else {
        None
    }
}

/// The nearest `f64` of a decimal number; words for infinity are read, and NaN.
#[inline]
pub(crate) fn float(cell: &[u8]) -> Option<f64> {
    fast_float2::parse::<f64, _>(cell).ok()
}

/// The value of an integer of up to 64 bits, signed or not.
#[inline]
pub(crate) fn int(cell: &[u8]) -> Option<i128> {
    let (negative, digits) = match cell {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, cell),
    };
    if digits.is_empty() {
        return None;
    }
    let mut magnitude = 0_u64;
    if digits.len() <= 19 {
        for &byte in digits {
            let digit = byte.wrapping_sub(b'0');
            if digit > 9 {
                return None;
            }
            magnitude = magnitude * 10 + u64::from(digit);
        }
    } else {
        for &byte in digits {
            let digit = byte.wrapping_sub(b'0');
            if digit > 9 {
                return None;
            }
            magnitude = magnitude.checked_mul(10)?.checked_add(u64::from(digit))?;
        }
    }
    let magnitude = i128::from(magnitude);
    Some(if negative { -magnitude } else { magnitude })
}

/// The value of an integer that may be written as a decimal number: `3`, `3.0`, `-1.000`.
pub(crate) fn whole(cell: &[u8]) -> Option<i64> {
    if let Some(value) = int(cell) {
        return i64::try_from(value).ok();
    }
    let value = float(cell)?;
    // 2^53: beyond it, not every integer is an f64.
    (value.fract() == 0.0 && value.abs() <= 9_007_199_254_740_992.0).then_some(value as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn cells_are_classified() {
        use CellKind::{Bool, Empty, Float, Int, Text};
        for (cell, want) in [
            ("", Empty),
            ("NaN", Empty),
            ("N/A", Empty),
            ("null", Empty),
            ("-", Empty),
            ("0", Int),
            ("-7", Int),
            ("+7", Int),
            ("007", Int),
            ("99999999999999999999999", Int),
            ("1.", Float),
            (".5", Float),
            ("-1.5e-3", Float),
            ("1E5", Float),
            ("inf", Float),
            ("-Infinity", Float),
            ("True", Bool),
            ("FALSE", Bool),
            (".", Text),
            ("1e", Text),
            ("1e+", Text),
            ("1.2.3", Text),
            ("0x10", Text),
            ("1_000", Text),
            ("--1", Text),
            ("1 2", Text),
            ("\u{0}", Text),
            ("2013-12-02 21:15:00", Text),
        ] {
            assert_eq!(classify(cell.as_bytes()), want, "{cell:?}");
        }
        assert_eq!(classify(b"\xff1"), Text);
    }

    #[test]
    fn integers_at_the_ends() {
        assert_eq!(int(b"-9223372036854775808"), Some(i128::from(i64::MIN)));
        assert_eq!(int(b"18446744073709551615"), Some(i128::from(u64::MAX)));
        assert_eq!(int(b"18446744073709551616"), None);
        assert_eq!(int(b"000000000000000000000000000012"), Some(12));
        assert_eq!((int(b""), int(b"-"), int(b"1a")), (None, None, None));
        assert_eq!(
            (whole(b"3.0"), whole(b"3.5"), whole(b"-1"), whole(b"1e300")),
            (Some(3), None, Some(-1), None)
        );
        assert_eq!((whole(b"nan"), whole(b"inf")), (None, None));
    }

    proptest! {
        #[test]
        fn what_is_a_number_can_be_read(
            cell in "[-+]?[0-9]{0,4}[.]?[0-9]{0,4}([eE][-+]?[0-9]{0,3})?",
        ) {
            let kind = classify(cell.as_bytes());
            let reads = float(cell.as_bytes()).is_some();
            let is_number = matches!(kind, CellKind::Int | CellKind::Float);
            prop_assert_eq!(is_number, reads, "{} {:?}", cell, kind);
        }
    }
}
