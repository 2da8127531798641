//! Writers: batches in, bytes of a format out, so that reading them gives the same events.
//!
//! # Invariants
//! - What a format cannot hold is an error that names the value; nothing is rounded, cut or turned
//!   around in silence. Bytes of the events before it are in the output.
//! - Order is kept: events come back in the order they were written.

mod aedat4;
mod clock;
mod dat;
mod evt2;
mod evt3;
mod hdf5;
mod text;

pub use aedat4::PacketCompression;
pub use hdf5::{ChunkCompression, Hdf5Layout};
pub use text::TextStyle;

use crate::batch::{EventBatch, SensorSize};
use crate::detect::Format;
use crate::error::{EventError, Result};
use crate::output::Trigger;

/// Events in, bytes out.
pub trait Encoder: std::fmt::Debug + Send {
    /// Appends the events to `out`, behind the header where they are the first.
    ///
    /// # Errors
    /// `Invalid` for a value that the format cannot hold.
    fn encode(&mut self, events: &EventBatch, out: &mut Vec<u8>) -> Result<()>;

    /// Appends a trigger; the caller puts it between the events around it.
    ///
    /// # Errors
    /// `Invalid` where the format, as it is written here, has no triggers.
    fn trigger(&mut self, _: Trigger, _: &mut Vec<u8>) -> Result<()> {
        Err(EventError::invalid("this format is written without triggers"))
    }

    /// Appends what has been held back; a header too, where there were no events.
    ///
    /// # Errors
    /// As [`Encoder::encode`].
    fn finish(&mut self, out: &mut Vec<u8>) -> Result<()>;
}

/// How to write.
#[derive(Debug, Clone, Default)]
pub struct EncodeOptions {
    /// The sensor, for the header. AEDAT 4 does without it where it is unknown, as do the others.
    pub sensor_size: Option<SensorSize>,
    /// How text looks.
    pub text: TextStyle,
    /// What packets of AEDAT 4 are packed with.
    pub compression: PacketCompression,
    /// Which datasets HDF5 has.
    pub hdf5_layout: Hdf5Layout,
    /// What chunks of HDF5 are packed with.
    pub hdf5_compression: ChunkCompression,
}

/// A writer of `format`: EVT 2.0, EVT 3.0, DAT (version 2), AEDAT 4, HDF5 or text.
///
/// # Errors
/// `Invalid` for a format that is only read, and for options that contradict each other.
pub fn encoder(format: Format, options: &EncodeOptions) -> Result<Box<dyn Encoder>> {
    Ok(match format {
        Format::Evt2 => Box::new(evt2::Evt2Encoder::new(options.sensor_size)),
        Format::Evt3 => Box::new(evt3::Evt3Encoder::new(options.sensor_size)),
        Format::Dat => Box::new(dat::DatEncoder::new(options.sensor_size)),
        Format::Aedat4 => Box::new(aedat4::Aedat4Encoder::new(options)),
        Format::Hdf5 => Box::new(hdf5::Hdf5Encoder::new(options)?),
        Format::Text => Box::new(text::TextEncoder::new(&options.text)?),
        other => {
            let what =
                format!("{other} is read only; evt2, evt3, dat, aedat4, hdf5, text are written");
            return Err(EventError::invalid(what));
        }
    })
}

/// The header of a raw file, `format` being its long and `version` its short name.
fn raw_header(size: Option<SensorSize>, version: &str, format: &str) -> Vec<u8> {
    let mut text = format!("% evt {version}\n");
    if let Some(SensorSize { width, height }) = size {
        text += &format!("% format {format};height={height};width={width}\n");
        text += &format!("% geometry {width}x{height}\n");
    }
    (text + "% end\n").into_bytes()
}

/// An error about a value that does not fit.
fn misfit(what: &str, value: impl std::fmt::Display, limit: &str) -> EventError {
    EventError::invalid(format!("{what} {value} does not fit: {limit}"))
}
