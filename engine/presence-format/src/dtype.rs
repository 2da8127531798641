//! Element types of columns.
//!
//! # Invariants
//! - Every bit pattern of every element type is a value: bytes from disk can never be an invalid
//!   one. `bool` is therefore a byte whose non-zero values all mean true.

use crate::error::{FormatError, Result};

/// The type of one element of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum DType {
    /// One byte, 0 is false and anything else is true.
    Bool = 1,
    /// Signed, 8 bits.
    I8 = 2,
    /// Signed, 16 bits.
    I16 = 3,
    /// Signed, 32 bits.
    I32 = 4,
    /// Signed, 64 bits.
    I64 = 5,
    /// Unsigned, 8 bits.
    U8 = 6,
    /// Unsigned, 16 bits.
    U16 = 7,
    /// Unsigned, 32 bits.
    U32 = 8,
    /// Unsigned, 64 bits.
    U64 = 9,
    /// IEEE 754 binary32; NaN payloads and signed zeros are kept.
    F32 = 10,
    /// IEEE 754 binary64; NaN payloads and signed zeros are kept.
    F64 = 11,
}

impl DType {
    /// All element types, in the order of their codes.
    pub const ALL: [Self; 11] = [
        Self::Bool,
        Self::I8,
        Self::I16,
        Self::I32,
        Self::I64,
        Self::U8,
        Self::U16,
        Self::U32,
        Self::U64,
        Self::F32,
        Self::F64,
    ];

    /// Bytes of one element: 1, 2, 4 or 8.
    pub const fn bytes(self) -> usize {
        match self {
            Self::Bool | Self::I8 | Self::U8 => 1,
            Self::I16 | Self::U16 => 2,
            Self::I32 | Self::U32 | Self::F32 => 4,
            Self::I64 | Self::U64 | Self::F64 => 8,
        }
    }

    /// The code on disk.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The element type with this code on disk.
    pub fn from_code(code: u8) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|dtype| dtype.code() == code)
            .ok_or_else(|| FormatError::corrupt(0, format!("unknown element type code {code}")))
    }

    /// The name used in schemas, JSON and messages: `f64`, `u8`, `bool`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::I8 => "i8",
            Self::I16 => "i16",
            Self::I32 => "i32",
            Self::I64 => "i64",
            Self::U8 => "u8",
            Self::U16 => "u16",
            Self::U32 => "u32",
            Self::U64 => "u64",
            Self::F32 => "f32",
            Self::F64 => "f64",
        }
    }

    /// The element type with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|dtype| dtype.name() == name)
    }

    /// Whether the type is a floating-point one.
    pub const fn is_float(self) -> bool {
        matches!(self, Self::F32 | Self::F64)
    }
}

impl std::fmt::Display for DType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// Rust types that are one element. `bool` is not among them, since not every byte is a Rust
/// `bool`: columns of [`DType::Bool`] are read as `u8`.
pub trait Scalar: bytemuck::Pod + PartialEq + std::fmt::Debug + Send + Sync + 'static {
    /// The element type that this Rust type is.
    const DTYPE: DType;
}

macro_rules! scalars {
    ($($rust:ty => $dtype:ident),* $(,)?) => {
        $(impl Scalar for $rust { const DTYPE: DType = DType::$dtype; })*
    };
}
scalars! {
    i8 => I8, i16 => I16, i32 => I32, i64 => I64,
    u8 => U8, u16 => U16, u32 => U32, u64 => U64,
    f32 => F32, f64 => F64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_names_lead_back_to_their_type() {
        for dtype in DType::ALL {
            assert_eq!(DType::from_code(dtype.code()), Ok(dtype));
            assert_eq!(DType::from_name(&dtype.to_string()), Some(dtype));
            assert_eq!(dtype.is_float(), dtype.name().starts_with('f'));
        }
        let unknown = DType::from_code(0xee).unwrap_err();
        assert!(unknown.what.contains("238"), "{unknown}");
        assert_eq!(DType::from_name("f16"), None);
    }
}
