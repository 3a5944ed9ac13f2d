//! Checks tokens (JWT): those of issuers, and those of Kubernetes service accounts.
//!
//! Signatures are checked with the issuer's public keys, which a task per issuer keeps fresh. No
//! call fetches keys itself: a call whose key is not known asks for a fetch and waits for it, for
//! a bounded time, and only if the last fetch is not too recent.
//!
//! | file | job |
//! |---|---|
//! | `issuer` | one trusted issuer: checks a token's signature and claims |
//! | `claims` | what is read from a token: before its signature is checked, and after |
//! | `cache` | tokens that were checked lately |
//! | `ring` | the current keys of an issuer, and the task that keeps them fresh |
//! | `source` | where keys are: a file, a URL, discovery, the API server |
//! | `key_set` | a set of public keys (JWKS) |
//! | `fetch` | one HTTP GET with bounds |

mod cache;
mod claims;
mod fetch;
mod issuer;
mod key_set;
mod ring;
mod source;

use std::{sync::Arc, time::SystemTime};

use jsonwebtoken::crypto::{self, CryptoProvider};

use self::{
    cache::Cache,
    claims::Unchecked,
    issuer::{Checked, Issuer},
};
use super::{
    credential::Credential,
    key::sha256,
    rejection::Rejection,
    verifier::{Verdict, Verifier},
};
use crate::{config::Access, telemetry::Metrics};

pub use issuer::check_file;
pub use key_set::KeySet;

/// The longest token. Tokens of identity providers with many groups have a few KiB.
const MAX_TOKEN: usize = 16 << 10;

/// Checks tokens of all trusted issuers. Dropping it ends the tasks that fetch their keys.
#[derive(Debug)]
pub struct TokenVerifier(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    issuers: Vec<Issuer>,
    cache: Cache,
}

impl TokenVerifier {
    /// Starts to read the keys of all issuers, on the current runtime. `None` if no issuer is
    /// configured.
    ///
    /// # Errors
    /// A file of keys cannot be used. Keys that cannot be fetched are no error: they are tried
    /// again.
    pub fn start(access: &Access, metrics: &Arc<Metrics>) -> Result<Option<Self>, String> {
        // The library panics when it has to choose between several providers. The first choice of
        // the process counts, so a second one is not needed.
        let _chosen = CryptoProvider::install_default(&crypto::aws_lc::DEFAULT_PROVIDER);
        let jwt = access
            .jwt
            .iter()
            .map(|options| Issuer::jwt(options, metrics));
        let kubernetes = access.kubernetes.iter();
        let issuers = jwt
            .chain(kubernetes.map(|options| Issuer::kubernetes(options, metrics)))
            .collect::<Result<Vec<_>, _>>()?;
        let cache = Cache::default();
        Ok((!issuers.is_empty()).then(|| Self(Arc::new(Inner { issuers, cache }))))
    }
}

impl Inner {
    /// Checks a token that is not in the cache, with the keys that are known now.
    fn check(&self, token: &str, hash: [u8; 32]) -> Checked {
        let unchecked = match Unchecked::read(token) {
            Ok(unchecked) => unchecked,
            Err(rejection) => return Checked::Done(Err(rejection)),
        };
        let mut unknown = None;
        for (index, issuer) in self.issuers.iter().enumerate() {
            match issuer.is(&unchecked.issuer) {
                Some(true) => {
                    let checked = issuer.check(token, &unchecked);
                    return match checked {
                        Ok(valid) => {
                            let claimed = Arc::clone(&valid.claimed);
                            self.cache.insert(hash, index, valid);
                            Checked::Done(Ok(claimed))
                        }
                        Err(Some(rejection)) => Checked::Done(Err(rejection)),
                        Err(None) => Checked::KeyMissing(index),
                    };
                }
                Some(false) => {}
                None => unknown = Some(index),
            }
        }
        match unknown {
            // The cluster's issuer is known once its keys are.
            Some(index) => Checked::KeyMissing(index),
            None => Checked::Done(Err(Rejection::WrongAudience)),
        }
    }

    /// What is said of a token whose key is not known, if no fetch can change that now.
    fn without_key(&self, index: usize) -> Rejection {
        let is_fresh = self
            .issuers
            .get(index)
            .is_some_and(|issuer| issuer.ring.is_fresh());
        if is_fresh {
            Rejection::BadSignature
        } else {
            Rejection::Unverifiable
        }
    }
}

impl Verifier for TokenVerifier {
    fn verify(&self, credential: Credential<'_>, now: SystemTime) -> Verdict {
        let Credential::Bearer(token) = credential else {
            return Verdict::NotMine;
        };
        if !claims::is_token(token) {
            return Verdict::NotMine;
        }
        if token.len() > MAX_TOKEN {
            return Verdict::Refused(Rejection::TooLong);
        }
        let inner = &self.0;
        let hash = sha256(token);
        let generation = |index: usize| Some(inner.issuers.get(index)?.ring.generation());
        if let Some(claimed) = inner.cache.get(&hash, now, generation) {
            return Verdict::Valid(claimed);
        }
        match inner.check(token, hash) {
            Checked::Done(Ok(claimed)) => Verdict::Valid(claimed),
            Checked::Done(Err(rejection)) => Verdict::Refused(rejection),
            Checked::KeyMissing(index) => {
                let waiting = inner
                    .issuers
                    .get(index)
                    .and_then(|issuer| issuer.ring.newer());
                let Some(waiting) = waiting else {
                    return Verdict::Refused(inner.without_key(index));
                };
                let (inner, token) = (Arc::clone(inner), token.to_owned());
                Verdict::Later(Box::pin(async move {
                    waiting.await;
                    match inner.check(&token, hash) {
                        Checked::Done(verdict) => verdict,
                        Checked::KeyMissing(index) => Err(inner.without_key(index)),
                    }
                }))
            }
        }
    }
}
