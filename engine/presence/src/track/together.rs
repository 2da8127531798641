//! Which classes were seen at the same time.
//!
//! # Invariants
//! - The matrix is symmetric; its diagonal is how often each class was seen.
//! - Every container is read once for each class that is in it.

use std::ops::Range;

use super::cursor::{bits_within, container_of, first_tick, ranked};
use super::kernels::{self, BITS, WORDS, Words};
use super::source::{Bitmap, Bitmaps, Fill};
use crate::error::{Error, Result};

/// Most classes of one matrix: each takes 8 KiB while it is counted.
const CLASSES_MAX: usize = 1_024;

/// How many ticks each two of some classes share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CoOccurrence {
    classes: Vec<u16>,
    counts: Vec<u64>,
}

impl CoOccurrence {
    pub(crate) fn count(
        bitmaps: &impl Bitmaps,
        classes: &[u16],
        ticks: &Range<i64>,
    ) -> Result<Self> {
        let mut wanted = classes.to_vec();
        wanted.sort_unstable();
        wanted.dedup();
        if wanted.len() > CLASSES_MAX {
            return Err(Error::invalid(format!(
                "{} classes at once; at most {CLASSES_MAX} are counted together",
                wanted.len()
            )));
        }
        let size = wanted.len();
        let mut matrix = Self { classes: wanted, counts: vec![0; size * size] };
        let there: Vec<_> = (0..).zip(&matrix.classes).collect();
        let there: Vec<_> =
            there.into_iter().filter_map(|(row, &id)| Some((row, bitmaps.class(id)?))).collect();
        for &(row, bitmap) in &there {
            let own = ranked(bitmap, ticks)?;
            matrix.add(row, row, own);
        }
        if ticks.start < ticks.end && there.len() > 1 {
            matrix.count_pairs(&there, ticks)?;
        }
        Ok(matrix)
    }

    fn count_pairs<L: Bitmap>(
        &mut self,
        bitmaps: &[(usize, &L)],
        ticks: &Range<i64>,
    ) -> Result<()> {
        let mut buffers: Vec<Box<Words>> = Vec::new();
        let mut next: Vec<Option<i64>> = vec![None; bitmaps.len()];
        let mut from = container_of(ticks.start);
        for (next, (_, bitmap)) in next.iter_mut().zip(bitmaps) {
            *next = bitmap.next_container(from)?;
        }
        while let Some(number) = next.iter().flatten().min().copied() {
            if first_tick(number) >= ticks.end {
                break;
            }
            from = number + 1;
            let here: Vec<usize> =
                (0..bitmaps.len()).filter(|&at| next.get(at) == Some(&Some(number))).collect();
            if here.len() > 1 {
                let bits = bits_within(ticks, number);
                buffers.resize_with(buffers.len().max(here.len()), || Box::new([0; WORDS]));
                let rows = here.iter().filter_map(|&at| bitmaps.get(at));
                let mut loaded: Vec<(usize, &Words)> = Vec::new();
                for (&(row, bitmap), words) in rows.zip(&mut buffers) {
                    match bitmap.container(number, words)? {
                        Fill::Empty => continue,
                        Fill::Full => words.fill(u64::MAX),
                        Fill::Mixed => {}
                    }
                    if bits != (0..BITS) {
                        kernels::keep(words, bits.clone());
                    }
                    loaded.push((row, words));
                }
                self.add_pairs(&loaded);
            }
            for at in here {
                if let (Some(next), Some((_, bitmap))) = (next.get_mut(at), bitmaps.get(at)) {
                    *next = bitmap.next_container(from)?;
                }
            }
        }
        Ok(())
    }

    fn add_pairs(&mut self, loaded: &[(usize, &Words)]) {
        for (index, &(row, words)) in loaded.iter().enumerate() {
            for &(column, other) in loaded.get(index + 1..).unwrap_or_default() {
                let both = kernels::count_and(words, other);
                self.add(row, column, both);
                self.add(column, row, both);
            }
        }
    }

    fn add(&mut self, row: usize, column: usize, count: u64) {
        if let Some(cell) = self.counts.get_mut(row * self.classes.len() + column) {
            *cell += count;
        }
    }

    /// The classes, ascending: rows and columns of the matrix.
    pub fn classes(&self) -> &[u16] {
        &self.classes
    }

    /// The rows of the matrix.
    pub fn rows(&self) -> impl Iterator<Item = &[u64]> {
        self.counts.chunks(self.classes.len().max(1))
    }

    /// At how many ticks both were seen; of a class and itself, at how many it was. `None` for a
    /// class that was not asked for.
    pub fn get(&self, one: u16, other: u16) -> Option<u64> {
        let row = self.classes.binary_search(&one).ok()?;
        let column = self.classes.binary_search(&other).ok()?;
        self.counts.get(row * self.classes.len() + column).copied()
    }
}
