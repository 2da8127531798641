//! Numbers of any form, read out of rows.
//!
//! # Invariants
//! - No number is cut or rounded in silence: what a column cannot hold is told.

use super::datatype::{Form, Number};
use super::pages::Rows;

/// A number in each row.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field {
    /// Which of the tables, and which of its columns.
    pub(super) table: usize,
    pub(super) column: u64,
    /// Bytes from the begin of the element.
    pub(super) offset: usize,
    pub(super) number: Number,
}

/// Calls `put` with each of the places and the number of its row, as `whole` makes it of a float.
/// Whole numbers beyond `i64`, and absent ones, become its smallest value.
pub(super) fn each<T>(
    rows: Rows<'_>,
    field: Field,
    into: &mut [T],
    whole: impl Fn(f64) -> i64,
    put: impl FnMut(&mut T, i64),
) {
    let Number { form, bytes, is_big_endian } = field.number;
    let bytes_from = rows.bytes.get(field.offset..).unwrap_or_default();
    let view = View { bytes: bytes_from, stride: rows.stride };
    macro_rules! read {
        ($kind:ty, $to:expr) => {
            match is_big_endian {
                false => view.each(into, |bytes| $to(<$kind>::from_le_bytes(bytes)), put),
                true => view.each(
                    into,
                    |mut bytes| {
                        bytes.reverse();
                        $to(<$kind>::from_le_bytes(bytes))
                    },
                    put,
                ),
            }
        };
    }
    match (form, bytes) {
        (Form::Unsigned, 1) => read!(u8, i64::from),
        (Form::Unsigned, 2) => read!(u16, i64::from),
        (Form::Unsigned, 4) => read!(u32, i64::from),
        (Form::Unsigned, _) => read!(u64, |n| i64::try_from(n).unwrap_or(i64::MIN)),
        (Form::Signed, 1) => read!(i8, i64::from),
        (Form::Signed, 2) => read!(i16, i64::from),
        (Form::Signed, 4) => read!(i32, i64::from),
        (Form::Signed, _) => read!(i64, |n| n),
        (Form::Float, 4) => read!(f32, |n| whole(f64::from(n))),
        (Form::Float, _) => read!(f64, whole),
    }
}

/// Rows from the first number on.
#[derive(Debug, Clone, Copy)]
struct View<'a> {
    bytes: &'a [u8],
    stride: usize,
}

impl View<'_> {
    fn each<T, const N: usize>(
        self,
        into: &mut [T],
        number: impl Fn([u8; N]) -> i64,
        mut put: impl FnMut(&mut T, i64),
    ) {
        let rows = if self.stride == N {
            let (numbers, _) = self.bytes.as_chunks::<N>();
            into.iter_mut().zip(numbers).for_each(|(place, bytes)| put(place, number(*bytes)));
            numbers.len()
        } else {
            let stride = self.stride.max(1);
            let whole = self.bytes.chunks_exact(stride);
            let (count, rest) = (whole.len(), whole.remainder());
            if stride >= N {
                // Here the compiler knows that the number is there.
                for (place, row) in into.iter_mut().zip(whole) {
                    put(place, row.first_chunk().map_or(i64::MIN, |bytes| number(*bytes)));
                }
            } else {
                into.iter_mut().take(count).for_each(|place| put(place, i64::MIN));
            }
            // The last row may be cut behind the number: the rows before were cut at the element.
            match into.get_mut(count) {
                Some(place) if !rest.is_empty() => {
                    put(place, rest.first_chunk().map_or(i64::MIN, |bytes| number(*bytes)));
                    count + 1
                }
                _ => count,
            }
        };
        into.iter_mut().skip(rows).for_each(|place| put(place, i64::MIN));
    }
}
