//! Unsigned LEB128, as in DWARF: seven bits a byte, least significant first.
//!
//! # Invariants
//! - At most ten bytes; only the shortest form is accepted, so that equal values are equal bytes.

use crate::error::{FormatError, Result};

/// Longest encoding of a `u64`.
pub const VARINT_BYTES_MAX: usize = 10;

/// Appends `value` to `out`.
pub fn encode(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push((value as u8) | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Decodes one value from the front of `bytes`; returns it and the bytes that follow.
///
/// # Errors
/// [`Truncated`](crate::FormatErrorKind::Truncated) when the bytes end inside the value,
/// [`Corrupt`](crate::FormatErrorKind::Corrupt) when it exceeds 64 bits or is not the shortest
/// form.
pub fn decode(bytes: &[u8]) -> Result<(u64, &[u8])> {
    let mut value = 0_u64;
    for (index, &byte) in bytes.iter().take(VARINT_BYTES_MAX).enumerate() {
        let bits = u64::from(byte & 0x7f);
        let shift = 7 * index as u32;
        if shift == 63 && bits > 1 {
            return Err(FormatError::corrupt(index as u64, "varint exceeds 64 bits"));
        }
        value |= bits << shift;
        if byte & 0x80 == 0 {
            if byte == 0 && index > 0 {
                return Err(FormatError::corrupt(index as u64, "varint is not the shortest form"));
            }
            return Ok((value, bytes.get(index + 1..).unwrap_or_default()));
        }
    }
    if bytes.len() >= VARINT_BYTES_MAX {
        return Err(FormatError::corrupt(0, "varint exceeds 64 bits"));
    }
    Err(FormatError::truncated(bytes.len() as u64, "bytes end inside a varint"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn round_trips(value: u64, tail: Vec<u8>) {
            let mut bytes = Vec::new();
            encode(value, &mut bytes);
            bytes.extend_from_slice(&tail);
            prop_assert_eq!(decode(&bytes), Ok((value, tail.as_slice())));
        }
    }

    #[test]
    fn refuses_long_forms_and_overflow() {
        assert!(decode(&[0x80, 0x00]).is_err());
        assert!(decode(&[0xff; 10]).is_err());
        assert!(decode(&[0x80]).is_err());
        assert!(decode(&[]).is_err());
    }
}
