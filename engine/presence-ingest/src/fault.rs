//! Why a line is no record.
//!
//! # Invariants
//! - A fault is small and holds no text: the sentence is made only for lines that are reported.

use crate::lines::{Fields, LineFault};

/// Why a line is no record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The line could not be split.
    Line(LineFault),
    /// Another number of fields than the format or the header has.
    FieldCount { found: usize },
    /// A cell is not of its column's type.
    Cell { field: usize, wanted: Wanted },
    /// The time is a number, and outside of what the stream's unit can hold.
    TimeOverflow { field: usize },
    /// More kinds of objects than are kept apart.
    TooManyClasses { field: usize },
}

/// What a cell should have been.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    Number,
    Integer,
    Truth,
    Time,
    FiniteTime,
    DateTime,
    Frame,
    ClassName,
}

impl Wanted {
    const fn phrase(self) -> &'static str {
        match self {
            Self::Number => "a number",
            Self::Integer => "an integer in range",
            Self::Truth => "true or false",
            Self::Time => "a time",
            Self::FiniteTime => "a finite time",
            Self::DateTime => "a date and time",
            Self::Frame => "a frame number, an integer from 0",
            Self::ClassName => "the name of a class",
        }
    }
}

/// Longest piece of a cell that is quoted in a reason.
const QUOTED_CHARS_MAX: usize = 40;

impl Fault {
    /// The reason in words. `names` are the fields' names, `wanted_fields` how many there should
    /// be, in words.
    pub(crate) fn reason(
        self,
        fields: Fields<'_>,
        names: &[String],
        wanted_fields: &str,
        line_bytes_max: usize,
    ) -> String {
        let name = |field: usize| names.get(field).map_or("?", String::as_str);
        match self {
            Self::Line(LineFault::TooLong) => {
                format!("the line is longer than {line_bytes_max} bytes")
            }
            Self::Line(LineFault::OpenQuote) => {
                format!("a quote opens and does not close within {line_bytes_max} bytes")
            }
            Self::FieldCount { found } if found > names.len() => {
                format!("more than {wanted_fields} fields")
            }
            Self::FieldCount { found } => {
                let s = if found == 1 { "" } else { "s" };
                format!("{found} field{s} instead of {wanted_fields}")
            }
            Self::Cell { field, wanted } => {
                let cell = quote(fields.get(field));
                format!("{}: {cell} is not {}", name(field), wanted.phrase())
            }
            Self::TimeOverflow { field } => {
                let cell = quote(fields.get(field));
                format!("{}: {cell} does not fit the 64 bits of a timestamp", name(field))
            }
            Self::TooManyClasses { field } => {
                let cell = quote(fields.get(field));
                format!("{}: {cell} is one class too many", name(field))
            }
        }
    }
}

/// A cell in quotes, cut and escaped: fit for a terminal whatever its bytes.
pub(crate) fn quote(cell: &[u8]) -> String {
    if cell.is_empty() {
        return "an empty field".to_owned();
    }
    let head = cell.get(..cell.len().min(QUOTED_CHARS_MAX * 4)).unwrap_or_default();
    let text = String::from_utf8_lossy(head);
    let mut quoted: String = text.chars().take(QUOTED_CHARS_MAX).collect();
    if text.chars().count() > QUOTED_CHARS_MAX || head.len() < cell.len() {
        quoted.push('…');
    }
    if std::str::from_utf8(cell).is_err() {
        return format!("{quoted:?} (not UTF-8)");
    }
    format!("{quoted:?}")
}
