//! AEDAT 3: packets of equal events, little endian, each packet with a header of 28 bytes.
//!
//! Read are packets of kind 0 (special events, as triggers), 1 (polarity), 2 (frames), 3 and 4
//! (inertial sensor with 6 and 9 axes); others are counted. The full time is the packet's overflow
//! counter times 2^31 plus the event's 31 bits.
//!
//! # Invariants
//! - Events whose valid bit is 0 are left out and counted.
//! - A packet longer than 32 MiB is damage, and nothing behind it is read.

use super::camera;
use super::packet::Gather;
use crate::batch::{Event, SensorSize};
use crate::decoder::Decoder;
use crate::detect::Format;
use crate::error::{EventError, EventErrorKind, Latch, Result};
use crate::header::{Header, HeaderReader};
use crate::options::{OnDamage, Options};
use crate::output::{Frame, ImuSample, Output, PixelFormat, Trigger};
use crate::report::Report;
use crate::words::count_streams;

const HEAD_BYTES: usize = 28;
const PACKET_BYTES_MAX: u64 = 32 << 20;
const FRAME_HEAD_BYTES: usize = 36;

/// The header of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Head {
    kind: u16,
    event_bytes: usize,
    overflow_us: i64,
    events: usize,
}

#[derive(Debug)]
enum Stage {
    Header(HeaderReader),
    Head,
    Packet(Head),
    /// Behind damage: the rest is counted.
    Lost,
}

/// A decoder of AEDAT 3.
#[derive(Debug)]
pub(crate) struct Aedat3Decoder {
    options: Options,
    stage: Stage,
    gather: Gather,
    offset: u64,
    size: Option<SensorSize>,
    source: Option<String>,
    report: Report,
    failed: Latch,
}

impl Aedat3Decoder {
    pub(crate) fn new(options: &Options) -> Self {
        Self {
            options: options.clone(),
            stage: Stage::Header(HeaderReader::new(b'#')),
            gather: Gather::default(),
            offset: 0,
            size: None,
            source: None,
            report: Report::default(),
            failed: Latch::default(),
        }
    }

    fn step(&mut self, bytes: &[u8], out: &mut Output) -> Result<usize> {
        let mut rest = bytes;
        if let Stage::Header(reader) = &mut self.stage {
            let (taken, ended) = reader.feed(rest)?;
            rest = rest.get(taken..).unwrap_or_default();
            if !ended {
                return Ok(taken);
            }
            self.leave_header(out)?;
        }
        self.pieces(&mut rest, out)?;
        Ok(bytes.len() - rest.len())
    }

    fn leave_header(&mut self, out: &mut Output) -> Result<()> {
        let Stage::Header(reader) = std::mem::replace(&mut self.stage, Stage::Head) else {
            return Ok(());
        };
        let (header, data) = reader.into_parts();
        self.offset = header.text.len() as u64;
        self.source = source(&header).map(str::to_owned);
        self.size = self.source.as_deref().and_then(camera);
        let format = header.text.lines().find_map(|line| line.strip_prefix("#Format:"));
        if let Some(format) = format.filter(|name| !name.trim().eq_ignore_ascii_case("raw")) {
            let what = format!("AEDAT 3 in the form {:?}; RAW is read", format.trim());
            return Err(EventError::new(EventErrorKind::Unsupported, 0, what));
        }
        self.pieces(&mut data.as_slice(), out)
    }

    fn pieces(&mut self, rest: &mut &[u8], out: &mut Output) -> Result<()> {
        while !rest.is_empty() && !out.is_full() {
            let need = match &self.stage {
                Stage::Packet(head) => head.event_bytes * head.events,
                Stage::Lost => {
                    self.report.tail_bytes += rest.len() as u64;
                    *rest = &[];
                    return Ok(());
                }
                Stage::Head | Stage::Header(_) => HEAD_BYTES,
            };
            let Some(piece) = self.gather.take(rest, need) else { return Ok(()) };
            match std::mem::replace(&mut self.stage, Stage::Head) {
                Stage::Packet(head) => self.packet(head, piece.bytes(), out)?,
                _ => self.head(piece.bytes())?,
            }
            self.offset += need as u64;
            self.gather.recycle(piece);
        }
        Ok(())
    }

    fn head(&mut self, bytes: &[u8]) -> Result<()> {
        let head = Head {
            kind: u16_at(bytes, 0),
            event_bytes: u32_at(bytes, 4) as usize,
            overflow_us: i64::from(u32_at(bytes, 12)) << 31,
            events: u32_at(bytes, 20) as usize,
        };
        let packet_bytes = head.event_bytes as u64 * head.events as u64;
        if packet_bytes == 0 && head.event_bytes > 0 {
            self.stage = Stage::Head;
            return Ok(());
        }
        let least = match head.kind {
            0 | 1 => 8,
            2 => FRAME_HEAD_BYTES,
            3 => 36,
            4 => 48,
            _ => 1,
        };
        if packet_bytes > PACKET_BYTES_MAX || head.event_bytes < least {
            let what = "a packet with an impossible size";
            if self.options.on_damage == OnDamage::Refuse {
                return Err(EventError::new(EventErrorKind::Corrupt, self.offset, what));
            }
            self.report.skip(EventErrorKind::Corrupt, self.offset, what);
            self.report.tail_bytes += HEAD_BYTES as u64;
            self.stage = Stage::Lost;
            return Ok(());
        }
        self.stage = Stage::Packet(head);
        Ok(())
    }

    fn packet(&mut self, head: Head, bytes: &[u8], out: &mut Output) -> Result<()> {
        let mark = out.mark();
        if head.kind > 4 {
            let place = self.report.other_words.get_mut(usize::from(head.kind).min(15));
            place.into_iter().for_each(|count| *count += 1);
            return Ok(());
        }
        for (index, event) in bytes.chunks_exact(head.event_bytes).enumerate() {
            if u32_at(event, 0) & 1 == 0 {
                self.report.dropped += 1;
                continue;
            }
            let is_whole = one(head, event, out);
            if !is_whole {
                let offset = self.offset + (index * head.event_bytes) as u64;
                let what = "a frame that is larger than its place in the packet";
                if self.options.on_damage == OnDamage::Refuse {
                    out.rewind(mark);
                    return Err(EventError::new(EventErrorKind::Corrupt, offset, what));
                }
                self.report.unknown_words += 1;
                self.report.skip(EventErrorKind::Corrupt, offset, what);
            }
        }
        let size = self.options.sensor_size.or(self.size);
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
}

/// What a packet's events beyond the sensor or out of order lead to.
pub(super) fn judge(
    report: &mut Report,
    on_damage: OnDamage,
    offset: u64,
    dropped: u64,
    back: u64,
) -> Result<()> {
    let refuse = on_damage == OnDamage::Refuse;
    if dropped > 0 {
        let what = "a packet with pixels beyond the sensor";
        if refuse {
            return Err(EventError::new(EventErrorKind::OutOfBounds, offset, what));
        }
        report.skip(EventErrorKind::OutOfBounds, offset, what);
    }
    if back > 0 && refuse {
        let what = "a packet in which, or before which, time goes back";
        return Err(EventError::new(EventErrorKind::OutOfOrder, offset, what));
    }
    Ok(())
}

/// Appends one event; `false` where it is not whole.
fn one(head: Head, event: &[u8], out: &mut Output) -> bool {
    let data = u32_at(event, 0);
    let time = |at| head.overflow_us + i64::from(u32_at(event, at) & 0x7FFF_FFFF);
    match head.kind {
        0 => out.triggers.push(Trigger { t: time(4), id: (data >> 1 & 0x7F) as u8, value: 1 }),
        1 => out.events.push(Event {
            t: time(4),
            x: (data >> 17) as u16,
            y: (data >> 2 & 0x7FFF) as u16,
            polarity: (data >> 1 & 1) as u8,
        }),
        2 => return frame(data, (time(4), time(8)), event, out),
        _ => out.imu.push(ImuSample {
            t: time(4),
            acceleration: [8, 12, 16].map(|at| f32_at(event, at)),
            rotation: [20, 24, 28].map(|at| f32_at(event, at)),
            temperature: f32_at(event, 32),
            magnetism: (head.kind == 4).then(|| [36, 40, 44].map(|at| f32_at(event, at))),
            is_raw: false,
        }),
    }
    true
}

fn frame(data: u32, (t, t_end): (i64, i64), event: &[u8], out: &mut Output) -> bool {
    let (width, height) = (u32_at(event, 20), u32_at(event, 24));
    let channels = match data >> 1 & 7 {
        0 | 1 => 1,
        3 => 3,
        _ => 4,
    };
    let (Ok(width), Ok(height)) = (u16::try_from(width), u16::try_from(height)) else {
        return false;
    };
    let bytes = usize::from(width) * usize::from(height) * usize::from(channels) * 2;
    let Some(pixels) = event.get(FRAME_HEAD_BYTES..FRAME_HEAD_BYTES + bytes) else {
        return false;
    };
    let (format, pixels) = (PixelFormat::Wide16(channels), pixels.to_vec());
    out.frames.push(Frame { t, t_end, width, height, format, pixels });
    true
}

fn source(header: &Header) -> Option<&str> {
    let mut lines = header.text.lines();
    lines.find_map(|line| line.strip_prefix("#Source ")?.split_once(':')).map(|two| two.1.trim())
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..).and_then(|b| b.first_chunk()).map_or(0, |b| u16::from_le_bytes(*b))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(|b| b.first_chunk()).map_or(0, |b| u32::from_le_bytes(*b))
}

fn f32_at(bytes: &[u8], at: usize) -> f32 {
    f32::from_bits(u32_at(bytes, at))
}

impl Aedat3Decoder {
    /// What the end of the input means.
    fn end(&mut self, out: &mut Output) -> Result<()> {
        let mut tail = 0;
        if let Stage::Header(reader) = &mut self.stage {
            tail = reader.drop_line();
            self.leave_header(out)?;
        }
        tail += self.gather.len();
        if matches!(self.stage, Stage::Packet(_)) {
            tail += HEAD_BYTES;
        }
        if tail > 0 {
            let what = format!("{tail} bytes at the end are no whole packet");
            if self.options.on_damage == OnDamage::Refuse {
                return Err(EventError::new(EventErrorKind::Truncated, self.offset, what));
            }
            self.report.skip(EventErrorKind::Truncated, self.offset, &what);
            self.report.tail_bytes += tail as u64;
        }
        Ok(())
    }
}

impl Decoder for Aedat3Decoder {
    fn format(&self) -> Format {
        Format::Aedat3
    }

    fn feed(&mut self, bytes: &[u8], out: &mut Output) -> Result<usize> {
        self.failed.check()?;
        let result = self.step(bytes, out);
        self.failed.keep(result)
    }

    fn finish(&mut self, out: &mut Output) -> Result<()> {
        self.failed.check()?;
        let result = self.end(out);
        self.failed.keep(result)
    }

    fn report(&self) -> &Report {
        &self.report
    }

    fn sensor_size(&self) -> Option<SensorSize> {
        self.options.sensor_size.or(self.size)
    }

    fn source(&self) -> Option<&str> {
        self.source.as_deref()
    }
}
