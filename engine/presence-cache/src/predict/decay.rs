//! Likelihood that falls with distance.
//!
//! # Invariants
//! - The formulas are those of the reference, with its defaults in code: keys below 0 and the
//!   current key are among the answers where they are there.

use super::{Context, Predictor};
use crate::key::{Key, Place};

/// The key so far from `place`.
pub(crate) fn key_at<K: Key>(place: Place, distance: i64) -> Option<K> {
    let position = place.position.checked_add(distance)?;
    K::from_place(Place { position, ..place })
}

/// Where the last step went: 1 forward, -1 back, 0 unknown or to another lane.
pub(crate) fn direction<K: Key>(context: &Context<'_, K>) -> i64 {
    let mut places = context.history.iter().rev().map(K::place);
    match (places.next().flatten(), places.next().flatten()) {
        (Some(now), Some(before)) if now.lane == before.lane => {
            (i128::from(now.position) - i128::from(before.position)).signum() as i64
        }
        _ => 0,
    }
}

/// All keys within `span_max` of the current one, itself included: `1 / (distance + 1) ^ decay`.
#[derive(Debug, Clone, Copy)]
pub struct DistanceDecay {
    /// How far to look.
    pub span_max: u32,
    /// How fast likelihood falls.
    pub decay: f64,
}

impl Default for DistanceDecay {
    fn default() -> Self {
        Self { span_max: 60, decay: 1.5 }
    }
}

impl<K: Key> Predictor<K> for DistanceDecay {
    fn predict(&mut self, context: &Context<'_, K>, likely: &mut Vec<(K, f64)>) {
        let Some(place) = context.current.place() else { return };
        let span = i64::from(self.span_max);
        likely.extend((-span..=span).filter_map(|distance| {
            let likelihood = 1.0 / (distance.unsigned_abs() as f64 + 1.0).powf(self.decay);
            Some((key_at(place, distance)?, likelihood))
        }));
    }
}

/// Forward `bias / d ^ 0.8`, back `0.3 / d ^ 1.2` over half the span; after a step forward the next
/// nine keys count 1.5 times.
#[derive(Debug, Clone, Copy)]
pub struct DynamicDistanceDecay {
    /// What the next key counts for.
    pub forward_bias: f64,
    /// How far to look.
    pub span_max: u32,
}

impl Default for DynamicDistanceDecay {
    fn default() -> Self {
        Self { forward_bias: 2.0, span_max: 25 }
    }
}

impl<K: Key> Predictor<K> for DynamicDistanceDecay {
    fn predict(&mut self, context: &Context<'_, K>, likely: &mut Vec<(K, f64)>) {
        let Some(place) = context.current.place() else { return };
        let span = i64::from(self.span_max);
        let forward = direction(context) > 0;
        likely.extend((1..=span).filter_map(|d| {
            let boost = if forward && d < 10 { 1.5 } else { 1.0 };
            Some((key_at(place, d)?, boost * self.forward_bias / (d as f64).powf(0.8)))
        }));
        let back = (span / 2).min(place.position);
        let likelihood = |d: i64| 0.3 / (d as f64).powf(1.2);
        likely.extend((1..=back).filter_map(|d| Some((key_at(place, -d)?, likelihood(d)))));
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::super::Feedback;
    use super::*;

    fn ask(predictor: &mut impl Predictor<i64>, history: &[i64]) -> Vec<(i64, f64)> {
        let history = history.iter().copied().collect();
        let current = std::collections::VecDeque::back(&history).unwrap();
        let feedback = Feedback::default();
        let mut likely = Vec::new();
        predictor
            .predict(&Context { current, history: &history, feedback, keys_max: 20 }, &mut likely);
        likely.sort_by_key(|(key, _)| *key);
        likely
    }

    #[test]
    fn distance_decay_is_the_formula() {
        let likely = ask(&mut DistanceDecay::default(), &[10]);
        assert_eq!(likely.len(), 121);
        assert_eq!(likely[0].0, -50, "keys below zero too");
        for (key, likelihood) in likely {
            let d = (key - 10).abs() as f64;
            assert!((likelihood - 1.0 / (d + 1.0).powf(1.5)).abs() < 1e-12, "{key}");
        }
    }

    #[test]
    fn dynamic_distance_decay_is_the_formula() {
        let likely = ask(&mut DynamicDistanceDecay::default(), &[3, 5]);
        let keys: Vec<_> = likely.iter().map(|(key, _)| *key).collect();
        assert_eq!(keys, (0..5).chain(6..=30).collect::<Vec<_>>(), "back to 0 at most");
        for (key, likelihood) in likely {
            let d = (key - 5).abs() as f64;
            let expected = match key {
                ..=4 => 0.3 / d.powf(1.2),
                5..=14 => 1.5 * 2.0 / d.powf(0.8),
                _ => 2.0 / d.powf(0.8),
            };
            assert!((likelihood - expected).abs() < 1e-12, "{key}");
        }
        let back = ask(&mut DynamicDistanceDecay::default(), &[105, 100]);
        assert_eq!(back.iter().filter(|(key, _)| *key < 100).count(), 12);
        let next = back.iter().find(|(key, _)| *key == 101).unwrap();
        assert!((next.1 - 2.0).abs() < 1e-12, "no boost after a step back");
    }
}
