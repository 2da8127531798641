//! Which records of a stream are there: ranges of sequences, with the times at their ends.
//!
//! # Invariants
//! - Intervals ascend, and neither touch nor overlap.

/// Records that follow each other without a hole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Interval {
    /// Sequence of the first record.
    pub(crate) from: u64,
    /// Sequence after the last record.
    pub(crate) to: u64,
    /// Timestamp of the first record.
    pub(crate) first_ts: i64,
    /// Timestamp of the last record.
    pub(crate) last_ts: i64,
}

/// A set of records of one stream.
#[derive(Debug, Clone, Default)]
pub(crate) struct Intervals(Vec<Interval>);

impl Intervals {
    /// The intervals, ascending.
    pub(crate) fn as_slice(&self) -> &[Interval] {
        &self.0
    }

    /// How many records.
    pub(crate) fn records(&self) -> u64 {
        self.0.iter().map(|one| one.to - one.from).fold(0, u64::saturating_add)
    }

    /// Adds records. Where some are there already, their times at the ends are taken from either.
    /// O(1) behind the last, else O(intervals).
    pub(crate) fn insert(&mut self, new: Interval) {
        let start = self.0.partition_point(|one| one.to < new.from);
        let end = self.0.partition_point(|one| one.from <= new.to);
        let mut whole = new;
        for one in self.0.get(start..end).unwrap_or_default() {
            if one.from < whole.from {
                (whole.from, whole.first_ts) = (one.from, one.first_ts);
            }
            if one.to > whole.to {
                (whole.to, whole.last_ts) = (one.to, one.last_ts);
            }
        }
        self.0.splice(start..end.max(start), [whole]);
    }

    /// Whether all sequences of `from..to` are there.
    pub(crate) fn contains(&self, from: u64, to: u64) -> bool {
        let at = self.0.partition_point(|one| one.to < to);
        from >= to || self.0.get(at).is_some_and(|one| one.from <= from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interval(from: u64, to: u64) -> Interval {
        Interval { from, to, first_ts: from as i64, last_ts: to as i64 - 1 }
    }

    #[test]
    fn any_order_gives_the_union() {
        let parts = [(0, 3), (5, 6), (9, 12), (3, 5), (10, 11), (20, 30), (6, 9), (11, 19)];
        for shift in 0..parts.len() {
            let mut all = Intervals::default();
            for at in 0..parts.len() {
                let (from, to) = parts[(at * 3 + shift) % parts.len()];
                all.insert(interval(from, to));
            }
            assert_eq!(all.as_slice(), [interval(0, 19), interval(20, 30)]);
            assert_eq!(all.records(), 29);
            assert!(all.contains(0, 19) && all.contains(25, 30) && all.contains(40, 40));
            assert!(!all.contains(18, 20) && !all.contains(29, 31) && !all.contains(19, 20));
        }
    }
}
