//! Counts over time, whose span is not known beforehand.
//!
//! # Invariants
//! - At most twice the columns asked for are held: bins become wider as time goes on, so nothing is
//!   read twice.

/// Counts in bins of one width.
#[derive(Debug)]
pub(super) struct Plot {
    columns: usize,
    /// The width never changes.
    is_fixed: bool,
    width_us: u64,
    /// The first bin's number: bin `n` is `n * width_us` and on.
    first: Option<i64>,
    on: Vec<u64>,
    off: Vec<u64>,
}

/// Most bins of a given width.
pub(super) const BINS_MAX: usize = 1 << 22;

impl Plot {
    /// At most `columns` bins (at least two), as wide as is needed.
    pub(super) fn fitted(columns: usize) -> Self {
        let (on, off) = (Vec::new(), Vec::new());
        Self { columns: columns.max(2), is_fixed: false, width_us: 1, first: None, on, off }
    }

    /// Bins of `width_us`.
    pub(super) fn fixed(width_us: u64) -> Self {
        let width_us = width_us.clamp(1, i64::MAX as u64);
        Self { is_fixed: true, width_us, ..Self::fitted(BINS_MAX) }
    }

    /// Counts an event; `false` where it is beyond what can be held, or before the first bin.
    pub(super) fn add(&mut self, t: i64, is_on: bool) -> bool {
        loop {
            let bin = t.div_euclid(self.width_us as i64);
            let first = *self.first.get_or_insert(bin);
            let Some(index) = bin.checked_sub(first).and_then(|index| usize::try_from(index).ok())
            else {
                return false;
            };
            if index < self.columns {
                if index >= self.on.len() {
                    self.on.resize(index + 1, 0);
                    self.off.resize(index + 1, 0);
                }
                let counts = if is_on { &mut self.on } else { &mut self.off };
                if let Some(count) = counts.get_mut(index) {
                    *count += 1;
                }
                return true;
            }
            if self.is_fixed {
                return false;
            }
            self.widen();
        }
    }

    /// Makes bins twice as wide.
    fn widen(&mut self) {
        let Some(first) = self.first else { return };
        let half = |counts: &[u64]| {
            let mut halved = vec![0; counts.len() / 2 + 1];
            for (index, count) in counts.iter().enumerate() {
                let index = (first + index as i64).div_euclid(2) - first.div_euclid(2);
                if let Some(into) = halved.get_mut(index as usize) {
                    *into += count;
                }
            }
            halved
        };
        (self.on, self.off) = (half(&self.on), half(&self.off));
        self.width_us = self.width_us.saturating_mul(2).min(i64::MAX as u64);
        self.first = Some(first.div_euclid(2));
    }

    /// How wide a bin is.
    pub(super) const fn width_us(&self) -> u64 {
        self.width_us
    }

    /// When each bin begins, and its events that are on and off.
    pub(super) fn bins(&self) -> impl Iterator<Item = (i64, u64, u64)> + '_ {
        let first = self.first.unwrap_or_default();
        let counts = self.on.iter().zip(&self.off).enumerate();
        counts.map(move |(index, (on, off))| {
            ((first + index as i64).saturating_mul(self.width_us as i64), *on, *off)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bins_widen_and_lose_nothing() {
        for start in [-1_000_003, -7, 0, 1, 999_999_937] {
            let times: Vec<i64> = (0..5_000).map(|i| start + i * i / 50).collect();
            let mut plot = Plot::fitted(40);
            times.iter().for_each(|&t| assert!(plot.add(t, t % 3 == 0)));
            let width = plot.width_us() as i64;
            assert!(plot.bins().count() <= 40 && width.count_ones() == 1);
            for (from, on, off) in plot.bins() {
                let inside = times.iter().filter(|&&t| (from..from + width).contains(&t));
                let is_on = inside.clone().filter(|&&t| t % 3 == 0).count() as u64;
                assert_eq!((on, on + off), (is_on, inside.count() as u64), "{start} {from}");
            }
            assert_eq!(plot.bins().map(|(_, on, off)| on + off).sum::<u64>(), 5_000);
        }
    }

    #[test]
    fn a_fixed_width_stays() {
        let mut plot = Plot::fixed(10);
        assert!(plot.add(25, true) && plot.add(44, false) && !plot.add(19, true));
        let bins: Vec<_> = plot.bins().collect();
        assert_eq!(bins, [(20, 1, 0), (30, 0, 0), (40, 0, 1)]);
        assert!(!plot.add(i64::MAX, true));
    }
}
