//! Records as Parquet.
//!
//! # Invariants
//! - Every column is required; a column with a shape is a list in a list for each side, since
//!   Parquet itself has no fixed-size lists.
//! - `ts` is a TIMESTAMP in the stream's unit. What an integer column cannot say (its width and
//!   sign) is said by its logical type.
//! - A row group is written when enough records are held: memory does not grow with the window.

use std::sync::Arc;

use parquet::basic::{Compression, LogicalType, Repetition, TimeUnit as Unit, Type as Physical};
use parquet::column::writer::ColumnWriter;
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::{Type, TypePtr};
use presence::{Column, DType, Schema, Slice, TimeUnit};

use super::{Export, Field};
use presence_cli::element::Element;
use presence_cli::failure::{Failure, Result};
use presence_cli::output::Output;

/// Elements of a row group, and of one call of the encoder.
const GROUP_ELEMENTS: usize = 4 << 20;

/// The writer of row groups.
pub(super) struct Groups {
    fields: Vec<Field>,
    writer: SerializedFileWriter<Output>,
    held: Vec<(Slice, usize)>,
    held_elements: usize,
    record_elements: usize,
}

impl Groups {
    /// Writes the beginning of the file.
    pub(super) fn new(schema: &Schema, fields: Vec<Field>, output: Output) -> Result<Self> {
        let unit = match schema.time_unit() {
            TimeUnit::Us => Unit::MICROS,
            TimeUnit::Ns => Unit::NANOS,
        };
        let time = primitive("ts", Physical::INT64, Some(LogicalType::timestamp(true, unit)))?;
        let mut types = vec![time];
        for field in &fields {
            types.push(field_type(&field.key, &field.column)?);
        }
        let root = Type::group_type_builder("records").with_fields(types).build().map_err(fault)?;
        let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
        let writer = SerializedFileWriter::new(output, Arc::new(root), Arc::new(properties));
        let record_elements = 1 + fields.iter().map(|field| field.column.elements()).sum::<usize>();
        Ok(Self {
            fields,
            writer: writer.map_err(fault)?,
            held: Vec::new(),
            held_elements: 0,
            record_elements,
        })
    }

    /// Writes what is held as one row group.
    fn flush(&mut self) -> Result<()> {
        if self.held.is_empty() {
            return Ok(());
        }
        let mut group = self.writer.next_row_group().map_err(fault)?;
        if let Some(mut column) = group.next_column().map_err(fault)? {
            let times = column.typed::<parquet::data_type::Int64Type>();
            for (slice, records) in &self.held {
                let slice = slice.timestamps().get(..*records).unwrap_or_default();
                times.write_batch(slice, None, None).map_err(fault)?;
            }
            column.close().map_err(fault)?;
        }
        for field in &self.fields {
            let Some(mut column) = group.next_column().map_err(fault)? else { break };
            let mut levels = Levels::new(field.column.shape());
            for (slice, records) in &self.held {
                levels.grow(*records);
                write(column.untyped(), field, slice, *records, &levels).map_err(fault)?;
            }
            column.close().map_err(fault)?;
        }
        group.close().map_err(fault)?;
        self.held.clear();
        self.held_elements = 0;
        Ok(())
    }
}

impl Export for Groups {
    fn put(&mut self, slice: &Slice, records: usize) -> Result<()> {
        // The page stays alive while its slice is held.
        self.held.push((slice.clone(), records));
        self.held_elements += records * self.record_elements;
        if self.held_elements >= GROUP_ELEMENTS { self.flush() } else { Ok(()) }
    }

    fn end(mut self: Box<Self>) -> Result<Output> {
        self.flush()?;
        self.writer.into_inner().map_err(fault)
    }
}

fn fault(error: ParquetError) -> Failure {
    match error {
        ParquetError::External(source) => match source.downcast::<std::io::Error>() {
            Ok(io) => Failure::from(*io),
            Err(other) => Failure::from(std::io::Error::other(other)),
        },
        other => Failure::from(std::io::Error::other(other)),
    }
}

fn primitive(name: &str, physical: Physical, logical: Option<LogicalType>) -> Result<TypePtr> {
    let builder = Type::primitive_type_builder(name, physical)
        .with_repetition(Repetition::REQUIRED)
        .with_logical_type(logical);
    Ok(Arc::new(builder.build().map_err(fault)?))
}

/// The type of a column: its elements in as many lists as it has sides.
fn field_type(key: &str, column: &Column) -> Result<TypePtr> {
    let sides = column.shape().len();
    let (physical, logical) = element_type(column.dtype());
    let mut inner = primitive(if sides == 0 { key } else { "element" }, physical, logical)?;
    for side in (0..sides).rev() {
        let list = Type::group_type_builder("list")
            .with_repetition(Repetition::REPEATED)
            .with_fields(vec![inner])
            .build()
            .map_err(fault)?;
        let outer = Type::group_type_builder(if side == 0 { key } else { "element" })
            .with_repetition(Repetition::REQUIRED)
            .with_logical_type(Some(LogicalType::List))
            .with_fields(vec![Arc::new(list)])
            .build()
            .map_err(fault)?;
        inner = Arc::new(outer);
    }
    Ok(inner)
}

fn element_type(dtype: DType) -> (Physical, Option<LogicalType>) {
    let integer = |width, is_signed| Some(LogicalType::integer(width, is_signed));
    match dtype {
        DType::Bool => (Physical::BOOLEAN, None),
        DType::I8 => (Physical::INT32, integer(8, true)),
        DType::I16 => (Physical::INT32, integer(16, true)),
        DType::I32 => (Physical::INT32, integer(32, true)),
        DType::I64 => (Physical::INT64, integer(64, true)),
        DType::U8 => (Physical::INT32, integer(8, false)),
        DType::U16 => (Physical::INT32, integer(16, false)),
        DType::U32 => (Physical::INT32, integer(32, false)),
        DType::U64 => (Physical::INT64, integer(64, false)),
        DType::F32 => (Physical::FLOAT, None),
        DType::F64 => (Physical::DOUBLE, None),
    }
}

/// The levels of nested lists, all of them full: where each list begins.
struct Levels {
    shape: Vec<usize>,
    elements: usize,
    definition: Vec<i16>,
    repetition: Vec<i16>,
}

impl Levels {
    fn new(shape: &[u32]) -> Self {
        let shape: Vec<usize> = shape.iter().map(|&side| side as usize).collect();
        let elements = shape.iter().product();
        Self { shape, elements, definition: Vec::new(), repetition: Vec::new() }
    }

    /// Makes levels for at least `records` records.
    fn grow(&mut self, records: usize) {
        let sides = self.shape.len();
        let wanted = if sides == 0 { 0 } else { records * self.elements };
        self.definition.resize(wanted.max(self.definition.len()), sides as i16);
        for element in self.repetition.len()..wanted {
            // The outermost list that goes on at this element: 0 where a record begins.
            let mut inner = self.elements;
            let level = self.shape.iter().position(|&side| {
                let begins = element % inner == 0;
                inner /= side.max(1);
                begins
            });
            self.repetition.push(level.unwrap_or(sides) as i16);
        }
    }

    fn of(&self, records: usize) -> (Option<&[i16]>, Option<&[i16]>) {
        if self.shape.is_empty() {
            return (None, None);
        }
        let elements = records * self.elements;
        (self.definition.get(..elements), self.repetition.get(..elements))
    }
}

/// Writes the values of a slice.
fn write(
    writer: &mut ColumnWriter<'_>,
    field: &Field,
    slice: &Slice,
    records: usize,
    levels: &Levels,
) -> Result<(), ParquetError> {
    let (definition, repetition) = levels.of(records);
    let elements = || field.values(slice, records).flat_map(|value| value.elements());
    match writer {
        ColumnWriter::BoolColumnWriter(writer) => {
            let values: Vec<bool> = elements().map(|e| e == Element::Bool(true)).collect();
            writer.write_batch(&values, definition, repetition)?;
        }
        ColumnWriter::Int32ColumnWriter(writer) => {
            let values: Vec<i32> = elements().map(|e| integer(e) as i32).collect();
            writer.write_batch(&values, definition, repetition)?;
        }
        ColumnWriter::Int64ColumnWriter(writer) => {
            let values: Vec<i64> = elements().map(integer).collect();
            writer.write_batch(&values, definition, repetition)?;
        }
        ColumnWriter::FloatColumnWriter(writer) => {
            let values: Vec<f32> = elements()
                .map(|e| if let Element::F32(value) = e { value } else { f32::NAN })
                .collect();
            writer.write_batch(&values, definition, repetition)?;
        }
        ColumnWriter::DoubleColumnWriter(writer) => {
            let values: Vec<f64> = elements()
                .map(|e| if let Element::F64(value) = e { value } else { f64::NAN })
                .collect();
            writer.write_batch(&values, definition, repetition)?;
        }
        _ => return Err(ParquetError::General("a column of another type".to_owned())),
    }
    Ok(())
}

/// An integer's bits; unsigned ones keep theirs, as Parquet wants it.
fn integer(element: Element) -> i64 {
    match element {
        Element::Signed(value) => value,
        Element::Unsigned(value) => value.cast_signed(),
        Element::Bool(value) => i64::from(value),
        Element::F32(_) | Element::F64(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_tell_where_lists_begin() {
        let mut levels = Levels::new(&[2, 3]);
        levels.grow(2);
        assert_eq!(levels.repetition, [0, 2, 2, 1, 2, 2, 0, 2, 2, 1, 2, 2]);
        assert_eq!(levels.definition, [2; 12]);
        assert_eq!(Levels::new(&[]).of(5), (None, None));
    }
}
