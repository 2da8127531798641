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

/// Calls `put` with the number of each of the first `count` rows, as `whole` makes it of a float.
/// Whole numbers beyond `i64` become its smallest value.
pub(super) fn each(
    rows: Rows<'_>,
    field: Field,
    count: usize,
    whole: impl Fn(f64) -> i64,
    put: impl FnMut(i64),
) {
    let Number { form, bytes, is_big_endian } = field.number;
    let view = View { bytes: rows.bytes, stride: rows.stride, offset: field.offset, count };
    macro_rules! read {
        ($kind:ty, $to:expr) => {
            match is_big_endian {
                false => view.each(|bytes| $to(<$kind>::from_le_bytes(bytes)), put),
                true => view.each(
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

#[derive(Debug, Clone, Copy)]
struct View<'a> {
    bytes: &'a [u8],
    stride: usize,
    offset: usize,
    count: usize,
}

impl View<'_> {
    fn each<const N: usize>(self, number: impl Fn([u8; N]) -> i64, mut put: impl FnMut(i64)) {
        if self.stride == N && self.offset == 0 {
            let (numbers, _) = self.bytes.as_chunks::<N>();
            numbers.iter().take(self.count).for_each(|&bytes| put(number(bytes)));
            return;
        }
        // The last row may be cut behind the number: the rows before were cut at the element.
        let starts = (0..self.count).map(|row| row * self.stride + self.offset);
        for start in starts {
            let found = self.bytes.get(start..).and_then(|rest| rest.first_chunk::<N>());
            put(found.map_or(i64::MIN, |&bytes| number(bytes)));
        }
    }
}
