//! Records of a block or of a section of a frame, as rows.
//!
//! # Invariants
//! - Lanes have the lengths that the schema gives them, or there are no rows.

use presence_cli::element::Shaped;
use presence_cli::failure::Result;
use presence_cli::moment;
use presence_cli::output::Output;
use presence_cli::table::{Align, Table};
use presence_format::block::BlockLayout;
use presence_format::entry::Entry;
use presence_format::frame::Section;
use presence_format::{Compression, Schema};
use serde::ser::{Serialize, SerializeMap, Serializer};
use std::io::Write;

use crate::streams::Known;

/// Lines from which widths are found.
const LINES_HELD: usize = 256;

/// Records as lanes.
pub(crate) struct Rows<'a> {
    schema: &'a Schema,
    lanes: Vec<&'a [u8]>,
    first_sequence: u64,
    pub(crate) records: usize,
}

/// A decoded block.
pub(crate) struct Decoded {
    bytes: Vec<u8>,
    records: usize,
    first_sequence: u64,
    /// What is wrong with it all the same.
    pub(crate) fault: Option<String>,
}

impl Decoded {
    /// Decodes a block's payload; what is wrong, where it cannot be.
    pub(crate) fn of(entry: &Entry, payload: &[u8], layout: &BlockLayout) -> Result<Self, String> {
        let block = entry.block.ok_or_else(|| "not a block".to_owned())?;
        let tell = |error: presence_format::FormatError| error.what;
        let compression = Compression::from_code(block.compression).map_err(tell)?;
        let records = entry.header.records.get() as usize;
        // The cap of the format, checked with the header.
        let mut bytes = vec![0; block.decoded_bytes.get() as usize];
        layout.decode(compression, records, payload, &mut bytes).map_err(tell)?;
        let times = bytes.get(..8 * records).unwrap_or_default().as_chunks::<8>().0;
        let ts = |word: Option<&[u8; 8]>| word.map(|word| i64::from_le_bytes(*word));
        let is_named = ts(times.first()) == Some(block.first_ts.get())
            && ts(times.last()) == Some(block.last_ts.get());
        let ascends = times
            .array_windows()
            .all(|[left, right]| i64::from_le_bytes(*left) <= i64::from_le_bytes(*right));
        let fault = match (is_named, ascends) {
            (false, _) => Some("timestamps differ from those in its header".to_owned()),
            (_, false) => Some("timestamps out of order".to_owned()),
            _ => None,
        };
        Ok(Self { bytes, records, first_sequence: entry.header.first_sequence.get(), fault })
    }

    /// Its records.
    pub(crate) fn rows<'a>(&'a self, known: &'a Known) -> Rows<'a> {
        let ranges = known.layout.ranges(self.records);
        Rows {
            schema: &known.entry.schema,
            lanes: ranges.map(|range| self.bytes.get(range).unwrap_or_default()).collect(),
            first_sequence: self.first_sequence,
            records: self.records,
        }
    }
}

struct Row<'a> {
    rows: &'a Rows<'a>,
    index: usize,
}

impl Serialize for Row<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let columns = self.rows.schema.columns();
        let mut map = serializer.serialize_map(Some(2 + columns.len()))?;
        map.serialize_entry("sequence", &self.rows.sequence(self.index))?;
        map.serialize_entry("ts", &self.rows.ts(self.index))?;
        map.serialize_entry("values", &Values(self))?;
        map.end()
    }
}

/// The values by the names of their columns.
struct Values<'a>(&'a Row<'a>);

impl Serialize for Values<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let columns = self.0.rows.schema.columns();
        let mut map = serializer.serialize_map(Some(columns.len()))?;
        for (column, value) in columns.iter().zip(self.0.rows.values(self.0.index)) {
            map.serialize_entry(column.name(), &value)?;
        }
        map.end()
    }
}

impl<'a> Rows<'a> {
    /// The records of a section of a frame.
    pub(crate) fn of_section(section: &Section<'a>, known: &'a Known) -> Self {
        Self {
            schema: &known.entry.schema,
            lanes: section.lanes(&known.layout).collect(),
            first_sequence: section.first_sequence,
            records: section.records as usize,
        }
    }

    fn sequence(&self, index: usize) -> u64 {
        self.first_sequence.saturating_add(index as u64)
    }

    fn ts(&self, index: usize) -> i64 {
        let times = self.lanes.first().copied().unwrap_or_default().as_chunks::<8>().0;
        times.get(index).map_or(0, |word| i64::from_le_bytes(*word))
    }

    fn values(&self, index: usize) -> impl Iterator<Item = Shaped<'_>> {
        let lanes = self.schema.columns().iter().zip(self.lanes.iter().skip(1));
        lanes.map(move |(column, lane)| {
            let len = column.value_bytes();
            let start = len.saturating_mul(index);
            let bytes = lane.get(start..start.saturating_add(len)).unwrap_or_default();
            Shaped { dtype: column.dtype(), shape: column.shape(), bytes }
        })
    }

    /// Writes them as a table; at most `limit`.
    ///
    /// # Errors
    /// Where the output cannot be written.
    pub(crate) fn write_text(&self, limit: u64, out: &mut Output) -> Result<()> {
        let mut titles =
            vec![("sequence", Align::Right), ("ts", Align::Right), ("time", Align::Left)];
        let columns = self.schema.columns().iter();
        titles.extend(columns.map(|column| {
            let is_scalar = column.shape().is_empty();
            (column.name(), if is_scalar { Align::Right } else { Align::Left })
        }));
        let mut table = Table::new(&titles).indented("  ");
        let shown = self.shown(limit);
        for index in 0..shown {
            let ts = self.ts(index);
            let time = moment::describe(ts, self.schema.time_unit());
            let cells = [self.sequence(index).to_string(), ts.to_string(), time];
            table.line(cells.into_iter().chain(self.values(index).map(|value| value.to_string())));
            if table.pending() > LINES_HELD {
                table.write(out)?;
            }
        }
        table.write(out)?;
        if shown < self.records {
            writeln!(out, "  … {} more not shown", self.records - shown)?;
        }
        Ok(())
    }

    /// Writes them as an array of JSON; at most `limit`.
    ///
    /// # Errors
    /// Where the output cannot be written.
    pub(crate) fn write_json(&self, limit: u64, out: &mut Output) -> Result<()> {
        write!(out, "[")?;
        for index in 0..self.shown(limit) {
            write!(out, "{}", if index == 0 { "\n" } else { ",\n" })?;
            serde_json::to_writer(&mut *out, &Row { rows: self, index })?;
        }
        Ok(write!(out, "]")?)
    }

    fn shown(&self, limit: u64) -> usize {
        self.records.min(usize::try_from(limit).unwrap_or(usize::MAX))
    }
}
