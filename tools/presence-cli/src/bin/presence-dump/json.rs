//! A segment as JSON: one document, written as it is found.
//!
//! # Invariants
//! - Checksums are text (`0x…`), everything else that counts is a number.
//! - Nothing is collected: the entries of any file go through one at a time.

use std::io::Write;

use presence_cli::failure::Result;
use presence_cli::output::Output;
use presence_format::index::{Index, IndexEntry};
use presence_format::segment::{DatabaseId, Footer, SegmentHeader};
use presence_format::{Compression, Plane, PlaneKind};
use serde_json::{Value, json};

use crate::ends::Ends;
use crate::streams::{Known, Streams};
use crate::summary::Summary;
use crate::walk::{Contents, Found, Part};

/// The writer of a document.
pub(crate) struct Document {
    out: Output,
    is_first: bool,
}

pub(crate) fn crc(value: impl Into<u32>) -> String {
    format!("{:#010x}", value.into())
}

fn fault<T>(result: &Result<T, String>) -> Option<&str> {
    result.as_ref().err().map(String::as_str)
}

impl Document {
    /// Begins with the header.
    ///
    /// # Errors
    /// Where the output cannot be written, as everywhere here.
    pub(crate) fn begin(mut out: Output, path: &str, ends: &Ends) -> Result<Self> {
        write!(out, "{{\"file\":{},\"bytes\":{}", json!(path), ends.bytes)?;
        let header = ends.header.as_ref().ok().map(header_json);
        write!(out, ",\"header\":{},", json!(header))?;
        write!(out, "\"header_fault\":{},\"entries\":[", json!(fault(&ends.header)))?;
        Ok(Self { out, is_first: true })
    }

    /// One part, as an element of `entries`.
    pub(crate) fn part(&mut self, part: &Part, streams: &Streams) -> Result<()> {
        let value = match part {
            Part::Entry(found) => entry_json(found, streams),
            Part::Zeros { from, to } => json!({"kind": "zeros", "offset": from, "end": to}),
            Part::Unsound { from, to, what } => {
                json!({"kind": "unsound", "offset": from, "end": to, "fault": what})
            }
        };
        let comma = if std::mem::take(&mut self.is_first) { "" } else { "," };
        Ok(write!(self.out, "{comma}\n{value}")?)
    }

    /// Footer, index, streams, and the summary.
    pub(crate) fn end(
        mut self,
        ends: &Ends,
        streams: &Streams,
        summary: &Summary,
        hidden: u64,
    ) -> Result<()> {
        let out = &mut self.out;
        let footer = ends.footer.as_ref();
        let sound = footer.and_then(|footer| footer.as_ref().ok());
        write!(out, "\n],\"entries_hidden\":{hidden},\"sealed\":{},", json!(sound.is_some()))?;
        write!(out, "\"footer\":{},", json!(sound.map(footer_json)))?;
        write!(out, "\"footer_fault\":{},", json!(footer.and_then(fault)))?;
        write!(out, "\"index_fault\":{},", json!(ends.index.as_ref().and_then(fault)))?;
        match &ends.index {
            Some(Ok(index)) => write_index(index, streams, out)?,
            _ => write!(out, "\"index\":null,")?,
        }
        write!(out, "\"retained_from\":{},\"streams\":[", streams.retained_from)?;
        for (index, known) in streams.all().enumerate() {
            write!(out, "{}\n{}", if index == 0 { "" } else { "," }, stream_json(known))?;
        }
        let summary = json!({
            "entries": summary.entries,
            "blocks": summary.blocks,
            "frames": summary.frames,
            "records_in_blocks": summary.records,
            "zero_bytes": summary.zero_bytes,
            "unsound_bytes": summary.unsound_bytes,
            "unsound_places": summary.unsound,
            "durable_offset": summary.durable_offset,
            "faults": summary.faults,
            "sound": summary.is_sound(),
        });
        writeln!(out, "\n],\"summary\":{summary}}}")?;
        self.out.finish()
    }
}

fn header_json(header: &SegmentHeader) -> Value {
    json!({
        "version_major": header.version_major.get(),
        "version_minor": header.version_minor.get(),
        "header_crc": crc(header.header_crc),
        "database": DatabaseId(header.database).to_string(),
        "segment": header.segment.get(),
        "generation": header.generation.get(),
        "log_first": header.log_first.get(),
        "log_last": header.log_last.get(),
        "part": header.part.get(),
        "parts": header.parts.get(),
        "previous_segment": header.previous_segment.get(),
        "previous_end": header.previous_end.get(),
        "previous_crc": crc(header.previous_crc),
        "created_unix_us": header.created_unix_us.get(),
        "features_needed": header.features_needed.get(),
        "features_optional": header.features_optional.get(),
        "set": header.set.get(),
    })
}

fn footer_json(footer: &Footer) -> Value {
    json!({
        "footer_crc": crc(footer.footer_crc),
        "index_offset": footer.index_offset.get(),
        "data_end": footer.data_end.get(),
        "data_crc": crc(footer.data_crc),
        "entries": footer.entries.get(),
        "torn_bytes": footer.torn_bytes.get(),
        "records": footer.records.get(),
        "log_crc": crc(footer.log_crc),
        "log_end": footer.log_end.get(),
    })
}

/// An entry: what every kind has, and what its kind has.
pub(crate) fn entry_json(found: &Found, streams: &Streams) -> Value {
    let (entry, header) = (&found.entry, &found.entry.header);
    let mut value = json!({
        "kind": crate::kind_name(entry.kind),
        "offset": header.offset.get(),
        "end": entry.end(),
        "number": header.number.get(),
        "payload_bytes": header.payload_bytes.get(),
        "header_crc": crc(header.header_crc),
        "payload_crc": crc(header.payload_crc),
        "previous_crc": crc(header.previous_crc),
        "durable_offset": header.durable_offset.get(),
        "fault": found.fault,
        "note": found.note,
    });
    let more = match (&found.contents, entry.block) {
        (_, Some(block)) => json!({
            "block": found.block,
            "stream": header.stream.get(),
            "stream_name": name(streams, header.stream.get()),
            "records": header.records.get(),
            "first_sequence": header.first_sequence.get(),
            "first_ts": block.first_ts.get(),
            "last_ts": block.last_ts.get(),
            "decoded_bytes": block.decoded_bytes.get(),
            "schema_crc": crc(block.schema_crc),
            "compression": Compression::from_code(block.compression).ok().map(Compression::name),
        }),
        (Contents::Catalog(number_of), _) => json!({"streams": number_of}),
        (Contents::Index(blocks), _) => json!({"blocks": blocks}),
        (Contents::Sections(heads), _) => {
            let sections = heads.iter().map(|head| {
                json!({
                    "stream": head.stream,
                    "stream_name": name(streams, head.stream),
                    "records": head.records,
                    "first_sequence": head.first_sequence,
                    "first_ts": head.first_ts,
                    "last_ts": head.last_ts,
                })
            });
            json!({
                "records": header.records.get(),
                "sections": sections.collect::<Vec<_>>(),
            })
        }
        (Contents::Plain, _) => json!({}),
    };
    if let (Some(value), Value::Object(more)) = (value.as_object_mut(), more) {
        value.extend(more);
    }
    value
}

fn name(streams: &Streams, id: u32) -> Option<&str> {
    streams.get(id).map(|known| known.entry.name.as_str())
}

/// One block as the index has it.
pub(crate) fn index_entry_json(stream: u32, entry: &IndexEntry) -> Value {
    json!({
        "stream": stream,
        "offset": entry.offset.get(),
        "first_sequence": entry.first_sequence.get(),
        "records": entry.records.get(),
        "first_ts": entry.first_ts.get(),
        "last_ts": entry.last_ts.get(),
        "payload_bytes": entry.payload_bytes.get(),
        "header_crc": crc(entry.header_crc),
        "rank": entry.rank.get(),
    })
}

/// The sparse index, as a member of an object, with the comma behind it.
///
/// # Errors
/// Where the output cannot be written.
pub(crate) fn write_index(index: &Index, streams: &Streams, out: &mut Output) -> Result<()> {
    write!(out, "\"index\":{{\"streams\":[")?;
    for (at, blocks) in index.streams.iter().enumerate() {
        let comma = if at == 0 { "" } else { "," };
        let (id, name) = (blocks.stream, json!(name(streams, blocks.stream)));
        write!(out, "{comma}{{\"stream\":{id},\"stream_name\":{name},\"blocks\":[")?;
        for (at, entry) in blocks.entries.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            write!(out, "{comma}\n{}", index_entry_json(id, entry))?;
        }
        write!(out, "]}}")?;
    }
    Ok(write!(out, "]}},")?)
}

/// A stream as the last catalog had it.
pub(crate) fn stream_json(Known { entry, .. }: &Known) -> Value {
    let schema = &entry.schema;
    let columns = schema.columns().iter().map(|column| {
        let dtype = column.dtype().name();
        json!({"name": column.name(), "dtype": dtype, "shape": column.shape()})
    });
    let mut json = json!({
        "id": entry.id,
        "name": entry.name,
        "finished": entry.finished,
        "sequence": entry.sequence,
        "last_ts": entry.last_ts,
        "time_unit": schema.time_unit().name(),
        "order": schema.order().name(),
        "compression": schema.compression().name(),
        "columns": columns.collect::<Vec<_>>(),
    });
    if let (Some(plane), Some(json)) = (schema.plane(), json.as_object_mut()) {
        json.insert("plane".to_owned(), plane_json(plane));
        if let Some((first, last)) = entry.touched {
            json.insert("touched".to_owned(), json!([first, last]));
        }
    }
    json
}

/// A plane of a presence track; `class` is null for what was observed.
fn plane_json(plane: &Plane) -> Value {
    let (num, den) = plane.rate();
    let class = match plane.kind() {
        PlaneKind::Observed => Value::Null,
        PlaneKind::Class { id, name } => json!({"id": id, "name": name}),
    };
    json!({
        "track": plane.track(),
        "rate": format!("{num}/{den}"),
        "epoch_us": plane.epoch_us(),
        "class": class,
    })
}
