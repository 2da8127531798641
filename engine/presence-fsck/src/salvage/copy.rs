//! Copies the records of one stream into a new database.
//!
//! # Invariants
//! - Each sequence is copied at most once, and timestamps keep the stream's order.
//! - What cannot be decoded is passed over: another copy of the same records may follow.

use std::io;

use presence::{ColumnWriter, Schema};
use presence_format::Compression;
use presence_format::block::BlockLayout;
use presence_format::entry::{Entry, EntryKind};
use presence_format::frame::Section;

use super::source::Source;
use super::units::Unit;
use super::{Error, Salvaged, hunt};
use crate::report::Lost;

/// Bytes handed to the engine at once.
const BATCH_BYTES: usize = 1 << 20;

/// One stream on its way.
pub(super) struct Copy<'a> {
    pub(super) name: &'a str,
    pub(super) id: u32,
    pub(super) layout: BlockLayout,
    pub(super) writer: ColumnWriter,
    /// Where the next record belongs; none before the first.
    next: Option<u64>,
    last_ts: Option<i64>,
}

impl<'a> Copy<'a> {
    pub(super) fn new(
        name: &'a str,
        id: u32,
        schema: &'a Schema,
        writer: ColumnWriter,
        start: Option<u64>,
    ) -> Self {
        let layout = BlockLayout::new(schema);
        Self { name, id, layout, writer, next: start, last_ts: None }
    }

    /// Copies what `unit` has of the records that are still to come.
    pub(super) fn take(
        &mut self,
        source: &mut Source<'_>,
        unit: &Unit,
        salvaged: &mut Salvaged,
    ) -> Result<(), Error> {
        let skip = self.next.unwrap_or(0).saturating_sub(unit.first_sequence);
        if skip >= u64::from(unit.records) {
            return Ok(());
        }
        let name = source.name(unit.file).to_owned();
        let decoded = self.decode(source, unit).map_err(|error| Error::read(&name, error))?;
        let lanes = match decoded {
            Ok(lanes) => lanes,
            Err(what) => {
                salvaged.refuse(&name, unit.at, &what);
                return Ok(());
            }
        };
        let sliced: Vec<&[u8]> = lanes
            .iter()
            .zip(self.layout.lanes())
            .map(|(lane, shape)| lane.get(skip as usize * shape.value_bytes..).unwrap_or_default())
            .collect();
        let times = sliced.first().copied().unwrap_or_default();
        if let Err(error) = self.layout.check_order(self.last_ts, times) {
            salvaged.refuse(&name, unit.at, &error.what);
            return Ok(());
        }
        let times: Vec<i64> =
            times.as_chunks::<8>().0.iter().map(|word| i64::from_le_bytes(*word)).collect();
        self.note_hole(unit.first_sequence, times.first().copied(), salvaged);
        self.append(&times, sliced.get(1..).unwrap_or_default())?;
        self.next = Some(unit.end_sequence());
        self.last_ts = times.last().copied();
        salvaged.records += times.len() as u64;
        Ok(())
    }

    fn note_hole(&self, first_sequence: u64, before_ts: Option<i64>, salvaged: &mut Salvaged) {
        if let Some(next) = self.next
            && first_sequence > next
        {
            salvaged.lost.push(Lost {
                stream: self.name.to_owned(),
                first_sequence: next,
                records: first_sequence - next,
                after_ts: self.last_ts,
                before_ts,
                known_since: None,
            });
        }
    }

    /// Notes what is missing behind the last record, where `counted` of them were known.
    pub(super) fn end(&self, counted: u64, salvaged: &mut Salvaged) {
        self.note_hole(counted, None, salvaged);
    }

    fn append(&mut self, times: &[i64], columns: &[&[u8]]) -> Result<(), Error> {
        let batch = (BATCH_BYTES / self.layout.record_bytes().max(1)).max(1);
        let shapes: Vec<usize> =
            self.layout.lanes().iter().skip(1).map(|lane| lane.value_bytes).collect();
        for (index, times) in times.chunks(batch).enumerate() {
            let from = index * batch;
            let part: Vec<&[u8]> = columns
                .iter()
                .zip(&shapes)
                .map(|(column, bytes)| {
                    column.get(from * bytes..(from + times.len()) * bytes).unwrap_or_default()
                })
                .collect();
            self.writer.append_columns(times, &part)?;
        }
        Ok(())
    }

    /// The lanes of a unit, whole.
    fn decode(
        &self,
        source: &mut Source<'_>,
        unit: &Unit,
    ) -> io::Result<Result<Vec<Vec<u8>>, String>> {
        let sizes = source.sizes;
        let bytes = source.bytes(unit.file)?;
        let Some(entry) = hunt::header(bytes.get(unit.at, 128)?) else {
            return Ok(Err("the entry has changed since it was found".to_owned()));
        };
        let payload_at = unit.at + u64::from(entry.kind.header_bytes());
        let payload = bytes.get_padded(payload_at, entry.header.payload_bytes.get() as usize)?;
        Ok(match entry.kind {
            EntryKind::Block => self.block(&entry, payload),
            _ => self.section(payload, unit, sizes),
        })
    }

    fn block(&self, entry: &Entry, payload: &[u8]) -> Result<Vec<Vec<u8>>, String> {
        let Some(block) = entry.block else { return Err("no block".to_owned()) };
        if block.schema_crc.get() != self.layout.schema_crc() {
            return Err(format!("a block of another schema than stream {:?} has", self.name));
        }
        let records = entry.header.records.get() as usize;
        let compression = Compression::from_code(block.compression).map_err(|error| error.what)?;
        let mut decoded = vec![0; self.layout.decoded_bytes(records)];
        self.layout
            .decode(compression, records, payload, &mut decoded)
            .map_err(|error| error.what)?;
        let lane = |range: std::ops::Range<usize>| decoded.get(range).unwrap_or_default().to_vec();
        Ok(self.layout.ranges(records).map(lane).collect())
    }

    fn section(
        &self,
        payload: &[u8],
        unit: &Unit,
        sizes: &dyn Fn(u32) -> Option<usize>,
    ) -> Result<Vec<Vec<u8>>, String> {
        let mut rest = payload;
        while !rest.is_empty() {
            let section;
            (section, rest) = Section::decode(rest, sizes).map_err(|error| error.what)?;
            if section.stream == self.id && section.first_sequence == unit.first_sequence {
                return Ok(section.lanes(&self.layout).map(<[u8]>::to_vec).collect());
            }
        }
        Err(format!("no records of stream {:?} in the frame", self.name))
    }
}
