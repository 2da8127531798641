//! Records handed over in one call, column by column.
//!
//! # Invariants
//! - `timestamps` and every column hold the same number of records once [`Batch::check`] passed.
//! - Column bytes are little-endian elements in row-major order, as on disk.

use crate::dtype::Scalar;
use crate::error::{FormatError, Result};
use crate::schema::Schema;

/// The values of one column, as bytes: `records * value_bytes` of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ColumnData {
    bytes: Vec<u8>,
}

impl ColumnData {
    /// An empty column.
    pub const fn new() -> Self {
        Self { bytes: Vec::new() }
    }

    /// The bytes so far.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Appends bytes: the caller keeps them whole values.
    pub fn push_bytes(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Appends one element.
    pub fn push<T: Scalar>(&mut self, value: T) {
        self.bytes.extend_from_slice(bytemuck::bytes_of(&value));
    }

    /// Appends elements.
    pub fn extend<T: Scalar>(&mut self, values: &[T]) {
        self.bytes.extend_from_slice(bytemuck::cast_slice(values));
    }

    /// Forgets the values, keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
    }
}

/// Owned columns of records for one stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    /// One timestamp a record, in the stream's unit.
    pub timestamps: Vec<i64>,
    /// One entry a column, in the order of the schema.
    pub columns: Vec<ColumnData>,
}

impl Batch {
    /// An empty batch with as many columns as `schema`.
    pub fn new(schema: &Schema) -> Self {
        Self {
            timestamps: Vec::new(),
            columns: schema.columns().iter().map(|_| ColumnData::new()).collect(),
        }
    }

    /// Records in the batch.
    pub fn len(&self) -> usize {
        self.timestamps.len()
    }

    /// Whether the batch holds no record.
    pub fn is_empty(&self) -> bool {
        self.timestamps.is_empty()
    }

    /// Forgets the records, keeps the memory.
    pub fn clear(&mut self) {
        self.timestamps.clear();
        for column in &mut self.columns {
            column.clear();
        }
    }

    /// Checks the number of columns and the length of each against `schema`.
    ///
    /// # Errors
    /// [`Invalid`](crate::FormatErrorKind::Invalid) with the column and both lengths.
    pub fn check(&self, schema: &Schema) -> Result<()> {
        if self.columns.len() != schema.columns().len() {
            return Err(FormatError::invalid(format!(
                "a batch of {} columns for a stream of {}",
                self.columns.len(),
                schema.columns().len()
            )));
        }
        for (column, data) in schema.columns().iter().zip(&self.columns) {
            let want = column.value_bytes().saturating_mul(self.len());
            if data.bytes.len() != want {
                return Err(FormatError::invalid(format!(
                    "column {:?} ({}) has {} bytes; {} records need {want}",
                    column.name(),
                    column.type_name(),
                    data.bytes.len(),
                    self.len()
                )));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Column, DType, FormatErrorKind};

    #[test]
    fn columns_must_be_as_many_and_as_long_as_the_schema_says() {
        let columns = vec![Column::scalar("x", DType::F64), Column::scalar("class", DType::U8)];
        let schema = Schema::new(columns).unwrap();
        let mut batch = Batch::new(&schema);
        assert!(batch.is_empty() && batch.check(&schema).is_ok());
        batch.timestamps.extend([1, 2]);
        batch.columns[0].extend(&[0.5, 1.5]);
        batch.columns[1].push(7_u8);
        let short = batch.check(&schema).unwrap_err();
        assert_eq!(short.kind, FormatErrorKind::Invalid);
        assert_eq!(short.what, "column \"class\" (u8) has 1 bytes; 2 records need 2");
        batch.columns[1].push_bytes(&[8]);
        assert!(batch.check(&schema).is_ok());
        assert_eq!((batch.len(), batch.columns[1].bytes()), (2, &[7, 8][..]));
        let other = Schema::single(DType::F64, &[]).unwrap();
        let more = batch.check(&other).unwrap_err();
        assert_eq!(more.what, "a batch of 2 columns for a stream of 1");
        batch.clear();
        assert!(batch.is_empty() && batch.columns.iter().all(|column| column.bytes().is_empty()));
    }
}
