//! One test for each defect of the system that this one is to replace, named after it. What is
//! wrong there, and the test, of this file where no other is named:
//!
//! - names of the settings in the README do not exist: `test_readmes.py`, `test_prefetch_readme.py`
//!   run ours
//! - "concurrent prefetches" is the length of the plan:
//!   `concurrent_prefetches_are_the_length_of_the_plan`
//! - one worker: `one_worker_loads_one_key_after_another`
//! - what is asked for goes first: `the_current_key_is_evicted_at_once`
//! - likelihoods and ties: `the_least_likely_goes_and_ties_are_broken_by_the_policy`
//! - sizes of the outermost object: `largest_is_by_the_size_of_the_outermost_object`
//! - a jump leaves what was planned before it: `stale_prefetches_are_loaded_after_a_jump`,
//!   `a_prefetch_under_way_evicts_for_a_reader_who_has_left`
//! - a full queue: `a_full_queue_takes_no_new_keys`
//! - 8 threads, one key, 8 loads: `threads::eight_threads_one_cold_key_one_load`
//! - a prefetch of what is there: `the_worker_does_not_look_whether_a_key_is_there`
//! - 40 questions, 84 loads: `forty_sequential_gets_are_eighty_four_loads`
//! - a reader quicker than a load is never caught up with:
//!   `a_reader_without_a_pause_is_never_caught_up_with`
//! - likelihoods of zero and below: `keys_of_no_likelihood_are_fetched`
//! - keys that the provider has not: `impossible_keys_are_fetched`
//! - keys that are no numbers: `keys_must_be_integers`
//! - an exception of the predictor: `the_exception_of_a_predictor_comes_out_of_get`
//! - unsynchronised state: `current_key_and_history_are_not_synchronised`, `stress`
//! - `stats` beside `get`: `stats_beside_get_deadlocks`
//! - a callback under the lock: `a_listener_that_calls_the_cache_deadlocks`
//! - `close` behind a provider: `closing_waits_for_a_provider_that_blocks`
//! - ten columns written, nine wanted: presence-ingest,
//!   `ten_columns_where_nine_are_wanted_are_no_detection`; presence-cli,
//!   `what_is_generated_reads_back_the_same_from_text_and_database`
//! - `\r\n`: presence-ingest, `carriage_returns_make_offsets_wrong`
//! - a file's frames are not thread-safe: presence-ingest,
//!   `eight_threads_read_at_once_and_a_change_is_told`

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use presence_cache::policy::{Largest, LowestLikelihood, Lru, Oldest};
use presence_cache::predict::{Access, Context, DistanceDecay, Predictor, Silent};
use presence_cache::{Event, PrefetchCache, WeakCache};

use crate::support::Source;

/// Says the same keys every time.
struct Fixed(Vec<(i64, f64)>);

impl Predictor<i64> for Fixed {
    fn predict(&mut self, _: &Context<'_, i64>, likely: &mut Vec<(i64, f64)>) {
        likely.extend(self.0.iter().copied());
    }
}

#[test]
fn the_current_key_is_evicted_at_once() {
    let cache = PrefetchCache::builder(Source::default())
        .entries_max(2)
        .predictor(Fixed(vec![(11, 0.9), (12, 0.8)]))
        .policy(LowestLikelihood::new(Oldest::new()))
        .build();
    cache.get(&10).unwrap();
    cache.wait_idle();
    assert_eq!((cache.peek(&10), cache.peek(&11)), (Some(100), Some(110)));
}

#[test]
fn stale_prefetches_are_loaded_after_a_jump() {
    struct After;
    impl Predictor<i64> for After {
        fn predict(&mut self, context: &Context<'_, i64>, likely: &mut Vec<(i64, f64)>) {
            likely.extend((1..5).map(|d| (context.current + d, 0.9 - d as f64 / 100.0)));
        }
    }
    let source = Source::default();
    // The one worker is held up while the reader jumps away.
    source.0.gate.shut([1, 1001]);
    let cache = PrefetchCache::builder(source.clone()).workers(1).predictor(After).build();
    cache.get(&0).unwrap();
    source.0.gate.wait_for(1);
    let waiting: Vec<i64> = cache.prefetches_waiting().into_iter().map(|(key, _)| key).collect();
    assert_eq!(waiting, [2, 3, 4]);
    assert_eq!(cache.get_if_here(&2), None);
    cache.get(&1000).unwrap();
    source.0.gate.open();
    cache.wait_idle();
    let (hits, mut keys) = (cache.stats().hits, cache.keys());
    assert_eq!(cache.get_if_here(&1001), Some(10_010));
    assert_eq!(cache.stats().hits, hits + 1);
    keys.sort_unstable();
    assert_eq!(keys, [0, 1, 1000, 1001, 1002, 1003, 1004]);
    assert_eq!([2, 3, 4].map(|key| source.0.loads_of(key)), [0, 0, 0]);
    assert_eq!([1002, 1003].map(|key| source.0.loads_of(key)), [1, 1]);
    assert_eq!(cache.stats().prefetches_cancelled, 3);
}

#[test]
fn a_full_queue_takes_no_new_keys() {
    // The plan is replaced as a whole: what was planned before holds no place.
    let source = Source::default();
    let cache = PrefetchCache::builder(source.clone())
        .prefetch_max(4)
        .predictor(DistanceDecay::default())
        .build();
    for key in [0, 500, 1000] {
        cache.get(&key).unwrap();
        cache.wait_idle();
        assert!(cache.peek(&(key + 1)).is_some() && cache.peek(&(key - 1)).is_some());
    }
}

#[test]
fn forty_sequential_gets_are_eighty_four_loads() {
    let source = Source::of_length(10_000);
    let cache = PrefetchCache::builder(source.clone()).entries_max(100).build();
    for key in 0..40 {
        cache.get(&key).unwrap();
    }
    cache.wait_idle();
    for key in 0..10_000 {
        assert!(source.0.loads_of(key) <= 1, "{key} was loaded again");
    }
    assert!(source.0.all_loads() <= 40 + 20);
}

#[test]
fn the_worker_does_not_look_whether_a_key_is_there() {
    let source = Source::default();
    let cache = PrefetchCache::builder(source.clone()).build();
    cache.insert(5, 50);
    cache.prefetch_hint([5, 6, 6]);
    cache.wait_idle();
    assert_eq!((source.0.loads_of(5), source.0.loads_of(6)), (0, 1));
}

#[test]
fn keys_of_no_likelihood_are_fetched() {
    let source = Source::default();
    let likely = vec![(1, 0.0), (2, -1.0), (3, f64::NAN), (4, f64::INFINITY), (5, 0.1)];
    let cache = PrefetchCache::builder(source.clone()).predictor(Fixed(likely)).build();
    cache.get(&0).unwrap();
    cache.wait_idle();
    assert_eq!([1, 2, 3, 4, 5].map(|key| source.0.loads_of(key)), [0, 0, 0, 0, 1]);
}

#[test]
fn impossible_keys_are_fetched() {
    let source = Source::of_length(8);
    let cache = PrefetchCache::builder(source.clone()).predictor(DistanceDecay::default()).build();
    cache.get(&3).unwrap();
    assert_eq!(cache.prefetch_hint([-1, 8]), 0);
    cache.wait_idle();
    assert_eq!(source.0.all_loads(), 8);
    assert!((-60..0).chain(8..70).all(|key| source.0.loads_of(key) == 0));
    assert_eq!(cache.stats().prefetch_errors, 0);
}

#[test]
fn keys_must_be_integers() {
    let cache = PrefetchCache::builder(|key: &(u32, u32)| Ok::<_, ()>(key.0 + key.1)).build();
    assert_eq!(cache.get(&(3, 4)).unwrap(), 7);
    let cache = PrefetchCache::builder(|key: &String| Ok::<_, ()>(key.clone())).build();
    assert_eq!(cache.get(&"a".to_owned()).unwrap(), "a");
}

#[test]
fn the_exception_of_a_predictor_comes_out_of_get() {
    struct Broken;
    impl Predictor<i64> for Broken {
        fn predict(&mut self, _: &Context<'_, i64>, _: &mut Vec<(i64, f64)>) {
            panic!("predictor, on purpose");
        }
    }
    crate::support::quiet_panics();
    let told = Arc::new(AtomicU64::new(0));
    let cache = PrefetchCache::builder(Source::default())
        .predictor(Broken)
        .on_event({
            let told = Arc::clone(&told);
            move |event| {
                told.fetch_add(u64::from(event.name() == "worker_error"), Ordering::Relaxed);
            }
        })
        .build();
    for key in 0..5 {
        assert_eq!(cache.get(&key).unwrap(), key * 10);
        cache.wait_idle();
    }
    assert_eq!(cache.stats().worker_errors, told.load(Ordering::Relaxed));
    assert!(cache.stats().worker_errors >= 2);
}

#[test]
fn stats_beside_get_deadlocks() {
    let cache = PrefetchCache::builder(Source::of_length(500)).entries_max(50).build();
    let threads: Vec<_> = (0..6)
        .map(|number| {
            let cache = cache.clone();
            std::thread::spawn(move || {
                for i in 0..2000_i64 {
                    if number < 4 {
                        cache.get(&(i * (number + 1) % 500)).unwrap();
                    } else {
                        assert!(cache.stats().entries <= 50);
                    }
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
}

#[test]
fn a_listener_that_calls_the_cache_deadlocks() {
    let slot: Arc<OnceLock<WeakCache<i64, i64, Source>>> = Arc::default();
    let names = Arc::new(Mutex::new(std::collections::BTreeSet::new()));
    let source = Source::default();
    source.0.failing.lock().unwrap().extend([666, 667]);
    let cache = PrefetchCache::builder(source)
        .entries_max(3)
        .predictor(Silent)
        .on_event({
            let (slot, names) = (Arc::clone(&slot), Arc::clone(&names));
            move |event: &Event<i64>| {
                names.lock().unwrap().insert(event.name());
                let Some(cache) = slot.get().and_then(WeakCache::upgrade) else { return };
                // Whatever is asked, also for the key it is about.
                let key = event.key().copied().unwrap_or(0);
                let _any = cache.get(&key);
                let _any = cache.get(&(key + 100));
                assert!(cache.stats().entries <= 3);
                cache.invalidate(&(key + 200));
                cache.insert(key + 200, 0);
                cache.prefetch_hint((key < 300).then_some(key + 300));
            }
        })
        .build();
    assert!(slot.set(cache.downgrade()).is_ok());
    for key in 0..20 {
        cache.get(&key).unwrap();
    }
    assert!(cache.get(&666).is_err());
    cache.prefetch_hint([667, 5]);
    cache.wait_idle();
    let names: Vec<_> = names.lock().unwrap().iter().copied().collect();
    let expected = [
        "cache_evict",
        "cache_load_complete",
        "cache_load_error",
        "cache_load_start",
        "prefetch_error",
        "prefetch_start",
        "prefetch_success",
    ];
    assert_eq!(names, expected);
    assert_eq!(cache.stats().listener_panics, 0);
    cache.close_and_wait();
}

#[test]
fn closing_waits_for_a_provider_that_blocks() {
    let source = Source::default();
    source.0.gate.shut([1]);
    let cache = PrefetchCache::builder(source.clone()).build();
    cache.prefetch_hint([1]);
    source.0.gate.wait_for(1);
    cache.close();
    assert_eq!(cache.stats().loading, 1, "closed while the load is under way");
    source.0.gate.open();
    cache.close_and_wait();
    assert_eq!((cache.stats().loading, cache.get(&1).unwrap()), (0, 10));
}

#[test]
fn largest_is_by_the_size_of_the_outermost_object() {
    let cache =
        PrefetchCache::builder(Lengths).bytes_max(100).policy(Largest::new()).workers(0).build();
    for length in [10, 40, 20, 25] {
        cache.get(&length).unwrap();
    }
    cache.get(&15).unwrap();
    assert_eq!(cache.peek(&40), None);
    assert_eq!((cache.stats().bytes, cache.stats().entries), (70, 4));

    struct Lengths;
    impl presence_cache::Provider<u64, Vec<u8>> for Lengths {
        type Error = ();
        fn load(&self, key: &u64) -> Result<Vec<u8>, ()> {
            Ok(vec![0; *key as usize])
        }
        fn bytes(&self, _: &u64, value: &Vec<u8>) -> u64 {
            value.len() as u64
        }
    }
}

#[test]
fn the_least_likely_goes_and_ties_are_broken_by_the_policy() {
    let cache = PrefetchCache::builder(Source::default())
        .entries_max(6)
        .predictor(Fixed(vec![(100, 0.5), (101, 0.2), (102, 0.2)]))
        .policy(LowestLikelihood::new(Lru::new()))
        .build();
    let held = || (0..200).filter(|key| cache.peek(key).is_some()).collect::<Vec<i64>>();
    let get = |key| {
        cache.get(&key).unwrap();
        cache.wait_idle();
    };
    [100, 101, 102, 1, 2, 3, 4].into_iter().for_each(get);
    assert_eq!(held(), [2, 3, 4, 100, 101, 102], "unlikely, and used least recently");
    let _pinned = [2, 3, 4].map(|key| cache.pin(&key));
    get(5);
    assert_eq!(held(), [2, 3, 4, 5, 100, 102], "of two of the same likelihood the older");
    get(6);
    assert_eq!(held(), [2, 3, 4, 6, 100, 102]);
}

#[test]
fn one_worker_loads_one_key_after_another() {
    let source = Source::default();
    source.0.gate.shut([1, 2, 3]);
    let cache = PrefetchCache::builder(source.clone()).workers(3).build();
    cache.prefetch_hint([1, 2, 3]);
    for key in [1, 2, 3] {
        source.0.gate.wait_for(key);
    }
    assert_eq!(cache.stats().loading, 3, "all at once");
    source.0.gate.open();
    cache.wait_idle();
    assert_eq!(cache.stats().unused, 3);
}

#[test]
fn concurrent_prefetches_are_the_length_of_the_plan() {
    let source = Source::default();
    source.0.gate.shut([1, 2]);
    let cache = PrefetchCache::builder(source.clone()).workers(2).prefetch_max(20).build();
    assert_eq!(cache.prefetch_hint([1, 2, 3, 4]), 4);
    for key in [1, 2] {
        source.0.gate.wait_for(key);
    }
    let stats = cache.stats();
    assert_eq!((stats.loading, stats.prefetches_waiting), (2, 2), "as many as there are workers");
    source.0.gate.open();
    cache.wait_idle();
    assert_eq!(cache.stats().unused, 4);
}

#[test]
fn a_reader_without_a_pause_is_never_caught_up_with() {
    let source = Source::default();
    let cache = PrefetchCache::builder(source.clone()).workers(4).build();
    for key in 0..10 {
        cache.get(&key).unwrap();
        cache.wait_idle();
    }
    // From here on no load ends while the reader asks.
    let first = (10..).find(|key| cache.peek(key).is_none()).unwrap();
    source.0.gate.shut(first..first + 4);
    let reader = std::thread::spawn({
        let cache = cache.clone();
        move || (10..=first).map(|key| cache.get(&key).unwrap()).sum::<i64>()
    });
    for key in first..first + 4 {
        source.0.gate.wait_for(key);
    }
    source.0.gate.open();
    reader.join().unwrap();
    cache.wait_idle();
    assert!((first + 1..first + 4).all(|key| cache.get_if_here(&key) == Some(key * 10)));
    assert!((0..first + 4).all(|key| source.0.loads_of(key) == 1));
}

#[test]
fn current_key_and_history_are_not_synchronised() {
    struct Watch(Arc<Mutex<Vec<i64>>>);
    impl Predictor<i64> for Watch {
        fn observe(&mut self, access: &Access<i64>) {
            self.0.lock().unwrap().push(access.key);
        }

        fn predict(&mut self, context: &Context<'_, i64>, _: &mut Vec<(i64, f64)>) {
            assert_eq!(context.history.back(), Some(context.current));
        }
    }
    let seen = Arc::new(Mutex::new(Vec::new()));
    let cache = PrefetchCache::builder(Source::default())
        .predictor(Watch(Arc::clone(&seen)))
        .workers(2)
        .entries_max(50)
        .build();
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let cache = &cache;
            scope.spawn(move || {
                for step in 0..200 {
                    assert_eq!(
                        cache.get(&(thread * 1000 + step)).unwrap() % 1000,
                        step * 10 % 1000
                    );
                }
            });
        }
    });
    cache.wait_idle();
    let stats = cache.stats();
    assert_eq!((stats.hits + stats.misses, stats.worker_errors), (1600, 0));
    let seen = seen.lock().unwrap();
    assert!(!seen.is_empty() && seen.iter().all(|key| key % 1000 < 200 && *key < 8000));
}

#[test]
fn a_prefetch_under_way_evicts_for_a_reader_who_has_left() {
    struct After;
    impl Predictor<i64> for After {
        fn predict(&mut self, context: &Context<'_, i64>, likely: &mut Vec<(i64, f64)>) {
            likely.push((context.current + 1, 7.0));
        }
    }
    let source = Source::default();
    source.0.gate.shut([1]);
    let builder = PrefetchCache::builder(source.clone()).predictor(After);
    let cache = builder.entries_max(4).workers(2).build();
    cache.get(&0).unwrap();
    source.0.gate.wait_for(1);
    for key in [100, 101, 102, 103] {
        cache.get(&key).unwrap();
        while cache.peek(&(key + 1)).is_none() {
            std::thread::yield_now();
        }
    }
    source.0.gate.open();
    cache.wait_idle();
    assert_eq!(cache.peek(&1), None, "the cache is full, and nobody wants it any more");
    assert_eq!(cache.stats().prefetches_wasted, 1);
}
