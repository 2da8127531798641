//! A window cut into smaller ones: by position, by count, by time.
//!
//! # Invariants
//! - Parts see what the window sees: records appended later are in none of them.
//! - Cutting by position or count reads no block; cutting by time searches, and reads at most the
//!   block in which a part begins or ends.
//! - The parts of a cut are the window's records, each once, in order.

use std::ops::Range;

use super::ends::{Held, Recent};
use super::view::{Position, Reader};
use super::window::Window;
use crate::error::{Error, Result};

impl Window {
    /// The records `range` of the window, counted from its first; what goes beyond its end is
    /// left out. O(blocks of the window).
    pub fn part(&self, range: Range<usize>) -> Self {
        let reader = self.reader();
        let start = ahead(&reader, self.start, self.end, range.start);
        let end = ahead(&reader, start, self.end, range.end.saturating_sub(range.start));
        self.between(start, end)
    }

    /// Windows of `records` each, one behind the other; the last may be shorter.
    ///
    /// # Errors
    /// [`Error::Invalid`] for no records.
    pub fn by_count(&self, records: usize) -> Result<ByCount<'_>> {
        if records == 0 {
            return Err(Error::invalid("a window is cut into parts of at least one record"));
        }
        Ok(ByCount { window: self, next: self.start, records })
    }

    /// Windows of `step` each: from `origin` up to `origin + step`, and so on, to the one with the
    /// last record; those without records too. Records before `origin` are left out.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a step of zero; the items as those of [`Window::slices`].
    pub fn by_time(&self, origin: i64, step: u64) -> Result<ByTime<'_>> {
        if step == 0 {
            return Err(Error::invalid("a window is cut into parts of at least one unit of time"));
        }
        let (from, recent) = (Some(origin), Recent::default());
        Ok(ByTime { window: self, from, step, recent })
    }

    fn between(&self, start: Position, end: Position) -> Self {
        let held = self.held.part(start.piece..=end.piece);
        Self { core: self.core.clone(), snapshot: self.snapshot.clone(), start, end, held }
    }
}

/// The position `records` behind `from`, at most `end`.
fn ahead(reader: &Reader<'_>, from: Position, end: Position, mut records: usize) -> Position {
    let mut at = from;
    while at < end {
        let stop = if at.piece == end.piece { end.index } else { reader.records(at.piece) };
        let here = stop.saturating_sub(at.index);
        if records < here {
            return Position { piece: at.piece, index: at.index + records };
        }
        records -= here;
        at = Position { piece: at.piece + 1, index: 0 };
    }
    end
}

/// The parts of [`Window::by_count`].
#[derive(Debug, Clone)]
pub struct ByCount<'a> {
    window: &'a Window,
    next: Position,
    records: usize,
}

impl Iterator for ByCount<'_> {
    type Item = Window;

    fn next(&mut self) -> Option<Window> {
        if self.next >= self.window.end {
            return None;
        }
        let end = ahead(&self.window.reader(), self.next, self.window.end, self.records);
        let part = self.window.between(self.next, end);
        self.next = end;
        Some(part)
    }
}

impl std::iter::FusedIterator for ByCount<'_> {}

/// The parts of [`Window::by_time`], each with the time at which it begins.
#[derive(Debug, Clone)]
pub struct ByTime<'a> {
    window: &'a Window,
    from: Option<i64>,
    step: u64,
    recent: Recent,
}

impl ByTime<'_> {
    fn part(&mut self, from: i64) -> Result<Option<(i64, Window)>> {
        let window = self.window;
        let reader = window.reader();
        let until = from.checked_add_unsigned(self.step);
        let inside = |at: Position| at.clamp(window.start, window.end);
        let start = inside(reader.position_after(from, false, &mut self.recent)?);
        if start >= window.end {
            return Ok(None);
        }
        let end = match until {
            Some(until) => inside(reader.position_after(until, false, &mut self.recent)?),
            None => window.end,
        };
        let end = end.max(start);
        let mut part = window.between(start, end);
        part.held = Held::new(&self.recent, start.piece..=end.piece, &window.core.pages);
        Ok(Some((from, part)))
    }
}

impl Iterator for ByTime<'_> {
    type Item = Result<(i64, Window)>;

    fn next(&mut self) -> Option<Self::Item> {
        let from = self.from.take()?;
        if self.window.is_empty() {
            return None;
        }
        let part = self.part(from).transpose()?;
        // After an error nothing follows.
        self.from = part.as_ref().ok().and(from.checked_add_unsigned(self.step));
        Some(part)
    }
}

impl std::iter::FusedIterator for ByTime<'_> {}
