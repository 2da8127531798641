//! What the caller can choose about an import.
//!
//! # Invariants
//! - Every option has a default that works for well-formed input, except the unit of integer
//!   times: that is never guessed.

use std::path::PathBuf;
use std::str::FromStr;

use presence_format::{Rate, TimeUnit};

/// The formats this crate reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// Text with a header line and delimited fields (RFC 4180).
    Csv,
    /// MOT challenge text: `frame,id,left,top,width,height,confidence`, and then nothing, `class`,
    /// `class,visibility` or `x,y,z`; no header. The first two are not known by their content.
    Mot,
    /// KITTI tracking labels: 17 fields, 18 with a score, separated by spaces; no header.
    Kitti,
}

impl Format {
    /// `csv`, `mot` or `kitti`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Mot => "mot",
            Self::Kitti => "kitti",
        }
    }
}

impl std::fmt::Display for Format {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Csv, Self::Mot, Self::Kitti]
            .into_iter()
            .find(|format| format.name() == text)
            .ok_or_else(|| format!("{text:?} is not a format; one of csv, mot, kitti"))
    }
}

/// The unit of the numbers in a time column of the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TimeScale {
    /// Seconds.
    Seconds,
    /// Milliseconds.
    Millis,
    /// Microseconds.
    Micros,
    /// Nanoseconds.
    Nanos,
}

impl TimeScale {
    /// `s`, `ms`, `us` or `ns`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Seconds => "s",
            Self::Millis => "ms",
            Self::Micros => "us",
            Self::Nanos => "ns",
        }
    }

    /// The power of ten that turns this scale into `unit`: 6 from seconds to microseconds.
    pub(crate) const fn power_to(self, unit: TimeUnit) -> i32 {
        let to_nanos = match self {
            Self::Seconds => 9,
            Self::Millis => 6,
            Self::Micros => 3,
            Self::Nanos => 0,
        };
        match unit {
            TimeUnit::Us => to_nanos - 3,
            TimeUnit::Ns => to_nanos,
        }
    }
}

impl std::fmt::Display for TimeScale {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for TimeScale {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Seconds, Self::Millis, Self::Micros, Self::Nanos]
            .into_iter()
            .find(|scale| scale.name() == text)
            .ok_or_else(|| format!("{text:?} is not a time unit; one of s, ms, us, ns"))
    }
}

/// Choices of an import. `Options::default()` detects everything it can.
#[derive(Debug, Clone)]
pub struct Options {
    /// The format; `None` (default) detects it by content.
    pub format: Option<Format>,
    /// CSV: the name of the time column; `None` (default) takes the one that is named like a time.
    /// Compared exactly first, then without regard to case.
    pub time_column: Option<String>,
    /// CSV: the unit of numbers in the time column. `None` (default) takes it from the column's
    /// name (`_s`, `_ms`, `_us`, `_ns`); numbers with decimals are seconds otherwise, and integers
    /// are refused.
    pub time_unit: Option<TimeScale>,
    /// CSV: the unit of the stream's timestamps. `None` (default) is microseconds, and
    /// nanoseconds where the text is finer than that.
    pub stream_unit: Option<TimeUnit>,
    /// MOT and KITTI: frames a second; `None` (default) is 30 for MOT and 10 for KITTI, the rates
    /// that most of these files were recorded at.
    pub frame_rate: Option<Rate>,
    /// CSV: the delimiter, any ASCII byte but a quote, CR or LF; `None` (default) takes the
    /// commonest of `,`, `;` and tab in the header.
    pub delimiter: Option<u8>,
    /// Refuse the whole input at its first malformed line, or for a column of text; by default
    /// both are left out and reported. A refused input has handed out no batch.
    pub strict: bool,
    /// Bytes for sorting input whose records are not in the order of time: 128 MiB by default, at
    /// least one record is held whatever the value. Further memory is a few MiB, and up to about
    /// five times [`Options::line_bytes_max`] for input with lines that long.
    pub memory_bytes: usize,
    /// Longest line, or record with line breaks in quotes, in bytes: 16 MiB by default, clamped to
    /// 64 bytes and 1 GiB. A longer one is malformed.
    pub line_bytes_max: usize,
    /// Where unsorted input and pipes are spooled; `None` (default) is the system's directory for
    /// temporary files. The files have no name there and vanish with the process.
    pub temp_dir: Option<PathBuf>,
}

impl Options {
    /// Where to spool.
    pub(crate) fn temp_dir(&self) -> PathBuf {
        self.temp_dir.clone().unwrap_or_else(std::env::temp_dir)
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            format: None,
            time_column: None,
            time_unit: None,
            stream_unit: None,
            frame_rate: None,
            delimiter: None,
            strict: false,
            memory_bytes: 128 << 20,
            line_bytes_max: 16 << 20,
            temp_dir: None,
        }
    }
}
