//! The threads that fetch ahead.
//!
//! # Invariants
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
use crate::shim::Arc;
use crate::shim::thread::{Builder, JoinHandle};

/// Starts `count` workers; fewer where the system refuses more.
pub(crate) fn start<K, V, P>(inner: &Arc<Inner<K, V, P>>, count: usize) -> Vec<JoinHandle<()>>
where
    K: Key,
    V: Clone + Send + Sync + 'static,
    P: Provider<K, V>,
{
    let workers = (0..count).map_while(|number| {
        let inner = Arc::clone(inner);
        let name = format!("presence-cache-{number}");
        Builder::new().name(name).spawn(move || inner.work()).ok()
    });
    workers.collect()
}

impl<K: Key, V: Clone, P: Provider<K, V>> Inner<K, V, P> {
    fn work(&self) {
        let mut busy = false;
        while let Some(work) = self.queue.next(busy) {
            busy = true;
            let done = catch_unwind(AssertUnwindSafe(|| match work {
                Work::Plan => self.plan(),
                Work::Prefetch(key, likelihood) => self.prefetch(&key, likelihood),
                Work::Demand(demand) => {
                    if demand.flight.claim() == Claim::Mine {
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
