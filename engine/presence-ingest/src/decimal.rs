//! Decimal text to an integer number of units, exactly.
//!
//! # Invariants
//! - The text is never a binary float on its way: the result is the exact product, rounded half to
//!   even where it is not whole.
//! - The function is monotone: a smaller number never gives a larger result.

/// A number of units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Scaled {
    /// The value, rounded half to even.
    pub(crate) units: i128,
    /// Whether rounding changed it.
    pub(crate) is_rounded: bool,
    /// Decimals in the text, less its exponent: negative for `1e5`.
    pub(crate) decimals: i32,
}

/// Why decimal text has no number of units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DecimalFault {
    /// Not a decimal number.
    NotANumber,
    /// Beyond 10^36 units.
    Overflow,
}

/// Digits that fit an `i128` with room for rounding.
const DIGITS_MAX: i32 = 36;

/// `text * 10^power`, rounded half to even.
#[inline]
pub(crate) fn scale(text: &[u8], power: i32) -> Result<Scaled, DecimalFault> {
    match scale_short(text, power) {
        Some(scaled) => Ok(scaled),
        None => scale_any(text, power),
    }
}

/// What nearly all times are: at most 18 digits, no exponent, and nothing to round.
#[inline]
fn scale_short(text: &[u8], power: i32) -> Option<Scaled> {
    let (negative, text) = match text {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, text),
    };
    if text.len() > 19 {
        return None;
    }
    let (mut mantissa, mut digits, mut decimals, mut has_point) = (0_u64, 0_u32, 0_i32, false);
    for &byte in text {
        let digit = byte.wrapping_sub(b'0');
        if digit <= 9 {
            mantissa = mantissa * 10 + u64::from(digit);
            digits += 1;
            decimals += i32::from(has_point);
        } else if byte == b'.' && !has_point {
            has_point = true;
        } else {
            return None;
        }
    }
    let shift = u32::try_from(power - decimals).ok()?;
    if digits == 0 || digits > 18 || shift > 18 {
        return None;
    }
    // Both are below 10^18 + 1: the product is below 10^37, within an i128.
    let units = i128::from(mantissa) * i128::from(10_u64.pow(shift));
    Some(Scaled { units: if negative { -units } else { units }, is_rounded: false, decimals })
}

fn scale_any(text: &[u8], power: i32) -> Result<Scaled, DecimalFault> {
    let (negative, text) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    let mut digits = Digits::default();
    let mut rest = text;
    while let [byte, tail @ ..] = rest {
        match byte {
            b'0'..=b'9' => digits.push(byte - b'0'),
            b'.' if !digits.has_point => digits.has_point = true,
            b'e' | b'E' => break,
            _ => return Err(DecimalFault::NotANumber),
        }
        rest = tail;
    }
    if digits.count == 0 {
        return Err(DecimalFault::NotANumber);
    }
    let exponent = if let [_, exponent @ ..] = rest { exponent_of(exponent)? } else { 0 };
    let decimals = digits.decimals.saturating_sub(exponent);
    // The value is mantissa * 10^shift, and a little more where digits were dropped.
    let shift = power.saturating_sub(decimals).saturating_add(digits.dropped);
    let (units, is_rounded) = digits.shifted(shift)?;
    Ok(Scaled { units: if negative { -units } else { units }, is_rounded, decimals })
}

#[derive(Default)]
struct Digits {
    mantissa: u128,
    /// Significant digits in the mantissa.
    kept: i32,
    /// Digits behind the kept ones.
    dropped: i32,
    dropped_nonzero: bool,
    count: usize,
    decimals: i32,
    has_point: bool,
}

impl Digits {
    #[inline]
    fn push(&mut self, digit: u8) {
        self.count += 1;
        self.decimals = self.decimals.saturating_add(i32::from(self.has_point));
        if self.kept < DIGITS_MAX {
            self.mantissa = self.mantissa * 10 + u128::from(digit);
            self.kept += i32::from(self.mantissa > 0);
        } else {
            self.dropped = self.dropped.saturating_add(1);
            self.dropped_nonzero |= digit > 0;
        }
    }

    fn shifted(&self, shift: i32) -> Result<(i128, bool), DecimalFault> {
        if self.mantissa == 0 {
            return Ok((0, false));
        }
        if shift >= 0 {
            if self.dropped > 0 || self.kept.saturating_add(shift) > DIGITS_MAX {
                return Err(DecimalFault::Overflow);
            }
            // At most 36 digits: below i128::MAX.
            return Ok((self.mantissa as i128 * 10_i128.pow(shift as u32), false));
        }
        if shift < -(DIGITS_MAX + 1) {
            // Less than a tenth of a unit.
            return Ok((0, true));
        }
        let divisor = 10_u128.pow(shift.unsigned_abs());
        let (whole, rest) = (self.mantissa / divisor, self.mantissa % divisor);
        let half = divisor / 2;
        let above = rest > half || (rest == half && self.dropped_nonzero);
        let is_tie = rest == half && !self.dropped_nonzero;
        let up = above || (is_tie && whole % 2 == 1);
        Ok((whole as i128 + i128::from(up), rest > 0 || self.dropped_nonzero))
    }
}

fn exponent_of(text: &[u8]) -> Result<i32, DecimalFault> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    if digits.is_empty() {
        return Err(DecimalFault::NotANumber);
    }
    let mut exponent = 0_i32;
    for &byte in digits {
        if !byte.is_ascii_digit() {
            return Err(DecimalFault::NotANumber);
        }
        exponent = (exponent * 10 + i32::from(byte - b'0')).min(1_000_000);
    }
    Ok(if negative { -exponent } else { exponent })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn units(text: &str, power: i32) -> Result<i128, DecimalFault> {
        scale(text.as_bytes(), power).map(|scaled| scaled.units)
    }

    #[test]
    fn seconds_to_units() {
        for (text, power, want) in [
            ("2.097134001", 6, 2_097_134),
            ("2.097134001", 9, 2_097_134_001),
            ("0.0000005", 6, 0),
            ("0.0000015", 6, 2),
            ("0.0000025", 6, 2),
            ("-0.0000025", 6, -2),
            ("-0.0000015", 6, -2),
            ("0.00000050000000000000000000000000000000000000001", 6, 1),
            ("2.6618185420084046", 9, 2_661_818_542),
            ("1.7e9", 9, 1_700_000_000_000_000_000),
            ("17e-1", 0, 2),
            ("+5", 0, 5),
            (".5", 1, 5),
            ("5.", 1, 50),
            ("0e999999999999", 9, 0),
            ("1e-999999999999", 9, 0),
            ("1234", -3, 1),
            ("0000000000000000000000000000000000000000000000000000001", 6, 1_000_000),
        ] {
            assert_eq!(units(text, power), Ok(want), "{text} * 10^{power}");
        }
        assert_eq!(units("1e999999999999", 9), Err(DecimalFault::Overflow));
        for text in ["", "-", ".", "1.2.3", "1e", "e5", "nan", "inf", "1-2", "--1", "1e5.0"] {
            assert_eq!(units(text, 6), Err(DecimalFault::NotANumber), "{text:?}");
        }
        assert_eq!(scale(b"1.500000000", 6).unwrap().decimals, 9);
        assert_eq!(scale(b"1.5e1", 6).unwrap().decimals, 0);
    }

    proptest! {
        #[test]
        fn whole_results_are_exact(value in any::<i64>(), decimals in 0_u32..12) {
            let scale_by = 10_i128.pow(decimals);
            let value = i128::from(value);
            let sign = if value < 0 { "-" } else { "" };
            let text = format!(
                "{sign}{}.{:0width$}",
                value.abs() / scale_by,
                value.abs() % scale_by,
                width = decimals as usize
            );
            prop_assert_eq!(units(&text, decimals as i32), Ok(value), "{}", text);
        }

        #[test]
        fn the_short_way_agrees(
            text in "[-+]?[0-9]{0,12}[.]?[0-9]{0,8}(e[0-9])?",
            power in -3_i32..10,
        ) {
            if let Some(short) = scale_short(text.as_bytes(), power) {
                prop_assert_eq!(Ok(short), scale_any(text.as_bytes(), power), "{}", text);
            }
        }

        #[test]
        fn monotone(a in -2_000_000_i64..2_000_000, b in -2_000_000_i64..2_000_000) {
            let text = |v: i64| {
                let sign = if v < 0 { "-" } else { "" };
                format!("{sign}{}.{:06}", v.abs() / 1_000_000, v.abs() % 1_000_000)
            };
            let (x, y) = (units(&text(a), 3).unwrap(), units(&text(b), 3).unwrap());
            prop_assert_eq!(a.cmp(&b).is_lt() && x > y, false);
        }
    }
}
