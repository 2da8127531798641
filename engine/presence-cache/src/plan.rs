//! From what readers did to what is fetched ahead.
//!
//! # Invariants
//! - One plan is made at a time, outside every lock that readers take: on a worker, or where the
//!   workers start late, by a reader that has missed, until there is something to fetch.
//! - A plan looks no further than half of what the cache can hold: it does not push itself out.

use std::collections::{HashSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use crate::inner::Inner;
use crate::key::{Key, Place};
use crate::predict::{Access, Context, Feedback, Predictor};
use crate::provider::Provider;
use crate::shim::atomic::Ordering;
use crate::shim::lock;
use crate::trail::{Follower, Trails};

/// What plans are made from.
pub(crate) struct Planner<K> {
    predictor: Box<dyn Predictor<K>>,
    follower: Follower,
    history: VecDeque<K>,
    history_max: usize,
    /// Counts at the last plan, to tell what came since.
    told: Feedback,
}

impl<K: Key> Planner<K> {
    pub(crate) fn new(
        predictor: Box<dyn Predictor<K>>,
        trails: &Trails,
        history_max: usize,
    ) -> Self {
        let (follower, history) = (Follower::new(trails), VecDeque::new());
        let history_max = history_max.max(1);
        Self { predictor, follower, history, history_max, told: Feedback::default() }
    }

    /// Looks at the steps since the last plan. Whether there was one.
    fn follow(&mut self, trails: &Trails) -> bool {
        let Self { predictor, follower, history, history_max, .. } = self;
        let mut moved = false;
        follower.follow(trails, |reader, place: Place, gap| {
            let Some(key) = K::from_place(place) else { return };
            moved = true;
            if history.back() != Some(&key) {
                history.push_back(key.clone());
            }
            while history.len() > *history_max {
                history.pop_front();
            }
            predictor.observe(&Access { key, reader, gap });
        });
        moved
    }
}

impl<K: Key, V: Clone, P: Provider<K, V>> Inner<K, V, P> {
    /// Makes a plan and gives it to the queue; where other people's code panics, the last stays.
    pub(crate) fn plan(&self) {
        self.queue.begin_plan();
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| self.replan())) {
            self.queue.keep_plan();
            self.worker_panicked(&*panic);
        }
    }

    fn replan(&self) {
        let Some(likely) = self.make_plan() else { return self.queue.keep_plan() };
        let missing = self.store.predict(&likely);
        let silence = self.silence.load(Ordering::Relaxed);
        let silence = if likely.is_empty() { silence.saturating_add(1) } else { 0 };
        self.silence.store(silence, Ordering::Relaxed);
        let plan = likely.into_iter().map(|(key, _)| key).collect();
        let something = !missing.is_empty();
        let cancelled = self.queue.replace(plan, missing);
        self.counters.cancelled.add(cancelled as u64);
        if something {
            self.call_workers();
        }
    }

    /// The keys to look ahead at, the most likely first; `None` where nobody has moved.
    fn make_plan(&self) -> Option<Vec<(K, f64)>> {
        let mut planner = lock(&self.planner);
        let planner = &mut *planner;
        let began = Instant::now();
        if !planner.follow(&self.store.trails) {
            return None;
        }
        let keys_max = self.look_ahead_max();
        let feedback = self.feedback(&mut planner.told);
        let mut likely = Vec::new();
        if let Some(current) = planner.history.back() {
            let context = Context { current, history: &planner.history, feedback, keys_max };
            planner.predictor.predict(&context, &mut likely);
        }
        self.counters.predictions.add(1);
        self.counters.predictor_ns.add(u64::try_from(began.elapsed().as_nanos()).unwrap_or(0));
        let current = planner.history.back();
        likely.retain(|(key, likelihood)| {
            *likelihood > 0.0 && likelihood.is_finite() && Some(key) != current
        });
        likely.sort_by(|(_, a), (_, b)| b.total_cmp(a));
        let mut seen = HashSet::new();
        let mut chosen = Vec::new();
        for (key, likelihood) in likely {
            if chosen.len() >= keys_max {
                break;
            }
            if seen.insert(key.clone()) && self.provider.contains(&key) {
                chosen.push((key, likelihood));
            }
        }
        Some(chosen)
    }

    /// How many keys a plan may be about.
    fn look_ahead_max(&self) -> usize {
        let (bytes, entries) = self.store.held();
        let mean = bytes.checked_div(entries as u64).unwrap_or(0);
        let by_bytes = (self.limits.bytes / 2).checked_div(mean).unwrap_or(u64::MAX);
        let by_bytes = usize::try_from(by_bytes).unwrap_or(usize::MAX);
        let by_entries = (self.limits.entries / 2).max(usize::from(self.limits.entries > 1));
        self.prefetch_max.min(by_entries).min(by_bytes)
    }

    fn feedback(&self, told: &mut Feedback) -> Feedback {
        let counters = &self.counters;
        let (useful, late) = (counters.useful.get(), counters.late.get());
        let now = Feedback { useful, late, wasted: counters.wasted.get() };
        let since = Feedback {
            useful: now.useful - told.useful,
            late: now.late - told.late,
            wasted: now.wasted - told.wasted,
        };
        *told = now;
        since
    }
}
