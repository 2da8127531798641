//! What the workers have to do, in order of urgency: what readers wait for, then predictions, then
//! what was hinted at, then what was predicted.
//!
//! # Invariants
//! - Everything in here is bounded. What finds no room is not done by a worker: a reader does it
//!   itself, a hint is refused, a prediction is left out.
//! - A step of a reader that asks for a prediction is seen by one that begins afterwards.
//! - After a close nothing begins any more, and nobody sleeps here.

use std::collections::VecDeque;

use crate::shim::atomic::{AtomicBool, Ordering};
use crate::shim::{Condvar, Mutex, MutexGuard, lock, planted, wait};

/// One piece of work.
#[derive(Debug, PartialEq)]
pub(crate) enum Work<K, D> {
    /// A load that a reader waits for.
    Demand(D),
    /// A look at what readers did, and a new plan.
    Plan,
    /// A key to fetch ahead, with its likelihood: without end where a user said so.
    Prefetch(K, f64),
}

pub(crate) struct Queue<K, D> {
    state: Mutex<State<K, D>>,
    work: Condvar,
    idle: Condvar,
    /// A plan is wanted: looked at by readers without the lock.
    wanted: AtomicBool,
    length_max: usize,
}

struct State<K, D> {
    demands: VecDeque<D>,
    hints: VecDeque<K>,
    /// Predicted and neither here nor on its way, the most likely in front.
    planned: VecDeque<(K, f64)>,
    /// All that the latest plan is about.
    plan: Vec<K>,
    planning: bool,
    /// Workers with something to do.
    busy: usize,
    sleeping: usize,
    /// Who waits until there is nothing to do.
    idling: usize,
    closed: bool,
}

impl<K: PartialEq + Clone, D> Queue<K, D> {
    pub(crate) fn new(length_max: usize) -> Self {
        let state = State {
            demands: VecDeque::new(),
            hints: VecDeque::new(),
            planned: VecDeque::new(),
            plan: Vec::new(),
            planning: false,
            busy: 0,
            sleeping: 0,
            idling: 0,
            closed: false,
        };
        Self {
            state: Mutex::new(state),
            work: Condvar::new(),
            idle: Condvar::new(),
            wanted: AtomicBool::new(false),
            length_max,
        }
    }

    /// A reader has made a step after which a prediction is worth while. Cheap where one is already
    /// wanted.
    pub(crate) fn want_plan(&self) {
        if self.wanted.swap(true, Ordering::AcqRel) {
            return;
        }
        if planted("woken_without_lock") {
            return self.work.notify_one();
        }
        let state = lock(&self.state);
        if state.sleeping > 0 {
            self.work.notify_one();
        }
    }

    /// The steps up to now are going to be looked at: later ones want a plan of their own.
    pub(crate) fn begin_plan(&self) {
        self.wanted.swap(false, Ordering::AcqRel);
    }

    /// Hands loads to the workers, as many as find room. How many.
    pub(crate) fn demand(&self, demands: impl IntoIterator<Item = D>) -> usize {
        let mut state = lock(&self.state);
        let mut taken = 0;
        for demand in demands {
            if state.closed || state.demands.len() >= self.length_max {
                break;
            }
            state.demands.push_back(demand);
            taken += 1;
        }
        self.wake(&state, taken);
        taken
    }

    /// Adds keys that are worth fetching, as many as find room. How many.
    pub(crate) fn hint(&self, keys: impl IntoIterator<Item = K>) -> usize {
        let mut state = lock(&self.state);
        let mut taken = 0;
        for key in keys {
            if state.closed || state.hints.len() >= self.length_max {
                break;
            }
            if !state.hints.contains(&key) {
                state.hints.push_back(key);
            }
            taken += 1;
        }
        self.wake(&state, taken);
        taken
    }

    /// Replaces the plan: `missing` of it is fetched, and what was planned and is not any more is
    /// forgotten. How many keys that were.
    pub(crate) fn replace(&self, plan: Vec<K>, missing: Vec<(K, f64)>) -> usize {
        let count = |state: &State<K, D>| {
            state.planned.iter().filter(|(key, _)| !plan.contains(key)).count()
        };
        let before = if planted("counted_before") { count(&lock(&self.state)) } else { 0 };
        let mut state = lock(&self.state);
        state.planning = false;
        if state.closed {
            return 0;
        }
        let cancelled = if planted("counted_before") { before } else { count(&state) };
        state.planned = missing.into();
        state.plan = plan;
        let wake = state.planned.len() + usize::from(self.wanted.load(Ordering::Acquire));
        self.wake(&state, wake);
        cancelled
    }

    /// Whether the caller, who is no worker, may make a plan now: nobody does.
    pub(crate) fn may_plan(&self) -> bool {
        let mut state = lock(&self.state);
        !state.closed && !std::mem::replace(&mut state.planning, true)
    }

    /// Ends the making of a plan that would not differ from the last.
    pub(crate) fn keep_plan(&self) {
        let mut state = lock(&self.state);
        state.planning = false;
        self.wake(&state, usize::from(self.wanted.load(Ordering::Acquire)));
    }

    /// Whether a prefetch of `key` is still what the plan says.
    pub(crate) fn is_planned(&self, key: &K) -> bool {
        lock(&self.state).plan.contains(key)
    }

    fn wake(&self, state: &MutexGuard<'_, State<K, D>>, pieces: usize) {
        for _ in 0..pieces.min(state.sleeping) {
            self.work.notify_one();
        }
    }

    /// The next piece of work, waited for; `None` after a close. The piece before is done.
    pub(crate) fn next(&self, was_busy: bool) -> Option<Work<K, D>> {
        let mut state = lock(&self.state);
        if was_busy {
            state.busy -= 1;
        }
        loop {
            if state.closed {
                return None;
            }
            if let Some(work) = self.take(&mut state) {
                state.busy += 1;
                return Some(work);
            }
            if state.busy == 0 && state.idling > 0 {
                self.idle.notify_all();
            }
            state.sleeping += 1;
            state = wait(&self.work, state);
            state.sleeping -= 1;
        }
    }

    fn take(&self, state: &mut State<K, D>) -> Option<Work<K, D>> {
        if let Some(demand) = state.demands.pop_front() {
            return Some(Work::Demand(demand));
        }
        if !state.planning && self.wanted.load(Ordering::Acquire) {
            state.planning = true;
            return Some(Work::Plan);
        }
        if let Some(key) = state.hints.pop_front() {
            return Some(Work::Prefetch(key, f64::INFINITY));
        }
        state.planned.pop_front().map(|(key, likelihood)| Work::Prefetch(key, likelihood))
    }

    /// Waits until there is nothing to do and nobody does anything, or for the close.
    pub(crate) fn wait_idle(&self) {
        let mut state = lock(&self.state);
        while !state.closed && (state.busy > 0 || self.has_work(&state)) {
            state.idling += 1;
            state = wait(&self.idle, state);
            state.idling -= 1;
        }
    }

    fn has_work(&self, state: &State<K, D>) -> bool {
        let queued = state.demands.len() + state.hints.len() + state.planned.len();
        queued > 0 || self.wanted.load(Ordering::Acquire)
    }

    /// How many prefetches wait.
    pub(crate) fn waiting(&self) -> usize {
        let state = lock(&self.state);
        state.hints.len() + state.planned.len()
    }

    /// The predicted keys that wait.
    pub(crate) fn planned(&self) -> Vec<(K, f64)> {
        lock(&self.state).planned.iter().cloned().collect()
    }

    /// Ends all work. How many prefetches were waiting, and whether this was the first close.
    pub(crate) fn close(&self) -> (usize, bool) {
        let mut state = lock(&self.state);
        let first = !state.closed;
        state.closed = true;
        let cancelled = state.hints.len() + state.planned.len();
        state.demands.clear();
        state.hints.clear();
        state.planned.clear();
        let (sleeping, idling) = (state.sleeping > 0, state.idling > 0);
        drop(state);
        if sleeping && !planted("closed_in_silence") {
            self.work.notify_all();
        }
        if idling {
            self.idle.notify_all();
        }
        (cancelled, first)
    }

    pub(crate) fn is_closed(&self) -> bool {
        lock(&self.state).closed
    }
}

#[cfg(test)]
#[cfg(loom)]
mod models {
    use super::*;
    use crate::shim::{Arc, explore};
    use loom::sync::atomic::AtomicU64;

    type Small = Queue<u64, ()>;

    /// A worker that counts what it takes, and tells each plan what steps it has seen.
    fn work(queue: &Small, steps: &AtomicU64, seen: &AtomicU64) -> usize {
        let (mut busy, mut taken) = (false, 0);
        while let Some(work) = queue.next(busy) {
            busy = true;
            match work {
                Work::Plan => {
                    queue.begin_plan();
                    seen.store(steps.load(Ordering::Relaxed), Ordering::Relaxed);
                    queue.keep_plan();
                }
                Work::Prefetch(..) => taken += 1,
                Work::Demand(()) => {}
            }
        }
        taken
    }

    fn explore_beside_worker(model: fn(&Small, &AtomicU64, &AtomicU64) -> usize) {
        explore(3, move || {
            let shared = Arc::new((Small::new(8), AtomicU64::new(0), AtomicU64::new(0)));
            let worker = loom::thread::spawn({
                let shared = Arc::clone(&shared);
                move || work(&shared.0, &shared.1, &shared.2)
            });
            let done = model(&shared.0, &shared.1, &shared.2);
            let (cancelled, first) = shared.0.close();
            assert!(first && !shared.0.close().1);
            assert_eq!(cancelled + worker.join().unwrap(), done);
        });
    }

    /// Steps ask for plans: the last plan has seen all of them, and no wakeup is lost.
    #[test]
    fn every_step_is_seen() {
        explore_beside_worker(|queue, steps, seen| {
            for _ in 0..2 {
                steps.fetch_add(1, Ordering::Relaxed);
                queue.want_plan();
            }
            queue.wait_idle();
            assert_eq!(seen.load(Ordering::Relaxed), 2);
            0
        });
    }

    /// A close ends a worker, asleep or not.
    #[test]
    fn a_close_wakes_the_worker() {
        explore_beside_worker(|_, _, _| 0);
    }

    /// What is planned is fetched or cancelled, each once.
    #[test]
    fn planned_keys_are_taken_or_cancelled() {
        explore_beside_worker(|queue, _, _| {
            queue.replace(vec![1, 2], vec![(1, 0.9), (2, 0.8)]);
            let cancelled = queue.replace(vec![3], vec![(3, 0.7)]);
            3 - cancelled
        });
    }
}
