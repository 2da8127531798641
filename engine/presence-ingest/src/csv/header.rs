//! The header of a CSV: names of columns, and which of them is the time.
//!
//! # Invariants
//! - Column names are distinct and valid in a schema; what had to be changed is noted.
//! - A column is the time because its name or the caller says so, never because of its content.

use std::collections::HashSet;

use presence_format::caps::NAME_BYTES_MAX;

use crate::datetime;
use crate::error::{IngestError, IngestErrorKind, Result};
use crate::fault::quote;
use crate::lines::Fields;
use crate::number::{CellKind, classify};
use crate::options::TimeScale;

/// Names of time columns, without unit, the more telling first.
const TIME_NAMES: [&str; 20] = [
    "timestamp",
    "timestamps",
    "time_stamp",
    "datetime",
    "date_time",
    "time",
    "t",
    "ts",
    "stamp",
    "header.stamp",
    "rosbagtimestamp",
    "epoch",
    "unix_time",
    "unixtime",
    "unix_timestamp",
    "utc",
    "time_utc",
    "utc_time",
    "times",
    "date",
];

/// Units as they are written behind names.
const UNIT_NAMES: [(&str, TimeScale); 24] = [
    ("s", TimeScale::Seconds),
    ("sec", TimeScale::Seconds),
    ("secs", TimeScale::Seconds),
    ("second", TimeScale::Seconds),
    ("seconds", TimeScale::Seconds),
    ("ms", TimeScale::Millis),
    ("msec", TimeScale::Millis),
    ("msecs", TimeScale::Millis),
    ("millis", TimeScale::Millis),
    ("millisecond", TimeScale::Millis),
    ("milliseconds", TimeScale::Millis),
    ("us", TimeScale::Micros),
    ("µs", TimeScale::Micros),
    ("usec", TimeScale::Micros),
    ("usecs", TimeScale::Micros),
    ("micros", TimeScale::Micros),
    ("microsecond", TimeScale::Micros),
    ("microseconds", TimeScale::Micros),
    ("ns", TimeScale::Nanos),
    ("nsec", TimeScale::Nanos),
    ("nsecs", TimeScale::Nanos),
    ("nanos", TimeScale::Nanos),
    ("nanosecond", TimeScale::Nanos),
    ("nanoseconds", TimeScale::Nanos),
];

/// The header, read.
#[derive(Debug)]
pub(crate) struct Header {
    /// One name a field, valid and distinct.
    pub(crate) names: Vec<String>,
    /// Fields that had no name.
    pub(crate) unnamed: Vec<bool>,
    /// The field that is the time.
    pub(crate) time_field: usize,
    /// The unit that the time column's name tells.
    pub(crate) time_scale: Option<TimeScale>,
    /// What was changed.
    pub(crate) notes: Vec<String>,
}

/// Reads the header line.
///
/// # Errors
/// `Header` where the line is none, `NoTimeColumn` where no column is the time.
pub(crate) fn read(file: &str, fields: Fields<'_>, time_column: Option<&str>) -> Result<Header> {
    let fault = |what: String| IngestError::new(IngestErrorKind::Header, file, what);
    check(fields).map_err(fault)?;
    let (mut names, mut unnamed, mut notes) = (Vec::new(), Vec::new(), Vec::new());
    let mut taken = HashSet::new();
    for (index, cell) in fields.iter().enumerate() {
        let Ok(text) = std::str::from_utf8(cell) else {
            return Err(fault(format!(
                "column {} of the header is {}; save the file as UTF-8",
                index + 1,
                quote(cell)
            )));
        };
        // `#timestamp` and `%time` mark the line, not the name.
        let text = if index == 0 { text.trim_start_matches(['#', '%']).trim_start() } else { text };
        unnamed.push(text.is_empty());
        let name = distinct(&clean(text, index), &taken);
        if name != text && !text.is_empty() {
            notes.push(format!("column {} is named {name:?}, not {text:?}", index + 1));
        }
        taken.insert(name.clone());
        names.push(name);
    }
    let time_field = match time_column {
        Some(wanted) => named(&names, wanted),
        None => likeliest(&names),
    };
    let Some(time_field) = time_field else {
        return Err(no_time_column(file, &names, time_column));
    };
    let time_scale = names.get(time_field).and_then(|name| split_unit(name).1);
    Ok(Header { names, unnamed, time_field, time_scale, notes })
}

fn check(fields: Fields<'_>) -> Result<(), String> {
    if fields.iter().any(|cell| cell.contains(&0)) {
        return Err("the header has NUL bytes: this is no text, or UTF-16; save it as UTF-8".into());
    }
    if fields.iter().any(|cell| cell.contains(&b'\r')) {
        return Err("lines end with CR alone; convert them to LF or CRLF".into());
    }
    if fields.len() < 2 {
        return Err(format!(
            "the header has one column, {}; a time and a value are needed, and the delimiter is \
             one of , ; tab or the one given",
            quote(fields.get(0))
        ));
    }
    let is_value = |cell: &[u8]| {
        matches!(classify(cell), CellKind::Int | CellKind::Float) || datetime::parse(cell).is_some()
    };
    if fields.iter().all(|cell| cell.is_empty() || is_value(cell)) {
        return Err("the first line holds values; add a header line that names the columns".into());
    }
    Ok(())
}

fn clean(text: &str, index: usize) -> String {
    if text.is_empty() {
        return format!("column_{}", index + 1);
    }
    let mut name: String = text.chars().map(|c| if c.is_control() { '_' } else { c }).collect();
    let mut len = name.len().min(NAME_BYTES_MAX);
    while !name.is_char_boundary(len) {
        len -= 1;
    }
    name.truncate(len);
    name
}

/// `name`, or with a number behind it where it is taken.
fn distinct(name: &str, taken: &HashSet<String>) -> String {
    if !taken.contains(name) {
        return name.to_owned();
    }
    let mut stem_len = name.len().min(NAME_BYTES_MAX - 8);
    while !name.is_char_boundary(stem_len) {
        stem_len -= 1;
    }
    let stem = name.get(..stem_len).unwrap_or_default();
    (2_u32..)
        .map(|number| format!("{stem}_{number}"))
        .find(|name| !taken.contains(name))
        .unwrap_or_else(|| name.to_owned())
}

fn named(names: &[String], wanted: &str) -> Option<usize> {
    names
        .iter()
        .position(|name| name == wanted)
        .or_else(|| names.iter().position(|name| name.to_lowercase() == wanted.to_lowercase()))
}

fn likeliest(names: &[String]) -> Option<usize> {
    let ranks = names.iter().enumerate().filter_map(|(index, name)| {
        let (base, _) = split_unit(name);
        TIME_NAMES.iter().position(|&known| known == base).map(|rank| (rank, index))
    });
    ranks.min().map(|(_, index)| index)
}

/// A name in lower case without its unit, and the unit: `Time [ms]`, `t_us`, `timestamp_ns`.
fn split_unit(name: &str) -> (String, Option<TimeScale>) {
    let name = name.to_lowercase();
    let name = name.trim_end_matches([')', ']']).trim_end();
    let unit_of = |text: &str| UNIT_NAMES.iter().find(|(unit, _)| *unit == text).map(|&(_, s)| s);
    if let Some((base, unit)) = name.rsplit_once(['_', ' ', '(', '[', '-', '.', '/'])
        && let Some(scale) = unit_of(unit)
    {
        let base = base.trim_end_matches(['_', ' ', '(', '[', '-', '.', '/']);
        return (base.to_owned(), Some(scale));
    }
    // `timestampNs`: only where the rest is a time's name, and never a plural's s.
    for unit in ["ns", "us", "ms"] {
        if let Some(base) = name.strip_suffix(unit)
            && base.len() > 2
            && TIME_NAMES.contains(&base)
        {
            return (base.to_owned(), unit_of(unit));
        }
    }
    (name.to_owned(), None)
}

fn no_time_column(file: &str, names: &[String], wanted: Option<&str>) -> IngestError {
    const LISTED_MAX: usize = 50;
    let mut list: Vec<String> =
        names.iter().take(LISTED_MAX).map(|name| format!("{name:?}")).collect();
    if names.len() > LISTED_MAX {
        list.push(format!("and {} more", names.len() - LISTED_MAX));
    }
    let list = list.join(", ");
    let what = match wanted {
        Some(wanted) => format!("no column is named {wanted:?}; the columns are {list}"),
        None => format!(
            "no column is named like a time; name the time column with the option; the columns \
             are {list}"
        ),
    };
    IngestError::new(IngestErrorKind::NoTimeColumn, file, what)
}

/// The commonest of `,`, `;` and tab in `line`, outside of quotes; `,` where there is none.
pub(crate) fn guess_delimiter(line: &[u8]) -> u8 {
    let mut counts = [(0_u32, b','), (0, b';'), (0, b'\t')];
    let mut is_quoted = false;
    for &byte in line {
        is_quoted ^= byte == b'"';
        for (count, delimiter) in &mut counts {
            *count += u32::from(byte == *delimiter && !is_quoted);
        }
    }
    // The first of equals.
    counts.into_iter().rev().max_by_key(|&(count, _)| count).map_or(b',', |(_, byte)| byte)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lines::{Lines, Split};

    fn header(text: &str, time_column: Option<&str>) -> Result<Header> {
        let mut lines = Lines::new(text.as_bytes(), Split::Csv(b','), 1 << 20, 1025);
        lines.advance().unwrap().unwrap();
        read("f", lines.fields(), time_column)
    }

    #[test]
    fn time_columns_are_found() {
        for (text, field, scale) in [
            ("timestamp,step", 0, None),
            ("x,Time", 1, None),
            ("date,t_us", 1, Some(TimeScale::Micros)),
            ("a,timestamp_ns", 1, Some(TimeScale::Nanos)),
            ("#timestamp [ns],w", 0, Some(TimeScale::Nanos)),
            ("x,Time (s)", 1, Some(TimeScale::Seconds)),
            ("%time,field.x", 0, None),
            ("x,timestampMs", 1, Some(TimeScale::Millis)),
            ("x,timestamps", 1, None),
            ("x,time_seconds", 1, Some(TimeScale::Seconds)),
        ] {
            let header = header(text, None).unwrap();
            assert_eq!((header.time_field, header.time_scale), (field, scale), "{text}");
        }
        assert_eq!(
            header("a,When_ms", Some("when_ms")).unwrap().time_scale,
            Some(TimeScale::Millis)
        );
        for (text, wanted) in [("a,b", None), ("time_zone,b", None), ("time,b", Some("c"))] {
            let error = header(text, wanted).unwrap_err();
            assert_eq!(error.kind, IngestErrorKind::NoTimeColumn);
            assert!(error.what.contains("\"b\""), "{error}");
        }
    }

    #[test]
    fn names_become_valid() {
        let header = header("t,,a,a,\"b\nc\",a_2", None).unwrap();
        assert_eq!(header.names, ["t", "column_2", "a", "a_2", "b_c", "a_2_2"]);
        assert_eq!(header.notes.len(), 3, "{:?}", header.notes);
        let long = format!("t,{0},{0}", "é".repeat(200));
        let header = super::tests::header(&long, None).unwrap();
        assert!(header.names.iter().all(|name| name.len() <= NAME_BYTES_MAX));
        assert_ne!(header.names[1], header.names[2]);
    }

    #[test]
    fn no_headers() {
        for text in ["82,84,0,134217690", "2014-07-01 00:00:00,1", "t\n", "t\0,x", "t,x\r1,2\r"] {
            let error = header(text, None).unwrap_err();
            assert_eq!(error.kind, IngestErrorKind::Header, "{text:?}");
        }
    }

    #[test]
    fn delimiters_are_guessed() {
        assert_eq!(guess_delimiter(b"a,b;c,d"), b',');
        assert_eq!(guess_delimiter(b"\"a,b,c\";d"), b';');
        assert_eq!(guess_delimiter(b"a\tb"), b'\t');
        assert_eq!(guess_delimiter(b"a;b,c"), b',');
        assert_eq!(guess_delimiter(b""), b',');
    }
}
