//! A segment as text.
//!
//! # Invariants
//! - Written as it is found: widths come from the first entries.

use std::io::Write;

use presence_cli::element::columns;
use presence_cli::failure::Result;
use presence_cli::moment;
use presence_cli::output::Output;
use presence_cli::quantity::{bytes, count, counted};
use presence_cli::table::{Align, Table};
use presence_cli::terminal::escape;
use presence_format::entry::EntryKind;
use presence_format::index::Index;
use presence_format::segment::{DatabaseId, Footer, SegmentHeader};
use presence_format::{Compression, Plane, PlaneKind, TimeUnit};

use crate::ends::Ends;
use crate::streams::{Known, Streams};
use crate::summary::Summary;
use crate::walk::{Contents, Found, Part, SectionHead};

/// Lines from which widths are found.
const LINES_HELD: usize = 256;

/// Blocks of the index that are shown before the rest is left to `--json`.
const INDEX_SHOWN: u64 = 64;

/// The writer of a listing.
pub(crate) struct Listing {
    out: Output,
    table: Table,
}

impl Listing {
    /// Begins with the header.
    ///
    /// # Errors
    /// Where the output cannot be written, as everywhere here.
    pub(crate) fn begin(mut out: Output, path: &str, ends: &Ends) -> Result<Self> {
        let state = match &ends.footer {
            Some(Ok(_)) => "sealed",
            Some(Err(_)) => "its footer unsound",
            None => "not sealed",
        };
        let what = match &ends.place {
            Some(place) => format!("segment {}, {state}", place.segment),
            None => "no presence segment that can be read".to_owned(),
        };
        writeln!(out, "{}: {what}, {}", escape(path), bytes(ends.bytes))?;
        writeln!(out, "\nheader")?;
        match &ends.header {
            Ok(header) => write_header(header, &mut out)?,
            Err(what) => writeln!(out, "  UNSOUND: {what}")?,
        }
        let table = Table::new(&[
            ("offset", Align::Right),
            ("entry", Align::Right),
            ("kind", Align::Left),
            ("stream", Align::Left),
            ("sequences", Align::Left),
            ("from", Align::Left),
            ("to", Align::Left),
            ("payload", Align::Right),
            ("stored", Align::Left),
            ("checksums", Align::Left),
        ]);
        writeln!(out, "\nentries")?;
        Ok(Self { out, table: table.indented("  ") })
    }

    /// One part, in a line or more.
    pub(crate) fn part(&mut self, part: &Part, streams: &Streams) -> Result<()> {
        match part {
            Part::Entry(found) => self.entry(found, streams),
            Part::Zeros { from, to } => {
                let to = format!("zeros, {}", bytes(to - from));
                self.line([from.to_string(), String::new(), to]);
            }
            Part::Unsound { from, to, what } => {
                let text = format!("UNSOUND, {}: {what}", bytes(to - from));
                self.table.write(&mut self.out)?;
                writeln!(self.out, "  {from}  {}", escape(&text))?;
            }
        }
        if self.table.pending() > LINES_HELD {
            self.table.write(&mut self.out)?;
        }
        Ok(())
    }

    fn line<const N: usize>(&mut self, cells: [String; N]) {
        self.table.line(cells);
    }

    fn entry(&mut self, found: &Found, streams: &Streams) {
        let (entry, header) = (&found.entry, &found.entry.header);
        let offset = header.offset.to_string();
        let number = header.number.to_string();
        let payload = bytes(header.payload_bytes.get().into());
        let check = check(found);
        let kind = kind(found);
        let empty = String::new;
        match (&found.contents, entry.block) {
            (_, Some(block)) => {
                let id = header.stream.get();
                let first = header.first_sequence.get();
                let unit = unit(streams, id);
                let stored = Compression::from_code(block.compression)
                    .map_or_else(|_| "?".to_owned(), |compression| compression.name().to_owned());
                self.line([
                    offset,
                    number,
                    kind,
                    streams.name(id),
                    sequences(first, header.records.get()),
                    moment::describe(block.first_ts.get(), unit),
                    moment::describe(block.last_ts.get(), unit),
                    payload,
                    format!("{stored} of {}", bytes(block.decoded_bytes.get().into())),
                    check,
                ]);
            }
            (Contents::Catalog(number_of), _) => {
                let told = counted(*number_of as u64, "stream");
                let line = [offset, number, kind, told, empty(), empty(), empty(), payload];
                self.checked(line, check);
            }
            (Contents::Index(blocks), _) => {
                let told = counted(*blocks as u64, "block");
                let line = [offset, number, kind, told, empty(), empty(), empty(), payload];
                self.checked(line, check);
            }
            (Contents::Sections(heads), _) => {
                let told = if heads.is_empty() {
                    format!("mark: durable below {}", header.durable_offset)
                } else {
                    counted(u64::from(header.records.get()), "record")
                };
                let line = [offset, number, kind, told, empty(), empty(), empty(), payload];
                self.checked(line, check);
                heads.iter().for_each(|head| self.section(head, streams));
            }
            (Contents::Plain, _) => {
                let line = [offset, number, kind, empty(), empty(), empty(), empty(), payload];
                self.checked(line, check);
            }
        }
    }

    fn checked(&mut self, line: [String; 8], check: String) {
        self.table.line(line.into_iter().chain([String::new(), check]));
    }

    fn section(&mut self, head: &SectionHead, streams: &Streams) {
        let unit = unit(streams, head.stream);
        self.line([
            String::new(),
            String::new(),
            "  of".to_owned(),
            streams.name(head.stream),
            sequences(head.first_sequence, head.records),
            moment::describe(head.first_ts, unit),
            moment::describe(head.last_ts, unit),
        ]);
    }

    /// Footer, index, streams, and the summary.
    pub(crate) fn end(
        mut self,
        ends: &Ends,
        streams: &Streams,
        summary: &Summary,
        hidden: u64,
    ) -> Result<()> {
        self.table.write(&mut self.out)?;
        let out = &mut self.out;
        if hidden > 0 {
            writeln!(out, "  … {} more not shown", count(hidden))?;
        }
        match &ends.footer {
            None => writeln!(out, "\nfooter\n  none: the segment is not sealed")?,
            Some(Err(what)) => writeln!(out, "\nfooter\n  UNSOUND: {what}")?,
            Some(Ok(footer)) => write_footer(footer, ends.bytes, out)?,
        }
        match &ends.index {
            Some(Ok(index)) => write_index(index, streams, INDEX_SHOWN, out)?,
            Some(Err(what)) => writeln!(out, "\nindex\n  UNSOUND: {}", escape(what))?,
            None => {}
        }
        write_streams(streams, out)?;
        write_summary(summary, ends.bytes, out)?;
        self.out.finish()
    }
}

/// `block 3`, so that it can be asked for.
fn kind(found: &Found) -> String {
    match (found.entry.kind, found.block) {
        (EntryKind::Block, Some(number)) => format!("block {number}"),
        (kind, _) => crate::kind_name(kind).to_owned(),
    }
}

/// What is said of an entry's soundness.
pub(crate) fn check(found: &Found) -> String {
    match (&found.fault, &found.note) {
        (Some(fault), _) => format!("UNSOUND: {fault}"),
        (None, Some(note)) => format!("right; {note}"),
        (None, None) => "right".to_owned(),
    }
}

fn unit(streams: &Streams, id: u32) -> TimeUnit {
    streams.get(id).map_or(TimeUnit::Us, |known| known.entry.schema.time_unit())
}

fn sequences(first: u64, records: u32) -> String {
    let last = first.saturating_add(u64::from(records).saturating_sub(1));
    format!("{first} to {last}")
}

fn write_header(header: &SegmentHeader, out: &mut Output) -> Result<()> {
    let place = header.place();
    let number = |value: u32| value.to_string();
    let mut lines = vec![
        ("version", format!("{}.{}", header.version_major, header.version_minor)),
        ("database", DatabaseId(header.database).to_string()),
        ("segment", number(place.segment)),
        ("stands for", format!("log segments {} to {}", header.log_first, header.log_last)),
    ];
    if header.generation.get() > 0 {
        let (part, parts) = (u32::from(header.part.get()) + 1, header.parts);
        let what = format!("generation {}, part {part} of {parts}", header.generation);
        lines.push(("compacted", format!("{what}, set {}", header.set)));
    }
    let previous = match header.previous_segment.get() {
        0 => "none".to_owned(),
        segment => format!(
            "segment {segment}, ending at {} with {:#010x}",
            header.previous_end, header.previous_crc
        ),
    };
    lines.push(("previous", previous));
    lines.push(("made", moment::describe(header.created_unix_us.get(), TimeUnit::Us)));
    if header.features_optional.get() != 0 {
        lines.push(("features", format!("optional {:#x}", header.features_optional)));
    }
    lines.push(("checksum", format!("{:#010x} right", header.header_crc)));
    for (name, value) in lines {
        writeln!(out, "  {name:<11} {value}")?;
    }
    Ok(())
}

fn write_footer(footer: &Footer, file_bytes: u64, out: &mut Output) -> Result<()> {
    writeln!(out, "\nfooter, at {}", file_bytes.saturating_sub(Footer::BYTES as u64))?;
    for (name, value) in [
        ("index", format!("at {}", footer.index_offset)),
        ("entries", format!("{}, ending at {}", footer.entries, footer.data_end)),
        ("records", count(footer.records.get())),
        ("torn", bytes(footer.torn_bytes.get().into())),
        ("log", format!("ending at {} with {:#010x}", footer.log_end, footer.log_crc)),
        ("checksum", format!("{:#010x} right", footer.footer_crc)),
    ] {
        writeln!(out, "  {name:<11} {value}")?;
    }
    Ok(())
}

/// The sparse index: at most `limit` of its blocks.
///
/// # Errors
/// Where the output cannot be written.
pub(crate) fn write_index(
    index: &Index,
    streams: &Streams,
    limit: u64,
    out: &mut Output,
) -> Result<()> {
    let blocks: usize = index.streams.iter().map(|blocks| blocks.entries.len()).sum();
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    writeln!(out, "\nindex: {}", counted(blocks as u64, "block"))?;
    if blocks == 0 {
        return Ok(());
    }
    let mut table = Table::new(&[
        ("stream", Align::Left),
        ("block at", Align::Right),
        ("sequences", Align::Left),
        ("from", Align::Left),
        ("to", Align::Left),
        ("payload", Align::Right),
        ("checksum", Align::Left),
    ])
    .indented("  ");
    let all = index.streams.iter();
    let all = all.flat_map(|blocks| blocks.entries.iter().map(|entry| (blocks.stream, entry)));
    for (id, entry) in all.take(limit) {
        let unit = unit(streams, id);
        table.line([
            streams.name(id),
            entry.offset.to_string(),
            sequences(entry.first_sequence.get(), entry.records.get()),
            moment::describe(entry.first_ts.get(), unit),
            moment::describe(entry.last_ts.get(), unit),
            bytes(entry.payload_bytes.get().into()),
            format!("{:#010x}", entry.header_crc),
        ]);
    }
    table.write(out)?;
    let hidden = blocks.saturating_sub(limit) as u64;
    if hidden > 0 {
        writeln!(out, "  … {} more not shown", count(hidden))?;
    }
    Ok(())
}

/// The streams, with what the catalog says of them.
///
/// # Errors
/// Where the output cannot be written.
pub(crate) fn write_streams(streams: &Streams, out: &mut Output) -> Result<()> {
    let number = streams.all().count() as u64;
    writeln!(out, "\nstreams: {}", count(number))?;
    if streams.retained_from > 1 {
        writeln!(out, "  segments below {} were given up", streams.retained_from)?;
    }
    if number == 0 {
        return Ok(());
    }
    let mut table = Table::new(&[
        ("id", Align::Right),
        ("stream", Align::Left),
        ("records before", Align::Right),
        ("last", Align::Left),
        ("how", Align::Left),
        ("columns", Align::Left),
    ])
    .indented("  ");
    for known in streams.all() {
        table.line(stream_line(known));
        if table.pending() > LINES_HELD {
            table.write(out)?;
        }
    }
    Ok(table.write(out)?)
}

fn stream_line(Known { entry, .. }: &Known) -> [String; 6] {
    let schema = &entry.schema;
    let mut how = format!("{} {}", schema.time_unit().name(), schema.compression().name());
    if entry.finished {
        how.push_str(" finished");
    }
    if let Some((first, last)) = entry.touched {
        how.push_str(&format!(" before: {first}..={last}"));
    }
    let last = entry.last_ts.map(|ts| moment::describe(ts, schema.time_unit()));
    [
        entry.id.to_string(),
        entry.name.clone(),
        count(entry.sequence),
        last.unwrap_or_else(|| "-".to_owned()),
        how,
        schema.plane().map_or_else(|| columns(schema.columns()), plane),
    ]
}

/// A plane of a presence track in words.
fn plane(plane: &Plane) -> String {
    let (num, den) = plane.rate();
    let what = match plane.kind() {
        PlaneKind::Observed => "what was observed".to_owned(),
        PlaneKind::Class { id, name } if name.is_empty() => format!("class {id}"),
        PlaneKind::Class { id, name } => format!("class {id} ({name:?})"),
    };
    let epoch = moment::describe(plane.epoch_us(), TimeUnit::Us);
    format!("{what} of track {:?}: {num}/{den} ticks a second from {epoch} on", plane.track())
}

fn write_summary(summary: &Summary, file_bytes: u64, out: &mut Output) -> Result<()> {
    let (line, legend) = summary.picture();
    writeln!(out, "\n  0 ▕{line}▏ {}\n     {legend}\n", bytes(file_bytes))?;
    writeln!(
        out,
        "{} {} ({}, {}), {} in blocks, durable below {}",
        count(summary.entries),
        if summary.entries == 1 { "entry" } else { "entries" },
        counted(summary.blocks, "block"),
        counted(summary.frames, "frame"),
        counted(summary.records, "record"),
        summary.durable_offset,
    )?;
    for fault in &summary.faults {
        writeln!(out, "UNSOUND: {}", escape(fault))?;
    }
    if summary.unsound > 0 {
        let places = counted(summary.unsound, "place");
        let nowhere = match summary.unsound_bytes {
            0 => String::new(),
            unsound => format!(", with {} that are no entry", bytes(unsound)),
        };
        let advice = "presence-fsck tells whether a crash may leave that";
        writeln!(out, "UNSOUND: {places}{nowhere}; {advice}")?;
    }
    if summary.is_sound() {
        writeln!(out, "everything is sound")?;
    }
    Ok(())
}
