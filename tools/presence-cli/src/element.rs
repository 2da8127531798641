//! Columns in words, and their values as JSON and as text.
//!
//! # Invariants
//! - Numbers are exact: integers in full, floats in the shortest form that reads back the same.
//! - JSON has no NaN and no infinity: both are `null` there, and words in text.

use std::fmt;

use presence::{Column, DType};
use serde::ser::{Serialize, SerializeSeq, Serializer};

/// One element of a value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Element {
    /// `bool`.
    Bool(bool),
    /// A signed integer of any width.
    Signed(i64),
    /// An unsigned integer of any width.
    Unsigned(u64),
    /// `f32`, kept as it is for its shortest form.
    F32(f32),
    /// `f64`.
    F64(f64),
}

fn le<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.first_chunk().copied().unwrap_or([0; N])
}

impl Element {
    /// The element that begins `bytes`.
    pub fn read(dtype: DType, bytes: &[u8]) -> Self {
        match dtype {
            DType::Bool => Self::Bool(le::<1>(bytes) != [0]),
            DType::I8 => Self::Signed(i8::from_le_bytes(le(bytes)).into()),
            DType::I16 => Self::Signed(i16::from_le_bytes(le(bytes)).into()),
            DType::I32 => Self::Signed(i32::from_le_bytes(le(bytes)).into()),
            DType::I64 => Self::Signed(i64::from_le_bytes(le(bytes))),
            DType::U8 => Self::Unsigned(u8::from_le_bytes(le(bytes)).into()),
            DType::U16 => Self::Unsigned(u16::from_le_bytes(le(bytes)).into()),
            DType::U32 => Self::Unsigned(u32::from_le_bytes(le(bytes)).into()),
            DType::U64 => Self::Unsigned(u64::from_le_bytes(le(bytes))),
            DType::F32 => Self::F32(f32::from_le_bytes(le(bytes))),
            DType::F64 => Self::F64(f64::from_le_bytes(le(bytes))),
        }
    }
}

impl Serialize for Element {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match *self {
            Self::Bool(value) => serializer.serialize_bool(value),
            Self::Signed(value) => serializer.serialize_i64(value),
            Self::Unsigned(value) => serializer.serialize_u64(value),
            Self::F32(value) => serializer.serialize_f32(value),
            Self::F64(value) => serializer.serialize_f64(value),
        }
    }
}

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Bool(value) => write!(f, "{value}"),
            Self::Signed(value) => write!(f, "{value}"),
            Self::Unsigned(value) => write!(f, "{value}"),
            // Debug is the shortest form too, with an exponent where that is shorter.
            Self::F32(value) => write!(f, "{value:?}"),
            Self::F64(value) => write!(f, "{value:?}"),
        }
    }
}

/// One value of a column: nested arrays in JSON, brackets in text.
#[derive(Debug, Clone, Copy)]
pub struct Shaped<'a> {
    /// The element type.
    pub dtype: DType,
    /// The shape; empty for a scalar.
    pub shape: &'a [u32],
    /// The value's bytes, little-endian, row-major.
    pub bytes: &'a [u8],
}

/// Elements of a value that are shown in text before the rest is left out.
const SHOWN_MAX: usize = 16;

impl<'a> Shaped<'a> {
    /// The elements, row-major.
    pub fn elements(self) -> impl Iterator<Item = Element> + use<'a> {
        self.bytes
            .chunks_exact(self.dtype.bytes())
            .map(move |bytes| Element::read(self.dtype, bytes))
    }

    /// The parts along the first side; `None` for a scalar.
    fn parts(self) -> Option<impl ExactSizeIterator<Item = Self>> {
        let (_, shape) = self.shape.split_first()?;
        let sides = shape.iter().map(|&side| side as usize);
        let bytes = sides.product::<usize>() * self.dtype.bytes();
        let parts = self.bytes.chunks_exact(bytes.max(1));
        Some(parts.map(move |bytes| Self { dtype: self.dtype, shape, bytes }))
    }
}

impl Serialize for Shaped<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Some(parts) = self.parts() else {
            return Element::read(self.dtype, self.bytes).serialize(serializer);
        };
        let mut sequence = serializer.serialize_seq(Some(parts.len()))?;
        for part in parts {
            sequence.serialize_element(&part)?;
        }
        sequence.end()
    }
}

impl fmt::Display for Shaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.shape.is_empty() {
            return Element::read(self.dtype, self.bytes).fmt(f);
        }
        let all = self.bytes.len() / self.dtype.bytes();
        let shown = if all > SHOWN_MAX { SHOWN_MAX / 2 } else { all };
        f.write_str("[")?;
        for (index, element) in self.elements().take(shown).enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{element}")?;
        }
        if shown < all { write!(f, ", … {all} in all]") } else { f.write_str("]") }
    }
}

/// Columns of a stream that are shown before the rest is counted.
const COLUMNS_SHOWN: usize = 6;

/// A stream's columns in words: the first few with their types, and how many more there are.
pub fn columns(columns: &[Column]) -> String {
    let shown = columns.iter().take(COLUMNS_SHOWN);
    let mut words: Vec<String> =
        shown.map(|column| format!("{} {}", column.name(), column.type_name())).collect();
    if columns.len() > COLUMNS_SHOWN {
        words.push(format!("and {} more", columns.len() - COLUMNS_SHOWN));
    }
    words.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_keep_every_bit() {
        let json = |dtype, bytes: &[u8]| {
            serde_json::to_string(&Shaped { dtype, shape: &[], bytes }).unwrap()
        };
        assert_eq!(json(DType::U64, &u64::MAX.to_le_bytes()), "18446744073709551615");
        assert_eq!(json(DType::I64, &i64::MIN.to_le_bytes()), "-9223372036854775808");
        assert_eq!(json(DType::F32, &0.1_f32.to_le_bytes()), "0.1");
        assert_eq!(json(DType::F64, &f64::NAN.to_le_bytes()), "null");
        assert_eq!(json(DType::Bool, &[7]), "true");
        assert_eq!(Element::F64(f64::NEG_INFINITY).to_string(), "-inf");
    }

    #[test]
    fn shapes_nest() {
        let bytes = [1, 2, 3, 4, 5, 6];
        let value = Shaped { dtype: DType::U8, shape: &[2, 3], bytes: &bytes };
        assert_eq!(serde_json::to_string(&value).unwrap(), "[[1,2,3],[4,5,6]]");
        assert_eq!(value.to_string(), "[1, 2, 3, 4, 5, 6]");
        let image = [0_u8; 12];
        let image = Shaped { dtype: DType::U8, shape: &[2, 2, 3], bytes: &image };
        assert_eq!(serde_json::to_string(&image).unwrap(), "[[[0,0,0],[0,0,0]],[[0,0,0],[0,0,0]]]");
        let long = Shaped { dtype: DType::U8, shape: &[99], bytes: &[0; 99] };
        assert!(long.to_string().ends_with(", … 99 in all]"));
    }
}
