//! Records as aligned text, for people.
//!
//! # Invariants
//! - Widths are found from the first records; later ones may be wider, and are written whole.

use presence::{Schema, Slice, TimeUnit};

use super::{Export, Field};
use presence_cli::failure::Result;
use presence_cli::moment;
use presence_cli::output::Output;
use presence_cli::table::{Align, Table};

/// Records from which the widths are found.
const RECORDS_HELD: usize = 256;

/// The writer of lines.
#[derive(Debug)]
pub(super) struct Lines {
    fields: Vec<Field>,
    output: Output,
    table: Table,
    unit: TimeUnit,
}

impl Lines {
    pub(super) fn new(schema: &Schema, fields: Vec<Field>, output: Output) -> Self {
        let mut titles = vec![("ts", Align::Right), ("time", Align::Left)];
        titles.extend(fields.iter().map(|field| {
            let is_scalar = field.column.shape().is_empty();
            (field.key.as_str(), if is_scalar { Align::Right } else { Align::Left })
        }));
        let table = Table::new(&titles);
        Self { fields, output, table, unit: schema.time_unit() }
    }
}

impl Export for Lines {
    fn put(&mut self, slice: &Slice, records: usize) -> Result<()> {
        for (record, &ts) in slice.timestamps().iter().take(records).enumerate() {
            let values = self.fields.iter().map(|field| field.value(slice, record).to_string());
            let times = [ts.to_string(), moment::describe(ts, self.unit)];
            self.table.line(times.into_iter().chain(values));
            if self.table.pending() > RECORDS_HELD {
                self.table.write(&mut self.output)?;
            }
        }
        Ok(())
    }

    fn end(mut self: Box<Self>) -> Result<Output> {
        self.table.write(&mut self.output)?;
        Ok(self.output)
    }
}
