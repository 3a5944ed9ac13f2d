//! Caches tokens that were verified recently, by their SHA-256. The number of cached tokens is
//! limited.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
    time::SystemTime,
};

use super::claims::Valid;
use crate::access::claimed_caller::ClaimedCaller;

/// The maximum number of cached tokens. If there are more, expired tokens are removed, or all
/// tokens if none has expired.
const MOST_TOKENS: usize = 8_192;

#[derive(Debug, Default)]
pub(super) struct VerifiedTokens(RwLock<HashMap<[u8; 32], Entry>>);

#[derive(Debug)]
struct Entry {
    issuer: usize,
    valid: Valid,
}

impl VerifiedTokens {
    /// Returns the claims of a token if they are cached, the token has not expired, and the keys of
    /// its issuer have not changed. `generation` returns the generation of an issuer's keys.
    pub(super) fn get(
        &self,
        hash: &[u8; 32],
        now: SystemTime,
        generation: impl Fn(usize) -> Option<u64>,
    ) -> Option<Arc<ClaimedCaller>> {
        let entries = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let Entry { issuer, valid } = entries.get(hash)?;
        let counts = now < valid.until && generation(*issuer) == Some(valid.generation);
        counts.then(|| Arc::clone(&valid.claimed))
    }

    pub(super) fn insert(&self, hash: [u8; 32], issuer: usize, valid: Valid) {
        let mut entries = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if entries.len() >= MOST_TOKENS {
            let now = SystemTime::now();
            entries.retain(|_, entry| now < entry.valid.until);
            if entries.len() >= MOST_TOKENS {
                entries.clear();
            }
        }
        entries.insert(hash, Entry { issuer, valid });
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::access::claimed_caller::ClaimKind;

    fn valid(until: SystemTime) -> Valid {
        let claimed = ClaimedCaller {
            name: "a".into(),
            other_names: Vec::new(),
            kind: ClaimKind::Token,
            issuer: None,
            claim: None,
            audiences: Vec::new(),
            groups: Vec::new(),
            unlisted: None,
        };
        Valid {
            claimed: claimed.into(),
            until,
            generation: 1,
        }
    }

    #[test]
    fn tokens_count_until_their_end_or_another_key_set() {
        let cache = VerifiedTokens::default();
        let now = SystemTime::now();
        let end = now + Duration::from_secs(9);
        cache.insert([1; 32], 0, valid(end));
        assert!(cache.get(&[1; 32], now, |_| Some(1)).is_some());
        assert!(cache.get(&[2; 32], now, |_| Some(1)).is_none());
        assert!(cache.get(&[1; 32], end, |_| Some(1)).is_none());
        assert!(cache.get(&[1; 32], now, |_| Some(2)).is_none());
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let cache = VerifiedTokens::default();
        let end = SystemTime::now() + Duration::from_secs(999);
        for number in 0..20_000_u32 {
            let mut hash = [0; 32];
            hash[..4].copy_from_slice(&number.to_le_bytes());
            cache.insert(hash, 0, valid(end));
            assert!(cache.get(&hash, SystemTime::now(), |_| Some(1)).is_some());
            assert!(cache.0.read().unwrap().len() <= MOST_TOKENS);
        }
    }
}
