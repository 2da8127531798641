//! The one error of this crate: what is wrong, in which input, at which line, and what to do.
//!
//! # Invariants
//! - `what` is a sentence for people and ends with the remedy where there is one.
//! - `line` counts physical lines from 1, as editors do.

use std::io;

/// What kind of fault an [`IngestError`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum IngestErrorKind {
    /// The operating system refused a read, a write or an open; the source is attached.
    Io,
    /// The content is none of the formats this crate reads.
    UnknownFormat,
    /// The header of a CSV is missing or cannot be used.
    Header,
    /// No column of the CSV is the time, or the one named is not there.
    NoTimeColumn,
    /// Integer times whose unit neither the option nor the column's name tells.
    NoTimeUnit,
    /// A malformed line, or a column of text, in strict mode.
    Malformed,
    /// Well formed, and nothing a stream can hold: no numeric column, too many columns.
    Unsupported,
    /// An option is out of its bounds or contradicts the input.
    Options,
    /// The file changed while it was being read.
    Changed,
}

/// Why an input could not be imported.
#[derive(Debug, thiserror::Error)]
#[error("{file}{}: {what}", LineSuffix(*line))]
pub struct IngestError {
    /// The kind, for programs.
    pub kind: IngestErrorKind,
    /// The path or name of the input, as the caller gave it.
    pub file: String,
    /// The physical line, from 1, where the fault belongs to one.
    pub line: Option<u64>,
    /// The fault in plain words, and what to do about it.
    pub what: String,
    /// The operating system's error, for [`IngestErrorKind::Io`].
    #[source]
    pub source: Option<io::Error>,
}

impl IngestError {
    /// An error of `kind` in the input called `file`.
    pub(crate) fn new(kind: IngestErrorKind, file: &str, what: impl Into<String>) -> Self {
        Self { kind, file: file.to_owned(), line: None, what: what.into(), source: None }
    }

    /// The same error at a line.
    #[must_use]
    pub(crate) fn at_line(mut self, line: u64) -> Self {
        self.line = Some(line);
        self
    }

    /// An error of the operating system while `doing` something.
    pub(crate) fn io(file: &str, doing: &str, source: io::Error) -> Self {
        Self {
            kind: IngestErrorKind::Io,
            file: file.to_owned(),
            line: None,
            what: format!("{doing}: {source}"),
            source: Some(source),
        }
    }
}

struct LineSuffix(Option<u64>);

impl std::fmt::Display for LineSuffix {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.map_or(Ok(()), |line| write!(f, ":{line}"))
    }
}

/// Shorthand used through this crate.
pub type Result<T, E = IngestError> = std::result::Result<T, E>;

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Read};

    use super::*;
    use crate::{Format, Import, Options, Source};

    /// The kind after `kind`: a new kind does not compile until it is put in line.
    fn next(kind: IngestErrorKind) -> Option<IngestErrorKind> {
        use IngestErrorKind::*;
        match kind {
            Io => Some(UnknownFormat),
            UnknownFormat => Some(Header),
            Header => Some(NoTimeColumn),
            NoTimeColumn => Some(NoTimeUnit),
            NoTimeUnit => Some(Malformed),
            Malformed => Some(Unsupported),
            Unsupported => Some(Options),
            Options => Some(Changed),
            Changed => None,
        }
    }

    fn import(source: Source, options: Options) -> IngestError {
        let mut import = match Import::open(source, options) {
            Err(error) => return error,
            Ok(import) => import,
        };
        loop {
            match import.next_batch() {
                Ok(batch) => assert!(batch.is_some(), "nothing is wrong with it"),
                Err(error) => return error,
            }
        }
    }

    /// A file that is written anew between its two readings.
    fn changed() -> IngestError {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "t_us,x\n1,2\n3,4\n").unwrap();
        let mut import = Import::open(Source::path(file.path()), Options::default()).unwrap();
        std::fs::write(file.path(), "t_us,x\n9,2\n3,4\n").unwrap();
        import.next_batch().unwrap_err()
    }

    struct Unplugged;

    impl Read for Unplugged {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("unplugged"))
        }
    }

    /// An error of `kind`, and a word that its message must have.
    fn provoke(kind: IngestErrorKind) -> (IngestError, &'static str) {
        let text =
            |text: &'static str, options| import(Source::reader("test", text.as_bytes()), options);
        let auto = Options::default;
        match kind {
            IngestErrorKind::Io => {
                let input = Cursor::new(b"t_us,x\n1,2\n".to_vec()).chain(Unplugged);
                (import(Source::reader("test", input), auto()), "unplugged")
            }
            IngestErrorKind::UnknownFormat => (text("1,2,3\n", auto()), "header"),
            IngestErrorKind::Header => {
                (text("", Options { format: Some(Format::Csv), ..auto() }), "header")
            }
            IngestErrorKind::NoTimeColumn => (text("a,b\n1,2\n", auto()), "\"a\", \"b\""),
            IngestErrorKind::NoTimeUnit => (text("time,x\n1,2\n", auto()), "unit"),
            IngestErrorKind::Malformed => {
                let strict = Options { strict: true, ..auto() };
                (text("t_us,x\n1,2\n2,3\nx,4\n", strict), "test:4")
            }
            IngestErrorKind::Unsupported => (text("time,b\n0.5,x\n", auto()), "no column"),
            IngestErrorKind::Options => {
                (text("t_us,x\n1,2\n", Options { delimiter: Some(b'\n'), ..auto() }), "delimiter")
            }
            IngestErrorKind::Changed => (changed(), "changed"),
        }
    }

    #[test]
    fn every_kind_is_provoked_and_names_input_and_fault() {
        let mut kind = Some(IngestErrorKind::Io);
        while let Some(now) = kind {
            let (error, word) = provoke(now);
            assert_eq!(error.kind, now, "{error}");
            assert!(error.to_string().contains(word), "{now:?}: no {word:?} in {error}");
            assert!(error.to_string().starts_with(&error.file), "{error}");
            kind = next(now);
        }
    }
}
