//! The files that are copied from.
//!
//! # Invariants
//! - One file is open at a time.

use std::io;

use presence::device::Device;

use crate::bytes::Bytes;

/// The files to copy from.
pub(super) struct Source<'a> {
    device: &'a dyn Device,
    files: &'a [String],
    open: Option<(u32, Bytes)>,
    /// Bytes of one record of a stream.
    pub(super) sizes: &'a dyn Fn(u32) -> Option<usize>,
}

impl<'a> Source<'a> {
    pub(super) fn new(
        device: &'a dyn Device,
        files: &'a [String],
        sizes: &'a dyn Fn(u32) -> Option<usize>,
    ) -> Self {
        Self { device, files, open: None, sizes }
    }

    pub(super) fn name(&self, file: u32) -> &str {
        self.files.get(file as usize).map_or("", String::as_str)
    }

    pub(super) fn bytes(&mut self, file: u32) -> io::Result<&mut Bytes> {
        if self.open.as_ref().is_none_or(|(open, _)| *open != file) {
            self.open = None;
            let bytes = Bytes::open(self.device, self.name(file))?;
            self.open = Some((file, bytes));
        }
        match &mut self.open {
            Some((_, bytes)) => Ok(bytes),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }
}
