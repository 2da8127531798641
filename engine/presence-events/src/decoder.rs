//! The interface of all decoders, and the one that finds the format by itself.
//!
//! # Invariants
//! - Sans-io: bytes are handed in, cut anywhere; the state between two calls is the decoder's.
//! - Memory is bounded, whatever the bytes: a decoder holds at most one header, one word, one
//!   line, or one packet and what it decompresses to; of HDF5, the file as it is packed.
//! - After an error a decoder returns it again.

use crate::aedat::{Aedat1, Aedat2, Aedat3Decoder, Aedat4Decoder};
use crate::batch::SensorSize;
use crate::bin40::Bin40;
use crate::dat::Dat;
use crate::detect::{Format, HEAD_BYTES, detect_with};
use crate::error::{Latch, Result};
use crate::event_stream::EventStream;
use crate::evt2::Evt2;
use crate::evt3::Evt3;
use crate::evt21::Evt21;
use crate::hdf5::Hdf5Decoder;
use crate::options::Options;
use crate::output::Output;
use crate::report::Report;
use crate::text::TextDecoder;
use crate::words::WordDecoder;

/// Bytes in, events out.
pub trait Decoder: std::fmt::Debug + Send {
    /// The format it reads.
    fn format(&self) -> Format;

    /// Takes bytes of the input and appends what they hold to `out`. Returns how many bytes it
    /// took: all, or fewer where `out` became full before. Then the caller takes what is there,
    /// clears `out`, and feeds the rest.
    ///
    /// # Errors
    /// Damage, where [`OnDamage::Refuse`](crate::OnDamage) was asked for; what makes reading on
    /// impossible in any case.
    fn feed(&mut self, bytes: &[u8], out: &mut Output) -> Result<usize>;

    /// Says that the input has ended, and appends what the last bytes held.
    ///
    /// # Errors
    /// `Truncated` where the input ends within a header, and with
    /// [`OnDamage::Refuse`](crate::OnDamage) where it ends within anything; else the bytes are
    /// counted in the report.
    fn finish(&mut self, out: &mut Output) -> Result<()>;

    /// What has been counted so far.
    fn report(&self) -> &Report;

    /// The sensor's size, declared or from the header, once that has been read.
    fn sensor_size(&self) -> Option<SensorSize>;

    /// The camera, where the header names it and has been read.
    fn source(&self) -> Option<&str>;

    /// Decodes a whole input that is in memory.
    ///
    /// # Errors
    /// As [`Decoder::feed`] and [`Decoder::finish`]; `out` has what came before.
    fn decode_all(&mut self, bytes: &[u8], out: &mut Output) -> Result<()> {
        let mut rest = bytes;
        let mut part = Output::default();
        while !rest.is_empty() {
            let taken = self.feed(rest, &mut part);
            append(out, &mut part);
            rest = rest.get(taken?..).unwrap_or_default();
        }
        let done = self.finish(&mut part);
        append(out, &mut part);
        out.events.sensor_size = self.sensor_size();
        out.events.source = self.source().map(Into::into);
        done
    }
}

pub(crate) fn append(out: &mut Output, part: &mut Output) {
    out.events.extend_from(&part.events, 0..part.events.len());
    out.exposures.extend_from(&part.exposures, 0..part.exposures.len());
    out.triggers.append(&mut part.triggers);
    out.frames.append(&mut part.frames);
    out.imu.append(&mut part.imu);
    out.colors.append(&mut part.colors);
    part.clear();
}

/// A decoder of `format`.
///
/// # Errors
/// `Invalid` where the options contradict the format.
pub fn decoder(format: Format, options: &Options) -> Result<Box<dyn Decoder>> {
    Ok(match format {
        Format::Evt2 => Box::new(WordDecoder::<Evt2>::new(format, options)),
        Format::Evt21 => Box::new(WordDecoder::<Evt21>::new(format, options)),
        Format::Evt3 => Box::new(WordDecoder::<Evt3>::new(format, options)),
        Format::Dat => Box::new(WordDecoder::<Dat>::new(format, options)),
        Format::Aedat1 => Box::new(WordDecoder::<Aedat1>::new(format, options)),
        Format::Aedat2 => Box::new(WordDecoder::<Aedat2>::new(format, options)),
        Format::Aedat3 => Box::new(Aedat3Decoder::new(options)),
        Format::Aedat4 => Box::new(Aedat4Decoder::new(options)),
        Format::EventStream => Box::new(WordDecoder::<EventStream>::new(format, options)),
        Format::Hdf5 => Box::new(Hdf5Decoder::new(options)),
        Format::Bin40 => Box::new(WordDecoder::<Bin40>::new(format, options)),
        Format::Text => Box::new(TextDecoder::new(options)?),
    })
}

/// A decoder that looks at the first bytes (at most 64 KiB) to find the format.
#[derive(Debug)]
pub struct AutoDecoder {
    options: Options,
    /// Bytes taken before the format was known, and how many of them have been decoded.
    head: Vec<u8>,
    decoded: usize,
    inner: Option<Box<dyn Decoder>>,
    nothing: Report,
    failed: Latch,
}

impl AutoDecoder {
    /// A decoder that knows nothing yet but its options.
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self {
            options,
            head: Vec::new(),
            decoded: 0,
            inner: None,
            nothing: Report::default(),
            failed: Latch::default(),
        }
    }

    /// The decoder of the format, which is found in the head.
    fn start(&mut self) -> Result<()> {
        if self.inner.is_none() {
            let found =
                self.options.format.map_or_else(|| detect_with(&self.head, &self.options), Ok);
            self.inner = Some(decoder(found?, &self.options)?);
        }
        Ok(())
    }

    /// Decodes the head until `out` is full.
    fn drain(&mut self, out: &mut Output) -> Result<()> {
        while let (Some(inner), Some(rest @ [_, ..])) =
            (&mut self.inner, self.head.get(self.decoded..))
            && !out.is_full()
        {
            self.decoded += inner.feed(rest, out)?;
        }
        if self.inner.is_some() && self.decoded == self.head.len() {
            (self.head, self.decoded) = (Vec::new(), 0);
        }
        Ok(())
    }

    fn step(&mut self, bytes: &[u8], out: &mut Output) -> Result<usize> {
        let mut taken = 0;
        if self.inner.is_none() {
            taken = bytes.len().min(HEAD_BYTES - self.head.len().min(HEAD_BYTES));
            self.head.extend_from_slice(bytes.get(..taken).unwrap_or_default());
            if self.head.len() < HEAD_BYTES {
                return Ok(taken);
            }
            self.start()?;
        }
        self.drain(out)?;
        if out.events.source.is_none() {
            out.events.source = self.source().map(Into::into);
        }
        let rest = bytes.get(taken..).unwrap_or_default();
        match &mut self.inner {
            Some(inner) if self.head.is_empty() => Ok(taken + inner.feed(rest, out)?),
            _ => Ok(taken),
        }
    }

    fn end(&mut self, out: &mut Output) -> Result<()> {
        self.start()?;
        let mut part = Output::default();
        while !self.head.is_empty() {
            let drained = self.drain(&mut part);
            append(out, &mut part);
            drained?;
        }
        self.inner.as_mut().map_or(Ok(()), |inner| inner.finish(out))
    }
}

/// The format is text until another one has been found.
impl Decoder for AutoDecoder {
    fn format(&self) -> Format {
        let known = self.inner.as_ref().map(|inner| inner.format());
        known.or(self.options.format).unwrap_or(Format::Text)
    }

    fn feed(&mut self, bytes: &[u8], out: &mut Output) -> Result<usize> {
        self.failed.check()?;
        let taken = self.step(bytes, out);
        self.failed.keep(taken)
    }

    fn finish(&mut self, out: &mut Output) -> Result<()> {
        self.failed.check()?;
        let done = self.end(out);
        self.failed.keep(done)
    }

    fn report(&self) -> &Report {
        self.inner.as_ref().map_or(&self.nothing, |inner| inner.report())
    }

    fn sensor_size(&self) -> Option<SensorSize> {
        self.inner.as_ref().and_then(|inner| inner.sensor_size()).or(self.options.sensor_size)
    }

    fn source(&self) -> Option<&str> {
        self.inner.as_ref().and_then(|inner| inner.source())
    }
}
