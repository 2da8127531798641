//! Where the bytes come from: a path, standard input, any reader.
//!
//! # Invariants
//! - An opened input is a seekable file of known length: pipes are copied to a nameless temporary
//!   file first, since every input is read twice.
//! - No more than the length found at opening is ever read, so a file that grows meanwhile gives
//!   one consistent prefix.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::error::{IngestError, IngestErrorKind, Result};
use crate::events::FileSource;
use crate::progress::Watch;

/// What to import: a file, standard input, or any reader.
pub struct Source {
    name: String,
    kind: Kind,
}

enum Kind {
    Path(PathBuf),
    Reader(Box<dyn Read + Send>),
}

impl Source {
    /// The file at `path`; `-` is standard input. Pipes and devices are read to their end.
    pub fn path(path: impl AsRef<Path>) -> Self {
        let path = path.as_ref();
        if path.as_os_str() == "-" {
            return Self::stdin();
        }
        Self { name: path.display().to_string(), kind: Kind::Path(path.to_owned()) }
    }

    /// Standard input.
    pub fn stdin() -> Self {
        Self::reader("stdin", io::stdin())
    }

    /// Any reader; `name` is used in messages and as the name of the stream.
    pub fn reader(name: impl Into<String>, reader: impl Read + Send + 'static) -> Self {
        Self { name: name.into(), kind: Kind::Reader(Box::new(reader)) }
    }

    /// The name used in messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn open(self, temp_dir: &Path, watch: &mut Watch) -> Result<Input> {
        let Self { name, kind } = self;
        let (mut reader, stem) = match kind {
            Kind::Reader(reader) => (reader, name.clone()),
            Kind::Path(path) => {
                let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
                let stem = stem.unwrap_or_else(|| name.clone());
                let file = File::open(&path).map_err(|e| IngestError::io(&name, "open", e))?;
                let meta = file.metadata().map_err(|e| IngestError::io(&name, "open", e))?;
                if meta.is_dir() {
                    let what = "is a directory; give the files in it one by one";
                    return Err(IngestError::new(IngestErrorKind::Io, &name, what));
                }
                if meta.is_file() {
                    return Ok(Input { name, stem, file, bytes: meta.len() });
                }
                (Box::new(file) as Box<dyn Read + Send>, stem)
            }
        };
        watch.enter(crate::progress::Phase::Spool, None);
        let (file, bytes) = spool(&name, &mut reader, temp_dir, watch)?;
        Ok(Input { name, stem, file, bytes })
    }
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Source").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A nameless file in `dir` that vanishes when it is closed.
pub(crate) fn temp_file(name: &str, dir: &Path) -> Result<File> {
    tempfile::tempfile_in(dir)
        .map_err(|e| IngestError::io(name, &format!("temporary file in {}", dir.display()), e))
}

fn spool(
    name: &str,
    reader: &mut (dyn Read + Send),
    dir: &Path,
    watch: &mut Watch,
) -> Result<(File, u64)> {
    let mut file = temp_file(name, dir)?;
    let mut buf = vec![0_u8; 256 << 10];
    let mut bytes = 0_u64;
    loop {
        let len = match reader.read(&mut buf) {
            Ok(0) => return Ok((file, bytes)),
            Ok(len) => len,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(IngestError::io(name, "read", e)),
        };
        file.write_all(buf.get(..len).unwrap_or_default())
            .map_err(|e| IngestError::io(name, &format!("spool to {}", dir.display()), e))?;
        bytes += len as u64;
        watch.done(bytes);
    }
}

/// An opened input.
#[derive(Debug)]
pub(crate) struct Input {
    /// For messages.
    pub(crate) name: String,
    /// The file's name without its last extension.
    pub(crate) stem: String,
    /// How many bytes are read.
    pub(crate) bytes: u64,
    file: File,
}

impl Input {
    /// The bytes from the start. One reader at a time: all share one file position.
    pub(crate) fn reader(&self) -> Result<io::Take<File>> {
        let rewind = || -> io::Result<File> {
            let mut file = self.file.try_clone()?;
            file.seek(SeekFrom::Start(0))?;
            Ok(file)
        };
        let file = rewind().map_err(|e| IngestError::io(&self.name, "rewind", e))?;
        Ok(file.take(self.bytes))
    }

    /// The bytes at any place. Not beside a [`Input::reader`]: they share one file position.
    pub(crate) fn bytes_of_file(&self) -> Result<FileSource> {
        let file = self.file.try_clone();
        let file = file.map_err(|e| IngestError::io(&self.name, "open again", e))?;
        Ok(FileSource::new(file, self.bytes))
    }

    /// Up to `len` bytes from the start.
    pub(crate) fn head(&self, len: u64) -> Result<Vec<u8>> {
        let mut head = Vec::new();
        self.reader()?
            .take(len)
            .read_to_end(&mut head)
            .map_err(|e| IngestError::io(&self.name, "read", e))?;
        Ok(head)
    }
}
