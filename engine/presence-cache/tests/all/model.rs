//! The cache beside a naive one that looks through a list, question by question.

use presence_cache::PrefetchCache;
use presence_cache::policy::{EvictionPolicy, Largest, Lru, Oldest, ScanResistant, Smallest};
use presence_cache::predict::Silent;
use proptest::prelude::*;

use crate::support::{figure, scaled};

#[derive(Debug, Clone)]
enum Op {
    Get(u16),
    GetMany(Vec<u16>),
    Insert(u16),
    Invalidate(u16),
    Pin(u16),
    Unpin(usize),
}

fn op() -> impl Strategy<Value = Op> {
    let key = 0..40_u16;
    prop_oneof![
        8 => key.clone().prop_map(Op::Get),
        1 => proptest::collection::vec(key.clone(), 0..5).prop_map(Op::GetMany),
        1 => key.clone().prop_map(Op::Insert),
        1 => key.clone().prop_map(Op::Invalidate),
        1 => key.prop_map(Op::Pin),
        1 => (0..4_usize).prop_map(Op::Unpin),
    ]
}

/// Bytes of a value: none, some, or too many.
fn bytes_of(key: u16) -> u64 {
    match key % 13 {
        0 => 0,
        12 => 1000,
        other => u64::from(other),
    }
}

struct Sized;

impl presence_cache::Provider<u16, u16> for Sized {
    type Error = ();

    fn load(&self, key: &u16) -> Result<u16, ()> {
        Ok(*key)
    }

    fn bytes(&self, key: &u16, _: &u16) -> u64 {
        bytes_of(*key)
    }
}

/// A value of the naive cache.
#[derive(Debug, Clone)]
struct Entry {
    key: u16,
    number: u64,
    used: u64,
    pins: u32,
}

#[derive(Debug)]
struct Naive {
    entries: Vec<Entry>,
    clock: u64,
    current: Option<u16>,
    bytes_max: u64,
    entries_max: usize,
}

/// Which of two goes first, the lower.
type Rank = fn(&Entry) -> u64;

impl Naive {
    fn touch(&mut self, key: u16) -> bool {
        let clock = self.clock;
        let found = self.entries.iter_mut().find(|entry| entry.key == key);
        self.current = Some(key);
        found.map(|entry| entry.used = clock).is_some()
    }

    fn put(&mut self, key: u16, rank: Rank) -> bool {
        let bytes = bytes_of(key);
        let mut left = self.entries.clone();
        while left.iter().map(|entry| bytes_of(entry.key)).sum::<u64>() + bytes > self.bytes_max
            || left.len() + 1 > self.entries_max
        {
            let may_go = |entry: &&Entry| entry.pins == 0 && self.current != Some(entry.key);
            let Some(victim) = left.iter().filter(may_go).min_by_key(|e| (rank(e), e.number))
            else {
                return false;
            };
            let number = victim.number;
            left.retain(|entry| entry.number != number);
        }
        self.clock += 1;
        left.push(Entry { key, number: self.clock, used: self.clock, pins: 0 });
        self.entries = left;
        true
    }

    fn get_many(&mut self, keys: &[u16], rank: Rank) {
        let mut missing = Vec::new();
        for key in keys {
            if !self.touch(*key) {
                self.current = None;
                missing.push(*key);
            }
        }
        let mut kept = Vec::new();
        for (at, key) in missing.iter().enumerate() {
            let again = missing.iter().take(at).any(|earlier| earlier == key);
            if !again && self.put(*key, rank) {
                kept.push(*key);
            }
            if kept.contains(key) {
                self.current = Some(*key);
            }
        }
    }

    fn remove(&mut self, key: u16) {
        self.entries.retain(|entry| entry.key != key);
        self.current = self.current.filter(|current| *current != key);
    }
}

/// Both do the same, and hold the same at every step; without a `rank`, only the budget counts.
fn beside(ops: &[Op], policy: impl EvictionPolicy, rank: Option<Rank>) {
    let (bytes_max, entries_max) = (40, 9);
    let cache = PrefetchCache::builder(Sized)
        .bytes_max(bytes_max)
        .entries_max(entries_max)
        .predictor(Silent)
        .workers(0)
        .policy(policy)
        .build();
    let mut naive = Naive { entries: Vec::new(), clock: 0, current: None, bytes_max, entries_max };
    let by = rank.unwrap_or(|_| 0);
    let mut pins = Vec::new();
    for op in ops {
        match op {
            Op::Get(key) => {
                assert_eq!(cache.get(key).unwrap(), *key);
                naive.get_many(&[*key], by);
            }
            Op::GetMany(keys) => {
                let got = cache.get_many(keys).into_iter().map(Result::unwrap);
                assert_eq!(got.collect::<Vec<_>>(), *keys);
                naive.get_many(keys, by);
            }
            Op::Insert(key) => {
                let kept = cache.insert(*key, *key);
                naive.remove(*key);
                let expected = naive.put(*key, by);
                assert!(rank.is_none() || kept == expected);
            }
            Op::Invalidate(key) => {
                cache.invalidate(key);
                naive.remove(*key);
            }
            Op::Pin(key) => {
                let Some(pinned) = cache.pin(key) else { continue };
                let entry = naive.entries.iter_mut().find(|entry| entry.key == *key);
                let number = entry.map(|entry| {
                    entry.pins += 1;
                    entry.number
                });
                pins.push((pinned, number));
            }
            Op::Unpin(index) if *index < pins.len() => {
                let (_, number) = pins.swap_remove(*index);
                let entry = naive.entries.iter_mut().find(|entry| Some(entry.number) == number);
                if let Some(entry) = entry {
                    entry.pins -= 1;
                }
            }
            Op::Unpin(_) => {}
        }
        let stats = cache.stats();
        assert!(stats.bytes <= bytes_max && stats.entries <= entries_max);
        let held: Vec<u16> = (0..40).filter(|key| cache.peek(key).is_some()).collect();
        assert_eq!(stats.entries, held.len());
        assert_eq!(stats.bytes, held.iter().map(|key| bytes_of(*key)).sum::<u64>());
        if rank.is_some() {
            let mut expected: Vec<u16> = naive.entries.iter().map(|entry| entry.key).collect();
            expected.sort_unstable();
            assert_eq!(held, expected, "after {op:?}");
        }
    }
    figure("cache: steps beside a naive cache", ops.len() as u64);
}

fn config() -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(scaled(200) as u32) }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn lru(ops in proptest::collection::vec(op(), 1..200)) {
        beside(&ops, Lru::new(), Some(|entry| entry.used));
    }

    #[test]
    fn oldest(ops in proptest::collection::vec(op(), 1..200)) {
        beside(&ops, Oldest::new(), Some(|_| 0));
    }

    #[test]
    fn largest(ops in proptest::collection::vec(op(), 1..200)) {
        beside(&ops, Largest::new(), Some(|entry| u64::MAX - bytes_of(entry.key)));
    }

    #[test]
    fn smallest(ops in proptest::collection::vec(op(), 1..200)) {
        beside(&ops, Smallest::new(), Some(|entry| bytes_of(entry.key)));
    }

    #[test]
    fn scan_resistant(ops in proptest::collection::vec(op(), 1..200)) {
        beside(&ops, ScanResistant::new(), None);
    }
}
