//! Rust types as records: scalars, arrays, and structs by `#[derive(Record)]`.
//!
//! # Invariants
//! - A type's columns are fixed: what [`Record::columns`] says never changes between calls.
//! - Bytes are little-endian, elements in row-major order, as in the format.

use presence_format::{Column, DType, Schema};

use crate::error::{Error, Result};

/// A Rust type that is the value of one column.
///
/// Implemented for the scalars of the format, `bool`, and arrays of scalars of up to three
/// dimensions: `[f32; 7]`, `[[[u8; 3]; 640]; 480]`.
pub trait Value: Copy + Send + Sync + 'static {
    /// The element type.
    const DTYPE: DType;
    /// Bytes of a value.
    const BYTES: usize;

    /// The shape: empty for a scalar.
    fn shape() -> Vec<u32>;

    /// Hands the value's bytes to `take`.
    fn with_bytes<R>(&self, take: impl FnOnce(&[u8]) -> R) -> R;

    /// The value with these bytes; `None` where their number is not [`Value::BYTES`].
    fn from_bytes(bytes: &[u8]) -> Option<Self>;

    /// The bytes of many values as they lie in memory, where that is how they are stored.
    fn slice_bytes(values: &[Self]) -> Option<&[u8]>;
}

macro_rules! value {
    ($element:ident, [$($size:ident),*], $type:ty, [$($shape:expr),*]) => {
        impl<$(const $size: usize),*> Value for $type {
            const DTYPE: DType = DType::$element;
            const BYTES: usize = size_of::<Self>();

            fn shape() -> Vec<u32> {
                vec![$($shape as u32),*]
            }

            #[inline]
            fn with_bytes<R>(&self, take: impl FnOnce(&[u8]) -> R) -> R {
                take(bytemuck::bytes_of(self))
            }

            #[inline]
            fn from_bytes(bytes: &[u8]) -> Option<Self> {
                bytemuck::try_pod_read_unaligned(bytes).ok()
            }

            fn slice_bytes(values: &[Self]) -> Option<&[u8]> {
                Some(bytemuck::cast_slice(values))
            }
        }
    };
}
macro_rules! values {
    ($($element:ident $scalar:ty),* $(,)?) => {$(
        value!($element, [], $scalar, []);
        value!($element, [A], [$scalar; A], [A]);
        value!($element, [A, B], [[$scalar; B]; A], [A, B]);
        value!($element, [A, B, C], [[[$scalar; C]; B]; A], [A, B, C]);
    )*};
}
values! {
    I8 i8, I16 i16, I32 i32, I64 i64, U8 u8, U16 u16, U32 u32, U64 u64, F32 f32, F64 f64,
}

impl Value for bool {
    const DTYPE: DType = DType::Bool;
    const BYTES: usize = 1;

    fn shape() -> Vec<u32> {
        Vec::new()
    }

    fn with_bytes<R>(&self, take: impl FnOnce(&[u8]) -> R) -> R {
        take(&[u8::from(*self)])
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [byte] => Some(*byte != 0),
            _ => None,
        }
    }

    fn slice_bytes(_: &[Self]) -> Option<&[u8]> {
        None
    }
}

/// A Rust type that is the values of one record: any [`Value`], as the column `value`, or a struct
/// by `#[derive(Record)]`, a column a field.
///
/// ```
/// #[derive(Clone, Copy, Debug, PartialEq, presence::Record)]
/// struct Detection {
///     #[presence(name = "box")]
///     bounds: [f32; 4],
///     class: u16,
///     confidence: f32,
/// }
/// assert_eq!(presence::schema_of::<Detection>()?.record_bytes(), 8 + 16 + 2 + 4);
/// # Ok::<(), presence::Error>(())
/// ```
pub trait Record: Sized {
    /// Number of columns.
    const COLUMNS: usize;

    /// The columns, in order.
    fn columns() -> Vec<Column>;

    /// Puts each column's value into `sink`, once, in order.
    fn write(&self, sink: &mut impl Sink);

    /// Takes each column's value from `source`; `None` where one is missing or of another size.
    fn read(source: &impl Source) -> Option<Self>;

    /// The bytes of many records of one column as they lie in memory, where that is how they are
    /// stored: what lets a batch be copied in one go.
    fn slice_bytes(_: &[Self]) -> Option<&[u8]> {
        None
    }
}

/// Takes the values of a record.
pub trait Sink {
    /// Takes the value of column `column`.
    fn put<V: Value>(&mut self, column: usize, value: &V);
}

/// Gives the values of a record.
pub trait Source {
    /// The value of column `column`; `None` where there is none of this size.
    fn get<V: Value>(&self, column: usize) -> Option<V>;
}

impl<V: Value> Record for V {
    const COLUMNS: usize = 1;

    fn columns() -> Vec<Column> {
        vec![Column::new("value", V::DTYPE, &V::shape())]
    }

    #[inline]
    fn write(&self, sink: &mut impl Sink) {
        sink.put(0, self);
    }

    #[inline]
    fn read(source: &impl Source) -> Option<Self> {
        source.get(0)
    }

    fn slice_bytes(values: &[Self]) -> Option<&[u8]> {
        <V as Value>::slice_bytes(values)
    }
}

/// The schema of streams of `T`: microseconds, strictly increasing, uncompressed.
///
/// # Errors
/// [`Error::Invalid`] where the type has no valid schema: a side of zero, a record over the cap.
pub fn schema_of<T: Record>() -> Result<Schema> {
    Schema::new(T::columns()).map_err(|error| Error::invalid(error.what))
}
