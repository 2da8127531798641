//! Records as a vector's author lists them, their bytes, and how the twin shows them.

use presence_format::schema::Schema;
use serde_json::{Number, Value};

/// One element of a value, as the author means it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Num {
    /// A byte of a `bool` column.
    Bool(u8),
    /// Any signed integer.
    Int(i64),
    /// Any unsigned integer.
    Uint(u64),
    /// An `f32`.
    Single(f32),
    /// An `f64`.
    Double(f64),
}

/// One record: its timestamp and the elements of all its columns, in order.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Row {
    pub(crate) ts: i64,
    pub(crate) elements: Vec<Num>,
}

impl Row {
    pub(crate) fn new(ts: i64, elements: impl Into<Vec<Num>>) -> Self {
        Self { ts, elements: elements.into() }
    }

    /// The record as `[ts, value, ...]`; a value that is no scalar is a flat array.
    pub(crate) fn json(&self, schema: &Schema) -> Value {
        let mut rest = self.elements.iter().map(|element| element.json());
        let mut record = vec![Value::from(self.ts)];
        for column in schema.columns() {
            let value = rest.by_ref().take(column.elements()).collect();
            record.push(shaped(value, column.shape().is_empty()));
        }
        Value::Array(record)
    }
}

impl Num {
    fn json(self) -> Value {
        match self {
            Self::Bool(0) => Value::Bool(false),
            Self::Bool(1) => Value::Bool(true),
            Self::Bool(other) => Value::from(other),
            Self::Int(value) => Value::from(value),
            Self::Uint(value) => Value::from(value),
            Self::Single(value) => single(value),
            Self::Double(value) => double(value),
        }
    }

    /// Appends the `bytes` low bytes of an integer, or all bytes of a float.
    fn encode(self, bytes: usize, out: &mut Vec<u8>) {
        match self {
            Self::Bool(value) => out.push(value),
            Self::Int(value) => out.extend(value.to_le_bytes().iter().take(bytes)),
            Self::Uint(value) => out.extend(value.to_le_bytes().iter().take(bytes)),
            Self::Single(value) => out.extend_from_slice(&value.to_bits().to_le_bytes()),
            Self::Double(value) => out.extend_from_slice(&value.to_bits().to_le_bytes()),
        }
    }
}

/// The lanes of `rows`: timestamps, then each column, without padding.
pub(crate) fn lanes(schema: &Schema, rows: &[Row]) -> Vec<Vec<u8>> {
    let times = rows.iter().flat_map(|row| row.ts.to_le_bytes()).collect();
    let mut lanes = vec![times];
    let mut first = 0;
    for column in schema.columns() {
        let mut lane = Vec::new();
        for row in rows {
            let elements = row.elements.iter().skip(first).take(column.elements());
            elements.for_each(|element| element.encode(column.dtype().bytes(), &mut lane));
        }
        first += column.elements();
        lanes.push(lane);
    }
    lanes
}

/// A scalar by itself, anything else as a flat array.
pub(crate) fn shaped(mut elements: Vec<Value>, scalar: bool) -> Value {
    match (scalar, elements.len()) {
        (true, 1) => elements.pop().unwrap_or_default(),
        _ => Value::Array(elements),
    }
}

/// The shortest decimal that reads back as `value`; the bits of a NaN.
pub(crate) fn double(value: f64) -> Value {
    match Number::from_f64(value) {
        Some(number) => Value::Number(number),
        None if value.is_nan() => Value::String(format!("nan 0x{:016x}", value.to_bits())),
        None => Value::String(format!("{value}")),
    }
}

/// As [`double`], with the shortest decimal that reads back as the same `f32`.
pub(crate) fn single(value: f32) -> Value {
    if value.is_nan() {
        return Value::String(format!("nan 0x{:08x}", value.to_bits()));
    }
    match format!("{value}").parse() {
        Ok(decimal) => double(decimal),
        Err(_) => double(f64::from(value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_shown_shortest_and_nan_by_its_bits() {
        assert_eq!(single(0.1).to_string(), "0.1");
        assert_eq!(double(-0.0).to_string(), "-0.0");
        assert_eq!(double(f64::NEG_INFINITY), "-inf");
        assert_eq!(single(f32::from_bits(0x7fc0_0001)), "nan 0x7fc00001");
    }
}
