//! What the tests share: providers that count and block, numbers, seeds.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use presence_cache::Provider;

/// A provider that gives ten times the key, and tells what it was asked for.
#[derive(Default)]
pub(crate) struct Counting {
    pub(crate) loads: Mutex<HashMap<i64, u64>>,
    /// Loads of one key that ran beside each other.
    pub(crate) doubles: AtomicU64,
    running: Mutex<HashMap<i64, u64>>,
    pub(crate) gate: Gate,
    /// Keys below 0 and from here on are not there, if this is not 0.
    pub(crate) length: i64,
    /// Loads of these fail.
    pub(crate) failing: Mutex<Vec<i64>>,
}

impl Counting {
    pub(crate) fn loads_of(&self, key: i64) -> u64 {
        self.loads.lock().unwrap().get(&key).copied().unwrap_or(0)
    }

    pub(crate) fn all_loads(&self) -> u64 {
        self.loads.lock().unwrap().values().sum()
    }
}

/// The provider itself, shared with the test.
#[derive(Clone, Default)]
pub(crate) struct Source(pub(crate) Arc<Counting>);

impl Source {
    /// One that has the keys from 0 on, so many.
    pub(crate) fn of_length(length: i64) -> Self {
        Self(Arc::new(Counting { length, ..Counting::default() }))
    }
}

impl Provider<i64, i64> for Source {
    type Error = String;

    fn load(&self, key: &i64) -> Result<i64, String> {
        *self.0.loads.lock().unwrap().entry(*key).or_default() += 1;
        let beside = {
            let mut running = self.0.running.lock().unwrap();
            let count = running.entry(*key).or_default();
            *count += 1;
            *count
        };
        if beside > 1 {
            self.0.doubles.fetch_add(1, Ordering::Relaxed);
        }
        self.0.gate.pass(*key);
        *self.0.running.lock().unwrap().entry(*key).or_default() -= 1;
        if self.0.failing.lock().unwrap().contains(key) {
            return Err(format!("no {key}"));
        }
        Ok(key * 10)
    }

    fn contains(&self, key: &i64) -> bool {
        self.0.length == 0 || (0..self.0.length).contains(key)
    }

    fn bytes(&self, _: &i64, _: &i64) -> u64 {
        1
    }
}

/// Holds back loads of some keys until it is opened.
#[derive(Default)]
pub(crate) struct Gate {
    state: Mutex<GateState>,
    changed: Condvar,
}

#[derive(Default)]
struct GateState {
    shut: Vec<i64>,
    waiting: Vec<i64>,
}

impl Gate {
    pub(crate) fn shut(&self, keys: impl IntoIterator<Item = i64>) {
        self.state.lock().unwrap().shut.extend(keys);
    }

    pub(crate) fn open(&self) {
        self.state.lock().unwrap().shut.clear();
        self.changed.notify_all();
    }

    fn pass(&self, key: i64) {
        let mut state = self.state.lock().unwrap();
        if !state.shut.contains(&key) {
            return;
        }
        state.waiting.push(key);
        self.changed.notify_all();
        while state.shut.contains(&key) {
            state = self.changed.wait(state).unwrap();
        }
        state.waiting.retain(|&waiting| waiting != key);
    }

    /// Waits until a load of `key` is held back.
    pub(crate) fn wait_for(&self, key: i64) {
        let mut state = self.state.lock().unwrap();
        while !state.waiting.contains(&key) {
            state = self.changed.wait(state).unwrap();
        }
    }
}

/// A flag that a thread waits for.
#[derive(Default)]
pub(crate) struct Flag(Mutex<bool>, Condvar);

impl Flag {
    pub(crate) fn raise(&self) {
        *self.0.lock().unwrap() = true;
        self.1.notify_all();
    }

    pub(crate) fn wait(&self) {
        let mut raised = self.0.lock().unwrap();
        while !*raised {
            raised = self.1.wait(raised).unwrap();
        }
    }
}

/// Silences the message of panics that a test causes on purpose, in this whole process.
pub(crate) fn quiet_panics() {
    static ONCE: AtomicBool = AtomicBool::new(false);
    if ONCE.swap(true, Ordering::Relaxed) {
        return;
    }
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let text = info.payload_as_str().unwrap_or_default();
        if !text.contains("on purpose") {
            usual(info);
        }
    }));
}
/// Random numbers from a seed.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}

/// `count`, by the scale of this run.
pub(crate) fn scaled(count: u64) -> u64 {
    let scale = std::env::var("PRESENCE_TEST_SCALE").ok().and_then(|text| text.parse::<f64>().ok());
    (count as f64 * scale.unwrap_or(1.0)).ceil().max(1.0) as u64
}

/// The seed of this run: the same one if none is given.
pub(crate) fn seed() -> u64 {
    let seed = std::env::var("PRESENCE_TEST_SEED").ok().and_then(|text| text.parse().ok());
    seed.unwrap_or(0x5eed)
}

/// Adds `count` to the figure `name` of this run, where `PRESENCE_FIGURES` names a file for them.
pub(crate) fn figure(name: &str, count: u64) {
    use std::io::Write;

    let Some(path) = std::env::var_os("PRESENCE_FIGURES") else { return };
    let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
    // One write: processes that count at the same time must not mix their lines.
    file.and_then(|mut file| file.write_all(format!("{name}\t{count}\n").as_bytes())).unwrap();
}
