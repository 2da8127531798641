//! Results as Arrow sees them, through its C data interface.
//!
//! # Invariants
//! - Memory is shared where Arrow's layout is the engine's: all but bools, which Arrow packs.
//! - What is handed out keeps its owner alive until the consumer lets go of it.

use std::sync::Arc;

use arrow_array::ffi::{FFI_ArrowArray, FFI_ArrowSchema, to_ffi};
use arrow_array::ffi_stream::FFI_ArrowArrayStream;
use arrow_array::types as arrow;
use arrow_array::{
    Array, ArrayRef, ArrowPrimitiveType, BooleanArray, FixedSizeListArray, PrimitiveArray,
    RecordBatch, RecordBatchIterator, StructArray,
};
use arrow_buffer::{BooleanBuffer, Buffer, NullBuffer, ScalarBuffer};
use arrow_schema::{ArrowError, DataType, Field, Schema, TimeUnit as ArrowUnit};
use presence::{Column, DType, TimeUnit};
use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyTuple};

use crate::array::Owner;
use crate::error::{OrRaise, invalid};
use crate::samples::Samples;
use crate::schema::time_name;
use crate::window::Window;

/// What is handed out keeps this alive.
struct Kept(Owner);

impl AsRef<[u8]> for Kept {
    fn as_ref(&self) -> &[u8] {
        self.0.bytes()
    }
}

fn buffer(owner: Owner) -> Buffer {
    let bytes = owner.bytes();
    if bytes.as_ptr().align_offset(8) == 0 {
        return Buffer::from(bytes::Bytes::from_owner(Kept(owner)));
    }
    Buffer::from(bytes)
}

fn element(dtype: DType) -> DataType {
    match dtype {
        DType::Bool => DataType::Boolean,
        DType::I8 => DataType::Int8,
        DType::I16 => DataType::Int16,
        DType::I32 => DataType::Int32,
        DType::I64 => DataType::Int64,
        DType::U8 => DataType::UInt8,
        DType::U16 => DataType::UInt16,
        DType::U32 => DataType::UInt32,
        DType::U64 => DataType::UInt64,
        DType::F32 => DataType::Float32,
        DType::F64 => DataType::Float64,
    }
}

fn time_type(unit: TimeUnit) -> DataType {
    let unit = match unit {
        TimeUnit::Us => ArrowUnit::Microsecond,
        TimeUnit::Ns => ArrowUnit::Nanosecond,
    };
    DataType::Timestamp(unit, None)
}

/// Lists of fixed size, one in another for each side of the shape.
fn data_type(column: &Column) -> DataType {
    column.shape().iter().rev().fold(element(column.dtype()), |inner, &side| {
        DataType::FixedSizeList(item(inner), i32::try_from(side).unwrap_or(i32::MAX))
    })
}

fn item(inner: DataType) -> Arc<Field> {
    Arc::new(Field::new("item", inner, false))
}

fn schema(columns: &[Column], unit: TimeUnit, nullable: bool) -> Schema {
    let time = Field::new(time_name(columns), time_type(unit), nullable);
    let rest = columns.iter().map(|one| Field::new(one.name(), data_type(one), nullable));
    Schema::new(std::iter::once(time).chain(rest).collect::<Vec<_>>())
}

fn primitive<T: ArrowPrimitiveType>(owner: Owner, len: usize) -> ArrayRef {
    let values = ScalarBuffer::<T::Native>::new(buffer(owner), 0, len);
    Arc::new(PrimitiveArray::<T>::new(values, None))
}

fn elements(owner: Owner, dtype: DType, len: usize) -> ArrayRef {
    match dtype {
        DType::Bool => {
            let bytes = owner.bytes();
            let bits =
                BooleanBuffer::collect_bool(len, |at| bytes.get(at).is_some_and(|&b| b != 0));
            Arc::new(BooleanArray::new(bits, None))
        }
        DType::I8 => primitive::<arrow::Int8Type>(owner, len),
        DType::I16 => primitive::<arrow::Int16Type>(owner, len),
        DType::I32 => primitive::<arrow::Int32Type>(owner, len),
        DType::I64 => primitive::<arrow::Int64Type>(owner, len),
        DType::U8 => primitive::<arrow::UInt8Type>(owner, len),
        DType::U16 => primitive::<arrow::UInt16Type>(owner, len),
        DType::U32 => primitive::<arrow::UInt32Type>(owner, len),
        DType::U64 => primitive::<arrow::UInt64Type>(owner, len),
        DType::F32 => primitive::<arrow::Float32Type>(owner, len),
        DType::F64 => primitive::<arrow::Float64Type>(owner, len),
    }
}

/// A column of `records`; where `there` is given, null where it says so.
fn column_array(
    owner: Owner,
    column: &Column,
    records: usize,
    there: Option<&NullBuffer>,
) -> Result<ArrayRef, ArrowError> {
    let len = records.saturating_mul(column.elements());
    let mut array = elements(owner, column.dtype(), len);
    for &side in column.shape().iter().rev() {
        let size = i32::try_from(side).map_err(|_| ArrowError::CDataInterface("a side".into()))?;
        let item = item(array.data_type().clone());
        array = Arc::new(FixedSizeListArray::try_new(item, size, array, None)?);
    }
    nulled(array, there)
}

/// The array, null where `there` says so.
fn nulled(array: ArrayRef, there: Option<&NullBuffer>) -> Result<ArrayRef, ArrowError> {
    let Some(there) = there else { return Ok(array) };
    let data = array.to_data().into_builder().nulls(Some(there.clone())).build()?;
    Ok(arrow_array::make_array(data))
}

fn times(owner: Owner, unit: TimeUnit, records: usize) -> ArrayRef {
    match unit {
        TimeUnit::Us => primitive::<arrow::TimestampMicrosecondType>(owner, records),
        TimeUnit::Ns => primitive::<arrow::TimestampNanosecondType>(owner, records),
    }
}

type Capsule<'py> = Bound<'py, PyCapsule>;

fn schema_capsule<'py>(py: Python<'py>, schema: &Schema) -> PyResult<Capsule<'py>> {
    let schema = FFI_ArrowSchema::try_from(schema).map_err(|why| invalid(py, why))?;
    PyCapsule::new_with_value(py, schema, c"arrow_schema")
}

fn array_capsules(py: Python<'_>, batch: RecordBatch) -> PyResult<Bound<'_, PyTuple>> {
    let made = to_ffi(&StructArray::from(batch).to_data()).map_err(|why| invalid(py, why))?;
    let (array, schema): (FFI_ArrowArray, FFI_ArrowSchema) = made;
    let schema = PyCapsule::new_with_value(py, schema, c"arrow_schema")?;
    let array = PyCapsule::new_with_value(py, array, c"arrow_array")?;
    PyTuple::new(py, [schema, array])
}

fn stream_capsule<'py>(
    py: Python<'py>,
    schema: Schema,
    batches: Vec<RecordBatch>,
) -> PyResult<Capsule<'py>> {
    let batches = batches.into_iter().map(Ok);
    let reader = RecordBatchIterator::new(batches, Arc::new(schema));
    let stream = FFI_ArrowArrayStream::new(Box::new(reader));
    PyCapsule::new_with_value(py, stream, c"arrow_array_stream")
}

impl Window {
    fn arrow_schema(&self) -> Schema {
        schema(self.columns(), self.stream.schema().time_unit(), false)
    }

    /// One batch a block, nothing of it copied but bools.
    fn batches(&self) -> presence::Result<Result<Vec<RecordBatch>, ArrowError>> {
        let arrow_schema = Arc::new(self.arrow_schema());
        let unit = self.stream.schema().time_unit();
        let mut batches = Vec::new();
        for slice in self.engine.slices() {
            let slice = slice?;
            let records = slice.len();
            let mut arrays = vec![times(Owner::Times(slice.clone()), unit, records)];
            for (index, column) in self.columns().iter().enumerate() {
                match column_array(Owner::Column(slice.clone(), index), column, records, None) {
                    Ok(array) => arrays.push(array),
                    Err(error) => return Ok(Err(error)),
                }
            }
            match RecordBatch::try_new(Arc::clone(&arrow_schema), arrays) {
                Ok(batch) => batches.push(batch),
                Err(error) => return Ok(Err(error)),
            }
        }
        Ok(Ok(batches))
    }
}

#[pymethods]
impl Window {
    /// Arrow's type of the result.
    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyResult<Capsule<'py>> {
        schema_capsule(py, &self.arrow_schema())
    }

    /// The result as Arrow batches, one a block.
    #[pyo3(signature = (requested_schema = None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Capsule<'py>> {
        // What is there is handed out: a consumer casts what it wants otherwise.
        drop(requested_schema);
        let batches = py.detach(|| self.batches()).or_raise(py)?.map_err(|why| invalid(py, why))?;
        stream_capsule(py, self.arrow_schema(), batches)
    }

    /// The result as one Arrow array of structs.
    #[pyo3(signature = (requested_schema = None))]
    fn __arrow_c_array__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyTuple>> {
        drop(requested_schema);
        let unit = self.stream.schema().time_unit();
        let (owner, records) = self.owner(py, None)?;
        let mut arrays = vec![times(owner, unit, records)];
        for (index, column) in self.columns().iter().enumerate() {
            let (owner, records) = self.owner(py, Some(index))?;
            let array = column_array(owner, column, records, None);
            arrays.push(array.map_err(|why| invalid(py, why))?);
        }
        let batch = RecordBatch::try_new(Arc::new(self.arrow_schema()), arrays);
        array_capsules(py, batch.map_err(|why| invalid(py, why))?)
    }
}

impl Samples {
    fn arrow_schema(&self) -> Schema {
        schema(self.columns(), self.stream().schema().time_unit(), true)
    }

    fn batch(&self) -> Result<RecordBatch, ArrowError> {
        let gathered = self.gathered();
        let records = gathered.len();
        let found = gathered.found();
        let there =
            BooleanBuffer::collect_bool(records, |at| matches!(found.get(at), Some(Some(_))));
        let there = NullBuffer::new(there);
        let unit = self.stream().schema().time_unit();
        let mut arrays = vec![nulled(times(self.stamps(), unit, records), Some(&there))?];
        for (index, column) in self.columns().iter().enumerate() {
            let owner = Owner::Gathered(Arc::clone(gathered), index);
            arrays.push(column_array(owner, column, records, Some(&there))?);
        }
        RecordBatch::try_new(Arc::new(self.arrow_schema()), arrays)
    }
}

#[pymethods]
impl Samples {
    /// Arrow's type of the result.
    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyResult<Capsule<'py>> {
        schema_capsule(py, &self.arrow_schema())
    }

    /// The result as one Arrow batch; null where no record was in force.
    #[pyo3(signature = (requested_schema = None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Capsule<'py>> {
        drop(requested_schema);
        let batch = py.detach(|| self.batch()).map_err(|why| invalid(py, why))?;
        stream_capsule(py, self.arrow_schema(), vec![batch])
    }

    /// The result as one Arrow array of structs; null where no record was in force.
    #[pyo3(signature = (requested_schema = None))]
    fn __arrow_c_array__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyTuple>> {
        drop(requested_schema);
        array_capsules(py, py.detach(|| self.batch()).map_err(|why| invalid(py, why))?)
    }
}
