//! Present ticks as timestamps, one by one or into a buffer.
//!
//! # Invariants
//! - Ascending, each present tick of the range once, as the first microsecond of it.
//! - Containers without a tick are never read.
//! - After an error the iterator ends.

use std::ops::Range;

use super::cursor::{Cursor, bits_within, container_of, first_tick};
use super::grid::Grid;
use super::kernels::{self, BITS, WORDS, Words};
use super::program::Program;
use super::source::{Bitmap, Bitmaps, Fill};
use super::step::Line;
use crate::error::Result;

/// Timestamps made at once for the iterator.
const AHEAD: usize = 256;
/// Timestamps made at once for a `Vec`: what fits into the first cache beside a container.
const CHUNK: usize = 2_048;

/// The starts of present ticks, ascending.
///
/// An iterator; [`read`](Self::read) and [`read_all`](Self::read_all) are the fast ways.
#[derive(Debug)]
pub(crate) struct Timestamps<L> {
    cursor: Cursor<L>,
    grid: Grid,
    ticks: Range<i64>,
    /// The container to look for next.
    next: i64,
    source: Source,
    words: Box<Words>,
    offsets: Vec<u16>,
    ahead: Vec<i64>,
    taken: usize,
    failed: bool,
}

/// What is being listed.
#[derive(Debug, Clone, Copy)]
enum Source {
    /// Nothing: the next container is to be found.
    None,
    /// Words of a container from one on.
    Words { container: i64, line: Option<Line>, word: usize },
    /// Offsets of a container from one on, up to one.
    Offsets { container: i64, line: Option<Line>, from: usize, to: usize },
}

impl<L: Bitmaps> Timestamps<L> {
    pub(crate) fn new(cursor: Cursor<L>, grid: Grid, ticks: Range<i64>) -> Self {
        let next = container_of(ticks.start);
        Self {
            cursor,
            grid,
            ticks,
            next,
            source: Source::None,
            words: Box::new([0; WORDS]),
            offsets: Vec::new(),
            ahead: Vec::new(),
            taken: 0,
            failed: false,
        }
    }

    /// Writes the next timestamps to `out` and tells how many: fewer than fit only at the end.
    pub(crate) fn read(&mut self, out: &mut [i64]) -> Result<usize> {
        let mut written = self.take_ahead(out);
        while let Some(room) = out.get_mut(written..).filter(|room| !room.is_empty()) {
            let more = match self.source {
                Source::None => {
                    if !self.find()? {
                        break;
                    }
                    0
                }
                Source::Words { container, line, word } => {
                    self.list_words(container, line, word, room)?
                }
                Source::Offsets { container, line, from, to } => {
                    self.list_offsets(container, line, from..to, room)?
                }
            };
            written += more;
        }
        Ok(written)
    }

    /// Appends all that is left to `out` and tells how many.
    pub(crate) fn read_all(&mut self, out: &mut Vec<i64>) -> Result<usize> {
        let before = out.len();
        if let Some(left) = self.cursor.program.indexed_count(&self.cursor.bitmaps, &self.ticks)? {
            out.reserve(usize::try_from(left).unwrap_or(0).min(1 << 32));
        }
        let mut chunk = [0; CHUNK];
        loop {
            let count = self.read(&mut chunk)?;
            out.extend_from_slice(chunk.get(..count).unwrap_or_default());
            if count < CHUNK {
                return Ok(out.len() - before);
            }
        }
    }

    /// What the iterator has made and not handed out.
    fn take_ahead(&mut self, out: &mut [i64]) -> usize {
        let left = self.ahead.get(self.taken..).unwrap_or_default();
        let count = left.len().min(out.len());
        for (out, &t_us) in out.iter_mut().zip(left) {
            *out = t_us;
        }
        self.taken += count;
        count
    }

    /// Goes to the next container that has ticks; `false` at the end.
    fn find(&mut self) -> Result<bool> {
        while let Some(container) = self.cursor.next_within(self.next, &self.ticks)? {
            self.next = container + 1;
            let bits = bits_within(&self.ticks, container);
            let line = self.grid.line(container);
            if let Some(offsets) = self.stored_offsets(container, &bits)? {
                let Range { start: from, end: to } = offsets;
                self.source = Source::Offsets { container, line, from, to };
                return Ok(true);
            }
            match self.cursor.load(container)? {
                Fill::Empty => continue,
                Fill::Full => self.words.fill(u64::MAX),
                Fill::Mixed => self.words.copy_from_slice(self.cursor.words()),
            }
            if bits != (0..BITS) {
                kernels::keep(&mut self.words, bits);
            }
            self.source = Source::Words { container, line, word: 0 };
            return Ok(true);
        }
        Ok(false)
    }

    /// Reads the offsets of a container, where the program is one bitmap that has them, and tells
    /// which of them lie in `bits`.
    fn stored_offsets(
        &mut self,
        container: i64,
        bits: &Range<u32>,
    ) -> Result<Option<Range<usize>>> {
        let bitmaps = &self.cursor.bitmaps;
        let bitmap = match self.cursor.program {
            Program::Class(class) => bitmaps.class(class),
            Program::Observed => Some(bitmaps.observed()),
            _ => None,
        };
        let Some(bitmap) = bitmap else { return Ok(None) };
        if !bitmap.offsets(container, &mut self.offsets)? {
            return Ok(None);
        }
        let below = |bit: u32| self.offsets.partition_point(|&offset| u32::from(offset) < bit);
        Ok(Some(if *bits == (0..BITS) {
            0..self.offsets.len()
        } else {
            below(bits.start)..below(bits.end)
        }))
    }

    fn list_words(
        &mut self,
        container: i64,
        line: Option<Line>,
        from: usize,
        out: &mut [i64],
    ) -> Result<usize> {
        let (mut word, mut written) = match &line {
            Some(line) => kernels::list(&self.words, from, line, out),
            None => (from, 0),
        };
        // The words for which the room is short, and those of grids without a line.
        while let (Some(bits), Some(room)) = (self.words.get_mut(word), out.get_mut(written..)) {
            if room.is_empty() || (line.is_some() && room.len() >= 64) {
                break;
            }
            for out in room {
                if *bits == 0 {
                    break;
                }
                let offset = word as u32 * 64 + bits.trailing_zeros();
                *out = start(&self.grid, container, line.as_ref(), offset)?;
                *bits &= *bits - 1;
                written += 1;
            }
            if *bits != 0 {
                break;
            }
            word += 1;
        }
        self.source =
            if word >= WORDS { Source::None } else { Source::Words { container, line, word } };
        Ok(written)
    }

    fn list_offsets(
        &mut self,
        container: i64,
        line: Option<Line>,
        range: Range<usize>,
        out: &mut [i64],
    ) -> Result<usize> {
        let Range { start: from, end: to } = range;
        let count = to.saturating_sub(from).min(out.len());
        let offsets = self.offsets.get(from..from + count).unwrap_or_default();
        match &line {
            Some(line) => kernels::list_offsets(offsets, line, out),
            None => {
                for (out, &offset) in out.iter_mut().zip(offsets) {
                    *out = start(&self.grid, container, None, offset.into())?;
                }
            }
        }
        let from = from + count;
        self.source =
            if from >= to { Source::None } else { Source::Offsets { container, line, from, to } };
        Ok(count)
    }
}

fn start(grid: &Grid, container: i64, line: Option<&Line>, offset: u32) -> Result<i64> {
    match line {
        Some(line) => Ok(line.at(offset)),
        None => grid.start_us(first_tick(container) + i64::from(offset)),
    }
}

impl<L: Bitmaps> Iterator for Timestamps<L> {
    type Item = Result<i64>;

    #[inline]
    fn next(&mut self) -> Option<Result<i64>> {
        if let Some(&t_us) = self.ahead.get(self.taken) {
            self.taken += 1;
            return Some(Ok(t_us));
        }
        self.refill()
    }
}

impl<L: Bitmaps> Timestamps<L> {
    #[cold]
    fn refill(&mut self) -> Option<Result<i64>> {
        if self.failed {
            return None;
        }
        let mut ahead = std::mem::take(&mut self.ahead);
        ahead.resize(AHEAD, 0);
        let read = self.read(&mut ahead);
        match read {
            Ok(count) => {
                ahead.truncate(count);
                self.ahead = ahead;
                self.taken = 1;
                self.ahead.first().map(|&t_us| Ok(t_us))
            }
            Err(error) => {
                self.failed = true;
                Some(Err(error))
            }
        }
    }
}
