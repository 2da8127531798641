//! Text: one event a line.
//!
//! # Invariants
//! - Times are written as decimals that are exact: seconds have six digits behind the point,
//!   milliseconds three, nanoseconds end in three zeros.

use super::{Encoder, misfit};
use crate::batch::{Event, EventBatch};
use crate::error::{EventError, Result};
use crate::text::{Column, TextOptions, TimeUnit};

/// How text looks. The default is what most tools read: `t x y p`, seconds, blanks, no header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextStyle {
    /// The columns in order; `Skip` is not written.
    pub columns: Vec<Column>,
    /// The unit of time, which must not be `Auto`.
    pub time_unit: TimeUnit,
    /// What stands between columns: a blank, a tab, a comma or a semicolon.
    pub delimiter: u8,
    /// Whether the first line names the columns, with the unit in the name of the time.
    pub header: bool,
}

impl Default for TextStyle {
    fn default() -> Self {
        Self {
            columns: vec![Column::T, Column::X, Column::Y, Column::P],
            time_unit: TimeUnit::Seconds,
            delimiter: b' ',
            header: false,
        }
    }
}

/// A writer of text.
#[derive(Debug)]
pub(super) struct TextEncoder {
    style: TextStyle,
    header: Option<Vec<u8>>,
}

impl TextEncoder {
    pub(super) fn new(style: &TextStyle) -> Result<Self> {
        let names: Vec<_> = style.columns.iter().map(|column| name(*column, style)).collect();
        TextOptions::columns_of(&names.join(","))?;
        if style.time_unit == TimeUnit::Auto || !b" \t,;".contains(&style.delimiter) {
            return Err(EventError::invalid("text needs a unit of time and a blank, tab, , or ;"));
        }
        let delimiter = char::from(style.delimiter).to_string();
        let written: Vec<_> = names.into_iter().filter(|name| *name != "-").collect();
        let header = style.header.then(|| (written.join(&delimiter) + "\n").into_bytes());
        Ok(Self { style: style.clone(), header })
    }
}

fn name(column: Column, style: &TextStyle) -> &'static str {
    match (column, style.time_unit) {
        (Column::T, TimeUnit::Milliseconds) => "t_ms",
        (Column::T, TimeUnit::Microseconds) => "t_us",
        (Column::T, TimeUnit::Nanoseconds) => "t_ns",
        (Column::T, _) => "t_s",
        (Column::X, _) => "x",
        (Column::Y, _) => "y",
        (Column::P, _) => "p",
        (Column::Skip, _) => "-",
    }
}

impl Encoder for TextEncoder {
    fn encode(&mut self, events: &EventBatch, out: &mut Vec<u8>) -> Result<()> {
        out.extend(self.header.take().unwrap_or_default());
        for event in events.iter() {
            let mut columns = self.style.columns.iter().filter(|c| **c != Column::Skip).peekable();
            while let Some(column) = columns.next() {
                put(event, *column, self.style.time_unit, out)?;
                let is_last = columns.peek().is_none();
                out.push(if is_last { b'\n' } else { self.style.delimiter });
            }
        }
        Ok(())
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<()> {
        out.extend(self.header.take().unwrap_or_default());
        Ok(())
    }
}

fn put(event: Event, column: Column, unit: TimeUnit, out: &mut Vec<u8>) -> Result<()> {
    match column {
        Column::T => return put_time(event.t, unit, out),
        Column::X => put_number(u64::from(event.x), 1, out),
        Column::Y => put_number(u64::from(event.y), 1, out),
        Column::P => put_number(u64::from(event.polarity), 1, out),
        Column::Skip => {}
    }
    Ok(())
}

fn put_time(t: i64, unit: TimeUnit, out: &mut Vec<u8>) -> Result<()> {
    // A reader keeps 18 digits.
    let limit = "18 digits are kept";
    let digits_max = if unit == TimeUnit::Nanoseconds { 15 } else { 18 };
    if t.unsigned_abs() >= 10_u64.pow(digits_max) {
        return Err(misfit("time", t, limit));
    }
    if t < 0 {
        out.push(b'-');
    }
    let us = t.unsigned_abs();
    let (per, decimals) = match unit {
        TimeUnit::Seconds | TimeUnit::Auto => (1_000_000, 6),
        TimeUnit::Milliseconds => (1_000, 3),
        TimeUnit::Microseconds => (1, 0),
        TimeUnit::Nanoseconds => {
            put_number(us * 1_000, 1, out);
            return Ok(());
        }
    };
    put_number(us / per, 1, out);
    if decimals > 0 {
        out.push(b'.');
        put_number(us % per, decimals, out);
    }
    Ok(())
}

/// A whole number with at least `digits_min` digits.
fn put_number(value: u64, digits_min: usize, out: &mut Vec<u8>) {
    let mut digits = [b'0'; 20];
    let (mut rest, mut used) = (value, 0);
    for digit in digits.iter_mut().rev() {
        if rest == 0 && used >= digits_min {
            break;
        }
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
        used += 1;
    }
    out.extend_from_slice(digits.get(digits.len() - used..).unwrap_or_default());
}
