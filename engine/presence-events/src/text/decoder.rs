//! Lines from bytes that are cut anywhere.
//!
//! # Invariants
//! - At most one line is held; a line longer than 64 KiB is bad, and its bytes are not kept.

use super::columns::{Column, Layout, TimeUnit, check, is_comment, of_header, settle};
use super::line::{event, separate};
use crate::batch::{ColumnsMut, SensorSize};
use crate::decoder::Decoder;
use crate::detect::Format;
use crate::error::{EventError, EventErrorKind, Latch, Result};
use crate::options::{OnDamage, Options};
use crate::output::Output;
use crate::report::Report;

const LINE_BYTES_MAX: usize = 64 << 10;
/// Bytes decoded before what came out is settled.
const CHUNK_BYTES: usize = 32 << 10;
/// No event takes fewer bytes: three digits, two separators and a line feed.
const EVENT_BYTES_MIN: usize = 6;

/// A decoder of text.
#[derive(Debug)]
pub(crate) struct TextDecoder {
    options: Options,
    layout: Option<Layout>,
    header: Option<(Vec<Column>, Option<TimeUnit>)>,
    size: Option<SensorSize>,
    held: Vec<u8>,
    /// Whether the held line is too long, and the rest of it is passed over.
    is_too_long: bool,
    offset: u64,
    report: Report,
    failed: Latch,
}

impl TextDecoder {
    pub(crate) fn new(options: &Options) -> Result<Self> {
        if let Some(columns) = &options.text.columns {
            check(columns)?;
        }
        Ok(Self {
            options: options.clone(),
            layout: None,
            header: None,
            size: None,
            held: Vec::new(),
            is_too_long: false,
            offset: 0,
            report: Report::default(),
            failed: Latch::default(),
        })
    }

    fn step(&mut self, bytes: &[u8], out: &mut Output) -> Result<usize> {
        let mut rest = bytes;
        if !self.held.is_empty() || self.is_too_long {
            let end = rest.iter().position(|&byte| byte == b'\n').map(|at| at + 1);
            let (line, after) = rest.split_at(end.unwrap_or(rest.len()));
            self.hold(line);
            rest = after;
            if end.is_some() {
                self.held_line(out)?;
            }
        }
        while !rest.is_empty() && !out.is_full() {
            let chunk = rest.get(..CHUNK_BYTES).unwrap_or(rest);
            let last = chunk.iter().rposition(|&byte| byte == b'\n').map(|at| at + 1);
            let Some(last) = last else {
                // One line of a whole chunk, or the end of what there is.
                self.hold(chunk);
                rest = rest.get(chunk.len()..).unwrap_or_default();
                if let Some(end) = rest.iter().position(|&byte| byte == b'\n') {
                    let (line, after) = rest.split_at(end + 1);
                    self.hold(line);
                    rest = after;
                    self.held_line(out)?;
                } else {
                    self.hold(rest);
                    rest = &[];
                }
                continue;
            };
            let (lines, after) = rest.split_at(last);
            self.lines(lines, out)?;
            rest = after;
        }
        Ok(bytes.len() - rest.len())
    }

    fn hold(&mut self, bytes: &[u8]) {
        self.is_too_long |= self.held.len() + bytes.len() > LINE_BYTES_MAX;
        if self.is_too_long {
            self.offset += (self.held.len() + bytes.len()) as u64;
            self.held.clear();
        } else {
            self.held.extend_from_slice(bytes);
        }
    }

    fn held_line(&mut self, out: &mut Output) -> Result<()> {
        if std::mem::take(&mut self.is_too_long) {
            return self.bad("a line longer than 64 KiB");
        }
        let mut line = std::mem::take(&mut self.held);
        let result = self.lines(&line, out);
        line.clear();
        self.held = line;
        result
    }

    /// Whole lines; the last one may lack its line feed.
    fn lines(&mut self, lines: &[u8], out: &mut Output) -> Result<()> {
        let mut rest = lines;
        while !rest.is_empty() {
            let from = out.events.len();
            let before = rest;
            if let Some(layout) = &self.layout {
                let columns = out.events.spare(rest.len() / EVENT_BYTES_MIN + 1);
                let events;
                (events, rest) = fast(rest, layout, columns);
                out.events.commit(events);
                self.settle(from, before, out)?;
            }
            self.offset += (before.len() - rest.len()) as u64;
            if !rest.is_empty() {
                let end = rest.iter().position(|&byte| byte == b'\n');
                let (line, after) = rest.split_at(end.map_or(rest.len(), |at| at + 1));
                if self.other(line)? {
                    self.offset += line.len() as u64;
                    rest = after;
                }
            }
        }
        Ok(())
    }

    /// Counts the events from `from` on, which were read from the front of `bytes`.
    fn settle(&mut self, from: usize, bytes: &[u8], out: &mut Output) -> Result<()> {
        let size = self.sensor_size();
        if self.options.on_damage == OnDamage::Refuse
            && let Some((index, kind)) = self.first_fault(from, size, out)
        {
            out.events.truncate(from + index);
            self.report.settle(&mut out.events, from, size);
            let mut rest = bytes;
            if let Some(layout) = &self.layout {
                for _ in 0..index {
                    rest = event(rest, layout).map_or(rest, |(_, rest)| rest);
                }
            }
            let offset = self.offset + (bytes.len() - rest.len()) as u64;
            let what = match kind {
                EventErrorKind::OutOfBounds => "a pixel beyond the sensor",
                _ => "time goes back",
            };
            return Err(EventError::new(kind, offset, what));
        }
        let (dropped, _) = self.report.settle(&mut out.events, from, size);
        if dropped > 0 {
            let what = "pixels beyond the sensor were left out";
            self.report.skip(EventErrorKind::OutOfBounds, self.offset, what);
        }
        Ok(())
    }

    /// The first event that may not be.
    fn first_fault(
        &self,
        from: usize,
        size: Option<SensorSize>,
        out: &Output,
    ) -> Option<(usize, EventErrorKind)> {
        let mut last = self.report.last_t.unwrap_or(i64::MIN);
        out.events.iter().skip(from).enumerate().find_map(|(index, event)| {
            let kind = if size.is_some_and(|size| !size.contains(event.x, event.y)) {
                EventErrorKind::OutOfBounds
            } else if event.t < last {
                EventErrorKind::OutOfOrder
            } else {
                last = event.t;
                return None;
            };
            Some((index, kind))
        })
    }

    /// A line that is no event at first sight; `false` where it is one, its layout now being known.
    fn other(&mut self, line: &[u8]) -> Result<bool> {
        let text = line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(line).trim_ascii();
        if text.is_empty() || is_comment(text) {
            return Ok(true);
        }
        if self.layout.is_some() {
            self.bad("a line that is no event")?;
            return Ok(true);
        }
        let fields: Vec<_> = separate(text).collect();
        let starts_a_number = matches!(text, [b'0'..=b'9' | b'-' | b'+' | b'.', ..]);
        if !starts_a_number && self.header.is_none() {
            self.header = of_header(text);
            if self.header.is_none() && self.options.text.columns.is_none() {
                self.bad("a line that names no columns and is no event")?;
            }
            return Ok(true);
        }
        if let ([width, height], None) = (fields.as_slice(), self.size) {
            let number = |field: &[u8]| std::str::from_utf8(field).ok()?.parse().ok();
            if let (Some(width), Some(height)) = (number(width), number(height)) {
                self.size = Some(SensorSize { width, height });
                return Ok(true);
            }
        }
        let header = self.header.clone();
        let layout = settle(text, &self.options.text, header).map_err(|mut error| {
            error.offset = self.offset;
            error
        })?;
        if event(text, &layout).is_some() && text.len() == line.trim_ascii().len() {
            self.layout = Some(layout);
            return Ok(false);
        }
        self.bad("a line that is no event")?;
        Ok(true)
    }

    fn bad(&mut self, what: &str) -> Result<()> {
        if self.options.on_damage == OnDamage::Refuse {
            return Err(EventError::new(EventErrorKind::Corrupt, self.offset, what));
        }
        self.report.unknown_words += 1;
        self.report.skip(EventErrorKind::Corrupt, self.offset, what);
        Ok(())
    }
}

/// Events from the front of `lines`, and what is left where a line is none.
fn fast<'a>(lines: &'a [u8], layout: &Layout, columns: ColumnsMut<'_>) -> (usize, &'a [u8]) {
    let mut rest = lines;
    let pixels = columns.x.iter_mut().zip(columns.y).zip(columns.p);
    let mut events = 0;
    for (t, ((x, y), p)) in columns.t.iter_mut().zip(pixels) {
        if rest.is_empty() {
            break;
        }
        let Some((found, after)) = event(rest, layout) else { break };
        (*t, *x, *y, *p) = (found.t, found.x, found.y, found.polarity);
        rest = after;
        events += 1;
    }
    (events, rest)
}

impl Decoder for TextDecoder {
    fn format(&self) -> Format {
        Format::Text
    }

    fn feed(&mut self, bytes: &[u8], out: &mut Output) -> Result<usize> {
        self.failed.check()?;
        let result = self.step(bytes, out);
        self.failed.keep(result)
    }

    fn finish(&mut self, out: &mut Output) -> Result<()> {
        self.failed.check()?;
        let result =
            if self.held.is_empty() && !self.is_too_long { Ok(()) } else { self.held_line(out) };
        self.failed.keep(result)
    }

    fn report(&self) -> &Report {
        &self.report
    }

    fn sensor_size(&self) -> Option<SensorSize> {
        self.options.sensor_size.or(self.size)
    }

    fn source(&self) -> Option<&str> {
        None
    }
}
