//! Records of a window as text or as Parquet.
//!
//! # Invariants
//! - Slices are written as they come: memory does not grow with the window.
//! - A column called `ts` is written as `ts_1`, since `ts` is the timestamp.

mod csv;
mod jsonl;
mod parquet;
mod table;

use presence::{Column, Schema, Slice};

use presence_cli::element::Shaped;
use presence_cli::failure::{Failure, Result};
use presence_cli::output::Output;

/// How records are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// Aligned columns, for people.
    Table,
    /// A header and a line a record; elements of a shaped column are `name.0`, `name.1`, …
    Csv,
    /// One JSON object a line: `{"ts", "<column>": …}`.
    Jsonl,
    /// Parquet, columns with a shape as lists; needs -o.
    Parquet,
}

/// A column that is written.
#[derive(Debug, Clone)]
pub(crate) struct Field {
    /// The column's index in the stream.
    pub(crate) index: usize,
    /// The column.
    pub(crate) column: Column,
    /// What it is called in the output.
    pub(crate) key: String,
}

impl Field {
    /// The values of the first `records` records of `slice`.
    fn values<'a>(&'a self, slice: &'a Slice, records: usize) -> impl Iterator<Item = Shaped<'a>> {
        let (dtype, shape) = (self.column.dtype(), self.column.shape());
        let values = slice.column_bytes(self.index).chunks_exact(self.column.value_bytes().max(1));
        values.take(records).map(move |bytes| Shaped { dtype, shape, bytes })
    }

    /// The value of record `record` of `slice`.
    fn value<'a>(&'a self, slice: &'a Slice, record: usize) -> Shaped<'a> {
        let width = self.column.value_bytes();
        let bytes = slice.column_bytes(self.index).get(record * width..(record + 1) * width);
        Shaped {
            dtype: self.column.dtype(),
            shape: self.column.shape(),
            bytes: bytes.unwrap_or_default(),
        }
    }
}

/// The columns of `schema` that `names` tells, in that order; all where it is empty.
///
/// # Errors
/// For a name that is no column.
pub(crate) fn fields(schema: &Schema, names: &[String]) -> Result<Vec<Field>> {
    let columns = schema.columns();
    let indices = if names.is_empty() {
        (0..columns.len()).collect()
    } else {
        names.iter().map(|name| column_index(schema, name)).collect::<Result<Vec<_>>>()?
    };
    let chosen = indices.into_iter().filter_map(|index| Some((index, columns.get(index)?)));
    Ok(chosen
        .map(|(index, column)| Field { index, column: column.clone(), key: key(schema, column) })
        .collect())
}

fn column_index(schema: &Schema, name: &str) -> Result<usize> {
    schema.column_index(name).ok_or_else(|| {
        let known: Vec<&str> = schema.columns().iter().map(Column::name).collect();
        Failure::usage(format!("no column is named {name:?}; there are {}", known.join(", ")))
    })
}

/// What a column is called in the output.
fn key(schema: &Schema, column: &Column) -> String {
    if column.name() != "ts" {
        return column.name().to_owned();
    }
    let free = |key: &String| schema.column_index(key).is_none();
    (1..).map(|number| format!("ts_{number}")).find(free).unwrap_or_default()
}

/// Writes records, slice by slice.
pub(crate) trait Export {
    /// Writes the first `records` records of `slice`.
    ///
    /// # Errors
    /// Where the output cannot be written.
    fn put(&mut self, slice: &Slice, records: usize) -> Result<()>;

    /// Writes what is left, and gives the output back.
    ///
    /// # Errors
    /// As [`Export::put`].
    fn end(self: Box<Self>) -> Result<Output>;
}

/// The writer of `format`.
///
/// # Errors
/// Where the columns do not fit the format, or the output cannot be written.
pub(crate) fn begin(
    format: Format,
    schema: &Schema,
    fields: Vec<Field>,
    output: Output,
) -> Result<Box<dyn Export>> {
    Ok(match format {
        Format::Table => Box::new(table::Lines::new(schema, fields, output)),
        Format::Csv => Box::new(csv::Lines::new(fields, output)?),
        Format::Jsonl => Box::new(jsonl::Lines::new(fields, output)),
        Format::Parquet => Box::new(parquet::Groups::new(schema, fields, output)?),
    })
}
