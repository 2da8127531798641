//! Who goes when room is needed.
//!
//! # Invariants
//! - A policy proposes, the cache disposes: what is pinned or in use stays whatever a policy says,
//!   and the budget holds even with a policy that proposes nonsense or panics.
//! - A policy runs under the cache's lock: it never calls the cache.

mod likelihood;
mod ranked;
mod resistant;

pub use likelihood::LowestLikelihood;
pub use ranked::{Largest, Lru, Oldest, Smallest};
pub use resistant::ScanResistant;

pub use crate::entry::{EntryId, Resident};

/// Decides which value is evicted next.
pub trait EvictionPolicy: Send + 'static {
    /// A value came in.
    fn inserted(&mut self, entry: &Resident);

    /// A value went: evicted, or taken out by the user.
    fn removed(&mut self, entry: &Resident, evicted: bool);

    /// How likely `id` is has changed, to what `residents` says.
    fn predicted(&mut self, _id: EntryId, _likelihood: f64) {}

    /// The next to go, among those that [`Residents::may_go`]. It is gone when
    /// [`removed`](EvictionPolicy::removed) says so.
    fn victim(&mut self, residents: &dyn Residents) -> Option<EntryId>;
}

/// The values in the cache, as they are now.
pub trait Residents {
    /// What is known of one; `None` once it is gone.
    fn get(&self, id: EntryId) -> Option<Resident>;

    /// Whether it may be evicted now: not while it is pinned or in use.
    fn may_go(&self, id: EntryId) -> bool;

    /// Sets [`Resident::uses`].
    fn set_uses(&self, id: EntryId, uses: u8);
}
