//! A cache that loads each key once however many ask, and fetches ahead of its readers.
//!
//! In front of anything that gives a value for a key and takes its time ([`Provider`]). Bounded by
//! bytes and by entries. What is fetched ahead is decided by a [`Predictor`](predict::Predictor),
//! what goes for want of room by an [`EvictionPolicy`](policy::EvictionPolicy).
//!
//! ```
//! use std::sync::Arc;
//!
//! use presence_cache::policy::ScanResistant;
//! use presence_cache::{PrefetchCache, Provider};
//!
//! struct Pages;
//!
//! impl Provider<(u32, u32), Arc<[u8]>> for Pages {
//!     type Error = std::io::Error;
//!
//!     fn load(&self, &(segment, block): &(u32, u32)) -> Result<Arc<[u8]>, std::io::Error> {
//!         Ok(vec![segment as u8 ^ block as u8; 4096].into())
//!     }
//!
//!     fn contains(&self, &(_, block): &(u32, u32)) -> bool {
//!         block < 1000
//!     }
//!
//!     fn bytes(&self, _: &(u32, u32), page: &Arc<[u8]>) -> u64 {
//!         page.len() as u64
//!     }
//! }
//!
//! let cache = PrefetchCache::builder(Pages).bytes_max(1 << 20);
//! let cache = cache.policy(ScanResistant::new()).build();
//! for block in 0..1000 {
//!     assert_eq!(cache.get(&(7, block)).unwrap()[0], 7 ^ block as u8);
//! }
//! let stats = cache.stats();
//! assert_eq!(stats.hits + stats.misses, 1000);
//! assert!(stats.bytes <= 1 << 20);
//! ```
//!
//! # Invariants
//! - It knows no bytes, no files and no time: only keys, values and what they count for.
//! - A hit takes no lock but the read lock of one part of the map, and runs no predictor.
//! - No panic of a provider, predictor, policy or listener makes anybody wait for ever, or the
//!   cache unusable.

mod bank;
mod cache;
mod entry;
mod event;
mod flight;
mod inner;
mod key;
mod options;
mod plan;
pub mod policy;
pub mod predict;
mod provider;
mod queue;
mod shim;
mod sources;
mod stats;
mod store;
mod trail;
mod worker;

pub use cache::{Pinned, PrefetchCache, WeakCache};
pub use event::Event;
pub use key::{Key, Place};
pub use options::Builder;
pub use provider::{LoadError, Provider};
pub use sources::{SourceError, SourceKey, Sources};
pub use stats::{Histogram, Stats};
