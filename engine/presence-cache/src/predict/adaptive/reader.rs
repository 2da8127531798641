//! One reader in one lane: all its steps as one sequence, and the same steps sorted into several
//! sequences that may be interleaved in them.
//!
//! # Invariants
//! - The one sequence speaks alone while it is proven. Else the several do, and the one only where
//!   the latest step begins something new.
//! - What is known of jumps is bounded, and believed in full after the second time.

use super::track::{Pattern, Step, Track};

/// Sequences that may be interleaved.
const STREAMS_MAX: usize = 16;
/// A position so near to a sequence's last one belongs to it.
const NEAR: u64 = 64;
/// Jumps that are remembered; a power of two.
const JUMPS: usize = 1024;
/// Sequences that have not moved for so many times their usual are over.
const IDLE_GAPS: u64 = 4;
/// What one more step into the future costs in likelihood.
const FADE: f64 = 0.97;

#[derive(Debug)]
pub(super) struct Reader {
    whole: Track,
    streams: Vec<Stream>,
    jumps: Vec<Option<Jump>>,
    steps: u64,
}

/// One of the sequences that may be interleaved.
#[derive(Debug)]
struct Stream {
    track: Track,
    /// When it moved last, in steps of the reader.
    moved: u64,
    /// Steps of the reader between its moves, lately.
    gap: u64,
}

impl Stream {
    fn new(track: Track, now: u64) -> Self {
        Self { track, moved: now, gap: 1 }
    }

    fn advance(&mut self, position: i64, now: u64) {
        let gap = now - self.moved;
        self.gap = if gap > self.gap { gap } else { (3 * self.gap + gap) / 4 };
        self.moved = now;
        if self.track.last() != position {
            self.track.advance(position, false);
        }
    }

    /// Whether it has not moved for longer than is its way.
    fn is_over(&self, now: u64) -> bool {
        now - self.moved > IDLE_GAPS * self.gap + STREAMS_MAX as u64 / 2
    }
}

/// Where a sequence left its pattern, and by how much.
#[derive(Debug, Clone, Copy)]
struct Jump {
    from: i64,
    step: i64,
    times: u32,
}

impl Reader {
    pub(super) fn new(position: i64) -> Self {
        let whole = Track::new(position);
        Self {
            whole,
            streams: vec![Stream::new(Track::new(position), 0)],
            jumps: Vec::new(),
            steps: 0,
        }
    }

    /// The reader asks for `position`; with a `gap`, steps before it are unknown.
    pub(super) fn observe(&mut self, position: i64, gap: bool) {
        let from = self.whole.last();
        if position == from {
            return;
        }
        self.steps += 1;
        if gap {
            self.whole.jump(position);
        } else {
            let step = position.wrapping_sub(from);
            let foretold = self.jump_at(from).is_some_and(|jump| jump.step == step);
            let met = self.whole.advance(position, foretold);
            self.remember(from, step, foretold, met);
        }
        self.sort_in(position);
    }

    fn remember(&mut self, from: i64, step: i64, foretold: bool, met: Step) {
        let jump = match (met, foretold) {
            (_, true) => {
                let times = self.jump_at(from).map_or(0, |jump| jump.times);
                Some(Jump { from, step, times: times.saturating_add(1) })
            }
            (Step::Missed, false) => Some(Jump { from, step, times: 1 }),
            // It jumped from here once, and did not now.
            (Step::Expected, false) if self.jump_at(from).is_some() => None,
            _ => return,
        };
        if self.jumps.is_empty() {
            self.jumps.resize(JUMPS, None);
        }
        if let Some(place) = self.jumps.get_mut(place_of(from)) {
            *place = jump;
        }
    }

    fn jump_at(&self, from: i64) -> Option<Jump> {
        let jump = self.jumps.get(place_of(from)).copied().flatten()?;
        (jump.from == from).then_some(jump)
    }

    /// Gives the position to the sequence it continues, or begins one.
    fn sort_in(&mut self, position: i64) {
        let now = self.steps;
        let expects = |stream: &Stream| stream.track.expected() == Some(position);
        let expecting = self.streams.iter().position(expects);
        let nearest = || {
            let near = self.streams.iter().enumerate();
            let near = near.map(|(at, stream)| (stream.track.last().abs_diff(position), at));
            near.filter(|(distance, _)| *distance <= NEAR).min().map(|(_, at)| at)
        };
        let found = expecting.or_else(nearest);
        if let Some(stream) = found.and_then(|at| self.streams.get_mut(at)) {
            return stream.advance(position, now);
        }
        let track = self.third_in_a_row(position).unwrap_or_else(|| Track::new(position));
        if self.streams.len() >= STREAMS_MAX {
            let moved = |at: &usize| self.streams.get(*at).map(|stream| stream.moved);
            if let Some(oldest) = (0..self.streams.len()).min_by_key(moved) {
                self.streams.swap_remove(oldest);
            }
        }
        self.streams.push(Stream::new(track, now));
    }

    /// Three single positions at equal distances may be the beginning of a sequence of wide steps.
    fn third_in_a_row(&mut self, position: i64) -> Option<Track> {
        let singles = || self.streams.iter().filter(|stream| stream.track.is_single());
        let (first, second) = singles().find_map(|later| {
            let second = later.track.last();
            let first = second.checked_sub(position.checked_sub(second)?)?;
            let found =
                |earlier: &&Stream| earlier.track.last() == first && earlier.moved < later.moved;
            singles().find(found).map(|_| (first, second))
        })?;
        self.streams.retain(|stream| ![first, second].contains(&stream.track.last()));
        let mut track = Track::new(first);
        track.advance(second, false);
        track.advance(position, false);
        track.doubt();
        Some(track)
    }

    /// Tells positions to come, with their likelihoods, at most `depth` for each sequence.
    pub(super) fn predict(&self, depth: u32, tell: &mut dyn FnMut(i64, f64)) {
        let here = |stream: &&Stream| stream.track.last() == self.whole.last();
        let own = self.streams.iter().find(here).and_then(|stream| stream.track.pattern());
        if let Some(pattern) = self.whole.pattern()
            && (pattern.is_proven() || own.is_none())
        {
            self.follow(self.whole.last(), pattern, depth, tell);
            if pattern.is_proven() {
                return;
            }
        }
        for stream in self.streams.iter().filter(|stream| !stream.is_over(self.steps)) {
            if let Some(pattern) = stream.track.pattern() {
                self.follow(stream.track.last(), pattern, depth, tell);
            }
        }
    }

    fn follow(&self, from: i64, pattern: &Pattern, depth: u32, tell: &mut dyn FnMut(i64, f64)) {
        let (mut position, mut likelihood) = (from, pattern.trust());
        for step in pattern.ahead().take(depth.min(pattern.reach()) as usize) {
            let jump = self.jump_at(position);
            if let Some(jump) = jump.filter(|jump| jump.times == 1)
                && let Some(target) = position.checked_add(jump.step)
            {
                tell(target, likelihood / 2.0);
            }
            let step = jump.filter(|jump| jump.times > 1).map_or(step, |jump| jump.step);
            let Some(next) = position.checked_add(step) else { return };
            position = next;
            tell(position, likelihood);
            likelihood *= FADE;
        }
    }
}

fn place_of(position: i64) -> usize {
    let mixed = position.cast_unsigned().wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 32) as usize % JUMPS
}
