//! The bytes of one file, through a window.
//!
//! # Invariants
//! - Reads only, and never holds more than one entry's payload.
//! - Bytes behind the end of the file are zeros, as the format has it.

use std::path::Path;

use presence::device::{Device, DeviceFile, RealDevice};
use presence_cli::failure::{Failure, Result};

const WINDOW_BYTES: usize = 256 << 10;

/// An open file.
#[derive(Debug)]
pub(crate) struct Bytes {
    file: std::sync::Arc<dyn DeviceFile>,
    path: String,
    len: u64,
    start: u64,
    window: Vec<u8>,
}

impl Bytes {
    /// Opens the regular file at `path`.
    ///
    /// # Errors
    /// Where there is none, or something else.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let doing = format!("read {}", path.display());
        if path.is_dir() {
            let path = path.display();
            return Err(Failure::usage(format!("{path} is a directory; name one of its segments")));
        }
        let fault = |error: std::io::Error| Failure::io(&doing, &error);
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(Failure::usage(format!("{} names no file", path.display())));
        };
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        let folder = RealDevice::open(folder).map_err(fault)?;
        let file = folder.open(&name.to_string_lossy()).map_err(fault)?;
        let len = file.len().map_err(fault)?;
        let path = path.display().to_string();
        Ok(Self { file, path, len, start: 0, window: Vec::new() })
    }

    /// The path that was given.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// The file's length when it was opened.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// `len` bytes from `offset` on.
    ///
    /// # Errors
    /// Where reading fails.
    pub(crate) fn get(&mut self, offset: u64, len: usize) -> Result<&[u8]> {
        let end = offset.saturating_add(len as u64);
        if offset < self.start || end > self.start.saturating_add(self.window.len() as u64) {
            self.window.clear();
            if self.window.capacity() > WINDOW_BYTES && len <= WINDOW_BYTES {
                self.window = Vec::new();
            }
            self.window.resize(len.max(WINDOW_BYTES), 0);
            self.start = offset;
            let read = self.file.read_at(&mut self.window, offset);
            let read = read
                .map_err(|error| Failure::io(&format!("read {} at {offset}", self.path), &error))?;
            // What was appended since the file was opened is left alone: one state is shown.
            let held = usize::try_from(self.len.saturating_sub(offset)).unwrap_or(usize::MAX);
            if let Some(behind) = self.window.get_mut(held.min(read)..) {
                behind.fill(0);
            }
        }
        let from = (offset - self.start) as usize;
        Ok(self.window.get(from..from.saturating_add(len)).unwrap_or_default())
    }
}
