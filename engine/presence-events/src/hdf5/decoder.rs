//! HDF5 as a [`Decoder`], which is fed from the first byte to the last.
//!
//! # Invariants
//! - The file, as it is packed, is held in memory: HDF5 has no order in which it could be read.
//!   [`Recording`](crate::Recording) reads it where it lies.
//! - Events come out as soon as the file is as long as it says, batch by batch.

use super::reader::Hdf5Reader;
use super::superblock;
use crate::batch::SensorSize;
use crate::decoder::Decoder;
use crate::detect::Format;
use crate::error::{EventError, EventErrorKind, Latch, Result};
use crate::options::Options;
use crate::output::Output;
use crate::report::Report;

/// More than this is read through a [`Recording`](crate::Recording) only.
const FILE_BYTES_MAX: usize = 1 << 30;

/// Gathers a file, then reads it.
#[derive(Debug)]
pub(crate) struct Hdf5Decoder {
    options: Options,
    bytes: Vec<u8>,
    /// Where the file ends, once that is known.
    end: Option<u64>,
    reader: Option<Hdf5Reader>,
    is_done: bool,
    report: Report,
    failed: Latch,
}

impl Hdf5Decoder {
    pub(crate) fn new(options: &Options) -> Self {
        Self {
            options: options.clone(),
            bytes: Vec::new(),
            end: None,
            reader: None,
            is_done: false,
            report: Report::default(),
            failed: Latch::default(),
        }
    }

    fn take(&mut self, bytes: &[u8]) -> Result<usize> {
        if self.bytes.len() + bytes.len() > FILE_BYTES_MAX {
            let what = "HDF5 of more than 1 GiB cannot be read from front to back";
            let place = self.bytes.len() as u64;
            return Err(EventError::new(EventErrorKind::Unsupported, place, what));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn drain(&mut self, out: &mut Output) -> Result<()> {
        if self.reader.is_none() {
            let bytes = std::mem::take(&mut self.bytes);
            self.reader = Some(Hdf5Reader::open(Box::new(bytes), &self.options)?);
        }
        if let Some(reader) = &mut self.reader {
            self.is_done = !reader.read(out)?;
        }
        Ok(())
    }
}

impl Decoder for Hdf5Decoder {
    fn format(&self) -> Format {
        Format::Hdf5
    }

    fn feed(&mut self, bytes: &[u8], out: &mut Output) -> Result<usize> {
        self.failed.check()?;
        if self.is_done {
            return Ok(bytes.len());
        }
        // The last byte is taken when all events are: so the caller comes again.
        let mut before = 0;
        if self.reader.is_none() {
            if self.end.is_none() && self.bytes.len() < superblock::REACH {
                self.end = superblock::end(&self.bytes, bytes);
            }
            let missing = self.end.map(|end| end.saturating_sub(self.bytes.len() as u64));
            let missing = missing.and_then(|missing| usize::try_from(missing).ok());
            let Some(missing) = missing.filter(|&missing| missing <= bytes.len()) else {
                let taken = self.take(bytes);
                return self.failed.keep(taken);
            };
            let taken = self.take(bytes.get(..missing).unwrap_or_default());
            self.failed.keep(taken)?;
            before = missing.saturating_sub(1);
        }
        let drained = self.drain(out);
        self.failed.keep(drained)?;
        Ok(if self.is_done { bytes.len() } else { before })
    }

    fn finish(&mut self, out: &mut Output) -> Result<()> {
        self.failed.check()?;
        let mut part = Output::default();
        while !self.is_done {
            let drained = self.drain(&mut part);
            crate::decoder::append(out, &mut part);
            self.failed.keep(drained)?;
        }
        Ok(())
    }

    fn report(&self) -> &Report {
        self.reader.as_ref().map_or(&self.report, Hdf5Reader::report)
    }

    fn sensor_size(&self) -> Option<SensorSize> {
        let known = self.reader.as_ref().and_then(Hdf5Reader::sensor_size);
        known.or(self.options.sensor_size)
    }

    fn source(&self) -> Option<&str> {
        self.reader.as_ref().and_then(Hdf5Reader::source)
    }
}
