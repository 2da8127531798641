//! The data: clocks with jitter and random walks, the same in every run.
//!
//! # Invariants
//! - Deterministic, and cheap next to what is measured: a few nanoseconds a record.

/// Independent 64-bit random numbers (splitmix64).
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// Numbers that follow from `seed`.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    #[inline]
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number in `0 .. n`.
    #[inline]
    pub fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.bits()) * u128::from(n)) >> 64) as u64
    }

    /// A number in `0.0 .. 1.0` with all bits of its mantissa random.
    #[inline]
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 * (1.0 / (1_u64 << 53) as f64)
    }

    /// A number of mean zero and variance one (the sum of two uniform ones).
    #[inline]
    pub fn step(&mut self) -> f64 {
        (self.unit() + self.unit() - 1.0) * 2.449_489_742_783_178
    }
}

/// When the recordings begin, in microseconds since 1970.
pub const START: i64 = 1_700_000_000_000_000;

/// W1: microseconds at about 1 kHz with a jitter of 200, and an `f64` random walk.
#[derive(Debug, Clone)]
pub struct Walk {
    random: Random,
    ts: i64,
    value: f64,
}

impl Walk {
    /// The recording's beginning.
    pub fn new() -> Self {
        Self { random: Random::new(1), ts: START, value: 0.0 }
    }

    /// The next record.
    #[inline]
    pub fn record(&mut self) -> (i64, f64) {
        self.ts += 800 + self.random.below(401) as i64;
        self.value += self.random.step();
        (self.ts, self.value)
    }

    /// The first `records` records, as columns.
    pub fn columns(records: usize) -> (Vec<i64>, Vec<f64>) {
        let mut walk = Self::new();
        (0..records).map(|_| walk.record()).unzip()
    }
}

impl Default for Walk {
    fn default() -> Self {
        Self::new()
    }
}

/// W2: the joints of several arms, 7 x `f32` walks at 100 Hz, one arm after the other.
#[derive(Debug, Clone)]
pub struct Arms {
    random: Random,
    ts: i64,
    values: [f32; 7],
}

impl Arms {
    /// The recording's beginning.
    pub fn new() -> Self {
        Self { random: Random::new(2), ts: START, values: [0.0; 7] }
    }

    /// The next record.
    #[inline]
    pub fn record(&mut self) -> (i64, [f32; 7]) {
        self.ts += 333;
        for value in &mut self.values {
            *value += self.random.unit() as f32 - 0.5;
        }
        (self.ts, self.values)
    }
}

impl Default for Arms {
    fn default() -> Self {
        Self::new()
    }
}
