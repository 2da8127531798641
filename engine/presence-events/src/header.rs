//! Headers of lines that begin with a mark: `%` in the maker's raw files, `#` in AEDAT.
//!
//! # Invariants
//! - Not every such header says where it ends, and data may begin with the mark: a line is one of
//!   the header where it has text up to a line feed and is UTF-8 without control characters.
//! - What is held is bounded: one undecided line, and the header itself.

use crate::batch::SensorSize;
use crate::error::{EventError, EventErrorKind, Result};

/// A longer line is data.
const LINE_BYTES_MAX: usize = 64 << 10;
/// Preferences of a camera take some hundred KiB in AEDAT 2.
const HEADER_BYTES_MAX: usize = 4 << 20;

/// Reads a header from pieces.
#[derive(Debug, Clone)]
pub(crate) struct HeaderReader {
    mark: u8,
    text: Vec<u8>,
    line: Vec<u8>,
}

impl HeaderReader {
    /// A reader of lines that begin with `mark`.
    pub(crate) fn new(mark: u8) -> Self {
        Self { mark, text: Vec::new(), line: Vec::new() }
    }

    /// Takes bytes; says how many it took, and whether the header has ended. Bytes that it took and
    /// that turned out to be data are in the second part of [`HeaderReader::into_parts`].
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Result<(usize, bool)> {
        for (at, &byte) in bytes.iter().enumerate() {
            if byte == b'\n' && !self.line.is_empty() {
                if std::str::from_utf8(&self.line).is_err() {
                    return Ok((at, true));
                }
                self.line.push(byte);
                self.text.extend_from_slice(&self.line);
                let ends = is_end(&self.line);
                self.line.clear();
                if ends {
                    return Ok((at + 1, true));
                }
                if self.text.len() > HEADER_BYTES_MAX {
                    let what = "the header does not end within 4 MiB";
                    let offset = self.text.len() as u64;
                    return Err(EventError::new(EventErrorKind::Corrupt, offset, what));
                }
            } else if self.continues(byte) {
                self.line.push(byte);
            } else {
                return Ok((at, true));
            }
        }
        Ok((bytes.len(), false))
    }

    /// The header, and the bytes behind it that were taken already.
    pub(crate) fn into_parts(self) -> (Header, Vec<u8>) {
        (Header { text: String::from_utf8_lossy(&self.text).into_owned() }, self.line)
    }

    /// Forgets the undecided line, and says how long it was.
    pub(crate) fn drop_line(&mut self) -> usize {
        let bytes = self.line.len();
        self.line.clear();
        bytes
    }

    /// Whether the byte may stand at this place of a header's line.
    fn continues(&self, byte: u8) -> bool {
        match self.line.len() {
            0 => byte == self.mark,
            1 if self.mark == b'%' => matches!(byte, b' ' | b'\r'),
            LINE_BYTES_MAX.. => false,
            _ => byte >= 0x20 || matches!(byte, b'\t' | b'\r'),
        }
    }
}

fn is_end(line: &[u8]) -> bool {
    const ENDS: [&[u8]; 3] = [b"% end", b"#!END-HEADER", b"#End Of ASCII Header"];
    let line = line.trim_ascii();
    ENDS.iter().any(|end| line.eq_ignore_ascii_case(end))
}

/// The text of a header.
#[derive(Debug, Clone, Default)]
pub(crate) struct Header {
    pub(crate) text: String,
}

impl Header {
    /// The header at the beginning of `head`, as far as it is there, and its length.
    pub(crate) fn of(head: &[u8], mark: u8) -> (Self, usize) {
        let mut reader = HeaderReader::new(mark);
        let taken = reader.feed(head).map_or(0, |(taken, _)| taken);
        let (header, rest) = reader.into_parts();
        (header, taken - rest.len().min(taken))
    }

    /// What follows `% key ` in some line.
    pub(crate) fn value(&self, key: &str) -> Option<&str> {
        self.text.lines().find_map(|line| {
            let (name, value) = line.strip_prefix("% ")?.split_once(' ')?;
            name.eq_ignore_ascii_case(key).then(|| value.trim())
        })
    }

    /// A value of the line `% format NAME;key=value;...`; the name itself has the key "".
    pub(crate) fn format_value(&self, key: &str) -> Option<&str> {
        let mut parts = self.value("format")?.split(';');
        let name = parts.next();
        if key.is_empty() {
            return name;
        }
        parts.find_map(|part| part.split_once('=').filter(|(name, _)| *name == key)).map(|p| p.1)
    }

    /// The sensor's size, where the header of a raw or DAT file says it.
    pub(crate) fn sensor_size(&self) -> Option<SensorSize> {
        let size = |width: &str, height: &str| {
            let width = width.trim().parse().ok()?;
            let height = height.trim().parse().ok()?;
            Some(SensorSize { width, height })
        };
        let pair = |width: Option<&str>, height: Option<&str>| size(width?, height?);
        self.value("geometry")
            .and_then(|text| text.split_once('x'))
            .and_then(|(width, height)| size(width, height))
            .or_else(|| pair(self.format_value("width"), self.format_value("height")))
            .or_else(|| pair(self.value("Width"), self.value("Height")))
    }

    /// The camera, where the header of a raw file names it.
    pub(crate) fn camera(&self) -> Option<String> {
        let words = ["plugin_name", "camera_integrator_name", "integrator_name", "serial_number"];
        let found: Vec<_> = words.iter().filter_map(|word| self.value(word)).collect();
        (!found.is_empty()).then(|| found.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_ends_at_its_end_line_or_before_data() {
        for (head, bytes) in [
            (b"% evt 3.0\n% end\n% more\n".as_slice(), 16),
            (b"% evt 2.0\n%nG\x80", 10),
            (b"% evt 2.0\n% \x01\n", 10),
            (b"% evt 2.0\n% \xff\xfe\n", 10),
            (b"% evt 2.0", 0),
            (b"\n% evt 2.0\n", 0),
        ] {
            assert_eq!(Header::of(head, b'%').1, bytes, "{head:?}");
        }
    }

    #[test]
    fn sizes_are_found_in_three_places() {
        let size = Some(SensorSize { width: 1280, height: 720 });
        for text in [
            "% geometry 1280x720\n",
            "% format EVT3;height=720;width=1280\n",
            "% Height 720\n% Width 1280\n",
        ] {
            assert_eq!(Header::of(text.as_bytes(), b'%').0.sensor_size(), size, "{text}");
        }
        assert_eq!(Header::of(b"% geometry 1280x99999\n", b'%').0.sensor_size(), None);
    }
}
