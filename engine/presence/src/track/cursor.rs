//! One program over one snapshot, walked a container at a time.
//!
//! # Invariants
//! - A container is evaluated once while the cursor stays in it.
//! - A count over a class, or over all but a class, reads no container at all.

use std::ops::Range;

use super::kernels::{self, BITS, WORDS, Words};
use super::program::{Program, Scratch};
use super::source::{Bitmap, Bitmaps, CONTAINER_TICKS, Fill};
use crate::error::Result;

/// The container of a tick.
pub(crate) const fn container_of(tick: i64) -> i64 {
    tick.div_euclid(CONTAINER_TICKS)
}

/// The first tick of a container.
pub(crate) const fn first_tick(container: i64) -> i64 {
    container.saturating_mul(CONTAINER_TICKS)
}

/// The bits of a container that lie in a range of ticks.
pub(crate) fn bits_within(ticks: &Range<i64>, container: i64) -> Range<u32> {
    let first = first_tick(container);
    let bit = |tick: i64| tick.saturating_sub(first).clamp(0, CONTAINER_TICKS) as u32;
    bit(ticks.start)..bit(ticks.end)
}

/// Ticks of a bitmap within `ticks`.
pub(crate) fn ranked(bitmap: &impl Bitmap, ticks: &Range<i64>) -> Result<u64> {
    if ticks.start >= ticks.end {
        return Ok(0);
    }
    Ok(bitmap.rank(ticks.end)?.saturating_sub(bitmap.rank(ticks.start)?))
}

/// A program and the container it stands in.
#[derive(Debug)]
pub(crate) struct Cursor<L> {
    pub(crate) bitmaps: L,
    pub(crate) program: Program,
    scratch: Scratch,
    words: Box<Words>,
    at: Option<(i64, Fill)>,
}

impl<L: Bitmaps> Cursor<L> {
    pub(crate) fn new(bitmaps: L, program: Program) -> Self {
        let scratch = Scratch::default();
        Self { bitmaps, program, scratch, words: Box::new([0; WORDS]), at: None }
    }

    /// What the program is in container `number`; its words follow by [`words`](Self::words).
    pub(crate) fn load(&mut self, number: i64) -> Result<Fill> {
        if let Some((at, fill)) = self.at
            && at == number
        {
            return Ok(fill);
        }
        self.at = None;
        let fill =
            self.program.container(&self.bitmaps, number, &mut self.words, &mut self.scratch)?;
        self.at = Some((number, fill));
        Ok(fill)
    }

    /// The words of the container last loaded, where it is mixed.
    pub(crate) fn words(&self) -> &Words {
        &self.words
    }

    /// The first container at or after `from` that may have a tick.
    pub(crate) fn next_container(&self, from: i64) -> Result<Option<i64>> {
        self.program.next_container(&self.bitmaps, from)
    }

    /// How many of `ticks` there are.
    pub(crate) fn count(&mut self, ticks: &Range<i64>) -> Result<u64> {
        if let Some(count) = self.program.indexed_count(&self.bitmaps, ticks)? {
            return Ok(count);
        }
        let mut count = 0;
        let mut from = container_of(ticks.start);
        while let Some(number) = self.next_within(from, ticks)? {
            count += self.count_in(number, ticks)?;
            from = number + 1;
        }
        Ok(count)
    }

    /// The first container from `from` on that may have one of `ticks`.
    pub(crate) fn next_within(&self, from: i64, ticks: &Range<i64>) -> Result<Option<i64>> {
        if ticks.start >= ticks.end || first_tick(from) >= ticks.end {
            return Ok(None);
        }
        Ok(self.next_container(from)?.filter(|&number| first_tick(number) < ticks.end))
    }

    /// How many of `ticks` there are in container `number`.
    pub(crate) fn count_in(&mut self, number: i64, ticks: &Range<i64>) -> Result<u64> {
        let bits = bits_within(ticks, number);
        if bits == (0..BITS) && self.at.is_none_or(|(at, _)| at != number) {
            self.at = None;
            let (words, scratch) = (&mut self.words, &mut self.scratch);
            return self.program.count_container(&self.bitmaps, number, words, scratch);
        }
        Ok(match self.load(number)? {
            Fill::Empty => 0,
            Fill::Full => u64::from(bits.end.saturating_sub(bits.start)),
            Fill::Mixed => kernels::count_bits(&self.words, bits),
        })
    }

    /// The first tick of `ticks` that is there.
    pub(crate) fn first(&mut self, ticks: &Range<i64>) -> Result<Option<i64>> {
        let mut from = container_of(ticks.start);
        while let Some(number) = self.next_within(from, ticks)? {
            let bits = bits_within(ticks, number);
            let found = match self.load(number)? {
                Fill::Empty => None,
                Fill::Full => Some(bits.start),
                Fill::Mixed => kernels::next_set(&self.words, bits.start),
            };
            if let Some(bit) = found.filter(|&bit| bit < bits.end) {
                return Ok(Some(first_tick(number) + i64::from(bit)));
            }
            from = number + 1;
        }
        Ok(None)
    }

    /// The last tick of `ticks` that is there.
    pub(crate) fn last(&mut self, ticks: &Range<i64>) -> Result<Option<i64>> {
        if ticks.start >= ticks.end {
            return Ok(None);
        }
        let mut to = container_of(ticks.end - 1);
        while let Some(number) = self.program.previous_container(&self.bitmaps, to)? {
            if number < container_of(ticks.start) {
                break;
            }
            let bits = bits_within(ticks, number);
            let found = match self.load(number)? {
                Fill::Empty => None,
                Fill::Full => bits.end.checked_sub(1),
                Fill::Mixed => kernels::previous_set(&self.words, bits.end),
            };
            if let Some(bit) = found.filter(|&bit| bit >= bits.start) {
                return Ok(Some(first_tick(number) + i64::from(bit)));
            }
            to = number - 1;
        }
        Ok(None)
    }

    /// The first tick at or after `from` that is not there, or `end`.
    pub(crate) fn first_missing(&mut self, from: i64, end: i64) -> Result<i64> {
        let mut tick = from;
        while tick < end {
            let number = container_of(tick);
            let found = match self.load(number)? {
                Fill::Empty => return Ok(tick),
                Fill::Full => None,
                Fill::Mixed => kernels::next_clear(&self.words, (tick - first_tick(number)) as u32),
            };
            match found {
                Some(bit) => return Ok(end.min(first_tick(number) + i64::from(bit))),
                None => tick = first_tick(number + 1),
            }
        }
        Ok(end)
    }

    /// Whether all of `ticks` are there that are in `wanted`, a bitmap that holds the program.
    pub(crate) fn covers(&mut self, wanted: &mut Self, ticks: &Range<i64>) -> Result<bool> {
        let mut from = container_of(ticks.start);
        while let Some(number) = wanted.next_within(from, ticks)? {
            let inside = ticks.start.max(first_tick(number))..ticks.end.min(first_tick(number + 1));
            let count = wanted.count(&inside)?;
            if count > 0 && self.count_in(number, ticks)? != count {
                return Ok(false);
            }
            from = number + 1;
        }
        Ok(true)
    }
}
