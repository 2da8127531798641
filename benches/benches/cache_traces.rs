//! The cache on traces, beside caches of others: time of a hit, share of hits with prefetching and
//! without, and time of a replay where the provider takes its time.
//!
//! `-- --test` runs everything once on little data, `-- --patterns` the last table alone.
//!
//! # Invariants
//! - Every cache sees the same trace; times are taken in turns. Nothing here asserts a time.
#![expect(clippy::unwrap_used, reason = "a benchmark stops at the first failure")]
#![expect(clippy::indexing_slicing, reason = "a benchmark stops at the first failure")]

use std::collections::{BTreeMap, BinaryHeap, HashMap};
use std::hint::black_box;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use presence_bench::data::Random;
use presence_bench::measure::{cpu_ns, median};
use presence_cache::policy::{EvictionPolicy, Lru, ScanResistant};
use presence_cache::predict::Silent;
use presence_cache::{Builder, PrefetchCache, Provider};

fn main() {
    let has = |wanted: &str| std::env::args().any(|argument| argument == wanted);
    let test = has("--test");
    if !has("--patterns") {
        hits(if test { 2 } else { 15 }, if test { 10_000 } else { 1_000_000 });
        ratios(if test { 20_000 } else { 1_000_000 });
    }
    patterns(test);
}

/// The least there can be: pages, and how often each was used.
type Locked = Mutex<HashMap<u64, (Arc<[u8]>, u64)>>;

/// CPU nanoseconds a hit, and ours by that of `quick_cache` in the same turn.
fn hits(turns: usize, count: usize) {
    const PAGES: u64 = 10_000;
    let page = || -> Arc<[u8]> { vec![7; 4096].into() };
    let quick = quick_cache::sync::Cache::new(2 * PAGES as usize);
    let moka = moka::sync::Cache::new(2 * PAGES);
    let bare: Locked = Mutex::default();
    let load = move |_: &u64| Ok::<_, ()>(page());
    let ours = PrefetchCache::builder(load).build();
    for key in 0..PAGES {
        quick.insert(key, page());
        moka.insert(key, page());
        bare.lock().unwrap().insert(key, (page(), 0));
        assert!(ours.insert(key, page()));
    }
    let mut random = Random::new(1);
    let keys: Vec<u64> = (0..count).map(|_| random.below(PAGES)).collect();
    type Get<'a> = &'a (dyn Fn(u64) -> usize + Sync);
    let caches: [(&str, Get); 4] = [
        ("presence-cache", &|key| ours.get(&key).unwrap().len()),
        ("quick_cache", &|key| quick.get(&key).unwrap().len()),
        ("moka", &|key| moka.get(&key).unwrap().len()),
        ("map behind a lock", &|key| {
            let mut map = bare.lock().unwrap();
            let (page, used) = map.get_mut(&key).unwrap();
            *used += 1;
            Arc::clone(page).len()
        }),
    ];
    println!("| hit, CPU ns | one thread | by quick_cache | two threads | by quick_cache |");
    println!("|---|---|---|---|---|");
    let mut times = [[(); 2]; 4].map(|row| row.map(|()| Vec::new()));
    let mut by_quick = [[(); 2]; 4].map(|row| row.map(|()| Vec::new()));
    for _ in 0..turns {
        for threads in [0, 1] {
            let each: Vec<f64> = caches
                .iter()
                .map(|(_, get)| {
                    let run = || keys.iter().for_each(|key| _ = black_box(get(*key)));
                    let began = cpu_ns();
                    std::thread::scope(|scope| {
                        for _ in 0..threads {
                            scope.spawn(run);
                        }
                        run();
                    });
                    (cpu_ns() - began) / (count * (threads + 1)) as f64
                })
                .collect();
            for (index, time) in each.iter().enumerate() {
                times[index][threads].push(*time);
                by_quick[index][threads].push(time / each[1]);
            }
        }
    }
    for (index, (name, _)) in caches.iter().enumerate() {
        let [one, two] = &mut times[index];
        let [one_by, two_by] = &mut by_quick[index];
        let (one, two) = (median(one), median(two));
        let (one_by, two_by) = (median(one_by), median(two_by));
        println!("| {name} | {one:.1} | {one_by:.2} | {two:.1} | {two_by:.2} |");
    }
}

/// Share of hits without prefetching, in 512 of 100,000 keys and the like.
fn ratios(count: usize) {
    println!("\n| hits, % | Belady | LRU | quick_cache | moka | ours, `Lru` | `ScanResistant` |");
    println!("|---|---|---|---|---|---|---|");
    for (name, keys) in traces(count) {
        let entries = 512;
        let quick = quick_cache::sync::Cache::new(entries);
        let moka = moka::sync::Cache::new(entries as u64);
        let row = [
            belady(&keys, entries),
            share(&keys, lru(entries)),
            share(&keys, |key| {
                quick.get(&key).is_some() || {
                    quick.insert(key, ());
                    false
                }
            }),
            share(&keys, |key| {
                let hit = moka.get(&key).is_some();
                if !hit {
                    moka.insert(key, ());
                }
                moka.run_pending_tasks();
                hit
            }),
            ours(&keys, entries, Lru::new()),
            ours(&keys, entries, ScanResistant::new()),
        ];
        let row: Vec<String> = row.iter().map(|share| format!("{:.1}", share * 100.0)).collect();
        println!("| {name} | {} |", row.join(" | "));
    }
}

fn traces(count: usize) -> Vec<(&'static str, Vec<u64>)> {
    let mut zipf = Zipf::new(100_000, 0.99);
    let mut random = Random::new(5);
    let plain: Vec<u64> = (0..count).map(|_| zipf.next()).collect();
    let looped: Vec<u64> = (0..count as u64).map(|i| i % 700).collect();
    // One step of a scan for each question of the hot set.
    let scanned: Vec<u64> = (0..count as u64)
        .map(|i| if i % 2 == 0 { zipf.next() } else { 1_000_000 + i / 2 % 50_000 })
        .collect();
    let jumps: Vec<u64> = {
        let mut at = 0;
        (0..count)
            .map(|_| {
                at = if random.below(16) == 0 { zipf.next() * 16 } else { at + 1 };
                at
            })
            .collect()
    };
    vec![
        ("zipf 0.99", plain),
        ("loop of 700", looped),
        ("zipf and scan", scanned),
        ("jumps", jumps),
    ]
}

struct Zipf {
    sums: Vec<f64>,
    random: Random,
}

impl Zipf {
    fn new(keys: usize, exponent: f64) -> Self {
        let mut sum = 0.0;
        let sums = (1..=keys).map(|rank| {
            sum += (rank as f64).powf(-exponent);
            sum
        });
        Self { sums: sums.collect(), random: Random::new(3) }
    }

    fn next(&mut self) -> u64 {
        let all = self.sums[self.sums.len() - 1];
        let at = self.random.below(1 << 53) as f64 / (1_u64 << 53) as f64 * all;
        let rank = self.sums.partition_point(|sum| *sum < at) as u64;
        // Popular keys are no neighbours.
        rank.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 44
    }
}

fn share(keys: &[u64], mut ask: impl FnMut(u64) -> bool) -> f64 {
    keys.iter().filter(|key| ask(**key)).count() as f64 / keys.len() as f64
}

fn lru(entries: usize) -> impl FnMut(u64) -> bool {
    let (mut used, mut order, mut now) = (HashMap::new(), BTreeMap::new(), 0_u64);
    move |key| {
        now += 1;
        let before = used.insert(key, now);
        if let Some(before) = before {
            order.remove(&before);
        }
        order.insert(now, key);
        if order.len() > entries
            && let Some((_, oldest)) = order.pop_first()
        {
            used.remove(&oldest);
        }
        before.is_some()
    }
}

/// The best there can be: what is needed last goes first.
fn belady(keys: &[u64], entries: usize) -> f64 {
    let (mut next, mut later) = (vec![usize::MAX; keys.len()], HashMap::new());
    for (at, key) in keys.iter().enumerate().rev() {
        next[at] = later.insert(*key, at).unwrap_or(usize::MAX);
    }
    let (mut held, mut heap) = (HashMap::new(), BinaryHeap::new());
    let mut hits = 0;
    for (at, key) in keys.iter().enumerate() {
        hits += usize::from(held.insert(*key, next[at]).is_some());
        heap.push((next[at], *key));
        while held.len() > entries {
            let Some((needed, key)) = heap.pop() else { break };
            if held.get(&key) == Some(&needed) {
                held.remove(&key);
            }
        }
    }
    hits as f64 / keys.len() as f64
}

fn ours(keys: &[u64], entries: usize, policy: impl EvictionPolicy) -> f64 {
    let cache = PrefetchCache::builder(|_: &u64| Ok::<(), ()>(()))
        .entries_max(entries)
        .predictor(Silent)
        .workers(0)
        .policy(policy)
        .build();
    for key in keys {
        cache.get(key).unwrap();
    }
    cache.stats().hit_rate()
}

/// A provider that takes its time.
struct Slow(Duration, i64);

impl Provider<i64, i64> for Slow {
    type Error = ();

    fn load(&self, key: &i64) -> Result<i64, ()> {
        if !self.0.is_zero() {
            std::thread::sleep(self.0);
        }
        Ok(*key)
    }

    fn contains(&self, key: &i64) -> bool {
        (0..self.1).contains(key)
    }
}

const LENGTH: i64 = 2000;

fn steps(name: &str, count: i64) -> Vec<i64> {
    let (mut last, mut random) = (0, Random::new(8));
    let step = |i: i64| match name {
        "sequential" => i,
        "backward" => LENGTH - 1 - i,
        "stride 17" => i * 17 % LENGTH,
        "mixed" => {
            if i % 3 == 0 {
                7 * i % LENGTH
            } else {
                i
            }
        }
        "loop of 150" => i % 150,
        "jumps" => {
            last = if i % 5 == 0 { 15 * i % LENGTH } else { last + 1 };
            last
        }
        _ => random.below(LENGTH as u64) as i64,
    };
    (0..count).map(step).collect()
}

/// Threads that load at once: a reader and four workers, or as many readers.
const PARALLEL: usize = 5;

/// Milliseconds until `readers` threads, each of which takes the next one, have asked for all keys.
fn time(keys: &[i64], readers: usize, cache: &PrefetchCache<i64, i64, Slow>) -> u128 {
    let (next, began) = (AtomicUsize::new(0), Instant::now());
    std::thread::scope(|scope| {
        for _ in 0..readers {
            scope.spawn(|| {
                while let Some(key) = keys.get(next.fetch_add(1, Ordering::Relaxed)) {
                    cache.get(key).unwrap();
                }
            });
        }
    });
    began.elapsed().as_millis()
}

/// The patterns and sizes of the reference: hits at 5 ms a load and 10 ms between questions, and
/// the time of it all with nothing between them, beside plain LRU: asked by one reader, and by so
/// many that as many loads run at once as ours has.
fn patterns(test: bool) {
    let (load, think) = if test { (0, 0) } else { (5, 10) };
    let (load, think) = (Duration::from_millis(load), Duration::from_millis(think));
    let count = if test { 50 } else { 500 };
    let builder = || -> Builder<i64, Slow> {
        PrefetchCache::builder(Slow(load, LENGTH)).entries_max(100).prefetch_max(20)
    };
    println!("\nAt once, ms: one reader, and {PARALLEL}.\n");
    println!(
        "| pattern | hits, % | loads | wasted, % | ours, 1 | LRU, 1 | LRU, {PARALLEL} | ours, \
         {PARALLEL} | predictor, us |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    for name in ["sequential", "backward", "stride 17", "jumps", "mixed", "loop of 150", "random"] {
        let keys = steps(name, count);
        let cache = builder().build();
        for key in &keys {
            cache.get(key).unwrap();
            std::thread::sleep(think);
        }
        cache.wait_idle();
        let stats = cache.stats();
        let loads = stats.loads + stats.prefetches_started;
        let wasted = (stats.prefetches_wasted + stats.unused as u64) as f64 / loads as f64;
        let predictor = stats.predictor_time.as_secs_f64() / stats.predictions.max(1) as f64;
        let plain = || builder().predictor(Silent).workers(0).build();
        let times = [
            time(&keys, 1, &builder().build()),
            time(&keys, 1, &plain()),
            time(&keys, PARALLEL, &plain()),
            time(&keys, PARALLEL, &builder().build()),
        ];
        let rate = stats.hit_rate() * 100.0;
        println!(
            "| {name} | {rate:.1} | {loads} | {:.1} | {} | {:.2} |",
            wasted * 100.0,
            times.map(|ms| ms.to_string()).join(" | "),
            predictor * 1e6
        );
    }
}
