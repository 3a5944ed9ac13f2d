//! Settings that apply where a request specifies nothing.

use std::{fmt, sync::Arc};

/// Decides whether a prompt prefix is in the cache. Generating an answer changes no state, so the
/// server keeps this state.
pub trait CacheSeen: Send + Sync {
    /// Returns whether the prefix with this key was written before, and records it.
    ///
    /// Called once for each cache point of a sufficiently large request, the shortest prefix first.
    fn seen(&self, prefix: u64) -> bool;
}

impl<F: Fn(u64) -> bool + Send + Sync> CacheSeen for F {
    fn seen(&self, prefix: u64) -> bool {
        self(prefix)
    }
}

/// The emulator's behaviour where a request does not specify it.
#[derive(Clone)]
pub struct Style {
    /// The approximate number of tokens of a text, if the prompt asks for no length.
    pub default_length: u32,
    /// The minimum number of input tokens for a cache point: 1,024, as for most Claude models.
    pub cache_minimum: u64,
    /// The cached prefixes. If `None`, nothing is cached, so cache points always write.
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
