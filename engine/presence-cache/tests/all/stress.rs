//! Eight threads do everything at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use presence_cache::policy::ScanResistant;
use presence_cache::{PrefetchCache, Provider};

use crate::support::{Random, figure, scaled, seed};

/// Values that know their key, sometimes errors, sometimes slow, sizes of all kinds.
struct Varied(Arc<AtomicU64>);

impl Provider<u64, Arc<[u64; 2]>> for Varied {
    type Error = u64;

    fn load(&self, key: &u64) -> Result<Arc<[u64; 2]>, u64> {
        let number = self.0.fetch_add(1, Ordering::Relaxed);
        if number.is_multiple_of(7) {
            std::thread::yield_now();
        }
        if number % 61 == 60 { Err(*key) } else { Ok(Arc::new([*key, number])) }
    }

    fn contains(&self, key: &u64) -> bool {
        *key < 600
    }

    fn bytes(&self, key: &u64, _: &Arc<[u64; 2]>) -> u64 {
        key % 50
    }
}

#[test]
fn eight_threads_do_everything() {
    let loads = Arc::new(AtomicU64::new(0));
    let cache = PrefetchCache::builder(Varied(Arc::clone(&loads)))
        .bytes_max(2_000)
        .entries_max(150)
        .policy(ScanResistant::new())
        .build();
    let steps = scaled(4_000);
    let threads: Vec<_> = (0..8)
        .map(|number| {
            let cache = cache.clone();
            std::thread::spawn(move || act(&cache, Random(seed() ^ number), steps))
        })
        .collect();
    for thread in threads {
        let replay = format!("PRESENCE_TEST_SEED={} cargo test -p presence-cache stress", seed());
        thread.join().unwrap_or_else(|_| panic!("a thread failed; {replay}"));
    }
    cache.wait_idle();
    let stats = cache.stats();
    assert_eq!(stats.loading, 0);
    assert_eq!(stats.loads + stats.prefetches_started, loads.load(Ordering::Relaxed));
    let ended = stats.prefetches_useful
        + stats.prefetches_late
        + stats.prefetches_wasted
        + stats.prefetch_errors
        + stats.unused as u64;
    assert_eq!(stats.prefetches_started, ended, "{stats:?}");
    let held: u64 = (0..600).filter(|key| cache.peek(key).is_some()).map(|key| key % 50).sum();
    assert_eq!(stats.bytes, held, "what is counted is what is there");
    cache.invalidate_where(|_| true);
    assert_eq!((cache.stats().bytes, cache.stats().entries), (0, 0));
    figure("cache: steps of eight threads at once", 8 * steps);
}

fn act(cache: &PrefetchCache<u64, Arc<[u64; 2]>, Varied>, mut random: Random, steps: u64) {
    let mut position = random.below(600);
    let check = |key: u64, got: Result<Arc<[u64; 2]>, presence_cache::LoadError<u64>>| match got {
        Ok(value) => assert_eq!(value.first(), Some(&key)),
        Err(error) => assert_eq!(error.provider(), Some(&key)),
    };
    for _ in 0..steps {
        match random.below(20) {
            0 => position = random.below(600),
            1 => cache.invalidate(&random.below(600)),
            2 => {
                let key = random.below(600);
                cache.insert(key, Arc::new([key, 0]));
            }
            3 => {
                let keys: Vec<u64> = (0..8).map(|_| random.below(600)).collect();
                for (key, got) in keys.iter().zip(cache.get_many(&keys)) {
                    check(*key, got);
                }
            }
            4 => {
                cache.prefetch_hint((0..3).map(|_| random.below(700)));
            }
            5 => {
                if let Some(pinned) = cache.pin(&position) {
                    assert_eq!(pinned.first(), Some(&position));
                }
            }
            6 => {
                let stats = cache.stats();
                assert!(stats.bytes <= 2_000 && stats.entries <= 150);
            }
            _ => {
                position = (position + 1) % 600;
                check(position, cache.get(&position));
            }
        }
    }
}
