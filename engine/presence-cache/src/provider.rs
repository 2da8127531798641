//! Where values come from.
//!
//! # Invariants
//! - A provider is called without any lock held; it may block, fail or panic.

use std::fmt;

use crate::shim::Arc;

/// Loads values. Called from any thread, several at a time.
pub trait Provider<K, V>: Send + Sync + 'static {
    /// Why a value could not be loaded.
    type Error: Send + Sync + 'static;

    /// Loads the value of `key`.
    ///
    /// # Errors
    /// Whatever hinders it; every reader who waits for this load is told.
    fn load(&self, key: &K) -> Result<V, Self::Error>;

    /// Whether there is such a key. One that is not there is never fetched ahead; `get` asks
    /// [`load`](Provider::load) all the same, which decides what an unknown key is. Quick, please:
    /// it is asked for each key that is predicted.
    fn contains(&self, _key: &K) -> bool {
        true
    }

    /// How many bytes a value counts for in the budget.
    fn bytes(&self, _key: &K, _value: &V) -> u64 {
        (size_of::<K>() + size_of::<V>()) as u64
    }

    /// A value has left the cache: evicted, invalidated, or replaced. Told once for each value that
    /// was kept, outside every lock; whoever got it from the cache may still hold it. Values that
    /// are there when the cache itself goes are not told.
    fn removed(&self, _key: &K, _value: V) {}

    /// An error in words, for events.
    fn describe(&self, _error: &Self::Error) -> String {
        "the provider's load failed".to_owned()
    }
}

impl<K, V, E, F> Provider<K, V> for F
where
    F: Fn(&K) -> Result<V, E> + Send + Sync + 'static,
    E: Send + Sync + 'static,
{
    type Error = E;

    fn load(&self, key: &K) -> Result<V, E> {
        self(key)
    }
}

/// Why `get` has no value. Cheap to clone: all who waited for a load share its error.
pub enum LoadError<E> {
    /// The provider's own error.
    Provider(Arc<E>),
    /// The provider panicked, with this message.
    Panicked(Arc<str>),
    /// A load asked for the very key it is loading, and would wait for itself.
    Recursive,
}

impl<E> LoadError<E> {
    /// The provider's error, where it is one.
    pub fn provider(&self) -> Option<&E> {
        match self {
            Self::Provider(error) => Some(error),
            Self::Panicked(_) | Self::Recursive => None,
        }
    }
}

impl<E> Clone for LoadError<E> {
    fn clone(&self) -> Self {
        match self {
            Self::Provider(error) => Self::Provider(Arc::clone(error)),
            Self::Panicked(message) => Self::Panicked(Arc::clone(message)),
            Self::Recursive => Self::Recursive,
        }
    }
}

impl<E: fmt::Debug> fmt::Debug for LoadError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Provider(error) => f.debug_tuple("Provider").field(error).finish(),
            Self::Panicked(message) => f.debug_tuple("Panicked").field(message).finish(),
            Self::Recursive => f.write_str("Recursive"),
        }
    }
}

impl<E: fmt::Display> fmt::Display for LoadError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Provider(error) => error.fmt(f),
            Self::Panicked(message) => write!(f, "the provider panicked: {message}"),
            Self::Recursive => f.write_str("the load of a key asked for that key"),
        }
    }
}

impl<E: fmt::Debug + fmt::Display> std::error::Error for LoadError<E> {}

/// The message of a panic.
pub(crate) fn panic_message(payload: &(dyn std::any::Any + Send)) -> Arc<str> {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    Arc::from(text.unwrap_or("no message"))
}
