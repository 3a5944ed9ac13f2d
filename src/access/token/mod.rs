//! Verifies tokens (JWT) of configured issuers and of Kubernetes service accounts.
//!
//! Signatures are checked with the issuer's public keys, which one task per issuer refreshes. Calls
//! do not fetch keys. If a call's key is unknown, the call requests a fetch and waits for a limited
//! time, unless the last fetch is too recent.
//!
//! | file | job |
//! |---|---|
//! | `issuer` | one trusted issuer: checks the signature and claims of its tokens |
//! | `claims` | reads tokens, before and after the signature is checked |
//! | `verified_tokens` | caches tokens that were verified recently |
//! | `issuer_keys` | caches the keys of an issuer (JWKS), with the task that refreshes them |
//! | `source` | the location of keys: a file, a URL, discovery, the API server |
//! | `key_set` | a set of public keys (JWKS) |
//! | `fetch` | makes one HTTP GET request within limits |

mod claims;
mod fetch;
mod issuer;
mod issuer_keys;
mod key_set;
mod source;
mod verified_tokens;

use std::{sync::Arc, time::SystemTime};

use jsonwebtoken::crypto::{self, CryptoProvider};

use self::{
    claims::Unchecked,
    issuer::{Checked, Issuer},
    verified_tokens::VerifiedTokens,
};
use super::{
    credential::Credential,
    key::sha256,
    rejection::Rejection,
    verifier::{Verification, Verifier},
};
use crate::{config::Access, telemetry::Metrics};

pub use issuer::check_file;
pub use key_set::KeySet;

/// The maximum length of a token, in bytes. Tokens with many groups are a few KiB long.
const MAX_TOKEN: usize = 16 << 10;

/// Verifies tokens of all trusted issuers. Cheap to clone. Dropping the last clone ends the tasks
/// that fetch the keys, except for issuers that another verifier also uses.
#[derive(Clone, Debug)]
pub struct TokenVerifier(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    issuers: Vec<Issuer>,
    verified: VerifiedTokens,
}

impl TokenVerifier {
    /// Starts to fetch the keys of all issuers, on the current runtime. Issuers whose keys come
    /// from the same source as in the verifier `before` keep using these keys. Returns `None` if no
    /// issuer is configured.
    ///
    /// # Errors
    /// Fails if a file of keys cannot be used. If keys cannot be fetched, this is not an error: the
    /// fetch is retried.
    pub fn start(
        access: &Access,
        before: Option<&Self>,
        metrics: &Arc<Metrics>,
    ) -> Result<Option<Self>, String> {
        // The library panics if it must choose between several cryptography providers. Only the
        // first choice in a process succeeds, so an error here means that a provider has been
        // chosen.
        let _chosen = CryptoProvider::install_default(&crypto::aws_lc::DEFAULT_PROVIDER);
        let known: &[Issuer] = before.map_or(&[], |before| &before.0.issuers);
        let jwt = access
            .jwt
            .iter()
            .map(|options| Issuer::jwt(options, known, metrics));
        let kubernetes = access.kubernetes.iter();
        let issuers = jwt
            .chain(kubernetes.map(|options| Issuer::kubernetes(options, known, metrics)))
            .collect::<Result<Vec<_>, _>>()?;
        let verified = VerifiedTokens::default();
        Ok((!issuers.is_empty()).then(|| Self(Arc::new(Inner { issuers, verified }))))
    }
}

impl Inner {
    /// Checks a token that is not cached, with the current keys.
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
                            self.verified.insert(hash, index, valid);
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
            // The name of the cluster's issuer is unknown until the cluster's keys are fetched.
            Some(index) => Checked::KeyMissing(index),
            None => Checked::Done(Err(Rejection::WrongAudience)),
        }
    }

    /// Returns the rejection of a token whose key is unknown, if no fetch can be requested now.
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
    fn verify(&self, credential: Credential<'_>, now: SystemTime) -> Verification {
        let Credential::Bearer(token) = credential else {
            return Verification::NotMine;
        };
        if !claims::is_token(token) {
            return Verification::NotMine;
        }
        if token.len() > MAX_TOKEN {
            return Verification::Refused(Rejection::TooLong);
        }
        let inner = &self.0;
        let hash = sha256(token);
        let generation = |index: usize| Some(inner.issuers.get(index)?.ring.generation());
        if let Some(claimed) = inner.verified.get(&hash, now, generation) {
            return Verification::Valid(claimed);
        }
        match inner.check(token, hash) {
            Checked::Done(Ok(claimed)) => Verification::Valid(claimed),
            Checked::Done(Err(rejection)) => Verification::Refused(rejection),
            Checked::KeyMissing(index) => {
                let waiting = inner
                    .issuers
                    .get(index)
                    .and_then(|issuer| issuer.ring.newer());
                let Some(waiting) = waiting else {
                    return Verification::Refused(inner.without_key(index));
                };
                let (inner, token) = (Arc::clone(inner), token.to_owned());
                Verification::Later(Box::pin(async move {
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
