//! Known jump distances, added to likelihood that falls with distance.
//!
//! # Invariants
//! - The formulas are those of the reference, with its defaults in code, not those of its text.

use std::collections::BTreeMap;

use super::{Context, Predictor};
use crate::key::{Key, Place};

/// A reader that goes forward, and jumps by known distances.
#[derive(Debug, Clone)]
pub struct DynamicData {
    /// Distances of jumps.
    pub possible_jumps: Vec<i64>,
    /// What the next key counts for.
    pub forward_bias: f64,
    /// What the key before counts for.
    pub backward_bias: f64,
    /// What the target of a jump counts for.
    pub jump_boost: f64,
    /// What lies near such a target, by its distance.
    pub proximity_boost: f64,
    /// Factor for the next ten keys after two steps forward.
    pub history_boost: f64,
    /// How far to look forward; half as far back.
    pub span_max: u32,
    /// How fast likelihood falls forward.
    pub forward_exponent: f64,
    /// How fast it falls back.
    pub backward_exponent: f64,
    /// How far from a target its neighbours are counted.
    pub proximity_range: u32,
    /// Keys are below this, where it is given.
    pub length: Option<i64>,
}

impl DynamicData {
    /// The reference's defaults, with these distances.
    #[must_use]
    pub fn new(possible_jumps: impl Into<Vec<i64>>) -> Self {
        Self {
            possible_jumps: possible_jumps.into(),
            forward_bias: 2.0,
            backward_bias: 0.3,
            jump_boost: 5.0,
            proximity_boost: 2.0,
            history_boost: 2.0,
            span_max: 30,
            forward_exponent: 0.8,
            backward_exponent: 1.2,
            proximity_range: 5,
            length: None,
        }
    }

    fn in_range(&self, position: i64) -> bool {
        position >= 0 && self.length.is_none_or(|length| position < length)
    }

    /// Likelihood by position.
    fn score(&self, current: i64, history: &[i64]) -> BTreeMap<i64, f64> {
        let mut scores = BTreeMap::new();
        let span = i64::from(self.span_max);
        let mut add = |from: i64, distance: i64, score: f64| {
            let position = from.saturating_add(distance);
            if self.in_range(position) {
                *scores.entry(position).or_insert(0.0) += score;
            }
        };
        for d in 1..=span {
            add(current, d, self.forward_bias / (d as f64).powf(self.forward_exponent));
        }
        for d in 1..=(span / 2).min(current) {
            add(current, -d, self.backward_bias / (d as f64).powf(self.backward_exponent));
        }
        let range = i64::from(self.proximity_range);
        for &jump in &self.possible_jumps {
            let target = current.saturating_add(jump);
            if !self.in_range(target) {
                continue;
            }
            add(target, 0, self.jump_boost);
            for offset in (-range..=range).filter(|&offset| offset != 0) {
                add(target, offset, self.proximity_boost / (offset.unsigned_abs() as f64 + 1.0));
            }
        }
        if let [.., a, b, c] = history
            && a < b
            && b < c
        {
            for (_, score) in scores.range_mut(current + 1..=current + span.min(10)) {
                *score *= self.history_boost;
            }
        }
        scores
    }
}

impl<K: Key> Predictor<K> for DynamicData {
    fn predict(&mut self, context: &Context<'_, K>, likely: &mut Vec<(K, f64)>) {
        let Some(Place { lane, position }) = context.current.place() else { return };
        if position > i64::MAX - i64::from(self.span_max) {
            return;
        }
        let places = context.history.iter().filter_map(K::place);
        let history: Vec<i64> =
            places.filter(|place| place.lane == lane).map(|place| place.position).collect();
        let scores = self.score(position, &history);
        likely.extend(scores.into_iter().filter_map(|(position, score)| {
            Some((K::from_place(Place { lane, position })?, score))
        }));
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;

    fn near(found: Option<&f64>, expected: f64) {
        let found = found.copied().unwrap_or(0.0);
        assert!((found - expected).abs() < 1e-12, "{found} is not {expected}");
    }

    #[test]
    fn terms_add_up() {
        let predictor = DynamicData::new([15, -5, -200]);
        let scores = predictor.score(100, &[100]);
        near(scores.get(&101), 2.0);
        near(scores.get(&115), 2.0 / 15_f64.powf(0.8) + 5.0);
        near(scores.get(&117), 2.0 / 17_f64.powf(0.8) + 2.0 / 3.0);
        near(scores.get(&95), 0.3 / 5_f64.powf(1.2) + 5.0);
        near(scores.get(&85), 0.3 / 15_f64.powf(1.2));
        near(scores.get(&100), 2.0 / 6.0);
        assert_eq!(scores.get(&84), None, "half the span back");
        assert!(scores.keys().all(|&key| key >= 0), "no target below zero, nor near it");
    }

    #[test]
    fn history_multiplies_and_length_cuts() {
        let predictor = DynamicData { length: Some(105), ..DynamicData::new([]) };
        let scores = predictor.score(100, &[1, 98, 99, 100]);
        near(scores.get(&104), 2.0 * 2.0 / 4_f64.powf(0.8));
        assert_eq!(scores.get(&105), None);
        let scores = DynamicData::new([]).score(100, &[98, 97, 100]);
        near(scores.get(&101), 2.0);
        near(DynamicData::new([]).score(0, &[1, 2, 3]).get(&11), 2.0 / 11_f64.powf(0.8));
        assert_eq!(DynamicData::new([]).score(-3, &[]).keys().next(), Some(&0));
    }
}
