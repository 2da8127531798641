//! Where an answer goes: standard output, or a file that appears whole or not at all.
//!
//! # Invariants
//! - A file gets its name when all of it was written and synced; until then it is a temporary one
//!   beside it, removed on any error.
//! - What is no plain file (`/dev/null`, a pipe) is written as it is.

use std::fs::File;
use std::io::{self, BufWriter, Stdout, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::failure::{Failure, Result};

/// An output being written.
#[derive(Debug)]
pub struct Output {
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Stdout(BufWriter<Stdout>),
    Device(BufWriter<File>),
    File { temp: BufWriter<NamedTempFile>, path: PathBuf },
}

const BUFFER_BYTES: usize = 64 << 10;

impl Output {
    /// Standard output.
    pub fn stdout() -> Self {
        let stdout = BufWriter::with_capacity(BUFFER_BYTES, io::stdout());
        Self { kind: Kind::Stdout(stdout) }
    }

    /// The file at `path`; `-` is standard output.
    ///
    /// # Errors
    /// Where it cannot be made.
    pub fn open(path: Option<&Path>) -> Result<Self> {
        let Some(path) = path.filter(|path| path.as_os_str() != "-") else {
            return Ok(Self::stdout());
        };
        let doing = format!("write {}", path.display());
        let fault = |error: io::Error| Failure::io(&doing, &error);
        let metadata = path.metadata();
        if metadata.as_ref().is_ok_and(std::fs::Metadata::is_dir) {
            let path = path.display();
            return Err(Failure::usage(format!("{path} is a directory; name a file in it")));
        }
        if metadata.is_ok_and(|metadata| !metadata.is_file()) {
            let file = File::options().write(true).open(path).map_err(fault)?;
            return Ok(Self { kind: Kind::Device(BufWriter::with_capacity(BUFFER_BYTES, file)) });
        }
        // The name at the end of symbolic links: they stay, and what they point to is replaced.
        let path = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let mut builder = tempfile::Builder::new();
        builder.prefix(".presence-");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            // As any new file: the umask takes away what it does.
            builder.permissions(std::fs::Permissions::from_mode(0o666));
        }
        let temp = builder.tempfile_in(parent.unwrap_or_else(|| Path::new("."))).map_err(fault)?;
        let temp = BufWriter::with_capacity(BUFFER_BYTES, temp);
        Ok(Self { kind: Kind::File { temp, path } })
    }

    /// Brings all of it to where it belongs.
    ///
    /// # Errors
    /// Where a write fails: the file keeps its old content then, or stays absent.
    pub fn finish(self) -> Result<()> {
        match self.kind {
            Kind::Stdout(mut out) => Ok(out.flush()?),
            Kind::Device(mut out) => Ok(out.flush()?),
            Kind::File { mut temp, path } => {
                let doing = format!("write {}", path.display());
                let fault = |error: io::Error| Failure::io(&doing, &error);
                temp.flush().map_err(fault)?;
                let temp = temp.into_inner().map_err(|error| fault(error.into_error()))?;
                temp.as_file().sync_all().map_err(fault)?;
                temp.persist(&path).map_err(|error| fault(error.error))?;
                Ok(())
            }
        }
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.kind {
            Kind::Stdout(out) => out.write(bytes),
            Kind::Device(out) => out.write(bytes),
            Kind::File { temp, .. } => temp.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.kind {
            Kind::Stdout(out) => out.flush(),
            Kind::Device(out) => out.flush(),
            Kind::File { temp, .. } => temp.flush(),
        }
    }
}
