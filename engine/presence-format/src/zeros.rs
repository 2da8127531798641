//! Zeros: space set aside and holes, as told apart from bytes that were written.
//!
//! # Invariants
//! - Long runs of zeros cost what reading them costs: they are looked at by whole cache lines,
//!   without a branch per byte.

/// Bytes looked at together.
const LINE: usize = 64;

/// Whether all of `bytes` are zeros; also where there are none. O(n), stopping early.
///
/// ```
/// assert!(presence_format::zeros::is_zeros(&[0; 100]));
/// assert!(!presence_format::zeros::is_zeros(b"\0\0a"));
/// ```
#[must_use]
pub fn is_zeros(bytes: &[u8]) -> bool {
    bytes.chunks(LINE).all(is_zero_line)
}

/// Where the last byte that is not zero ends: 0 where all are zeros. O(zeros at the end).
///
/// ```
/// assert_eq!(presence_format::zeros::used_len(b"ab\0c\0\0"), 4);
/// assert_eq!(presence_format::zeros::used_len(&[0; 9]), 0);
/// ```
#[must_use]
pub fn used_len(bytes: &[u8]) -> usize {
    let lines = bytes.rchunks(LINE).take_while(|line| is_zero_line(line));
    let zeros: usize = lines.map(<[u8]>::len).sum();
    let rest = bytes.get(..bytes.len() - zeros).unwrap_or_default();
    rest.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1)
}

fn is_zero_line(line: &[u8]) -> bool {
    line.iter().fold(0, |any, &byte| any | byte) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_byte_anywhere_is_found() {
        for len in [0, 1, 63, 64, 65, 127, 128, 129, 200] {
            let mut bytes = vec![0; len];
            assert!(is_zeros(&bytes));
            assert_eq!(used_len(&bytes), 0);
            for at in 0..len {
                bytes[at] = 1;
                assert!(!is_zeros(&bytes), "{at} of {len}");
                assert_eq!(used_len(&bytes), at + 1, "of {len}");
                bytes[at] = 0;
            }
        }
    }
}
