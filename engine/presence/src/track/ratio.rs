//! How much of a range a class was there, and how much of it anybody looked.
//!
//! # Invariants
//! - `present <= observed <= range_ticks`.
//! - Nothing observed is no ratio, not a ratio of zero.

/// What a ratio is a part of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Over {
    /// The ticks that were observed.
    #[default]
    Observed,
    /// All ticks of the range, whether anybody looked or not.
    Range,
}

/// Counts of a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ratio {
    /// Ticks at which the expression held.
    pub present: u64,
    /// Ticks at which somebody looked.
    pub observed: u64,
    /// Ticks of the range. An open end of a range is where observation began or ended.
    pub range_ticks: u64,
}

impl Ratio {
    /// The part of the observed ticks; `None` where nothing was observed.
    pub fn over_observed(&self) -> Option<f64> {
        self.over(Over::Observed)
    }

    /// The part of all ticks of the range; `None` of a range without ticks.
    pub fn over_range(&self) -> Option<f64> {
        self.over(Over::Range)
    }

    /// The part of what `over` says.
    pub fn over(&self, over: Over) -> Option<f64> {
        let whole = match over {
            Over::Observed => self.observed,
            Over::Range => self.range_ticks,
        };
        (whole > 0).then(|| self.present as f64 / whole as f64)
    }
}

/// What is known of one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Presence {
    /// The expression held.
    Present,
    /// Somebody looked, and it did not hold.
    Absent,
    /// Nobody looked.
    NotObserved,
}
