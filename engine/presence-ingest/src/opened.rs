//! Any input: records of text, or a recording of an event camera.
//!
//! # Invariants
//! - Content decides, never a file's name. Text that names columns is CSV, unless they are just the
//!   four of events.

use std::str::FromStr;

use crate::detect::{HEAD_BYTES, detect, first_line};
use crate::error::{IngestError, IngestErrorKind, Result};
use crate::events::{EventImport, EventOptions, ingest_error};
use crate::import::Import;
use crate::options::{Format, Options};
use crate::progress::{Progress, Watch};
use crate::source::Source;

/// A format of any kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum InputFormat {
    /// Records.
    Records(Format),
    /// Events of a camera; text of events is called `events`.
    Events(presence_events::Format),
}

impl InputFormat {
    /// `csv`, `mot`, `evt3`, …; `events` is text of events.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Records(format) => format.name(),
            Self::Events(presence_events::Format::Text) => "events",
            Self::Events(format) => format.name(),
        }
    }

    /// All formats that are read.
    pub fn all() -> impl Iterator<Item = Self> {
        let records = [Format::Csv, Format::Mot, Format::Kitti].map(Self::Records);
        records.into_iter().chain(presence_events::Format::ALL.map(Self::Events))
    }

    /// The format of an input that begins with `head`.
    ///
    /// # Errors
    /// `UnknownFormat` where it is none; `Unsupported` where it is one that is not read.
    pub fn detect(name: &str, head: &[u8]) -> Result<Self> {
        use presence_events::{EventErrorKind, Format as Events};
        let events = presence_events::detect(head);
        match (events, detect(name, head)) {
            (Ok(format), _) if format != Events::Text => Ok(Self::Events(format)),
            (Ok(format), Ok(Format::Csv)) if names_events(head) => Ok(Self::Events(format)),
            (_, Ok(format)) => Ok(Self::Records(format)),
            (Ok(format), Err(_)) => Ok(Self::Events(format)),
            (Err(error), Err(_)) if error.kind == EventErrorKind::Unsupported => {
                Err(ingest_error(name, &error))
            }
            (Err(_), Err(mut error)) => {
                error.what.push_str(", nor a recording of events");
                Err(error)
            }
        }
    }
}

/// Whether the first line names t, x, y and p, and nothing else.
fn names_events(head: &[u8]) -> bool {
    let line = String::from_utf8_lossy(first_line(head).unwrap_or_default()).replace(';', ",");
    let columns = presence_events::TextOptions::columns_of(&line);
    columns.is_ok_and(|columns| {
        columns.len() == 4 && !columns.contains(&presence_events::Column::Skip)
    })
}

impl std::fmt::Display for InputFormat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for InputFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::all().find(|format| format.name() == text).ok_or_else(|| {
            let names: Vec<_> = Self::all().map(Self::name).collect();
            format!("{text:?} is not a format; one of {}", names.join(", "))
        })
    }
}

/// An opened input.
#[derive(Debug)]
pub enum Opened {
    /// Records of text.
    Records(Import),
    /// A recording of an event camera.
    Events(EventImport),
}

impl Opened {
    /// Opens an input of any kind: `format`, or what its content says. `tell` is called at the
    /// start of each phase and every 4 MiB, for events on the thread that decodes.
    ///
    /// # Errors
    /// As [`Import::open`]; for a recording of events where it is none or, in strict mode, damaged.
    pub fn open(
        source: Source,
        format: Option<InputFormat>,
        records: Options,
        mut events: EventOptions,
        tell: impl FnMut(Progress) + Send + 'static,
    ) -> Result<Self> {
        let mut watch = Watch::new(Box::new(tell));
        let input = source.open(&records.temp_dir(), &mut watch)?;
        let head = input.head(HEAD_BYTES)?;
        let format = match format {
            Some(format) => format,
            None if records.format.is_some() || records.delimiter.is_some() => {
                InputFormat::Records(records.format.unwrap_or(Format::Csv))
            }
            None => InputFormat::detect(&input.name, &head)?,
        };
        match format {
            InputFormat::Records(format) => {
                let records = Options { format: Some(format), ..records };
                Import::of_input(input, &head, records, watch).map(Self::Records)
            }
            InputFormat::Events(format) => {
                if head.is_empty() {
                    let what = "is empty";
                    let kind = IngestErrorKind::UnknownFormat;
                    return Err(IngestError::new(kind, &input.name, what));
                }
                events.decode.format = Some(format);
                EventImport::of_input(&input, &events, watch).map(Self::Events)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_tells_records_from_events() {
        use presence_events::Format as Events;
        for (head, want) in [
            ("% evt 3.0\n% end\n", InputFormat::Events(Events::Evt3)),
            ("#!AER-DAT2.0\r\n", InputFormat::Events(Events::Aedat2)),
            ("0.003811000 96 133 0\n0.003812000 96 133 0\n", InputFormat::Events(Events::Text)),
            ("82,84,0,134217690\n83,84,1,134217691\n", InputFormat::Events(Events::Text)),
            ("t_us,x,y,p\n1,2,3,1\n", InputFormat::Events(Events::Text)),
            ("x;y;polarity;timestamp_us\n1;2;1;3\n", InputFormat::Events(Events::Text)),
            ("t_us,x,y\n1,2,3\n", InputFormat::Records(Format::Csv)),
            ("t_us,x,y,p,q\n1,2,3,1,5\n", InputFormat::Records(Format::Csv)),
            ("1,1,10,20,30,40,1,1,0.5\n", InputFormat::Records(Format::Mot)),
        ] {
            assert_eq!(InputFormat::detect("test", head.as_bytes()).unwrap(), want, "{head:?}");
        }
        let hdf5 = InputFormat::detect("test", b"\x89HDF\r\n\x1a\n");
        assert_eq!(hdf5.unwrap(), InputFormat::Events(Events::Hdf5));
        for head in [b"\x01\0\x02".as_slice(), b"hello world\n"] {
            let error = InputFormat::detect("test", head).unwrap_err();
            assert_eq!(error.kind, IngestErrorKind::UnknownFormat, "{head:?}");
        }
    }

    #[test]
    fn names_lead_back() {
        for format in InputFormat::all() {
            assert_eq!(format.name().parse(), Ok(format));
        }
        assert!("jpeg".parse::<InputFormat>().unwrap_err().contains("evt3"));
    }
}
