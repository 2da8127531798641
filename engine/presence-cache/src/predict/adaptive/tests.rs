//! What is predicted on sequences of many kinds, without a cache around it.
//!
//! # Invariants
//! - Everything is decided by a seed.

use std::collections::VecDeque;

use super::*;

/// Feeds `keys` one by one, of which there are those below `length`. Returns how many of them were
/// predicted when they came, and how many predicted keys did not come soon, as shares of all.
fn shares(keys: &[i64], length: i64) -> (f64, f64) {
    let mut predictor = Adaptive::new();
    let history = VecDeque::new();
    let (mut hits, mut predicted, mut came) = (0, 0, 0);
    let mut open: VecDeque<(i64, usize)> = VecDeque::new();
    for (at, key) in keys.iter().enumerate() {
        while open.front().is_some_and(|(_, since)| at - since > 64) {
            open.pop_front();
        }
        if let Some(index) = open.iter().position(|(open, _)| open == key) {
            open.remove(index);
            hits += 1;
            came += 1;
        }
        predictor.observe(&Access { key: *key, reader: 0, gap: false });
        let context = Context {
            current: key,
            history: &history,
            feedback: Feedback::default(),
            keys_max: 20,
        };
        let mut likely = Vec::new();
        predictor.predict(&context, &mut likely);
        // What was asked for lately is in any cache.
        let recent = &keys[at.saturating_sub(64)..=at];
        for (key, likelihood) in likely {
            assert!(likelihood > 0.0 && likelihood < 1.0);
            let open_already = open.iter().any(|(open, _)| *open == key);
            let exists = key < length && key > -length;
            if exists && !open_already && !recent.contains(&key) {
                open.push_back((key, at));
                predicted += 1;
            }
        }
    }
    let all = keys.len() as f64;
    (f64::from(hits) / all, f64::from(predicted - came) / all)
}

#[track_caller]
fn learns(keys: &[i64], hits_min: f64, waste_max: f64) {
    let length = keys.iter().map(|key| key.abs() + 1).max().unwrap();
    let (hits, waste) = shares(keys, length);
    assert!(hits >= hits_min && waste <= waste_max, "hits {hits}, wasted {waste}");
}

fn random(seed: u64) -> impl FnMut(u64) -> i64 {
    let mut state = seed;
    move |end| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 33) % end) as i64
    }
}

#[test]
fn sequences_and_strides() {
    learns(&(0..500).collect::<Vec<_>>(), 0.99, 0.02);
    learns(&(0..500).rev().collect::<Vec<_>>(), 0.99, 0.02);
    learns(&(0..500).map(|i| i * 17 % 2000).collect::<Vec<_>>(), 0.98, 0.04);
    learns(&(0..500).map(|i| i * -1000).collect::<Vec<_>>(), 0.99, 0.02);
}

#[test]
fn jumps_of_the_reference() {
    let mut last = 0;
    let jumps = (0..500).map(|i| {
        last = if i % 5 == 0 { 15 * i % 2000 } else { last + 1 };
        last
    });
    learns(&jumps.collect::<Vec<_>>(), 0.95, 0.06);
    let mixed = (0..500).map(|i| if i % 3 == 0 { 7 * i % 2000 } else { i });
    learns(&mixed.collect::<Vec<_>>(), 0.9, 0.1);
}

#[test]
fn loops_of_any_length() {
    for length in [70, 150, 900] {
        let keys: Vec<i64> = (0..length * 6).map(|i| i % length).collect();
        let first = 8.0 / keys.len() as f64;
        learns(&keys, 1.0 - first, 0.06_f64.max(4.0 / keys.len() as f64));
    }
}

#[test]
fn back_and_forth() {
    let keys: Vec<i64> = (0..400).map(|i| 1000 + i / 2 + (i % 2) * 40).collect();
    learns(&keys, 0.97, 0.05);
}

#[test]
fn several_interleaved_readers() {
    let mut at = [0_i64, 5_000, 90_000, 200_000];
    let steps = [1, -1, 7, 300];
    let mut random = random(3);
    let keys: Vec<i64> = (0..1000)
        .map(|_| {
            let reader = random(4) as usize;
            at[reader] += steps[reader];
            at[reader]
        })
        .collect();
    learns(&keys, 0.9, 0.05);
}

#[test]
fn random_access_is_met_with_silence() {
    for (seed, length) in [(1, 500), (2, 2_000), (3, 100_000), (4, 1 << 40)] {
        let mut random = random(seed);
        let keys: Vec<i64> = (0..5_000).map(|_| random(length)).collect();
        let (_, waste) = shares(&keys, i64::MAX);
        assert!(waste <= 0.05, "{length}: {waste}");
    }
}

#[test]
fn what_is_remembered_is_bounded() {
    let mut predictor = Adaptive::new();
    let mut random = random(9);
    for _ in 0..10_000 {
        let key = (random(1 << 30) as u64, random(1 << 30));
        predictor.observe(&Access { key, reader: random(64) as usize, gap: random(3) == 0 });
    }
    assert!(predictor.readers.len() <= READERS_MAX);
    for key in [i64::MIN, i64::MAX, 0, i64::MIN + 1, i64::MAX - 1] {
        predictor.observe(&Access { key, reader: 0, gap: false });
        let (feedback, history) = (Feedback::default(), VecDeque::new());
        let context = Context { current: &key, history: &history, feedback, keys_max: 3 };
        predictor.predict(&context, &mut Vec::new());
    }
}
