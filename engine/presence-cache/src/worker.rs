//! The threads that fetch ahead.
//!
//! # Invariants
//! - There are none before there is something for them to do, and none begin after a close.
//! - A worker ends after a close, with the load it is at; nobody waits for it but who asks to.
//! - A panic of other people's code ends one piece of work, not the worker.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::event::Event;
use crate::flight::Claim;
use crate::inner::Inner;
use crate::key::Key;
use crate::provider::{Provider, panic_message};
use crate::queue::Work;
use crate::shim::atomic::{AtomicBool, Ordering};
use crate::shim::thread::{self, Builder, JoinHandle};
use crate::shim::{Arc, Mutex, lock, planted};

/// Starts so many threads that work for `I`.
type Start<I> = fn(&Arc<I>, usize) -> Vec<JoinHandle<()>>;

/// The workers, before and after they begin.
pub(crate) struct Crew<I> {
    /// How many there are to be.
    count: usize,
    start: Start<I>,
    /// They were called: there is nothing more to do for it.
    called: AtomicBool,
    workers: Mutex<Vec<JoinHandle<()>>>,
}

impl<K, V, P> Crew<Inner<K, V, P>>
where
    K: Key,
    V: Clone + Send + Sync + 'static,
    P: Provider<K, V>,
{
    pub(crate) fn new(count: usize) -> Self {
        let start: Start<Inner<K, V, P>> = |inner, count| {
            let workers = (0..count).map_while(|number| {
                let inner = Arc::clone(inner);
                let name = format!("presence-cache-{number}");
                Builder::new().name(name).spawn(move || inner.work()).ok()
            });
            workers.collect()
        };
        Self { count, start, called: AtomicBool::new(false), workers: Mutex::default() }
    }
}

impl<I> Crew<I> {
    /// Whether there are to be any.
    pub(crate) fn is_wanted(&self) -> bool {
        self.count > 0
    }

    /// Whether there was something for them to do.
    #[inline]
    pub(crate) fn is_called(&self) -> bool {
        self.called.load(Ordering::Relaxed)
    }

    /// How many have begun, and were not waited for.
    pub(crate) fn len(&self) -> usize {
        lock(&self.workers).len()
    }

    /// Waits for those who have begun, after the close, unless the caller is one of them.
    pub(crate) fn join(&self) {
        let workers = std::mem::take(&mut *lock(&self.workers));
        let me = thread::current().id();
        if workers.iter().any(|worker| worker.thread().id() == me) {
            return;
        }
        for worker in workers {
            // A worker catches its panics.
            let _ended = worker.join();
        }
    }
}

impl<K: Key, V: Clone, P: Provider<K, V>> Inner<K, V, P> {
    /// There is something for the workers to do: they begin, if they have not.
    #[inline]
    pub(crate) fn call_workers(&self) {
        if !self.crew.is_called() {
            self.start_workers();
        }
    }

    #[cold]
    fn start_workers(&self) {
        let Some(me) = self.me.upgrade() else { return };
        if planted("closed_before_lock") && self.queue.is_closed() {
            return;
        }
        // Who closes looks for them after the close, under this lock.
        let mut workers = lock(&self.crew.workers);
        if self.crew.called.swap(true, Ordering::Relaxed) {
            return;
        }
        if self.queue.is_closed() && !planted("closed_before_lock") {
            return;
        }
        *workers = (self.crew.start)(&me, self.crew.count);
        let none = workers.is_empty();
        drop(workers);
        if none {
            // None is to be had: nothing may be left to them.
            self.close();
        }
    }

    fn work(&self) {
        let mut busy = false;
        while let Some(work) = self.queue.next(busy) {
            busy = true;
            let done = catch_unwind(AssertUnwindSafe(|| match work {
                Work::Plan => self.plan(),
                Work::Prefetch(key, likelihood) => self.prefetch(&key, likelihood),
                Work::Demand(demand) => {
                    if demand.flight.claim() == Claim::Mine {
                        if planted("claimed_and_closed") && self.queue.is_closed() {
                            return;
                        }
                        let _told = self.load(demand.hash, &demand.key, &demand.flight);
                    }
                }
            }));
            if let Err(panic) = done {
                self.worker_panicked(&*panic);
            }
        }
    }

    /// Counts and tells a panic that a worker met.
    pub(crate) fn worker_panicked(&self, panic: &(dyn Any + Send)) {
        self.counters.worker_errors.add(1);
        self.events.tell(|| Event::WorkerError(panic_message(panic)));
    }
}

#[cfg(test)]
#[cfg(loom)]
mod models {
    use crate::PrefetchCache;
    use crate::predict::Silent;
    use crate::shim::atomic::{AtomicU64, Ordering};
    use crate::shim::{Arc, explore};

    /// Something is to be fetched while the cache is closed and its workers are waited for: whoever
    /// has begun was waited for, and nobody begins afterwards.
    #[test]
    fn nobody_begins_after_a_close() {
        explore(3, || {
            let load = |key: &u64| Ok::<u64, ()>(key * 10);
            let cache = PrefetchCache::builder(load).workers(1).predictor(Silent).model();
            let reader = loom::thread::spawn({
                let cache = cache.clone();
                move || assert!(cache.prefetch_hint([1]) <= 1)
            });
            cache.close_and_wait();
            reader.join().unwrap();
            assert_eq!(cache.stats().workers, 0, "begun after the close");
        });
    }

    /// A reader asks for two keys, of which a worker may load one, while the cache is closed: the
    /// close waits for nothing, and the reader has both, each loaded once.
    #[test]
    fn a_close_beside_loads() {
        explore(3, || {
            let loads = Arc::new(AtomicU64::new(0));
            let counted = Arc::clone(&loads);
            let load = move |key: &u64| {
                counted.fetch_add(1, Ordering::Relaxed);
                Ok::<u64, ()>(key * 10)
            };
            let cache = PrefetchCache::builder(load).workers(1).predictor(Silent).model();
            let reader = loom::thread::spawn({
                let cache = cache.clone();
                move || cache.get_many(&[1, 2]).into_iter().map(Result::unwrap).collect::<Vec<_>>()
            });
            cache.close();
            assert_eq!(reader.join().unwrap(), [10, 20]);
            cache.close_and_wait();
            assert_eq!((loads.load(Ordering::Relaxed), cache.get(&2).unwrap()), (2, 20));
        });
    }
}
