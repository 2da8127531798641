//! What is asked for next.
//!
//! # Invariants
//! - Predictors run on the workers, one call at a time and outside every lock: never on the path of
//!   a reader that hits, and of one that misses only before workers that
//!   [start late](crate::Builder::start_late). One that panics is caught and counted.
//! - A prediction is a hint: keys that are here, on their way, unknown to the provider, or of no
//!   likelihood are left out by the cache.

mod adaptive;
mod decay;
mod dynamic;

pub use adaptive::Adaptive;
pub use decay::{DistanceDecay, DynamicDistanceDecay};
pub use dynamic::DynamicData;

use std::collections::VecDeque;

use crate::key::Key;

/// One step of a reader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access<K> {
    /// What was asked for.
    pub key: K,
    /// A small number of the thread that asked. Threads may share one.
    pub reader: usize,
    /// Steps of this reader just before this one were missed.
    pub gap: bool,
}

/// What became of earlier predictions since the last one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Feedback {
    /// Values that were there in time.
    pub useful: u64,
    /// Values that were still under way.
    pub late: u64,
    /// Values that nobody asked for.
    pub wasted: u64,
}

/// What a prediction starts from.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a, K> {
    /// The key asked for last.
    pub current: &'a K,
    /// Keys asked for lately, the newest, `current`, at the end. A key that is asked for several
    /// times in a row is there once.
    pub history: &'a VecDeque<K>,
    /// What became of earlier predictions.
    pub feedback: Feedback,
    /// How many keys are fetched ahead at most.
    pub keys_max: usize,
}

/// Guesses what is asked for next.
pub trait Predictor<K: Key>: Send + 'static {
    /// A reader asked for a key. Called for each step, in the order of each reader, before the
    /// [`predict`](Predictor::predict) that follows.
    fn observe(&mut self, _access: &Access<K>) {}

    /// Adds the keys that are likely now to `likely`, each with its likelihood: any number above 0,
    /// compared with the others only.
    fn predict(&mut self, context: &Context<'_, K>, likely: &mut Vec<(K, f64)>);
}

/// Predicts nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl<K: Key> Predictor<K> for Silent {
    fn predict(&mut self, _: &Context<'_, K>, _: &mut Vec<(K, f64)>) {}
}
