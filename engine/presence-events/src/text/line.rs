//! One line: numbers out of text, exactly.
//!
//! # Invariants
//! - A number is read as a whole or not at all; nothing behind it is ignored.

use super::columns::{Column, Layout};
use crate::batch::Event;

/// Digits of a number that are kept; an i64 has room for them.
const DIGITS_MAX: u32 = 18;

/// The event in a line at the front of `bytes`, and the bytes behind its line feed. `None` where
/// the line is no event, or none without a second look.
#[inline]
pub(super) fn event<'a>(bytes: &'a [u8], layout: &Layout) -> Option<(Event, &'a [u8])> {
    let mut event = Event { t: 0, x: 0, y: 0, polarity: 1 };
    let mut rest = skip_blanks(bytes);
    for (index, column) in layout.columns.iter().enumerate() {
        if index > 0 {
            rest = skip_separator(rest)?;
        }
        match column {
            Column::T => {
                let time;
                (time, rest) = Decimal::read(rest)?;
                event.t = time.scaled(layout.exponent)?;
            }
            Column::X => (event.x, rest) = pixel(rest)?,
            Column::Y => (event.y, rest) = pixel(rest)?,
            Column::P => (event.polarity, rest) = polarity(rest)?,
            Column::Skip => rest = skip_field(rest),
        }
    }
    loop {
        match skip_blanks(rest) {
            [] => return Some((event, &[])),
            [b'\n', after @ ..] => return Some((event, after)),
            [b'\r', after @ ..] => rest = after,
            // Columns behind those that were asked for are not looked at.
            other => rest = skip_field(skip_separator_or_field(rest, other)?),
        }
    }
}

fn skip_separator_or_field<'a>(before: &'a [u8], after_blanks: &'a [u8]) -> Option<&'a [u8]> {
    match after_blanks {
        [b',' | b';', ..] => skip_separator(before),
        _ if after_blanks.len() < before.len() => Some(after_blanks),
        _ => None,
    }
}

/// Fields of a line.
pub(super) fn separate(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r');
    let is_mark = |byte: &u8| matches!(byte, b',' | b';');
    let has_marks = line.iter().any(is_mark);
    line.split(move |byte| if has_marks { is_mark(byte) } else { is_blank(byte) })
        .map(<[u8]>::trim_ascii)
        .filter(move |field| has_marks || !field.is_empty())
}

/// Whether a field is one number, or a truth value.
pub(super) fn is_number(field: &[u8]) -> bool {
    Decimal::read(field).is_some_and(|(_, rest)| rest.is_empty())
        || polarity(field).is_some_and(|(_, rest)| rest.is_empty())
}

/// Digits behind the decimal point.
pub(super) fn decimals(field: &[u8]) -> usize {
    let behind = field.split(|&byte| byte == b'.').nth(1).unwrap_or_default();
    behind.iter().take_while(|byte| byte.is_ascii_digit()).count()
}

/// A decimal number: mantissa times a power of ten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Decimal {
    mantissa: i64,
    exponent: i32,
}

impl Decimal {
    #[inline]
    pub(super) fn read(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (negative, mut rest) = match bytes {
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] => (false, rest),
            _ => (false, bytes),
        };
        let (mut mantissa, mut digits, mut exponent) = (0_i64, 0_u32, 0_i32);
        let before = rest.len();
        while let Some((digit, after)) = digit(rest) {
            let is_long = digits >= DIGITS_MAX;
            if is_long && (digits > DIGITS_MAX || mantissa > (i64::MAX - 9) / 10) {
                return None;
            }
            mantissa = mantissa * 10 + i64::from(digit);
            digits += u32::from(mantissa > 0);
            rest = after;
        }
        let mut count = before - rest.len();
        if let [b'.', behind @ ..] = rest {
            rest = behind;
            while let Some((digit, after)) = digit(rest) {
                // Digits beyond what an i64 holds are below any unit of time.
                if digits < DIGITS_MAX {
                    mantissa = mantissa * 10 + i64::from(digit);
                    digits += u32::from(mantissa > 0);
                    exponent -= 1;
                }
                count += 1;
                rest = after;
            }
        }
        if count == 0 {
            return None;
        }
        if let [b'e' | b'E', behind @ ..] = rest {
            let (power, after) = power(behind)?;
            exponent += power;
            rest = after;
        }
        let mantissa = if negative { -mantissa } else { mantissa };
        Some((Self { mantissa, exponent }, rest))
    }

    /// The number times a power of ten as the nearest whole number, halves away from zero.
    #[inline]
    pub(super) fn scaled(self, by: i32) -> Option<i64> {
        let exponent = self.exponent + by;
        if exponent >= 0 {
            let factor = 10_i64.checked_pow(exponent as u32);
            return match factor {
                Some(factor) => self.mantissa.checked_mul(factor),
                None => (self.mantissa == 0).then_some(0),
            };
        }
        let Some(divisor) = 10_i64.checked_pow(exponent.unsigned_abs()) else { return Some(0) };
        let (whole, rest) = (self.mantissa / divisor, self.mantissa % divisor);
        let away = i64::from(rest.abs() >= divisor - rest.abs());
        Some(whole + away * self.mantissa.signum())
    }
}

#[cold]
fn power(bytes: &[u8]) -> Option<(i32, &[u8])> {
    let (negative, mut rest) = match bytes {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, bytes),
    };
    let (mut value, mut count) = (0_i32, 0);
    while let Some((digit, after)) = digit(rest) {
        value = (value * 10 + i32::from(digit)).min(1_000);
        count += 1;
        rest = after;
    }
    (count > 0).then_some((if negative { -value } else { value }, rest))
}

#[inline]
fn digit(bytes: &[u8]) -> Option<(u8, &[u8])> {
    let (&byte, rest) = bytes.split_first()?;
    let digit = byte.wrapping_sub(b'0');
    (digit < 10).then_some((digit, rest))
}

/// A whole number of 16 bits, which may be written with zeros behind a point.
#[inline]
fn pixel(bytes: &[u8]) -> Option<(u16, &[u8])> {
    let (mut value, mut rest) = (0_u32, bytes);
    while let Some((digit, after)) = digit(rest) {
        value = value * 10 + u32::from(digit);
        if value > u32::from(u16::MAX) {
            return None;
        }
        rest = after;
    }
    if rest.len() == bytes.len() {
        return None;
    }
    if let [b'.', after @ ..] = rest {
        let zeros = after.iter().take_while(|byte| **byte == b'0').count();
        rest = after.get(zeros..).unwrap_or_default();
    }
    Some((value as u16, rest))
}

#[inline]
fn polarity(bytes: &[u8]) -> Option<(u8, &[u8])> {
    match bytes {
        [b'0', rest @ ..] => Some((0, no_fraction(rest))),
        [b'1', rest @ ..] | [b'+', b'1', rest @ ..] => Some((1, no_fraction(rest))),
        [b'-', b'1', rest @ ..] => Some((0, no_fraction(rest))),
        _ => polarity_word(bytes),
    }
}

fn no_fraction(rest: &[u8]) -> &[u8] {
    let Some(after) = rest.strip_prefix(b".") else { return rest };
    let zeros = after.iter().take_while(|byte| **byte == b'0').count();
    after.get(zeros..).unwrap_or_default()
}

#[cold]
fn polarity_word(bytes: &[u8]) -> Option<(u8, &[u8])> {
    const WORDS: [(&[u8], u8); 4] = [(b"true", 1), (b"false", 0), (b"on", 1), (b"off", 0)];
    WORDS.iter().find_map(|(word, polarity)| {
        let (head, rest) = bytes.split_at_checked(word.len())?;
        head.eq_ignore_ascii_case(word).then_some((*polarity, rest))
    })
}

#[inline]
fn skip_blanks(bytes: &[u8]) -> &[u8] {
    let mut rest = bytes;
    while let [b' ' | b'\t', after @ ..] = rest {
        rest = after;
    }
    rest
}

/// Blanks with at most one comma or semicolon among them, and at least one of either.
#[inline]
fn skip_separator(bytes: &[u8]) -> Option<&[u8]> {
    let mut rest = skip_blanks(bytes);
    if let [b',' | b';', after @ ..] = rest {
        rest = skip_blanks(after);
    }
    (rest.len() < bytes.len()).then_some(rest)
}

fn skip_field(bytes: &[u8]) -> &[u8] {
    let is_end = |byte: &u8| matches!(byte, b' ' | b'\t' | b',' | b';' | b'\r' | b'\n');
    let end = bytes.iter().position(is_end).unwrap_or(bytes.len());
    bytes.get(end..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use Column::{P, Skip, T, X, Y};

    fn us(text: &str, exponent: i32) -> Option<i64> {
        let (decimal, rest) = Decimal::read(text.as_bytes())?;
        assert!(rest.is_empty());
        decimal.scaled(exponent)
    }

    #[test]
    fn times_are_exact() {
        for (text, exponent, want) in [
            ("0.1", 6, 100_000),
            ("1.5", 6, 1_500_000),
            ("2.097134001", 6, 2_097_134),
            ("0.0000005", 6, 1),
            ("-0.0000005", 6, -1),
            ("0.00000049999999999999999999", 6, 0),
            ("1600000000123456789", -3, 1_600_000_000_123_457),
            ("1605537493718345", 0, 1_605_537_493_718_345),
            ("1605537493.718345000", 6, 1_605_537_493_718_345),
            ("2.097134001e+00", 6, 2_097_134),
            ("5e-1", 3, 500),
            ("0e999", 6, 0),
            ("7", 3, 7_000),
        ] {
            assert_eq!(us(text, exponent), Some(want), "{text}");
        }
        assert_eq!(us("9223372036854775807", 6), None);
        assert_eq!(us("92233720368547758070", 0), None);
        assert_eq!(us("1e30", 6), None);
        assert_eq!(Decimal::read(b"."), None);
    }

    #[test]
    fn lines() {
        let layout = |columns: &[Column]| Layout { columns: columns.to_vec(), exponent: 0 };
        let event =
            |text: &'static str, columns: &[Column]| event(text.as_bytes(), &layout(columns));
        let want = Event { t: 5, x: 40_000, y: 2, polarity: 0 };
        for (text, columns) in [
            ("5 40000 2 0\nx", [T, X, Y, P].as_slice()),
            (" 40000 ,2; -1\t5 \r\nx", &[X, Y, P, T]),
            ("2.0,40000.00,5.0,false\nx", &[Y, X, T, P]),
            ("junk,5,40000,2,off,more,and more\nx", &[Skip, T, X, Y, P]),
        ] {
            assert_eq!(event(text, columns), Some((want, b"x".as_slice())), "{text}");
        }
        for text in [
            "5 70000 2 0\n",
            "5 -1 2 0\n",
            "5 1.5 2 0\n",
            "5 1 2 5\n",
            "5 1 2\n",
            "5,,2,0\n",
            "5 1 2 0x\n",
        ] {
            assert_eq!(event(text, &[T, X, Y, P]), None, "{text}");
        }
    }
}
