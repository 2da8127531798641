//! AEDAT 4 with one stream of events.
//!
//! # Invariants
//! - Pixels are below 32,768. Packets hold at most 4,096 events; there is no table of packets,
//!   which the format permits.

use super::{EncodeOptions, Encoder, misfit};
use crate::aedat::lz4_compress;
use crate::batch::{Event, EventBatch, SensorSize};
use crate::error::Result;

const PACKET_EVENTS: usize = 4096;

/// What packets are packed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PacketCompression {
    /// Nothing.
    None,
    /// LZ4 frames.
    #[default]
    Lz4,
}

/// A writer of AEDAT 4.
#[derive(Debug)]
pub(super) struct Aedat4Encoder {
    header: Option<Vec<u8>>,
    compression: PacketCompression,
    /// Events of the packet that grows, as they are stored.
    packet: Vec<u8>,
}

impl Aedat4Encoder {
    pub(super) fn new(options: &EncodeOptions) -> Self {
        let header = Some(header(options.sensor_size, options.compression));
        Self { header, compression: options.compression, packet: Vec::new() }
    }

    fn flush(&mut self, out: &mut Vec<u8>) {
        if self.packet.is_empty() {
            return;
        }
        // Root at 16, vtable at 8, the vector at 24 and its elements at 28: with the size in
        // front they are aligned to 8.
        let mut content = ((28 + self.packet.len()) as u32).to_le_bytes().to_vec();
        content.extend(16_u32.to_le_bytes());
        content.extend_from_slice(b"EVTS");
        content.extend([6, 0, 8, 0, 4, 0, 0, 0]);
        content.extend(8_u32.to_le_bytes());
        content.extend(4_u32.to_le_bytes());
        content.extend(((self.packet.len() / 16) as u32).to_le_bytes());
        content.append(&mut self.packet);
        let packed = match self.compression {
            PacketCompression::None => content,
            PacketCompression::Lz4 => lz4_compress(&content),
        };
        out.extend_from_slice(&0_i32.to_le_bytes());
        out.extend_from_slice(&(packed.len() as u32).to_le_bytes());
        out.extend(packed);
    }
}

fn put(event: Event, packet: &mut Vec<u8>) {
    packet.extend_from_slice(&event.t.to_le_bytes());
    packet.extend_from_slice(&event.x.to_le_bytes());
    packet.extend_from_slice(&event.y.to_le_bytes());
    packet.extend_from_slice(&[event.polarity, 0, 0, 0]);
}

/// The first line and the description of the one stream.
fn header(size: Option<SensorSize>, compression: PacketCompression) -> Vec<u8> {
    let (name, number) = match compression {
        PacketCompression::None => ("NONE", 0_i32),
        PacketCompression::Lz4 => ("LZ4", 1),
    };
    let path = "/mainloop/Recorder/outInfo/";
    let size = size.map_or_else(String::new, |SensorSize { width, height }| {
        format!(
            "<attr key=\"sizeX\" type=\"int\">{width}</attr>\
             <attr key=\"sizeY\" type=\"int\">{height}</attr>"
        )
    });
    let text = format!(
        "<dv version=\"2.0\"><node name=\"outInfo\" path=\"{path}\">\
         <node name=\"0\" path=\"{path}0/\">\
         <attr key=\"compression\" type=\"string\">{name}</attr>\
         <attr key=\"originalModuleName\" type=\"string\">presence</attr>\
         <attr key=\"originalOutputName\" type=\"string\">events</attr>\
         <attr key=\"typeDescription\" type=\"string\">Array of events (polarity ON/OFF).</attr>\
         <attr key=\"typeIdentifier\" type=\"string\">EVTS</attr>\
         <node name=\"info\" path=\"{path}0/info/\">{size}\
         <attr key=\"source\" type=\"string\">presence</attr></node></node></node></dv>"
    );
    // vtable at 8, table at 20: compression at 24, text at 28, place of the table at 36.
    let mut table = 20_u32.to_le_bytes().to_vec();
    table.extend_from_slice(b"IOHE");
    table.extend([10, 0, 24, 0, 4, 0, 16, 0, 8, 0, 0, 0]);
    table.extend(12_u32.to_le_bytes());
    table.extend(number.to_le_bytes());
    table.extend(16_u32.to_le_bytes());
    table.extend([0; 4]);
    table.extend((-1_i64).to_le_bytes());
    table.extend((text.len() as u32).to_le_bytes());
    table.extend(text.into_bytes());
    table.push(0);
    let mut header = b"#!AER-DAT4.0\r\n".to_vec();
    header.extend((table.len() as u32).to_le_bytes());
    header.extend(table);
    header
}

impl Encoder for Aedat4Encoder {
    fn encode(&mut self, events: &EventBatch, out: &mut Vec<u8>) -> Result<()> {
        out.extend(self.header.take().unwrap_or_default());
        for event in events.iter() {
            if event.x | event.y > 0x7FFF {
                return Err(misfit("a pixel of", event.x.max(event.y), "AEDAT 4 has 15 bits"));
            }
            put(event, &mut self.packet);
            if self.packet.len() >= PACKET_EVENTS * 16 {
                self.flush(out);
            }
        }
        Ok(())
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<()> {
        out.extend(self.header.take().unwrap_or_default());
        self.flush(out);
        Ok(())
    }
}
