//! How often a value is there when it is asked for, on the patterns of the reference and more.
//!
//! Between two questions there is all the time in the world: what is counted depends on what was
//! predicted, not on how fast this machine is.

use presence_cache::policy::{EvictionPolicy, Lru, ScanResistant};
use presence_cache::predict::{DynamicData, Silent};
use presence_cache::{PrefetchCache, Stats};

use crate::support::{Random, Source, figure};

/// The reference's sizes: 2,000 keys, 500 questions, 100 values kept, 20 fetched ahead.
const LENGTH: i64 = 2000;

fn builder(source: &Source) -> presence_cache::Builder<i64, Source> {
    PrefetchCache::builder(source.clone()).entries_max(100).prefetch_max(20)
}

fn replay(keys: &[i64], predicting: bool) -> (Stats, u64) {
    let source = Source::of_length(LENGTH);
    let builder = builder(&source);
    let cache = match predicting {
        true => builder.build(),
        false => builder.predictor(Silent).build(),
    };
    for key in keys {
        assert_eq!(cache.get(key).unwrap(), key * 10);
        cache.wait_idle();
    }
    assert_eq!(
        source.0.doubles.load(std::sync::atomic::Ordering::Relaxed),
        0,
        "loaded twice at once"
    );
    let stats = cache.stats();
    assert!(stats.entries <= 100);
    assert_eq!(stats.loads + stats.prefetches_started, source.0.all_loads());
    let ended = stats.prefetches_useful
        + stats.prefetches_late
        + stats.prefetches_wasted
        + stats.prefetch_errors
        + stats.unused as u64;
    assert_eq!(stats.prefetches_started, ended, "{stats:?}");
    (stats, source.0.all_loads())
}

#[track_caller]
fn learns(name: &str, keys: &[i64], hit_rate_min: f64) {
    let (stats, loads) = replay(keys, true);
    let wasted = (stats.prefetches_wasted + stats.unused as u64) as f64 / loads as f64;
    println!("{name}: hit rate {:.3}, wasted {wasted:.3} of {loads} loads", stats.hit_rate());
    assert!(stats.hit_rate() >= hit_rate_min, "{name}: {}", stats.hit_rate());
    assert!(wasted < 0.1, "{name}: {wasted} of {loads} loads wasted");
    figure("cache: patterns replayed", 1);
}

#[test]
fn patterns_of_the_reference_are_learnt() {
    learns("sequential", &(0..500).collect::<Vec<_>>(), 0.99);
    learns("backward", &(0..500).rev().collect::<Vec<_>>(), 0.99);
    learns("stride", &(0..500).map(|i| i * 17 % LENGTH).collect::<Vec<_>>(), 0.98);
    let mut last = 0;
    let jumps = (0..500).map(|i| {
        last = if i % 5 == 0 { 15 * i % LENGTH } else { last + 1 };
        last
    });
    learns("jumps", &jumps.collect::<Vec<_>>(), 0.95);
    let mixed = (0..500).map(|i| if i % 3 == 0 { 7 * i % LENGTH } else { i });
    learns("mixed", &mixed.collect::<Vec<_>>(), 0.9);
    learns("loop", &(0..500).map(|i| i % 150).collect::<Vec<_>>(), 0.99);
    learns("long loop", &(0..4000).map(|i| i % 900).collect::<Vec<_>>(), 0.99);
}

#[test]
fn random_access_costs_no_more_than_without() {
    for seed in 1..=4 {
        let mut random = Random(seed);
        let keys: Vec<i64> = (0..2000).map(|_| random.below(LENGTH as u64) as i64).collect();
        let (without, loads_without) = replay(&keys, false);
        let (with, loads_with) = replay(&keys, true);
        println!("random {seed}: {loads_with} loads, {loads_without} without");
        assert!(loads_with as f64 <= loads_without as f64 * 1.05, "{loads_with} {loads_without}");
        assert!(with.hits + 20 >= without.hits);
    }
}

/// The reference's own predictor in this cache, for comparison: it predicts what it is told of.
#[test]
fn the_predictors_of_the_reference_work_here() {
    let source = Source::of_length(LENGTH);
    let predictor = DynamicData { length: Some(LENGTH), ..DynamicData::new([15, 30]) };
    let cache = builder(&source).predictor(predictor).build();
    for key in 0..500 {
        cache.get(&key).unwrap();
        cache.wait_idle();
    }
    assert!(cache.stats().hits >= 499);
}

#[test]
fn several_threads_are_several_readers() {
    let source = Source::of_length(1 << 20);
    let cache = PrefetchCache::builder(source.clone()).entries_max(400).build();
    let readers: Vec<_> = [1_i64, -1, 3]
        .into_iter()
        .enumerate()
        .map(|(number, step)| {
            let cache = cache.clone();
            std::thread::spawn(move || {
                let start = (number as i64 + 1) * 100_000;
                for i in 0..300 {
                    cache.get(&(start + i * step)).unwrap();
                    cache.wait_idle();
                }
            })
        })
        .collect();
    for reader in readers {
        reader.join().unwrap();
    }
    let stats = cache.stats();
    assert!(stats.hits + stats.prefetches_late >= 850, "{stats:?}");
}

#[test]
fn keys_without_a_place_are_cached_and_not_predicted() {
    let cache = PrefetchCache::builder(|key: &String| Ok::<_, ()>(key.len())).build();
    for key in ["a", "bb", "ccc", "a"] {
        assert_eq!(cache.get(&key.to_owned()).unwrap(), key.len());
    }
    cache.wait_idle();
    let stats = cache.stats();
    assert_eq!((stats.hits, stats.misses, stats.prefetches_started), (1, 3, 0));
}

/// How much of a hot set is left after a scan ten times as long as the cache is large.
fn left_after_scan(policy: impl EvictionPolicy) -> usize {
    let source = Source::default();
    let cache = builder(&source).predictor(Silent).workers(0).policy(policy).build();
    let hot = 0..60_i64;
    for round in 0..5 {
        for key in hot.clone() {
            cache.get(&key).unwrap();
        }
        cache.get(&(1000 + round)).unwrap();
    }
    for key in 2000..3000 {
        cache.get(&key).unwrap();
    }
    hot.filter(|key| cache.peek(key).is_some()).count()
}

#[test]
fn a_scan_does_not_wash_out_the_hot_set() {
    assert_eq!(left_after_scan(ScanResistant::new()), 60);
    assert_eq!(left_after_scan(Lru::new()), 0, "which is why there is the other");
}

#[test]
fn a_loop_that_does_not_fit_keeps_a_part() {
    let source = Source::default();
    let cache = builder(&source).predictor(Silent).workers(0).policy(ScanResistant::new()).build();
    for i in 0..5000 {
        cache.get(&(i % 140)).unwrap();
    }
    let rate = cache.stats().hit_rate();
    assert!(rate > 0.45, "{rate} of at most {}", 100.0 / 140.0);
}

/// What is fetched ahead of a scan waits for its reader, though all room was a hot set's.
#[test]
fn read_ahead_finds_room_beside_a_hot_set() {
    let source = Source::default();
    let cache = builder(&source).predictor(Silent).workers(1).policy(ScanResistant::new()).build();
    for _ in 0..3 {
        for key in 0..99_i64 {
            cache.get(&key).unwrap();
        }
        cache.get(&1_000).unwrap();
    }
    for key in 2_000..2_400 {
        let ahead = (key + 1..key + 5).filter(|key| cache.peek(key).is_none()).collect::<Vec<_>>();
        assert_eq!(cache.prefetch_hint(ahead.iter().copied()), ahead.len());
        cache.wait_idle();
        cache.get(&key).unwrap();
    }
    let stats = cache.stats();
    assert_eq!(stats.prefetches_wasted, 0, "{stats:?}");
    let hot = (0..99_i64).filter(|key| cache.peek(key).is_some()).count();
    assert!(hot >= 90, "{hot} of 99 are left");
}
