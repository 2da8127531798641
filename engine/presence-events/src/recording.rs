//! A recording of any format, read where it lies.
//!
//! # Invariants
//! - Memory is bounded for every format: HDF5 is read chunk by chunk, others piece by piece.
//! - After an error it returns it again: bytes that could not be read are not passed over.

use crate::batch::SensorSize;
use crate::decoder::{AutoDecoder, Decoder};
use crate::detect::{Format, HEAD_BYTES};
use crate::error::{Latch, Result};
use crate::hdf5::{ByteSource, Hdf5Reader, is_hdf5};
use crate::options::Options;
use crate::output::Output;
use crate::report::Report;

/// Read at once, of formats that are read from front to back.
const PIECE_BYTES: u64 = 256 << 10;

/// Events out of a source of bytes, whose format is found by content.
///
/// ```
/// use presence_events::{Options, Output, Recording};
///
/// let bytes = b"0.000001000 3 4 1\n0.000002000 5 6 0\n".to_vec();
/// let mut recording = Recording::open(Box::new(bytes), &Options::default())?;
/// let mut out = Output::default();
/// while recording.read(&mut out)? {
///     // Take what is there, and make room.
///     out.clear();
/// }
/// assert_eq!(recording.report().events, 2);
/// # Ok::<(), presence_events::EventError>(())
/// ```
#[derive(Debug)]
pub struct Recording {
    inner: Inner,
}

#[derive(Debug)]
enum Inner {
    Hdf5(Box<Hdf5Reader>),
    Stream(Box<Stream>),
}

/// A format that is read from front to back.
#[derive(Debug)]
struct Stream {
    source: Box<dyn ByteSource>,
    decoder: AutoDecoder,
    /// What has been read, and how much of it was taken.
    piece: Vec<u8>,
    taken: usize,
    offset: u64,
    is_done: bool,
    failed: Latch,
}

impl Recording {
    /// Looks at the first bytes, and at the structure of an HDF5 file.
    ///
    /// # Errors
    /// Where the source cannot be read; what is wrong with an HDF5 file.
    pub fn open(mut source: Box<dyn ByteSource>, options: &Options) -> Result<Self> {
        let head_bytes = source.bytes_total().min(HEAD_BYTES as u64) as usize;
        let mut head = vec![0; head_bytes];
        source.read_at(0, &mut head)?;
        let declared = options.format.is_none_or(|format| format == Format::Hdf5);
        let inner = if declared && is_hdf5(&head) {
            Inner::Hdf5(Box::new(Hdf5Reader::open(source, options)?))
        } else {
            Inner::Stream(Box::new(Stream {
                source,
                decoder: AutoDecoder::new(options.clone()),
                offset: head_bytes as u64,
                piece: head,
                taken: 0,
                is_done: false,
                failed: Latch::default(),
            }))
        };
        Ok(Self { inner })
    }

    /// Appends to `out` until it is full; `false` once there is no more.
    ///
    /// # Errors
    /// As [`Decoder::feed`] and [`Decoder::finish`]; where the source cannot be read.
    pub fn read(&mut self, out: &mut Output) -> Result<bool> {
        match &mut self.inner {
            Inner::Hdf5(reader) => reader.read(out),
            Inner::Stream(stream) => stream.read(out),
        }
    }

    /// The format; text until another one has been found.
    #[must_use]
    pub fn format(&self) -> Format {
        match &self.inner {
            Inner::Hdf5(_) => Format::Hdf5,
            Inner::Stream(stream) => stream.decoder.format(),
        }
    }

    /// What has been counted so far.
    #[must_use]
    pub fn report(&self) -> &Report {
        match &self.inner {
            Inner::Hdf5(reader) => reader.report(),
            Inner::Stream(stream) => stream.decoder.report(),
        }
    }

    /// The sensor's size, declared or from the recording, once that has been read.
    #[must_use]
    pub fn sensor_size(&self) -> Option<SensorSize> {
        match &self.inner {
            Inner::Hdf5(reader) => reader.sensor_size(),
            Inner::Stream(stream) => stream.decoder.sensor_size(),
        }
    }

    /// The camera, where the recording names it and has been read.
    #[must_use]
    pub fn source(&self) -> Option<&str> {
        match &self.inner {
            Inner::Hdf5(reader) => reader.source(),
            Inner::Stream(stream) => stream.decoder.source(),
        }
    }
}

impl Stream {
    fn read(&mut self, out: &mut Output) -> Result<bool> {
        self.failed.check()?;
        let read = self.fill(out);
        self.failed.keep(read)
    }

    fn fill(&mut self, out: &mut Output) -> Result<bool> {
        while !out.is_full() && !self.is_done {
            if self.taken == self.piece.len() {
                self.next_piece()?;
            }
            match self.piece.get(self.taken..).unwrap_or_default() {
                [] => {
                    self.decoder.finish(out)?;
                    self.is_done = true;
                }
                rest => self.taken += self.decoder.feed(rest, out)?,
            }
        }
        Ok(!self.is_done)
    }

    fn next_piece(&mut self) -> Result<()> {
        let left = self.source.bytes_total().saturating_sub(self.offset);
        self.piece.resize(left.min(PIECE_BYTES) as usize, 0);
        self.taken = 0;
        self.source.read_at(self.offset, &mut self.piece)?;
        self.offset += self.piece.len() as u64;
        Ok(())
    }
}
