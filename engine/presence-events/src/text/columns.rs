//! Which column is what: declared, named, or certain.
//!
//! # Invariants
//! - A layout has x, y and t once each, and polarity at most once.

use super::line::{decimals, is_number, separate};
use crate::error::{EventError, Result};

/// What a column of text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Column {
    /// Time.
    T,
    /// Column of the pixel.
    X,
    /// Row of the pixel.
    Y,
    /// Polarity.
    P,
    /// Not of interest.
    Skip,
}

/// The unit of times in text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum TimeUnit {
    /// As the header or the text says beyond doubt; else an error.
    #[default]
    Auto,
    /// Seconds.
    Seconds,
    /// Milliseconds.
    Milliseconds,
    /// Microseconds.
    Microseconds,
    /// Nanoseconds.
    Nanoseconds,
}

impl TimeUnit {
    /// The power of ten of microseconds that it is; `None` for `Auto`.
    pub(crate) fn exponent(self) -> Option<i32> {
        match self {
            Self::Auto => None,
            Self::Seconds => Some(6),
            Self::Milliseconds => Some(3),
            Self::Microseconds => Some(0),
            Self::Nanoseconds => Some(-3),
        }
    }

    /// The unit with this name: `auto`, `s`, `ms`, `us`, `ns`.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        Some(match name {
            "auto" => Self::Auto,
            "s" | "sec" | "second" | "seconds" => Self::Seconds,
            "ms" | "millisecond" | "milliseconds" => Self::Milliseconds,
            "us" | "µs" | "microsecond" | "microseconds" => Self::Microseconds,
            "ns" | "nanosecond" | "nanoseconds" => Self::Nanoseconds,
            _ => return None,
        })
    }
}

/// How to read text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TextOptions {
    /// The columns in order; `None` asks the header.
    pub columns: Option<Vec<Column>>,
    /// The unit of time.
    pub time_unit: TimeUnit,
}

impl TextOptions {
    /// Columns from names apart by commas, such as `x,y,p,t`; `-` is not of interest.
    ///
    /// # Errors
    /// `Invalid` for a word that is no column, or where x, y or t is missing or there twice.
    pub fn columns_of(names: &str) -> Result<Vec<Column>> {
        let one = |name: &str| {
            let unknown = || EventError::invalid(format!("{name:?} is no column: t, x, y, p or -"));
            match name.trim() {
                "-" | "" => Ok(Column::Skip),
                name => column_of_name(name).ok_or_else(unknown),
            }
        };
        let columns: Vec<_> = names.split(',').map(one).collect::<Result<_>>()?;
        check(&columns)?;
        Ok(columns)
    }
}

/// Refuses columns that are not enough, or too many.
pub(super) fn check(columns: &[Column]) -> Result<()> {
    let count = |wanted| columns.iter().filter(|column| **column == wanted).count();
    let is_good = [Column::T, Column::X, Column::Y].map(count) == [1; 3] && count(Column::P) <= 1;
    if is_good {
        return Ok(());
    }
    Err(EventError::invalid("columns must have t, x and y once each, and p at most once"))
}

fn column_of_name(name: &str) -> Option<Column> {
    let name = name.to_ascii_lowercase();
    let first = words(&name).next().unwrap_or_default().to_owned();
    Some(match first.as_str() {
        "t" | "ts" | "time" | "timestamp" | "timestamps" => Column::T,
        "x" | "xs" => Column::X,
        "y" | "ys" => Column::Y,
        "p" | "ps" | "pol" | "polarity" | "polarities" | "on" => Column::P,
        _ => return None,
    })
}

/// The unit in a column's name.
fn unit_of_name(name: &str) -> Option<TimeUnit> {
    words(&name.to_lowercase()).skip(1).find_map(TimeUnit::of_name)
}

fn words(name: &str) -> impl Iterator<Item = &str> {
    name.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty())
}

/// Columns and the power of ten from their times to microseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) columns: Vec<Column>,
    pub(super) exponent: i32,
}

/// The columns that a header names, and the unit in the name of the time.
pub(super) fn of_header(line: &[u8]) -> Option<(Vec<Column>, Option<TimeUnit>)> {
    let mut unit = None;
    let columns: Vec<_> = header_names(line)
        .map(|name| {
            let column = column_of_name(&name).unwrap_or(Column::Skip);
            if column == Column::T {
                unit = unit_of_name(&name);
            }
            column
        })
        .collect();
    check(&columns).is_ok().then_some((columns, unit))
}

/// The cells of a header: apart by commas or semicolons, so that a name may have blanks; else by
/// blanks.
fn header_names(line: &[u8]) -> impl Iterator<Item = String> {
    let text = String::from_utf8_lossy(line).into_owned();
    let has = |c: char| text.contains(c);
    let by = if has(',') {
        ','
    } else if has(';') {
        ';'
    } else if has('\t') {
        '\t'
    } else {
        ' '
    };
    let names: Vec<_> = text.split(by).map(|name| name.trim().to_owned()).collect();
    names.into_iter().filter(move |name| by != ' ' || !name.is_empty())
}

/// The layout at the first line of data, where nothing is left to guess.
pub(super) fn settle(
    line: &[u8],
    options: &TextOptions,
    header: Option<(Vec<Column>, Option<TimeUnit>)>,
) -> Result<Layout> {
    let fields: Vec<_> = separate(line).collect();
    let (named, named_unit) = header.map_or((None, None), |(columns, unit)| (Some(columns), unit));
    let columns = match options.columns.clone().or(named) {
        Some(columns) => columns,
        None => default_columns(&fields)?,
    };
    let time = columns.iter().zip(&fields).find(|(column, _)| **column == Column::T);
    let decimals = time.map_or(0, |(_, field)| decimals(field));
    let declared = options.time_unit.exponent().or(named_unit.and_then(TimeUnit::exponent));
    let exponent = match declared {
        Some(exponent) => exponent,
        None if decimals >= 6 => 6,
        None => {
            return Err(EventError::invalid(
                "the unit of time is not known; declare it as s, ms, us or ns",
            ));
        }
    };
    Ok(Layout { columns, exponent })
}

fn default_columns(fields: &[&[u8]]) -> Result<Vec<Column>> {
    if let [t, x, y, p] = fields
        && t.contains(&b'.')
        && [x, y, p].iter().all(|field| !field.contains(&b'.'))
        && matches!(*p, b"0" | b"1" | b"-1")
    {
        return Ok(vec![Column::T, Column::X, Column::Y, Column::P]);
    }
    Err(EventError::invalid(
        "the order of the columns is not known; declare it, for example as x,y,p,t",
    ))
}

/// Whether the bytes are text.
pub(crate) fn is_text(head: &[u8]) -> bool {
    let head = head.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(head);
    head.iter().all(|&byte| byte >= 0x20 || matches!(byte, b'\n' | b'\r' | b'\t'))
        && std::str::from_utf8(head).map_or_else(|e| e.error_len().is_none(), |_| true)
}

/// Whether the first lines are events, or a header that names their columns.
pub(crate) fn looks_like_events(head: &[u8], options: &TextOptions) -> bool {
    let head = head.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(head);
    let lines = head.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii);
    let mut lines = lines.filter(|line| !line.is_empty() && !is_comment(line)).take(20);
    let Some(first) = lines.next() else { return false };
    let is_row = |line: &[u8]| {
        let wanted = options.columns.as_ref().map_or(4, Vec::len);
        let fields: Vec<_> = separate(line).collect();
        fields.len() >= wanted && fields.iter().all(|field| is_number(field))
    };
    of_header(first).is_some() || is_row(first) || lines.any(is_row)
}

pub(super) fn is_comment(line: &[u8]) -> bool {
    matches!(line, [b'#' | b'%', ..])
}

#[cfg(test)]
mod tests {
    use super::*;
    use Column::{P, Skip, T, X, Y};

    #[test]
    fn headers_name_columns_and_units() {
        for (line, columns, unit) in [
            ("t,x,y,p", vec![T, X, Y, P], None),
            ("x;y;polarity;timestamp_us", vec![X, Y, P, T], Some(TimeUnit::Microseconds)),
            ("time [ms], x, y, id, pol", vec![T, X, Y, Skip, P], Some(TimeUnit::Milliseconds)),
            ("x y t", vec![X, Y, T], None),
        ] {
            assert_eq!(of_header(line.as_bytes()), Some((columns, unit)), "{line}");
        }
        assert_eq!(of_header(b"t,x,x,p"), None);
    }

    #[test]
    fn nothing_is_guessed() {
        let auto = TextOptions::default();
        assert!(settle(b"82,84,0,134217690", &auto, None).is_err());
        assert!(settle(b"0.5 1 2 1", &auto, None).unwrap_err().what.contains("unit"));
        let layout = settle(b"0.003811000 96 133 0", &auto, None).unwrap();
        assert_eq!((layout.columns, layout.exponent), (vec![T, X, Y, P], 6));
        let declared = TextOptions {
            columns: Some(TextOptions::columns_of("x,y,p,t").unwrap()),
            time_unit: TimeUnit::Microseconds,
        };
        let layout = settle(b"82,84,0,134217690", &declared, None).unwrap();
        assert_eq!((layout.columns, layout.exponent), (vec![X, Y, P, T], 0));
    }

    #[test]
    fn columns_are_checked() {
        assert!(TextOptions::columns_of("x,y,p").is_err());
        assert!(TextOptions::columns_of("x,y,t,t").is_err());
        assert!(TextOptions::columns_of("x,y,q,t").is_err());
        assert_eq!(TextOptions::columns_of("-,x,y,t").unwrap(), [Skip, X, Y, T]);
    }
}
