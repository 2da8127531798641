//! The loop that all formats of equal words share: header, preamble, words, a cut word kept.
//!
//! # Invariants
//! - A format's own part sees whole words only, many at a time, and keeps its state itself.
//! - Cutting the input anywhere changes nothing but the places where batches end.
//! - With `OnDamage::Refuse` a chunk that holds damage is decoded again word by word, so that the
//!   error names the byte and the events before it are handed out.

use crate::batch::SensorSize;
use crate::decoder::Decoder;
use crate::detect::Format;
use crate::error::{EventError, EventErrorKind, Latch, Result};
use crate::header::{Header, HeaderReader};
use crate::options::{OnDamage, Options};
use crate::output::Output;
use crate::report::Report;

/// Bytes decoded at a time: words and events of a chunk stay in the nearest cache.
const CHUNK_BYTES: usize = 8 << 10;
/// No word and no preamble is longer.
const CARRY_BYTES: usize = 16;

/// A format whose data are words of one length.
pub(crate) trait Words: Clone + std::fmt::Debug + Send {
    /// Bytes of a word.
    const BYTES: usize;
    /// What header lines begin with; `None` where there is no such header.
    const MARK: Option<u8>;
    /// Bytes between header and words.
    const PREAMBLE: usize = 0;

    /// The state before the first word.
    fn open(header: &Header, preamble: &[u8], options: &Options) -> Result<Self>;

    /// Appends what whole words hold to `out`, and counts what holds no event.
    fn decode(&mut self, words: &[u8], out: &mut Output, report: &mut Report);

    /// Bytes held between two calls that belong to an event not handed out.
    fn partial_bytes(&self) -> usize {
        0
    }

    /// Counts what was gathered and did not become whole, at the end of the input.
    fn end(&mut self, _: &mut Report) {}

    /// The sensor's size, where header or preamble say it.
    fn sensor_size(&self) -> Option<SensorSize> {
        None
    }
}

/// Where in the input the decoder is.
#[derive(Debug)]
enum Stage<W> {
    Header(HeaderReader),
    Preamble(Header),
    Body(W),
}

/// A decoder of words of one length.
#[derive(Debug)]
pub(crate) struct WordDecoder<W> {
    format: Format,
    options: Options,
    stage: Stage<W>,
    carry: [u8; CARRY_BYTES],
    carried: usize,
    offset: u64,
    report: Report,
    source: Option<String>,
    failed: Latch,
}

impl<W: Words> WordDecoder<W> {
    pub(crate) fn new(format: Format, options: &Options) -> Self {
        let stage = W::MARK.map_or_else(
            || Stage::Preamble(Header::default()),
            |mark| Stage::Header(HeaderReader::new(mark)),
        );
        Self {
            format,
            options: options.clone(),
            stage,
            carry: [0; CARRY_BYTES],
            carried: 0,
            offset: 0,
            report: Report::default(),
            source: None,
            failed: Latch::default(),
        }
    }

    fn step(&mut self, bytes: &[u8], out: &mut Output) -> Result<usize> {
        let mut taken = 0;
        if let Stage::Header(reader) = &mut self.stage {
            let (used, ended) = reader.feed(bytes)?;
            taken = used;
            if !ended {
                return Ok(taken);
            }
            self.leave_header(out)?;
        }
        let rest = bytes.get(taken..).unwrap_or_default();
        Ok(taken + self.body(rest, out)?)
    }

    /// Reads the header's text, and the data that were taken for a line of it.
    fn leave_header(&mut self, out: &mut Output) -> Result<()> {
        let nothing = Stage::Preamble(Header::default());
        let Stage::Header(reader) = std::mem::replace(&mut self.stage, nothing) else {
            return Ok(());
        };
        let (header, data) = reader.into_parts();
        self.offset = header.text.len() as u64;
        self.source = header.camera();
        self.stage = Stage::Preamble(header);
        let mut rest = data.as_slice();
        let mut part = Output::default();
        while !rest.is_empty() {
            let taken = self.body(rest, &mut part)?;
            rest = rest.get(taken..).unwrap_or_default();
            out.events.extend_from(&part.events, 0..part.events.len());
            out.triggers.append(&mut part.triggers);
            out.imu.append(&mut part.imu);
            out.frames.append(&mut part.frames);
            part.clear();
        }
        Ok(())
    }

    fn body(&mut self, bytes: &[u8], out: &mut Output) -> Result<usize> {
        let mut rest = bytes;
        if let Stage::Preamble(header) = &self.stage {
            let header = header.clone();
            rest = self.fill_carry(rest, W::PREAMBLE);
            if self.carried < W::PREAMBLE {
                return Ok(bytes.len());
            }
            let preamble = self.carry.get(..W::PREAMBLE).unwrap_or_default();
            let words = W::open(&header, preamble, &self.options);
            self.stage = Stage::Body(words.map_err(|mut error| {
                error.offset = self.offset;
                error
            })?);
            self.offset += W::PREAMBLE as u64;
            self.carried = 0;
        }
        if self.carried > 0 {
            rest = self.fill_carry(rest, W::BYTES);
            if self.carried < W::BYTES {
                return Ok(bytes.len());
            }
            self.carried = 0;
            let carry = self.carry;
            self.run(carry.get(..W::BYTES).unwrap_or_default(), out)?;
        }
        let chunk_bytes = CHUNK_BYTES / W::BYTES * W::BYTES;
        while rest.len() >= W::BYTES && !out.is_full() {
            let whole = (rest.len() / W::BYTES * W::BYTES).min(chunk_bytes);
            let (chunk, after) = rest.split_at(whole);
            self.run(chunk, out)?;
            rest = after;
        }
        if rest.len() < W::BYTES {
            rest = self.fill_carry(rest, W::BYTES);
        }
        Ok(bytes.len() - rest.len())
    }

    /// Moves bytes into the carry until it has `want`; returns the others.
    fn fill_carry<'a>(&mut self, bytes: &'a [u8], want: usize) -> &'a [u8] {
        let missing = want.saturating_sub(self.carried).min(bytes.len());
        let (head, rest) = bytes.split_at(missing);
        let place = self.carry.get_mut(self.carried..self.carried + missing);
        if let Some(place) = place {
            place.copy_from_slice(head);
            self.carried += missing;
        }
        rest
    }

    /// Decodes whole words, and settles what came out.
    fn run(&mut self, chunk: &[u8], out: &mut Output) -> Result<()> {
        let Stage::Body(words) = &mut self.stage else { return Ok(()) };
        let mark = out.mark();
        let refuse = self.options.on_damage == OnDamage::Refuse;
        let saved = refuse.then(|| (words.clone(), self.report.clone()));
        words.decode(chunk, out, &mut self.report);
        let size = self.options.sensor_size.or(words.sensor_size());
        let (dropped, back) = self.report.settle(&mut out.events, mark.events, size);
        count_streams(&mut self.report, mark, out);
        if let Some((words, report)) = saved {
            let unknown = self.report.unknown_words > report.unknown_words;
            if dropped + back > 0 || unknown {
                out.rewind(mark);
                (self.stage, self.report) = (Stage::Body(words), report);
                return self.run_singly(chunk, out);
            }
        }
        if dropped > 0 {
            let what = "pixels beyond the sensor were left out";
            self.report.skip(EventErrorKind::OutOfBounds, self.offset, what);
        }
        self.offset += chunk.len() as u64;
        Ok(())
    }

    /// Decodes word by word until the first that is damaged.
    fn run_singly(&mut self, chunk: &[u8], out: &mut Output) -> Result<()> {
        let Stage::Body(words) = &mut self.stage else { return Ok(()) };
        for word in chunk.chunks_exact(W::BYTES) {
            let mark = out.mark();
            let unknown = self.report.unknown_words;
            words.decode(word, out, &mut self.report);
            let size = self.options.sensor_size.or(words.sensor_size());
            let (dropped, back) = self.report.settle(&mut out.events, mark.events, size);
            count_streams(&mut self.report, mark, out);
            let (kind, what) = if dropped > 0 {
                (EventErrorKind::OutOfBounds, "a pixel beyond the sensor")
            } else if back > 0 {
                (EventErrorKind::OutOfOrder, "time goes back")
            } else if self.report.unknown_words > unknown {
                (EventErrorKind::Corrupt, "a word of no known kind")
            } else {
                self.offset += W::BYTES as u64;
                continue;
            };
            out.rewind(mark);
            return Err(EventError::new(kind, self.offset, what));
        }
        Ok(())
    }

    fn end(&mut self, out: &mut Output) -> Result<()> {
        if let Stage::Header(reader) = &mut self.stage {
            // What looks like a line of the header to the last byte is one that was cut.
            self.carried = 0;
            let cut = reader.drop_line();
            self.leave_header(out)?;
            self.tail(cut, 0)?;
        }
        if let (Stage::Preamble(header), 0, 0) = (&self.stage, W::PREAMBLE, self.carried) {
            self.stage = Stage::Body(W::open(header, &[], &self.options)?);
        }
        let partial = match &mut self.stage {
            Stage::Body(words) => {
                words.end(&mut self.report);
                words.partial_bytes()
            }
            Stage::Header(_) | Stage::Preamble(_) => {
                let what = format!("a {} file that ends within its header", self.format);
                return Err(EventError::new(EventErrorKind::Truncated, self.offset, what));
            }
        };
        let tail = self.carried + partial;
        self.carried = 0;
        self.tail(tail, partial)
    }

    /// Counts, or refuses, bytes at the end; `before` of them were taken already.
    fn tail(&mut self, bytes: usize, before: usize) -> Result<()> {
        if bytes == 0 {
            return Ok(());
        }
        let what = format!("{bytes} bytes at the end are no whole event or line");
        let offset = self.offset.saturating_sub(before as u64);
        if self.options.on_damage == OnDamage::Refuse {
            return Err(EventError::new(EventErrorKind::Truncated, offset, what));
        }
        self.report.tail_bytes += bytes as u64;
        self.report.skip(EventErrorKind::Truncated, offset, &what);
        Ok(())
    }

    /// Runs `act`, and remembers its error.
    fn sticky<T>(&mut self, act: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        self.failed.check()?;
        let result = act(self);
        self.failed.keep(result)
    }
}

/// Counts what the streams beside the events got since the mark.
pub(crate) fn count_streams(report: &mut Report, mark: crate::output::Mark, out: &Output) {
    let now = out.mark();
    report.triggers += (now.triggers - mark.triggers) as u64;
    report.frames += (now.frames - mark.frames) as u64;
    report.imu += (now.imu - mark.imu) as u64;
}

impl<W: Words> Decoder for WordDecoder<W> {
    fn format(&self) -> Format {
        self.format
    }

    fn feed(&mut self, bytes: &[u8], out: &mut Output) -> Result<usize> {
        self.sticky(|decoder| decoder.step(bytes, out))
    }

    fn finish(&mut self, out: &mut Output) -> Result<()> {
        self.sticky(|decoder| decoder.end(out))
    }

    fn report(&self) -> &Report {
        &self.report
    }

    fn sensor_size(&self) -> Option<SensorSize> {
        self.options.sensor_size.or(match &self.stage {
            Stage::Body(words) => words.sensor_size(),
            Stage::Preamble(header) => header.sensor_size(),
            Stage::Header(_) => None,
        })
    }

    fn source(&self) -> Option<&str> {
        self.source.as_deref()
    }
}
