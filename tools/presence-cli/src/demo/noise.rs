//! Numbers that look random and are the same every time.
//!
//! # Invariants
//! - A number depends on its channel and index only, not on what was drawn before.

/// 64 mixed bits for the `index`-th draw of `channel`.
pub(super) fn bits(channel: u64, index: u64) -> u64 {
    let mut x = index
        .wrapping_add(channel.wrapping_mul(0x9E37_79B9_7F4A_7C15))
        .wrapping_add(0x1234_5678_9ABC_DEF1);
    // xorshift between multiplications by odd constants, so that neighbours share nothing.
    for factor in [0xBF58_476D_1CE4_E5B9, 0x94D0_49BB_1331_11EB] {
        x ^= x >> 30;
        x = x.wrapping_mul(factor);
        x ^= x >> 27;
    }
    x ^ (x >> 31)
}

/// A number in [0, 1).
pub(super) fn unit(channel: u64, index: u64) -> f64 {
    (bits(channel, index) >> 11) as f64 / (1_u64 << 53) as f64
}

/// About normal, of variance one: the sum of four draws.
pub(super) fn normal(channel: u64, index: u64) -> f64 {
    let draws = (0..4).map(|draw| unit(channel ^ (draw << 32), index)).sum::<f64>();
    (draws - 2.0) * 3.0_f64.sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_spread_and_repeatable() {
        let all: Vec<f64> = (0..10_000).map(|index| unit(7, index)).collect();
        let mean = all.iter().sum::<f64>() / all.len() as f64;
        assert!((mean - 0.5).abs() < 0.02, "{mean}");
        assert_eq!(unit(7, 3), all[3]);
        let spread = (0..10_000).map(|index| normal(1, index).powi(2)).sum::<f64>() / 1e4;
        assert!((spread - 1.0).abs() < 0.1, "{spread}");
    }
}
