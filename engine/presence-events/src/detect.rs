//! Which format some bytes are, by their content.
//!
//! # Invariants
//! - Names of files are never looked at.
//! - What is no format, or not for certain one, is an error that says what was found.

use std::fmt;

use crate::error::{EventError, EventErrorKind, Result};
use crate::event_stream::MAGIC as EVENT_STREAM_MAGIC;
use crate::hdf5::is_hdf5;
use crate::header::Header;
use crate::options::Options;
use crate::text;

/// Bytes of the head that are looked at.
pub(crate) const HEAD_BYTES: usize = 64 << 10;
/// Fewer words of 40 bits are not enough to tell.
const BIN40_WORDS_MIN: usize = 16;

/// The formats of event recordings that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// Prophesee EVT 2.0.
    Evt2,
    /// Prophesee EVT 2.1.
    Evt21,
    /// Prophesee EVT 3.0.
    Evt3,
    /// Prophesee DAT, versions 1 and 2.
    Dat,
    /// AEDAT 1.
    Aedat1,
    /// AEDAT 2.
    Aedat2,
    /// AEDAT 3.
    Aedat3,
    /// AEDAT 4.
    Aedat4,
    /// Event Stream (`.es`).
    EventStream,
    /// 40 bits an event (N-MNIST, N-Caltech101).
    Bin40,
    /// HDF5, in the layouts of Prophesee, DSEC, MVSEC and others.
    Hdf5,
    /// Text in columns.
    Text,
}

impl Format {
    /// Its name in options and reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Evt2 => "evt2",
            Self::Evt21 => "evt2.1",
            Self::Evt3 => "evt3",
            Self::Dat => "dat",
            Self::Aedat1 => "aedat1",
            Self::Aedat2 => "aedat2",
            Self::Aedat3 => "aedat3",
            Self::Aedat4 => "aedat4",
            Self::EventStream => "es",
            Self::Bin40 => "bin40",
            Self::Hdf5 => "hdf5",
            Self::Text => "text",
        }
    }

    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Evt2,
        Self::Evt21,
        Self::Evt3,
        Self::Dat,
        Self::Aedat1,
        Self::Aedat2,
        Self::Aedat3,
        Self::Aedat4,
        Self::EventStream,
        Self::Bin40,
        Self::Hdf5,
        Self::Text,
    ];

    /// The format with this name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.name() == name)
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Says which format the first bytes of a file are (64 KiB are enough).
///
/// # Errors
/// `UnknownFormat` where they are none; `Unsupported` where they are one that is not read.
pub fn detect(head: &[u8]) -> Result<Format> {
    detect_with(head, &Options::default())
}

/// As [`detect`], for text whose columns are declared.
pub(crate) fn detect_with(head: &[u8], options: &Options) -> Result<Format> {
    let unknown = |what: &str| Err(EventError::new(EventErrorKind::UnknownFormat, 0, what));
    let unsupported = |what: &str| Err(EventError::new(EventErrorKind::Unsupported, 0, what));
    if head.is_empty() {
        return unknown("is empty");
    }
    if head.starts_with(EVENT_STREAM_MAGIC) {
        return Ok(Format::EventStream);
    }
    if is_hdf5(head) {
        return Ok(Format::Hdf5);
    }
    if let Some(version) = head.strip_prefix(b"#!AER-DAT") {
        return match version {
            [b'1', ..] => Ok(Format::Aedat1),
            [b'2', ..] => Ok(Format::Aedat2),
            [b'3', ..] => Ok(Format::Aedat3),
            [b'4', ..] => Ok(Format::Aedat4),
            _ => unsupported("is AEDAT of an unknown version; 1 to 4 are read"),
        };
    }
    if head.starts_with(b"% ")
        && let Some(format) = raw(head)
    {
        return format;
    }
    if text::is_text(head) {
        return match text::looks_like_events(head, &options.text) {
            true => Ok(Format::Text),
            false => unknown("is text, and its lines are no events in columns"),
        };
    }
    if is_bin40(head) {
        return Ok(Format::Bin40);
    }
    unknown("is none of EVT 2, 2.1, 3, DAT, AEDAT 1 to 4, Event Stream, HDF5, 40-bit events, text")
}

/// What a header of `%` lines says.
fn raw(head: &[u8]) -> Option<Result<Format>> {
    let (header, bytes) = Header::of(head, b'%');
    let named = match (header.value("evt"), header.format_value("")) {
        (Some(version), _) => Some(version),
        (None, Some(name)) => Some(name),
        (None, None) => None,
    };
    let unsupported = |what: String| EventError::new(EventErrorKind::Unsupported, 0, what);
    match named {
        Some("2.0" | "EVT2") => return Some(Ok(Format::Evt2)),
        Some("2.1" | "EVT21") => return Some(Ok(Format::Evt21)),
        Some("3.0" | "EVT3") => return Some(Ok(Format::Evt3)),
        Some(name) => {
            let what = format!("is a raw file of events {name:?}; EVT 2.0, 2.1 and 3.0 are read");
            return Some(Err(unsupported(what)));
        }
        None => {}
    }
    let is_dat = matches!(head.get(bytes..bytes + 2), Some([0 | 12 | 14, 8]));
    if is_dat || header.value("Version").is_some() {
        return Some(Ok(Format::Dat));
    }
    // Text may have comments that begin with `%`.
    let is_raw = !text::is_text(head);
    is_raw.then(|| Err(unsupported("has a header of % lines that names no format".to_owned())))
}

/// Whether the bytes are words of 40 bits whose times do not fall.
fn is_bin40(head: &[u8]) -> bool {
    let words: Vec<_> = head.chunks_exact(5).collect();
    let time = |word: &[u8]| match *word {
        [_, y, p, t1, t0] if y != 240 => {
            Some(u32::from(p & 0x7F) << 16 | u32::from(t1) << 8 | u32::from(t0))
        }
        _ => None,
    };
    let times: Vec<_> = words.iter().filter_map(|word| time(word)).collect();
    let is_whole = head.len() >= HEAD_BYTES || head.len().is_multiple_of(5);
    is_whole && words.len() >= BIN40_WORDS_MIN && times.is_sorted() && times.first() != times.last()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_by_content() {
        for (head, want) in [
            (b"% evt 2.0\n\0".as_slice(), Format::Evt2),
            (b"% format EVT21;height=720;width=1280\n% end\n", Format::Evt21),
            (b"% evt 3.0\n% end\n", Format::Evt3),
            (b"% Version 2\n\x0c\x08", Format::Dat),
            (b"% Data file containing CD events.\n\x00\x08", Format::Dat),
            (b"#!AER-DAT2.0\r\n", Format::Aedat2),
            (b"#!AER-DAT4.0\r\n", Format::Aedat4),
            (b"Event Stream\x02\0\0\x01", Format::EventStream),
            (b"\x89HDF\r\n\x1a\n\0", Format::Hdf5),
            (b"0.003811000 96 133 0\n", Format::Text),
            (b"t,x,y,p\n1,2,3,1\n", Format::Text),
            (b"% a comment\n0.003811000 96 133 0\n", Format::Text),
        ] {
            assert_eq!(detect(head).unwrap(), want, "{head:?}");
        }
        let words: Vec<u8> = (0..16).flat_map(|i| [1, 2, 0x80, 0, i]).collect();
        assert_eq!(detect(&words).unwrap(), Format::Bin40);
    }

    #[test]
    fn others_are_named() {
        for (head, kind, word) in [
            (b"".as_slice(), EventErrorKind::UnknownFormat, "empty"),
            (b"% evt 4.0\n\0\x01", EventErrorKind::Unsupported, "4.0"),
            (b"% x y\n\0\x01", EventErrorKind::Unsupported, "names no format"),
            (b"hello world\n", EventErrorKind::UnknownFormat, "text"),
            (b"\x89PNG\r\n\x1a\n\0\0", EventErrorKind::UnknownFormat, "none of"),
        ] {
            let error = detect(head).unwrap_err();
            assert_eq!(error.kind, kind, "{error}");
            assert!(error.what.contains(word), "{error}");
        }
    }

    #[test]
    fn names_lead_back() {
        for format in Format::ALL {
            assert_eq!(Format::of_name(format.name()), Some(format));
        }
    }
}
