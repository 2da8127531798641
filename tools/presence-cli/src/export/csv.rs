//! Records as CSV (RFC 4180, lines end with LF).
//!
//! # Invariants
//! - Every line has as many fields as the header: elements of shaped columns have one each.

use std::io::Write;

use presence::Slice;

use super::{Export, Field};
use presence_cli::failure::{Failure, Result};
use presence_cli::output::Output;

/// Most elements of a value that become fields.
const ELEMENTS_MAX: usize = 4096;

/// The writer of lines.
#[derive(Debug)]
pub(super) struct Lines {
    fields: Vec<Field>,
    output: Output,
}

impl Lines {
    /// Writes the header.
    pub(super) fn new(fields: Vec<Field>, mut output: Output) -> Result<Self> {
        let mut header = String::from("ts");
        for field in &fields {
            let elements = field.column.elements();
            if elements > ELEMENTS_MAX {
                return Err(Failure::usage(format!(
                    "column {:?} has {elements} elements a record, and CSV would need a field for \
                     each (the limit is {ELEMENTS_MAX}); choose others with --columns, or use \
                     --format parquet or jsonl",
                    field.column.name()
                )));
            }
            if field.column.shape().is_empty() {
                header.push(',');
                header.push_str(&quoted(&field.key));
            } else {
                for element in 0..elements {
                    header.push(',');
                    header.push_str(&quoted(&format!("{}.{element}", field.key)));
                }
            }
        }
        writeln!(output, "{header}")?;
        Ok(Self { fields, output })
    }
}

impl Export for Lines {
    fn put(&mut self, slice: &Slice, records: usize) -> Result<()> {
        for (record, ts) in slice.timestamps().iter().take(records).enumerate() {
            write!(self.output, "{ts}")?;
            for field in &self.fields {
                for element in field.value(slice, record).elements() {
                    write!(self.output, ",{element}")?;
                }
            }
            self.output.write_all(b"\n")?;
        }
        Ok(())
    }

    fn end(self: Box<Self>) -> Result<Output> {
        Ok(self.output)
    }
}

fn quoted(name: &str) -> String {
    if name.contains([',', '"', '\n', '\r']) {
        return format!("\"{}\"", name.replace('"', "\"\""));
    }
    name.to_owned()
}
