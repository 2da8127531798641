//! Events being written to a file of some format.
//!
//! # Invariants
//! - The file appears whole or not at all.
//! - What the format cannot hold is an error; triggers that it cannot hold are counted.

use std::io::Write;
use std::ops::Range;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use presence_events::{
    ChunkCompression, EncodeOptions, Encoder, EventBatch, Format, Hdf5Layout, PacketCompression,
    SensorSize, Trigger, encoder,
};

use presence_cli::failure::{Failure, Result};
use presence_cli::output::Output;

/// What a file of some formats looks like.
#[derive(Debug, Clone, Copy, Args)]
pub(super) struct Encoding {
    /// How the file is packed: lz4 of AEDAT 4, deflate (the default) or ecf of HDF5, or none.
    #[arg(long, value_name = "HOW")]
    pack: Option<Packing>,
    /// HDF5: whose datasets the file has.
    #[arg(long, value_name = "LAYOUT", default_value = "prophesee")]
    layout: Layout,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Packing {
    None,
    Lz4,
    Deflate,
    Ecf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Layout {
    Prophesee,
    Dsec,
}

/// A format that is written.
///
/// # Errors
/// A sentence for people.
pub(super) fn parse_written(text: &str) -> Result<Format, String> {
    const WRITTEN: &str = "evt2, evt3, dat, aedat4, hdf5 and text are written";
    let format = Format::of_name(text)
        .ok_or_else(|| format!("{text:?} is no format of events; {WRITTEN}"))?;
    encoder(format, &EncodeOptions::default()).map(|_| format).map_err(|error| error.what)
}

impl Encoding {
    /// What the writer of `format` is given.
    ///
    /// # Errors
    /// Where the format is not packed in this way.
    fn options(self, format: Format) -> Result<EncodeOptions> {
        let mut options = EncodeOptions {
            hdf5_layout: match self.layout {
                Layout::Prophesee => Hdf5Layout::Prophesee,
                Layout::Dsec => Hdf5Layout::Dsec,
            },
            ..EncodeOptions::default()
        };
        match (format, self.pack) {
            (_, None) => {}
            (Format::Aedat4, Some(Packing::Lz4)) => options.compression = PacketCompression::Lz4,
            (Format::Hdf5, Some(Packing::None)) => {
                options.hdf5_compression = ChunkCompression::None;
            }
            (Format::Hdf5, Some(Packing::Ecf)) => options.hdf5_compression = ChunkCompression::Ecf,
            (Format::Hdf5, Some(Packing::Deflate)) | (_, Some(Packing::None)) => {}
            (format, Some(_)) => {
                let what = "is not packed so: lz4 is of aedat4, deflate and ecf are of hdf5";
                return Err(Failure::usage(format!("{format} {what}")));
            }
        }
        encoder(format, &options).map_err(|error| Failure::usage(error.what))?;
        Ok(options)
    }
}

/// What the names of such files end with.
pub(super) fn extension(format: Format) -> &'static str {
    match format {
        Format::Dat => "dat",
        Format::Aedat4 => "aedat4",
        Format::Hdf5 => "h5",
        Format::Text => "txt",
        _ => "raw",
    }
}

/// What a file got.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Written {
    pub(super) events: u64,
    pub(super) bytes: u64,
    pub(super) triggers: u64,
    /// Those that the format has no place for.
    pub(super) triggers_left: u64,
}

/// A file being written.
pub(super) struct Sink {
    path: PathBuf,
    format: Format,
    options: EncodeOptions,
    out: Output,
    encoder: Option<Box<dyn Encoder>>,
    buffer: Vec<u8>,
    part: EventBatch,
    written: Written,
}

impl Sink {
    /// Opens the file; `-` is standard output.
    ///
    /// # Errors
    /// Where it cannot be made, or the encoding contradicts itself.
    pub(super) fn open(path: &Path, format: Format, encoding: Encoding) -> Result<Self> {
        Ok(Self {
            path: path.to_owned(),
            format,
            options: encoding.options(format)?,
            out: Output::open(Some(path))?,
            encoder: None,
            buffer: Vec::new(),
            part: EventBatch::new(),
            written: Written::default(),
        })
    }

    /// Writes events, and triggers between them where the format has them. The header is made with
    /// the first sensor's size that is known.
    ///
    /// # Errors
    /// For an event that the format cannot hold.
    pub(super) fn put(
        &mut self,
        events: &EventBatch,
        triggers: &[Trigger],
        size: Option<SensorSize>,
    ) -> Result<()> {
        if events.is_empty() && triggers.is_empty() {
            return Ok(());
        }
        let mut from = 0;
        for trigger in triggers {
            let rest = events.t().get(from..).unwrap_or_default();
            let until = from + rest.partition_point(|t| *t <= trigger.t);
            self.encode(events, from..until, size)?;
            from = until;
            match self.with_encoder(size, |encoder, out| encoder.trigger(*trigger, out))? {
                Ok(()) => self.written.triggers += 1,
                Err(_) => self.written.triggers_left += 1,
            }
        }
        self.encode(events, from..events.len(), size)?;
        self.flush()
    }

    fn encode(
        &mut self,
        events: &EventBatch,
        range: Range<usize>,
        size: Option<SensorSize>,
    ) -> Result<()> {
        self.written.events += range.len() as u64;
        let mut part = std::mem::take(&mut self.part);
        part.clear();
        part.extend_from(events, range);
        let done = self.with_encoder(size, |encoder, out| encoder.encode(&part, out))?;
        self.part = part;
        self.told(done)
    }

    /// Runs the writer, which is made at first use.
    fn with_encoder<T>(
        &mut self,
        size: Option<SensorSize>,
        run: impl FnOnce(&mut dyn Encoder, &mut Vec<u8>) -> T,
    ) -> Result<T> {
        if self.encoder.is_none() {
            self.options.sensor_size = size;
            let made = encoder(self.format, &self.options);
            self.encoder = Some(self.told(made)?);
        }
        let Self { encoder: Some(encoder), buffer, .. } = self else {
            return Err(Failure::cannot("there is no writer"));
        };
        Ok(run(&mut **encoder, buffer))
    }

    fn told<T>(&self, result: presence_events::Result<T>) -> Result<T> {
        result.map_err(|error| Failure::of_events(&self.path.display().to_string(), &error))
    }

    fn flush(&mut self) -> Result<()> {
        self.out.write_all(&self.buffer)?;
        self.written.bytes += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    /// Ends the file; `size` is the sensor's where there were no events.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub(super) fn end(mut self, size: Option<SensorSize>) -> Result<Written> {
        let done = self.with_encoder(size, |encoder, out| encoder.finish(out))?;
        self.told(done)?;
        self.flush()?;
        self.out.finish()?;
        Ok(self.written)
    }
}
