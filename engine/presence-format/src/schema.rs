//! What a stream holds: time unit, order, columns, compression.
//!
//! # Invariants
//! - A [`Schema`] is valid by construction: at least one column, distinct names, every record
//!   within [`RECORD_BYTES_MAX`], so code that holds one never checks it again.
//! - A schema is fixed at the stream's creation; its bytes are the same in every segment.

use crate::block::LANE_ALIGN;
use crate::caps::{COLUMNS_MAX, NAME_BYTES_MAX, RECORD_BYTES_MAX, SHAPE_DIMENSIONS_MAX};
use crate::dtype::DType;
use crate::error::{FormatError, Result};
use crate::plane::Plane;
use crate::varint;

/// The unit of a stream's timestamps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[repr(u8)]
pub enum TimeUnit {
    /// Microseconds: `i64` reaches 292,000 years either side of the epoch.
    #[default]
    Us = 1,
    /// Nanoseconds: `i64` reaches from 1677 to 2262 when counted from 1970.
    Ns = 2,
}

impl TimeUnit {
    /// `us` or `ns`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Us => "us",
            Self::Ns => "ns",
        }
    }

    /// Units in one second.
    pub const fn per_second(self) -> i64 {
        match self {
            Self::Us => 1_000_000,
            Self::Ns => 1_000_000_000,
        }
    }

    fn from_code(code: u8) -> Result<Self> {
        match code {
            1 => Ok(Self::Us),
            2 => Ok(Self::Ns),
            _ => Err(FormatError::corrupt(0, format!("unknown time unit code {code}"))),
        }
    }
}

/// What the timestamps of a stream promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[repr(u8)]
pub enum Order {
    /// Each timestamp is greater than the one before.
    #[default]
    StrictlyIncreasing = 1,
    /// Each timestamp is at least the one before; equals keep the order they were given in.
    NonDecreasing = 2,
    /// Timestamps come in any order, and the later record of equal ones counts: the words of a
    /// [`Plane`], and nothing else.
    Any = 3,
}

impl Order {
    /// `strictly_increasing` or `non_decreasing`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::StrictlyIncreasing => "strictly_increasing",
            Self::NonDecreasing => "non_decreasing",
            Self::Any => "any",
        }
    }

    /// Whether `next` may follow `last`.
    #[inline]
    pub const fn allows(self, last: i64, next: i64) -> bool {
        match self {
            Self::StrictlyIncreasing => next > last,
            Self::NonDecreasing => next >= last,
            Self::Any => true,
        }
    }

    fn from_code(code: u8) -> Result<Self> {
        match code {
            1 => Ok(Self::StrictlyIncreasing),
            2 => Ok(Self::NonDecreasing),
            3 => Ok(Self::Any),
            _ => Err(FormatError::corrupt(0, format!("unknown order code {code}"))),
        }
    }
}

/// How the blocks of a stream are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[repr(u8)]
pub enum Compression {
    /// As they are: mapped and handed out without a copy.
    #[default]
    None = 1,
    /// LZ4 after a byte shuffle; see [`crate::codec::lz4`].
    Lz4 = 2,
    /// Bit-packed deltas; see [`crate::codec::packed`].
    Packed = 3,
    /// Words of presence; see [`crate::plane::Region`]. For planes, and for them only.
    Presence = 4,
    /// Bit-packed in two or three widths; see [`crate::codec::split`]. For events.
    Split = 5,
}

impl Compression {
    /// Those a stream of records may have: all but [`Presence`](Self::Presence).
    pub const OF_RECORDS: [Self; 4] = [Self::None, Self::Lz4, Self::Packed, Self::Split];

    /// `none`, `lz4`, `packed`, `presence` or `split`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Lz4 => "lz4",
            Self::Packed => "packed",
            Self::Presence => "presence",
            Self::Split => "split",
        }
    }

    /// The code on disk.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The compression with this code on disk.
    pub fn from_code(code: u8) -> Result<Self> {
        match code {
            1 => Ok(Self::None),
            2 => Ok(Self::Lz4),
            3 => Ok(Self::Packed),
            4 => Ok(Self::Presence),
            5 => Ok(Self::Split),
            _ => Err(FormatError::corrupt(0, format!("unknown compression code {code}"))),
        }
    }
}

/// One column: a name, an element type and a fixed shape.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Column {
    name: String,
    dtype: DType,
    shape: Vec<u32>,
}

impl Column {
    /// A column of `shape`: empty for a scalar, `[7]` for a vector, `[480, 640, 3]` for an image.
    /// Elements of a value are stored in row-major order.
    pub fn new(name: impl Into<String>, dtype: DType, shape: &[u32]) -> Self {
        Self { name: name.into(), dtype, shape: shape.to_vec() }
    }

    /// A column of one element a record.
    pub fn scalar(name: impl Into<String>, dtype: DType) -> Self {
        Self::new(name, dtype, &[])
    }

    /// The column's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The element type.
    pub const fn dtype(&self) -> DType {
        self.dtype
    }

    /// The shape of one value; empty for a scalar.
    pub fn shape(&self) -> &[u32] {
        &self.shape
    }

    /// Elements of one value: the product of the shape, 1 for a scalar.
    /// Saturates where the product exceeds the type; a valid schema never does.
    pub fn elements(&self) -> usize {
        self.shape.iter().fold(1_usize, |product, &side| product.saturating_mul(side as usize))
    }

    /// Bytes of one value.
    pub fn value_bytes(&self) -> usize {
        self.elements().saturating_mul(self.dtype.bytes())
    }

    /// `f32[7]`, `u8[480x640x3]`, `f64`.
    pub fn type_name(&self) -> String {
        if self.shape.is_empty() {
            return self.dtype.name().to_owned();
        }
        let sides: Vec<String> = self.shape.iter().map(u32::to_string).collect();
        format!("{}[{}]", self.dtype, sides.join("x"))
    }
}

/// The schema of a stream: valid by construction.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Schema {
    time_unit: TimeUnit,
    order: Order,
    compression: Compression,
    columns: Vec<Column>,
    /// There with order `any`, and only there. Boxed: a database has thousands of other schemas.
    plane: Option<Box<Plane>>,
}

impl Schema {
    /// A schema in microseconds, strictly increasing, uncompressed.
    ///
    /// # Errors
    /// [`Invalid`](crate::FormatErrorKind::Invalid) for no column or too many, a name that is
    /// empty, too long, repeated or has control characters, a side of zero, or a record that
    /// exceeds [`RECORD_BYTES_MAX`].
    pub fn new(columns: Vec<Column>) -> Result<Self> {
        let schema = Self {
            time_unit: TimeUnit::default(),
            order: Order::default(),
            compression: Compression::default(),
            columns,
            plane: None,
        };
        schema.check()?;
        Ok(schema)
    }

    /// The schema of a plane: one column `word`, in any order. Its timestamps are ticks, whatever
    /// the time unit says.
    pub fn of_plane(plane: Plane) -> Self {
        Self {
            time_unit: TimeUnit::Us,
            order: Order::Any,
            compression: Compression::Presence,
            columns: vec![Column::scalar("word", DType::U64)],
            plane: Some(Box::new(plane)),
        }
    }

    /// Which bitmap of which track this is, where it is one.
    pub fn plane(&self) -> Option<&Plane> {
        self.plane.as_deref()
    }

    /// A schema of one column named `value`.
    ///
    /// # Errors
    /// As [`Schema::new`].
    pub fn single(dtype: DType, shape: &[u32]) -> Result<Self> {
        Self::new(vec![Column::new("value", dtype, shape)])
    }

    /// The same schema with another time unit.
    #[must_use]
    pub fn with_time_unit(mut self, time_unit: TimeUnit) -> Self {
        self.time_unit = time_unit;
        self
    }

    /// The same schema with another order. A plane keeps its own, [`Order::Any`], which nothing
    /// else takes.
    #[must_use]
    pub fn with_order(mut self, order: Order) -> Self {
        if self.plane.is_none() && order != Order::Any {
            self.order = order;
        }
        self
    }

    /// The same schema with another compression. A plane keeps its own,
    /// [`Compression::Presence`], which nothing else takes.
    #[must_use]
    pub fn with_compression(mut self, compression: Compression) -> Self {
        if self.plane.is_none() && compression != Compression::Presence {
            self.compression = compression;
        }
        self
    }

    /// The unit of the timestamps.
    pub const fn time_unit(&self) -> TimeUnit {
        self.time_unit
    }

    /// What the timestamps promise.
    pub const fn order(&self) -> Order {
        self.order
    }

    /// How blocks are stored.
    pub const fn compression(&self) -> Compression {
        self.compression
    }

    /// The columns, in the order of their index.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The index of the column called `name`. Linear in the number of columns.
    pub fn column_index(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }

    /// Bytes of one record: eight for the timestamp, and each column's value.
    pub fn record_bytes(&self) -> usize {
        8 + self.columns.iter().map(Column::value_bytes).sum::<usize>()
    }

    fn check(&self) -> Result<()> {
        let is_plane = match &self.plane {
            Some(plane) => *self == Self::of_plane(Plane::clone(plane)),
            None => self.order != Order::Any && self.compression != Compression::Presence,
        };
        if !is_plane {
            let what = "order `any` and compression `presence` are those of planes, and only those";
            return Err(FormatError::invalid(what));
        }
        if self.columns.is_empty() || self.columns.len() > COLUMNS_MAX {
            return Err(FormatError::invalid(format!(
                "a stream has 1 to {COLUMNS_MAX} columns, not {}",
                self.columns.len()
            )));
        }
        let mut names: Vec<&str> = Vec::with_capacity(self.columns.len());
        let mut record_bytes = 8_usize;
        for column in &self.columns {
            check_name("column", &column.name)?;
            names.push(&column.name);
            if column.shape.len() > SHAPE_DIMENSIONS_MAX || column.shape.contains(&0) {
                return Err(FormatError::invalid(format!(
                    "column {:?} has shape {:?}; a shape has at most {SHAPE_DIMENSIONS_MAX} sides, \
                     none of them zero",
                    column.name, column.shape
                )));
            }
            // A block of one record holds each value with its padding, and must fit its cap.
            record_bytes =
                record_bytes.saturating_add(column.value_bytes()).saturating_add(LANE_ALIGN);
        }
        if record_bytes > RECORD_BYTES_MAX as usize {
            return Err(FormatError::invalid(format!(
                "a record of {record_bytes} bytes, padding included, exceeds the limit of \
                 {RECORD_BYTES_MAX}"
            )));
        }
        names.sort_unstable();
        match names.array_windows().find(|[left, right]| left == right) {
            Some([name, _]) => Err(FormatError::invalid(format!("two columns are named {name:?}"))),
            None => Ok(()),
        }
    }

    /// Appends the schema's bytes to `out`: the record `Schema` of the specification.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.push(self.time_unit as u8);
        out.push(self.order as u8);
        out.push(self.compression.code());
        varint::encode(self.columns.len() as u64, out);
        for column in &self.columns {
            encode_name(&column.name, out);
            out.push(column.dtype.code());
            out.push(column.shape.len() as u8);
            for &side in &column.shape {
                varint::encode(u64::from(side), out);
            }
        }
        if let Some(plane) = &self.plane {
            plane.encode(out);
        }
    }

    /// Decodes a schema from the front of `bytes`; returns it and the bytes that follow.
    ///
    /// # Errors
    /// `Truncated` or `Corrupt`, also for bytes that are well formed but no valid schema.
    pub fn decode(bytes: &[u8]) -> Result<(Self, &[u8])> {
        let [unit, order, compression, rest @ ..] = bytes else {
            return Err(FormatError::truncated(bytes.len() as u64, "bytes end inside a schema"));
        };
        let (count, mut rest) = varint::decode(rest)?;
        if count > COLUMNS_MAX as u64 {
            return Err(FormatError::corrupt(3, format!("a schema of {count} columns")));
        }
        let mut columns = Vec::new();
        for _ in 0..count {
            let column;
            (column, rest) = decode_column(rest)?;
            columns.push(column);
        }
        let mut schema = Self {
            time_unit: TimeUnit::from_code(*unit)?,
            order: Order::from_code(*order)?,
            compression: Compression::from_code(*compression)?,
            columns,
            plane: None,
        };
        if schema.order == Order::Any {
            let plane;
            (plane, rest) = Plane::decode(rest)?;
            schema.plane = Some(Box::new(plane));
        }
        schema.check().map_err(|error| FormatError::corrupt(0, error.what))?;
        Ok((schema, rest))
    }
}

fn decode_column(bytes: &[u8]) -> Result<(Column, &[u8])> {
    let (name, rest) = decode_name(bytes)?;
    let [dtype, dimensions, rest @ ..] = rest else {
        return Err(FormatError::truncated(bytes.len() as u64, "bytes end inside a column"));
    };
    if usize::from(*dimensions) > SHAPE_DIMENSIONS_MAX {
        return Err(FormatError::corrupt(0, format!("a shape of {dimensions} sides")));
    }
    let mut rest = rest;
    let mut shape = Vec::with_capacity(usize::from(*dimensions));
    for _ in 0..*dimensions {
        let side;
        (side, rest) = varint::decode(rest)?;
        shape.push(u32::try_from(side).map_err(|_| FormatError::corrupt(0, "a side over 2^32"))?);
    }
    Ok((Column { name, dtype: DType::from_code(*dtype)?, shape }, rest))
}

/// Checks the name of a stream or column: 1 to 255 bytes of UTF-8 without control characters.
///
/// # Errors
/// [`Invalid`](crate::FormatErrorKind::Invalid), naming `what`.
pub fn check_name(what: &str, name: &str) -> Result<()> {
    if name.is_empty() || name.len() > NAME_BYTES_MAX {
        return Err(FormatError::invalid(format!(
            "a {what} name has 1 to {NAME_BYTES_MAX} bytes, not {}",
            name.len()
        )));
    }
    match name.chars().find(|c| c.is_control()) {
        Some(c) => Err(FormatError::invalid(format!(
            "{what} name {name:?} has the control character {c:?}; use printable text"
        ))),
        None => Ok(()),
    }
}

/// Appends a name as varint length and bytes.
pub(crate) fn encode_name(name: &str, out: &mut Vec<u8>) {
    varint::encode(name.len() as u64, out);
    out.extend_from_slice(name.as_bytes());
}

/// Decodes a name from the front of `bytes`; the length is checked before anything is allocated.
pub(crate) fn decode_name(bytes: &[u8]) -> Result<(String, &[u8])> {
    let (len, rest) = varint::decode(bytes)?;
    if len > NAME_BYTES_MAX as u64 {
        return Err(FormatError::corrupt(0, format!("a name of {len} bytes")));
    }
    let Some((name, rest)) = rest.split_at_checked(len as usize) else {
        return Err(FormatError::truncated(bytes.len() as u64, "bytes end inside a name"));
    };
    match std::str::from_utf8(name) {
        Ok(name) => Ok((name.to_owned(), rest)),
        Err(_) => Err(FormatError::corrupt(0, "a name is not UTF-8")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Schema {
        Schema::new(vec![
            Column::new("joints", DType::F32, &[7]),
            Column::new("image", DType::U8, &[48, 64, 3]),
            Column::scalar("ok", DType::Bool),
        ])
        .unwrap()
        .with_time_unit(TimeUnit::Ns)
        .with_order(Order::NonDecreasing)
        .with_compression(Compression::Packed)
    }

    #[test]
    fn round_trips_and_truncations_are_named() {
        let mut bytes = Vec::new();
        sample().encode(&mut bytes);
        let (decoded, rest) = Schema::decode(&bytes).unwrap();
        assert_eq!((decoded, rest.len()), (sample(), 0));
        for len in 0..bytes.len() {
            let error = Schema::decode(&bytes[..len]).unwrap_err();
            assert_eq!(error.kind, crate::FormatErrorKind::Truncated, "at {len}");
        }
    }

    #[test]
    fn a_plane_stays_a_plane_and_nothing_else_becomes_one() {
        let kind = crate::plane::PlaneKind::Class { id: 3, name: String::new() };
        let plane = Schema::of_plane(Plane::new("cam", (30, 1), 0, kind).unwrap());
        let mut bytes = Vec::new();
        plane.encode(&mut bytes);
        assert_eq!(Schema::decode(&bytes).unwrap(), (plane.clone(), &[][..]));
        for len in 0..bytes.len() {
            let error = Schema::decode(&bytes[..len]).unwrap_err();
            assert_eq!(error.kind, crate::FormatErrorKind::Truncated, "at {len}");
        }
        let other = |schema: Schema| {
            schema.with_order(Order::NonDecreasing).with_compression(Compression::Lz4)
        };
        assert_eq!(other(plane.clone()), plane);
        let any =
            |schema: Schema| schema.with_order(Order::Any).with_compression(Compression::Presence);
        assert_eq!(any(sample()), sample());
        bytes[2] = Compression::None.code();
        assert!(Schema::decode(&bytes).is_err(), "words stored as something else");
        let mut sample_bytes = Vec::new();
        sample().encode(&mut sample_bytes);
        sample_bytes[2] = Compression::Presence.code();
        assert!(Schema::decode(&sample_bytes).is_err(), "presence of no plane");
    }

    #[test]
    fn invalid_schemas_are_refused() {
        let scalar = |name: &str| Column::scalar(name, DType::F64);
        for columns in [
            vec![],
            vec![scalar("")],
            vec![scalar("a\0b")],
            vec![scalar(&"n".repeat(256))],
            vec![scalar("a"), scalar("a")],
            vec![Column::new("a", DType::U8, &[3, 0])],
            vec![Column::new("a", DType::U8, &[1, 1, 1, 1, 1])],
            vec![Column::new("a", DType::U8, &[u32::MAX, u32::MAX, u32::MAX])],
        ] {
            assert!(Schema::new(columns.clone()).is_err(), "{columns:?}");
        }
    }
}
