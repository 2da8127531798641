//! Records as JSON, one object a line.
//!
//! # Invariants
//! - Keys stand in the order of the columns, after `ts`.

use std::io::Write;

use presence::Slice;
use serde::ser::{Serialize, SerializeMap, Serializer};

use super::{Export, Field};
use presence_cli::failure::Result;
use presence_cli::output::Output;

/// The writer of lines.
#[derive(Debug)]
pub(super) struct Lines {
    fields: Vec<Field>,
    output: Output,
}

impl Lines {
    pub(super) fn new(fields: Vec<Field>, output: Output) -> Self {
        Self { fields, output }
    }
}

struct Line<'a> {
    ts: i64,
    fields: &'a [Field],
    slice: &'a Slice,
    record: usize,
}

impl Serialize for Line<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1 + self.fields.len()))?;
        map.serialize_entry("ts", &self.ts)?;
        for field in self.fields {
            map.serialize_entry(&field.key, &field.value(self.slice, self.record))?;
        }
        map.end()
    }
}

impl Export for Lines {
    fn put(&mut self, slice: &Slice, records: usize) -> Result<()> {
        for (record, &ts) in slice.timestamps().iter().take(records).enumerate() {
            let line = Line { ts, fields: &self.fields, slice, record };
            serde_json::to_writer(&mut self.output, &line)?;
            self.output.write_all(b"\n")?;
        }
        Ok(())
    }

    fn end(self: Box<Self>) -> Result<Output> {
        Ok(self.output)
    }
}
