//! Defines the behaviour that requests do not specify.

use std::{fmt, sync::Arc, time::Duration};

/// Tracks whether a prompt prefix is in the cache. Generating an answer changes no state itself, so
/// the server implements this trait.
pub trait CacheSeen: Send + Sync {
    /// Returns whether the prefix with this key is in the cache, and records that the request reads
    /// or writes it. `lifetime` is the time to live of the cache point.
    ///
    /// Called once for each cache point of a sufficiently large request. The shortest prefix is
    /// first.
    fn seen(&self, prefix: u64, lifetime: Duration) -> bool;
}

impl<F: Fn(u64, Duration) -> bool + Send + Sync> CacheSeen for F {
    fn seen(&self, prefix: u64, lifetime: Duration) -> bool {
        self(prefix, lifetime)
    }
}

/// The behaviour of the emulator that requests do not specify.
#[derive(Clone)]
pub struct Style {
    /// The approximate length of a text in tokens, if the prompt does not ask for a length.
    pub default_length: u32,
    /// The minimum number of input tokens before a cache point. It is 1,024 for most Claude models.
    pub cache_minimum: u64,
    /// The cached prefixes. If `None`, nothing is cached, so each cache point is written again.
    pub cache: Option<Arc<dyn CacheSeen>>,
}

impl Default for Style {
    fn default() -> Self {
        Self {
            default_length: 90,
            cache_minimum: 1024,
            cache: None,
        }
    }
}

impl fmt::Debug for Style {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Style")
            .field("default_length", &self.default_length)
            .field("cache_minimum", &self.cache_minimum)
            .field("cache", &self.cache.is_some())
            .finish()
    }
}
