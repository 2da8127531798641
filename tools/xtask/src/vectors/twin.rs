//! The readable twin of a segment: everything in it, decoded with `presence-format`.
//!
//! Entries are found by the rules of the specification: one behind the other, and behind torn
//! bytes or reserved zeros the one that goes on with the chain.

use std::collections::BTreeMap;

use presence_format::block::BlockLayout;
use presence_format::catalog::Catalog;
use presence_format::checksum::PayloadChecks;
use presence_format::entry::{ENTRY_ALIGN, Entry, EntryHeader, EntryKind, Place};
use presence_format::frame::Section;
use presence_format::index::{Index, IndexEntry};
use presence_format::layout::Layout;
use presence_format::plane::{Region, region_of};
use presence_format::schema::Schema;
use presence_format::segment::{FIRST_ENTRY, Footer, SegmentHeader};
use presence_format::{Compression, FormatError, block::BlockHeader};
use serde_json::{Map, Value, json};

use super::values;
use crate::Result;

/// What a reader must give of one stream: its records in order, each `[ts, value, ...]`.
pub(crate) type Answers = BTreeMap<u32, Vec<Value>>;

/// A segment, decoded.
pub(crate) struct Twin {
    /// Everything, as the JSON beside the vector shows it.
    pub(crate) json: Map<String, Value>,
    /// The records of each stream, those of frames only where no block repeats them.
    pub(crate) answers: Answers,
}

/// Decodes the segment that is all of `bytes`.
pub(crate) fn decode(bytes: &[u8]) -> Result<Twin> {
    let header = SegmentHeader::decode(bytes).map_err(text)?;
    let footer = footer(bytes, header.place());
    let file_bytes = bytes.len() - if footer.is_some() { Footer::BYTES } else { 0 };
    let mut reader = Reader {
        bytes: bytes.get(..file_bytes).unwrap_or_default(),
        place: header.place(),
        offset: FIRST_ENTRY,
        number: 0,
        crc: header.header_crc.get(),
        schemas: BTreeMap::new(),
        answers: BTreeMap::new(),
        next: BTreeMap::new(),
        planes: BTreeMap::new(),
        has_rot: false,
        found: Vec::new(),
    };
    reader.read_all()?;
    reader.answer_planes();
    if let Some(footer) = &footer {
        reader.check_footer(footer)?;
    }
    let footer = match footer {
        Some(_) => Value::Object(fixed(&Footer::LAYOUT, bytes, file_bytes)?),
        None => Value::Null,
    };
    let mut json = Map::new();
    json.insert("file_bytes".to_owned(), bytes.len().into());
    json.insert("header".to_owned(), fixed(&SegmentHeader::LAYOUT, bytes, 0)?.into());
    json.insert("entries".to_owned(), reader.found.into());
    json.insert("footer".to_owned(), footer);
    json.insert("answer".to_owned(), summary(&reader.answers));
    Ok(Twin { json, answers: reader.answers })
}

fn text(error: FormatError) -> String {
    error.to_string()
}

fn footer(bytes: &[u8], place: Place) -> Option<Footer> {
    let last = bytes.get(bytes.len().checked_sub(Footer::BYTES)?..)?;
    Footer::decode(last, place, bytes.len() as u64).ok()
}

fn fixed(layout: &Layout, bytes: &[u8], offset: usize) -> Result<Map<String, Value>> {
    values::fields(layout, bytes.get(offset..).unwrap_or_default())
}

fn summary(answers: &Answers) -> Value {
    let ts = |record: Option<&Value>| record.and_then(|record| record.get(0)).cloned();
    let streams = answers.iter().map(|(stream, records)| {
        json!({
            "stream": stream,
            "records": records.len(),
            "first_ts": ts(records.first()),
            "last_ts": ts(records.last()),
        })
    });
    streams.collect()
}

/// Goes through the entries of a segment.
struct Reader<'a> {
    /// The file without its footer.
    bytes: &'a [u8],
    place: Place,
    offset: u32,
    number: u32,
    crc: u32,
    schemas: BTreeMap<u32, Schema>,
    answers: Answers,
    /// The sequence that each stream's next record must have.
    next: BTreeMap<u32, u64>,
    /// The words of each plane that count: those that are not 0.
    planes: BTreeMap<u32, BTreeMap<i64, u64>>,
    /// Whether rot was passed over, so that records may be missing.
    has_rot: bool,
    found: Vec<Value>,
}

impl<'a> Reader<'a> {
    fn read_all(&mut self) -> Result<()> {
        while (self.offset as usize) < self.bytes.len() {
            let Some(offset) = self.next_entry() else {
                let Some(header) = self.behind_rot() else {
                    self.gap(self.bytes.len(), "torn");
                    return Ok(());
                };
                self.gap(header.offset.get() as usize, "rot");
                self.has_rot = true;
                self.offset = header.offset.get();
                (self.number, self.crc) = (header.number.get(), header.previous_crc.get());
                continue;
            };
            self.gap(offset as usize, "torn");
            self.offset = offset;
            let (entry, payload) = self.sound(offset)?;
            let json = self.entry_json(&entry, payload)?;
            self.found.push(json);
            self.offset = entry.end();
            self.number += 1;
            self.crc = entry.header.header_crc.get();
        }
        Ok(())
    }

    /// Where the entry begins that goes on with the chain.
    fn next_entry(&self) -> Option<u32> {
        let places = (self.offset..self.bytes.len() as u32).step_by(ENTRY_ALIGN as usize);
        places.into_iter().find(|&offset| {
            self.sound(offset).is_ok_and(|(entry, _)| {
                entry.header.number.get() == self.number
                    && entry.header.previous_crc.get() == self.crc
            })
        })
    }

    /// The entry at `offset`, its header and payload checked.
    fn sound(&self, offset: u32) -> Result<(Entry, &'a [u8])> {
        let bytes = self.bytes.get(offset as usize..).unwrap_or_default();
        let entry = Entry::parse(bytes, self.place, offset).map_err(text)?;
        let start = (entry.payload_offset() - offset) as usize;
        let payload_bytes = entry.header.payload_bytes.get();
        let stored = bytes.get(start..start + entry.stored_bytes() as usize);
        let (payload, table) = stored
            .and_then(|stored| stored.split_at_checked(payload_bytes as usize))
            .ok_or("the file ends inside the entry")?;
        PayloadChecks::new(payload_bytes, entry.header.payload_crc.get(), table)
            .and_then(|checks| checks.check(payload))
            .map_err(text)?;
        Ok((entry, payload))
    }

    /// Where the entries go on behind bytes that were durable once; none where all was torn.
    fn behind_rot(&self) -> Option<EntryHeader> {
        let places = (FIRST_ENTRY..self.bytes.len() as u32).step_by(ENTRY_ALIGN as usize);
        let headers = places.filter_map(|offset| {
            let bytes = self.bytes.get(offset as usize..)?;
            Entry::parse(bytes, self.place, offset).ok().map(|entry| entry.header)
        });
        let headers: Vec<EntryHeader> = headers.collect();
        let durable = headers.iter().map(|header| header.durable_offset.get()).max()?;
        let mut lowest = u32::MAX;
        let mut found = None;
        for header in headers.iter().rev() {
            let number = header.number.get();
            if header.offset.get() > self.offset && number > self.number && number < lowest {
                found = Some(*header);
            }
            lowest = lowest.min(number);
        }
        found.filter(|_| durable > self.offset)
    }

    /// Notes that no entry is between the last one and `end`, and why, where it is not zeros.
    fn gap(&mut self, end: usize, why: &str) {
        let start = self.offset as usize;
        let Some(bytes) = self.bytes.get(start..end).filter(|bytes| !bytes.is_empty()) else {
            return;
        };
        let zeros = bytes.iter().all(|&byte| byte == 0);
        let kind = if zeros { "zeros" } else { why };
        self.found.push(json!({"kind": kind, "offset": start, "end": end}));
    }

    fn entry_json(&mut self, entry: &Entry, payload: &[u8]) -> Result<Value> {
        let at = entry.header.offset.get() as usize;
        let mut json = Map::new();
        let mut header = fixed(&EntryHeader::LAYOUT, self.bytes, at)?;
        json.insert("kind".to_owned(), header.get("kind").cloned().unwrap_or_default());
        json.insert("header".to_owned(), {
            header.shift_remove("kind");
            header.into()
        });
        let (name, content) = match entry.kind {
            EntryKind::Catalog => ("catalog", self.catalog(payload)?),
            EntryKind::Frame => ("sections", self.sections(payload)?),
            EntryKind::Index => ("index", index(payload, entry.header.offset.get())?),
            EntryKind::Block => {
                let block = fixed(&BlockHeader::LAYOUT, self.bytes, at + EntryHeader::BYTES)?;
                json.insert("block".to_owned(), block.into());
                if block_is_region(entry) {
                    let region = Region::parse(payload).map_err(text)?;
                    json.insert("region".to_owned(), values::region(&region));
                }
                ("records", self.records(entry, payload)?)
            }
        };
        json.insert(name.to_owned(), content);
        Ok(json.into())
    }

    fn catalog(&mut self, payload: &[u8]) -> Result<Value> {
        let catalog = Catalog::decode(payload).map_err(text)?;
        for stream in &catalog.streams {
            self.schemas.insert(stream.id, stream.schema.clone());
            self.answers.entry(stream.id).or_default();
        }
        Ok(values::catalog(&catalog))
    }

    fn sections(&mut self, payload: &[u8]) -> Result<Value> {
        let mut sections = Vec::new();
        let mut rest = payload;
        while !rest.is_empty() {
            let bytes = |stream| self.schemas.get(&stream).map(Schema::record_bytes);
            let (section, after) = Section::decode(rest, bytes).map_err(text)?;
            rest = after;
            let schema = self.schema(section.stream)?;
            let layout = BlockLayout::new(schema);
            let lanes: Vec<&[u8]> = section.lanes(&layout).collect();
            let records = values::records(schema, &layout, section.records as usize, &lanes);
            sections.push(json!({
                "stream": section.stream,
                "first_sequence": section.first_sequence,
                "records": records,
            }));
            match schema.plane().is_some() {
                true => self.take_words(section.stream, None, &records),
                false => self.take(section.stream, section.first_sequence, records)?,
            }
        }
        Ok(sections.into())
    }

    fn records(&mut self, entry: &Entry, payload: &[u8]) -> Result<Value> {
        let stream = entry.header.stream.get();
        let count = entry.header.records.get() as usize;
        let block = entry.block.ok_or("a block without its header")?;
        let schema = self.schema(stream)?;
        let layout = BlockLayout::new(schema);
        if block.schema_crc.get() != layout.schema_crc()
            || block.decoded_bytes.get() as usize != layout.decoded_bytes(count)
        {
            return Err(format!("block of stream {stream} has another schema"));
        }
        let compression = Compression::from_code(block.compression).map_err(text)?;
        let mut decoded = vec![0; layout.decoded_bytes(count)];
        layout.decode(compression, count, payload, &mut decoded).map_err(text)?;
        let lanes: Vec<&[u8]> =
            layout.ranges(count).map(|range| decoded.get(range).unwrap_or_default()).collect();
        let records = values::records(schema, &layout, count, &lanes);
        if layout.is_plane() {
            let region = block_is_region(entry).then(|| region_of(block.first_ts.get()));
            self.take_words(stream, region, &records);
        } else {
            self.take(stream, entry.header.first_sequence.get(), records.clone())?;
        }
        Ok(records.into())
    }

    fn schema(&self, stream: u32) -> Result<&Schema> {
        self.schemas.get(&stream).ok_or_else(|| format!("no catalog tells of stream {stream}"))
    }

    /// Takes words of a plane: they count instead of those of the same ticks, or of a region.
    fn take_words(&mut self, stream: u32, region: Option<i64>, records: &[Value]) {
        let words = self.planes.entry(stream).or_default();
        words.retain(|tick, _| Some(region_of(*tick)) != region);
        for record in records {
            let tick = record.get(0).and_then(Value::as_i64);
            let word = record.get(1).and_then(Value::as_u64);
            words.extend(tick.zip(word));
        }
        words.retain(|_, word| *word != 0);
    }

    /// What planes answer: the words that count, by tick.
    fn answer_planes(&mut self) {
        for (stream, words) in &self.planes {
            let words = words.iter().map(|(tick, word)| json!([tick, word]));
            self.answers.insert(*stream, words.collect());
        }
    }

    /// Adds records to the stream's answer, but for those it has already.
    fn take(&mut self, stream: u32, first_sequence: u64, records: Vec<Value>) -> Result<()> {
        let next = self.next.entry(stream).or_insert(first_sequence);
        if self.has_rot {
            *next = first_sequence.max(*next);
        }
        let known = next.checked_sub(first_sequence);
        let known = known.ok_or_else(|| format!("records of stream {stream} are missing"))?;
        let new = records.into_iter().skip(usize::try_from(known).unwrap_or(usize::MAX));
        let answer = self.answers.entry(stream).or_default();
        let before = answer.len();
        answer.extend(new);
        *next += (answer.len() - before) as u64;
        Ok(())
    }

    fn check_footer(&self, footer: &Footer) -> Result<()> {
        let entry = self.sound(footer.index_offset.get()).map(|(entry, _)| entry.header)?;
        let sound = entry.number == footer.entries && entry.previous_crc == footer.data_crc;
        if sound { Ok(()) } else { Err("the footer is of another index".to_owned()) }
    }
}

/// Whether a block stands for a region of a plane.
fn block_is_region(entry: &Entry) -> bool {
    entry.block.is_some_and(|block| block.compression == Compression::Presence.code())
}

fn index(payload: &[u8], offset: u32) -> Result<Value> {
    let index = Index::decode(payload, offset).map_err(text)?;
    let mut streams = Vec::new();
    // The entries are the last bytes of the payload, in this order.
    let blocks: usize = index.streams.iter().map(|stream| stream.entries.len()).sum();
    let mut at = payload.len() - blocks * IndexEntry::BYTES;
    for stream in &index.streams {
        let mut entries = Vec::new();
        for _ in &stream.entries {
            entries.push(Value::Object(fixed(&IndexEntry::LAYOUT, payload, at)?));
            at += IndexEntry::BYTES;
        }
        streams.push(json!({"stream": stream.stream, "blocks": entries}));
    }
    Ok(json!({"catalog": values::catalog(&index.catalog), "streams": streams}))
}
