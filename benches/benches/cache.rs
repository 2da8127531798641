//! A hit in the cache, by criterion, beside a map behind a lock and two caches of others.
//!
//! # Invariants
//! - Times calls; asserts nothing of how long they take.
#![expect(clippy::unwrap_used, reason = "a benchmark stops at the first failure")]
#![expect(missing_docs, reason = "criterion's macros make undocumented functions")]

use std::collections::HashMap;
use std::hint::black_box;
use std::sync::{Arc, Mutex};

use criterion::{Criterion, criterion_group, criterion_main};
use presence_bench::data::Random;
use presence_cache::PrefetchCache;

type Page = Arc<[u8]>;

const PAGES: u64 = 10_000;

fn page() -> Page {
    vec![7; 4096].into()
}

fn hits(c: &mut Criterion) {
    let mut random = Random::new(1);
    let keys: Vec<u64> = (0..1 << 16).map(|_| random.below(PAGES)).collect();
    let mut group = c.benchmark_group("hit");
    let mut measure = |name: &str, get: &dyn Fn(u64) -> Page| {
        let mut order = keys.iter().cycle();
        group.bench_function(name, |b| {
            b.iter(|| black_box(get(*order.next().unwrap())));
        });
    };
    let bare: Mutex<HashMap<u64, (Page, u64)>> = Mutex::default();
    let quick = quick_cache::sync::Cache::new(2 * PAGES as usize);
    let moka = moka::sync::Cache::new(2 * PAGES);
    let ours = PrefetchCache::builder(|_: &u64| Ok::<_, ()>(page())).build();
    for key in 0..PAGES {
        bare.lock().unwrap().insert(key, (page(), 0));
        quick.insert(key, page());
        moka.insert(key, page());
        assert!(ours.insert(key, page()));
    }
    measure("map behind a lock", &|key| {
        let mut map = bare.lock().unwrap();
        let (page, used) = map.get_mut(&key).unwrap();
        *used += 1;
        Arc::clone(page)
    });
    measure("quick_cache", &|key| quick.get(&key).unwrap());
    measure("moka", &|key| moka.get(&key).unwrap());
    measure("presence-cache", &|key| ours.get(&key).unwrap());
    group.finish();
}

criterion_group!(benches, hits);
criterion_main!(benches);
