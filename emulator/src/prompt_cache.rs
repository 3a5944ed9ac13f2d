//! Remembers the prefixes of prompts that are in Bedrock's prompt caches.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use super::answer::CacheSeen;

/// The maximum number of prefixes. Beyond it, the one that expires first is removed.
const MOST_PREFIXES: usize = 10_000;

/// The prompt caches of all accounts and Regions.
#[derive(Debug, Default)]
pub(super) struct PromptCache(Mutex<HashMap<u64, SystemTime>>);

impl PromptCache {
    fn lock(&self) -> MutexGuard<'_, HashMap<u64, SystemTime>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns what a call of an account sees in the cache of a source Region at this time.
    pub(super) fn view(self: &Arc<Self>, account: &str, region: &str, now: SystemTime) -> View {
        let mut hasher = DefaultHasher::new();
        (account, region).hash(&mut hasher);
        View {
            cache: Arc::clone(self),
            scope: hasher.finish(),
            now,
            used: Mutex::default(),
        }
    }

    fn contains(&self, prefix: u64, now: SystemTime) -> bool {
        self.lock().get(&prefix).is_some_and(|expiry| *expiry > now)
    }

    fn write(&self, prefixes: Vec<(u64, Duration)>, now: SystemTime) {
        let mut kept = self.lock();
        for (prefix, lifetime) in prefixes {
            kept.insert(prefix, now + lifetime);
        }
        if kept.len() > MOST_PREFIXES {
            kept.retain(|_, expiry| *expiry > now);
        }
        while kept.len() > MOST_PREFIXES {
            let first = kept.iter().min_by_key(|(_, expiry)| **expiry);
            let Some(prefix) = first.map(|(prefix, _)| *prefix) else {
                return;
            };
            kept.remove(&prefix);
        }
    }
}

/// What one call sees in a prompt cache. A call that is refused changes nothing.
#[derive(Debug)]
pub(super) struct View {
    cache: Arc<PromptCache>,
    /// Identifies the account and the Region.
    scope: u64,
    now: SystemTime,
    /// The prefixes that the call reads or writes, with their time to live.
    used: Mutex<Vec<(u64, Duration)>>,
}

impl View {
    /// Writes the call's prefixes to the cache. Prefixes that were read live longer, too.
    pub(super) fn commit(&self) {
        let used = std::mem::take(&mut *self.used.lock().unwrap_or_else(PoisonError::into_inner));
        if !used.is_empty() {
            self.cache.write(used, self.now);
        }
    }
}

impl CacheSeen for View {
    fn seen(&self, prefix: u64, lifetime: Duration) -> bool {
        let key = prefix ^ self.scope;
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.push((key, lifetime));
        self.cache.contains(key, self.now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn at(minutes: u32) -> SystemTime {
        SystemTime::UNIX_EPOCH + MINUTE * minutes
    }

    #[test]
    fn prefixes_expire_and_reading_renews_them() {
        let cache = Arc::new(PromptCache::default());
        let call = |minutes: u32| {
            let view = cache.view("1", "us-east-1", at(minutes));
            let seen = view.seen(7, MINUTE * 5);
            view.commit();
            seen
        };
        assert_eq!([0, 4, 8, 14].map(call), [false, true, true, false]);
    }

    #[test]
    fn accounts_and_regions_share_nothing_and_a_refused_call_writes_nothing() {
        let cache = Arc::new(PromptCache::default());
        let seen = |account: &str, region: &str| cache.view(account, region, at(0)).seen(7, MINUTE);
        assert!(!seen("1", "us-east-1"));
        assert!(!seen("1", "us-east-1"), "it was not committed");
        let view = cache.view("1", "us-east-1", at(0));
        assert!(!view.seen(7, MINUTE));
        view.commit();
        assert!(seen("1", "us-east-1"));
        assert!(!seen("2", "us-east-1"));
        assert!(!seen("1", "us-west-2"));
    }

    #[test]
    fn the_number_of_prefixes_is_bounded() {
        let cache = PromptCache::default();
        let prefixes = (0..=MOST_PREFIXES as u64)
            .map(|prefix| (prefix, MINUTE + Duration::from_nanos(prefix)));
        cache.write(prefixes.collect(), at(0));
        assert_eq!(cache.lock().len(), MOST_PREFIXES);
        assert!(!cache.contains(0, at(0)), "it expires first");
        assert!(cache.contains(1, at(0)));
    }
}
