//! What several threads ask at once, held in place by barriers and gates.

use std::sync::{Arc, Barrier, Mutex};

use presence_cache::policy::{EntryId, EvictionPolicy, Largest, Resident, Residents};
use presence_cache::predict::{Context, Predictor, Silent};
use presence_cache::{LoadError, PrefetchCache, Provider, SourceError, SourceKey, Sources};

use crate::support::{Flag, Source, quiet_panics};

#[test]
fn eight_threads_one_cold_key_one_load() {
    let source = Source::default();
    source.0.gate.shut([7]);
    let cache = PrefetchCache::builder(source.clone()).build();
    let barrier = Arc::new(Barrier::new(9));
    let readers: Vec<_> = (0..8)
        .map(|_| {
            let (cache, barrier) = (cache.clone(), Arc::clone(&barrier));
            std::thread::spawn(move || {
                barrier.wait();
                cache.get(&7).unwrap()
            })
        })
        .collect();
    barrier.wait();
    source.0.gate.wait_for(7);
    source.0.gate.open();
    for reader in readers {
        assert_eq!(reader.join().unwrap(), 70);
    }
    assert_eq!(source.0.loads_of(7), 1);
    let stats = cache.stats();
    assert_eq!((stats.hits + stats.misses, stats.loads, stats.entries), (8, 1, 1));
}

#[test]
fn a_provider_that_blocks_holds_up_nobody_else() {
    let source = Source::default();
    source.0.gate.shut([1, 2, 3]);
    let cache = PrefetchCache::builder(source.clone()).workers(2).build();
    let blocked = std::thread::spawn({
        let cache = cache.clone();
        move || cache.get(&1).unwrap()
    });
    // Both workers are blocked as well.
    assert_eq!(cache.prefetch_hint([2, 3, 4]), 3);
    for key in [1, 2, 3] {
        source.0.gate.wait_for(key);
    }
    assert_eq!(cache.get(&5).unwrap(), 50);
    assert_eq!(
        cache.get_many(&[5, 6, 7, 6]).into_iter().flatten().collect::<Vec<_>>(),
        [50, 60, 70, 60]
    );
    cache.close();
    cache.close();
    assert!(cache.is_closed());
    assert_eq!(cache.get(&8).unwrap(), 80, "loads go on after a close");
    assert_eq!(cache.prefetch_hint([9]), 0);
    assert_eq!(cache.stats().prefetches_cancelled, 1, "the hint of 4");
    source.0.gate.open();
    assert_eq!(blocked.join().unwrap(), 10);
    cache.close_and_wait();
}

#[test]
fn a_demand_joins_a_prefetch_under_way() {
    let source = Source::default();
    source.0.gate.shut([3]);
    let cache = PrefetchCache::builder(source.clone()).build();
    cache.prefetch_hint([3]);
    source.0.gate.wait_for(3);
    let reader = std::thread::spawn({
        let cache = cache.clone();
        move || cache.get(&3).unwrap()
    });
    while cache.stats().prefetches_late == 0 {
        std::thread::yield_now();
    }
    source.0.gate.open();
    assert_eq!(reader.join().unwrap(), 30);
    cache.wait_idle();
    let stats = cache.stats();
    assert_eq!((source.0.loads_of(3), stats.prefetches_useful, stats.unused), (1, 0, 0));
}

#[test]
fn the_error_of_a_prefetch_is_for_who_asks_and_only_once() {
    let source = Source::default();
    source.0.failing.lock().unwrap().push(4);
    let cache = PrefetchCache::builder(source.clone()).build();
    cache.prefetch_hint([4]);
    cache.wait_idle();
    assert_eq!((cache.stats().prefetch_errors, source.0.loads_of(4)), (1, 1));
    cache.prefetch_hint([4]);
    cache.wait_idle();
    assert_eq!(source.0.loads_of(4), 1, "not fetched ahead again while the error is kept");
    source.0.failing.lock().unwrap().clear();
    assert_eq!(cache.get(&4).unwrap_err().to_string(), "no 4");
    assert_eq!(cache.get(&4).unwrap(), 40);
    assert_eq!(source.0.loads_of(4), 2);
}

#[test]
fn what_was_invalidated_is_not_brought_back_by_a_load_under_way() {
    let source = Source::default();
    source.0.gate.shut([1]);
    let cache = PrefetchCache::builder(source.clone()).build();
    let reader = std::thread::spawn({
        let cache = cache.clone();
        move || cache.get(&1).unwrap()
    });
    source.0.gate.wait_for(1);
    cache.invalidate(&1);
    assert!(cache.insert(1, 11));
    source.0.gate.open();
    assert_eq!(reader.join().unwrap(), 10, "who asked before gets what was there before");
    assert_eq!(cache.get(&1).unwrap(), 11);
    cache.invalidate_where(|key| *key == 1);
    assert_eq!((cache.peek(&1), cache.get(&1).unwrap()), (None, 10));
}

#[test]
fn pinned_values_and_the_key_in_use_stay() {
    let cache = PrefetchCache::builder(Source::default())
        .predictor(Silent)
        .policy(Largest::new())
        .entries_max(2)
        .build();
    cache.get(&1).unwrap();
    let pinned = cache.pin(&1).unwrap();
    for key in 2..50 {
        cache.get(&key).unwrap();
        assert_eq!((cache.peek(&1), cache.peek(&key)), (Some(10), Some(key * 10)));
    }
    assert_eq!(*pinned, 10);
    let also = cache.pin(&49).unwrap();
    assert_eq!(cache.get(&60).unwrap(), 600, "answered without being kept");
    assert_eq!((cache.peek(&60), cache.stats().entries), (None, 2));
    drop((pinned, also));
    cache.get(&61).unwrap();
    assert_eq!(cache.peek(&61), Some(610));
    assert!(cache.pin(&1000).is_none());
}

#[test]
fn no_bytes_no_entries_no_workers() {
    for builder in [
        PrefetchCache::builder(Source::default()).bytes_max(0),
        PrefetchCache::builder(Source::default()).entries_max(0),
        PrefetchCache::builder(Source::default()).workers(0).bytes_max(0),
    ] {
        let cache = builder.build();
        assert_eq!((cache.get(&3).unwrap(), cache.get(&3).unwrap()), (30, 30));
        cache.wait_idle();
        let stats = cache.stats();
        assert_eq!((stats.entries, stats.bytes, stats.misses, stats.loads), (0, 0, 2, 2));
    }
}

/// Panics in everything that a user writes.
struct Wild;

impl Predictor<i64> for Wild {
    fn predict(&mut self, _: &Context<'_, i64>, _: &mut Vec<(i64, f64)>) {
        panic!("predictor, on purpose");
    }
}

impl EvictionPolicy for Wild {
    fn inserted(&mut self, _: &Resident) {
        panic!("policy, on purpose");
    }

    fn removed(&mut self, _: &Resident, _: bool) {
        panic!("policy, on purpose");
    }

    fn victim(&mut self, _: &dyn Residents) -> Option<EntryId> {
        panic!("policy, on purpose");
    }
}

#[test]
fn panics_of_others_neither_hang_nor_poison() {
    quiet_panics();
    let load = |key: &i64| match key {
        13 => panic!("provider, on purpose"),
        _ => Ok::<i64, String>(key * 10),
    };
    let cache = PrefetchCache::builder(load)
        .policy(Wild)
        .predictor(Wild)
        .entries_max(4)
        .on_event(|_| panic!("listener, on purpose"))
        .build();
    for round in 0..3 {
        for key in 0..20 {
            match cache.get(&key) {
                Ok(value) => assert_eq!(value, key * 10),
                Err(LoadError::Panicked(message)) => {
                    assert_eq!((key, &*message), (13, "provider, on purpose"), "round {round}");
                }
                Err(error) => panic!("{error:?}"),
            }
        }
        cache.prefetch_hint([13, 14]);
        cache.wait_idle();
    }
    let stats = cache.stats();
    assert_eq!(stats.entries, 4);
    assert!(stats.policy_panics > 0 && stats.worker_errors > 0 && stats.listener_panics > 0);
    cache.close_and_wait();
}

#[test]
fn a_load_that_asks_for_itself_is_told_so() {
    let slot = Arc::new(std::sync::OnceLock::new());
    type Load = Box<dyn Fn(&i64) -> Result<i64, String> + Send + Sync>;
    type Cache = presence_cache::WeakCache<i64, i64, Load>;
    let load: Load = Box::new({
        let slot = Arc::clone(&slot);
        move |key: &i64| {
            let cache: &Cache = slot.get().unwrap();
            let cache = cache.upgrade().unwrap();
            match key {
                0 => Ok(1),
                // Asks for the key before it, and 5 for itself.
                5 => cache.get(&5).map_err(|error| error.to_string()),
                _ => {
                    cache.get(&(key - 1)).map(|value| value + 1).map_err(|error| error.to_string())
                }
            }
        }
    });
    let cache = PrefetchCache::builder(load).build();
    assert!(slot.set(cache.downgrade()).is_ok());
    assert_eq!(cache.get(&4).unwrap(), 5);
    assert!(cache.get(&5).unwrap_err().to_string().contains("asked for that key"));
}

#[test]
fn workers_begin_with_the_first_work() {
    let workers = |cache: &PrefetchCache<i64, i64, Source>| cache.stats().workers;
    let cache = PrefetchCache::builder(Source::default()).workers(2).build();
    assert!(cache.insert(1, 11) && cache.get(&1).is_ok());
    assert_eq!(cache.prefetch_hint([]), 0);
    assert_eq!(workers(&cache), 0, "a hit and no hint");
    cache.get(&2).unwrap();
    assert_eq!(workers(&cache), 2, "a miss is to be thought about");

    let late = || PrefetchCache::builder(Source::default()).workers(2).start_late().build();
    let cache = late();
    for key in [0, 1000, -400, 7000, 90, 40_000] {
        cache.get(&key).unwrap();
    }
    let stats = cache.stats();
    assert_eq!((stats.workers, stats.prefetches_started), (0, 0), "nothing to fetch ahead");
    assert!(stats.predictions > 0 && stats.predictions <= 6, "readers look for an order");
    for key in 100..110 {
        cache.get(&key).unwrap();
        cache.wait_idle();
    }
    assert_eq!((workers(&cache), cache.stats().prefetches_useful >= 5), (2, true));

    let hinted = late();
    assert_eq!((hinted.prefetch_hint([3]), workers(&hinted)), (1, 2));
    let many = late();
    assert_eq!((many.get_many(&[3]).len(), workers(&many)), (1, 0), "the reader's own");
    assert_eq!((many.get_many(&[4, 5]).len(), workers(&many)), (2, 2));
    let closed = late();
    closed.close();
    assert_eq!((closed.prefetch_hint([3]), workers(&closed)), (0, 0));
}

#[test]
fn the_last_handle_ends_the_workers() {
    let ended = Arc::new(Flag::default());
    struct Tell(Arc<Flag>);
    impl Drop for Tell {
        fn drop(&mut self) {
            self.0.raise();
        }
    }
    let tell = Tell(Arc::clone(&ended));
    let cache = PrefetchCache::builder(move |key: &i64| {
        let _held = &tell;
        Ok::<i64, String>(*key)
    })
    .build();
    let other = cache.clone();
    drop(cache);
    assert_eq!(other.get(&1).unwrap(), 1);
    drop(other);
    // The provider is dropped when the last worker is gone.
    ended.wait();
}

#[test]
fn several_sources_share_one_budget() {
    let sources = Arc::new(Sources::new());
    let cache = PrefetchCache::builder(Arc::clone(&sources)).bytes_max(100).build();
    let (short, long) = (Source::of_length(10), Source::of_length(1000));
    let numbers = [short.clone(), long.clone()].map(|source| sources.add(source));
    for key in 0..10 {
        for source in numbers {
            assert_eq!(cache.get(&SourceKey { source, key }).unwrap(), key * 10);
            cache.wait_idle();
            assert!(cache.stats().bytes <= 100);
        }
    }
    assert!(cache.stats().hits >= 12, "each is a sequence of its own");
    assert_eq!(short.0.all_loads(), 10, "no key beyond the end of the short one");
    sources.remove(numbers[1]);
    cache.invalidate_where(|key| key.source == numbers[1]);
    let gone = cache.get(&SourceKey { source: numbers[1], key: 3 }).unwrap_err();
    assert_eq!(gone.provider(), Some(&SourceError::Removed(numbers[1])));
    assert_eq!(cache.get(&SourceKey { source: numbers[0], key: 3 }).unwrap(), 30);
}

/// Keeps what it was told has left.
#[derive(Clone, Default)]
struct Farewells(Arc<Mutex<Vec<(i64, i64)>>>);

impl Provider<i64, i64> for Farewells {
    type Error = ();

    fn load(&self, key: &i64) -> Result<i64, ()> {
        Ok(key * 10)
    }

    fn removed(&self, key: &i64, value: i64) {
        self.0.lock().unwrap().push((*key, value));
        assert_ne!(*key, 4, "a provider that panics");
    }
}

#[test]
fn a_provider_is_told_of_every_value_that_leaves() {
    quiet_panics();
    let farewells = Farewells::default();
    let cache = PrefetchCache::builder(farewells.clone()).entries_max(2).workers(0).build();
    let told = || std::mem::take(&mut *farewells.0.lock().unwrap());
    for key in 1..=3 {
        cache.get(&key).unwrap();
    }
    assert_eq!(told(), [(1, 10)], "evicted");
    cache.insert(3, 33);
    assert_eq!(told(), [(3, 30)], "replaced");
    cache.invalidate(&3);
    cache.invalidate(&3);
    assert_eq!(told(), [(3, 33)], "invalidated");
    cache.get(&4).unwrap();
    cache.get(&5).unwrap();
    assert_eq!(told(), [(2, 20)]);
    assert_eq!(cache.get(&6).unwrap(), 60, "the panic is not the reader's");
    assert_eq!((told(), cache.stats().worker_errors), (vec![(4, 40)], 1));
}
