//! A device that shows one segment file as a directory of its own.
//!
//! # Invariants
//! - Read-only: every verb that would change something is refused.
//! - The file is shown under the name that its header gives it, whatever it is called.

use std::io;
use std::path::Path;

use presence_format::segment::SegmentHeader;

use super::{Device, DeviceFile, Entry, LockError, LockGuard, RealDevice};
use crate::segment::segment_name;
use crate::shim::Arc;

/// One segment file, seen as a directory that holds nothing else.
#[derive(Debug)]
pub struct SingleSegment {
    path: String,
    name: String,
    file: Arc<dyn DeviceFile>,
    folder: RealDevice,
}

impl SingleSegment {
    /// Opens the regular file at `path`.
    ///
    /// # Errors
    /// Those of opening, and `InvalidData` where no segment header can be read.
    pub fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        let path = path.as_ref();
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        let folder = RealDevice::open(folder)?;
        let file = folder.open(&name.to_string_lossy())?;
        let mut bytes = [0; SegmentHeader::BYTES];
        let read = file.read_at(&mut bytes, 0)?;
        let header = SegmentHeader::decode(bytes.get(..read).unwrap_or_default())
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        let name = segment_name(header.segment.get());
        Ok(Self { path: path.display().to_string(), name, file, folder })
    }

    fn refused<T>() -> io::Result<T> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }
}

impl Device for SingleSegment {
    fn describe(&self) -> String {
        self.path.clone()
    }

    fn list(&self) -> io::Result<Vec<Entry>> {
        Ok(vec![Entry { name: self.name.clone(), regular: true, len: self.file.len()? }])
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn DeviceFile>> {
        if name == self.name {
            Ok(Arc::clone(&self.file))
        } else {
            Err(io::ErrorKind::NotFound.into())
        }
    }

    fn open_writable(&self, _: &str) -> io::Result<Arc<dyn DeviceFile>> {
        Self::refused()
    }

    fn create(&self, _: &str) -> io::Result<Arc<dyn DeviceFile>> {
        Self::refused()
    }

    fn rename(&self, _: &str, _: &str) -> io::Result<()> {
        Self::refused()
    }

    fn unlink(&self, _: &str) -> io::Result<()> {
        Self::refused()
    }

    fn sync_directory(&self) -> io::Result<()> {
        Self::refused()
    }

    fn lock(&self, _: &str) -> Result<Box<dyn LockGuard>, LockError> {
        Err(LockError::Io(io::ErrorKind::ReadOnlyFilesystem.into()))
    }

    fn now_unix_us(&self) -> i64 {
        self.folder.now_unix_us()
    }

    fn random(&self) -> io::Result<[u8; 16]> {
        self.folder.random()
    }
}
