//! What readers and workers of a cache share: how a value is loaded, and told about.
//!
//! # Invariants
//! - A flight that this thread has claimed lands, whatever panics on the way.
//! - Those who wait are told before listeners are.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use crate::entry::EntryId;
use crate::event::{Event, Events};
use crate::flight::{Claim, Flight, Outcome};
use crate::key::Key;
use crate::options::Builder;
use crate::plan::Planner;
use crate::provider::{LoadError, Provider, panic_message};
use crate::queue::Queue;
use crate::shim::atomic::{AtomicU32, Ordering};
use crate::shim::{Arc, Mutex, Weak, thread_number};
use crate::stats::{Counters, Stats};
use crate::store::{Claimant, Hit, Limits, Met, Removed, Store};
use crate::worker::Crew;

/// While nothing is predicted, so many steps without an answer are looked at together.
const QUIET_STEPS: u32 = 4;

/// A load that a reader waits for and that any thread may take on.
pub(crate) struct Demand<K, V, E> {
    pub(crate) hash: u64,
    pub(crate) key: K,
    pub(crate) flight: Arc<Flight<V, E>>,
}

impl<K: Clone, V, E> Clone for Demand<K, V, E> {
    fn clone(&self) -> Self {
        Self { hash: self.hash, key: self.key.clone(), flight: Arc::clone(&self.flight) }
    }
}

pub(crate) struct Inner<K, V, P: Provider<K, V>> {
    pub(crate) store: Store<K, V, P::Error>,
    pub(crate) provider: P,
    pub(crate) queue: Queue<K, Demand<K, V, P::Error>>,
    pub(crate) planner: Mutex<Planner<K>>,
    pub(crate) counters: Counters,
    pub(crate) events: Events<K>,
    pub(crate) limits: Limits,
    pub(crate) prefetch_max: usize,
    pub(crate) crew: Crew<Self>,
    /// This, for workers that begin.
    pub(crate) me: Weak<Self>,
    /// Readers plan until there is something to fetch.
    starts_late: bool,
    /// Plans in a row that were empty, up to what makes it quiet.
    pub(crate) silence: AtomicU32,
    /// Steps since the last plan was wanted, while it is quiet.
    waited: AtomicU32,
}

/// How a load ended, what had to go for it, and whether an error is kept for a reader.
type Fetched<K, V, E> = (Outcome<V, E>, Vec<Removed<K, V>>, bool);

/// Lands a flight with an error unless it landed: for panics of `Clone`, `Drop` and the like.
struct Landing<'a, K: Key, V: Clone, P: Provider<K, V>> {
    inner: &'a Inner<K, V, P>,
    hash: u64,
    key: &'a K,
    flight: &'a Arc<Flight<V, P::Error>>,
}

impl<K: Key, V: Clone, P: Provider<K, V>> Drop for Landing<'_, K, V, P> {
    fn drop(&mut self) {
        let error = LoadError::Panicked(Arc::from("while its value was put in"));
        self.inner.store.fail(self.hash, self.key, self.flight, &error);
        self.flight.land(Err(error));
    }
}

impl<K: Key, V: Clone, P: Provider<K, V>> Inner<K, V, P> {
    pub(crate) fn new(builder: Builder<K, P>, crew: Crew<Self>, me: Weak<Self>) -> Self {
        let limits = Limits { bytes: builder.bytes_max, entries: builder.entries_max };
        let store = Store::new(limits, builder.parts, builder.policy);
        let planner = Planner::new(builder.predictor, &store.trails, builder.history_max);
        Self {
            store,
            provider: builder.provider,
            queue: Queue::new(builder.queue_max),
            planner: Mutex::new(planner),
            counters: Counters::default(),
            events: Events::new(builder.listener),
            limits,
            prefetch_max: builder.prefetch_max,
            crew,
            me,
            starts_late: builder.starts_late,
            silence: AtomicU32::new(0),
            waited: AtomicU32::new(0),
        }
    }

    /// The value of `key`, loaded by this thread or waited for where it is not here.
    #[inline]
    pub(crate) fn get(&self, key: &K) -> Result<V, LoadError<P::Error>> {
        let hash = self.store.hash(key);
        match self.store.get(hash, key) {
            Some(hit) => Ok(self.found(key, hit)),
            None => self.miss(hash, key),
        }
    }

    /// A reader has found a value.
    #[inline]
    pub(crate) fn found(&self, key: &K, hit: Hit<V>) -> V {
        self.store.trails.step(thread_number(), key.place(), Some(hit.id));
        if hit.first {
            self.first_use();
        }
        hit.value
    }

    #[cold]
    fn first_use(&self) {
        self.counters.useful.add(1);
        self.want_plan();
    }

    fn want_plan(&self) {
        if !self.crew.is_wanted() {
            return;
        }
        let quiet = self.silence.load(Ordering::Relaxed) >= QUIET_STEPS;
        if quiet && !self.waited.fetch_add(1, Ordering::Relaxed).is_multiple_of(QUIET_STEPS) {
            return;
        }
        if self.starts_late && !self.crew.is_called() {
            // Where another reader plans, the next miss shows this step to a plan.
            if self.queue.may_plan() {
                self.plan();
            }
            return;
        }
        self.queue.want_plan();
        self.call_workers();
    }

    #[cold]
    fn miss(&self, hash: u64, key: &K) -> Result<V, LoadError<P::Error>> {
        match self.meet(hash, key, true) {
            Met::Hit(hit) => Ok(self.found(key, hit)),
            Met::Failed(error) => Err(error),
            Met::Lead(flight) => self.load(hash, key, &flight),
            Met::Join(flight, _) => self.join(hash, key, &flight),
        }
    }

    /// What this reader is to do for `key`; counted as a miss unless it has come in by now.
    pub(crate) fn meet(&self, hash: u64, key: &K, claim: bool) -> Met<V, P::Error> {
        let met = self.store.meet(hash, key, claim);
        if matches!(met, Met::Hit(_)) {
            return met;
        }
        self.store.trails.step(thread_number(), key.place(), None);
        self.counters.misses.add(1);
        self.want_plan();
        if let Met::Join(_, true) = met {
            self.counters.late.add(1);
        }
        met
    }

    /// Loads what nobody else does, or waits for whoever does.
    pub(crate) fn join(
        &self,
        hash: u64,
        key: &K,
        flight: &Arc<Flight<V, P::Error>>,
    ) -> Result<V, LoadError<P::Error>> {
        match flight.claim() {
            Claim::Mine => return self.load(hash, key, flight),
            Claim::Recursive => return Err(LoadError::Recursive),
            Claim::Theirs => {}
        }
        let (value, id) = flight.wait()?;
        if let Some(id) = id {
            self.store.trails.set_current(thread_number(), id);
        }
        Ok(value)
    }

    /// Loads a flight that this thread has claimed, for a reader.
    pub(crate) fn load(
        &self,
        hash: u64,
        key: &K,
        flight: &Arc<Flight<V, P::Error>>,
    ) -> Result<V, LoadError<P::Error>> {
        self.events.tell(|| Event::CacheLoadStart(key.clone()));
        self.counters.loads.add(1);
        let claimant = || Claimant::Reader(thread_number());
        let (outcome, removed, _) = self.fetch(hash, key, flight, claimant);
        self.removed(removed);
        match &outcome {
            Ok(_) => self.events.tell(|| Event::CacheLoadComplete(key.clone())),
            Err(error) => {
                self.counters.load_errors.add(1);
                self.events.tell(|| Event::CacheLoadError(key.clone(), self.describe(error)));
            }
        }
        outcome.map(|(value, _)| value)
    }

    /// Fetches `key` ahead, unless it is here or on its way.
    pub(crate) fn prefetch(&self, key: &K, likelihood: f64) {
        let hash = self.store.hash(key);
        let Some(flight) = self.store.prefetch(hash, key) else { return };
        self.counters.started.add(1);
        self.events.tell(|| Event::PrefetchStart(key.clone()));
        let claimant = || match likelihood.is_finite() && !self.queue.is_planned(key) {
            true => Claimant::Stale,
            false => Claimant::Prefetch(likelihood),
        };
        let (outcome, removed, kept) = self.fetch(hash, key, &flight, claimant);
        let demanded = flight.is_demanded();
        match &outcome {
            Ok((_, id)) => {
                if id.is_none() && !demanded {
                    self.counters.wasted.add(1);
                }
                self.events.tell(|| Event::PrefetchSuccess(key.clone()));
            }
            Err(error) => {
                if kept {
                    self.counters.errors.add(1);
                } else if !demanded {
                    self.counters.wasted.add(1);
                }
                self.events.tell(|| Event::PrefetchError(key.clone(), self.describe(error)));
            }
        }
        self.removed(removed);
    }

    /// Asks the provider, puts the value in, and tells those who wait.
    fn fetch(
        &self,
        hash: u64,
        key: &K,
        flight: &Arc<Flight<V, P::Error>>,
        claimant: impl FnOnce() -> Claimant,
    ) -> Fetched<K, V, P::Error> {
        let landing = Landing { inner: self, hash, key, flight };
        let began = Instant::now();
        let loaded = catch_unwind(AssertUnwindSafe(|| {
            let value =
                self.provider.load(key).map_err(|error| LoadError::Provider(Arc::new(error)))?;
            let bytes = self.provider.bytes(key, &value);
            Ok((value, bytes))
        }));
        self.counters.load_took(began.elapsed());
        let loaded =
            loaded.unwrap_or_else(|panic| Err(LoadError::Panicked(panic_message(&*panic))));
        let done = match loaded {
            Ok((value, bytes)) => {
                let outcome = (value.clone(), bytes);
                let landed = self.store.land((hash, key), flight, outcome, claimant());
                (Ok((value, landed.id)), landed.removed, false)
            }
            Err(error) => {
                let kept = self.store.fail(hash, key, flight, &error);
                (Err(error), Vec::new(), kept)
            }
        };
        flight.land(done.0.clone());
        std::mem::forget(landing);
        done
    }

    /// An error in words.
    fn describe(&self, error: &LoadError<P::Error>) -> Arc<str> {
        catch_unwind(AssertUnwindSafe(|| match error {
            LoadError::Provider(error) => Arc::from(self.provider.describe(error)),
            LoadError::Panicked(message) => Arc::clone(message),
            LoadError::Recursive => Arc::from("the load asked for its own key"),
        }))
        .unwrap_or_else(|panic| panic_message(&*panic))
    }

    /// Counts and tells what left the cache.
    pub(crate) fn removed(&self, removed: Vec<Removed<K, V>>) {
        for gone in removed {
            let tell = || self.provider.removed(&gone.key, gone.value);
            if let Err(panic) = catch_unwind(AssertUnwindSafe(tell)) {
                self.worker_panicked(&*panic);
            }
            if gone.unused {
                self.counters.wasted.add(1);
            }
            if gone.evicted {
                self.counters.evictions.add(1);
                self.events.tell(|| Event::CacheEvict(gone.key.clone()));
            }
        }
    }

    /// Ends prefetching. Loads under way end by themselves.
    pub(crate) fn close(&self) {
        let (cancelled, _) = self.queue.close();
        self.counters.cancelled.add(cancelled as u64);
    }

    pub(crate) fn pin(&self, key: &K) -> Option<(V, u64, EntryId)> {
        let hash = self.store.hash(key);
        let (value, id) = self.store.pin(hash, key)?;
        Some((value, hash, id))
    }

    pub(crate) fn stats(&self) -> Stats {
        let sizes = self.store.sizes();
        let counters = &self.counters;
        let misses = counters.misses.get();
        Stats {
            hits: self.store.trails.steps().saturating_sub(misses),
            misses,
            loads: counters.loads.get(),
            load_errors: counters.load_errors.get(),
            evictions: counters.evictions.get(),
            bytes: sizes.bytes,
            entries: sizes.entries,
            loading: sizes.loading,
            unused: sizes.unused,
            prefetches_started: counters.started.get(),
            prefetches_useful: counters.useful.get(),
            prefetches_late: counters.late.get(),
            prefetches_wasted: counters.wasted.get(),
            prefetch_errors: counters.errors.get(),
            prefetches_cancelled: counters.cancelled.get(),
            prefetches_waiting: self.queue.waiting(),
            predictions: counters.predictions.get(),
            predictor_time: std::time::Duration::from_nanos(counters.predictor_ns.get()),
            workers: self.crew.len(),
            worker_errors: counters.worker_errors.get(),
            policy_panics: sizes.policy_panics,
            listener_panics: self.events.panics(),
            load_time: counters.load_time(),
        }
    }
}
