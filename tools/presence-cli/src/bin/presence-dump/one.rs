//! One entry in full: its header, and its payload as records or as hexadecimal digits.
//!
//! # Invariants
//! - What is unsound is shown as far as it can be, and said to be so.

use std::io::Write;

use presence_cli::failure::{Outcome, Result};
use presence_cli::output::Output;
use presence_cli::terminal::escape;
use presence_format::catalog::Catalog;
use presence_format::entry::{Entry, EntryKind};
use presence_format::frame::Section;
use presence_format::index::Index;
use serde_json::{Value, json};

use crate::bytes::Bytes;
use crate::json;
use crate::region;
use crate::rows::{Decoded, Rows};
use crate::streams::Streams;
use crate::walk::Found;

/// How to show it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Form {
    pub(crate) json: bool,
    pub(crate) hex: bool,
    /// Rows or lines at most.
    pub(crate) limit: u64,
}

/// Shows an entry whose header is sound.
///
/// # Errors
/// Where reading or writing fails.
pub(crate) fn entry(
    file: &mut Bytes,
    found: &Found,
    streams: &Streams,
    form: Form,
    mut out: Output,
) -> Result<Outcome> {
    let value = json::entry_json(found, streams);
    let start = u64::from(found.entry.header.offset.get());
    let end = u64::from(found.entry.payload_offset()) + u64::from(found.entry.stored_bytes());
    let mut fault = found.fault.clone();
    match (form.json, form.hex) {
        (true, true) => {
            write!(out, "{{\"entry\":{value},\n\"hex\":")?;
            hex_json(file, start, end, form, &mut out)?;
        }
        (false, true) => {
            write_fields(&value, &mut out)?;
            writeln!(out)?;
            crate::hex::lines(file, start, end, form.limit, &mut out)?;
        }
        (is_json, false) => {
            if is_json {
                write!(out, "{{\"entry\":{value}")?;
            } else {
                write_fields(&value, &mut out)?;
            }
            let more = contents(file, &found.entry, streams, form, &mut out)?.err();
            if let Some(what) = &more
                && !is_json
            {
                writeln!(out, "\n  UNSOUND: {}", escape(what))?;
            }
            if is_json {
                writeln!(out, ",\n\"contents_fault\":{}}}", json!(more))?;
            }
            fault = fault.or(more);
        }
    }
    out.finish()?;
    Ok(if fault.is_some() { Outcome::Damaged } else { Outcome::Fine })
}

/// Shows bytes that are no entry: what is wrong, and with `hex` what they are.
///
/// # Errors
/// Where reading or writing fails.
pub(crate) fn no_entry(
    file: &mut Bytes,
    offset: u64,
    what: &str,
    form: Form,
    mut out: Output,
) -> Result<Outcome> {
    let end = file.len().min(offset.saturating_add(256));
    if form.json {
        write!(out, "{{\"entry\":null,\"offset\":{offset},\"fault\":{}", json!(what))?;
        if form.hex {
            write!(out, ",\n\"hex\":")?;
            hex_json(file, offset, end, form, &mut out)?;
        } else {
            writeln!(out, "}}")?;
        }
    } else {
        writeln!(out, "UNSOUND at {offset}: {}", escape(what))?;
        if form.hex {
            crate::hex::lines(file, offset, end, form.limit, &mut out)?;
        }
    }
    out.finish()?;
    Ok(Outcome::Damaged)
}

fn hex_json(file: &mut Bytes, from: u64, to: u64, form: Form, out: &mut Output) -> Result<()> {
    crate::hex::string(file, from, to, form.limit, out)?;
    Ok(writeln!(out, "}}")?)
}

fn write_fields(value: &Value, out: &mut Output) -> Result<()> {
    for (name, value) in value.as_object().into_iter().flatten() {
        let text = match value {
            Value::Null | Value::Array(_) => continue,
            Value::String(text) => escape(text).into_owned(),
            other => other.to_string(),
        };
        writeln!(out, "  {name:<15} {text}")?;
    }
    Ok(())
}

/// Writes what the payload holds; what is wrong with it, where it cannot be read.
fn contents(
    file: &mut Bytes,
    entry: &Entry,
    streams: &Streams,
    form: Form,
    out: &mut Output,
) -> Result<Result<(), String>> {
    // The payload is read past its checksums: where those are wrong it is shown all the same.
    let payload_bytes = entry.header.payload_bytes.get() as usize;
    let payload = file.get(u64::from(entry.payload_offset()), payload_bytes)?;
    let tell = |error: presence_format::FormatError| error.what;
    match entry.kind {
        EntryKind::Block => block(entry, payload, streams, form, out),
        EntryKind::Frame => frame(payload, streams, form, out),
        EntryKind::Catalog => match Catalog::decode(payload).map_err(tell) {
            Ok(catalog) => write_catalog(catalog, form, out).map(Ok),
            Err(what) => Ok(Err(what)),
        },
        EntryKind::Index => match Index::decode(payload, entry.header.offset.get()).map_err(tell) {
            Ok(index) => write_index(&index, form, out).map(Ok),
            Err(what) => Ok(Err(what)),
        },
    }
}

fn block(
    entry: &Entry,
    payload: &[u8],
    streams: &Streams,
    form: Form,
    out: &mut Output,
) -> Result<Result<(), String>> {
    let Some(known) = streams.get(entry.header.stream.get()) else {
        return Ok(Err("no catalog tells what its columns are; --hex shows its bytes".to_owned()));
    };
    if let Err(what) = streams.fits(entry) {
        return Ok(Err(what));
    }
    if let Some(plane) = known.entry.schema.plane()
        && region::is_region(entry)
    {
        let told = region::write(entry, payload, plane, form, out)?;
        // People see the runs; programs the words, too.
        if !form.json || told.is_err() {
            return Ok(told);
        }
    }
    let decoded = match Decoded::of(entry, payload, &known.layout) {
        Ok(decoded) => decoded,
        Err(what) => return Ok(Err(what)),
    };
    let rows = decoded.rows(known);
    if form.json {
        write!(out, ",\n\"records\":")?;
        rows.write_json(form.limit, out)?;
    } else {
        writeln!(out)?;
        rows.write_text(form.limit, out)?;
    }
    Ok(decoded.fault.map_or(Ok(()), Err))
}

fn frame(
    payload: &[u8],
    streams: &Streams,
    form: Form,
    out: &mut Output,
) -> Result<Result<(), String>> {
    let mut rest = payload;
    let mut fault = None;
    if form.json {
        write!(out, ",\n\"sections\":[")?;
    }
    let mut is_first = true;
    while !rest.is_empty() {
        let record_bytes = |id| streams.get(id).map(|known| known.layout.record_bytes());
        let (section, later) = match Section::decode(rest, record_bytes) {
            Ok(decoded) => decoded,
            Err(error) => {
                fault = Some(error.what);
                break;
            }
        };
        rest = later;
        let Some(known) = streams.get(section.stream) else { break };
        let rows = Rows::of_section(&section, known);
        if form.json {
            let comma = if is_first { "" } else { "," };
            let (id, name) = (section.stream, json!(known.entry.name));
            write!(out, "{comma}{{\"stream\":{id},\"stream_name\":{name},\"records\":")?;
            rows.write_json(form.limit, out)?;
            write!(out, "}}")?;
        } else {
            writeln!(out, "\n  {}", escape(&known.entry.name))?;
            rows.write_text(form.limit, out)?;
        }
        is_first = false;
    }
    if form.json {
        write!(out, "]")?;
    }
    Ok(fault.map_or(Ok(()), Err))
}

fn write_catalog(catalog: Catalog, form: Form, out: &mut Output) -> Result<()> {
    let mut streams = Streams::default();
    let retained_from = catalog.retained_from;
    // What contradicts itself was told with the entry.
    let _told = streams.learn(catalog);
    if !form.json {
        return crate::text::write_streams(&streams, out);
    }
    write!(out, ",\n\"retained_from\":{retained_from},\"streams\":[")?;
    for (index, known) in streams.all().enumerate() {
        write!(out, "{}\n{}", if index == 0 { "" } else { "," }, json::stream_json(known))?;
    }
    Ok(write!(out, "]")?)
}

fn write_index(index: &Index, form: Form, out: &mut Output) -> Result<()> {
    let mut streams = Streams::default();
    let _told = streams.learn(index.catalog.clone());
    if form.json {
        writeln!(out, ",")?;
        json::write_index(index, &streams, out)?;
        return Ok(write!(out, "\"retained_from\":{}", index.catalog.retained_from)?);
    }
    crate::text::write_index(index, &streams, form.limit, out)?;
    crate::text::write_streams(&streams, out)
}
