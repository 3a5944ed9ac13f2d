//! How the emulator answers when the request leaves it open.

use std::{fmt, sync::Arc};

/// Says whether a prompt prefix is in the cache. The brain is pure, so the server keeps the memory.
pub trait CacheSeen: Send + Sync {
    /// Whether the prefix with this key was written before; from now on it is.
    ///
    /// Called once for each cache point of a request that is large enough, the shortest prefix first.
    fn seen(&self, prefix: u64) -> bool;
}

impl<F: Fn(u64) -> bool + Send + Sync> CacheSeen for F {
    fn seen(&self, prefix: u64) -> bool {
        self(prefix)
    }
}

/// What the emulator does where a request says nothing.
#[derive(Clone)]
pub struct Style {
    /// About how many tokens a text has when the prompt asks for no length.
    pub default_length: u32,
    /// The fewest input tokens that a cache point caches. 1,024 is what most Claude models need.
    pub cache_minimum: u64,
    /// Which prefixes are cached. `None`: none, so cache points always write.
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
