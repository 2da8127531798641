//! The view: everything a reader may know of one stream, as it was at one moment.
//!
//! # Invariants
//! - Runs, then frozen blocks, then the open block: ascending in time and sequence throughout.
//! - A view is immutable but for the open block, whose published length only grows; a reader
//!   loads that length once.
//! - What was lost to damage stands in `gaps`; an answer that could depend on it is an error.

use presence_format::block::BlockLayout;
use presence_format::{Order, Plane};

use super::cache::Pages;
use super::ends::Recent;
use super::page::{Page, PageView};
use super::run::Run;
use super::search;
use crate::error::{Affected, Error, Result};
use crate::segment::BlockPayload;
use crate::shim::Arc;
use crate::tail::{TailBlock, TailPart};

/// Records that are missing between two sound ones. Of a plane the timestamps are the first and the
/// last tick that may be concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Gap {
    pub(crate) from_sequence: u64,
    pub(crate) to_sequence: u64,
    pub(crate) after_ts: Option<i64>,
    pub(crate) before_ts: Option<i64>,
}

impl Gap {
    /// In words, of a plane: bounds in microseconds.
    pub(crate) fn of_plane(&self, stream: String, plane: &Plane) -> Affected {
        Affected {
            stream,
            after_ts: self.after_ts.map(|first| plane.start_us(first).saturating_sub(1)),
            before_ts: self.before_ts.map(|last| plane.start_us(last.saturating_add(1))),
            records: self.to_sequence.saturating_sub(self.from_sequence),
        }
    }
}

/// One stream as it was at one moment.
#[derive(Debug, Default)]
pub(crate) struct StreamView {
    runs: Vec<Arc<Run>>,
    run_first_ts: Vec<i64>,
    /// Blocks before each run.
    run_starts: Vec<usize>,
    blocks: usize,
    pub(crate) frozen: Vec<TailPart>,
    pub(crate) open: Option<TailPart>,
    pub(crate) gaps: Vec<Gap>,
}

/// Pieces that a scan asks for ahead at most: blocks may be small.
const AHEAD_PIECES_MAX: usize = 32;

/// A record's place in a view: the piece (block) and the record in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position {
    pub(crate) piece: usize,
    pub(crate) index: usize,
}

/// Where a record will be found.
#[derive(Debug, Clone, Copy)]
struct Place<'a> {
    piece: usize,
    records: usize,
    guess: usize,
    block: Option<(&'a Arc<Run>, usize)>,
}

/// Begins to load the value at `near` while the timestamps around it are searched: one cache miss
/// beside the other instead of behind it.
#[inline]
fn touch_value(view: &PageView<'_>, layout: &BlockLayout, near: usize) {
    let width = layout.lanes().get(1).map_or(0, |lane| lane.value_bytes);
    std::hint::black_box(view.lane(1).get(near * width).copied());
}

impl StreamView {
    /// A view of these parts, in order.
    pub(crate) fn new(
        runs: Vec<Arc<Run>>,
        frozen: Vec<TailPart>,
        open: Option<TailPart>,
        gaps: Vec<Gap>,
    ) -> Self {
        let mut blocks = 0;
        let mut run_starts = Vec::with_capacity(runs.len());
        for run in &runs {
            run_starts.push(blocks);
            blocks += run.entries().len();
        }
        let run_first_ts = runs.iter().map(|run| run.first_ts()).collect();
        Self { runs, run_first_ts, run_starts, blocks, frozen, open, gaps }
    }

    /// The runs, ascending.
    pub(crate) fn runs(&self) -> &[Arc<Run>] {
        &self.runs
    }

    /// The same with other runs.
    pub(crate) fn with_runs(&self, runs: Vec<Arc<Run>>) -> Self {
        Self::new(runs, self.frozen.clone(), self.open.clone(), self.gaps.clone())
    }

    /// The same with a larger copy of the open block, or with a first one.
    pub(crate) fn with_open(&self, block: &Arc<TailBlock>) -> Self {
        let skip = self.open.as_ref().map_or(0, |open| open.skip);
        let open = TailPart { block: Arc::clone(block), skip };
        Self::new(self.runs.clone(), self.frozen.clone(), Some(open), self.gaps.clone())
    }

    /// The same with what the open block holds frozen, and `next` open.
    pub(crate) fn with_frozen(&self, next: &Arc<TailBlock>) -> Self {
        let open = self.open.iter().filter(|open| open.len() > 0);
        let frozen = self.frozen.iter().chain(open).cloned().collect();
        let open = TailPart { block: Arc::clone(next), skip: 0 };
        Self::new(self.runs.clone(), frozen, Some(open), self.gaps.clone())
    }

    /// Sequence of the first record, where there is one or could be.
    pub(crate) fn first_sequence(&self) -> u64 {
        let in_memory = || self.frozen.first().or(self.open.as_ref());
        match self.runs.first() {
            Some(run) => run.first_sequence(),
            None => in_memory().map_or(0, TailPart::first_sequence),
        }
    }

    /// Sequence after the last record, as of now.
    pub(crate) fn end_sequence(&self) -> u64 {
        if let Some(part) = self.open.as_ref().or(self.frozen.last()) {
            return part.end_sequence();
        }
        self.runs.last().map_or(0, |run| run.end_sequence())
    }
}

/// A view with the length of its open block fixed: what one question is answered from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'a> {
    pub(crate) name: &'a str,
    pub(crate) order: Order,
    pub(crate) layout: &'a Arc<BlockLayout>,
    pub(crate) view: &'a StreamView,
    pub(crate) pages: &'a Arc<Pages>,
    /// Records of the open part.
    pub(crate) open_len: usize,
}

impl Reader<'_> {
    /// Pieces of the view, the open block included when it has records.
    pub(crate) fn pieces(&self) -> usize {
        self.view.blocks + self.view.frozen.len() + usize::from(self.open_len > 0)
    }

    fn memory_part(&self, piece: usize) -> Option<(&TailPart, usize)> {
        let index = piece.checked_sub(self.view.blocks)?;
        match self.view.frozen.get(index) {
            Some(part) => Some((part, part.len())),
            None if index == self.view.frozen.len() => {
                self.view.open.as_ref().map(|open| (open, self.open_len))
            }
            None => None,
        }
    }

    fn block_of(&self, piece: usize) -> Option<(&Arc<Run>, usize)> {
        let run = self.view.run_starts.partition_point(|&start| start <= piece).checked_sub(1)?;
        let block = piece - self.view.run_starts.get(run)?;
        Some((self.view.runs.get(run)?, block))
    }

    /// The page of a piece.
    pub(crate) fn page(&self, piece: usize) -> Result<Page> {
        if let Some((part, len)) = self.memory_part(piece) {
            return Ok(Page::tail(part, len));
        }
        let Some((run, block)) = self.block_of(piece) else {
            return Err(Error::invalid(format!("piece {piece} of {}", self.pieces())));
        };
        run.page(block, self.layout, self.pages).map_err(|error| self.tell_affected(error, piece))
    }

    /// The stored payload of a piece, where single columns of it can be decoded and it is not at
    /// hand decoded.
    pub(crate) fn payload(&self, piece: usize) -> Result<Option<BlockPayload<'_>>> {
        let Some((run, block)) = self.block_of(piece) else { return Ok(None) };
        run.payload(block, self.layout)
    }

    /// Begins to load a piece that will be read next: its first values, where they are mapped.
    /// Whether they are.
    #[inline]
    fn touch(&self, piece: usize) -> bool {
        let Some((run, block)) = self.block_of(piece) else { return true };
        let Some(bytes) = run.mapped_block(block) else { return false };
        let view = PageView::decoded(bytes, self.layout, run.records(block));
        for lane in 0..3 {
            std::hint::black_box(view.lane(lane).first().copied());
        }
        true
    }

    /// Begins to load what a scan will read next: the pieces `next .. end`, as far as it is worth
    /// while. `asked` is what the scan has asked for so far.
    #[inline]
    pub(crate) fn read_ahead(&self, asked: &mut usize, next: usize, end: usize) {
        if next < end && !self.touch(next) {
            self.fetch_ahead(asked, next, end);
        }
    }

    /// Asks for more where less than half of what may be asked for still lies ahead.
    #[cold]
    fn fetch_ahead(&self, asked: &mut usize, next: usize, end: usize) {
        let bytes_max = self.pages.ahead_bytes();
        let mut at = (*asked).max(next);
        let mut bytes: usize = (next..at).map(|piece| self.decoded_bytes(piece)).sum();
        if bytes > bytes_max / 2 || at - next > AHEAD_PIECES_MAX / 2 {
            return;
        }
        let mut keys = Vec::new();
        while at < end && at - next < AHEAD_PIECES_MAX {
            bytes = bytes.saturating_add(self.decoded_bytes(at));
            let Some((run, block)) = self.block_of(at).filter(|_| bytes <= bytes_max) else {
                break;
            };
            keys.extend(run.read_ahead(block, self.layout, self.pages));
            at += 1;
        }
        *asked = at;
        if !keys.is_empty() {
            self.pages.fetch(keys);
        }
    }

    fn decoded_bytes(&self, piece: usize) -> usize {
        self.layout.decoded_bytes(self.records(piece))
    }

    /// Number of records of a piece.
    pub(crate) fn records(&self, piece: usize) -> usize {
        if let Some((_, len)) = self.memory_part(piece) {
            return len;
        }
        let entry = self.block_of(piece).and_then(|(run, block)| run.entries().get(block));
        entry.map_or(0, |entry| entry.records.get() as usize)
    }

    /// Sequence of the record at a position, or of the one that would stand there.
    pub(crate) fn sequence(&self, position: Position) -> u64 {
        if let Some((part, _)) = self.memory_part(position.piece) {
            return part.first_sequence() + position.index as u64;
        }
        let entry = self.block_of(position.piece).and_then(|(run, block)| run.entries().get(block));
        match entry {
            Some(entry) => entry.first_sequence.get() + position.index as u64,
            None => self.end_sequence(),
        }
    }

    /// Sequence after the last record of the snapshot.
    fn end_sequence(&self) -> u64 {
        match &self.view.open {
            Some(open) => open.first_sequence() + self.open_len as u64,
            None => self.view.end_sequence(),
        }
    }

    /// The place of the record with this sequence; `None` where it is not in the view.
    pub(crate) fn position_of_sequence(&self, sequence: u64) -> Option<Position> {
        let (mut low, mut high) = (0, self.pieces());
        while low < high {
            let middle = low + (high - low) / 2;
            if self.sequence(Position { piece: middle, index: 0 }) <= sequence {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        let piece = low.checked_sub(1)?;
        let first = self.sequence(Position { piece, index: 0 });
        let index = usize::try_from(sequence - first).ok()?;
        (index < self.records(piece)).then_some(Position { piece, index })
    }

    /// The last record at or before `t` (`inclusive`), or before it, and its page.
    pub(crate) fn last_before(&self, t: i64, inclusive: bool) -> Result<Option<(Position, Page)>> {
        let Some(place) = self.place_before(t, inclusive) else { return Ok(None) };
        let page = self.page(place.piece)?;
        // The piece's first record qualifies, so the count is at least one in a sound block.
        let count = search::count_near(page.times(), place.guess, t, inclusive);
        Ok(Some((Position { piece: place.piece, index: count.saturating_sub(1) }, page)))
    }

    /// Asks `question` of the last record at or before `t`: its index, and its page, borrowed.
    #[inline]
    pub(crate) fn with_last<R>(
        &self,
        t: i64,
        question: impl Fn(usize, PageView<'_>) -> R,
    ) -> Result<Option<R>> {
        let Some(place) = self.place_before(t, true) else { return Ok(None) };
        let Place { piece, records, guess, block } = place;
        let answer = |view: PageView<'_>| {
            touch_value(&view, self.layout, guess);
            let count = search::count_near(view.times(), guess, t, true);
            question(count.saturating_sub(1), view)
        };
        if let Some((run, index)) = block {
            let decoded = |bytes: &[u8]| answer(PageView::decoded(bytes, self.layout, records));
            if let Some(bytes) = run.mapped_block(index) {
                return Ok(Some(decoded(bytes)));
            }
            if let Some(found) = run.with_decoded(index, self.pages, decoded) {
                return Ok(Some(found));
            }
        }
        let page = self.page(piece)?;
        Ok(Some(answer(page.view())))
    }

    /// The piece that holds the last record at or before `t`, and about where in it.
    #[inline]
    fn place_before(&self, t: i64, inclusive: bool) -> Option<Place<'_>> {
        let qualifies = |first: i64| if inclusive { first <= t } else { first < t };
        let view = self.view;
        for index in (0..view.frozen.len() + usize::from(self.open_len > 0)).rev() {
            let piece = view.blocks + index;
            let Some((part, records)) = self.memory_part(piece) else { continue };
            let times = part.lane(0).as_chunks::<8>().0;
            let ts = |word: Option<&[u8; 8]>| word.map(|word| i64::from_le_bytes(*word));
            let (first, last) = (ts(times.first())?, ts(times.get(records.wrapping_sub(1)))?);
            if qualifies(first) {
                let guess = search::Line::new(0, records, first, last).guess(t);
                return Some(Place { piece, records, guess, block: None });
            }
        }
        let run = view.run_first_ts.partition_point(|&first| qualifies(first)).checked_sub(1)?;
        let (run, start) = (view.runs.get(run)?, *view.run_starts.get(run)?);
        let block = run.block_at(t, inclusive)?;
        let entry = run.entries().get(block)?;
        let records = entry.records.get() as usize;
        let guess = run.guess(block, t);
        Some(Place { piece: start + block, records, guess, block: Some((run, block)) })
    }

    /// The positions behind the last record before `from`, and behind the last at or before `to`:
    /// where a window begins and ends. Both ends are looked up before either is searched, so that
    /// their cache misses overlap.
    pub(crate) fn window(
        &self,
        from: i64,
        to: i64,
        recent: &mut Recent,
    ) -> Result<(Position, Position)> {
        let (start, end) = (self.place_before(from, false), self.place_before(to, true));
        for place in [&start, &end].into_iter().flatten() {
            self.touch_place(place);
        }
        let start = self.behind(start, from, false, recent)?;
        Ok((start, self.behind(end, to, true, recent)?))
    }

    /// The position behind the last record at or before `t` (`inclusive`), or before it.
    pub(crate) fn position_after(
        &self,
        t: i64,
        inclusive: bool,
        recent: &mut Recent,
    ) -> Result<Position> {
        self.behind(self.place_before(t, inclusive), t, inclusive, recent)
    }

    fn touch_place(&self, place: &Place<'_>) {
        let mapped = place.block.and_then(|(run, block)| run.mapped_block(block));
        if let Some(bytes) = mapped {
            let view = PageView::decoded(bytes, self.layout, place.records);
            std::hint::black_box(view.times().get(place.guess).copied());
            touch_value(&view, self.layout, place.guess);
        }
    }

    fn behind(
        &self,
        place: Option<Place<'_>>,
        t: i64,
        inclusive: bool,
        recent: &mut Recent,
    ) -> Result<Position> {
        let Some(place) = place else { return Ok(Position { piece: 0, index: 0 }) };
        let count = |times: &[i64]| search::count_near(times, place.guess, t, inclusive);
        let mapped = place.block.and_then(|(run, block)| run.mapped_block(block));
        let count = match mapped {
            Some(bytes) => count(PageView::decoded(bytes, self.layout, place.records).times()),
            None => count(recent.page(self, place.piece)?.times()),
        };
        // The piece's first record qualifies, so the count is at least one in a sound block.
        let index = count.saturating_sub(1);
        Ok(self.next(Position { piece: place.piece, index }, place.records))
    }

    fn next(&self, position: Position, records: usize) -> Position {
        if position.index + 1 < records {
            Position { index: position.index + 1, ..position }
        } else {
            Position { piece: position.piece + 1, index: 0 }
        }
    }

    /// The position one record earlier; `None` at the first.
    pub(crate) fn previous(&self, position: Position) -> Option<Position> {
        if let Some(index) = position.index.checked_sub(1) {
            return Some(Position { index, ..position });
        }
        let piece = position.piece.checked_sub(1)?;
        Some(Position { piece, index: self.records(piece).checked_sub(1)? })
    }

    /// The position behind the last record.
    pub(crate) fn end(&self) -> Position {
        Position { piece: self.pieces(), index: 0 }
    }

    /// Refuses an answer about `from ..= to` that a gap could change.
    #[inline]
    pub(crate) fn refuse_gaps(&self, from: i64, to: i64) -> Result<()> {
        if self.view.gaps.is_empty() { Ok(()) } else { self.find_gap(from, to) }
    }

    #[cold]
    fn find_gap(&self, from: i64, to: i64) -> Result<()> {
        let strict = self.order == Order::StrictlyIncreasing;
        let apart = |gap: &Gap| {
            gap.after_ts.is_some_and(|after| to < after || (strict && to == after))
                || gap.before_ts.is_some_and(|before| from > before || (strict && from == before))
        };
        match self.view.gaps.iter().find(|gap| !apart(gap)) {
            None => Ok(()),
            Some(gap) => Err(self.gap_error(gap)),
        }
    }

    /// Refuses to answer where records of these sequences are lost.
    pub(crate) fn refuse_lost(&self, range: &std::ops::Range<u64>) -> Result<()> {
        let inside = |gap: &&Gap| gap.after_ts.is_some() && gap.before_ts.is_some();
        let lost = |gap: &&Gap| gap.from_sequence < range.end && range.start < gap.to_sequence;
        match self.view.gaps.iter().filter(inside).find(lost) {
            None => Ok(()),
            Some(gap) => Err(self.gap_error(gap)),
        }
    }

    fn gap_error(&self, gap: &Gap) -> Error {
        Error::Gap(Box::new(Affected {
            stream: self.name.to_owned(),
            after_ts: gap.after_ts,
            before_ts: gap.before_ts,
            records: gap.to_sequence.saturating_sub(gap.from_sequence),
        }))
    }

    #[cold]
    pub(super) fn tell_affected(&self, error: Error, piece: usize) -> Error {
        let entry = self.block_of(piece).and_then(|(run, block)| run.entries().get(block));
        match (error, entry) {
            (Error::Corrupt { file, offset, what, .. }, Some(entry)) => Error::Corrupt {
                file,
                offset,
                what,
                affected: Some(Box::new(Affected {
                    stream: self.name.to_owned(),
                    after_ts: Some(entry.first_ts.get()),
                    before_ts: Some(entry.last_ts.get()),
                    records: u64::from(entry.records.get()),
                })),
            },
            (error, _) => error,
        }
    }
}
