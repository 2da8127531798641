//! Numbers that look random, the same on every machine.
//!
//! # Invariants
//! - A seed gives the same numbers for ever: files made from it are compared by tests.

/// Numbers from a seed (the SplitMix64 sequence, Steele et al. 2014).
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// The sequence of `seed`.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let x = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    /// A number below `end`; 0 where that is 0.
    pub fn below(&mut self, end: u64) -> u64 {
        let wide = u128::from(self.next()) * u128::from(end);
        (wide >> 64) as u64
    }

    /// A number from `from` to `to`.
    pub fn between(&mut self, from: f64, to: f64) -> f64 {
        let share = (self.next() >> 11) as f64 / (1_u64 << 53) as f64;
        from + (to - from) * share
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sequence_never_changes_and_stays_within() {
        let mut random = Random::new(42);
        assert_eq!(random.next(), 13_679_457_532_755_275_413);
        assert!((0..1000).all(|_| random.below(7) < 7));
        assert!((0..1000).all(|_| (-2.0..=2.0).contains(&random.between(-2.0, 2.0))));
        assert_eq!(random.below(0), 0);
    }
}
