//! AEDAT 4: a described file of compressed packets, one FlatBuffer each.
//!
//! Behind the line `#!AER-DAT4.0` stands a FlatBuffer (`IOHE`) with the compression, the place of
//! the table of packets at the end (which is not needed here) and a tree that describes the
//! streams. A packet is the stream's number, its size (both i32), and as many bytes: an LZ4 or
//! Zstandard frame, or plain. In it is a FlatBuffer of one kind: `EVTS`, `FRME`, `IMUS`, `TRIG`.
//!
//! # Invariants
//! - A packet takes at most 32 MiB, compressed and decompressed; a damaged one is left out by its
//!   size.
//! - Events come from the first stream of events in the file; those of a second camera are counted,
//!   never mixed in.

use super::flat::Table;
use super::node::{Stream, streams};
use super::packet::Gather;
use super::v3::judge;
use crate::batch::SensorSize;
use crate::decoder::Decoder;
use crate::detect::Format;
use crate::error::{EventError, EventErrorKind, Latch, Result};
use crate::options::{OnDamage, Options};
use crate::output::{Frame, ImuSample, Output, PixelFormat, Trigger};
use crate::report::Report;
use crate::words::count_streams;

const MAGIC: &[u8] = b"#!AER-DAT4.0\r\n";
const HEAD_BYTES: usize = 8;
const PACKET_BYTES_MAX: usize = 32 << 20;
/// Time, x, y, polarity and three bytes of nothing.
const EVENT_BYTES: usize = 16;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Compression {
    None,
    Lz4,
    Zstd,
}

#[derive(Debug, Clone, Copy)]
enum Stage {
    Magic,
    DescriptionSize,
    Description(usize),
    Head,
    Packet {
        stream: i32,
        bytes: usize,
    },
    /// Behind the packets, or behind damage; `true` where it is damage.
    Rest(bool),
}

/// A decoder of AEDAT 4.
#[derive(Debug)]
pub(crate) struct Aedat4Decoder {
    options: Options,
    stage: Stage,
    gather: Gather,
    /// What packets are unpacked into.
    buffer: Vec<u8>,
    offset: u64,
    table_at: Option<u64>,
    compression: Compression,
    streams: Vec<Stream>,
    /// The stream that events are taken from.
    stream: Option<i32>,
    report: Report,
    failed: Latch,
}

impl Aedat4Decoder {
    pub(crate) fn new(options: &Options) -> Self {
        Self {
            options: options.clone(),
            stage: Stage::Magic,
            gather: Gather::default(),
            buffer: Vec::new(),
            offset: 0,
            table_at: None,
            compression: Compression::None,
            streams: Vec::new(),
            stream: None,
            report: Report::default(),
            failed: Latch::default(),
        }
    }

    fn step(&mut self, bytes: &[u8], out: &mut Output) -> Result<usize> {
        let mut rest = bytes;
        while !rest.is_empty() && !out.is_full() {
            let need = match self.stage {
                Stage::Magic => MAGIC.len(),
                Stage::DescriptionSize => 4,
                Stage::Description(bytes) | Stage::Packet { bytes, .. } => bytes,
                Stage::Head if self.table_at.is_some_and(|at| self.offset >= at) => {
                    self.stage = Stage::Rest(false);
                    continue;
                }
                Stage::Head => HEAD_BYTES,
                Stage::Rest(is_damage) => {
                    self.report.tail_bytes += if is_damage { rest.len() as u64 } else { 0 };
                    self.offset += rest.len() as u64;
                    return Ok(bytes.len());
                }
            };
            let Some(piece) = self.gather.take(&mut rest, need) else { break };
            self.piece(piece.bytes(), out)?;
            self.offset += need as u64;
            self.gather.recycle(piece);
        }
        Ok(bytes.len() - rest.len())
    }

    fn piece(&mut self, bytes: &[u8], out: &mut Output) -> Result<()> {
        self.stage = match self.stage {
            Stage::Magic if bytes == MAGIC => Stage::DescriptionSize,
            Stage::Magic => return Err(self.corrupt("no AEDAT 4")),
            Stage::DescriptionSize => {
                let size = le32(bytes) as usize;
                if size > PACKET_BYTES_MAX {
                    return Err(self.corrupt("a description with an impossible size"));
                }
                Stage::Description(size)
            }
            Stage::Description(_) => {
                self.describe(bytes)?;
                Stage::Head
            }
            Stage::Head => self.head(bytes)?,
            Stage::Packet { stream, .. } => {
                self.packet(stream, bytes, out)?;
                Stage::Head
            }
            Stage::Rest(is_damage) => Stage::Rest(is_damage),
        };
        Ok(())
    }

    fn describe(&mut self, bytes: &[u8]) -> Result<()> {
        let mut sized = (bytes.len() as u32).to_le_bytes().to_vec();
        sized.extend_from_slice(bytes);
        let Some((_, table)) = Table::root(&sized).filter(|(name, _)| name == b"IOHE") else {
            return Err(self.corrupt("a description that is no FlatBuffer of the kind IOHE"));
        };
        self.compression = match table.i32(0).unwrap_or(0) {
            0 => Compression::None,
            1 | 2 => Compression::Lz4,
            3 | 4 => Compression::Zstd,
            other => {
                let what = format!("compression {other}; none, LZ4 and Zstandard are read");
                return Err(EventError::new(EventErrorKind::Unsupported, self.offset, what));
            }
        };
        self.table_at = table.i64(1).and_then(|at| u64::try_from(at).ok());
        let text = table.elements(2, 1).unwrap_or_default();
        self.streams = streams(&String::from_utf8_lossy(text));
        self.stream = self.streams.iter().find(|s| s.kind == "EVTS").map(|s| s.id);
        Ok(())
    }

    fn head(&mut self, bytes: &[u8]) -> Result<Stage> {
        let (stream, size) = bytes.split_at(4.min(bytes.len()));
        let (stream, bytes) = (le32(stream) as i32, le32(size) as usize);
        if bytes > PACKET_BYTES_MAX || bytes == 0 {
            let what = "a packet with an impossible size";
            if self.options.on_damage == OnDamage::Refuse {
                return Err(self.corrupt(what));
            }
            self.report.skip(EventErrorKind::Corrupt, self.offset, what);
            self.report.tail_bytes += HEAD_BYTES as u64;
            return Ok(Stage::Rest(true));
        }
        Ok(Stage::Packet { stream, bytes })
    }

    fn packet(&mut self, stream: i32, bytes: &[u8], out: &mut Output) -> Result<()> {
        let mark = out.mark();
        let mut buffer = std::mem::take(&mut self.buffer);
        let content = match self.compression {
            Compression::None => Ok(bytes),
            Compression::Lz4 => super::lz4::decompress(bytes, PACKET_BYTES_MAX, &mut buffer),
            Compression::Zstd => unpack_zstd(bytes, &mut buffer),
        };
        let read = content.and_then(|content| self.content(stream, content, out));
        self.buffer = buffer;
        if let Err(what) = read {
            out.rewind(mark);
            if self.options.on_damage == OnDamage::Refuse {
                return Err(self.corrupt(what));
            }
            self.report.unknown_words += 1;
            self.report.skip(EventErrorKind::Corrupt, self.offset, what);
            return Ok(());
        }
        let size = self.sensor_size();
        let saved = (self.options.on_damage == OnDamage::Refuse).then(|| self.report.clone());
        let (dropped, back) = self.report.settle(&mut out.events, mark.events, size);
        count_streams(&mut self.report, mark, out);
        let judged = judge(&mut self.report, self.options.on_damage, self.offset, dropped, back);
        if let (Err(_), Some(report)) = (&judged, saved) {
            // What came before the packet is kept; the packet is not.
            out.rewind(mark);
            self.report = report;
        }
        judged
    }

    fn content(&mut self, stream: i32, bytes: &[u8], out: &mut Output) -> Result<(), &'static str> {
        let (kind, table) = Table::root(bytes).ok_or("a packet that is no FlatBuffer")?;
        match &kind {
            b"EVTS" if *self.stream.get_or_insert(stream) == stream => events(&table, out),
            b"EVTS" => {
                let bytes = table.elements(0, EVENT_BYTES).unwrap_or_default();
                self.report.dropped += (bytes.len() / EVENT_BYTES) as u64;
                Ok(())
            }
            b"FRME" => frame(&table, out),
            b"IMUS" => imu(&table, out),
            b"TRIG" => triggers(&table, out),
            _ => {
                self.report.other_words.first_mut().into_iter().for_each(|count| *count += 1);
                Ok(())
            }
        }
    }

    fn corrupt(&self, what: &str) -> EventError {
        EventError::new(EventErrorKind::Corrupt, self.offset, what)
    }
}

/// The content of a Zstandard frame, read in steps that keep its size bounded.
fn unpack_zstd<'a>(bytes: &[u8], content: &'a mut Vec<u8>) -> Result<&'a [u8], &'static str> {
    use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};
    const FAULT: &str = "a Zstandard frame that does not decode";
    let mut input = bytes;
    let mut decoder = FrameDecoder::new();
    decoder.reset(&mut input).map_err(|_| FAULT)?;
    content.clear();
    while !decoder.is_finished() {
        let step = BlockDecodingStrategy::UptoBytes(1 << 20);
        decoder.decode_blocks(&mut input, step).map_err(|_| FAULT)?;
        content.extend(decoder.collect().unwrap_or_default());
        if content.len() > PACKET_BYTES_MAX {
            return Err("a Zstandard frame with too much in it");
        }
    }
    content.extend(decoder.collect().unwrap_or_default());
    Ok(content.as_slice())
}

fn events(table: &Table<'_>, out: &mut Output) -> Result<(), &'static str> {
    if !table.has(0) {
        return Ok(());
    }
    let bytes = table.elements(0, EVENT_BYTES).ok_or("events beyond their packet")?;
    let columns = out.events.spare(bytes.len() / EVENT_BYTES);
    let pixels = columns.x.iter_mut().zip(columns.y).zip(columns.p);
    let mut below = 0;
    for (event, (t, ((x, y), p))) in
        bytes.chunks_exact(EVENT_BYTES).zip(columns.t.iter_mut().zip(pixels))
    {
        let event: u128 = event.try_into().map_or(0, u128::from_le_bytes);
        let rest = (event >> 64) as u64;
        *t = event as i64;
        *x = rest as u16;
        *y = (rest >> 16) as u16;
        *p = u8::from(rest >> 32 & 0xFF != 0);
        below |= *x | *y;
    }
    if below >> 15 == 1 {
        return Err("events with pixels below zero");
    }
    out.events.commit(bytes.len() / EVENT_BYTES);
    Ok(())
}

fn frame(table: &Table<'_>, out: &mut Output) -> Result<(), &'static str> {
    let size = |index| table.i16(index).and_then(|value| u16::try_from(value).ok());
    let (Some(width), Some(height)) = (size(6), size(7)) else {
        return Err("a frame without a size");
    };
    let format = match table.u8(5).unwrap_or(0) {
        0 => PixelFormat::Gray8,
        16 => PixelFormat::Bgr8,
        24 => PixelFormat::Bgra8,
        2 => PixelFormat::Wide16(1),
        18 => PixelFormat::Wide16(3),
        26 => PixelFormat::Wide16(4),
        _ => return Err("a frame of pixels of an unknown form"),
    };
    let pixels = table.elements(10, 1).unwrap_or_default().to_vec();
    let t = table.i64(1).or(table.i64(0)).unwrap_or(0);
    let t_end = table.i64(2).unwrap_or(t);
    out.frames.push(Frame { t, t_end, width, height, format, pixels });
    Ok(())
}

fn imu(table: &Table<'_>, out: &mut Output) -> Result<(), &'static str> {
    for sample in table.tables(0) {
        let sample = sample.ok_or("a sample beyond its packet")?;
        let three = |from: usize| [0, 1, 2].map(|i| sample.f32(from + i).unwrap_or(0.0));
        out.imu.push(ImuSample {
            t: sample.i64(0).unwrap_or(0),
            temperature: sample.f32(1).unwrap_or(0.0),
            acceleration: three(2),
            rotation: three(5),
            magnetism: (8..11).any(|i| sample.f32(i).is_some()).then(|| three(8)),
            is_raw: false,
        });
    }
    Ok(())
}

fn triggers(table: &Table<'_>, out: &mut Output) -> Result<(), &'static str> {
    for trigger in table.tables(0) {
        let trigger = trigger.ok_or("a trigger beyond its packet")?;
        let (t, id) = (trigger.i64(0).unwrap_or(0), trigger.u8(1).unwrap_or(0));
        out.triggers.push(Trigger { t, id, value: 1 });
    }
    Ok(())
}

fn le32(bytes: &[u8]) -> u32 {
    bytes.try_into().map_or(0, u32::from_le_bytes)
}

impl Aedat4Decoder {
    /// What the end of the input means.
    fn end(&mut self) -> Result<()> {
        let truncated = |what| EventError::new(EventErrorKind::Truncated, self.offset, what);
        let head = match self.stage {
            Stage::Magic | Stage::DescriptionSize | Stage::Description(_) => {
                return Err(truncated("an AEDAT 4 file that ends within its header".to_owned()));
            }
            Stage::Packet { .. } => HEAD_BYTES,
            Stage::Head | Stage::Rest(_) => 0,
        };
        let tail = head + self.gather.len();
        if tail > 0 {
            let error = truncated(format!("{tail} bytes at the end are no whole packet"));
            if self.options.on_damage == OnDamage::Refuse {
                return Err(error);
            }
            self.report.skip(error.kind, error.offset, &error.what);
            self.report.tail_bytes += tail as u64;
        }
        Ok(())
    }
}

impl Decoder for Aedat4Decoder {
    fn format(&self) -> Format {
        Format::Aedat4
    }

    fn feed(&mut self, bytes: &[u8], out: &mut Output) -> Result<usize> {
        self.failed.check()?;
        let result = self.step(bytes, out);
        self.failed.keep(result)
    }

    fn finish(&mut self, _: &mut Output) -> Result<()> {
        self.failed.check()?;
        let result = self.end();
        self.failed.keep(result)
    }

    fn report(&self) -> &Report {
        &self.report
    }

    fn sensor_size(&self) -> Option<SensorSize> {
        let stream = self.streams.iter().find(|stream| Some(stream.id) == self.stream);
        self.options.sensor_size.or(stream.and_then(Stream::sensor_size))
    }

    fn source(&self) -> Option<&str> {
        let stream = self.streams.iter().find(|stream| Some(stream.id) == self.stream);
        stream.and_then(|stream| stream.source.as_deref())
    }
}
